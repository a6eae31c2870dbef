import Disassembly
import ObjectFile

/// AArch64, after "ELF for the Arm 64-bit Architecture" (AAELF64, section 5.7) and the Arm ARM (C6.2, B and BL).
///
/// Odd here:
/// - Every instruction is one aligned word, little-endian even in a big-endian object, so a word and its relocation type are
///   proof enough of a branch. Text may hold data all the same: literal pools and jump tables, between the mapping symbols
///   `$d` and `$x`.
/// - A displacement counts from the branch itself: a branch to a symbol has the addend 0.
/// - An address takes two or more instructions (`adrp` and `ldr` or `add`; `movz` and three `movk`), each with a relocation of
///   its own; the one that completes it speaks for all.
/// - `b.cond`, `cbz` and `tbz` reach 1 MiB or less and are no sites; compilers do not aim them at other sections.
enum AArch64: Architecture {
  static let instructionSet = InstructionSet.aarch64

  static let tableRelocation = RelocationType(261)  // R_AARCH64_PREL32

  private static let abs64 = RelocationType(257)  // R_AARCH64_ABS64
  private static let adrPrelLo21 = RelocationType(274)  // R_AARCH64_ADR_PREL_LO21
  private static let adrPrelPgHi21 = RelocationType(275)  // R_AARCH64_ADR_PREL_PG_HI21
  private static let adrPrelPgHi21NC = RelocationType(276)  // R_AARCH64_ADR_PREL_PG_HI21_NC
  private static let addAbsLo12NC = RelocationType(277)  // R_AARCH64_ADD_ABS_LO12_NC
  private static let tstBr14 = RelocationType(279)  // R_AARCH64_TSTBR14
  private static let condBr19 = RelocationType(280)  // R_AARCH64_CONDBR19
  private static let jump26 = RelocationType(282)  // R_AARCH64_JUMP26
  private static let call26 = RelocationType(283)  // R_AARCH64_CALL26
  private static let gotLdPrel19 = RelocationType(309)  // R_AARCH64_GOT_LD_PREL19
  private static let ld64GotOffLo15 = RelocationType(310)  // R_AARCH64_LD64_GOTOFF_LO15
  private static let adrGotPage = RelocationType(311)  // R_AARCH64_ADR_GOT_PAGE
  private static let ld64GotLo12NC = RelocationType(312)  // R_AARCH64_LD64_GOT_LO12_NC
  private static let ld64GotPageLo15 = RelocationType(313)  // R_AARCH64_LD64_GOTPAGE_LO15
  private static let movwUabsG3 = RelocationType(269)  // R_AARCH64_MOVW_UABS_G3
  private static let movwUabs = UInt32(263)...268  // R_AARCH64_MOVW_UABS_G0 to _G2_NC

  static func field(of relocation: Relocation, in code: Span<UInt8>) -> RelocatedField {
    let offset = relocation.offset.rawValue
    switch relocation.type {
    case tstBr14, condBr19: return .unpatchableBranch
    case call26, jump26: break
    default: return .other
    }
    guard offset % 4 == 0, let word = branchWord(at: offset, in: code) else { return .other }
    return .branch(start: offset, length: 4, kind: word >> 31 == 1 ? .call : .tail, certainty: .certain)
  }

  /// The word at an offset where it is `b` or `bl`: bits 30 to 26 are 00101, bit 31 tells the two apart.
  private static func branchWord(at offset: Int, in code: Span<UInt8>) -> UInt32? {
    code.littleEndian(UInt32.self, at: offset).flatMap { $0 & 0x7c00_0000 == 0x1400_0000 ? $0 : nil }
  }

  static func targetOffset(of relocation: Relocation, instructionEnd end: Int) -> Int64 { relocation.addend }

  static func use(of instruction: Instruction, _ relocation: Relocation) -> AddressUse? {
    switch relocation.type {
    case adrGotPage, adrPrelPgHi21, adrPrelPgHi21NC: return nil
    case _ where movwUabs.contains(relocation.type.rawValue): return nil
    case ld64GotLo12NC, ld64GotPageLo15, ld64GotOffLo15: return load(instruction, .m7)
    case addAbsLo12NC: return load(instruction, .m8)
    case gotLdPrel19, adrPrelLo21: return load(instruction, .m9)
    case movwUabsG3: return load(instruction, .m10)
    case abs64: return .other(.m11)
    default: return .other(.c)
    }
  }

  private static func load(_ instruction: Instruction, _ shape: Shape) -> AddressUse {
    instruction.destination.map { .load($0, shape) } ?? .other(.c)
  }

  /// The thunks of gcc (`__call_indirect_x8`) and of clang (`__llvm_slsblr_thunk_x8`) for `-mharden-sls`.
  static func thunkRegister(_ symbolName: String) -> Register? {
    for prefix in ["__call_indirect_x", "__llvm_slsblr_thunk_x"] where symbolName.hasPrefix(prefix) {
      return Int(symbolName.dropFirst(prefix.count)).flatMap { (0...30).contains($0) ? Register($0) : nil }
    }
    return nil
  }

  /// AAPCS64, section 6.1.1: `x19` to `x29`.
  static let calleeSaved: RegisterSet = (19...29).reduce(into: RegisterSet()) {
    $0.insert(RegisterSet(Register($1)))
  }

  static func name(of register: Register) -> String { "x\(register.number)" }

  static func resume(after offset: Int) -> Int? { offset + 4 }

  static func patchableBytes(of branch: Instruction, in code: Span<UInt8>) -> Range<Int>? {
    branchWord(at: branch.offset, in: code) == nil ? nil : branch.offset..<branch.end
  }

  static func directShape(_ kind: CallKind) -> Shape { kind == .call ? .a1 : .a2 }

  static func shapeInData(_ relocation: Relocation) -> Shape { relocation.type == abs64 ? .m11 : .c }

  static let thunkShape = Shape.t3
}
