import StaticCalls
import SystemPackage

/// A diagnostic in a JSON document. All documents have it in the same form.
struct FindingJSON: Encodable {
  let code: String
  let severity: String
  let title: String
  let message: String
  let help: [String]
  let place: String?
  let section: String?
  let offset: Int?
  let function: String?
  /// The function's name as its language writes it, where that is another.
  let functionName: String?
  let functionOffset: Int?
  let address: UInt64?

  init(_ diagnostic: Diagnostic) {
    let location = diagnostic.location
    code = diagnostic.code.rawValue
    severity = diagnostic.severity.rawValue
    title = diagnostic.code.title
    message = diagnostic.message
    help = diagnostic.help
    place = diagnostic.place
    section = location?.section
    offset = location?.offset
    function = location?.function
    functionName = location?.functionDisplayName == location?.function ? nil : location?.functionDisplayName
    functionOffset = location?.functionOffset
    address = location?.address
  }
}

/// A file, or a member of an archive, that could not be read, in a JSON document.
struct FailureJSON: Encodable {
  let path: String
  /// Absent where `path` is the file's name; else that has bytes that are no UTF-8, and these are all of them.
  let pathBytes: String?
  let member: String?
  let memberIndex: Int?
  let findings: [FindingJSON]

  init(_ path: FilePath, _ member: MemberName?, _ refusal: Refusal) {
    self.path = path.string
    pathBytes = path.hexadecimal
    self.member = member?.name
    memberIndex = member?.index
    findings = refusal.diagnostics.map(FindingJSON.init)
  }
}
