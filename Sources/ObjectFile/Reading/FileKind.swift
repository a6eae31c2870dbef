import SystemPackage

/// What a file is, judged by its first bytes.
public enum FileKind: Equatable, Sendable {
  /// A relocatable ELF object (`ET_REL`).
  case object
  /// A linked ELF file: an executable, a shared object, a kernel (`ET_EXEC`, `ET_DYN`).
  case image
  /// An `ar` archive; a thin one holds the names of its members only.
  case archive(thin: Bool)
  /// LLVM bitcode.
  case bitcode
  /// Any other ELF file: for another machine, 32-bit, big-endian, a core file.
  case otherElf
  case other

  /// Looks at the first bytes of `file`.
  public init(of file: borrowing InputFile) throws(ObjectFileError) {
    var start = [UInt8](repeating: 0, count: 20)
    let count = try system("read the file") {
      // SAFETY: the array's own bytes, as many as it has.
      try unsafe start.withUnsafeMutableBytes { unsafe try file.descriptor.read(fromAbsoluteOffset: 0, into: $0) }
    }
    start.removeLast(start.count - count)
    self.init(start.span)
  }

  /// Judges by `start`, the first 20 bytes or more.
  init(_ start: Span<UInt8>) {
    if start.hasBytes([0x7f] + Array("ELF".utf8), at: 0) {
      let machine = start.littleEndian(UInt16.self, at: 0x12).flatMap(Machine.init(rawValue:))
      guard start.hasBytes([2, 1], at: 4), machine != nil else {
        self = .otherElf
        return
      }
      switch start.littleEndian(UInt16.self, at: 0x10) {
      case 1: self = .object
      case 2, 3: self = .image
      default: self = .otherElf
      }
    } else if start.hasBytes(Array("!<arch>\n".utf8), at: 0) {
      self = .archive(thin: false)
    } else if start.hasBytes(Array("!<thin>\n".utf8), at: 0) {
      self = .archive(thin: true)
    } else {
      // "BC" 0xC0DE, and the wrapper around it that Apple's tools write (llvm/BitstreamReader).
      let isBitcode =
        start.hasBytes([0x42, 0x43, 0xc0, 0xde], at: 0) || start.hasBytes([0xde, 0xc0, 0x17, 0x0b], at: 0)
      self = isBitcode ? .bitcode : .other
    }
  }
}
