import CCapstone

/// AArch64 as Capstone reports it. Capstone 4.0.2 puts `bl` in no CALL group, gives `b.cond` the number of `b`, and does not
/// know the instructions of pointer authentication and SVE.
extension Disassembler {
  static func arm64Instruction(
    _ record: cs_insn, _ detail: cs_detail, at offset: Int
  ) -> Instruction? {
    // SAFETY: the caller decoded for AArch64, so the union holds the AArch64 record.
    let arm64 = detail.arm64
    let id = arm64_insn(UInt32(unsafe record.id))
    let first: cs_arm64_op? = arm64.op_count > 0 ? arm64.operands.0 : nil
    let last: cs_arm64_op? =
      switch arm64.op_count {
      case 1: arm64.operands.0
      case 2: arm64.operands.1
      case 3: arm64.operands.2
      default: nil
      }
    let effects = arm64Effects(of: id, arm64)
    return Instruction(
      offset: offset, length: Int(unsafe record.size),
      flow: flow(of: id, isConditional: arm64.cc != ARM64_CC_INVALID, last),
      operation: operation(of: id), destination: destination(first),
      destinationSize: 0, source: nil, memory: nil, writesMemory: effects == .unknown || arm64WritesMemory(id, arm64),
      effects: effects,
      hasOperandSizePrefix: false)
  }

  /// `nop`, which code is padded with; `nil` for all else. Capstone looks through the names of all instructions for it.
  static func plainNoOperation(_ bytes: Span<UInt8>, at offset: Int) -> Instruction? {
    guard bytes.count >= 4, bytes[0] == 0x1f, bytes[1] == 0x20, bytes[2] == 0x03, bytes[3] == 0xd5 else { return nil }
    return Instruction(
      offset: offset, length: 4, flow: .next, operation: .other, destination: nil, destinationSize: 0, source: nil,
      memory: nil, writesMemory: false, effects: RegisterEffects(reads: [], writes: []), hasOperandSizePrefix: false)
  }

  private static func flow(of id: arm64_insn, isConditional: Bool, _ operand: cs_arm64_op?) -> ControlFlow {
    switch id {
    case ARM64_INS_BL, ARM64_INS_BLR: return target(operand).map(ControlFlow.call) ?? .stop
    case ARM64_INS_B:
      guard let target = target(operand) else { return .stop }
      return isConditional ? .conditionalJump(target) : .jump(target)
    case ARM64_INS_BR: return target(operand).map(ControlFlow.jump) ?? .stop
    case ARM64_INS_CBZ, ARM64_INS_CBNZ, ARM64_INS_TBZ, ARM64_INS_TBNZ:
      return target(operand).map(ControlFlow.conditionalJump) ?? .stop
    case ARM64_INS_RET, ARM64_INS_ERET, ARM64_INS_DRPS: return .stop
    case ARM64_INS_BRK, ARM64_INS_HLT: return .trap
    default: return .next
    }
  }

  private static func target(_ operand: cs_arm64_op?) -> BranchTarget? {
    guard let operand = operand else { return nil }
    // SAFETY: the operand's type says which member of the union is meant.
    switch operand.type {
    case ARM64_OP_IMM: return .direct(Int(operand.imm))
    case ARM64_OP_REG: return arm64Register(operand.reg.rawValue).map(BranchTarget.register)
    default: return nil
    }
  }

  private static func operation(of id: arm64_insn) -> Operation {
    switch id {
    case ARM64_INS_LDR, ARM64_INS_LDUR, ARM64_INS_LDP: .move
    case ARM64_INS_ADR, ARM64_INS_ADRP: .loadAddress
    case ARM64_INS_ADD, ARM64_INS_MOVK: .add
    case ARM64_INS_CMP: .compare
    case ARM64_INS_STR, ARM64_INS_STUR, ARM64_INS_STP: .store
    default: .other
    }
  }

  private static func destination(_ operand: cs_arm64_op?) -> Register? {
    // SAFETY: the operand's type says that the register member of the union is meant.
    guard let operand = operand, operand.type == ARM64_OP_REG else { return nil }
    return arm64Register(operand.reg.rawValue)
  }

  /// The register that one of Capstone's numbers stands for; `x29` and `x30` stand apart from the others there.
  static func arm64Register(_ number: UInt32) -> Register? {
    switch number {
    case ARM64_REG_X0.rawValue...ARM64_REG_X28.rawValue: Register(Int(number - ARM64_REG_X0.rawValue))
    case ARM64_REG_W0.rawValue...ARM64_REG_W30.rawValue: Register(Int(number - ARM64_REG_W0.rawValue))
    case ARM64_REG_X29.rawValue: Register(29)
    case ARM64_REG_X30.rawValue: Register(30)
    default: nil
    }
  }
}
