import Disassembly
import ObjectFile

/// What staticcall knows of one machine: relocation numbers, branch encodings and register rules, as data and pure functions.
///
/// A new machine is one file with a conforming type, one line in ``architecture(of:)`` and a case of `Machine`.
protocol Architecture {
  static var instructionSet: InstructionSet { get }

  /// The 32-bit PC-relative relocation of both fields of a table entry.
  static var tableRelocation: RelocationType { get }

  /// What the relocated field is, judged by the relocation and the bytes around it alone.
  static func field(of relocation: Relocation, in code: Span<UInt8>) -> RelocatedField

  /// The offset from the relocation's symbol that the relocated instruction refers to, where it ends at `end` (a section
  /// offset): the addend, freed from what the machine's PC-relative relocations add to it.
  static func targetOffset(of relocation: Relocation, instructionEnd end: Int) -> Int64

  /// How an instruction that a relocation completes brings a trampoline's address into play; `nil` for one that is only a
  /// part of it, such as AArch64's `adrp`.
  static func use(of instruction: Instruction, _ relocation: Relocation) -> AddressUse?

  /// The register that a thunk jumps to, by the thunk's name; `nil` for any other symbol.
  static func thunkRegister(_ symbolName: String) -> Register?

  /// Registers that a called function must preserve.
  static var calleeSaved: RegisterSet { get }

  /// A register as its assembler spells it.
  static func name(of register: Register) -> String

  /// Where to go on decoding after bytes that are no known instruction; `nil` where that cannot be told.
  static func resume(after offset: Int) -> Int?

  /// The bytes that a runtime would patch of a direct branch, in the section that holds `code`; `nil` for a form it cannot
  /// retarget.
  static func patchableBytes(of branch: Instruction, in code: Span<UInt8>) -> Range<Int>?

  /// The shape of a direct branch with a relocation.
  static func directShape(_ kind: CallKind) -> Shape

  /// The shape of an address that stands among the code and is no part of an instruction.
  static func shapeInData(_ relocation: Relocation) -> Shape

  /// The shape of a call through a thunk.
  static var thunkShape: Shape { get }
}

/// What a relocated field is.
enum RelocatedField: Equatable {
  /// The displacement of a branch that starts at a section offset and takes `length` bytes.
  case branch(start: Int, length: Int, kind: CallKind, certainty: BranchCertainty)
  /// The displacement of a branch in a form whose target a runtime cannot change.
  case unpatchableBranch
  /// Anything else.
  case other
}

/// How sure the bytes before the field are an opcode.
enum BranchCertainty: Equatable {
  case certain
  /// They are, and a prefix that forbids patching may stand before them.
  case mayHavePrefix
  /// They may belong to another instruction: only decoding from a label on can tell.
  case needsInstructionStart
}

/// How an instruction uses the address that its relocation gives it.
enum AddressUse: Equatable {
  /// It calls or jumps through the address in the global offset table.
  case branchThroughTable(CallKind, Shape)
  /// It leaves the address in a register.
  case load(Register, Shape)
  /// It pushes the address, for a thunk to return to (gcc's idiom for retpolines without a PLT).
  case push(Shape)
  /// It compares, stores or computes with it.
  case other(Shape)
}

/// How control reaches the trampoline.
public enum CallKind: String, Sendable {
  case call
  /// An unconditional jump: a tail call.
  case tail
  /// A conditional jump: a conditional tail call.
  case conditionalTail = "cond-tail"

  /// The flags of the entry (include/linux/static_call_types.h: `STATIC_CALL_SITE_TAIL`).
  var flags: Int64 { self == .call ? 0 : 1 }
}

/// The catalogue of what compilers make of a reference to a trampoline; DESIGN.md has the bytes.
public enum Shape: String, Sendable {
  /// x86-64 `call`, `jmp`, `jcc` with a 32-bit displacement.
  case x1 = "X1"
  case x2 = "X2"
  case x3 = "X3"
  /// x86-64 `call`, `jmp` through the global offset table.
  case x4 = "X4"
  case x5 = "X5"
  /// x86-64: the address is pushed and a thunk returns to it.
  case x6 = "X6"
  /// AArch64 `bl`, `b`.
  case a1 = "A1"
  case a2 = "A2"
  /// x86-64, address in a register: from the GOT; by `lea`; by a 32-bit immediate; by a 64-bit one; the two ways of the large
  /// model with position-independent code.
  case m1 = "M1"
  case m2 = "M2"
  case m3 = "M3"
  case m4 = "M4"
  case m5 = "M5"
  case m6 = "M6"
  /// AArch64, address in a register: from the GOT; by `adrp` and `add`; by a literal or `adr`; by `movz` and `movk`; from a
  /// pool in the text.
  case m7 = "M7"
  case m8 = "M8"
  case m9 = "M9"
  case m10 = "M10"
  case m11 = "M11"
  /// Address in a register, and a thunk that branches to it: x86-64 retpolines; AArch64 SLS thunks.
  case t1 = "T1"
  case t3 = "T3"
  /// A direct branch without relocation, resolved by the assembler.
  case n = "N"
  /// A branch that no runtime can retarget.
  case e = "E"
  /// The address in data, or in code that does not call it.
  case d = "D"
  case c = "C"
}

/// The architecture of a machine: the one place where machines are told apart.
func architecture(of machine: Machine) -> any Architecture.Type {
  switch machine {
  case .x86_64: X86_64.self
  case .aarch64: AArch64.self
  }
}
