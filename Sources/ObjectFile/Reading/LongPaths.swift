import Glibc
import SystemPackage

/// The kernel takes paths of less than 4096 bytes (PATH_MAX). A directory may still lie deeper: it is reached from one to the next.
enum LongPaths {
  /// How much of a path goes into one call, in bytes.
  private static let longestPiece = 4000

  /// `O_PATH` (include/uapi/asm-generic/fcntl.h), which C shows to GNU programs only: it takes no permission to read.
  static let referenceOnly: Int32 = 0o10_000_000

  /// Opens `path`, of any length, with flags of open(2).
  static func open(_ path: FilePath, _ flags: Int32) throws(Errno) -> FileDescriptor {
    do throws(Errno) {
      return try open(path, flags, in: FileDescriptor(rawValue: AT_FDCWD))
    } catch .fileNameTooLong {
      return try openStepByStep(path, flags)
    }
  }

  private static func openStepByStep(_ path: FilePath, _ flags: Int32) throws(Errno) -> FileDescriptor {
    let slash = UInt8(ascii: "/")
    var rest = path.bytes[...]
    var directory: FileDescriptor?
    defer { try? directory?.close() }
    while rest.count > longestPiece {
      guard let end = rest.prefix(longestPiece).lastIndex(of: slash), end > rest.startIndex else {
        throw .fileNameTooLong
      }
      let next = try open(
        FilePath(bytes: rest[..<end]), referenceOnly | O_DIRECTORY | O_CLOEXEC,
        in: directory ?? FileDescriptor(rawValue: AT_FDCWD))
      try? directory?.close()
      directory = next
      rest = rest[end...].drop { $0 == slash }
    }
    return try open(FilePath(bytes: rest), flags, in: directory ?? FileDescriptor(rawValue: AT_FDCWD))
  }

  private static func open(
    _ path: FilePath, _ flags: Int32, in directory: FileDescriptor
  ) throws(Errno) -> FileDescriptor {
    while true {
      // SAFETY: the path ends in NUL and lives as long as the call.
      let descriptor = unsafe path.withPlatformString { unsafe openat(directory.rawValue, $0, flags) }
      if descriptor >= 0 { return FileDescriptor(rawValue: descriptor) }
      guard errno == EINTR else { throw Errno(rawValue: errno) }
    }
  }
}
