import DebugInfo
import Disassembly
import ObjectFile
import SystemPackage

/// The way of an object through staticcall. Each phase takes values from the one before it and gives values to the next; only
/// the last one writes.
public enum Pipeline {
  /// Puts the call sites of the object at `path` into its table, in place or, with `output`, in a copy.
  ///
  /// Throws ``Refusal`` where that cannot be done; the input is untouched then, and there is no output.
  public static func annotate(
    _ path: String, output: String? = nil, isDryRun: Bool = false, _ options: Options
  ) throws(Refusal) -> Annotation {
    try refusing {
      // Read: the whole file is mapped, and everything in it that is used later is checked now.
      let input = try InputFile(FilePath(path))
      let object = try ObjectFile(reading: input)

      // Discover and resolve: what uses a trampoline, how, and which table is there. No change is made to these facts later.
      let survey = try surveyObject(object, options)

      // Plan: what the table must hold, as values. A call without a key, or where a table cannot follow it, ends here.
      let plan = TablePlan(survey, options)
      try plan.refuseImpossible(survey, object, options)
      let annotation = Annotation(plan, survey, object, options, isDryRun: isDryRun)

      // An object that needs no change is not opened for writing; under another name it is still wanted.
      switch annotation.change {
      case .written, .wouldWrite: break
      case .heldBack: return annotation
      case .noStaticCalls, .upToDate:
        if let output, !isDryRun { try copyFile(input, to: FilePath(output)) }
        return annotation
      }

      // Emit: the edited object is made in memory, read back by the same reader and verified like any other.
      let edit = EditPlan(writing: plan, over: survey.table, survey.index, options, object)
      let edited = try EditedObject(edit, of: object, from: input)
      try selfCheck(edited, of: object, survey, options)

      // Write: from here on the file changes, in one step. A dry run ends before it.
      guard annotation.change == .written else { return annotation }
      try edited.write(to: FilePath(output ?? path), from: input)
      return annotation
    }
  }

  /// With more debugging information than this when it is unpacked, in bytes, an object is listed without source lines.
  private static let largestUnpackedSize: UInt64 = 256 << 20

  /// Lists every use of a trampoline in the object at `path`; on request with the changes that make calls direct, as disassembly.
  public static func list(
    _ path: String, disassembles: Bool = false, _ options: Options
  ) throws(Refusal) -> Listing {
    try refusing {
      let object = try ObjectFile(reading: InputFile(FilePath(path)))
      let survey = try surveyObject(object, options, includingData: true)
      // libdw unpacks compressed sections as a whole.
      let wantsLines = !survey.sites.isEmpty && object.unpackedSize <= largestUnpackedSize
      var listing = Listing(survey, object, wantsLines ? SourceLines(path) : nil, options)
      if disassembles { listing.changes = try ChangeLister(survey, object).changes(object) }
      return listing
    }
  }

  /// Checks the tables of the object, archive or linked image at `path` in both directions: each entry is a valid site, and each site
  /// has one entry.
  public static func verify(_ path: String, _ options: Options) throws(Refusal) -> Verification {
    try refusing { try StaticCalls.verify(FilePath(path), options) }
  }

  /// The same for a file that nobody asked for by name, such as one in a directory: `nil` where it is nothing that staticcall handles.
  public static func verifyIfHandled(_ path: String, _ options: Options) throws(Refusal) -> Verification? {
    try refusing {
      switch try FileKind(of: InputFile(FilePath(path))) {
      case .object, .image, .archive: try StaticCalls.verify(FilePath(path), options)
      case .bitcode: Verification(subjects: [.bitcode(nil)])
      case .otherElf, .other: nil
      }
    }
  }

  /// Compares the call sites of two objects or linked images.
  public static func compare(_ old: String, _ new: String, _ options: Options) throws(Refused) -> Comparison {
    func sites(of path: String) throws(Refused) -> [ComparedSite] {
      do {
        return try sitesToCompare(FilePath(path), options)
      } catch {
        throw Refused(path: path, refusal: Refusal(any: error))
      }
    }
    return Comparison(try sites(of: old), try sites(of: new))
  }

  /// Which of several files was not handled, and why.
  public struct Refused: Error {
    public var path: String
    public var refusal: Refusal
  }

  /// The regular files in a directory and below it, in order, and the directories that cannot be read, each with the reason.
  public static func files(below directory: String) -> (files: [String], unreadable: [Refused]) {
    let contents = DirectoryContents(of: FilePath(directory))
    return (
      contents.files.map(\.string),
      contents.unreadable.map { Refused(path: $0.path.string, refusal: Refusal($0.error)) }
    )
  }

  /// Turns whatever a phase throws into a refusal.
  private static func refusing<Result>(_ body: () throws -> Result) throws(Refusal) -> Result {
    do {
      return try body()
    } catch {
      throw Refusal(any: error)
    }
  }
}
