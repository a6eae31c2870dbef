import ObjectFile
import StaticCalls
import SystemPackage

/// A SARIF 2.1.0 log, as far as it is used here (OASIS, "Static Analysis Results Interchange Format"); names are the standard's.
private struct SARIFLog: Encodable {
  let schema = "https://json.schemastore.org/sarif-2.1.0.json"
  let version = "2.1.0"
  let runs: [Run]

  enum CodingKeys: String, CodingKey {
    case schema = "$schema"
    case version, runs
  }

  struct Run: Encodable {
    let tool: Tool
    let invocations: [Invocation]
    let results: [Result]
    /// What the addresses of results refer to; absent where there is none.
    let addresses: [Address]?
    let columnKind = "utf16CodeUnits"
  }

  struct Tool: Encodable {
    let driver: Driver
  }

  struct Driver: Encodable {
    let name = "staticcall"
    let version: String
    let rules: [Rule]
    /// What a notification's descriptor may be.
    let notifications: [Rule]
  }

  struct Rule: Encodable {
    let id: String
    let shortDescription: Message
    let fullDescription: Message
    let help: Message
  }

  struct Message: Encodable {
    let text: String
  }

  struct Invocation: Encodable {
    let executionSuccessful: Bool
    let exitCode: Int
    let toolExecutionNotifications: [Notification]
  }

  struct Notification: Encodable {
    let level: String
    let message: Message
    let descriptor: Descriptor
    let locations: [Location]
  }

  struct Descriptor: Encodable {
    let id: String
    let index: Int
  }

  struct Result: Encodable {
    let ruleId: String
    let ruleIndex: Int
    let level: String
    let message: Message
    let locations: [Location]
  }

  struct Location: Encodable {
    let physicalLocation: PhysicalLocation
    let logicalLocations: [LogicalLocation]?
  }

  struct PhysicalLocation: Encodable {
    let artifactLocation: ArtifactLocation
    let address: Address?
  }

  struct ArtifactLocation: Encodable {
    let uri: String
    let uriBaseId: String?
  }

  /// Where in memory, or in the section, which is the parent then; SARIF has lines and columns for texts only.
  struct Address: Encodable, Hashable {
    var absoluteAddress: UInt64?
    var relativeAddress: Int?
    var offsetFromParent: Int?
    let kind: String
    var name: String?
    let fullyQualifiedName: String?
    /// The place in `addresses` where the same is.
    var index: Int?
    var parentIndex: Int?
  }

  struct LogicalLocation: Encodable {
    let fullyQualifiedName: String
    /// The symbol's name, where `fullyQualifiedName` is what its language makes of it.
    let decoratedName: String?
    let kind: String
  }

  /// Addresses that several results may share.
  struct AddressTable {
    private(set) var addresses: [Address] = []
    private var indexes: [Address: Int] = [:]

    /// The place of an address in the table.
    mutating func index(of address: Address) -> Int {
      if let known = indexes[address] { return known }
      let index = addresses.count
      indexes[address] = index
      addresses.append(address)
      addresses[index].index = index
      return index
    }
  }
}

extension VerificationReport {
  /// The report as a SARIF 2.1.0 log. `version` is the tool's. Ends in a newline.
  public func sarif(version: String) throws -> String {
    var addresses = SARIFLog.AddressTable()
    let found = subjects.filter { !$0.isUnchecked }
    let (codes, reasons) = (codes(of: found), codes(of: subjects.filter(\.isUnchecked)))
    var results: [SARIFLog.Result] = []
    for subject in found {
      for diagnostic in subject.diagnostics {
        results.append(
          SARIFLog.Result(
            ruleId: diagnostic.code.rawValue, ruleIndex: codes.firstIndex(of: diagnostic.code) ?? 0,
            level: diagnostic.severity.rawValue, message: message(diagnostic),
            locations: [location(diagnostic, subject, &addresses)]))
      }
    }
    var notifications: [SARIFLog.Notification] = []
    for subject in subjects where subject.isUnchecked {
      for diagnostic in subject.diagnostics {
        let descriptor = SARIFLog.Descriptor(
          id: diagnostic.code.rawValue, index: reasons.firstIndex(of: diagnostic.code) ?? 0)
        notifications.append(
          SARIFLog.Notification(
            level: diagnostic.severity.rawValue, message: message(diagnostic), descriptor: descriptor,
            locations: [location(diagnostic, subject, &addresses)]))
      }
    }
    let invocation = SARIFLog.Invocation(
      executionSuccessful: notifications.isEmpty, exitCode: exitCode, toolExecutionNotifications: notifications)
    let driver = SARIFLog.Driver(version: version, rules: codes.map(rule), notifications: reasons.map(rule))
    let run = SARIFLog.Run(
      tool: SARIFLog.Tool(driver: driver), invocations: [invocation], results: results,
      addresses: addresses.addresses.isEmpty ? nil : addresses.addresses)
    return try jsonText(of: SARIFLog(runs: [run]))
  }

  private func codes(of subjects: [Subject]) -> [Code] {
    Set(subjects.flatMap(\.diagnostics).map(\.code)).sorted { $0.rawValue < $1.rawValue }
  }

  private func rule(_ code: Code) -> SARIFLog.Rule {
    SARIFLog.Rule(
      id: code.rawValue, shortDescription: SARIFLog.Message(text: code.title),
      fullDescription: SARIFLog.Message(text: code.explanation),
      help: SARIFLog.Message(text: code.help.isEmpty ? code.explanation : code.help.joined(separator: "\n")))
  }

  private func message(_ diagnostic: Diagnostic) -> SARIFLog.Message {
    let place = diagnostic.place.map { "\($0): " } ?? ""
    return SARIFLog.Message(text: plain(([place + diagnostic.message] + diagnostic.help).joined(separator: "\n")))
  }

  /// Text without links and placeholders, which brackets and braces make in a message (SARIF 2.1.0, section 3.11).
  private func plain(_ text: String) -> String {
    text.map { character in
      switch character {
      case "[", "]", "\\": "\\\(character)"
      case "{", "}": "\(character)\(character)"
      default: String(character)
      }
    }.joined()
  }

  private func location(
    _ diagnostic: Diagnostic, _ subject: Subject, _ addresses: inout SARIFLog.AddressTable
  ) -> SARIFLog.Location {
    let names = [
      subject.member.map {
        SARIFLog.LogicalLocation(fullyQualifiedName: $0.text, decoratedName: nil, kind: "module")
      },
      diagnostic.location.flatMap { location in
        location.function.map { function in
          let name = location.functionDisplayName ?? function
          return SARIFLog.LogicalLocation(
            fullyQualifiedName: name, decoratedName: name == function ? nil : function, kind: "function")
        }
      },
    ].compactMap(\.self)
    return SARIFLog.Location(
      physicalLocation: SARIFLog.PhysicalLocation(
        artifactLocation: artifact(subject.path),
        address: diagnostic.location.flatMap { address($0, subject, &addresses) }),
      logicalLocations: names.isEmpty ? nil : names)
  }

  private func address(
    _ location: DiagnosticLocation, _ subject: Subject, _ addresses: inout SARIFLog.AddressTable
  ) -> SARIFLog.Address? {
    let name = location.section.map { "\($0)+0x\(String(location.offset ?? 0, radix: 16))" }
    if let absolute = location.address {
      // A name holds what is lost of a kernel's addresses where numbers have 53 bits.
      var address = SARIFLog.Address(
        absoluteAddress: absolute, kind: "instruction", name: "0x\(String(absolute, radix: 16))",
        fullyQualifiedName: name)
      address.index = addresses.index(of: address)
      return address
    }
    guard let section = location.section, let offset = location.offset else { return nil }
    let parent = addresses.index(
      of: SARIFLog.Address(kind: "section", name: section, fullyQualifiedName: "\(subject.name):\(section)"))
    return SARIFLog.Address(
      relativeAddress: offset, offsetFromParent: offset, kind: "instruction", fullyQualifiedName: name,
      parentIndex: parent)
  }

  /// A path as SARIF wants it: relative to the folder where the tool ran, or absolute; percent-encoded (RFC 3986), and without `..`,
  /// which means another file where a folder is a link.
  private func artifact(_ path: FilePath) -> SARIFLog.ArtifactLocation {
    let climbs = path.components.contains { $0.kind == .parentDirectory }
    let path = climbs ? path.resolved ?? path : path
    guard !path.isAbsolute else {
      return SARIFLog.ArtifactLocation(uri: "file://\(percentEncoded(path.bytes))", uriBaseId: nil)
    }
    let segments = FilePath(root: nil, path.components.filter { $0.kind != .currentDirectory })
    return SARIFLog.ArtifactLocation(
      uri: segments.isEmpty ? "." : percentEncoded(segments.bytes), uriBaseId: "%SRCROOT%")
  }

  /// Every byte but letters, digits and what needs no encoding in a path.
  private func percentEncoded(_ path: [UInt8]) -> String {
    let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/".utf8)
    var uri = ""
    for byte in path {
      if unreserved.contains(byte) {
        uri.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        uri += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return uri
  }
}
