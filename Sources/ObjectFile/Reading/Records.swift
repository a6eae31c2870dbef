/// The fixed-size records of an ELF64 file, field for field in file order, so that a table of them can be borrowed
/// from the file without a copy. Only the layout is shared with `<elf.h>`; the tests compare sizes and offsets.

/// One symbol (`Elf64_Sym`).
public struct Symbol: Equatable, Sendable {
  /// Offset of the name in the symbol string table, in bytes.
  public var nameOffset: UInt32
  public var info: UInt8
  public var other: UInt8
  /// `st_shndx` as stored. ``ObjectFile/place(of:at:)`` gives the meaning, extended indexes included.
  public var storedSection: UInt16
  public var value: UInt64
  public var size: UInt64

  public var binding: SymbolBinding { SymbolBinding(info >> 4) }
  public var type: SymbolType { SymbolType(info & 0xf) }

  /// The size of a record in the file, in bytes.
  public static let size = 24
}

/// Where a symbol is defined: the meaning of `st_shndx`.
public enum SymbolPlace: Equatable, Sendable {
  case undefined
  case section(SectionIndex)
  /// `SHN_ABS`, `SHN_COMMON` and other reserved numbers.
  case reserved(UInt16)
}

/// One relocation with addend (`Elf64_Rela`).
public struct Relocation: Equatable, Sendable {
  /// `r_offset`: in a relocatable object a section offset, in bytes.
  public var storedOffset: UInt64
  public var info: UInt64
  public var addend: Int64

  public init(offset: SectionOffset, type: RelocationType, symbol: SymbolIndex, addend: Int64) {
    storedOffset = UInt64(offset.rawValue)
    info = UInt64(symbol.rawValue) << 32 | UInt64(type.rawValue)
    self.addend = addend
  }

  /// The section offset of the field; in range once ``ObjectFile/withRelocations(in:_:)`` has handed the table out.
  public var offset: SectionOffset { SectionOffset(Int(truncatingIfNeeded: storedOffset)) }
  public var type: RelocationType { RelocationType(UInt32(truncatingIfNeeded: info)) }
  public var symbol: SymbolIndex { SymbolIndex(Int(info >> 32)) }

  /// The size of a record in the file, in bytes.
  public static let size = 24
}

/// One section header (`Elf64_Shdr`), with its index.
public struct Section: Sendable {
  public var index: SectionIndex
  /// Offset of the name in the section name string table, in bytes.
  public var nameOffset: UInt32
  public var type: SectionType
  public var flags: SectionFlags
  public var address: UInt64
  /// File offset of the contents, in bytes.
  public var fileOffset: UInt64
  /// Size in bytes; takes no room in the file for `SHT_NOBITS`.
  public var size: UInt64
  public var link: UInt32
  public var info: UInt32
  public var alignment: UInt64
  public var entrySize: UInt64

  /// The size of a header in the file, in bytes.
  public static let headerSize = 64

  /// Whether the section has bytes in the file.
  public var hasFileContents: Bool { type != .nobits && type != .null && size != 0 }

  /// Number of bytes in the file: 0 for `SHT_NOBITS`, whatever size its header gives.
  public var contentSize: Int { hasFileContents ? Int(clamping: size) : 0 }

  /// File offset just past the contents; the section checks have ruled out an overflow.
  var fileEnd: UInt64 { hasFileContents ? fileOffset &+ size : fileOffset }
}
