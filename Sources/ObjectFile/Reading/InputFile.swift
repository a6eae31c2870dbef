import Glibc
import Synchronization
public import SystemPackage

/// An object's file, opened for reading, with what is needed later to notice that it changed meanwhile.
public struct InputFile: ~Copyable {
  /// The name it was opened under.
  let path: FilePath
  let descriptor: FileDescriptor
  let status: Stat
  /// Size in bytes when the file was opened, without what a killed edit in place left behind the object.
  let size: Int
  private let lostPages = LostPages()
  private let isRead = Atomic(false)

  /// Opens a regular file. Symbolic links are followed; devices, pipes and directories are refused without reading them.
  public init(_ path: FilePath) throws(ObjectFileError) {
    self.path = path
    (descriptor, status) = try Self.open(path)
    size = Self.sizeOfObject(descriptor, status)
  }

  /// Opens a regular file for `body`. Whatever that finds, and finds wrong, counts only where nobody else changed the file meanwhile:
  /// throws ``ObjectFileError/changedMeanwhile`` in its place. Where `body` writes, it counts from ``endReading()`` on.
  public static func reading<Result>(
    _ path: FilePath, _ body: (borrowing InputFile) throws -> Result
  ) throws -> Result {
    let input = try InputFile(path)
    let result = Swift.Result { try body(input) }
    if !input.isRead.load(ordering: .relaxed) { try input.checkUnchanged() }
    return try result.get()
  }

  deinit { try? descriptor.close() }

  private static func open(_ path: FilePath) throws(ObjectFileError) -> (FileDescriptor, Stat) {
    // Without `nonBlocking` the mere opening of a named pipe would wait for a writer.
    let descriptor = try system("open the file") {
      try LongPaths.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    }
    do throws(ObjectFileError) {
      let status = try system("examine the file") { try descriptor.stat() }
      guard status.type == .regular else { throw .notARegularFile(describe(status.type)) }
      return (descriptor, status)
    } catch {
      try? descriptor.close()
      throw error
    }
  }

  private static func sizeOfObject(_ descriptor: FileDescriptor, _ status: Stat) -> Int {
    let fileSize = Int(status.size)
    return EditMark(endOf: descriptor, fileSize: fileSize)?.sizeOfObject(in: descriptor) ?? fileSize
  }

  /// Makes sure, before the outcome is written, that it was made of what is still there; throws as ``reading(_:_:)`` does. Later changes,
  /// such as those of an edit in place, do not matter to ``reading(_:_:)``.
  public func endReading() throws(ObjectFileError) {
    try checkUnchanged()
    isRead.store(true, ordering: .relaxed)
  }

  /// Throws ``ObjectFileError/changedMeanwhile`` unless the file has the size and time, and holds an object of the size, that it had when it
  /// was opened, and ``ObjectFileError/lostPages`` where this thread read bytes since then that were no longer there.
  func checkUnchanged() throws(ObjectFileError) {
    let now = try system("examine the file") { try descriptor.stat() }
    // Behind a mark another run may be about to end its edit, with a header that changes neither size nor, in so short a time, the time.
    guard now.hasSizeAndTime(of: status), Self.sizeOfObject(descriptor, now) == size else { throw .changedMeanwhile }
    guard LostPages() == lostPages else { throw .lostPages }
  }

  /// Locks the file while it is open, if no other process has it locked: its old contents, too, get the temporary name for a moment, and
  /// another run must not take them for abandoned.
  func lock() { _ = tryLock(descriptor) }

  /// Throws ``ObjectFileError/changedMeanwhile`` unless `path` leads to this very file.
  func checkIsNamed(_ path: FilePath) throws(ObjectFileError) {
    let now = try system("examine the file") { try path.stat() }
    guard now.isSameFile(as: status) else { throw .changedMeanwhile }
  }
}

/// What tells files apart, whatever they are called.
public struct FileIdentity: Hashable, Sendable {
  private let device: UInt
  private let inode: UInt

  /// The file that `path` leads to; `nil` where none can be examined.
  public init?(of path: FilePath) {
    guard let status = (try? path.stat()) ?? Self.statusBehindLongPath(path) else { return nil }
    (device, inode) = (status.deviceID.rawValue, status.inode.rawValue)
  }

  private static func statusBehindLongPath(_ path: FilePath) -> Stat? {
    guard path.length >= PATH_MAX,
      let descriptor = try? LongPaths.open(path, LongPaths.referenceOnly | O_CLOEXEC)
    else { return nil }
    defer { try? descriptor.close() }
    return try? descriptor.stat()
  }
}

extension Stat {
  func isSameFile(as other: Stat) -> Bool { deviceID == other.deviceID && inode == other.inode }

  func hasSizeAndTime(of other: Stat) -> Bool {
    size == other.size && st_mtim.tv_sec == other.st_mtim.tv_sec && st_mtim.tv_nsec == other.st_mtim.tv_nsec
  }
}

/// What a file that is not a regular file is, with its article.
func describe(_ type: FileType) -> String {
  switch type {
  case .directory: "a directory"
  case .characterSpecial, .blockSpecial: "a device"
  case .fifo: "a pipe"
  case .socket: "a socket"
  default: "something else"
  }
}

/// Runs system calls and says which operation failed.
func system<Result>(_ operation: String, _ body: () throws -> Result) throws(ObjectFileError) -> Result {
  do {
    return try body()
  } catch let error as Errno {
    throw .system(operation: operation, error)
  } catch {
    throw .system(operation: operation, .ioError)
  }
}
