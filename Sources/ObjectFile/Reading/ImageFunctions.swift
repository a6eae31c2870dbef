/// Where code begins in a linked image, as far as that does not depend on symbols.
extension LinkedImage {
  /// The functions, or parts of functions, with unwind information: what the index of `.eh_frame` lists (Linux Standard Base, "Exception
  /// Frames"). Empty where there is no such index, or one of another form than linkers make.
  public func unwoundFunctions() -> [UInt64] {
    // Version 1; an address, a count of 4 bytes, and pairs of distances of 4 bytes from here.
    guard let index = frameIndex, number(UInt32.self, at: index).map({ $0 >> 16 == 0x3b03 && $0 & 0xff == 1 }) == true,
      let count = number(UInt32.self, at: index &+ 8), let segment = segment(at: index)
    else { return [] }
    let first = Int(index - segment.addresses.lowerBound) + 12
    return withContents(of: segment) { bytes in
      // A wrong count ends where the file does.
      (0..<min(Int(count), max(0, bytes.count - first) / 8)).compactMap { number in
        bytes.littleEndian(Int32.self, at: first + 8 * number).map { index &+ UInt64(bitPattern: Int64($0)) }
      }
    }
  }

  /// The functions that are called at the start and at the end, as far as the file itself holds their addresses.
  public func initialisers() -> [UInt64] {
    sections.filter { [.initArray, .finiArray].contains($0.type) && $0.hasFileContents }.flatMap { section in
      (0..<section.contentSize / 8).compactMap { number(UInt64.self, at: section.address &+ UInt64(8 * $0)) }
    }
  }
}
