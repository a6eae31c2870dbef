import Glibc
import Reports
import Synchronization
import SystemPackage

/// One line on standard error that says how far long work has come; nothing where that is no terminal, or the work is short.
final class Progress: Sendable {
  private let total: Int
  private let noun: String
  private let done = Atomic(0)
  private let line: Mutex<Line>

  private struct Line {
    /// When the line is due, in milliseconds.
    var next: Int
    var isShown = false
  }

  /// How long to be silent at first, and between two lines, in milliseconds.
  private static let pause = 200

  init(of total: Int, _ noun: String) {
    self.total = total
    self.noun = noun
    line = Mutex(Line(next: isatty(STDERR_FILENO) == 1 ? Self.now() + Self.pause : .max))
  }

  /// Counts one item more.
  func advance() {
    let count = done.add(1, ordering: .relaxed).newValue
    line.withLock { line in
      guard line.next != .max, Self.now() >= line.next else { return }
      line.next = Self.now() + Self.pause
      line.isShown = true
      Self.write("\r\(grouped(count)) of \(grouped(total)) \(noun)")
    }
  }

  /// Takes the line away.
  func end() {
    line.withLock { line in
      if line.isShown { Self.write("\r\u{1b}[K") }
      line.next = .max
    }
  }

  private static func now() -> Int {
    let duration = ContinuousClock.now - start
    return Int(duration.components.seconds) * 1000 + Int(duration.components.attoseconds / 1_000_000_000_000_000)
  }

  private static let start = ContinuousClock.now

  private static func write(_ text: String) { _ = try? FileDescriptor.standardError.writeAll(text.utf8) }
}
