/// x86-64, decoded by its encoding.
extension Disassembler {
  static func x86Instruction(_ bytes: Span<UInt8>, at offset: Int) -> Instruction? {
    guard let encoding = X86Encoding(bytes), let behaviour = X86Behaviour(encoding) else { return nil }
    let flow = behaviour.flow.counted(from: offset)
    let hasOperandSizePrefix = encoding.hasOperandSizePrefix && flow.isBranch
    return Instruction(
      offset: offset, length: encoding.length, flow: hasOperandSizePrefix ? flow.withoutRegister : flow,
      operation: behaviour.operation, destination: behaviour.destination, destinationSize: behaviour.destinationSize,
      source: behaviour.source, memory: memory(behaviour), writesMemory: behaviour.writesMemory,
      effects: behaviour.effects, hasOperandSizePrefix: hasOperandSizePrefix)
  }

  private static func memory(_ behaviour: X86Behaviour) -> MemoryOperand? {
    let encoding = behaviour.encoding
    let isOffset = encoding.operandBytes == .address
    guard encoding.hasMemory || isOffset else { return nil }
    // An address of 32 bits is as far from the plain sum as one with a segment's base, a vector of indexes, or a displacement that EVEX
    // multiplies.
    let isPlain =
      !encoding.hasAddressSizePrefix && !encoding.hasSegment && !behaviour.hasVectorIndex
      && encoding.form != .evex
    return MemoryOperand(
      base: encoding.base.map { Register($0) },
      index: behaviour.hasVectorIndex ? nil : encoding.index.map { Register($0) },
      scale: encoding.scale, displacement: encoding.displacement,
      isProgramCounterRelative: encoding.isProgramCounterRelative, isSegmented: !isPlain, size: behaviour.accessSize)
  }

  /// A near branch without prefixes, whose opcode says all; `nil` for all else. These are decoded most, by far.
  static func plainNearBranch(_ bytes: Span<UInt8>, at offset: Int) -> Instruction? {
    guard bytes.count >= 5 else { return nil }
    let isLong = bytes[0] == 0x0f && bytes[1] & 0xf0 == 0x80
    guard isLong || bytes[0] == 0xe8 || bytes[0] == 0xe9 else { return nil }
    let length = isLong ? 6 : 5
    guard let displacement = bytes.signed32(at: length - 4) else { return nil }
    let target = BranchTarget.direct(offset + length + displacement)
    let isCall = bytes[0] == 0xe8
    let flow: ControlFlow = isCall ? .call(target) : isLong ? .conditionalJump(target) : .jump(target)
    return Instruction(
      offset: offset, length: length, flow: flow, operation: .other, destination: nil, destinationSize: 0, source: nil,
      memory: nil, writesMemory: false, effects: RegisterEffects(reads: [], writes: isCall ? .rsp : []),
      hasOperandSizePrefix: false)
  }
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
}

extension Span where Element == UInt8 {
  /// The signed 32-bit little-endian number at an offset; `nil` where it would reach past the end.
  fileprivate func signed32(at offset: Int) -> Int? {
    guard offset >= 0, offset + 4 <= count else { return nil }
    let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(self[offset + $1]) << UInt32(8 * $1) }
    return Int(Int32(bitPattern: bits))
  }
}
