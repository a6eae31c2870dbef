/// Numbers of an ELF file that must not be mixed up each have a type of their own.
///
/// The constants are computed properties: for a stored one another module calls a function each time.

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
  public static var none: RelocationType { RelocationType(0) }
}

/// A section type (`sh_type`); unknown ones are carried along.
public struct SectionType: Hashable, Sendable {
  public var rawValue: UInt32

  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static var null: SectionType { SectionType(0) }
  public static var progbits: SectionType { SectionType(1) }
  public static var symtab: SectionType { SectionType(2) }
  public static var strtab: SectionType { SectionType(3) }
  public static var rela: SectionType { SectionType(4) }
  public static var nobits: SectionType { SectionType(8) }
  public static var rel: SectionType { SectionType(9) }
  public static var dynsym: SectionType { SectionType(11) }
  public static var initArray: SectionType { SectionType(14) }
  public static var finiArray: SectionType { SectionType(15) }
  public static var group: SectionType { SectionType(17) }
  public static var symtabShndx: SectionType { SectionType(18) }
  /// `SHT_LLVM_ADDRSIG`: symbol indexes as ULEB128 numbers.
  public static var llvmAddrsig: SectionType { SectionType(0x6fff_4c03) }
  /// `SHT_LLVM_CALL_GRAPH_PROFILE` since LLVM 13: weights, with the symbols in an `SHT_REL` section of its own.
  public static var llvmCallGraphProfile: SectionType { SectionType(0x6fff_4c09) }
  /// `SHT_CREL`, the compact relocations of LLVM.
  public static var crel: SectionType { SectionType(0x4000_0014) }
}

/// Section flags (`sh_flags`); unknown ones are carried along.
public struct SectionFlags: OptionSet, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  public static var write: SectionFlags { SectionFlags(rawValue: 0x1) }
  public static var alloc: SectionFlags { SectionFlags(rawValue: 0x2) }
  public static var execInstr: SectionFlags { SectionFlags(rawValue: 0x4) }
  public static var merge: SectionFlags { SectionFlags(rawValue: 0x10) }
  public static var infoLink: SectionFlags { SectionFlags(rawValue: 0x40) }
  public static var linkOrder: SectionFlags { SectionFlags(rawValue: 0x80) }
  public static var group: SectionFlags { SectionFlags(rawValue: 0x200) }
  public static var tls: SectionFlags { SectionFlags(rawValue: 0x400) }
  public static var compressed: SectionFlags { SectionFlags(rawValue: 0x800) }
  /// `SHF_EXCLUDE`: the linker leaves the section out.
  public static var exclude: SectionFlags { SectionFlags(rawValue: 0x8000_0000) }
}

/// A symbol's binding (`ELF64_ST_BIND`); unknown ones are carried along.
public struct SymbolBinding: Hashable, Sendable {
  public var rawValue: UInt8

  public init(_ rawValue: UInt8) { self.rawValue = rawValue }

  public static var local: SymbolBinding { SymbolBinding(0) }
  public static var global: SymbolBinding { SymbolBinding(1) }
  public static var weak: SymbolBinding { SymbolBinding(2) }
}

/// A symbol's type (`ELF64_ST_TYPE`); unknown ones are carried along.
public struct SymbolType: Hashable, Sendable {
  public var rawValue: UInt8

  public init(_ rawValue: UInt8) { self.rawValue = rawValue }

  public static var noType: SymbolType { SymbolType(0) }
  public static var object: SymbolType { SymbolType(1) }
  public static var function: SymbolType { SymbolType(2) }
  public static var section: SymbolType { SymbolType(3) }
  public static var file: SymbolType { SymbolType(4) }
  public static var threadLocal: SymbolType { SymbolType(6) }
  /// `STT_GNU_IFUNC`: a function whose address another function returns.
  public static var indirectFunction: SymbolType { SymbolType(10) }
}

/// The machines whose objects staticcall handles, by their `e_machine` number.
public enum Machine: UInt16, CaseIterable, Sendable {
  case x86_64 = 62
  case aarch64 = 183
}
