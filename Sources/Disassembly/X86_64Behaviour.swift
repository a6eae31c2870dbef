/// What one x86-64 instruction does, gathered operand by operand, in the order in which Intel writes them: the result first.
///
/// Instructions are known by their encoding (SDM volume 2, APM volumes 3 and 4). What is not certain to do this and nothing else to
/// general-purpose registers is left unknown, and what is no instruction of 64-bit mode is refused.
struct X86Behaviour {
  let encoding: X86Encoding
  var flow = ControlFlow.next
  var operation = Operation.other
  var effects = RegisterEffects(reads: [], writes: [])
  /// Whether the effects are certain.
  var isKnown = true
  private(set) var destination: Register?
  private(set) var destinationSize = 0
  var source: Register?
  var accessSize = 0
  private(set) var writesMemory = false
  /// Whether the prefix `lock` may stand in front.
  private var mayBeLocked = false
  private var hasOperands = false

  /// How an operand is used.
  enum Access { case read, write, readWrite }

  /// `nil` where the encoding is no instruction.
  init?(_ encoding: X86Encoding) {
    self.encoding = encoding
    if encoding.hasMemory {
      for number in [encoding.base, hasVectorIndex ? nil : encoding.index] {
        if let number { effects.reads.insert(RegisterSet(Register(number))) }
      }
    }
    guard decode(), !encoding.hasLock || mayBeLocked && encoding.hasMemory else { return nil }
    // A register that is also part of an address or a source is read before it is replaced.
    effects.overwrites.subtract(effects.reads)
    if !isKnown {
      effects = .unknown
      writesMemory = true
    }
  }

  private mutating func decode() -> Bool {
    switch (encoding.form, encoding.map) {
    case (.legacy, 0): oneByteMap()
    case (.legacy, 1): twoByteMap()
    default: vectorMaps()
    }
  }

  // MARK: Operands

  var size: Int { encoding.operandSize }

  /// Of the stack's instructions: 8 bytes, or 2 with the operand-size prefix.
  var stackSize: Int { encoding.hasOperandSizePrefix && !encoding.isWide ? 2 : 8 }

  /// Whether the index of the address is a vector register (VSIB).
  var hasVectorIndex: Bool {
    guard encoding.map == 2, encoding.form == .vex || encoding.form == .evex else { return false }
    switch encoding.opcode {
    case 0x90...0x93: return true
    case 0xa0...0xa3, 0xc6, 0xc7: return encoding.form == .evex
    default: return false
    }
  }

  /// The operand that ModRM names as memory or as a general-purpose register.
  mutating func place(_ access: Access, _ size: Int) {
    if encoding.hasMemory {
      accessSize = size
      hasOperands = true
      if access != .read { changeMemory() }
    } else {
      operand(encoding.registerInPlaceOfMemory, access, size)
    }
  }

  /// The register that the middle bits of ModRM name.
  mutating func register(_ access: Access, _ size: Int) { operand(encoding.register, access, size) }

  /// A general-purpose register by its number.
  mutating func operand(_ number: Int, _ access: Access, _ size: Int) {
    // Without REX, these are `ah`, `ch`, `dh` and `bh`.
    let isHigh = size == 1 && !encoding.hasREX && encoding.form == .legacy && (4...7).contains(number)
    let register = Register(isHigh ? number & 3 : number)
    if !hasOperands, access != .read, size >= 4 { (destination, destinationSize) = (register, size) }
    hasOperands = true
    use(RegisterSet(register), access, size)
  }

  /// Registers that the encoding does not name. A write to 32 bits clears the upper half; one to 8 or 16 bits keeps the rest.
  mutating func use(_ registers: RegisterSet, _ access: Access, _ size: Int = 8) {
    if access != .read { effects.writes.formUnion(registers) }
    if access == .write, size >= 4 {
      effects.overwrites.formUnion(registers)
    } else {
      effects.reads.formUnion(registers)
    }
  }

  /// The place in memory is written; next to the stack pointer that does not count.
  mutating func changeMemory() {
    let isOnStack = encoding.base == 4 && !encoding.hasAddressSizePrefix && !encoding.hasSegment && !hasVectorIndex
    if !isOnStack { writesMemory = true }
  }

  /// Some other memory is written, or may be.
  mutating func changeOtherMemory() { writesMemory = true }

  /// What an instruction that may be locked does to the place in memory is done in one step.
  mutating func allowLock() { mayBeLocked = true }

  /// The effects are not certain.
  mutating func unknown() -> Bool {
    isKnown = false
    return true
  }

  /// A register is replaced by zero, whatever it held.
  mutating func zero(_ number: Int) {
    let register = RegisterSet(Register(number))
    effects = RegisterEffects(reads: [], writes: register, overwrites: register)
  }
}

extension RegisterSet {
  static let rax = RegisterSet(Register(0))
  static let rcx = RegisterSet(Register(1))
  static let rdx = RegisterSet(Register(2))
  static let rbx = RegisterSet(Register(3))
  static let rsp = RegisterSet(Register(4))
  static let rbp = RegisterSet(Register(5))
  static let rsi = RegisterSet(Register(6))
  static let rdi = RegisterSet(Register(7))
  static let r11 = RegisterSet(Register(11))
}
