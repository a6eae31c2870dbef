import CCapstone

/// x86-64 as Capstone reports it, and what Capstone 4.0.2 gets wrong: the length of UD1 and UD0, and of near branches with the
/// operand-size prefix.
extension Disassembler {
  static func x86Instruction(
    _ record: cs_insn, _ detail: cs_detail, _ writes: RegisterSet, _ bytes: Span<UInt8>, at offset: Int
  ) -> Instruction? {
    // SAFETY: the caller decoded for x86-64, so the union holds the x86 record.
    let x86 = detail.x86
    let operand: cs_x86_op? = x86.op_count > 0 ? x86.operands.0 : nil
    let id = x86_insn(UInt32(unsafe record.id))
    var length = Int(unsafe record.size)
    let prefixes = prefixCount(bytes)
    let hasOperandSizePrefix = (0..<prefixes).contains { bytes[$0] == 0x66 }

    if let corrected = lengthOfUndefinedInstruction(bytes, prefixes) {
      guard corrected <= bytes.count else { return nil }
      length = corrected
    }
    let isNearBranch = nearBranchLength(bytes, prefixes)
    var flow = flow(of: id, operand)
    if hasOperandSizePrefix, let longForm = isNearBranch {
      // Capstone takes the displacement for one of 16 bits, and what follows it for another instruction.
      guard longForm <= bytes.count, let displacement = bytes.signed32(at: longForm - 4) else { return nil }
      length = longForm
      flow = flow.retargeted(to: offset + length + displacement)
    }
    if hasOperandSizePrefix { flow = flow.withoutRegister }
    let effects = x86Effects(of: id, x86, writes)
    return Instruction(
      offset: offset, length: length,
      flow: flow, operation: operation(of: id, operand), destination: destination(operand),
      destinationSize: destination(operand) == nil ? 0 : Int(operand?.size ?? 0),
      source: source(id, x86), memory: memory(x86, hasSegment: hasSegmentPrefix(bytes, prefixes)),
      writesMemory: effects == .unknown || x86WritesMemory(id, x86), effects: effects,
      hasOperandSizePrefix: hasOperandSizePrefix && flow.isBranch)
  }

  /// A near branch without prefixes, whose opcode says all that Capstone would; `nil` for all else.
  static func plainNearBranch(_ bytes: Span<UInt8>, at offset: Int) -> Instruction? {
    guard let length = nearBranchLength(bytes, 0), length <= bytes.count,
      let displacement = bytes.signed32(at: length - 4)
    else { return nil }
    let target = BranchTarget.direct(offset + length + displacement)
    let isCall = bytes[0] == 0xe8
    let flow: ControlFlow = isCall ? .call(target) : bytes[0] == 0xe9 ? .jump(target) : .conditionalJump(target)
    let stackPointer = RegisterSet(Register(4))
    return Instruction(
      offset: offset, length: length, flow: flow, operation: .other, destination: nil, destinationSize: 0, source: nil,
      memory: nil, writesMemory: false, effects: RegisterEffects(reads: [], writes: isCall ? stackPointer : []),
      hasOperandSizePrefix: false)
  }

  /// Whether an address counts from the base of FS or GS. The other segments' prefixes mean nothing, and Capstone keeps only the last.
  private static func hasSegmentPrefix(_ bytes: Span<UInt8>, _ prefixes: Int) -> Bool {
    for position in 0..<min(prefixes, bytes.count) where bytes[position] == 0x64 || bytes[position] == 0x65 {
      return true
    }
    return false
  }

  /// Number of legacy and REX prefixes in front of the opcode.
  private static func prefixCount(_ bytes: Span<UInt8>) -> Int {
    var count = 0
    while count < bytes.count, isPrefix(bytes[count]) { count += 1 }
    return count
  }

  private static func isPrefix(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40...0x4f: true
    default: false
    }
  }

  /// The length of UD1 (0f b9 /r) and UD0 (0f ff /r), which have a ModRM byte that Capstone 4 leaves out; `nil` for all else.
  private static func lengthOfUndefinedInstruction(_ bytes: Span<UInt8>, _ prefixes: Int) -> Int? {
    guard bytes.hasPair(0x0f, 0xb9, at: prefixes) || bytes.hasPair(0x0f, 0xff, at: prefixes) else { return nil }
    let modRMOffset = prefixes + 2
    guard modRMOffset < bytes.count else { return modRMOffset + 1 }
    let modRM = bytes[modRMOffset]
    let (mode, base) = (modRM >> 6, modRM & 7)
    var length = modRMOffset + 1
    guard mode != 3 else { return length }
    if base == 4 {
      let sibBase = length < bytes.count ? bytes[length] & 7 : 0
      length += 1
      if mode == 0, sibBase == 5 { length += 4 }
    }
    switch mode {
    case 0: return base == 5 ? length + 4 : length
    case 1: return length + 1
    default: return length + 4
    }
  }

  /// The length of a near branch with a 32-bit displacement, prefixes included; `nil` for all else.
  private static func nearBranchLength(_ bytes: Span<UInt8>, _ prefixes: Int) -> Int? {
    guard prefixes < bytes.count else { return nil }
    if bytes[prefixes] == 0xe8 || bytes[prefixes] == 0xe9 { return prefixes + 5 }
    guard prefixes + 1 < bytes.count, bytes[prefixes] == 0x0f, bytes[prefixes + 1] & 0xf0 == 0x80 else { return nil }
    return prefixes + 6
  }

  private static func flow(of id: x86_insn, _ operand: cs_x86_op?) -> ControlFlow {
    switch id {
    case X86_INS_CALL: return target(operand).map(ControlFlow.call) ?? .stop
    case X86_INS_JMP: return target(operand).map(ControlFlow.jump) ?? .stop
    case X86_INS_RET, X86_INS_RETF, X86_INS_RETFQ, X86_INS_IRET, X86_INS_IRETD, X86_INS_IRETQ, X86_INS_SYSRET,
      X86_INS_LJMP, X86_INS_SYSEXIT:
      return .stop
    case X86_INS_UD0, X86_INS_UD2, X86_INS_UD2B, X86_INS_HLT: return .trap
    case X86_INS_JAE, X86_INS_JA, X86_INS_JBE, X86_INS_JB, X86_INS_JCXZ, X86_INS_JECXZ, X86_INS_JE, X86_INS_JGE,
      X86_INS_JG, X86_INS_JLE, X86_INS_JL, X86_INS_JNE, X86_INS_JNO, X86_INS_JNP, X86_INS_JNS, X86_INS_JO, X86_INS_JP,
      X86_INS_JRCXZ, X86_INS_JS, X86_INS_LOOP, X86_INS_LOOPE, X86_INS_LOOPNE, X86_INS_XBEGIN:
      return target(operand).map(ControlFlow.conditionalJump) ?? .stop
    default: return .next
    }
  }

  private static func target(_ operand: cs_x86_op?) -> BranchTarget? {
    guard let operand = operand else { return nil }
    // SAFETY: the operand's type says which member of the union is meant.
    switch operand.type {
    case X86_OP_IMM: return .direct(Int(operand.imm))
    case X86_OP_REG: return x86Register(operand.reg.rawValue).map(BranchTarget.register)
    default: return .memory
    }
  }

  private static func operation(of id: x86_insn, _ operand: cs_x86_op?) -> Operation {
    switch id {
    case X86_INS_MOV where operand?.type == X86_OP_MEM: .store
    case X86_INS_MOV, X86_INS_MOVABS: .move
    case X86_INS_MOVSXD: .moveSigned
    case X86_INS_LEA: .loadAddress
    case X86_INS_ADD: .add
    case X86_INS_PUSH: .push
    case X86_INS_CMP, X86_INS_TEST: .compare
    default: .other
    }
  }

  private static func destination(_ operand: cs_x86_op?) -> Register? {
    // SAFETY: the operand's type says that the register member of the union is meant.
    guard let operand = operand, operand.type == X86_OP_REG, operand.size >= 4 else { return nil }
    return x86Register(operand.reg.rawValue)
  }

  private static func source(_ id: x86_insn, _ x86: cs_x86) -> Register? {
    let operand = x86.operands.1
    // SAFETY: the operand's type says that the register member of the union is meant.
    guard id == X86_INS_MOV || id == X86_INS_ADD, x86.op_count == 2, operand.type == X86_OP_REG, operand.size == 8
    else { return nil }
    return x86Register(operand.reg.rawValue)
  }

  private static func memory(_ x86: cs_x86, hasSegment: Bool) -> MemoryOperand? {
    // SAFETY: the operand's type says that the memory member of the union is meant.
    guard let operand = x86Operands(x86).first(where: { $0.type == X86_OP_MEM }) else { return nil }
    let (base, address32) = (operand.mem.base, x86.addr_size != 8)
    return MemoryOperand(
      base: x86Register(base.rawValue), index: x86Register(operand.mem.index.rawValue),
      scale: Int(operand.mem.scale), displacement: Int(operand.mem.disp),
      isProgramCounterRelative: base == X86_REG_RIP || base == X86_REG_EIP,
      // An address of 32 bits is as far from the plain sum as one with a segment's base.
      isSegmented: address32 || hasSegment,
      size: Int(operand.size))
  }

  /// The register that one of Capstone's numbers stands for. Capstone numbers parts of registers alphabetically.
  static func x86Register(_ number: UInt32) -> Register? { x86Registers[number] }

  private static let x86Registers: [UInt32: Register] = {
    let parts: [[x86_reg]] = [
      [X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH],
      [X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH],
      [X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH],
      [X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH],
      [X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL],
      [X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL],
      [X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL],
      [X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL],
      [X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B],
      [X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B],
      [X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B],
      [X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B],
      [X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B],
      [X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B],
      [X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B],
      [X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B],
    ]
    var registers: [UInt32: Register] = [:]
    for (number, names) in parts.enumerated() {
      for name in names { registers[name.rawValue] = Register(number) }
    }
    return registers
  }()
}

extension ControlFlow {
  fileprivate var isBranch: Bool {
    switch self {
    case .call, .jump, .conditionalJump: true
    case .next, .trap, .stop: false
    }
  }

  /// The flow with a target that is not known where it is a register: of that, 16 bits count on AMD's processors.
  fileprivate var withoutRegister: ControlFlow {
    switch self {
    case .call(.register): .call(.memory)
    case .jump(.register): .jump(.memory)
    default: self
    }
  }

  /// The same kind of branch, to another offset of the section.
  fileprivate func retargeted(to offset: Int) -> ControlFlow {
    switch self {
    case .call: .call(.direct(offset))
    case .jump: .jump(.direct(offset))
    case .conditionalJump: .conditionalJump(.direct(offset))
    case .next, .trap, .stop: self
    }
  }
}

extension Span where Element == UInt8 {
  /// The signed 32-bit little-endian number at an offset; `nil` where it would reach past the end.
  fileprivate func signed32(at offset: Int) -> Int? {
    guard offset >= 0, offset + 4 <= count else { return nil }
    let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(self[offset + $1]) << UInt32(8 * $1) }
    return Int(Int32(bitPattern: bits))
  }

  fileprivate func hasPair(_ first: UInt8, _ second: UInt8, at offset: Int) -> Bool {
    offset + 1 < count && self[offset] == first && self[offset + 1] == second
  }
}
