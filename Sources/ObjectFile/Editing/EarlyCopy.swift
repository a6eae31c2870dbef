import Glibc
import Synchronization
public import SystemPackage

/// The copy of a file, made on another thread while the object in it is still examined, for an output that is wanted in all likelihood.
///
/// It goes into a file without a name, of which nothing is left where it is not taken. Its thread is at its end when this object is: each
/// run of the pipeline has one at most.
public final class EarlyCopy {
  /// For files smaller than this, in bytes, the thread would cost more than it saves.
  private static let smallestSize = 2 << 20

  private let directory: FilePath
  private let work: Work
  /// The thread, as long as nobody waited for it.
  private var thread: pthread_t?

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
    self.directory = directory
    work = Work(size: input.size, source: source, target: target)
    thread = Self.start(work)
    if thread == nil {
      work.close()
      return nil
    }
  }

  deinit {
    guard let thread else { return }
    work.isCancelled.store(true, ordering: .relaxed)
    pthread_join(thread, nil)
    work.close()
  }

  /// A thread of its own: a queue would start two.
  private static func start(_ work: Work) -> pthread_t? {
    var thread = pthread_t()
    // SAFETY: the thread gets a reference of its own to the work, and gives it back when it ends.
    let own = unsafe Unmanaged.passRetained(work)
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().copy()
        return nil
      }, own.toOpaque())
    guard status == 0 else {
      unsafe own.release()
      return nil
    }
    return thread
  }

  /// Hands the copy over, and waits for it where it is under way. `nil` where it failed or was taken before, and where it is in another
  /// directory.
  func take(for destination: Destination) -> FileDescriptor? {
    guard destination.directory == directory, let thread else { return nil }
    pthread_join(thread, nil)
    self.thread = nil
    guard work.isComplete.load(ordering: .relaxed) else {
      // The next attempt may need the room.
      work.close()
      return nil
    }
    try? work.source.close()
    return work.target
  }
}

/// What the thread does.
private final class Work: Sendable {
  /// How much is copied, in bytes, between two looks at whether somebody still wants it.
  private static let portion = 8 << 20

  let size: Int
  let source: FileDescriptor
  let target: FileDescriptor
  let isCancelled = Atomic(false)
  /// Whether the target holds everything; known once the thread is at its end.
  let isComplete = Atomic(false)

  init(size: Int, source: FileDescriptor, target: FileDescriptor) {
    (self.size, self.source, self.target) = (size, source, target)
  }

  func copy() {
    do throws(ObjectFileError) {
      for start in stride(from: 0, to: size, by: Self.portion) {
        if isCancelled.load(ordering: .relaxed) { return }
        try copyBytes(start..<min(start + Self.portion, size), of: source, to: target, at: start, "copy the file")
      }
      isComplete.store(true, ordering: .relaxed)
    } catch {
      // The file is copied once more when it is written, and the error is reported then.
    }
  }

  func close() {
    try? source.close()
    try? target.close()
  }
}
