import FoundationEssentials
import StaticCalls
import SystemPackage

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
    let bitcode: Int
    let entries: Int
    let errors: Int
    let warnings: Int
    let unchecked: Int
    let skippedFiles: Int
    let skippedMembers: Int
    /// Whether the run failed: errors, or warnings under --strict, or something that could not be checked.
    let failed: Bool
  }

  struct Subject: Encodable {
    let path: String
    /// Absent where `path` is the file's name; else that has bytes that are no UTF-8, and these are all of them.
    let pathBytes: String?
    let member: String?
    let memberIndex: Int?
    let kind: String?
    let checked: Bool
    let entries: Int
    let findings: [FindingJSON]
  }
}

extension VerificationReport {
  /// The report as a JSON document, UTF-8, with sorted keys. Ends in a newline.
  public func json() throws -> String {
    let totals = totals
    let summary = VerificationDocument.Summary(
      objects: totals.objects, images: totals.images, bitcode: totals.bitcode, entries: totals.entries,
      errors: totals.errors, warnings: totals.warnings, unchecked: totals.unchecked, skippedFiles: skippedFiles,
      skippedMembers: skippedMembers, failed: exitCode != 0)
    let subjects = subjects.map { subject in
      VerificationDocument.Subject(
        path: subject.path.string, pathBytes: subject.path.hexadecimal, member: subject.member?.name,
        memberIndex: subject.member?.index, kind: subject.kind?.rawValue, checked: !subject.isUnchecked,
        entries: subject.entries, findings: subject.diagnostics.map(FindingJSON.init))
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
