public import ObjectFile
import SystemPackage

/// What verification found in a file.
public struct Verification: Sendable {
  /// What was looked at: the file itself, or members of the archive that it is.
  public var subjects: [Subject] = []
  /// How many members of the archive are nothing that is verified.
  public var skippedMembers = 0

  /// One object or linked image.
  public struct Subject: Sendable {
    /// Its name in the archive that holds it.
    public var member: MemberName?
    /// The file that a thin archive names: it may be found by itself, or in another archive, as well.
    public var file: FileIdentity?
    public var kind: Kind
    /// Entries of its tables.
    public var entries = 0
    public var diagnostics: [Diagnostic] = []
    /// Why it could not be checked.
    public var refusal: Refusal?
  }

  /// What a file or member is, as far as verification cares.
  public enum Kind: String, Sendable {
    case object
    case image
    /// Intermediate code, in which there are no call sites yet.
    case bitcode
  }

  /// What was found in all of them.
  public var diagnostics: [Diagnostic] { subjects.flatMap(\.diagnostics) }
}

extension Verification {
  /// Verifies a relocatable object.
  init(_ object: borrowing ObjectFile, member: MemberName? = nil, _ options: Options) throws {
    let survey = try surveyObject(object, options)
    let findings =
      try TableVerification(of: survey, in: object, options).findings
      + SectionVerification(of: survey, in: object).findings
    let left = survey.callsLeft(in: object, includingConvertible: true)
    subjects = [
      Subject(
        member: member, kind: .object, entries: survey.table.entries.count,
        diagnostics: Places.diagnostics(findings, in: object) + left)
    ]
  }

  /// Verifies a linked image.
  init(_ image: borrowing LinkedImage, _ options: Options) throws {
    let verification = try ImageVerification(of: image, options)
    let unread = try image.unreadTable()
    subjects = [
      Subject(
        kind: .image, entries: verification.entries, diagnostics: (unread.map { [$0] } ?? []) + verification.diagnostics
      )
    ]
  }

  /// Verifies each object in an archive; other members are left out. Where nothing in a member's bytes looks like a static call, nothing else of it is read.
  ///
  /// `others` are files that are verified by themselves: a thin archive may name them, and each is looked at once.
  init(_ archive: borrowing Archive, at path: FilePath, besides others: Set<FileIdentity>, _ options: Options) {
    let texts = options.textsOfStaticCalls
    for (name, member) in archive.namedMembers {
      let file = archive.isThin ? FileIdentity(of: archive.file(of: member, path)) : nil
      if let file, others.contains(file) { continue }
      do {
        switch try archive.kind(of: member, at: path) {
        case .object where !archive.isThin && !archive.holds(anyOf: texts, in: member):
          subjects.append(Subject(member: name, kind: .object))
        case .object:
          subjects += try archive.withObject(member, at: path) { object in
            try Verification(object, member: name, options).subjects.map { $0.with(file) }
          }
        case .bitcode: subjects.append(.bitcode(name).with(file))
        case .image, .archive, .otherElf, .other: skippedMembers += 1
        }
      } catch {
        subjects.append(Subject(member: name, file: file, kind: .object, refusal: Refusal(any: error)))
      }
    }
  }
}

extension Verification.Subject {
  /// Bitcode among other files: not a failure, and no assurance either.
  static func bitcode(_ member: MemberName?) -> Self {
    let warning = Diagnostic(
      .noMachineCode, .warning, "LLVM bitcode, in which there is nothing to verify yet", help: Code.noMachineCode.help)
    return Self(member: member, kind: .bitcode, diagnostics: [warning])
  }

  fileprivate func with(_ file: FileIdentity?) -> Self {
    var subject = self
    subject.file = file
    return subject
  }
}

/// Verifies the file at `path`, whatever it is, but for members of a thin archive that are among `others`.
func verify(_ path: FilePath, besides others: Set<FileIdentity>, _ options: Options) throws -> Verification {
  try InputFile.reading(path) { input in
    switch try FileKind(of: input) {
    case .image: try Verification(LinkedImage(reading: input), options)
    case .archive: Verification(try Archive(reading: input), at: path, besides: others, options)
    case .object, .bitcode, .otherElf, .other: try Verification(ObjectFile(reading: input), options)
    }
  }
}
