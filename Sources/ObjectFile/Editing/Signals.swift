import CLinux
import SystemPackage

/// How the process meets signals. Nothing here has an effect before ``handle()``.
public enum Signals {
  /// Takes the signals over: one that ends the process does so between two files and not in the middle of one; a file that is too
  /// large, a broken pipe and a page that is gone from a mapped file become errors.
  public static func handle() { staticcall_handle_signals() }

  /// Whether a broken pipe ends the process: unless it was started with that signal ignored.
  public static var endsByBrokenPipe: Bool { staticcall_ends_by_broken_pipe() != 0 }

  /// Ends the process as a broken pipe does by default.
  public static func endByBrokenPipe() { staticcall_end_by_broken_pipe() }
}

/// Runs `body` with the signals that end the process held back until its end.
func deferringSignals<Result>(_ body: () throws(ObjectFileError) -> Result) throws(ObjectFileError) -> Result {
  staticcall_begin_writing()
  defer { staticcall_end_writing() }
  return try body()
}

/// Throws where a signal is held back: between the steps of something long. The error itself nobody sees.
func throwIfInterrupted() throws(ObjectFileError) {
  if staticcall_is_interrupted() != 0 { throw .system(operation: "go on", .interrupted) }
}

/// The pages that this thread has found missing in mapped files, where zeros stand now.
struct LostPages: Equatable {
  private let count = staticcall_lost_pages()
}

/// Runs `body`, which reads files, and throws ``ObjectFileError/lostPages`` in place of whatever came of it where bytes of a file were
/// no longer there.
public func noticingLostPages<Result>(_ body: () throws -> Result) throws -> Result {
  let before = LostPages()
  let result = Swift.Result { try body() }
  guard LostPages() == before else { throw ObjectFileError.lostPages }
  return try result.get()
}
