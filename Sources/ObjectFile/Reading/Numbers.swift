/// Numbers of an ELF file that must not be mixed up each have a type of their own.

/// An index into the section header table. Index 0 is `SHN_UNDEF`.
public struct SectionIndex: Hashable, Comparable, Sendable {
  public var rawValue: Int

  public init(_ rawValue: Int) { self.rawValue = rawValue }

  public static func < (left: SectionIndex, right: SectionIndex) -> Bool { left.rawValue < right.rawValue }
}

/// An index into the symbol table. Index 0 is `STN_UNDEF`.
public struct SymbolIndex: Hashable, Comparable, Sendable {
  public var rawValue: Int

  public init(_ rawValue: Int) { self.rawValue = rawValue }

  public static func < (left: SymbolIndex, right: SymbolIndex) -> Bool { left.rawValue < right.rawValue }
}

/// A distance in bytes from the start of a section; never negative.
public struct SectionOffset: Hashable, Comparable, Sendable {
  public var rawValue: Int

  public init(_ rawValue: Int) { self.rawValue = rawValue }

  public static func < (left: SectionOffset, right: SectionOffset) -> Bool { left.rawValue < right.rawValue }
}

/// A relocation type (`ELF64_R_TYPE`). What a number means depends on the machine; unknown ones are carried along.
public struct RelocationType: Hashable, Sendable {
  public var rawValue: UInt32

  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  /// `R_X86_64_NONE` and `R_AARCH64_NONE`.
  public static let none = RelocationType(0)
}

/// A section type (`sh_type`); unknown ones are carried along.
public struct SectionType: Hashable, Sendable {
  public var rawValue: UInt32

  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static let null = SectionType(0)
  public static let progbits = SectionType(1)
  public static let symtab = SectionType(2)
  public static let strtab = SectionType(3)
  public static let rela = SectionType(4)
  public static let nobits = SectionType(8)
  public static let rel = SectionType(9)
  public static let dynsym = SectionType(11)
  public static let group = SectionType(17)
  public static let symtabShndx = SectionType(18)
  /// `SHT_LLVM_ADDRSIG`: symbol indexes as ULEB128 numbers.
  public static let llvmAddrsig = SectionType(0x6fff_4c03)
  /// `SHT_LLVM_CALL_GRAPH_PROFILE` since LLVM 13: weights, with the symbols in an `SHT_REL` section of its own.
  public static let llvmCallGraphProfile = SectionType(0x6fff_4c09)
  /// `SHT_CREL`, the compact relocations of LLVM.
  public static let crel = SectionType(0x4000_0014)
}

/// Section flags (`sh_flags`); unknown ones are carried along.
public struct SectionFlags: OptionSet, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static let write = SectionFlags(rawValue: 0x1)
  public static let alloc = SectionFlags(rawValue: 0x2)
  public static let execInstr = SectionFlags(rawValue: 0x4)
  public static let merge = SectionFlags(rawValue: 0x10)
  public static let infoLink = SectionFlags(rawValue: 0x40)
  public static let linkOrder = SectionFlags(rawValue: 0x80)
  public static let group = SectionFlags(rawValue: 0x200)
  public static let tls = SectionFlags(rawValue: 0x400)
  public static let compressed = SectionFlags(rawValue: 0x800)
  /// `SHF_EXCLUDE`: the linker leaves the section out.
  public static let exclude = SectionFlags(rawValue: 0x8000_0000)
}

/// A symbol's binding (`ELF64_ST_BIND`); unknown ones are carried along.
public struct SymbolBinding: Hashable, Sendable {
  public var rawValue: UInt8

  public init(_ rawValue: UInt8) { self.rawValue = rawValue }

  public static let local = SymbolBinding(0)
  public static let global = SymbolBinding(1)
  public static let weak = SymbolBinding(2)
}

/// A symbol's type (`ELF64_ST_TYPE`); unknown ones are carried along.
public struct SymbolType: Hashable, Sendable {
  public var rawValue: UInt8

  public init(_ rawValue: UInt8) { self.rawValue = rawValue }

  public static let noType = SymbolType(0)
  public static let object = SymbolType(1)
  public static let function = SymbolType(2)
  public static let section = SymbolType(3)
  public static let file = SymbolType(4)
}

/// The machines whose objects staticcall handles, by their `e_machine` number.
public enum Machine: UInt16, CaseIterable, Sendable {
  case x86_64 = 62
  case aarch64 = 183
}
