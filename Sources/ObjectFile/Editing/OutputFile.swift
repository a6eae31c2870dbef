import CLinux
import Glibc
import SystemPackage

/// A new file that is to take the place of another one.
///
/// Until it is complete it has no name, so that it goes when the process goes; where the file system cannot do that, it has a temporary
/// name from the start. It is locked all the time, which tells it from one that a killed process left behind.
struct OutputFile: ~Copyable {
  private let descriptor: FileDescriptor
  private let destination: Destination
  private let temporaryName: FilePath
  /// Whether the contents of the input are there already.
  private let holdsCopy: Bool
  /// Whether there is, as far as is known, a file under the temporary name, which this run must remove.
  private var ownsTemporaryName: Bool

  /// Creates a file in the directory of `destination`, or takes the one that `copy` made there. Only its owner can read it until it is
  /// complete.
  init(for destination: Destination, isNameless: Bool, copy: EarlyCopy? = nil) throws(ObjectFileError) {
    self.destination = destination
    temporaryName = destination.temporaryName
    ownsTemporaryName = false
    if isNameless, let copied = copy?.take(for: destination) {
      (descriptor, holdsCopy) = (copied, true)
    } else if isNameless, let nameless = try Self.createNameless(in: destination.directory) {
      (descriptor, holdsCopy) = (nameless, false)
    } else {
      (descriptor, holdsCopy) = (try Self.create(temporaryName, in: destination.directory), false)
      ownsTemporaryName = true
    }
    if !ownsTemporaryName { _ = tryLock(descriptor) }
  }

  deinit { try? descriptor.close() }

  /// `nil` where the file system has no files without names.
  static func createNameless(in directory: FilePath) throws(ObjectFileError) -> FileDescriptor? {
    do {
      return try FileDescriptor.open(
        directory, .readWrite,
        options: [FileDescriptor.OpenOptions(rawValue: staticcall_O_TMPFILE), .closeOnExec],
        permissions: .ownerReadWrite)
    } catch let error as Errno where error == .permissionDenied {
      throw .directoryNotWritable(directory, error)
    } catch {
      // A kernel or a file system that does not know the flag says so in many ways (open(2)); everything else happens again with a
      // name, and is reported then.
      return nil
    }
  }

  private static func create(_ path: FilePath, in directory: FilePath) throws(ObjectFileError) -> FileDescriptor {
    // Once more for each file that was abandoned, or taken for abandoned before it was locked.
    for _ in 0..<100 {
      let descriptor: FileDescriptor
      do {
        descriptor = try FileDescriptor.open(
          path, .readWrite, options: [.create, .exclusiveCreate, .noFollow, .closeOnExec], permissions: .ownerReadWrite)
      } catch let error as Errno where error == .fileExists {
        try removeAbandonedFile(path)
        continue
      } catch let error as Errno where error == .permissionDenied {
        throw .directoryNotWritable(directory, error)
      } catch {
        throw .system(operation: "create a file in \(directory)", error as? Errno ?? .ioError)
      }
      let isLocked = tryLock(descriptor)
      if isLocked, let status = try? descriptor.stat(),
        let now = try? path.stat(followTargetSymlink: false), now.isSameFile(as: status)
      {
        return descriptor
      }
      try? descriptor.close()
    }
    throw .inUse(path)
  }

  // MARK: Contents

  /// Copies the whole of `input`, unless that was done before.
  func copyContents(of input: borrowing InputFile) throws(ObjectFileError) {
    if !holdsCopy { try copy(0..<input.size, of: input, to: 0) }
  }

  /// Copies a range of `input` to an offset.
  func copy(_ range: Range<Int>, of input: borrowing InputFile, to offset: Int) throws(ObjectFileError) {
    try copyBytes(range, of: input.descriptor, to: descriptor, at: offset, writing)
  }

  /// Writes all of `bytes` at a file offset.
  func write(_ bytes: [UInt8], at offset: Int) throws(ObjectFileError) {
    _ = try system(writing) { try descriptor.writeAll(toAbsoluteOffset: Int64(offset), bytes) }
  }

  private var writing: String { "write a new file in the place of \(destination.path)" }

  /// Waits until the contents are on disk.
  func synchronize() throws(ObjectFileError) { try flush(descriptor, writing) }

  // MARK: Attributes

  /// Gives the file the mode, owner and extended attributes of `input`.
  func copyAttributes(of input: borrowing InputFile) throws(ObjectFileError) {
    let status = input.status
    var mode = status.permissions
    // Changing the owner takes privileges that a build rarely has or needs. A program must not run as the new owner, though, because it
    // was to run as the old one. The owner comes before the rest: a change clears set-user-ID bits and capabilities.
    let (owner, group) = (status.userID.rawValue, status.groupID.rawValue)
    if fchown(descriptor.rawValue, owner, group) != 0 {
      mode.remove(.setUserID)
      if fchown(descriptor.rawValue, uid_t.max, group) != 0 { mode.remove(.setGroupID) }
    }
    copyExtendedAttributes(of: input)
    guard fchmod(descriptor.rawValue, mode.rawValue) == 0 else {
      throw .system(operation: "set the mode of a new file in the place of \(destination.path)", Errno(rawValue: errno))
    }
  }

  private func copyExtendedAttributes(of input: borrowing InputFile) {
    let accessList = Array("system.posix_acl_access".utf8CString)
    let names = extendedAttributes(of: input.descriptor)
    // A directory may give its files a list that the old file has not (acl(5), default ACL).
    // SAFETY: the name ends in NUL.
    if !names.contains(accessList) { _ = unsafe fremovexattr(descriptor.rawValue, accessList) }
    for name in names {
      // SAFETY: with a null buffer the call only reports the size; otherwise the buffer is as long as it is said to be.
      let size = unsafe fgetxattr(input.descriptor.rawValue, name, nil, 0)
      guard size >= 0 else { continue }
      var value = [UInt8](repeating: 0, count: size)
      guard unsafe fgetxattr(input.descriptor.rawValue, name, &value, size) == size else { continue }
      // As with the owner: security attributes take privileges.
      _ = unsafe fsetxattr(descriptor.rawValue, name, value, size, 0)
    }
  }

  /// The names of a file's extended attributes, each with the NUL at its end.
  private func extendedAttributes(of file: FileDescriptor) -> [[CChar]] {
    // SAFETY: with a null buffer the call only reports the size; otherwise the buffer is as long as it is said to be.
    let length = flistxattr(file.rawValue, nil, 0)
    guard length > 0 else { return [] }
    var names = [CChar](repeating: 0, count: length)
    guard unsafe flistxattr(file.rawValue, &names, length) == length else { return [] }
    return names.split(separator: 0).map { Array($0) + [0] }
  }

  // MARK: Names

  /// Gives the complete file the temporary name, or at once its own where nothing has that. False where this cannot be done with a file
  /// that was made without a name.
  mutating func takeTemporaryName() throws(ObjectFileError) -> Bool {
    guard !ownsTemporaryName else { return true }
    for _ in 0..<100 {
      if link(to: temporaryName) {
        ownsTemporaryName = true
        return true
      }
      guard errno == EEXIST else { return false }
      try removeAbandonedFile(temporaryName)
    }
    throw .inUse(temporaryName)
  }

  /// Gives the file the name of the destination.
  mutating func takeName() throws(ObjectFileError) {
    if let old = destination.status, try exchange(displacing: old) { return }
    // SAFETY: both names end in NUL.
    let status = unsafe temporaryName.withPlatformString { old in
      unsafe destination.path.withPlatformString { unsafe rename(old, $0) }
    }
    guard status == 0 else {
      throw .system(operation: "replace \(destination.path)", Errno(rawValue: errno))
    }
    ownsTemporaryName = false
  }

  /// Gives the file, which has no name, the name of the destination where nothing has that name. False where something has.
  func takeFreeName() -> Bool { !ownsTemporaryName && destination.status == nil && link(to: destination.path) }

  private func link(to path: FilePath) -> Bool {
    // SAFETY: both names end in NUL.
    unsafe path.withPlatformString {
      unsafe linkat(AT_FDCWD, "/proc/self/fd/\(descriptor.rawValue)", AT_FDCWD, $0, staticcall_AT_SYMLINK_FOLLOW)
    } == 0
  }

  /// Exchanges the two names, and removes what the destination was. ext4 flushes a file that is renamed over another one to disk, which
  /// can take longer than all the rest; it does not when the two change places. And only so is it seen what was displaced: where that
  /// is not `old`, it goes back. Returns false where the file system cannot exchange names.
  private mutating func exchange(displacing old: Stat) throws(ObjectFileError) -> Bool {
    guard exchangeNames() else {
      if errno == ENOENT { throw .changedMeanwhile }
      return false
    }
    let displaced = try? temporaryName.stat(followTargetSymlink: false)
    if let displaced, !displaced.hasSizeAndTime(of: old) {
      // What cannot go back is not removed either.
      if !exchangeNames() { ownsTemporaryName = false }
      throw .changedMeanwhile
    }
    removeTemporaryName()
    return true
  }

  private func exchangeNames() -> Bool {
    // SAFETY: both names end in NUL.
    unsafe temporaryName.withPlatformString { first in
      unsafe destination.path.withPlatformString {
        unsafe renameat2(AT_FDCWD, first, AT_FDCWD, $0, staticcall_RENAME_EXCHANGE)
      }
    } == 0
  }

  /// Removes what has the temporary name, if this run gave it that.
  mutating func removeTemporaryName() {
    guard ownsTemporaryName else { return }
    // SAFETY: the name ends in NUL.
    _ = unsafe temporaryName.withPlatformString { unsafe unlink($0) }
    ownsTemporaryName = false
  }
}
