import ObjectFile
public import SystemPackage

extension Pipeline {
  /// Annotates each object in an archive. All of them are handled before anything is written, and one that cannot be handled leaves
  /// everything as it was: no archive is half annotated.
  static func annotateArchive(
    _ input: borrowing InputFile, at path: FilePath, output: FilePath?, isDryRun: Bool, _ options: Options
  ) throws -> [Annotated] {
    let archive = try Archive(reading: input)
    if archive.isThin {
      return try annotateThinArchive(archive, input, at: path, output: output, isDryRun: isDryRun, options)
    }
    let texts = options.textsOfStaticCalls
    var edits: [Int: MemberEdit] = [:]
    var outcomes: [Annotated] = []
    for (position, (name, member)) in archive.namedMembers.enumerated() {
      let kind = archive.kind(of: member)
      // Where nothing in the bytes looks like a static call, nothing else of them is read.
      if kind == .other || kind == .object && !archive.holds(anyOf: texts, in: member) { continue }
      let outcome = attempt(name) {
        let object = try archive.object(member)
        return try edit(object, isDryRun: isDryRun, options) { plan in
          try EditedObject(plan, ofCopied: object)
        } write: { edited in
          edits[position] = MemberEdit(edited)
        }
      }
      if let outcome { outcomes.append(outcome) }
    }
    guard !isDryRun, outcomes.mayBeWritten else { return outcomes.toReport }
    if !edits.isEmpty {
      try EditedArchive(edits, of: archive).write(to: output ?? path, from: input, options.writing)
    } else if let output {
      try copyFile(input, to: output, options.writing)
    }
    return outcomes
  }

  /// A thin archive holds the names of its members: they are annotated where they are, and the archive stays as it is.
  private static func annotateThinArchive(
    _ archive: borrowing Archive, _ input: borrowing InputFile, at path: FilePath, output: FilePath?, isDryRun: Bool,
    _ options: Options
  ) throws -> [Annotated] {
    guard output == nil else {
      throw Refusal([
        Diagnostic(
          .archive, .error, "a thin archive holds no objects that could be written elsewhere",
          help: ["Leave out -o: the objects that it names are annotated where they are."])
      ])
    }
    var outcomes: [Annotated] = []
    // First as a dry run, so that a member that cannot be handled leaves all of them as they were. What fails after that, such as a full
    // disk, leaves those annotated that came before: each is a file of its own.
    for isTrial in isDryRun ? [true] : [true, false] {
      outcomes = archive.namedMembers.compactMap { name, member in
        let file = archive.file(of: member, path)
        return attempt(name) {
          if !isTrial { removeLeftovers(of: file) }
          return try takingTurns(at: file) {
            try InputFile.reading(file) { input in
              guard try FileKind(of: input) != .other else { return nil }
              let object = try ObjectFile(reading: input)
              return try edit(object, isDryRun: isTrial, options) { plan in
                try EditedObject(plan, of: object, from: input)
              } write: { edited in
                try edited.write(to: file, from: input, options.writing)
              }
            }
          }
        }
      }
      if isTrial, !outcomes.mayBeWritten { return outcomes.toReport }
      if !isDryRun { try input.endReading() }
    }
    return outcomes
  }

  /// How many members the archive at `path` has, if it is one and none of them is an ELF file or bitcode: such as one of Go's compiler.
  /// An empty archive, which build systems make on purpose, does not count.
  public static func membersWithoutObject(inArchiveAt path: FilePath) -> Int? {
    let members = try? InputFile.reading(path) { input -> Int in
      guard case .archive = try FileKind(of: input) else { return 0 }
      let archive = try Archive(reading: input)
      let hasObject = try archive.members.contains { try archive.kind(of: $0, at: path) != .other }
      return hasObject ? 0 : archive.members.count
    }
    return members.flatMap { $0 == 0 ? nil : $0 }
  }

  /// What became of a member; `nil` where it is nothing to annotate.
  private static func attempt(_ name: MemberName, _ body: () throws -> Annotation?) -> Annotated? {
    do throws(Refusal) {
      return try refusing(body).map { Annotated(member: name, result: .success($0)) }
    } catch {
      return Annotated(member: name, result: .failure(error))
    }
  }
}

extension [Pipeline.Annotated] {
  /// Whether no member stands in the way of writing the others.
  fileprivate var mayBeWritten: Bool {
    allSatisfy { outcome in
      if case .success(let annotation) = outcome.result { annotation.change != .heldBack } else { false }
    }
  }

  /// What there is to say: where members stand in the way of all, only these, for nothing became of the others.
  fileprivate var toReport: [Pipeline.Annotated] {
    guard !mayBeWritten else { return self }
    return filter { outcome in
      if case .success(let annotation) = outcome.result { annotation.change == .heldBack } else { true }
    }
  }
}
