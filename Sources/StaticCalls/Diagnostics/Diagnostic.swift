import DebugInfo
import Disassembly
import ObjectFile

/// How much a finding weighs.
public enum Severity: String, Sendable {
  case error
  case warning
  case note
}

/// Something found in an object, at a place of it.
struct Finding: Sendable {
  var code: Code
  var severity: Severity
  var section: SectionIndex?
  var offset: SectionOffset
  /// What is the matter: lower-case, no full stop.
  var message: String

  init(
    _ code: Code, _ severity: Severity, section: SectionIndex?, offset: SectionOffset = SectionOffset(0),
    _ message: String
  ) {
    self.code = code
    self.severity = severity
    self.section = section
    self.offset = offset
    self.message = message
  }
}

/// A finding as it is reported: independent of the object, which may be closed by then.
public struct Diagnostic: Equatable, Sendable {
  public var code: Code
  public var severity: Severity
  /// `nil` for a finding about the whole object.
  public var location: DiagnosticLocation?
  public var message: String
  /// What to do about it, a sentence each.
  public var help: [String]
  /// How many findings it stands for: more than one where the others of a kind are only counted.
  public var findings = 1

  public init(
    _ code: Code, _ severity: Severity, at location: DiagnosticLocation? = nil, _ message: String, help: [String] = []
  ) {
    self.code = code
    self.severity = severity
    self.location = location
    self.message = message
    self.help = help
  }

  /// What stands for findings that are not told one by one.
  public init(_ code: Code, _ severity: Severity, moreOfThisKind number: Int) {
    self.init(code, severity, "and \(number) more of this kind")
    findings = number
  }

  /// How many findings of one code are told, of an object or of all members of an archive, before they are only counted.
  public static let mostOfAKind = 1000

  /// The location as people write it.
  public var place: String? { location?.description }
}

/// A place of an object or of a linked image, by the names that people know.
public struct DiagnosticLocation: Equatable, Sendable, CustomStringConvertible {
  public var section: String?
  /// Section offset, in bytes.
  public var offset: Int?
  /// The function or label at or before the place, and the distance from it in bytes.
  public var function: String?
  /// The function's name as its language writes it.
  public var functionDisplayName: String? { function.map(demangled) }
  public var functionOffset: Int?
  /// In a linked image, the address.
  public var address: UInt64?

  /// `function+0x1c`; where no symbol covers the place `.text+0x1c`, or the address.
  public var description: String {
    func with(_ name: String, _ distance: Int) -> String { "\(name)+0x\(String(distance, radix: 16))" }
    if let function, let functionOffset { return with(function, functionOffset) }
    if let section, let offset { return with(section, offset) }
    return address.map { "0x\(String($0, radix: 16))" } ?? section ?? ""
  }
}

/// Why an object was not handled. `diagnostics` holds one error or more.
public struct Refusal: Error, Equatable, Sendable {
  public var diagnostics: [Diagnostic]

  public init(_ diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }

  /// Whatever a phase throws.
  init(any error: any Error) {
    switch error {
    case let error as ObjectFileError: self.init(error)
    case let error as DisassemblyError: self.init([Diagnostic(.systemFailure, .error, error.message)])
    case let refusal as Refusal: self = refusal
    default: self.init([Diagnostic(.systemFailure, .error, "\(error)")])
    }
  }

  init(_ error: ObjectFileError) {
    let code: Code =
      switch error {
      case .system(let operation, _): operation.hasPrefix("open") ? .cannotRead : .systemFailure
      case .notARegularFile: .cannotRead
      case .unusableOutput: .systemFailure
      case .notElf, .empty: .notElf
      case .truncated, .damaged: .damaged
      case .unsupportedKind: .unsupportedKind
      case .noMachineCode: .noMachineCode
      case .archive: .archive
      case .unsupportedConstruct: .unsupportedConstruct
      case .signedModule: .signedModule
      case .changedMeanwhile, .lostPages, .inUse: .changedMeanwhile
      case .directoryNotWritable: .systemFailure
      case .cannotRenumber: .cannotRenumber
      }
    let help: [String] =
      switch error {
      case .empty: Code.damaged.help
      case .notARegularFile(let kind) where kind == "a directory":
        ["Only `staticcall verify` walks through directories; the other commands take files."]
      case .directoryNotWritable:
        code.help + ["Make the directory writable; or, where nothing but the table is added, use --in-place."]
      default: code.help
      }
    self.init([Diagnostic(code, .error, error.message, help: help)])
  }
}

/// Names places of an object as people know them.
struct Places {
  private let functions: Functions

  /// Collects the labels of `sections`, the only ones that may be asked for.
  init(of sections: Set<SectionIndex>, in object: borrowing ObjectFile) {
    functions = Functions(of: sections, in: object)
  }

  /// The function or label at a place and the distance from it in bytes.
  func function(
    at offset: SectionOffset, of section: SectionIndex, _ object: borrowing ObjectFile
  ) -> (name: String, distance: Int)? {
    functions.name(of: offset.rawValue, in: section).map { (object.name(of: $0.symbol), $0.distance) }
  }

  /// A place by its names.
  func locate(
    _ offset: SectionOffset, of section: SectionIndex, _ object: borrowing ObjectFile
  ) -> DiagnosticLocation {
    let function = function(at: offset, of: section, object)
    return DiagnosticLocation(
      section: object.name(of: section), offset: offset.rawValue, function: function?.name,
      functionOffset: function?.distance)
  }

  /// How many findings of one code an object is told of, before they are only counted.
  static let listedFindings = Diagnostic.mostOfAKind

  /// Findings as they are reported. The help for a code follows its first finding; more than ``listedFindings`` of one code end in
  /// a number.
  static func diagnostics(_ findings: [Finding], in object: borrowing ObjectFile) -> [Diagnostic] {
    guard !findings.isEmpty else { return [] }
    let places = Places(of: Set(findings.compactMap(\.section)), in: object)
    var numbers: [Code: Int] = [:]
    let facts = ObjectFacts(of: object)
    var diagnostics: [Diagnostic] = []
    for finding in findings {
      numbers[finding.code, default: 0] += 1
      guard let number = numbers[finding.code], number <= listedFindings else { continue }
      let location = finding.section.map { places.locate(finding.offset, of: $0, object) }
      diagnostics.append(
        Diagnostic(
          finding.code, finding.severity, at: location, finding.message,
          help: number == 1 ? finding.code.help(for: facts) : []))
    }
    for (code, number) in numbers.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where number > listedFindings {
      let severity = findings.first { $0.code == code }?.severity ?? .error
      diagnostics.append(Diagnostic(code, severity, moreOfThisKind: number - listedFindings))
    }
    return diagnostics
  }
}
