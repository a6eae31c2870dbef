import DebugInfo
import Disassembly
public import ObjectFile
public import SystemPackage

/// The way of an object through staticcall. Each phase takes values from the one before it and gives values to the next; only
/// the last one writes.
public enum Pipeline {
  /// Puts the call sites of the object at `path`, or of each object in the archive there, into its table, in place or, with `output`, in
  /// a copy.
  ///
  /// Throws ``Refusal`` where that cannot be done; the input is untouched then, and there is no output. In an archive, where a member
  /// cannot be handled, nothing is written either.
  public static func annotate(
    _ path: FilePath, output: FilePath? = nil, isDryRun: Bool = false, _ options: Options
  ) throws(Refusal) -> [Annotated] {
    try refusing {
      // Recover: what a killed run left behind goes, whatever this one finds to do.
      if !isDryRun { removeLeftovers(of: output ?? path) }

      let annotation = try takingTurns(at: path) {
        try InputFile.reading(path) { input in
          let kind = try FileKind(of: input)
          if case .archive = kind { return Annotation?.none }
          return try annotate(input, kind, at: path, output, isDryRun: isDryRun, options)
        }
      }
      if let annotation { return [Annotated(result: .success(annotation))] }
      return try InputFile.reading(path) { input in
        try annotateArchive(input, at: path, output: output, isDryRun: isDryRun, options)
      }
    }
  }

  private static func annotate(
    _ input: borrowing InputFile, _ kind: FileKind, at path: FilePath, _ output: FilePath?, isDryRun: Bool,
    _ options: Options
  ) throws -> Annotation {
    // A new file gets all that is in the old one: a large one is copied while the rest goes on.
    var copy: EarlyCopy?
    if let output, !isDryRun, kind == .object { copy = EarlyCopy(of: input, to: output) }

    // Read: the whole file is mapped, and everything in it that is used later is checked now.
    let object = try ObjectFile(reading: input)
    if output == nil, !isDryRun, !options.writesInPlace, promisesTable(object, options) {
      copy = EarlyCopy(of: input, to: path)
    }

    // Discover to emit: the edited object is made in memory.
    let annotation = try edit(object, isDryRun: isDryRun, options) { plan in
      try EditedObject(plan, of: object, from: input)
    } write: { edited in
      // Write: from here on the file changes, in one step.
      try edited.write(to: output ?? path, from: input, options.writing, copy: copy)
    }

    // An object that needs no change is not opened for writing; under another name it is still wanted.
    if let output, !isDryRun, annotation.needsNoChange {
      try copyFile(input, to: output, options.writing, copy: copy)
    }
    return annotation
  }

  /// The phases between reading and writing. `emit` carries out a plan in memory; `write` gets the outcome, once it is checked, unless
  /// this is a dry run or nothing is to be written.
  static func edit(
    _ object: borrowing ObjectFile, isDryRun: Bool, _ options: Options, emit: (EditPlan) throws -> EditedObject,
    write: (borrowing EditedObject) throws -> Void
  ) throws -> Annotation {
    // Discover and resolve: what uses a trampoline, how, and which table is there. No change is made to these facts later.
    let index = try TrampolineIndex(object, options)
    let options = try options.fitted(to: index)
    let survey = try surveyObject(object, index, options)

    // Plan: what the table must hold, as values. A call without a key, or where a table cannot follow it, ends here.
    let plan = TablePlan(survey, object, options)
    try plan.refuseImpossible(survey, object, options)
    let annotation = Annotation(plan, survey, object, options, isDryRun: isDryRun)
    guard annotation.change == .written || annotation.change == .wouldWrite else { return annotation }

    // Emit: the edited object is read back by the same reader and verified like any other.
    let changes = EditPlan(writing: plan, survey.index, options, object)
    let known = (consume survey).holding(after: changes)
    let edited = try emit(changes)
    try selfCheck(edited, of: object, known, options)

    // A dry run ends before anything is written.
    if annotation.change == .written { try write(edited) }
    return annotation
  }

  /// What became of an object, or of a member of an archive; or why it cannot be handled.
  public struct Annotated: Sendable {
    public var member: MemberName?
    public var result: Result<Annotation, Refusal>

    init(member: MemberName? = nil, result: Result<Annotation, Refusal>) {
      self.member = member
      self.result = result
    }
  }

  /// With more debugging information than this when it is unpacked, in bytes, an object is listed without source lines.
  private static let largestUnpackedSize: UInt64 = 256 << 20

  /// Lists every use of a trampoline in the object at `path`; on request with the changes that make calls direct, as disassembly.
  public static func list(
    _ path: FilePath, disassembles: Bool = false, _ options: Options
  ) throws(Refusal) -> Listing {
    try refusing {
      try InputFile.reading(path) { input in
        try list(ObjectFile(reading: input), linesFrom: path, disassembles, options)
      }
    }
  }

  /// The same for an object, a linked image, or each object in an archive.
  public static func listAll(
    _ path: FilePath, disassembles: Bool = false, _ options: Options
  ) throws(Refusal) -> [Listed] {
    try refusing {
      try InputFile.reading(path) { input in
        switch try FileKind(of: input) {
        case .image:
          let listing = try Listing(LinkedImage(reading: input), SourceLines(path.bytes), options)
          return [Listed(result: .success(listing))]
        case .archive:
          return listMembers(try Archive(reading: input), at: path, disassembles, options)
        case .object, .bitcode, .otherElf, .other:
          let listing = try list(ObjectFile(reading: input), linesFrom: path, disassembles, options)
          return [Listed(result: .success(listing))]
        }
      }
    }
  }

  private static func listMembers(
    _ archive: borrowing Archive, at path: FilePath, _ disassembles: Bool, _ options: Options
  ) -> [Listed] {
    archive.namedMembers.compactMap { name, member in
      do throws(Refusal) {
        guard try refusing({ try archive.kind(of: member, at: path) }) == .object else { return nil }
        let listing = try refusing {
          try archive.withObject(member, at: path) { object in
            try list(object, linesFrom: nil, disassembles, options)
          }
        }
        return Listed(member: name, result: .success(listing))
      } catch {
        return Listed(member: name, result: .failure(error))
      }
    }
  }

  /// The listing of a file, or of a member of an archive; or why there is none.
  public struct Listed: Sendable {
    public var member: MemberName?
    public var result: Result<Listing, Refusal>

    public init(member: MemberName? = nil, result: Result<Listing, Refusal>) {
      self.member = member
      self.result = result
    }
  }

  private static func list(
    _ object: borrowing ObjectFile, linesFrom path: FilePath?, _ disassembles: Bool, _ options: Options
  ) throws -> Listing {
    // Where there is no key, an entry that names the trampoline is a module's: right, however annotate would be called.
    var options = options
    options.isModule = true
    let survey = try surveyObject(object, options, includingData: true)
    let hasLines = !survey.sites.isEmpty && object.unpackedSize <= largestUnpackedSize
    var listing = Listing(survey, object, SourceLines(hasLines ? path?.bytes : nil), options)
    if disassembles { listing.changes = try ChangeLister(survey, object).changes(object) }
    return listing
  }

  /// Checks the tables of the object, archive or linked image at `path` in both directions: each entry is a valid site, and each site
  /// has one entry. Members of a thin archive that are among `others`, files that are verified by themselves, are left out.
  public static func verify(
    _ path: FilePath, besides others: Set<FileIdentity> = [], _ options: Options
  ) throws(Refusal) -> Verification {
    try refusing { try StaticCalls.verify(path, besides: others, options) }
  }

  /// The same for a file that nobody asked for by name, such as one in a directory: `nil` where it is nothing that staticcall handles.
  public static func verifyIfHandled(
    _ path: FilePath, besides others: Set<FileIdentity> = [], _ options: Options
  ) throws(Refusal) -> Verification? {
    try refusing {
      switch try FileKind(of: InputFile(path)) {
      case .object, .image, .archive: try StaticCalls.verify(path, besides: others, options)
      case .bitcode: Verification(subjects: [.bitcode(nil)])
      case .otherElf, .other: nil
      }
    }
  }

  /// Compares the call sites of two objects or linked images. Fails with what is wrong with both of them.
  public static func compare(
    _ old: FilePath, _ new: FilePath, _ options: Options
  ) -> Result<Comparison, RefusedFiles> {
    var refused: [Refused] = []
    let sites = (old == new ? [old] : [old, new]).map { path in
      do {
        return try noticingLostPages { try sitesToCompare(path, options) }
      } catch {
        refused.append(Refused(path: path, refusal: Refusal(any: error)))
        return []
      }
    }
    guard refused.isEmpty else { return .failure(RefusedFiles(files: refused)) }
    return .success(Comparison(sites[0], sites[sites.count - 1]))
  }

  /// Which of several files was not handled, and why.
  public struct Refused: Sendable {
    public var path: FilePath
    public var refusal: Refusal
  }

  /// The files that were not handled, one or more.
  public struct RefusedFiles: Error {
    public var files: [Refused]
  }

  /// The regular files in a directory and below it, in order, and the directories that cannot be read, each with the reason.
  public static func files(below directory: FilePath) -> (files: [FilePath], unreadable: [Refused]) {
    let contents = DirectoryContents(of: directory)
    return (contents.files, contents.unreadable.map { Refused(path: $0.path, refusal: Refusal($0.error)) })
  }

  /// Turns whatever a phase throws into a refusal.
  static func refusing<Result>(_ body: () throws -> Result) throws(Refusal) -> Result {
    do {
      return try noticingLostPages(body)
    } catch {
      throw Refusal(any: error)
    }
  }
}
