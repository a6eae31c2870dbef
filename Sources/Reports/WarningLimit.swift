public import StaticCalls

/// Counts the warnings of a file, an archive with all its members, so that of one kind no more are told than anybody reads.
public struct WarningLimit {
  private var numbers: [Code: Int] = [:]
  private var surplus: [Code: Int] = [:]

  public init() {}

  /// Whether a diagnostic is to be told; else it is counted. Errors always are.
  public mutating func admits(_ diagnostic: Diagnostic) -> Bool {
    guard diagnostic.severity == .warning else { return true }
    numbers[diagnostic.code, default: 0] += diagnostic.findings
    if diagnostic.findings == 1, numbers[diagnostic.code, default: 0] <= Diagnostic.mostOfAKind { return true }
    surplus[diagnostic.code, default: 0] += diagnostic.findings
    return false
  }

  /// What stands for the warnings that were only counted.
  public var rest: [Diagnostic] {
    surplus.sorted { $0.key.rawValue < $1.key.rawValue }.map { Diagnostic($0.key, .warning, moreOfThisKind: $0.value) }
  }
}
