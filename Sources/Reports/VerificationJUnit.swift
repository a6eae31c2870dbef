import StaticCalls

extension VerificationReport {
  /// The report as JUnit XML: a test case for each object, which fails with its errors (and with its warnings under --strict); what
  /// could not be checked is an `error`. Ends in a newline.
  public func junit() -> String {
    let (subjects, totals) = (subjects, totals)
    let failed = subjects.count { !$0.isUnchecked && !failures(of: $0).isEmpty }
    let numbers = "tests=\"\(subjects.count)\" failures=\"\(failed)\" errors=\"\(totals.unchecked)\""
    var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    text += "<testsuites name=\"staticcall verify\" \(numbers)>\n"
    text += "  <testsuite name=\"staticcall verify\" \(numbers) skipped=\"0\">\n"
    for subject in subjects { text += testCase(subject) }
    return text + "  </testsuite>\n</testsuites>\n"
  }

  private func failures(of subject: Subject) -> [Diagnostic] {
    subject.diagnostics.filter { isStrict || $0.severity == .error }
  }

  private func testCase(_ subject: Subject) -> String {
    let start =
      "    <testcase classname=\"\(escaped(subject.kind?.rawValue ?? "file"))\" name=\"\(attribute(subject.name))\""
    guard !subject.diagnostics.isEmpty else { return start + "/>\n" }
    var text = start + ">\n"
    let failing = subject.isUnchecked ? subject.diagnostics : failures(of: subject)
    if let first = failing.first {
      let element = subject.isUnchecked ? "error" : "failure"
      let message = failing.count == 1 ? first.message : "\(first.message), and \(failing.count - 1) more"
      text += "      <\(element) type=\"\(first.code.rawValue)\" message=\"\(attribute(message))\">"
      text += escaped(failing.map { $0.text(for: subject.name) }.joined()) + "</\(element)>\n"
    }
    let others = subject.diagnostics.filter { !failing.contains($0) }
    if !others.isEmpty {
      text += "      <system-out>\(escaped(others.map { $0.text(for: subject.name) }.joined()))</system-out>\n"
    }
    return text + "    </testcase>\n"
  }

  /// Text for an attribute, where white space would become a space.
  private func attribute(_ text: String) -> String {
    escaped(text).replacing("\n", with: "&#10;").replacing("\t", with: "&#9;")
  }

  /// Text for XML 1.0, in which control characters cannot be written at all: they are escaped as in texts.
  private func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\r": result += "&#13;"
      case "\n", "\t": result.unicodeScalars.append(scalar)
      case _ where scalar.value < 0x20 || scalar.value == 0xfffe || scalar.value == 0xffff:
        result += scalar.escaped(asASCII: true)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
