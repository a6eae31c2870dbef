/// The instruction sets that can be decoded.
public enum InstructionSet: CaseIterable, Sendable {
  case x86_64
  case aarch64
}

/// A general-purpose register, whatever part of it an instruction names: `al` and `rax` are one.
public struct Register: Hashable, Sendable {
  private let storedNumber: UInt8

  public init(_ number: Int) { storedNumber = UInt8(clamping: number) }

  /// The number in the instruction's encoding: 0 to 15 on x86-64 (`rax` is 0), 0 to 30 on AArch64.
  public var number: Int { Int(storedNumber) }
}

/// A set of general-purpose registers.
public struct RegisterSet: OptionSet, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public init(_ register: Register) { self.init(rawValue: 1 << UInt32(register.number)) }

  public static let all = RegisterSet(rawValue: .max)

  /// Whether the register is in the set.
  public func contains(_ register: Register) -> Bool { contains(RegisterSet(register)) }
}

/// What a branch jumps to.
public enum BranchTarget: Equatable, Sendable {
  /// An offset in the section that was decoded, in bytes; negative or past its end for a target elsewhere.
  case direct(Int)
  case register(Register)
  /// Through a pointer in memory.
  case memory
}

/// Where control goes after an instruction.
public enum ControlFlow: Equatable, Sendable {
  case next
  case call(BranchTarget)
  case jump(BranchTarget)
  case conditionalJump(BranchTarget)
  /// A trap: control goes on behind it where a handler lets it.
  case trap
  /// Return or anything else that does not go on.
  case stop
}

/// The few operations that bring an address into a register, by what they do with their operand.
public enum Operation: Equatable, Sendable {
  /// x86 `mov` to a register; AArch64 `ldr`, `ldp`.
  case move
  /// x86 `movslq`: 32 bits, extended by their sign.
  case moveSigned
  /// x86 `lea`; AArch64 `adr`, `adrp`.
  case loadAddress
  case add
  case push
  /// A store of a register or an immediate.
  case store
  case compare
  case other
}

/// An operand in memory.
public struct MemoryOperand: Equatable, Sendable {
  /// The register that the address starts from, unless that is the program counter or none.
  public var base: Register?
  public var index: Register?
  private let storedScale: UInt8
  private let storedSize: UInt8
  /// In bytes.
  public var displacement: Int
  /// Whether the address counts from the end of the instruction.
  public var isProgramCounterRelative: Bool
  /// Whether the address counts from a segment's base: not the place that base, index and displacement say.
  public var isSegmented: Bool

  /// What the index is multiplied by.
  public var scale: Int { Int(storedScale) }
  /// How many bytes are accessed.
  public var size: Int { Int(storedSize) }

  public init(
    base: Register? = nil, index: Register? = nil, scale: Int = 1, displacement: Int = 0,
    isProgramCounterRelative: Bool = false, isSegmented: Bool = false, size: Int = 8
  ) {
    self.base = base
    self.index = index
    storedScale = UInt8(clamping: scale)
    self.displacement = displacement
    self.isProgramCounterRelative = isProgramCounterRelative
    self.isSegmented = isSegmented
    storedSize = UInt8(clamping: size)
  }
}

/// What an instruction does to the general-purpose registers, apart from what a callee does.
public struct RegisterEffects: Equatable, Sendable {
  /// Registers whose old contents the instruction may depend on.
  public var reads: RegisterSet
  /// Registers that it may change, in whole or in part.
  public var writes: RegisterSet
  /// Registers that it replaces in whole, whatever they held.
  public var overwrites: RegisterSet

  public init(reads: RegisterSet, writes: RegisterSet, overwrites: RegisterSet = []) {
    self.reads = reads
    self.writes = writes
    self.overwrites = overwrites
  }

  /// What has to be assumed of an instruction that nobody vouches for.
  public static let unknown = RegisterEffects(reads: .all, writes: .all)
}

/// One decoded instruction. A long function has many of them: small numbers are stored in bytes.
public struct Instruction: Equatable, Sendable {
  /// Offset in the section, in bytes.
  public var offset: Int
  private let storedLength: UInt8
  private let storedDestinationSize: UInt8
  public var flow: ControlFlow
  public var operation: Operation
  /// The register that the whole result goes to, where that is the instruction's first operand.
  public var destination: Register?
  /// The register whose 64 bits an x86 `mov` copies to ``destination``, or an `add` adds to it.
  public var source: Register?
  /// The operand in memory of an x86 instruction that has one.
  public var memory: MemoryOperand?
  /// Whether it may change memory elsewhere than at the stack pointer.
  public var writesMemory: Bool
  /// Where the instruction is not one whose effects on registers are known for certain, ``RegisterEffects/unknown``.
  public var effects: RegisterEffects
  /// Whether a branch has the operand-size prefix 66: Intel's processors ignore it, AMD's cut the target to 16 bits.
  public var hasOperandSizePrefix: Bool

  init(
    offset: Int, length: Int, flow: ControlFlow, operation: Operation, destination: Register?, destinationSize: Int,
    source: Register?, memory: MemoryOperand?, writesMemory: Bool, effects: RegisterEffects, hasOperandSizePrefix: Bool
  ) {
    self.offset = offset
    storedLength = UInt8(clamping: length)
    storedDestinationSize = UInt8(clamping: destinationSize)
    self.flow = flow
    self.operation = operation
    self.destination = destination
    self.source = source
    self.memory = memory
    self.writesMemory = writesMemory
    self.effects = effects
    self.hasOperandSizePrefix = hasOperandSizePrefix
  }

  /// Length in bytes.
  public var length: Int { Int(storedLength) }

  /// How many bytes of ``destination`` are written: 4, which clears the others, or 8; 0 where there is no destination.
  public var destinationSize: Int { Int(storedDestinationSize) }

  /// Offset of the instruction that follows, in bytes.
  public var end: Int { offset + length }
}
