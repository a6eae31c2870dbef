import Disassembly
import ObjectFile

/// What staticcall knows of one machine: relocation numbers, branch encodings and register rules, as data and pure functions.
///
/// A new machine is a conforming type in files of its name, one line in ``architecture(of:)`` and a case of `Machine`.
protocol Architecture {
  static var instructionSet: InstructionSet { get }

  /// The 32-bit PC-relative relocation of both fields of a table entry.
  static var tableRelocation: RelocationType { get }

  /// The relocation of a whole address in data.
  static var addressRelocation: RelocationType { get }

  /// Whether a relocation of data makes a distance, from its field to the symbol.
  static func isDistance(_ relocation: Relocation) -> Bool

  /// Whether a relocation whose instruction seems to branch through memory can belong to nothing else, whatever was decoded.
  static func isOnlyInBranches(_ relocation: Relocation) -> Bool

  /// The size of a relocation's field, in bytes; of one of fewer than four in data, perhaps more than it has.
  static func fieldSize(of relocation: Relocation) -> Int

  /// Whether a relocation of code that makes a distance is that of a branch or of an operand that counts from the instruction's
  /// end, so that it is known from where it counts.
  static func formsAddress(_ relocation: Relocation, in code: Span<UInt8>) -> Bool

  /// What the relocated field is, judged by the relocation and the bytes around it alone.
  static func field(of relocation: Relocation, in code: Span<UInt8>) -> RelocatedField

  /// The offset from the relocation's symbol that the relocated instruction refers to, where it ends at `end` (a section
  /// offset): the addend, freed from what the machine's PC-relative relocations add to it.
  static func targetOffset(of relocation: Relocation, instructionEnd end: Int) -> Int64

  /// How an instruction makes the contents of a register; `nil` for one that makes nothing that is followed. `relocation` is
  /// the instruction's first one, in the section that holds `code`.
  static func definition(by instruction: Instruction, _ relocation: Relocation?, in code: Span<UInt8>) -> Definition?

  /// The offset in its own section that an instruction without relocation makes the address of.
  static func placeFormed(by instruction: Instruction, in code: Span<UInt8>) -> Int?

  /// The register that a store takes its address from, alone or together with what its relocation names.
  static func baseOfStore(_ instruction: Instruction, in code: Span<UInt8>) -> Register?

  /// Whether a relocation names the memory that an instruction accesses, and not an address that it computes with, or an entry of the
  /// global offset table.
  static func namesAccessedMemory(_ relocation: Relocation, by instruction: Instruction, in code: Span<UInt8>) -> Bool

  /// The accesses to memory that an instruction makes.
  static func memoryAccesses(by instruction: Instruction, in code: Span<UInt8>) -> [MemoryAccess]

  /// What an instruction does to the stack pointer.
  static func stackStep(of instruction: Instruction, in code: Span<UInt8>) -> StackStep

  /// The register that an instruction brings an address on the stack into by itself, and the distance from the stack pointer in
  /// bytes, where that is a constant.
  static func stackAddress(
    formedBy instruction: Instruction, in code: Span<UInt8>
  ) -> (register: Register, distance: Int?)?

  /// The register that compilers let point into a function's stack frame.
  static var framePointer: Register { get }

  /// Where a branch could lead that begins at an offset, whatever the bytes there are meant to be.
  static func possibleBranchTarget(at offset: Int, in code: Span<UInt8>) -> Int?

  /// Whether an instruction is a nop or a direct jump: where data names it, a program may overwrite the one with the other.
  static func isPlaceholder(_ instruction: Instruction, in code: Span<UInt8>) -> Bool

  /// Whether an instruction may read memory elsewhere than at the stack pointer.
  static func mayReadMemory(_ instruction: Instruction, in code: Span<UInt8>) -> Bool

  /// How many values the index of a load from an array, or of a jump through one, can have, by what was executed in front of it (the last
  /// first); `nil` where that does not say.
  static func entries(loadedBy load: Instruction, after path: [FunctionCode.Step], in code: Span<UInt8>) -> Int?

  /// Whether the bytes at an offset, which the decoder does not know, may be a branch or anything else that ends or moves the
  /// flow of control.
  static func mayBranch(undecodedAt offset: Int, in code: Span<UInt8>) -> Bool

  /// Where a call or jump through memory takes its target from; `nil` where that is not followed.
  static func target(of branch: Instruction, _ relocation: Relocation?) -> (source: Source, shape: Shape)?

  /// What a relocation makes of a reference whose instruction defines no register.
  static func use(of instruction: Instruction, _ relocation: Relocation) -> AddressUse

  /// The register that a thunk jumps to, by the thunk's name; `nil` for any other symbol.
  static func thunkRegister(_ symbolName: String) -> Register?

  /// The register that a thunk without a symbol jumps to, by the code at an offset.
  static func thunkRegister(at offset: Int, in code: Span<UInt8>) -> Register?

  /// Whether a symbol is a routine that branches to a register or to the address on top of the stack.
  static func isThunk(_ symbolName: String) -> Bool

  /// Whether a thunk goes to the address on top of the stack.
  static func returnsToPushed(_ symbolName: String) -> Bool

  /// Whether the return at the end of a block's instructions goes to an address that the block put on the stack, or into the
  /// register.
  static func isComputedReturn(_ block: ArraySlice<Instruction>) -> Bool

  /// Registers that a called function must preserve.
  static var calleeSaved: RegisterSet { get }

  /// Registers that may carry arguments to a called function. A register that holds the address of the called code is an
  /// argument only if it is one of these.
  static var arguments: RegisterSet { get }

  /// Registers whose contents a caller may use when the function returns, besides those that are preserved.
  static var results: RegisterSet { get }

  /// A register as its assembler spells it.
  static func name(of register: Register) -> String

  /// Where to go on decoding after bytes that are no known instruction; `nil` where that cannot be told.
  static func resume(after offset: Int) -> Int?

  /// The bytes that a runtime would patch of a direct branch, in the section that holds `code`; `nil` for a form it cannot
  /// retarget.
  static func patchableBytes(of branch: Instruction, in code: Span<UInt8>) -> Range<Int>?

  /// A direct branch that a runtime can retarget and that begins at an offset, whatever the bytes there are meant to be.
  static func patchableBranch(at offset: Int, in code: Span<UInt8>) -> PatchableBranch?

  /// Whether what linkers put in the place of a branch to an undefined weak function is at an offset.
  static func isErasedBranch(at offset: Int, in code: Span<UInt8>) -> Bool

  /// Where a linker's stub goes that begins at an offset: an entry of a PLT, a veneer; `nil` where the code is none that is known.
  /// `address` is that of the first byte of `code`.
  static func stubTarget(at offset: Int, in code: Span<UInt8>, address: UInt64) -> StubTarget?

  /// Whether a stub may begin at an offset that a linker gave no name, by its first instruction.
  static func mayBeNamelessStub(at offset: Int, in code: Span<UInt8>) -> Bool

  /// Whether a linker's own branch is at an offset, over stubs that it put into the middle of the code. `isStub` says whether a stub with a
  /// name begins at an offset.
  static func leadsOverStubs(at offset: Int, in code: Span<UInt8>, isStub: (Int) -> Bool) -> Bool

  /// What linked code at an offset may mention, whatever the bytes there are meant to be; `address` is that of the first byte of `code`.
  static func mention(at offset: Int, in code: Span<UInt8>, address: UInt64) -> Mention?

  /// What an instruction of linked code leaves in a register, where the registers hold known numbers; `nil` where that cannot be told.
  static func content(
    madeBy instruction: Instruction, of held: [Register: UInt64], in code: Span<UInt8>, address: UInt64
  ) -> LinkedContent?

  /// The shape of a call through a register that was loaded from the GOT, and of one whose register was given the address.
  static var shapeFromTable: Shape { get }
  static var shapeOfAddress: Shape { get }

  /// The address of the memory that a branch of linked code goes through, or a push reads; `nil` where that cannot be told.
  static func slot(ofBranchOrPush instruction: Instruction, address: UInt64) -> UInt64?

  /// A direct branch in the place of the last `room` bytes of an indirect one and what stands before it; `nil` where none fits
  /// or the branch has a form that is not understood. `code` is the section that holds it.
  static func directForm(of branch: Instruction, in code: Span<UInt8>, room: Int) -> DirectForm?

  /// The relocation of a direct branch: the distance of its field from the opcode, its type and addend.
  static func branchRelocation(_ kind: CallKind) -> (field: Int, type: RelocationType, addend: Int64)

  /// Bytes that do nothing.
  static func nops(_ count: Int) -> [UInt8]

  /// An instruction's bytes as they are some bytes further down; `nil` where they cannot be moved.
  static func moved(
    _ instruction: Instruction, down distance: Int, _ relocations: ArraySlice<CodeRelocation>, in code: Span<UInt8>
  ) -> [UInt8]?

  /// Whether an instruction reads the word before the function whose address is in a register: its type's hash, with kCFI.
  static func readsTypeHash(_ instruction: Instruction, of register: Register, in code: Span<UInt8>) -> Bool

  /// The shape of a direct branch with a relocation.
  static func directShape(_ kind: CallKind) -> Shape

  /// The shape of an address that stands among the code and is no part of an instruction.
  static func shapeInData(_ relocation: Relocation) -> Shape

  /// The shape of a call through a thunk.
  static var thunkShape: Shape { get }
}

/// A direct branch that a runtime can retarget.
struct PatchableBranch: Equatable {
  var kind: CallKind
  /// In bytes.
  var length: Int
  /// Where it leads, as an offset from where the branch's own offset counts.
  var target: Int
}

/// Where a linker's stub goes.
enum StubTarget: Equatable {
  case address(UInt64)
  /// To the address in the eight bytes of memory at this address.
  case memory(UInt64)
}

/// What linked code may mention.
enum Mention: Equatable {
  case address(UInt64)
  /// The eight bytes of memory at this address.
  case slot(UInt64)
  /// Something in the 4096 bytes at this address.
  case page(UInt64)
  /// 16 bits of an address, at this bit of it.
  case part(UInt64, shift: Int)
}

/// What an instruction of linked code leaves in a register.
struct LinkedContent: Equatable {
  enum Value: Equatable {
    case address(UInt64)
    /// What is in the eight bytes of memory at this address.
    case slot(UInt64)
    /// What another register holds.
    case register(Register)
  }

  var register: Register
  var value: Value

  init(_ register: Register, _ value: Value) {
    self.register = register
    self.value = value
  }
}

/// What a relocated field is.
enum RelocatedField: Equatable {
  /// The displacement of a branch that starts at a section offset and takes `length` bytes.
  case branch(start: Int, length: Int, kind: CallKind, certainty: BranchCertainty)
  /// The displacement of a branch in a form whose target a runtime cannot change.
  case unpatchableBranch
  /// The operand of a call or jump through the global offset table, which starts at a section offset and takes `length` bytes. The
  /// relocation's type and the opcode together are proof: linkers change such a branch for less.
  case tableBranch(start: Int, length: Int)
  /// Anything else.
  case other
}

/// A direct branch, with a displacement of zero, for the place of an indirect one.
struct DirectForm: Equatable {
  var bytes: [UInt8]
  /// The section offset of its opcode.
  var opcode: Int
  /// How many bytes behind it do not belong to it.
  var padding: Int
}

/// How sure the bytes before the field are an opcode.
enum BranchCertainty: Equatable {
  case certain
  /// They are, and a prefix that forbids patching may stand before them.
  case mayHavePrefix
  /// They may belong to another instruction: only decoding from a label on can tell.
  case needsInstructionStart
}

/// How an instruction uses the address that its relocation gives it, where it leaves it in no register.
enum AddressUse: Equatable {
  /// It is one part of an address, and another instruction completes it, such as AArch64's `adrp`.
  case part
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

  /// The kind in words.
  var noun: String {
    switch self {
    case .call: "call"
    case .tail: "tail call"
    case .conditionalTail: "conditional tail call"
    }
  }

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
  /// Through the first word of the key: in memory; in a register.
  case g1 = "G1"
  case g2 = "G2"
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

extension RegisterSet {
  init(numbers: Int...) {
    self = numbers.reduce(into: []) { $0.insert(RegisterSet(Register($1))) }
  }
}

extension Architecture {
  /// A direct branch in the place of an indirect one, and nothing more.
  static func directForm(of branch: Instruction, in code: Span<UInt8>) -> DirectForm? {
    directForm(of: branch, in: code, room: branch.length)
  }
}
