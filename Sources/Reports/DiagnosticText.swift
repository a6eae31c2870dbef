public import StaticCalls

extension Diagnostic {
  /// The diagnostic as compilers write theirs: the object, the severity, the place, the message and the code, with the help
  /// indented below. Ends in a newline.
  public func text(for path: String, inColor isColored: Bool = false) -> String {
    let place = place.map { "\($0): " } ?? ""
    let label = severity.label(inColor: isColored)
    var text = "\(printable(path)): \(label): \(printable(place))\(printable(message)) [\(code.rawValue)]\n"
    for line in help { text += "  \(printable(line))\n" }
    return text
  }
}

extension Severity {
  fileprivate func label(inColor isColored: Bool) -> String {
    guard isColored else { return rawValue }
    let color =
      switch self {
      case .error: "\u{1b}[1;31m"
      case .warning: "\u{1b}[1;35m"
      case .note: "\u{1b}[1;36m"
      }
    return "\(color)\(rawValue)\u{1b}[0m"
  }
}

extension Code {
  /// The code's page: number and title, the explanation, what to do, and the words. Ends in a newline.
  public var page: String {
    let help = help.isEmpty ? "" : "\nWhat to do:\n" + help.map { "  \($0)\n" }.joined()
    return "\(rawValue)  \(title)\n\n\(explanation)\n\(help)\n\(Self.words)\n"
  }

  /// What a reader needs to know of static calls, whatever the code.
  private static let words = """
    A static call is a call of a trampoline (__SCT__name), a small function that jumps to the target that the key (__SCK__name)
    holds. The table (.static_call_sites) has an entry for each place of such a call, its site, so that a runtime can patch the
    call: aim it at the target itself. A call that is not patched reaches the target all the same, through the trampoline.
    """

  /// All codes with their titles, a line each.
  public static var index: String { allCases.map { "\($0.rawValue)  \($0.title)\n" }.joined() }
}
