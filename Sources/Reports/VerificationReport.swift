public import StaticCalls

/// What verification found in all files of a run; each format makes its text of it.
public struct VerificationReport: Sendable {
  /// The files that were looked at, in order.
  private var files: [(path: String, result: Result<Verification, Refusal>)] = []
  /// How many files in directories are nothing that staticcall handles.
  public private(set) var skipped = 0
  /// Whether warnings make the run fail.
  public let isStrict: Bool

  public init(isStrict: Bool) { self.isStrict = isStrict }

  /// Adds a file's result; `nil` for one that is nothing that staticcall handles.
  public mutating func add(_ path: String, _ result: Result<Verification?, Refusal>) {
    switch result {
    case .success(nil): skipped += 1
    case .success(let verification?): files.append((path, .success(verification)))
    case .failure(let refusal): files.append((path, .failure(refusal)))
    }
  }

  /// One object, linked image, or file that could not be read, by the name that people know it by: `libx.a(net.o)` in an archive.
  struct Subject {
    var path: String
    var member: String?
    var kind: Verification.Kind?
    var entries: Int
    var diagnostics: [Diagnostic]
    /// Whether the diagnostics say why it could not be checked.
    var isUnchecked: Bool

    /// Which of the archive's members of this name it is, counted from 1.
    var ordinal = 1

    var name: String {
      guard let member else { return path }
      return "\(path)(\(member))" + (ordinal > 1 ? "[\(ordinal)]" : "")
    }
  }

  var subjects: [Subject] {
    files.flatMap { file -> [Subject] in
      switch file.result {
      case .success(let verification):
        var seen: [String: Int] = [:]
        return verification.subjects.map { subject in
          seen[subject.member ?? "", default: 0] += 1
          return Subject(
            path: file.path, member: subject.member, kind: subject.kind, entries: subject.entries,
            diagnostics: subject.refusal?.diagnostics ?? subject.diagnostics, isUnchecked: subject.refusal != nil,
            ordinal: seen[subject.member ?? "", default: 1])
        }
      case .failure(let refusal):
        return [
          Subject(
            path: file.path, member: nil, kind: nil, entries: 0, diagnostics: refusal.diagnostics, isUnchecked: true)
        ]
      }
    }
  }

  /// The numbers of a run.
  public struct Totals: Equatable, Sendable {
    public var objects = 0
    public var images = 0
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
      case .bitcode, nil: break
      }
      let errors = subject.diagnostics.count { $0.severity == .error }
      totals.entries += subject.entries
      totals.errors += errors
      totals.warnings += subject.diagnostics.count - errors
      totals.faulty += subject.diagnostics.isEmpty ? 0 : 1
    }
    return totals
  }

  /// Whether something was found that makes the run fail.
  public var hasFindings: Bool { totals.errors > 0 || isStrict && totals.warnings > 0 }

  // MARK: Text

  /// All findings, a diagnostic each, and a summary line where something was found, or where it is asked for. Ends in a newline.
  /// What could not be checked is not in it: see ``complaints``.
  public func text(alwaysWithSummary: Bool) -> String {
    var text = ""
    for subject in subjects where !subject.isUnchecked {
      for diagnostic in subject.diagnostics { text += diagnostic.text(for: subject.name) }
    }
    let codes = Set(subjects.filter { !$0.isUnchecked }.flatMap(\.diagnostics).map(\.code.rawValue)).sorted()
    if !codes.isEmpty { text += "To read on: \(codes.map { "staticcall explain \($0)" }.joined(separator: ", "))\n" }
    let totals = totals
    if alwaysWithSummary || totals.errors + totals.warnings > 0 { text += "\(summary(totals))\n" }
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
    if skipped > 0 { found += "; \(count(skipped, "other file")) skipped" }
    var checked = [count(totals.objects, "object")]
    if totals.images > 0 { checked = (totals.objects > 0 ? checked : []) + [count(totals.images, "linked image")] }
    return checked.joined(separator: ", ")
      + ", \(count(totals.entries, "table entry", plural: "table entries")): \(found)"
  }
}
