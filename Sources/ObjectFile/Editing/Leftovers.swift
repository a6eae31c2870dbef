import CLinux
import Glibc
public import SystemPackage

/// Removes what a killed run left behind: a file that waits under the temporary name of `path`, and, at the end of the file itself, what
/// belongs to an edit in place that was not completed. Leaves alone what another run is at work on, and what cannot be removed: this
/// run may have nothing to write.
public func removeLeftovers(of path: FilePath) {
  guard let destination = try? Destination(path) else { return }
  if (try? destination.temporaryName.stat(followTargetSymlink: false)) != nil {
    try? deferringSignals { () throws(ObjectFileError) in try removeAbandonedFile(destination.temporaryName) }
  }
  if let size = destination.status?.size, EditMark.fits(fileSize: Int(size)) {
    try? deferringSignals { () throws(ObjectFileError) in try removeMark(of: destination.path) }
  }
}

/// Removes the file under a temporary name, unless a process has it locked. Whoever makes such a file locks it before it has the name,
/// or right after, and the lock goes when the process goes.
func removeAbandonedFile(_ path: FilePath) throws(ObjectFileError) {
  let file: FileDescriptor
  do {
    file = try FileDescriptor.open(path, .readOnly, options: [.noFollow, .nonBlocking, .closeOnExec])
  } catch let error as Errno where error == .noSuchFileOrDirectory {
    return
  } catch {
    throw .system(operation: "examine \(path), which is in the way", error as? Errno ?? .ioError)
  }
  defer { try? file.close() }
  let status = try system("examine \(path)") { try file.stat() }
  guard status.type == .regular else {
    throw .unusableOutput("\(path), which is in the way, is \(describe(status.type))")
  }
  guard tryLock(file) else { throw .inUse(path) }
  // It may have been removed, and another one made, before the lock was there.
  guard let now = try? path.stat(followTargetSymlink: false), now.isSameFile(as: status) else { return }
  // SAFETY: the name ends in NUL.
  guard unsafe path.withPlatformString({ unsafe unlink($0) }) == 0 || errno == ENOENT else {
    throw .system(operation: "remove \(path)", Errno(rawValue: errno))
  }
}

/// Locks a file for as long as it is open. False where another process has it locked; true as well where the file system has no locks.
func tryLock(_ file: FileDescriptor) -> Bool {
  if staticcall_flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 { return true }
  // NFS makes exclusive locks only of files that are open for writing; there a shared one finds the exclusive one as well.
  if errno == EBADF, staticcall_flock(file.rawValue, LOCK_SH | LOCK_NB) == 0 { return true }
  return errno != EWOULDBLOCK
}

/// Cuts a mark off the end of a file, and all that an incomplete edit put in front of it.
private func removeMark(of path: FilePath) throws(ObjectFileError) {
  let file = try system("write \(path)") {
    try FileDescriptor.open(path, .readWrite, options: [.noFollow, .nonBlocking, .closeOnExec])
  }
  defer { try? file.close() }
  guard tryLock(file) else { return }
  let fileSize = Int(try system("examine \(path)") { try file.stat() }.size)
  guard let mark = EditMark(endOf: file, fileSize: fileSize), let size = mark.sizeOfObject(in: file) else { return }
  try truncate(file, to: size)
  if size == mark.oldSize { setModificationTime(of: file, mark.modified) }
}

func truncate(_ file: FileDescriptor, to size: Int) throws(ObjectFileError) {
  while ftruncate(file.rawValue, off_t(size)) != 0 {
    guard errno == EINTR else { throw .system(operation: "cut the file to its size", Errno(rawValue: errno)) }
  }
}

/// Gives a file that is the old one again the time of the old one.
func setModificationTime(of file: FileDescriptor, _ time: timespec) {
  // UTIME_OMIT of <linux/stat.h>: the time of access stays.
  let times = [timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2), time]
  // SAFETY: futimens reads two elements.
  _ = unsafe futimens(file.rawValue, times)
}

func flush(_ file: FileDescriptor, _ operation: String) throws(ObjectFileError) {
  while fsync(file.rawValue) != 0 {
    guard errno == EINTR else { throw .system(operation: operation, Errno(rawValue: errno)) }
  }
}
