/// An `ar` archive: its members' names and where they are (ar(5), the variant of GNU and LLVM, thin archives included).
public struct Archive: ~Copyable {
  let image: Image
  public let isThin: Bool
  /// The members in the archive's order, symbol indexes and name tables left out.
  public let members: [Member]
  /// The indexes of the members' global symbols.
  let symbolIndexes: [SymbolIndexPart]

  /// An index of symbols: where each is defined, as the file offset of a member's header.
  struct SymbolIndexPart {
    enum Format {
      /// Numbers of 4 or 8 bytes, most significant first: a count, then an offset for each symbol (`/`, `/SYM64/`).
      case gnu(numberSize: Int)
      /// Numbers of 4 or 8 bytes, least significant first: a size in bytes, then a name and an offset for each symbol (`__.SYMDEF`).
      case bsd(numberSize: Int)
    }

    var format: Format
    var range: Range<Int>
  }

  /// One file in the archive.
  public struct Member: Sendable {
    /// Without the marks that `ar` puts behind it.
    public var nameBytes: [UInt8]
    /// The name for people: what is no UTF-8 is replaced.
    public var name: String { String(decoding: nameBytes, as: UTF8.self) }
    /// The member's bytes in the archive; empty in a thin archive, where the name is that of a file, relative to the archive's folder.
    public var range: Range<Int>
    /// File offset of its header.
    var header: Int
  }

  private static let magicSize = 8
  /// `struct ar_hdr` of <ar.h>: name 16, date 12, uid 6, gid 6, mode 8, size 10, and the mark "`\n".
  static let headerSize = 60
  /// Where the size is in a header: decimal digits, filled up with spaces.
  static let sizeField = 48..<58
  private static let nameSize = 16

  /// Reads the archive's headers. Throws ``ObjectFileError/damaged(_:)`` where one is not as it must be.
  public init(reading input: borrowing InputFile) throws(ObjectFileError) {
    guard input.size > 0 else { throw .empty }
    let image = try Image(reading: input.descriptor, size: input.size)
    try self.init(image)
  }

  /// Reads the archive in `image`.
  init(_ image: consuming Image) throws(ObjectFileError) {
    (isThin, members, symbolIndexes) = try image.withBytes { bytes throws(ObjectFileError) in try Self.read(bytes) }
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

  private static func read(
    _ bytes: Span<UInt8>
  ) throws(ObjectFileError) -> (isThin: Bool, members: [Member], symbolIndexes: [SymbolIndexPart]) {
    guard case .archive(let isThin) = FileKind(bytes) else { throw .notElf }
    var members: [Member] = []
    var symbolIndexes: [SymbolIndexPart] = []
    var longNames = 0..<0
    var position = magicSize
    while position < bytes.count {
      guard position + headerSize <= bytes.count, bytes.hasBytes([0x60, 0x0a], at: position + 58) else {
        throw .damaged("no header of an archive member at file offset \(hex(position))")
      }
      let field = text(bytes, position..<position + nameSize)
      guard let size = Int(text(bytes, position + sizeField.lowerBound..<position + sizeField.upperBound)), size >= 0
      else {
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
      } else if isTable {
        symbolIndexes.append(
          SymbolIndexPart(format: .gnu(numberSize: field == "/" ? 4 : 8), range: start..<start + size))
      } else {
        guard let member = member(field, header: position, start..<start + stored, longNames, bytes) else {
          throw .damaged("the archive member at file offset \(hex(position)) has no name")
        }
        // The symbol indexes of BSD and LLVM have names like those of files.
        if member.name.hasPrefix("__.SYMDEF") {
          let size = member.name.hasPrefix("__.SYMDEF_64") ? 8 : 4
          symbolIndexes.append(SymbolIndexPart(format: .bsd(numberSize: size), range: member.range))
        } else {
          members.append(member)
        }
      }
      // Members begin at even offsets.
      position = start + stored + (start + stored) % 2
    }
    return (isThin, members, symbolIndexes)
  }

  private static func member(
    _ field: String, header: Int, _ range: Range<Int>, _ longNames: Range<Int>, _ bytes: Span<UInt8>
  ) -> Member? {
    // In a thin archive of GNU's, a slash that belongs to a name of 15 bytes may stand in the field's last byte: `/0             /`.
    if field.hasPrefix("/"), let offset = Int(field.dropFirst().prefix { $0.isASCII && $0.isNumber }) {
      guard offset >= 0, offset < longNames.count else { return nil }
      var end = longNames.lowerBound + offset
      while end < longNames.upperBound, bytes[end] != UInt8(ascii: "\n") { end += 1 }
      return Member(nameBytes: name(bytes, longNames.lowerBound + offset..<end), range: range, header: header)
    }
    if field.hasPrefix("#1/"), let length = Int(field.dropFirst(3)) {
      // BSD: the name stands in front of the contents, filled up with zeros.
      guard length >= 0, length <= range.count else { return nil }
      let start = range.lowerBound + length
      let name = trimmed(bytes, range.lowerBound..<start).prefix { $0 != 0 }
      return Member(nameBytes: Array(name), range: start..<range.upperBound, header: header)
    }
    guard !field.isEmpty else { return nil }
    return Member(nameBytes: name(bytes, header..<header + nameSize), range: range, header: header)
  }

  /// A name, which GNU's `ar` ends with a slash.
  private static func name(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    let name = trimmed(bytes, range)
    return name.last == UInt8(ascii: "/") ? Array(name.dropLast()) : name
  }

  /// A field of a header, without the spaces behind it.
  private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    String(decoding: trimmed(bytes, range), as: UTF8.self)
  }

  private static func trimmed(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
    var end = range.upperBound
    while end > range.lowerBound, bytes[end - 1] == UInt8(ascii: " ") { end -= 1 }
    var text: [UInt8] = []
    for position in range.lowerBound..<end { text.append(bytes[position]) }
    return text
  }
}
