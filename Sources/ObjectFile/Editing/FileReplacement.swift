import CLinux
import Glibc
import Synchronization
public import SystemPackage

/// Writes a copy of an object that needs no edit under the name `path`, whole or not at all. Does nothing where `path` is a
/// name of the object itself.
public func copyFile(_ input: borrowing InputFile, to path: FilePath) throws(ObjectFileError) {
  if try Destination(path).isFile(of: input) { return }
  try replaceFile(at: path, with: input) { _ in }
}

/// Makes a changed copy of `input` and puts it in the place of `path`.
///
/// The copy is made in the directory of `path` under a temporary name, gets the mode, owner and extended attributes of the
/// file it stands for, and takes the name only when it is complete. Other names of a hard-linked file keep the old contents;
/// where `path` is a symbolic link, the file it points to is replaced and the link stays.
func replaceFile(
  at path: FilePath, with input: borrowing InputFile, edit: (borrowing OutputFile) throws(ObjectFileError) -> Void
) throws(ObjectFileError) {
  let destination = try Destination(path)
  let output = try OutputFile(beside: destination.path)
  do throws(ObjectFileError) {
    try output.copyContents(of: input)
    try edit(output)
    try output.copyAttributes(of: input)
    try input.checkUnchanged()
    if path == input.path || destination.isFile(of: input) { try input.checkIsNamed(destination.path) }
    try output.takeName(destination.path, replacing: destination.status != nil)
  } catch {
    output.remove()
    throw error
  }
}

/// The file that a name leads to.
private struct Destination {
  /// The name with symbolic links resolved, so that a link's target is replaced and not the link.
  let path: FilePath
  /// What is there now, or `nil` where nothing is.
  let status: Stat?

  init(_ path: FilePath) throws(ObjectFileError) {
    do {
      status = try path.stat()
    } catch {
      guard error == .noSuchFileOrDirectory else { throw .system(operation: "examine \(path)", error) }
      status = nil
    }
    if let status, status.type != .regular { throw .unusableOutput("\(path) is \(describe(status.type))") }
    self.path = try status == nil ? followLink(path) : resolveLinks(path)
  }

  /// Whether the name leads to the file that `input` was opened from.
  func isFile(of input: borrowing InputFile) -> Bool {
    guard let status else { return false }
    return status.inode == input.status.inode && status.deviceID == input.status.deviceID
  }
}

/// Where a symbolic link to nothing leads; `path` itself where it is none.
private func followLink(_ path: FilePath) throws(ObjectFileError) -> FilePath {
  var target = [CChar](repeating: 0, count: Int(PATH_MAX))
  // SAFETY: readlink writes at most as many bytes as it is told the buffer has.
  let length = unsafe readlink(path.string, &target, target.count)
  guard length > 0 else { return path }
  return path.removingLastComponent().pushing(
    FilePath(String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)))
}

private func resolveLinks(_ path: FilePath) throws(ObjectFileError) -> FilePath {
  // SAFETY: realpath allocates the result, which is copied and freed here.
  guard let resolved = unsafe realpath(path.string, nil) else {
    throw .system(operation: "resolve \(path)", Errno(rawValue: errno))
  }
  defer { unsafe free(resolved) }
  return unsafe FilePath(String(cString: resolved))
}

/// A file that is being written under a temporary name.
struct OutputFile: ~Copyable {
  private let descriptor: FileDescriptor
  private let path: FilePath

  /// Tells apart the files that several threads write at a time.
  private static let counter = Atomic(0)

  /// Creates a file in the directory of `destination`. Only its owner can read it until it is complete.
  init(beside destination: FilePath) throws(ObjectFileError) {
    (descriptor, path) = try Self.create(beside: destination)
  }

  private static func create(beside destination: FilePath) throws(ObjectFileError) -> (FileDescriptor, FilePath) {
    // A name may take 255 bytes; what is added takes up to 34.
    let name = String(decoding: (destination.lastComponent?.string ?? "object").utf8.prefix(200), as: UTF8.self)
    let directory = destination.removingLastComponent()
    while true {
      let number = counter.add(1, ordering: .relaxed).oldValue
      let path = directory.appending(".\(name).staticcall-\(getpid())-\(number)")
      do {
        let descriptor = try FileDescriptor.open(
          path, .readWrite, options: [.create, .exclusiveCreate, .closeOnExec], permissions: .ownerReadWrite)
        return (descriptor, path)
      } catch let error as Errno where error == .fileExists {
        // Left behind by a process of the same number that was killed.
        continue
      } catch {
        throw .system(
          operation: "create a file in \(directory.isEmpty ? "." : directory)", error as? Errno ?? .ioError)
      }
    }
  }

  deinit { try? descriptor.close() }

  /// Copies the whole of `input`, in the kernel where that is possible: no copy at all on file systems that can share blocks.
  func copyContents(of input: borrowing InputFile) throws(ObjectFileError) {
    var done = 0
    while done < input.size {
      var from = off_t(done)
      var to = off_t(done)
      // SAFETY: the offsets are local variables.
      let count = unsafe copy_file_range(
        input.descriptor.rawValue, &from, descriptor.rawValue, &to, input.size - done, 0)
      if count > 0 {
        done += count
      } else if count < 0, errno == EINTR {
        continue
      } else if count < 0, errno == ENOSPC || errno == EIO || errno == EDQUOT || errno == EFBIG {
        throw .system(operation: "write \(path)", Errno(rawValue: errno))
      } else {
        // Not between these two file systems, or not on this kernel (copy_file_range(2), ERRORS).
        return try copyThroughMemory(of: input, from: done)
      }
    }
  }

  private func copyThroughMemory(of input: borrowing InputFile, from start: Int) throws(ObjectFileError) {
    // SAFETY: `read` gets the array's own memory with its length, for the time of the call.
    var done = start
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while done < input.size {
      let source = input.descriptor
      let count = try system("read the file") {
        unsafe try buffer.withUnsafeMutableBytes { unsafe try source.read(fromAbsoluteOffset: Int64(done), into: $0) }
      }
      guard count > 0 else { throw .changedMeanwhile }
      try write(Array(buffer[..<count]), at: done)
      done += count
    }
  }

  /// Writes all of `bytes` at a file offset.
  func write(_ bytes: [UInt8], at offset: Int) throws(ObjectFileError) {
    _ = try system("write \(path)") { try descriptor.writeAll(toAbsoluteOffset: Int64(offset), bytes) }
  }

  /// Gives the file the mode, owner and extended attributes of `input`.
  func copyAttributes(of input: borrowing InputFile) throws(ObjectFileError) {
    let status = input.status
    copyExtendedAttributes(of: input)
    // Changing the owner takes privileges that a build rarely has or needs; the mode comes after it, because a change of owner
    // clears the set-user-ID bits.
    _ = fchown(descriptor.rawValue, status.userID.rawValue, status.groupID.rawValue)
    guard fchmod(descriptor.rawValue, status.permissions.rawValue) == 0 else {
      throw .system(operation: "set the mode of \(path)", Errno(rawValue: errno))
    }
  }

  private func copyExtendedAttributes(of input: borrowing InputFile) {
    let source = input.descriptor.rawValue
    // SAFETY: with a null buffer the calls only report sizes; otherwise the buffers are as long as they are said to be.
    let length = flistxattr(source, nil, 0)
    guard length > 0 else { return }
    var names = [CChar](repeating: 0, count: length)
    guard unsafe flistxattr(source, &names, length) == length else { return }
    for name in names.split(separator: 0) {
      let name = Array(name) + [0]
      let size = unsafe fgetxattr(source, name, nil, 0)
      guard size >= 0 else { continue }
      var value = [UInt8](repeating: 0, count: size)
      guard unsafe fgetxattr(source, name, &value, size) == size else { continue }
      // As with the owner: security attributes take privileges.
      _ = unsafe fsetxattr(descriptor.rawValue, name, value, size, 0)
    }
  }

  /// Gives the complete file its name.
  func takeName(_ destination: FilePath, replacing: Bool) throws(ObjectFileError) {
    if replacing, exchange(with: destination) {
      // The old contents now have the temporary name.
      remove()
      return
    }
    // SAFETY: both names are NUL-terminated copies.
    guard unsafe rename(path.string, destination.string) == 0 else {
      throw .system(operation: "rename \(path) to \(destination)", Errno(rawValue: errno))
    }
  }

  /// Exchanges the two names. ext4 flushes a file that is renamed over another one to disk, which can take longer than all
  /// the rest; it does not when the two change places. Not every file system can do that.
  private func exchange(with destination: FilePath) -> Bool {
    // SAFETY: both names are NUL-terminated copies.
    unsafe renameat2(AT_FDCWD, path.string, AT_FDCWD, destination.string, staticcall_RENAME_EXCHANGE) == 0
  }

  /// Removes the file under its temporary name.
  func remove() {
    // SAFETY: the name is a NUL-terminated copy.
    _ = unsafe unlink(path.string)
  }
}
