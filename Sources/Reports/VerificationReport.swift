import ObjectFile
public import StaticCalls
public import SystemPackage

/// What verification found in all files of a run; each format makes its text of it.
public struct VerificationReport: Sendable {
  /// The files that were looked at, in order.
  private var files: [(path: FilePath, result: Result<Verification, Refusal>)] = []
  /// How many files in directories are nothing that staticcall handles.
  public private(set) var skippedFiles = 0
  /// The same for members of archives.
  public private(set) var skippedMembers = 0
  /// Files that thin archives name and that were reported.
  private var seen: Set<FileIdentity> = []
  /// Whether warnings make the run fail.
  public let isStrict: Bool

  public init(isStrict: Bool) { self.isStrict = isStrict }

  /// Adds a file's result; `nil` for one that is nothing that staticcall handles.
  public mutating func add(_ path: FilePath, _ result: Result<Verification?, Refusal>) {
    switch result {
    case .success(nil): skippedFiles += 1
    case .success(var verification?):
      // Archives may name the same object.
      verification.subjects.removeAll { subject in subject.file.map { !seen.insert($0).inserted } ?? false }
      skippedMembers += verification.skippedMembers
      files.append((path, .success(verification)))
    case .failure(let refusal): files.append((path, .failure(refusal)))
    }
  }

  /// One object, linked image, or file that could not be read, by the name that people know it by: `libx.a(net.o)` in an archive.
  struct Subject {
    var path: FilePath
    var member: MemberName?
    var kind: Verification.Kind?
    var entries: Int
    var diagnostics: [Diagnostic]
    /// Whether the diagnostics say why it could not be checked.
    var isUnchecked: Bool

    var name: String { displayName(of: path, member) }
  }

  var subjects: [Subject] { files.flatMap(subjects) }

  private func subjects(of file: (path: FilePath, result: Result<Verification, Refusal>)) -> [Subject] {
    switch file.result {
    case .success(let verification):
      verification.subjects.map { subject in
        Subject(
          path: file.path, member: subject.member, kind: subject.kind, entries: subject.entries,
          diagnostics: subject.refusal?.diagnostics ?? subject.diagnostics, isUnchecked: subject.refusal != nil)
      }
    case .failure(let refusal):
      [
        Subject(
          path: file.path, member: nil, kind: nil, entries: 0, diagnostics: refusal.diagnostics, isUnchecked: true)
      ]
    }
  }

  /// The numbers of a run.
  public struct Totals: Equatable, Sendable {
    public var objects = 0
    public var images = 0
    public var bitcode = 0
    public var entries = 0
    public var errors = 0
    public var warnings = 0
    /// Objects and images with an error or a warning.
    public var faulty = 0
    /// What could not be checked.
    public var unchecked = 0
  }

  public var totals: Totals {
    var totals = Totals()
    for subject in subjects {
      if subject.isUnchecked {
        totals.unchecked += 1
        continue
      }
      switch subject.kind {
      case .object: totals.objects += 1
      case .image: totals.images += 1
      case .bitcode: totals.bitcode += 1
      case nil: break
      }
      let errors = subject.diagnostics.count { $0.severity == .error }
      totals.entries += subject.entries
      totals.errors += errors
      totals.warnings += subject.diagnostics.count - errors
      totals.faulty += subject.diagnostics.isEmpty ? 0 : 1
    }
    return totals
  }

  /// Whether there was nothing that could be looked at.
  public var isEmpty: Bool { files.isEmpty }

  /// Whether something was found that makes the run fail.
  var hasFindings: Bool { totals.errors > 0 || isStrict && totals.warnings > 0 }

  /// As the process ends: 2 where something could not be checked, 1 where something was found, else 0.
  public var exitCode: Int { totals.unchecked > 0 ? 2 : hasFindings ? 1 : 0 }

  // MARK: Text

  /// All findings, a diagnostic each, and a summary line where something was found, or where it is asked for. Ends in a newline.
  /// What could not be checked is not in it: see ``complaints``. `isQuiet` leaves out warnings that do not make the run fail.
  public func text(alwaysWithSummary: Bool, isQuiet: Bool = false) -> String {
    var text = ""
    var codes: Set<String> = []
    let leavesWarningsOut = isQuiet && !isStrict
    var bitcode = subjects.filter { $0.kind == .bitcode && !$0.isUnchecked }.map(\.name)
    for file in files {
      var limit = WarningLimit()
      for subject in subjects(of: file) where !subject.isUnchecked {
        var name = subject.name
        if subject.kind == .bitcode {
          // All of it has the same: one line, with the first name.
          if bitcode.isEmpty { continue }
          if bitcode.count > 1 { name += " and \(count(bitcode.count - 1, "other"))" }
          bitcode = []
        }
        for diagnostic in subject.diagnostics where diagnostic.severity == .error || !leavesWarningsOut {
          codes.insert(diagnostic.code.rawValue)
          if limit.admits(diagnostic) { text += diagnostic.text(for: name) }
        }
      }
      for diagnostic in limit.rest { text += diagnostic.text(for: file.path.text) }
    }
    let pages = codes.sorted().map { "staticcall explain \($0)" }
    if !pages.isEmpty { text += "To read on: \(pages.joined(separator: ", "))\n" }
    if alwaysWithSummary || !pages.isEmpty { text += "\(summary(totals))\n" }
    return text
  }

  /// Why files could not be checked: the file's name, and the diagnostic.
  public var complaints: [(name: String, diagnostic: Diagnostic)] {
    subjects.filter(\.isUnchecked).flatMap { subject in subject.diagnostics.map { (subject.name, $0) } }
  }

  private func summary(_ totals: Totals) -> String {
    var found =
      totals.errors + totals.warnings > 0
      ? "\(count(totals.errors, "error")) and \(count(totals.warnings, "warning")) in \(count(totals.faulty, "object"))"
      : totals.unchecked == 0 ? "all is well" : "nothing found"
    if isStrict, totals.errors == 0, totals.warnings > 0 { found += "; with --strict, warnings fail the run" }
    if totals.unchecked > 0 { found += "; \(count(totals.unchecked, "object")) could not be checked" }
    let skipped = [(skippedFiles, "other file"), (skippedMembers, "other member")].filter { $0.0 > 0 }
    if !skipped.isEmpty { found += "; \(skipped.map { count($0.0, $0.1) }.joined(separator: " and ")) skipped" }
    let kinds = [(totals.objects, "object"), (totals.images, "linked image"), (totals.bitcode, "bitcode file")]
    var checked = kinds.filter { $0.0 > 0 }.map { count($0.0, $0.1) }
    if checked.isEmpty { checked = [count(0, "object")] }
    return checked.joined(separator: ", ")
      + ", \(count(totals.entries, "table entry", plural: "table entries")): \(found)"
  }
}

/// A file's name for people, or that of a member: `libx.a(net.o)`.
public func displayName(of path: FilePath, _ member: MemberName?) -> String {
  path.text + (member.map { "(\($0.name))" + $0.suffix } ?? "")
}

extension MemberName {
  /// `net.o`, or `net.o[2]` for the second of this name.
  var text: String { name + suffix }

  fileprivate var suffix: String { ordinal > 1 ? "[\(ordinal)]" : "" }
}
