import Disassembly
import ObjectFile

/// x86-64, after the System V psABI for AMD64 (chapter 4.4, relocation types) and Intel's SDM (volume 2, CALL, JMP, Jcc).
///
/// Odd here:
/// - Instructions have no alignment and no fixed length: the bytes before a relocated field tell the opcode only where the
///   relocation type or the decoder vouches for them. `81 e8 imm32` ends like a call and is a subtraction.
/// - A displacement counts from the end of the instruction, so a branch to a symbol has the addend -4.
/// - A site is the opcode byte. Prefixes in front of it (`2e`, `f2`, REX and others) do nothing and stay outside the site;
///   66 shortens the branch on AMD's processors and not on Intel's, so such a branch is no site.
/// - `66`, short (`eb`, `7x`) and counting (`e0` to `e3`) forms reach a trampoline only in hand-written code.
enum X86_64: Architecture {
  static let instructionSet = InstructionSet.x86_64

  static let tableRelocation = pc32

  private static let abs64 = RelocationType(1)  // R_X86_64_64
  private static let pc32 = RelocationType(2)  // R_X86_64_PC32
  private static let plt32 = RelocationType(4)  // R_X86_64_PLT32
  private static let gotPCRel = RelocationType(9)  // R_X86_64_GOTPCREL
  private static let abs32 = RelocationType(10)  // R_X86_64_32
  private static let abs32S = RelocationType(11)  // R_X86_64_32S
  private static let pc16 = RelocationType(13)  // R_X86_64_PC16
  private static let pc8 = RelocationType(15)  // R_X86_64_PC8
  private static let pc64 = RelocationType(24)  // R_X86_64_PC64
  private static let gotOff64 = RelocationType(25)  // R_X86_64_GOTOFF64
  private static let got64 = RelocationType(27)  // R_X86_64_GOT64
  private static let gotPCRel64 = RelocationType(28)  // R_X86_64_GOTPCREL64
  private static let pltOff64 = RelocationType(31)  // R_X86_64_PLTOFF64
  private static let gotPCRelX = RelocationType(41)  // R_X86_64_GOTPCRELX
  private static let rexGotPCRelX = RelocationType(42)  // R_X86_64_REX_GOTPCRELX

  static func field(of relocation: Relocation, in code: Span<UInt8>) -> RelocatedField {
    let offset = relocation.offset.rawValue
    switch relocation.type {
    case pc8, pc16: return .unpatchableBranch
    case plt32, pc32: break
    default: return .other
    }
    guard offset >= 1, offset <= code.count - 4 else { return .other }
    // Assemblers give PLT32 to branches only; PC32 stands on any PC-relative operand.
    let vouchedFor = relocation.type == plt32
    switch code[offset - 1] {
    case 0xe8: return branch(from: offset - 1, length: 5, .call, vouchedFor, code)
    case 0xe9: return branch(from: offset - 1, length: 5, .tail, vouchedFor, code)
    case 0x80...0x8f:
      guard offset >= 2, code[offset - 2] == 0x0f else { return .other }
      return branch(from: offset - 2, length: 6, .conditionalTail, vouchedFor, code)
    default: return .other
    }
  }

  private static func branch(
    from start: Int, length: Int, _ kind: CallKind, _ vouchedFor: Bool, _ code: Span<UInt8>
  ) -> RelocatedField {
    let certainty: BranchCertainty =
      if !vouchedFor { .needsInstructionStart } else if mayHaveOperandSizePrefix(before: start, code) {
        .mayHavePrefix
      } else {
        .certain
      }
    return .branch(start: start, length: length, kind: kind, certainty: certainty)
  }

  /// Whether a 66 stands among the bytes before an opcode that look like prefixes. It may also end another instruction.
  private static func mayHaveOperandSizePrefix(before opcode: Int, _ code: Span<UInt8>) -> Bool {
    var position = opcode - 1
    while position >= 0 {
      switch code[position] {
      case 0x66: return true
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67, 0xf0, 0xf2, 0xf3, 0x40...0x4f: position -= 1
      default: return false
      }
    }
    return false
  }

  static func targetOffset(of relocation: Relocation, instructionEnd end: Int) -> Int64 {
    switch relocation.type {
    case pc32, plt32, pc8, pc16, gotPCRel, gotPCRelX, rexGotPCRelX:
      relocation.addend &+ Int64(end - relocation.offset.rawValue)
    default: relocation.addend
    }
  }

  static func use(of instruction: Instruction, _ relocation: Relocation) -> AddressUse? {
    switch relocation.type {
    case gotPCRel, gotPCRelX, rexGotPCRelX:
      switch instruction.flow {
      case .call(.memory): return .branchThroughTable(.call, .x4)
      case .jump(.memory): return .branchThroughTable(.tail, .x5)
      default: break
      }
      if instruction.operation == .push { return .push(.x6) }
      return load(instruction, .move, .m1)
    case pc32, plt32: return load(instruction, .loadAddress, .m2)
    case abs32, abs32S: return load(instruction, .move, .m3)
    case abs64: return load(instruction, .move, .m4)
    case pltOff64, gotOff64, pc64: return load(instruction, .move, .m5)
    case got64, gotPCRel64: return load(instruction, .move, .m6)
    default: return .other(.c)
    }
  }

  private static func load(_ instruction: Instruction, _ operation: Operation, _ shape: Shape) -> AddressUse {
    guard instruction.operation == operation, let register = instruction.destination else { return .other(.c) }
    return .load(register, shape)
  }

  /// The thunks of gcc and the kernel (`__x86_indirect_thunk_rax`) and of clang (`__llvm_retpoline_r11`).
  static func thunkRegister(_ symbolName: String) -> Register? {
    for prefix in ["__x86_indirect_thunk_", "__llvm_retpoline_", "__llvm_lvi_thunk_"] where symbolName.hasPrefix(prefix)
    {
      return names.firstIndex(of: String(symbolName.dropFirst(prefix.count))).map { Register($0) }
    }
    return nil
  }

  /// psABI, figure 3.4: `rbx`, `rsp`, `rbp`, `r12` to `r15`.
  static let calleeSaved: RegisterSet = [3, 4, 5, 12, 13, 14, 15].reduce(into: RegisterSet()) {
    $0.insert(RegisterSet(Register($1)))
  }

  static func name(of register: Register) -> String { "%" + names[register.number] }

  private static let names = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
  ]

  static func resume(after offset: Int) -> Int? { nil }

  static func patchableBytes(of branch: Instruction, in code: Span<UInt8>) -> Range<Int>? {
    let end = branch.end
    if branch.length >= 5, code[end - 5] == (branch.flow.kind == .call ? 0xe8 : 0xe9) { return (end - 5)..<end }
    if branch.length >= 6, code[end - 6] == 0x0f, code[end - 5] & 0xf0 == 0x80 { return (end - 6)..<end }
    return nil
  }

  static func directShape(_ kind: CallKind) -> Shape {
    switch kind {
    case .call: .x1
    case .tail: .x2
    case .conditionalTail: .x3
    }
  }

  static func shapeInData(_ relocation: Relocation) -> Shape { .c }

  static let thunkShape = Shape.t1
}
