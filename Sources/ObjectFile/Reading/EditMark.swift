import Glibc
import SystemPackage

/// What stands at the end of a file while it is edited in place: enough to tell, after the run was killed, which of the two
/// objects the file is, and where that one ends.
///
/// The mark lies on a 128-byte border, so that it is in one page and one disk sector: it is there, or it is not.
struct EditMark: Equatable {
  /// Sizes of the object before and after the edit, in bytes.
  var oldSize: Int
  var newSize: Int
  /// Hashes of the two ELF headers. Writing the new one is what makes the file the new object.
  var oldHeader: UInt64
  var newHeader: UInt64
  /// The file's time before the edit.
  var modified: timespec

  static let size = 80
  private static let border = 128
  private static let text = Array("\nstaticcall: unfinished\n".utf8)

  /// Where the mark of an edit lies: behind the new object.
  static func offset(behind size: Int) -> Int { (size + border - 1) / border * border }

  /// Whether a file of this size can end in a mark: for nearly all others, nothing needs to be read.
  static func fits(fileSize: Int) -> Bool { fileSize % border == size && fileSize > Header.size + size }

  static func == (left: EditMark, right: EditMark) -> Bool { left.bytes == right.bytes }

  /// The mark as it is written.
  var bytes: [UInt8] {
    var bytes = Self.text
    for number in [UInt64(oldSize), UInt64(newSize), oldHeader, newHeader] { bytes.append(littleEndian: number) }
    bytes.append(littleEndian: Int64(modified.tv_sec))
    bytes.append(littleEndian: Int64(modified.tv_nsec))
    bytes.append(littleEndian: hash(bytes))
    return bytes
  }

  init(oldSize: Int, newSize: Int, oldHeader: [UInt8], newHeader: [UInt8], modified: timespec) {
    (self.oldSize, self.newSize) = (oldSize, newSize)
    (self.oldHeader, self.newHeader) = (hash(oldHeader), hash(newHeader))
    self.modified = modified
  }

  /// Reads a mark; `nil` where the bytes are none, or not one that can stand at the end of a file of `fileSize` bytes.
  init?(_ bytes: [UInt8], fileSize: Int) {
    let span = bytes.span
    let start = Self.text.count
    guard bytes.count == Self.size, bytes.starts(with: Self.text),
      span.littleEndian(UInt64.self, at: Self.size - 8) == hash(Array(bytes.dropLast(8))),
      let old = span.littleEndian(UInt64.self, at: start), let new = span.littleEndian(UInt64.self, at: start + 8),
      let oldHeader = span.littleEndian(UInt64.self, at: start + 16),
      let newHeader = span.littleEndian(UInt64.self, at: start + 24),
      let seconds = span.littleEndian(Int64.self, at: start + 32),
      let nanoseconds = span.littleEndian(Int64.self, at: start + 40),
      let oldSize = Int(exactly: old), let newSize = Int(exactly: new),
      oldSize >= Header.size, oldSize <= newSize, newSize <= fileSize,
      Self.offset(behind: newSize) + Self.size == fileSize
    else { return nil }
    (self.oldSize, self.newSize, self.oldHeader, self.newHeader) = (oldSize, newSize, oldHeader, newHeader)
    modified = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
  }

  /// The mark at the end of a file, if there is one.
  init?(endOf file: FileDescriptor, fileSize: Int) {
    guard Self.fits(fileSize: fileSize), let bytes = readBytes(fileSize - Self.size..<fileSize, of: file) else {
      return nil
    }
    self.init(bytes, fileSize: fileSize)
  }

  /// Size of the object that the file is, judged by its header; `nil` where the header is neither of the two.
  func sizeOfObject(in file: FileDescriptor) -> Int? {
    switch readBytes(0..<Header.size, of: file).map({ hash($0) }) {
    case oldHeader: oldSize
    case newHeader: newSize
    default: nil
    }
  }
}

/// Bytes of a file; `nil` where they cannot be read or the file ends before.
func readBytes(_ range: Range<Int>, of file: FileDescriptor) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: range.count)
  // SAFETY: the array's own bytes, as many as it has.
  let count = try? unsafe bytes.withUnsafeMutableBytes { buffer in
    unsafe try file.read(fromAbsoluteOffset: Int64(range.lowerBound), into: buffer)
  }
  return count == range.count ? bytes : nil
}

/// FNV-1a: tells apart what is not made to look alike.
func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
  bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}
