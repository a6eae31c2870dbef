import Glibc

/// Both machines store headers, relocations and instructions with the least significant byte first.

extension Span where Element == UInt8 {
  /// The little-endian number in the bytes at `offset`, or `nil` where it would reach past the end.
  @inlinable
  public func littleEndian<Number: FixedWidthInteger>(_: Number.Type, at offset: Int) -> Number? {
    let size = Number.bitWidth / 8
    guard offset >= 0, count >= size, offset <= count - size else { return nil }
    var number: Number = 0
    for position in 0..<size {
      number |= Number(truncatingIfNeeded: self[offset + position]) << Number(8 * position)
    }
    return number
  }

  /// Whether the bytes at `offset` are exactly `bytes`.
  public func hasBytes(_ bytes: [UInt8], at offset: Int) -> Bool {
    guard offset >= 0, count >= bytes.count, offset <= count - bytes.count else { return false }
    for position in bytes.indices where self[offset + position] != bytes[position] { return false }
    return true
  }
}

extension Span where Element == UInt8 {
  /// Whether both spans hold the same bytes in `range`, which must lie inside both.
  func hasSameBytes(as other: Span<UInt8>, in range: Range<Int>) -> Bool {
    let (own, others) = (extracting(range), other.extracting(range))
    // SAFETY: both buffers hold as many bytes as the range, which `extracting` checked.
    return unsafe own.withUnsafeBytes { own in
      unsafe others.withUnsafeBytes { others in
        guard let first = own.baseAddress, let second = others.baseAddress else { return range.isEmpty }
        return unsafe memcmp(first, second, range.count) == 0
      }
    }
  }
}

extension Array where Element == UInt8 {
  /// Appends `number`, least significant byte first.
  mutating func append<Number: FixedWidthInteger>(littleEndian number: Number) {
    // SAFETY: the bytes of a local number, copied before the call returns.
    unsafe Swift.withUnsafeBytes(of: number.littleEndian) { unsafe append(contentsOf: $0) }
  }

  /// Appends the bytes of `span` in `range`.
  mutating func append(contentsOf span: Span<UInt8>, in range: Range<Int>) {
    // SAFETY: the bytes are copied before the call returns; `extracting` checks the range.
    unsafe span.extracting(range).withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}

/// The bytes of `number`, least significant byte first.
func littleEndianBytes(_ number: some FixedWidthInteger) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.append(littleEndian: number)
  return bytes
}
