public import StaticCalls

extension Diagnostic {
  /// The diagnostic as compilers write theirs: the object, the severity, the place, the message and the code, with the help
  /// indented below. Ends in a newline.
  public func text(for path: String, inColor isColored: Bool = false) -> String {
    let place = place.map { "\($0): " } ?? ""
    let label = severity.label(inColor: isColored)
    var text = "\(printable(path)): \(label): \(printable(place + message)) [\(code.rawValue)]\n"
    for line in help { text += "  \(line)\n" }
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

/// Text without control characters: a name must not make a line of its own, nor speak to the terminal or to a CI system.
func printable(_ text: String) -> String {
  let text = text.utf8.count > longestText ? shortened(text) : text
  guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return text }
  return text.unicodeScalars.map { scalar in
    scalar.properties.generalCategory == .control ? scalar.escaped(asASCII: true) : String(scalar)
  }.joined()
}

/// Longer than this, in bytes, nobody reads a name or a message. Real names, those of C++ templates included, are shorter.
private let longestText = 8192

/// The start and the end of a text, with a note of what is missing.
private func shortened(_ text: String) -> String {
  let scalars = text.unicodeScalars
  let (start, end) = (String(scalars.prefix(longestText / 4)), String(scalars.suffix(longestText / 8)))
  return "\(start)...(\(text.utf8.count - start.utf8.count - end.utf8.count) bytes)...\(end)"
}
