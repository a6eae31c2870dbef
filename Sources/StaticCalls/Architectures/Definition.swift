import Disassembly

/// How an instruction makes the whole contents of a register, as far as addresses are concerned.
struct Definition: Equatable {
  var register: Register
  var source: Source
  /// The shape of a call through the register, where this instruction completes the address.
  var shape: Shape
}

/// Where a value comes from. "The symbol" is what the instruction's relocation names, addend included.
enum Source: Equatable {
  /// The address of the symbol.
  case symbol
  /// Eight bytes from memory at the symbol.
  case memoryAtSymbol
  /// AArch64 `adrp`: the page of the symbol, or of its entry in the global offset table.
  case page
  case pageOfTableEntry
  /// AArch64, the low twelve bits added to a page in a register: the symbol's address, eight bytes from memory there, or the
  /// address from the symbol's entry in the global offset table.
  case addressOnPage(Register)
  case memoryOnPage(Register)
  case tableEntryOnPage(Register)
  /// The same with the page of the whole table in the register (`gcc -fpic`).
  case tableEntryOnTablePage(Register)
  /// AArch64 `movz`, `movk`: one of the four 16-bit parts of the symbol's address, over zero or over what is there.
  case part(Int, isFirst: Bool)
  /// An offset in the section that the instruction is in.
  case place(Int)
  /// Eight bytes from memory at an offset in the section that the instruction is in.
  case memoryAtPlace(Int)
  case register(Register)
  /// The stack pointer, or a register, plus a constant.
  case stackPointer
  case registerPlusConstant(Register)
  /// Eight bytes from memory at a register plus a displacement in bytes.
  case memory(base: Register, displacement: Int)
  /// x86-64: the symbol's address, or that of its entry in the global offset table, as a distance from the table's start.
  case distanceFromTable
  /// The sum of two registers, or eight bytes from memory there.
  case sum(Register, Register)
  case memoryAtSum(Register, Register)
  /// An element of an array at a register, or at the symbol, with an index that is not known.
  case element(base: Register?, Element)
  /// The sum of a register and an element in another, shifted to the left.
  case sumWithElement(base: Register, element: Register, shift: Int, Extension)

  /// Whether memory is read, other than the global offset table.
  var readsMemory: Bool {
    switch self {
    case .memoryAtSymbol, .memoryOnPage, .memoryAtPlace, .memory, .memoryAtSum, .element: true
    case .symbol, .page, .pageOfTableEntry, .addressOnPage, .tableEntryOnPage, .tableEntryOnTablePage, .part, .place,
      .register, .stackPointer, .registerPlusConstant, .distanceFromTable, .sum, .sumWithElement:
      false
    }
  }

  /// What an element is widened from.
  enum Extension: Hashable {
    case whole
    case signed(bytes: Int)
    case unsigned(bytes: Int)
  }
}

/// The form of an array's elements.
struct Element: Hashable {
  /// Size in bytes.
  var size: Int
  var isSigned: Bool
}
