import CLinux
import Glibc
import SystemPackage

/// The bytes of an object in memory: the file, mapped privately, and behind it room for what an edit adds.
///
/// Nothing written here reaches the file. Only pages that an edit touches take memory of their own, so the cost of an edit
/// is proportional to the edit and not to the object.
@safe struct Image: ~Copyable {
  private let base: UnsafeMutableRawPointer
  private let mappedLength: Int
  /// Size in bytes.
  let count: Int

  /// Maps the first `size` bytes of `file` for reading. `size` must be positive.
  init(reading file: FileDescriptor, size: Int) throws(ObjectFileError) {
    // SAFETY: a new mapping that nothing else knows; it is unmapped once, in `deinit`.
    let address = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE, file.rawValue, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw .system(operation: "map the file", Errno(rawValue: errno))
    }
    unsafe base = address
    mappedLength = size
    count = size
  }

  /// Maps the first `size` bytes of `file` for editing, with `room` zero bytes behind them.
  init(editing file: FileDescriptor, size: Int, room: Int) throws(ObjectFileError) {
    // SAFETY: the anonymous mapping reserves the whole range; the file then takes the place of its first pages, never more
    // than were reserved. Behind the end of the file its last page reads as zeros, which belong to this mapping alone.
    let reserved = unsafe mmap(
      nil, size + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let reserved = unsafe reserved, unsafe reserved != MAP_FAILED else {
      throw .system(operation: "reserve memory", Errno(rawValue: errno))
    }
    let mapped = unsafe mmap(reserved, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file.rawValue, 0)
    guard unsafe mapped != MAP_FAILED else {
      let error = Errno(rawValue: errno)
      unsafe munmap(reserved, size + room)
      throw .system(operation: "map the file", error)
    }
    unsafe base = reserved
    mappedLength = size + room
    count = size + room
  }

  /// Copies a range of another image, which must lie inside it and not be empty: a member of an archive, aligned as libelf wants it.
  init(copying range: Range<Int>, of other: borrowing Image, room: Int = 0) throws(ObjectFileError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= other.count, "a copy from outside the image")
    // SAFETY: a new mapping that nothing else knows, at least as long as what is copied; the source range was checked above.
    let address = unsafe mmap(nil, range.count + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw .system(operation: "reserve memory", Errno(rawValue: errno))
    }
    unsafe address.copyMemory(from: other.base + range.lowerBound, byteCount: range.count)
    unsafe base = address
    mappedLength = range.count + room
    count = range.count + room
  }

  /// Copies another image, with `room` zero bytes behind it for an edit.
  init(copying other: borrowing Image, room: Int) throws(ObjectFileError) {
    try self.init(copying: 0..<other.count, of: other, room: room)
  }

  deinit {
    // SAFETY: the range that `init` mapped, and spans of it do not outlive the value.
    unsafe munmap(base, mappedLength)
  }

  /// The image's memory. Valid for as long as the image is.
  var memory: UnsafeRawBufferPointer {
    // SAFETY: `count` bytes are mapped at `base`.
    unsafe UnsafeRawBufferPointer(start: base, count: count)
  }

  func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: the buffer covers mapped bytes, and the span cannot outlive this call.
    let bytes = unsafe Span<UInt8>(_unsafeElements: memory.bindMemory(to: UInt8.self))
    return try body(bytes)
  }

  /// Writes into an image made for editing. `offset` and the bytes must lie inside the image.
  func write(_ bytes: [UInt8], at offset: Int) {
    precondition(offset >= 0 && offset <= count - bytes.count, "a write outside the image")
    // SAFETY: the range was checked in the line above.
    unsafe bytes.withUnsafeBytes { source in
      unsafe UnsafeMutableRawBufferPointer(start: base + offset, count: source.count).copyMemory(from: source)
    }
  }

  /// The offset of the first occurrence of `needle`, which is not empty, in `range`, or `nil`. `range` must lie inside the image.
  func firstOffset(of needle: [UInt8], in range: Range<Int>) -> Int? {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "a search outside the image")
    // SAFETY: the range was checked in the line above; memmem reads nothing beyond it.
    return unsafe needle.withUnsafeBytes { pattern in
      // glibc 2.41 and later declares that no pointer is null.
      guard let first = pattern.baseAddress,
        let found = unsafe memmem(base + range.lowerBound, range.count, first, pattern.count)
      else { return nil }
      return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
    }
  }
}
