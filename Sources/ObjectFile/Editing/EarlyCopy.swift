import Glibc
import Synchronization
public import SystemPackage

/// The copy of a file, made on another thread while the object in it is still examined, for an output that is wanted in all likelihood.
///
/// It goes into a file without a name, of which nothing is left where it is not taken.
public final class EarlyCopy: Sendable {
  /// For files smaller than this, in bytes, the thread would cost more than it saves.
  private static let smallestSize = 2 << 20

  private enum State {
    case copying
    /// The target holds everything.
    case complete
    /// It was taken, or failed.
    case over
  }

  private let directory: FilePath
  private let size: Int
  private let source: FileDescriptor
  private let target: FileDescriptor
  private let state = Mutex(State.copying)
  /// The thread, as long as nobody waited for it.
  private let thread = Mutex<pthread_t?>(nil)

  /// Starts to copy `input` for the name `path`. `nil` where that does not pay, or cannot be done: what stands in the way is met again, and
  /// reported, when the file is written.
  public init?(of input: borrowing InputFile, to path: FilePath) {
    guard input.size >= Self.smallestSize, let directory = try? Destination(path).directory,
      let source = try? input.descriptor.duplicate()
    else { return nil }
    guard let target = try? OutputFile.createNameless(in: directory) else {
      try? source.close()
      return nil
    }
    (self.directory, self.source, self.target) = (directory, source, target)
    size = input.size
    guard start() else { return nil }
  }

  deinit {
    try? source.close()
    if state.withLock({ $0 != .over }) { try? target.close() }
    if let thread = thread.withLock({ $0 }) { pthread_detach(thread) }
  }

  /// A thread of its own: a queue would start two.
  private func start() -> Bool {
    thread.withLock { thread in
      var new = pthread_t()
      // SAFETY: the thread gets a reference of its own to this object, and gives it back when it ends.
      let own = unsafe Unmanaged.passRetained(self)
      let status = unsafe pthread_create(
        &new, nil,
        { argument in
          guard let argument = unsafe argument else { return nil }
          unsafe Unmanaged<EarlyCopy>.fromOpaque(argument).takeRetainedValue().copy()
          return nil
        }, own.toOpaque())
      guard status == 0 else {
        unsafe own.release()
        return false
      }
      thread = new
      return true
    }
  }

  private func copy() {
    do throws(ObjectFileError) {
      try copyBytes(0..<size, of: source, to: target, at: 0, "copy the file")
      state.withLock { $0 = .complete }
    } catch {
      // The file is copied once more when it is written, and the error is reported then.
    }
  }

  /// Hands the copy over, and waits for it where it is under way. `nil` where it failed or was taken before, and where it is in another
  /// directory.
  func take(for destination: Destination) -> FileDescriptor? {
    guard destination.directory == directory, let thread = thread.withLock({ $0.take() }) else { return nil }
    pthread_join(thread, nil)
    return state.withLock { state in
      guard state == .complete else { return nil }
      state = .over
      return target
    }
  }
}
