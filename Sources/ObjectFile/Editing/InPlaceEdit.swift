import CLinux
import Glibc
import SystemPackage

/// An edit that is written into the object's own file: behind its end, and then, in one step, the ELF header.
///
/// At any moment the file is the old object or the new one, with more or less behind it. As long as it is not complete a mark stands at the
/// end (``EditMark``), so that the next run can cut off what belongs to neither.
struct InPlaceEdit: ~Copyable {
  private let path: FilePath
  private let descriptor: FileDescriptor
  private let oldHeader: [UInt8]

  /// `nil` where only a new file will do: where the file has other names or is reached through a symbolic link; where it may not be written,
  /// is in use by another program, or would lose set-user-ID bits or capabilities; where a killed edit left a mark that could not be
  /// removed.
  init?(of input: borrowing InputFile, at path: FilePath) {
    guard Self.isFit(input), let header = readBytes(0..<Header.size, of: input.descriptor),
      let named = try? path.stat(followTargetSymlink: false), named.isSameFile(as: input.status),
      let descriptor = Self.open(path, input)
    else { return nil }
    self.path = path
    self.descriptor = descriptor
    oldHeader = header
  }

  private static func isFit(_ input: borrowing InputFile) -> Bool {
    let status = input.status
    // SAFETY: with a null buffer the call only reports the size.
    let hasCapabilities = unsafe fgetxattr(input.descriptor.rawValue, "security.capability", nil, 0) >= 0
    return status.linkCount == 1 && input.size == Int(status.size) && !hasCapabilities
      && status.permissions.contains(.ownerWrite) && status.permissions.isDisjoint(with: [.setUserID, .setGroupID])
  }

  /// Opens the file for writing, if nobody else is at it.
  private static func open(_ path: FilePath, _ input: borrowing InputFile) -> FileDescriptor? {
    guard
      let descriptor = try? FileDescriptor.open(path, .readWrite, options: [.noFollow, .nonBlocking, .closeOnExec])
    else { return nil }
    if tryLock(descriptor), let status = try? descriptor.stat(), status.isSameFile(as: input.status) {
      return descriptor
    }
    try? descriptor.close()
    return nil
  }

  deinit { try? descriptor.close() }

  /// Puts `tail` behind the object and then `newHeader` in front.
  func carryOut(
    tail: [UInt8], newHeader: [UInt8], on input: borrowing InputFile, isDurable: Bool
  ) throws(ObjectFileError) {
    let newSize = input.size + tail.count
    let mark = EditMark(
      oldSize: input.size, newSize: newSize, oldHeader: oldHeader, newHeader: newHeader,
      modified: input.status.st_mtim)
    let markOffset = EditMark.offset(behind: newSize)
    try input.endReading()
    try input.checkIsNamed(path)
    do throws(ObjectFileError) {
      try write(mark.bytes, at: markOffset)
      try write(tail, at: input.size)
      let written = try system("examine the file") { try descriptor.stat() }
      if isDurable { try flush(descriptor, writing) }
      try throwIfInterrupted()
      try checkIsOurs(written, markOffset + EditMark.size, input)
      // From here on it is the new object.
      try write(newHeader, at: 0)
      if isDurable { try flush(descriptor, writing) }
    } catch {
      try undo(input)
      throw error
    }
    try truncate(descriptor, to: newSize)
    if isDurable { try flush(descriptor, writing) }
  }

  /// Throws unless the file is what this edit has made of it, and nobody has given it another name.
  private func checkIsOurs(
    _ written: Stat, _ size: Int, _ input: borrowing InputFile
  ) throws(ObjectFileError) {
    let now = try system("examine the file") { try descriptor.stat() }
    guard now.hasSizeAndTime(of: written), Int(now.size) == size, now.linkCount == 1,
      readBytes(0..<Header.size, of: descriptor) == oldHeader
    else { throw .changedMeanwhile }
    try input.checkIsNamed(path)
  }

  /// Makes the file the old one again, its time included. Where the old header is not there for certain, everything stays for the next run.
  private func undo(_ input: borrowing InputFile) throws(ObjectFileError) {
    if readBytes(0..<Header.size, of: descriptor) != oldHeader { try write(oldHeader, at: 0) }
    try truncate(descriptor, to: input.size)
    setModificationTime(of: descriptor, input.status.st_mtim)
  }

  private func write(_ bytes: [UInt8], at offset: Int) throws(ObjectFileError) {
    _ = try system(writing) { try descriptor.writeAll(toAbsoluteOffset: Int64(offset), bytes) }
  }

  private var writing: String { "write \(path)" }
}
