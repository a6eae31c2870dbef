extension ObjectFile {
  /// How many bytes the compressed sections together say that they are when they are unpacked: a megabyte may stand for a gigabyte.
  /// The largest number there is where the sum would be larger.
  public var unpackedSize: UInt64 {
    var total: UInt64 = 0
    for section in sections where section.hasFileContents {
      let size = withContents(of: section.index) { bytes -> UInt64? in
        // `ch_size` of Elf64_Chdr (System V gABI, "Section Compression").
        if section.flags.contains(.compressed) { return bytes.littleEndian(UInt64.self, at: 8) }
        // The older way of GNU tools: "ZLIB", then the size with the most significant byte first.
        guard bytes.hasBytes(Array("ZLIB".utf8), at: 0),
          name(of: section.index, hasPrefix: Array(".zdebug".utf8))
        else { return nil }
        return bytes.littleEndian(UInt64.self, at: 4)?.byteSwapped
      }
      let (sum, overflow) = total.addingReportingOverflow(size ?? 0)
      if overflow { return .max }
      total = sum
    }
    return total
  }
}
