import Dispatch
import Synchronization
public import SystemPackage

/// The copy of a file, made on another thread while the object in it is still examined, for an output that is wanted in all likelihood.
///
/// It goes into a file without a name, of which nothing is left where it is not taken.
public final class EarlyCopy: Sendable {
  /// For files smaller than this, in bytes, the thread would cost more than it saves.
  private static let smallestSize = 2 << 20

  private enum State {
    /// No thread was free for it yet.
    case waiting
    case copying
    /// The descriptor of the complete copy.
    case complete(FileDescriptor)
    /// It was taken, or failed, or nobody waits for it any more.
    case over
  }

  private let directory: FilePath
  private let source: FileDescriptor
  private let target: FileDescriptor
  private let state = Mutex(State.waiting)
  private let isDone = DispatchSemaphore(value: 0)

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
    let size = input.size
    DispatchQueue.global(qos: .userInitiated).async { [self] in copy(size) }
  }

  private func copy(_ size: Int) {
    let isWanted = state.withLock { state in
      guard case .waiting = state else { return false }
      state = .copying
      return true
    }
    var isComplete = false
    if isWanted {
      do throws(ObjectFileError) {
        try copyBytes(0..<size, of: source, to: target, at: 0, "copy the file")
        isComplete = true
      } catch {
        // The file is copied once more when it is written, and the error is reported then.
      }
    }
    try? source.close()
    if !isComplete { try? target.close() }
    state.withLock { $0 = isComplete ? .complete(target) : .over }
    isDone.signal()
  }

  deinit {
    if case .complete(let target) = state.withLock({ $0 }) { try? target.close() }
  }

  /// Hands the copy over, and waits for it where it is under way. `nil` where it is not begun, as where all threads are busy with other
  /// objects, where it failed or was taken before, and where it is in another directory.
  func take(for destination: Destination) -> FileDescriptor? {
    guard destination.directory == directory else { return nil }
    let isCopying = state.withLock { state in
      if case .waiting = state { state = .over }
      if case .copying = state { return true }
      return false
    }
    if isCopying { isDone.wait() }
    return state.withLock { state in
      guard case .complete(let target) = state else { return nil }
      state = .over
      return target
    }
  }
}
