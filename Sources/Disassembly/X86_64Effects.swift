import CCapstone

/// What x86-64 instructions do to registers, worked out from their operands.
///
/// Only instructions that are listed here are vouched for. Capstone's own account of implicit operands has gaps, and a register
/// that changes unseen is a wrong proof.
extension Disassembler {
  static func x86Effects(of id: x86_insn, _ x86: cs_x86, _ reported: RegisterSet) -> RegisterEffects {
    let operands = x86Operands(x86)
    if var implicit = implicitEffects[id.rawValue] {
      // With more than one operand the result goes to the first, and nowhere else.
      if id == X86_INS_IMUL, operands.count > 1 { implicit = ImplicitEffects() }
      return explicitEffects(of: id, operands, implicit, reported)
    }
    // Vector instructions touch general-purpose registers only where an operand names one, but for the listed ones.
    let isVector = operands.contains { $0.type == X86_OP_REG && isVectorRegister($0.reg) }
    guard isVector, !vectorInstructionsWithImplicitOperands.contains(id.rawValue) else { return .unknown }
    return explicitEffects(of: id, operands, ImplicitEffects(), reported)
  }

  /// Whether an instruction writes to memory that it names, elsewhere than at the stack pointer.
  static func x86WritesMemory(_ id: x86_insn, _ x86: cs_x86) -> Bool {
    let readers = [X86_INS_CMP, X86_INS_TEST, X86_INS_BT, X86_INS_PUSH, X86_INS_NOP, X86_INS_CALL, X86_INS_JMP]
    let operand = x86.operands.0
    // SAFETY: the operand's type says that the memory member of the union is meant.
    return x86.op_count > 0 && operand.type == X86_OP_MEM && operand.mem.base != X86_REG_RSP && !readers.contains(id)
  }

  static func x86Operands(_ x86: cs_x86) -> [cs_x86_op] {
    let all = x86.operands
    return Array([all.0, all.1, all.2, all.3, all.4].prefix(Int(x86.op_count)))
  }

  private static func explicitEffects(
    of id: x86_insn, _ operands: [cs_x86_op], _ implicit: ImplicitEffects, _ reported: RegisterSet
  ) -> RegisterEffects {
    var effects = RegisterEffects(reads: implicit.reads, writes: implicit.writes.union(reported))
    for (position, operand) in operands.enumerated() {
      switch operand.type {
      case X86_OP_REG where id != X86_INS_NOP:
        // SAFETY: the operand's type says which member of the union is meant.
        guard let register = x86Register(operand.reg.rawValue) else { continue }
        let set = RegisterSet(register)
        let isDestination = position < implicit.destinations
        if isDestination { effects.writes.formUnion(set) }
        // A write to 32 bits clears the upper half; one to 8 or 16 bits keeps the rest.
        if isDestination, implicit.overwrites, operand.size >= 4 {
          effects.overwrites.formUnion(set)
        } else {
          effects.reads.formUnion(set)
        }
      // The operand of a nop says how long it is.
      case X86_OP_MEM where id != X86_INS_NOP:
        // SAFETY: as above.
        for part in [operand.mem.base, operand.mem.index] {
          if let register = x86Register(part.rawValue) { effects.reads.formUnion(RegisterSet(register)) }
        }
      default: break
      }
    }
    if isZeroIdiom(id, operands), let register = x86Register(operands[0].reg.rawValue) {
      effects.reads.remove(RegisterSet(register))
      effects.overwrites.formUnion(RegisterSet(register))
    }
    // A register that is also part of an address or a source is read before it is replaced.
    effects.overwrites.subtract(effects.reads)
    return effects
  }

  /// `xor %eax, %eax` and its like.
  private static func isZeroIdiom(_ id: x86_insn, _ operands: [cs_x86_op]) -> Bool {
    guard id == X86_INS_XOR || id == X86_INS_SUB, operands.count == 2 else { return false }
    let (first, second) = (operands[0], operands[1])
    // SAFETY: the operands' types say that the register members of the unions are meant.
    return first.type == X86_OP_REG && second.type == X86_OP_REG && first.reg == second.reg && first.size >= 4
  }

  private static func isVectorRegister(_ register: x86_reg) -> Bool {
    (X86_REG_XMM0.rawValue...X86_REG_ZMM31.rawValue).contains(register.rawValue)
      || (X86_REG_MM0.rawValue...X86_REG_MM7.rawValue).contains(register.rawValue)
  }

  /// What an instruction does besides reading all of its operands.
  private struct ImplicitEffects {
    var reads: RegisterSet = []
    var writes: RegisterSet = []
    /// How many of the operands, from the first on, are written.
    var destinations = 1
    /// Whether a written register does not matter to the result.
    var overwrites = false
  }

  private static let vectorInstructionsWithImplicitOperands: Set<UInt32> = Set(
    [
      X86_INS_PCMPESTRI, X86_INS_PCMPESTRM, X86_INS_PCMPISTRI, X86_INS_PCMPISTRM, X86_INS_VPCMPESTRI,
      X86_INS_VPCMPESTRM, X86_INS_VPCMPISTRI, X86_INS_VPCMPISTRM, X86_INS_MASKMOVDQU, X86_INS_VMASKMOVDQU,
      X86_INS_MASKMOVQ,
    ].map(\.rawValue))

  private static let implicitEffects: [UInt32: ImplicitEffects] = {
    let (rax, rcx, rdx, rsp, rbp) = (
      RegisterSet(bit: 0), RegisterSet(bit: 1), RegisterSet(bit: 2), RegisterSet(bit: 4),
      RegisterSet(bit: 5)
    )
    var table: [UInt32: ImplicitEffects] = [:]
    func list(_ effects: ImplicitEffects, _ instructions: x86_insn...) {
      for id in instructions { table[id.rawValue] = effects }
    }
    list(
      ImplicitEffects(overwrites: true), X86_INS_MOV, X86_INS_MOVABS, X86_INS_LEA, X86_INS_MOVZX, X86_INS_MOVSX,
      X86_INS_MOVSXD)
    list(
      ImplicitEffects(), X86_INS_ADD, X86_INS_SUB, X86_INS_ADC, X86_INS_SBB, X86_INS_AND, X86_INS_OR, X86_INS_XOR,
      X86_INS_INC, X86_INS_DEC, X86_INS_NEG, X86_INS_NOT, X86_INS_SHL, X86_INS_SAL, X86_INS_SHR, X86_INS_SAR,
      X86_INS_ROL, X86_INS_ROR, X86_INS_SHLD, X86_INS_SHRD, X86_INS_BSWAP, X86_INS_BSF, X86_INS_BSR, X86_INS_TZCNT,
      X86_INS_LZCNT, X86_INS_POPCNT, X86_INS_BTS, X86_INS_BTR, X86_INS_BTC, X86_INS_ANDN, X86_INS_BLSR, X86_INS_BLSI,
      X86_INS_BLSMSK, X86_INS_RORX, X86_INS_SARX, X86_INS_SHLX, X86_INS_SHRX,
      X86_INS_CMOVA, X86_INS_CMOVAE, X86_INS_CMOVB, X86_INS_CMOVBE, X86_INS_CMOVE, X86_INS_CMOVG, X86_INS_CMOVGE,
      X86_INS_CMOVL, X86_INS_CMOVLE, X86_INS_CMOVNE, X86_INS_CMOVNO, X86_INS_CMOVNP, X86_INS_CMOVNS, X86_INS_CMOVO,
      X86_INS_CMOVP, X86_INS_CMOVS, X86_INS_SETA, X86_INS_SETAE, X86_INS_SETB, X86_INS_SETBE, X86_INS_SETE,
      X86_INS_SETG, X86_INS_SETGE, X86_INS_SETL, X86_INS_SETLE, X86_INS_SETNE, X86_INS_SETNO, X86_INS_SETNP,
      X86_INS_SETNS, X86_INS_SETO, X86_INS_SETP, X86_INS_SETS)
    list(ImplicitEffects(destinations: 2), X86_INS_XCHG, X86_INS_XADD)
    list(ImplicitEffects(reads: rax, writes: rax), X86_INS_CMPXCHG)
    list(
      ImplicitEffects(destinations: 0), X86_INS_CMP, X86_INS_TEST, X86_INS_BT, X86_INS_NOP, X86_INS_UD2, X86_INS_INT3,
      X86_INS_PAUSE, X86_INS_LFENCE, X86_INS_MFENCE, X86_INS_SFENCE, X86_INS_ENDBR64,
      X86_INS_VZEROUPPER, X86_INS_PREFETCHT0, X86_INS_PREFETCHNTA)
    list(
      ImplicitEffects(reads: [rax, rdx], writes: [rax, rdx]), X86_INS_IMUL, X86_INS_MUL, X86_INS_DIV, X86_INS_IDIV)
    list(ImplicitEffects(reads: rax, writes: rax), X86_INS_CBW, X86_INS_CWDE, X86_INS_CDQE)
    list(ImplicitEffects(reads: rax, writes: rdx), X86_INS_CWD, X86_INS_CDQ, X86_INS_CQO)
    list(ImplicitEffects(reads: rsp, writes: rsp, destinations: 0), X86_INS_PUSH)
    list(ImplicitEffects(reads: rsp, writes: rsp, overwrites: true), X86_INS_POP)
    list(ImplicitEffects(reads: rbp, writes: [rsp, rbp]), X86_INS_LEAVE)
    list(ImplicitEffects(reads: rsp, writes: rsp, destinations: 0), X86_INS_RET)
    list(ImplicitEffects(destinations: 0), X86_INS_CALL, X86_INS_JMP)
    list(
      ImplicitEffects(destinations: 0), X86_INS_JAE, X86_INS_JA, X86_INS_JBE, X86_INS_JB, X86_INS_JE, X86_INS_JGE,
      X86_INS_JG, X86_INS_JLE, X86_INS_JL, X86_INS_JNE, X86_INS_JNO, X86_INS_JNP, X86_INS_JNS, X86_INS_JO, X86_INS_JP,
      X86_INS_JS)
    list(ImplicitEffects(reads: rcx, destinations: 0), X86_INS_JCXZ, X86_INS_JECXZ, X86_INS_JRCXZ)
    list(ImplicitEffects(reads: rcx, writes: rcx, destinations: 0), X86_INS_LOOP, X86_INS_LOOPE, X86_INS_LOOPNE)
    return table
  }()
}

extension RegisterSet {
  fileprivate init(bit number: Int) { self.init(Register(number)) }
}
