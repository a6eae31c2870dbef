import FoundationEssentials
import StaticCalls

/// The JSON document of `staticcall verify --format json`; Schemas/verify.schema.json describes it. Its fields are stable: a change
/// that breaks a reader raises `version`.
private struct VerificationDocument: Encodable {
  let schema = "staticcall-verify"
  let version = 1
  let summary: Summary
  let subjects: [Subject]

  struct Summary: Encodable {
    let objects: Int
    let images: Int
    let entries: Int
    let errors: Int
    let warnings: Int
    let unchecked: Int
    let skippedFiles: Int
    /// Whether the run failed: errors, or warnings under --strict, or something that could not be checked.
    let failed: Bool
  }

  struct Subject: Encodable {
    let path: String
    let member: String?
    let kind: String?
    let checked: Bool
    let entries: Int
    let findings: [Finding]
  }

  struct Finding: Encodable {
    let code: String
    let severity: String
    let title: String
    let message: String
    let help: [String]
    let place: String?
    let section: String?
    let offset: Int?
    let function: String?
    let functionOffset: Int?
    let address: UInt64?

    init(_ diagnostic: Diagnostic) {
      code = diagnostic.code.rawValue
      severity = diagnostic.severity.rawValue
      title = diagnostic.code.title
      message = diagnostic.message
      help = diagnostic.help
      place = diagnostic.place
      section = diagnostic.location?.section
      offset = diagnostic.location?.offset
      function = diagnostic.location?.function
      functionOffset = diagnostic.location?.functionOffset
      address = diagnostic.location?.address
    }
  }
}

extension VerificationReport {
  /// The report as a JSON document, UTF-8, with sorted keys. Ends in a newline.
  public func json() throws -> String {
    let totals = totals
    let summary = VerificationDocument.Summary(
      objects: totals.objects, images: totals.images, entries: totals.entries, errors: totals.errors,
      warnings: totals.warnings, unchecked: totals.unchecked, skippedFiles: skipped,
      failed: hasFindings || totals.unchecked > 0)
    let subjects = subjects.map { subject in
      VerificationDocument.Subject(
        path: subject.path, member: subject.member, kind: subject.kind?.rawValue, checked: !subject.isUnchecked,
        entries: subject.entries, findings: subject.diagnostics.map(VerificationDocument.Finding.init))
    }
    return try jsonText(of: VerificationDocument(summary: summary, subjects: subjects))
  }
}

/// A JSON document as people and programs read it: indented, keys sorted, a newline at the end.
func jsonText(of document: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
}
