/// The instruction sets that can be decoded.
public enum InstructionSet: CaseIterable, Sendable {
  case x86_64
  case aarch64
}

/// A general-purpose register, whatever part of it an instruction names: `al` and `rax` are one.
public struct Register: Hashable, Sendable {
  /// The number in the instruction's encoding: 0 to 15 on x86-64 (`rax` is 0), 0 to 30 on AArch64.
  public var number: Int

  public init(_ number: Int) { self.number = number }
}

/// A set of general-purpose registers.
public struct RegisterSet: OptionSet, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public init(_ register: Register) { self.init(rawValue: 1 << UInt32(register.number)) }

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
  /// Return, trap or anything else that does not go on.
  case stop
}

/// The few operations that bring an address into a register, by what they do with their operand.
public enum Operation: Equatable, Sendable {
  /// x86 `mov` from memory or of an immediate; AArch64 `ldr`, `movz`.
  case move
  /// x86 `lea`; AArch64 `adr`, `adrp`.
  case loadAddress
  case add
  case push
  case compare
  case other
}

/// One decoded instruction.
public struct Instruction: Equatable, Sendable {
  /// Offset in the section, in bytes.
  public var offset: Int
  /// Length in bytes.
  public var length: Int
  public var flow: ControlFlow
  public var operation: Operation
  /// The register that the whole result goes to, where that is the instruction's first operand.
  public var destination: Register?
  /// Registers that the instruction writes, in whole or in part. What a callee may write is not among them.
  public var writes: RegisterSet
  /// Whether a near branch has the operand-size prefix 66: Intel's processors ignore it, AMD's cut the target to 16 bits.
  public var hasOperandSizePrefix: Bool

  /// Offset of the instruction that follows, in bytes.
  public var end: Int { offset + length }
}
