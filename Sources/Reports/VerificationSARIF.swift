import StaticCalls

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
    let columnKind = "utf16CodeUnits"
  }

  struct Tool: Encodable {
    let driver: Driver
  }

  struct Driver: Encodable {
    let name = "staticcall"
    let version: String
    let rules: [Rule]
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
  }

  /// Where in the section, or in memory; SARIF has lines and columns for texts only.
  struct Address: Encodable {
    let absoluteAddress: UInt64?
    let relativeAddress: Int?
    let fullyQualifiedName: String?
  }

  struct LogicalLocation: Encodable {
    let fullyQualifiedName: String
    let kind: String
  }
}

extension VerificationReport {
  /// The report as a SARIF 2.1.0 log. `version` is the tool's. Ends in a newline.
  public func sarif(version: String) throws -> String {
    let found = subjects.filter { !$0.isUnchecked }
    let codes = Set(found.flatMap(\.diagnostics).map(\.code)).sorted { $0.rawValue < $1.rawValue }
    let rules = codes.map { code in
      SARIFLog.Rule(
        id: code.rawValue, shortDescription: SARIFLog.Message(text: code.title),
        fullDescription: SARIFLog.Message(text: code.explanation),
        help: SARIFLog.Message(text: code.help.isEmpty ? code.explanation : code.help.joined(separator: "\n")))
    }
    let results = found.flatMap { subject in
      subject.diagnostics.map { diagnostic in
        SARIFLog.Result(
          ruleId: diagnostic.code.rawValue, ruleIndex: codes.firstIndex(of: diagnostic.code) ?? 0,
          level: diagnostic.severity.rawValue, message: message(diagnostic), locations: [location(diagnostic, subject)])
      }
    }
    let notifications = subjects.filter(\.isUnchecked).flatMap { subject in
      subject.diagnostics.map { diagnostic in
        SARIFLog.Notification(
          level: diagnostic.severity.rawValue, message: message(diagnostic),
          descriptor: SARIFLog.Descriptor(id: diagnostic.code.rawValue), locations: [location(diagnostic, subject)])
      }
    }
    let invocation = SARIFLog.Invocation(
      executionSuccessful: notifications.isEmpty, toolExecutionNotifications: notifications)
    let run = SARIFLog.Run(
      tool: SARIFLog.Tool(driver: SARIFLog.Driver(version: version, rules: rules)), invocations: [invocation],
      results: results)
    return try jsonText(of: SARIFLog(runs: [run]))
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

  private func location(_ diagnostic: Diagnostic, _ subject: Subject) -> SARIFLog.Location {
    let address = diagnostic.location.flatMap { location in
      location.address == nil && location.offset == nil
        ? nil
        : SARIFLog.Address(
          absoluteAddress: location.address, relativeAddress: location.address == nil ? location.offset : nil,
          fullyQualifiedName: location.section.map { "\($0)+0x\(String(location.offset ?? 0, radix: 16))" })
    }
    let names = [
      subject.member.map { SARIFLog.LogicalLocation(fullyQualifiedName: $0, kind: "module") },
      diagnostic.location?.function.map { SARIFLog.LogicalLocation(fullyQualifiedName: $0, kind: "function") },
    ].compactMap(\.self)
    return SARIFLog.Location(
      physicalLocation: SARIFLog.PhysicalLocation(
        artifactLocation: SARIFLog.ArtifactLocation(uri: uri(of: subject.path)), address: address),
      logicalLocations: names.isEmpty ? nil : names)
  }

  /// A path as a URI reference (RFC 3986): relative where the path is.
  private func uri(of path: String) -> String {
    let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/".utf8)
    var uri = path.hasPrefix("/") ? "file://" : ""
    for byte in path.utf8 {
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
