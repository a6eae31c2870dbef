import Glibc
import Reports
import StaticCalls
import SystemPackage

/// One input: a file that exists in memory only, and the options that its last byte stands for. They stand at the end, so that what is
/// in front of them is a file like any other.
public final class Subject {
  private let bytes: UnsafeRawBufferPointer
  private let descriptor: CInt
  private let path: FilePath
  private var options = Options()
  private let bits: UInt8

  /// The directory of input and output: in memory, and of this process alone.
  private static let directory = {
    let directory = "/dev/shm/staticcall-fuzz-\(getpid())"
    mkdir(directory, 0o700)
    atexit {
      for name in ["in", "out"] { unlink("/dev/shm/staticcall-fuzz-\(getpid())/\(name)") }
      rmdir("/dev/shm/staticcall-fuzz-\(getpid())")
    }
    return directory
  }()
  private static let input = "\(directory)/in"
  private static let output = "\(directory)/out"

  public init?(_ data: UnsafePointer<UInt8>?, _ size: Int) {
    guard let data, size > 1 else { return nil }
    bytes = UnsafeRawBufferPointer(start: data, count: size - 1)
    bits = data[size - 1]
    descriptor = open(Self.input, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0, write(descriptor, data, size - 1) == size - 1 else { fail("no file in memory") }
    path = FilePath(Self.input)
    options.callsThroughKeys = bits & 1 != 0
    options.isModule = bits & 6 == 2
    options.addMissingKeys = bits & 6 == 4
    options.rebuildsTable = bits & 8 != 0
    options.includesAlternatives = bits & 16 != 0
    options.rewritesCalls = bits & 0xe0 != 0xe0
    if bits & 0xe0 == 0xc0 {
      options.layout = .user
      options.tableSections = [Options.userTable]
    }
  }

  deinit { close(descriptor) }

  // MARK: Reading

  /// What only reads, with the reports of it.
  public func read() {
    var reading = options
    reading.tableSections = [Options.kernelTable, Options.userTable]
    var report = VerificationReport(isStrict: false)
    report.add(path, result { try Pipeline.verify(path, reading) }.map { $0 })
    expectPrintable(report.text(alwaysWithSummary: true))
    switch bits >> 5 {
    case 0: _ = succeed { try report.json() }
    case 1: _ = succeed { try report.sarif(version: "0") }
    case 2: _ = report.junit()
    case 3: _ = report.github()
    default: break
    }
    var document = ListingDocument()
    for listed in (try? result { try Pipeline.listAll(path, disassembles: true, reading) }.get()) ?? [] {
      guard case .success(let listing) = listed.result else { continue }
      expectPrintable(listing.text(for: path.text))
      document.add(path, listed.member, listing, isSummary: false)
    }
    if bits >> 5 == 4 { _ = succeed { try document.text() } }
    if case .success(let comparison) = Pipeline.compare(path, path, reading), !comparison.differences.isEmpty {
      fail("a file differs from itself:\n\(comparison.text)")
    }
    expectUntouched()
  }

  // MARK: Annotating

  /// The whole way of an object, and what must hold of the outcome: the input is untouched; a refusal leaves nothing behind; a table that
  /// was written is right, and a second run has nothing to add.
  public func annotate() {
    let before = result { try Pipeline.verify(path, options) }
    let outcome = result { try annotate(path, output: FilePath(Self.output)) }
    expectUntouched()
    defer { unlink(Self.output) }
    switch outcome {
    case .failure(let refusal):
      if refusal.diagnostics.isEmpty { fail("a refusal without a word") }
      // These say that staticcall itself is wrong, or that memory or files ran out.
      let suspicious: [Code] = [.selfCheck, .systemFailure, .changedMeanwhile]
      for diagnostic in refusal.diagnostics where suspicious.contains(diagnostic.code) {
        fail(diagnostic.text(for: path.text))
      }
      if access(Self.output, F_OK) == 0 { fail("refused and written") }
    case .success(nil): break
    case .success(let annotation?):
      check(annotation, faultsBefore: faults(of: before))
    }
  }

  /// What becomes of an object. In an archive the first member that is refused, or else the first one, stands for all; `nil` where there is
  /// none to look at.
  private func annotate(_ path: FilePath, output: FilePath? = nil, isDryRun: Bool = false) throws -> Annotation? {
    let outcomes = try Pipeline.annotate(path, output: output, isDryRun: isDryRun, options).map(\.result)
    for case .failure(let refusal) in outcomes { throw refusal }
    return try outcomes.first?.get()
  }

  private func check(_ annotation: Annotation, faultsBefore: Set<Code>) {
    guard access(Self.output, F_OK) == 0 else { fail("done, and nothing written") }
    let written = FilePath(Self.output)
    let verification = result { try Pipeline.verify(written, options) }
    guard case .success(let after) = verification else { fail("verify cannot read the outcome: \(verification)") }
    // What verify finds besides tables, annotate does not mend, and must not make.
    for diagnostic in after.diagnostics where diagnostic.severity == .error {
      let isOfTables = ![.staleSignature, .staleAddressTable, .mixedTables].contains(diagnostic.code)
      if isOfTables || !faultsBefore.contains(diagnostic.code) {
        fail("after annotate: \(diagnostic.text(for: path.text))")
      }
    }
    let again = result { try annotate(written, isDryRun: true) }
    guard case .success(let second?) = again else { fail("annotate cannot read its own outcome: \(again)") }
    switch second.change {
    case .upToDate, .noStaticCalls: break
    case .written, .wouldWrite, .heldBack:
      fail("a second run would change the outcome:\n\(second.text(for: path.text))")
    }
    if second.entries != annotation.entries { fail("\(annotation.entries) entries became \(second.entries)") }
  }

  private func faults(of verification: Result<Verification, Refusal>) -> Set<Code> {
    guard case .success(let verification) = verification else { return [] }
    return Set(verification.diagnostics.filter { $0.severity == .error }.map(\.code))
  }

  // MARK: Expecting

  private func result<Success>(_ body: () throws -> Success) -> Result<Success, Refusal> {
    do {
      return .success(try body())
    } catch let refusal as Refusal {
      return .failure(refusal)
    } catch {
      fail("an error of another kind: \(error)")
    }
  }

  private func succeed<Success>(_ body: () throws -> Success) -> Success {
    do {
      return try body()
    } catch {
      fail("a report cannot be made: \(error)")
    }
  }

  private func expectPrintable(_ text: String) {
    for scalar in text.unicodeScalars where scalar != "\n" && scalar.properties.generalCategory == .control {
      fail("a control character in a report: \(text.debugDescription)")
    }
  }

  private func expectUntouched() {
    var now = [UInt8](repeating: 0, count: bytes.count + 1)
    guard pread(descriptor, &now, now.count, 0) == bytes.count, bytes.elementsEqual(now[..<bytes.count])
    else { fail("the input was changed") }
  }
}

/// Ends the process in the way that libFuzzer takes for a finding.
private func fail(_ message: String) -> Never { fatalError(message) }
