import CLinux
import Glibc
import SystemPackage

/// Copies a range of file offsets of one file to an offset of another, in the kernel where that is possible: no copy at all on file systems
/// that can share blocks. `operation` says in an error what was to be written.
func copyBytes(
  _ range: Range<Int>, of source: FileDescriptor, to target: FileDescriptor, at offset: Int, _ operation: String
) throws(ObjectFileError) {
  // A signal must not have to wait for the whole of a large file.
  let portion = 64 << 20
  var done = 0
  while done < range.count {
    try throwIfInterrupted()
    var from = off_t(range.lowerBound + done)
    var to = off_t(offset + done)
    // SAFETY: the offsets are local variables.
    let count = unsafe copy_file_range(
      source.rawValue, &from, target.rawValue, &to, min(range.count - done, portion), 0)
    if count > 0 {
      done += count
    } else if count < 0, errno == EINTR {
      continue
    } else if count < 0, errno == ENOSPC || errno == EIO || errno == EDQUOT || errno == EFBIG {
      throw .system(operation: operation, Errno(rawValue: errno))
    } else {
      // Not between these two file systems, or not on this kernel (copy_file_range(2), ERRORS).
      return try copyThroughMemory(range.dropFirst(done), of: source, to: target, at: offset + done, operation)
    }
  }
}

private func copyThroughMemory(
  _ range: Range<Int>, of source: FileDescriptor, to target: FileDescriptor, at offset: Int, _ operation: String
) throws(ObjectFileError) {
  // SAFETY: `read` gets the array's own memory with its length, for the time of the call.
  var done = 0
  var buffer = [UInt8](repeating: 0, count: min(range.count, 256 << 10))
  while done < range.count {
    try throwIfInterrupted()
    let wanted = min(buffer.count, range.count - done)
    let count = try system("read the file") {
      unsafe try buffer.withUnsafeMutableBytes {
        unsafe try source.read(
          fromAbsoluteOffset: Int64(range.lowerBound + done),
          into: UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted]))
      }
    }
    guard count > 0 else { throw .changedMeanwhile }
    let position = Int64(offset + done)
    _ = try system(operation) { try target.writeAll(toAbsoluteOffset: position, buffer[..<count]) }
    done += count
  }
}
