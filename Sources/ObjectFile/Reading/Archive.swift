/// An `ar` archive: its members' names and where they are (ar(5), the variant of GNU and LLVM, thin archives included).
public struct Archive: ~Copyable {
  private let image: Image
  public let isThin: Bool
  /// The members in the archive's order, symbol indexes and name tables left out.
  public let members: [Member]

  /// One file in the archive.
  public struct Member: Sendable {
    /// Without the marks that `ar` puts behind it.
    public var name: String
    /// The member's bytes in the archive; empty in a thin archive, where the name is that of a file, relative to the archive's folder.
    public var range: Range<Int>
  }

  private static let magicSize = 8
  /// `struct ar_hdr` of <ar.h>: name 16, date 12, uid 6, gid 6, mode 8, size 10, and the mark "`\n".
  private static let headerSize = 60

  /// Reads the archive's headers. Throws ``ObjectFileError/damaged(_:)`` where one is not as it must be.
  public init(reading input: borrowing InputFile) throws(ObjectFileError) {
    guard input.size > 0 else { throw .notElf }
    let image = try Image(reading: input.descriptor, size: input.size)
    let contents = try image.withBytes { bytes throws(ObjectFileError) in try Self.read(bytes) }
    (isThin, members) = contents
    self.image = image
  }

  /// Whether one of the texts occurs in a member's bytes. `member` must be one of ``members``.
  public func holds(anyOf texts: [[UInt8]], in member: Member) -> Bool {
    texts.contains { image.firstOffset(of: $0, in: member.range) != nil }
  }

  /// What a member is. `member` must be one of ``members``.
  public func kind(of member: Member) -> FileKind {
    image.withBytes { FileKind($0.extracting(member.range)) }
  }

  /// Reads a member that is an object. `member` must be one of ``members``, and not empty.
  public func object(_ member: Member) throws(ObjectFileError) -> ObjectFile {
    try ObjectFile(Image(copying: member.range, of: image))
  }

  private static func read(_ bytes: Span<UInt8>) throws(ObjectFileError) -> (isThin: Bool, members: [Member]) {
    guard case .archive(let isThin) = FileKind(bytes) else { throw .notElf }
    var members: [Member] = []
    var longNames = 0..<0
    var position = magicSize
    while position < bytes.count {
      guard position + headerSize <= bytes.count, bytes.hasBytes([0x60, 0x0a], at: position + 58) else {
        throw .damaged("no header of an archive member at file offset \(hex(position))")
      }
      let field = text(bytes, position..<position + 16)
      guard let size = Int(text(bytes, position + 48..<position + 58)), size >= 0 else {
        throw .damaged("the size of the archive member at file offset \(hex(position)) is no number")
      }
      let start = position + headerSize
      let isTable = ["/", "//", "/SYM64/"].contains(field)
      let stored = isThin && !isTable ? 0 : size
      guard stored <= bytes.count - start else {
        throw .truncated("the archive member at file offset \(hex(position)) reaches past its end")
      }
      if field == "//" {
        longNames = start..<start + size
      } else if !isTable {
        guard let member = member(field, start..<start + stored, longNames, bytes) else {
          throw .damaged("the archive member at file offset \(hex(position)) has no name")
        }
        members.append(member)
      }
      // Members begin at even offsets.
      position = start + stored + (start + stored) % 2
    }
    return (isThin, members)
  }

  private static func member(
    _ field: String, _ range: Range<Int>, _ longNames: Range<Int>, _ bytes: Span<UInt8>
  ) -> Member? {
    if field.hasPrefix("/"), let offset = Int(field.dropFirst()) {
      guard offset >= 0, offset < longNames.count else { return nil }
      var end = longNames.lowerBound + offset
      while end < longNames.upperBound, bytes[end] != UInt8(ascii: "\n") { end += 1 }
      let name = text(bytes, longNames.lowerBound + offset..<end)
      return Member(name: name.hasSuffix("/") ? String(name.dropLast()) : name, range: range)
    }
    if field.hasPrefix("#1/"), let length = Int(field.dropFirst(3)) {
      // BSD: the name stands in front of the contents.
      guard length >= 0, length <= range.count else { return nil }
      let name = bytes.extracting(range).string(at: 0)
      return Member(name: name, range: range.lowerBound + length..<range.upperBound)
    }
    guard !field.isEmpty else { return nil }
    return Member(name: field.hasSuffix("/") ? String(field.dropLast()) : field, range: range)
  }

  /// A field of a header, without the spaces behind it.
  private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    var end = range.upperBound
    while end > range.lowerBound, bytes[end - 1] == UInt8(ascii: " ") { end -= 1 }
    var text: [UInt8] = []
    for position in range.lowerBound..<end { text.append(bytes[position]) }
    return String(decoding: text, as: UTF8.self)
  }
}
