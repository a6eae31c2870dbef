public import StaticCalls

extension Diagnostic {
  /// The diagnostic as compilers write theirs: the object, the severity, the place, the message and the code, with the help
  /// indented below. Ends in a newline.
  public func text(for path: String, inColor isColored: Bool = false) -> String {
    let place = place.map { "\($0): " } ?? ""
    let label = severity.label(inColor: isColored)
    var text = "\(printable(path)): \(label): \(printable(place + message)) [\(code.rawValue)]\n"
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
  /// The code's page: number and title, then the explanation. Ends in a newline.
  public var page: String { "\(rawValue)  \(title)\n\n\(explanation)\n" }

  /// All codes with their titles, a line each.
  public static var index: String { allCases.map { "\($0.rawValue)  \($0.title)\n" }.joined() }
}
