/// The bytes of an ELF64 object, whose fields can be read and damaged by name. It reads only what a field needs, and trusts
/// what it reads: it is for objects that were sound when the test began.
public struct ElfBytes: Sendable {
  public var bytes: [UInt8]
  /// The index of the symbol table in the sound object; 0 without one.
  public private(set) var symbolTable = 0

  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
    symbolTable = (0..<sectionCount).first { self[section: $0, .type] == 2 } ?? 0
  }

  public init(file path: String) throws { try self.init(TestSupport.bytes(of: path)) }

  /// A field of a record: its offset in the record and its size, in bytes.
  public protocol Field: RawRepresentable<Int>, Sendable {
    var size: Int { get }
  }

  /// Fields of `Elf64_Ehdr`.
  public enum HeaderField: Int, Field {
    case fileClass = 0x04
    case dataEncoding = 0x05
    case identVersion = 0x06
    case type = 0x10
    case machine = 0x12
    case version = 0x14
    case sectionTable = 0x28
    case sectionHeaderSize = 0x3a
    case sectionCount = 0x3c
    case sectionNames = 0x3e

    public var size: Int {
      switch self {
      case .fileClass, .dataEncoding, .identVersion: 1
      case .type, .machine, .sectionHeaderSize, .sectionCount, .sectionNames: 2
      case .version: 4
      case .sectionTable: 8
      }
    }
  }

  /// Fields of `Elf64_Shdr`.
  public enum SectionField: Int, Field {
    case name = 0
    case type = 4
    case flags = 8
    case address = 16
    case offset = 24
    case length = 32
    case link = 40
    case info = 44
    case alignment = 48
    case entrySize = 56

    public var size: Int {
      switch self {
      case .name, .type, .link, .info: 4
      default: 8
      }
    }
  }

  /// Fields of `Elf64_Sym`.
  public enum SymbolField: Int, Field {
    case name = 0
    case info = 4
    case other = 5
    case section = 6
    case value = 8
    case length = 16

    public var size: Int {
      switch self {
      case .name: 4
      case .info, .other: 1
      case .section: 2
      case .value, .length: 8
      }
    }
  }

  /// Fields of `Elf64_Rela`.
  public enum RelocationField: Int, Field {
    case offset = 0
    case type = 8
    case symbol = 12
    case addend = 16

    public var size: Int { self == .type || self == .symbol ? 4 : 8 }
  }

  // MARK: Fields

  public subscript(field: HeaderField) -> UInt64 {
    get { number(at: field.rawValue, field.size) }
    set { setNumber(newValue, at: field.rawValue, field.size) }
  }

  public subscript(section index: Int, field: SectionField) -> UInt64 {
    get { number(at: header(of: index) + field.rawValue, field.size) }
    set { setNumber(newValue, at: header(of: index) + field.rawValue, field.size) }
  }

  public subscript(symbol index: Int, field: SymbolField) -> UInt64 {
    get { number(at: record(index, of: symbolTable, 24) + field.rawValue, field.size) }
    set { setNumber(newValue, at: record(index, of: symbolTable, 24) + field.rawValue, field.size) }
  }

  public subscript(relocation index: Int, of section: Int, field: RelocationField) -> UInt64 {
    get { number(at: record(index, of: section, 24) + field.rawValue, field.size) }
    set { setNumber(newValue, at: record(index, of: section, 24) + field.rawValue, field.size) }
  }

  // MARK: Sections and symbols

  /// Number of section headers, extended numbering resolved.
  public var sectionCount: Int {
    let stored = Int(self[.sectionCount])
    return stored == 0 ? Int(self[section: 0, .length]) : stored
  }

  public var symbolCount: Int { Int(self[section: symbolTable, .length]) / 24 }

  /// The index of the section with a name; the first where there are several.
  public func section(_ name: String) throws -> Int {
    guard let index = (1..<sectionCount).first(where: { self.name(ofSection: $0) == name }) else {
      throw ToolFailure(description: "the object has no section \(name)")
    }
    return index
  }

  /// The names of the symbols that the object's `.llvm_addrsig` lists, in ULEB128 numbers, sorted.
  public func addressSignificant() throws -> [String] {
    var names: [String] = []
    var (number, shift) = (0, 0)
    for byte in contents(ofSection: try section(".llvm_addrsig")) {
      number |= Int(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 {
        names.append(name(ofSymbol: number))
        (number, shift) = (0, 0)
      }
    }
    return names.sorted()
  }

  /// The index of the symbol with a name.
  public func symbol(_ name: String) throws -> Int {
    guard let index = (1..<symbolCount).first(where: { self.name(ofSymbol: $0) == name }) else {
      throw ToolFailure(description: "the object has no symbol \(name)")
    }
    return index
  }

  public func name(ofSection index: Int) -> String {
    let names = self[.sectionNames] == 0xffff ? self[section: 0, .link] : self[.sectionNames]
    return string(at: Int(self[section: Int(names), .offset] + self[section: index, .name]))
  }

  public func name(ofSymbol index: Int) -> String {
    let names = Int(self[section: symbolTable, .link])
    return string(at: Int(self[section: names, .offset] + self[symbol: index, .name]))
  }

  /// The contents of a section; empty for one that takes no room in the file.
  public func contents(ofSection index: Int) -> ArraySlice<UInt8> {
    let start = Int(self[section: index, .offset])
    let isInFile = self[section: index, .type] != 8 && self[section: index, .type] != 0
    return bytes[start..<(isInFile ? start + Int(self[section: index, .length]) : start)]
  }

  /// File offset of a section's contents, in bytes.
  public func offset(ofSection index: Int) -> Int { Int(self[section: index, .offset]) }

  /// Puts a number of `size` bytes at a file offset.
  public mutating func setNumber(_ number: UInt64, at offset: Int, _ size: Int) {
    for position in 0..<size { bytes[offset + position] = UInt8(truncatingIfNeeded: number >> UInt64(8 * position)) }
  }

  /// The number of `size` bytes at a file offset.
  public func number(at offset: Int, _ size: Int) -> UInt64 {
    var number: UInt64 = 0
    for position in 0..<size { number |= UInt64(bytes[offset + position]) << UInt64(8 * position) }
    return number
  }

  private func header(of section: Int) -> Int { Int(self[.sectionTable]) + 64 * section }

  private func record(_ index: Int, of section: Int, _ size: Int) -> Int { offset(ofSection: section) + size * index }

  private func string(at offset: Int) -> String {
    String(decoding: bytes[offset...].prefix { $0 != 0 }, as: UTF8.self)
  }
}
