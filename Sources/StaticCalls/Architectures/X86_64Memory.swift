import Disassembly
import ObjectFile

/// How x86-64 code uses memory and its stack.
extension X86_64 {
  static let stackPointer = Register(4)

  static let framePointer = Register(5)

  static func placeFormed(by instruction: Instruction, in code: Span<UInt8>) -> Int? {
    guard instruction.operation == .loadAddress, let memory = instruction.memory, memory.isProgramCounterRelative else {
      return nil
    }
    return instruction.end + memory.displacement
  }

  static func baseOfStore(_ instruction: Instruction, in code: Span<UInt8>) -> Register? {
    guard let memory = instruction.memory, memory.index == nil, !memory.isSegmented else { return nil }
    return memory.base
  }

  static func memoryAccesses(by instruction: Instruction, in code: Span<UInt8>) -> [MemoryAccess] {
    let (effects, stackPointer) = (instruction.effects, RegisterSet(stackPointer))
    if isPop(instruction) {
      return [
        MemoryAccess(
          base: .stackPointer, displacement: 0, size: 8, isRead: true, loaded: effects.writes.subtracting(stackPointer))
      ]
    }
    if let opcode = stringOpcode(of: instruction, in: code) { return stringAccesses(opcode) }
    let operand = operandAccess(by: instruction)
    guard instruction.operation == .push else { return operand.map { [$0] } ?? [] }
    // What is pushed comes from a register, or from the operand in memory.
    let pushed = MemoryAccess(
      base: .stackPointer, displacement: -8, size: 8, isWrite: true,
      stored: operand == nil ? effects.reads.subtracting(stackPointer) : [])
    return [operand, pushed].compactMap { $0 }
  }

  /// The opcode of `ins`, `outs`, `movs`, `cmps`, `stos`, `lods`, `scas` and `xlat`, whose operands in memory stand in no ModRM byte (SDM,
  /// appendix A); `nil` for all others.
  static func stringOpcode(of instruction: Instruction, in code: Span<UInt8>) -> UInt8? {
    let last = instruction.end - 1
    switch code[last] {
    case 0x6c...0x6f, 0xa4...0xa7, 0xaa...0xaf, 0xd7: break
    default: return nil
    }
    // In front of the opcode there are prefixes and nothing else.
    let isPlain = (instruction.offset..<last).allSatisfy { position in
      switch code[position] {
      case 0x26, 0x2e, 0x36, 0x3e, 0x40...0x4f, 0x64...0x67, 0xf0, 0xf2, 0xf3: true
      default: false
      }
    }
    return isPlain ? code[last] : nil
  }

  /// At `rsi` something is read, at `rdi` something is written, or read; how far from there depends on the count.
  private static func stringAccesses(_ opcode: UInt8) -> [MemoryAccess] {
    let accumulator = RegisterSet(Register(0))
    let source = MemoryAccess(
      base: .register(Register(6)), displacement: nil, size: 1, isRead: true,
      loaded: [0xac, 0xad].contains(opcode) ? accumulator : [])
    let target = MemoryAccess(
      base: .register(Register(7)), displacement: nil, size: 1, isWrite: true,
      stored: [0xaa, 0xab].contains(opcode) ? accumulator : [])
    return [source, target]
  }

  private static func operandAccess(by instruction: Instruction) -> MemoryAccess? {
    guard let memory = instruction.memory, instruction.operation != .loadAddress else { return nil }
    let base: MemoryAccess.Base =
      if memory.isSegmented { .other } else {
        memory.base.map { $0 == stackPointer ? .stackPointer : .register($0) } ?? .other
      }
    var access = MemoryAccess(
      base: base, displacement: memory.index == nil ? memory.displacement : nil, size: max(memory.size, 1))
    let address = [memory.base, memory.index].compactMap { $0 }.reduce(into: RegisterSet()) {
      $0.insert(RegisterSet($1))
    }
    switch instruction.operation {
    case .store:
      access.isWrite = true
      access.stored = instruction.effects.reads.subtracting(address)
      if let source = instruction.source { access.stored.insert(RegisterSet(source)) }
    case .compare, .push: access.isRead = true
    case _ where instruction.flow.kind != nil: access.isRead = true
    default:
      access.isRead = true
      access.loaded = instruction.effects == .unknown ? [] : instruction.effects.writes
      // Where the first operand is no register, it may be the one in memory.
      guard instruction.destination == nil else { break }
      access.isWrite = true
      access.stored = instruction.effects.reads.subtracting(address)
    }
    return access
  }

  /// `pop` to a register: it reads nothing else than the stack pointer, and replaces the register.
  private static func isPop(_ instruction: Instruction) -> Bool {
    let stackPointer = RegisterSet(stackPointer)
    return instruction.memory == nil && instruction.operation == .other && instruction.effects.reads == stackPointer
      && instruction.effects.writes.isStrictSuperset(of: stackPointer) && instruction.flow == .next
  }

  static func stackStep(of instruction: Instruction, in code: Span<UInt8>) -> StackStep {
    let offset = instruction.offset
    // What is not known to change the stack pointer does not: no compiler could work with such code.
    guard instruction.effects != .unknown, instruction.effects.writes.contains(stackPointer),
      instruction.flow.kind != .call, instruction.flow != .stop
    else { return .moved(by: 0) }
    // With the prefix 66, two bytes are pushed.
    guard code[offset] != 0x66 else { return .unknown }
    if instruction.operation == .push { return .moved(by: -8) }
    if isPop(instruction), instruction.destination != stackPointer { return .moved(by: 8) }
    if instruction.operation == .loadAddress, let memory = instruction.memory, memory.base == stackPointer,
      memory.index == nil
    {
      return .moved(by: memory.displacement)
    }
    guard code.hasBytes([0x48], at: offset), instruction.memory == nil else { return .unknown }
    let amount: Int? =
      if code.hasBytes([0x83], at: offset + 1) {
        code.littleEndian(Int8.self, at: offset + 3).map { Int($0) }
      } else if code.hasBytes([0x81], at: offset + 1) {
        code.littleEndian(Int32.self, at: offset + 3).map { Int($0) }
      } else {
        nil
      }
    guard let amount else { return .unknown }
    switch code[offset + 2] {
    case 0xc4: return .moved(by: amount)  // add
    case 0xec: return .moved(by: -amount)  // sub
    default: return .unknown
    }
  }

  static func stackAddress(formedBy instruction: Instruction, in code: Span<UInt8>) -> (
    register: Register, distance: Int?
  )? {
    guard let register = instruction.destination, instruction.effects != .unknown else { return nil }
    switch instruction.operation {
    case .move where instruction.memory == nil && instruction.source == stackPointer: return (register, 0)
    case .loadAddress where instruction.memory?.base == stackPointer:
      return (register, instruction.memory?.index == nil ? instruction.memory?.displacement : nil)
    case .add where instruction.source == stackPointer: return (register, nil)
    default: return nil
    }
  }
}
