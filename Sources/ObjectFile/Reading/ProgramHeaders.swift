/// What the program headers of a linked file say.
struct ProgramHeaders {
  /// `PT_LOAD`, in order of address.
  var segments: [LinkedImage.Segment] = []
  /// `PT_GNU_RELRO`.
  var relocatedOnce: Range<UInt64>?
  /// The address that `PT_GNU_EH_FRAME` gives.
  var frameIndex: UInt64?

  private enum Kind {
    static let load: UInt32 = 1
    static let frameIndex: UInt32 = 0x6474_e550
    static let relocatedOnce: UInt32 = 0x6474_e552
  }

  init(_ file: Span<UInt8>) throws(ObjectFileError) {
    let offset = file.littleEndian(UInt64.self, at: 0x20) ?? 0
    let (size, count) = (file.littleEndian(UInt16.self, at: 0x36) ?? 0, file.littleEndian(UInt16.self, at: 0x38) ?? 0)
    guard count != 0 else { return }
    // With 0xffff headers or more the count stands elsewhere; no linker makes so many.
    guard size == 56, count != 0xffff else { throw .damaged("its program headers have size \(size)") }
    guard offset <= UInt64(file.count), UInt64(file.count) - offset >= UInt64(count) * 56 else {
      throw .truncated("the program headers at file offset \(hex(offset)) reach past its end")
    }
    for number in 0..<Int(count) {
      let header = Int(offset) + 56 * number
      func field(_ distance: Int) -> UInt64 { file.littleEndian(UInt64.self, at: header + distance) ?? 0 }
      let (start, address, stored, size) = (field(8), field(16), field(32), field(40))
      switch file.littleEndian(UInt32.self, at: header) {
      case Kind.load:
        guard stored <= size, start <= UInt64(file.count), stored <= UInt64(file.count) - start,
          size <= UInt64(Int.max), !address.addingReportingOverflow(size).overflow
        else { throw .damaged("program header \(number) describes bytes outside of the file") }
        segments.append(
          LinkedImage.Segment(
            addresses: address..<(address + size), fileOffset: Int(start), fileSize: Int(stored),
            isExecutable: file.littleEndian(UInt32.self, at: header + 4).map { $0 & 1 != 0 } ?? false))
      case Kind.frameIndex: frameIndex = address
      case Kind.relocatedOnce where !address.addingReportingOverflow(size).overflow:
        relocatedOnce = address..<(address + size)
      default: break
      }
    }
    segments.sort { $0.addresses.lowerBound < $1.addresses.lowerBound }
  }
}
