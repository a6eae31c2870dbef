import StaticCalls

extension VerificationReport {
  /// The report as workflow commands of GitHub Actions, which become annotations of the files; a line each.
  public func github() -> String {
    subjects.flatMap { subject in
      subject.diagnostics.map { diagnostic in
        let place = diagnostic.place.map { "\($0): " } ?? ""
        let member = subject.member.map { "\($0.text): " } ?? ""
        let message = ([member + place + diagnostic.message] + diagnostic.help).joined(separator: "\n")
        let kind = diagnostic.severity == .note ? "notice" : diagnostic.severity.rawValue
        let properties =
          "file=\(property(subject.path.text)),title=\(property("\(diagnostic.code.rawValue) \(diagnostic.code.title)"))"
        return "::\(kind) \(properties)::\(data(message))\n"
      }
    }.joined()
  }

  /// The message of a command.
  private func data(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      switch scalar {
      case "%": "%25"
      case "\r": "%0D"
      case "\n": "%0A"
      case "\t": "\t"
      default: printable(String(scalar))
      }
    }.joined()
  }

  private func property(_ text: String) -> String {
    data(text).unicodeScalars.map { scalar in
      switch scalar {
      case ":": "%3A"
      case ",": "%2C"
      default: String(scalar)
      }
    }.joined()
  }
}
