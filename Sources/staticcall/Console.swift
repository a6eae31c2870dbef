import ArgumentParser
import FoundationEssentials
import Glibc
import ObjectFile
import Reports
import StaticCalls
import SystemPackage

/// The exit codes that a script can rely on; 64 for wrong usage is ArgumentParser's.
enum Outcome: Int32, Comparable {
  case success = 0
  /// Verification failed, or something was left behind under `--strict`.
  case findings = 1
  /// It could not be done.
  case failure = 2

  static func < (left: Outcome, right: Outcome) -> Bool { left.rawValue < right.rawValue }
}

/// Standard output and standard error. Reports are collected and written once, and a write that fails is a failure.
struct Console {
  private var reports = ""
  private var complaints = ""
  private var outcome = Outcome.success

  /// Adds to standard output.
  mutating func report(_ text: String) { reports += text }

  /// Adds to standard error.
  mutating func complain(_ text: String) { complaints += text }

  /// Adds a diagnostic to standard error.
  mutating func complain(_ diagnostic: Diagnostic, about path: String) {
    complaints += diagnostic.text(for: path, inColor: Self.wantsColor)
  }

  /// Adds a refusal to standard error; the run has failed then.
  mutating func complain(_ refusal: Refusal, about path: String) {
    for diagnostic in refusal.diagnostics { complain(diagnostic, about: path) }
    note(.failure)
  }

  /// Remembers the worst outcome.
  mutating func note(_ outcome: Outcome) { self.outcome = max(self.outcome, outcome) }

  /// Writes everything and ends the command.
  mutating func end() throws {
    let status = finish(outcome.rawValue)
    if status != 0 { throw ExitCode(status) }
  }

  /// Writes everything. Returns `status`, or the code of a failure where standard output could not be written.
  mutating func finish(_ status: Int32) -> Int32 {
    let failed = !reports.isEmpty && !write(reports, to: .standardOutput)
    let isBrokenPipe = failed && errno == EPIPE && Signals.endsByBrokenPipe
    if failed, !isBrokenPipe {
      complaints += "staticcall: error: cannot write to standard output: \(Errno(rawValue: errno))\n"
    }
    if !complaints.isEmpty { _ = write(complaints, to: .standardError) }
    reports = ""
    complaints = ""
    // Whoever closed the pipe (`head`) has seen enough; what went wrong is said all the same.
    if isBrokenPipe { Signals.endByBrokenPipe() }
    return failed ? Outcome.failure.rawValue : status
  }

  private func write(_ text: String, to descriptor: FileDescriptor) -> Bool {
    (try? descriptor.writeAll(text.utf8)) != nil
  }

  /// Colour is for terminals, and for people who have not switched it off (https://no-color.org).
  private static let wantsColor: Bool = {
    isatty(STDERR_FILENO) == 1 && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
  }()
}
