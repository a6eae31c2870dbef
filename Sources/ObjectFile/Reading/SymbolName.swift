/// The name of a symbol, or a part of it: any bytes.
///
/// In place of an array, which is hashed byte by byte: names are looked up more often than anything else.
public struct SymbolName: Hashable, Sendable {
  /// Without the NUL at its end.
  public var bytes: [UInt8]

  /// A name of these bytes.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// All bytes at once.
  public func hash(into hasher: inout Hasher) {
    // SAFETY: the bytes are read before the call returns.
    unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  }
}
