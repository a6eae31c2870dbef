import CCapstone

/// What AArch64 instructions do to registers, worked out from their operands. Only instructions that are listed here are vouched
/// for; system calls, hints that sign pointers, and everything that Capstone 4 does not know are not.
extension Disassembler {
  static func arm64Effects(of id: arm64_insn, _ arm64: cs_arm64) -> RegisterEffects {
    let operands = arm64Operands(arm64)
    let form: Form
    if id == ARM64_INS_HINT {
      // SAFETY: a hint has one operand, its number.
      guard let number = operands.first?.imm else { return .unknown }
      if returnAddressHints.contains(number) { return RegisterEffects(reads: linkRegister, writes: linkRegister) }
      guard harmlessHints.contains(number) else { return .unknown }
      form = Form(destinations: 0)
    } else if let listed = forms[id.rawValue] {
      form = listed
    } else if operands.contains(where: { $0.type == ARM64_OP_REG && isVectorRegister($0.reg) }) {
      // Vector instructions touch general-purpose registers only where an operand names one: as source, destination or base.
      form = Form(destinations: operands.count, overwrites: false, movesBase: true)
    } else {
      return .unknown
    }
    var effects = RegisterEffects(reads: [], writes: [])
    for (position, operand) in operands.enumerated() {
      switch operand.type {
      case ARM64_OP_REG:
        // SAFETY: the operand's type says which member of the union is meant.
        guard let register = arm64Register(operand.reg.rawValue) else { continue }
        let set = RegisterSet(register)
        let isDestination = position < form.destinations
        if isDestination { effects.writes.formUnion(set) }
        if isDestination, form.overwrites {
          effects.overwrites.formUnion(set)
        } else {
          effects.reads.formUnion(set)
        }
      case ARM64_OP_MEM:
        // SAFETY: as above.
        if let base = arm64Register(operand.mem.base.rawValue) {
          effects.reads.formUnion(RegisterSet(base))
          if arm64.writeback || form.movesBase { effects.writes.formUnion(RegisterSet(base)) }
        }
        if let index = arm64Register(operand.mem.index.rawValue) { effects.reads.formUnion(RegisterSet(index)) }
      default: break
      }
    }
    if id == ARM64_INS_RET, operands.isEmpty { effects.reads.formUnion(linkRegister) }
    effects.overwrites.subtract(effects.reads)
    return effects
  }

  /// Whether an instruction writes to memory elsewhere than at the stack pointer. Of vector instructions with memory, all count.
  static func arm64WritesMemory(_ id: arm64_insn, _ arm64: cs_arm64) -> Bool {
    guard let memory = arm64Operands(arm64).first(where: { $0.type == ARM64_OP_MEM }) else { return false }
    // SAFETY: the operand's type says that the memory member of the union is meant.
    return memory.mem.base != ARM64_REG_SP && !loads.contains(id.rawValue) && id != ARM64_INS_PRFM
  }

  private static let loads: Set<UInt32> = Set(
    [
      ARM64_INS_LDR, ARM64_INS_LDRB, ARM64_INS_LDRH, ARM64_INS_LDRSB, ARM64_INS_LDRSH, ARM64_INS_LDRSW, ARM64_INS_LDUR,
      ARM64_INS_LDURB, ARM64_INS_LDURH, ARM64_INS_LDURSB, ARM64_INS_LDURSH, ARM64_INS_LDURSW, ARM64_INS_LDP,
      ARM64_INS_LDPSW, ARM64_INS_LDNP,
    ].map(\.rawValue))

  private static func arm64Operands(_ arm64: cs_arm64) -> [cs_arm64_op] {
    let all = arm64.operands
    return Array([all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7].prefix(Int(arm64.op_count)))
  }

  private static func isVectorRegister(_ register: arm64_reg) -> Bool {
    (ARM64_REG_B0.rawValue...ARM64_REG_S31.rawValue).contains(register.rawValue)
      || (ARM64_REG_V0.rawValue...ARM64_REG_V31.rawValue).contains(register.rawValue)
  }

  /// How an instruction treats its operands.
  private struct Form {
    /// How many of them, from the first on, are written.
    var destinations = 1
    /// Whether a written register does not matter to the result. A write to 32 bits clears the upper half.
    var overwrites = true
    /// Whether the base register may be moved, whatever Capstone says of it.
    var movesBase = false
  }

  /// `nop`, `yield`, `wfe`, `wfi`, `sev`, `sevl`, `esb`, `psb`, `csdb` and `bti`. Those that are in neither list sign `x17` or are
  /// not defined yet (Arm ARM C6.2, HINT).
  private static let harmlessHints: Set<Int64> = [0, 1, 2, 3, 4, 5, 16, 17, 20, 32, 34, 36, 38]
  /// `paciaz`, `paciasp`, `pacibz`, `pacibsp`, and `aut` in the place of `pac`: they sign and authenticate `x30`.
  private static let returnAddressHints = Int64(24)...31
  private static let linkRegister = RegisterSet(Register(30))

  private static let forms: [UInt32: Form] = {
    var table: [UInt32: Form] = [:]
    func list(_ form: Form, _ instructions: arm64_insn...) {
      for id in instructions { table[id.rawValue] = form }
    }
    list(
      Form(), ARM64_INS_ADC, ARM64_INS_ADD, ARM64_INS_ADR, ARM64_INS_ADRP, ARM64_INS_AND, ARM64_INS_ASR, ARM64_INS_BIC,
      ARM64_INS_CLS, ARM64_INS_CLZ, ARM64_INS_MOV, ARM64_INS_CSEL, ARM64_INS_CSINC, ARM64_INS_CSINV, ARM64_INS_CSNEG,
      ARM64_INS_EON, ARM64_INS_EOR, ARM64_INS_EXTR, ARM64_INS_LSL, ARM64_INS_LSR, ARM64_INS_MADD, ARM64_INS_MOVN,
      ARM64_INS_MOVZ, ARM64_INS_MRS, ARM64_INS_MSUB, ARM64_INS_MUL, ARM64_INS_NEG, ARM64_INS_NGC, ARM64_INS_MVN,
      ARM64_INS_ORN, ARM64_INS_ORR, ARM64_INS_RBIT, ARM64_INS_REV, ARM64_INS_REV16, ARM64_INS_REV32, ARM64_INS_ROR,
      ARM64_INS_SBC, ARM64_INS_SBFM, ARM64_INS_SBFIZ, ARM64_INS_SBFX, ARM64_INS_UBFM, ARM64_INS_UBFX, ARM64_INS_UBFIZ,
      ARM64_INS_SDIV, ARM64_INS_UDIV, ARM64_INS_SMADDL, ARM64_INS_SMSUBL, ARM64_INS_SMULL, ARM64_INS_SMULH,
      ARM64_INS_SMNEGL, ARM64_INS_MNEG, ARM64_INS_SUB, ARM64_INS_UMADDL, ARM64_INS_UMSUBL, ARM64_INS_UMULL,
      ARM64_INS_UMULH, ARM64_INS_UMNEGL, ARM64_INS_UXTB, ARM64_INS_UXTH, ARM64_INS_SXTB, ARM64_INS_SXTH,
      ARM64_INS_SXTW, ARM64_INS_CSET, ARM64_INS_CSETM, ARM64_INS_CINC, ARM64_INS_CINV, ARM64_INS_CNEG)
    list(
      Form(), ARM64_INS_LDR, ARM64_INS_LDRB, ARM64_INS_LDRH, ARM64_INS_LDRSB, ARM64_INS_LDRSH, ARM64_INS_LDRSW,
      ARM64_INS_LDUR, ARM64_INS_LDURB, ARM64_INS_LDURH, ARM64_INS_LDURSB, ARM64_INS_LDURSH, ARM64_INS_LDURSW,
      ARM64_INS_LDAR, ARM64_INS_LDARB, ARM64_INS_LDARH, ARM64_INS_LDXR, ARM64_INS_LDXRB, ARM64_INS_LDXRH,
      ARM64_INS_LDAXR, ARM64_INS_LDAXRB, ARM64_INS_LDAXRH)
    list(Form(destinations: 2), ARM64_INS_LDP, ARM64_INS_LDPSW, ARM64_INS_LDNP)
    list(
      Form(destinations: 0), ARM64_INS_STR, ARM64_INS_STRB, ARM64_INS_STRH, ARM64_INS_STUR, ARM64_INS_STURB,
      ARM64_INS_STURH, ARM64_INS_STP, ARM64_INS_STNP, ARM64_INS_STLR, ARM64_INS_STLRB, ARM64_INS_STLRH)
    // The status goes to the first operand.
    list(
      Form(), ARM64_INS_STXR, ARM64_INS_STXRB, ARM64_INS_STXRH, ARM64_INS_STLXR, ARM64_INS_STLXRB, ARM64_INS_STLXRH)
    list(
      Form(destinations: 0), ARM64_INS_CMP, ARM64_INS_CMN, ARM64_INS_TST, ARM64_INS_CCMP, ARM64_INS_CCMN,
      ARM64_INS_MSR, ARM64_INS_NOP, ARM64_INS_YIELD, ARM64_INS_WFE, ARM64_INS_WFI, ARM64_INS_SEV, ARM64_INS_SEVL,
      ARM64_INS_DMB, ARM64_INS_DSB, ARM64_INS_ISB, ARM64_INS_PRFM, ARM64_INS_CLREX, ARM64_INS_BRK, ARM64_INS_B,
      ARM64_INS_BL, ARM64_INS_BR, ARM64_INS_BLR, ARM64_INS_RET, ARM64_INS_CBZ, ARM64_INS_CBNZ, ARM64_INS_TBZ,
      ARM64_INS_TBNZ)
    list(Form(overwrites: false), ARM64_INS_MOVK, ARM64_INS_BFM, ARM64_INS_BFI, ARM64_INS_BFXIL)
    return table
  }()
}
