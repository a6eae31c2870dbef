import Disassembly
import ObjectFile

/// How far x86-64 code looks into a jump table.
extension X86_64 {
  /// Looks for `cmp $n, index` and the branch that is taken for greater ones (`ja`, `jae`) or not (`jbe`, `jb`), or a mask.
  static func entries(loadedBy load: Instruction, after path: [FunctionCode.Step], in code: Span<UInt8>) -> Int? {
    guard var index = load.memory?.index else { return nil }
    for (number, step) in path.enumerated() {
      // Behind a call the registers are others.
      if step.instruction.flow.kind == .call { return nil }
      if let condition = condition(of: step.instruction, in: code) {
        // Loads and copies between the comparison and its branch leave the flags as they are.
        let rest = path[(number + 1)...]
        guard let compare = rest.first(where: { !$0.instruction.keepsFlags }) else { return nil }
        let isChanged = rest.prefix { $0.instruction.keepsFlags }.contains {
          $0.instruction.effects.writes.contains(index)
        }
        guard !isChanged, case .compare(index, let limit)? = arithmetic(of: compare.instruction, in: code), limit >= 0
        else { continue }
        switch (condition, step.isTaken) {
        case (7, false), (6, true): return limit + 1  // a, be
        case (3, false), (2, true): return limit  // ae, b
        default: continue
        }
      }
      guard step.instruction.effects.writes.contains(index) else { continue }
      if let source = widened(by: step.instruction, in: code) {
        index = source
      } else if case .mask(index, let mask)? = arithmetic(of: step.instruction, in: code), mask >= 0 {
        return mask + 1
      } else {
        return nil
      }
    }
    return nil
  }

  /// The four bits that say on what a conditional jump depends.
  private static func condition(of instruction: Instruction, in code: Span<UInt8>) -> UInt8? {
    guard case .conditionalJump = instruction.flow else { return nil }
    if instruction.length >= 6, code[instruction.end - 6] == 0x0f, code[instruction.end - 5] & 0xf0 == 0x80 {
      return code[instruction.end - 5] & 0xf
    }
    return instruction.length >= 2 && code[instruction.end - 2] & 0xf0 == 0x70 ? code[instruction.end - 2] & 0xf : nil
  }

  private enum Arithmetic {
    case compare(Register, Int)
    case mask(Register, Int)
  }

  /// What `cmp` and `and` with an immediate do to a register of 4 or 8 bytes (SDM, CMP and AND: 83 /7 ib, 81 /7 id, 3d id; /4 and 25).
  private static func arithmetic(of instruction: Instruction, in code: Span<UInt8>) -> Arithmetic? {
    var position = instruction.offset
    var rex: UInt8 = 0
    if code[position] & 0xf0 == 0x40 {
      rex = code[position]
      position += 1
    }
    guard position + 1 < instruction.end else { return nil }
    let opcode = code[position]
    if opcode == 0x3d || opcode == 0x25 {
      guard let value = code.littleEndian(Int32.self, at: position + 1) else { return nil }
      return opcode == 0x3d ? .compare(Register(0), Int(value)) : .mask(Register(0), Int(value))
    }
    let modRM = code[position + 1]
    guard opcode == 0x83 || opcode == 0x81, modRM >= 0xc0 else { return nil }
    let register = Register(Int(modRM & 7 | (rex & 1) << 3))
    let value =
      opcode == 0x83
      ? code.littleEndian(Int8.self, at: position + 2).map { Int($0) }
      : code.littleEndian(Int32.self, at: position + 2).map { Int($0) }
    guard let value else { return nil }
    switch modRM >> 3 & 7 {
    case 4: return .mask(register, value)
    case 7: return .compare(register, value)
    default: return nil
    }
  }

  /// The register whose contents an instruction copies, with or without an extension: `mov`, `movzx`, `movsx`, `movslq` between registers.
  private static func widened(by instruction: Instruction, in code: Span<UInt8>) -> Register? {
    if let source = instruction.source, instruction.operation == .move { return source }
    var position = instruction.offset
    var rex: UInt8 = 0
    if code[position] & 0xf0 == 0x40 {
      rex = code[position]
      position += 1
    }
    var isRead = code[position] == 0x8b || code[position] == 0x63
    let isWritten = code[position] == 0x89
    if code[position] == 0x0f, position + 1 < instruction.end, [0xb6, 0xb7, 0xbe, 0xbf].contains(code[position + 1]) {
      position += 1
      isRead = true
    }
    guard isRead || isWritten, position + 2 == instruction.end, code[position + 1] >= 0xc0 else { return nil }
    let modRM = code[position + 1]
    let number = isRead ? modRM & 7 | (rex & 1) << 3 : modRM >> 3 & 7 | (rex & 4) << 1
    // Without REX the numbers 4 to 7 stand for ah to bh where a byte is read.
    if rex == 0, number >= 4, position > instruction.offset, code[position] & 1 == 0 { return nil }
    return Register(Int(number))
  }
}

extension Instruction {
  /// Whether an instruction is one of the few that stand between a comparison and its branch.
  fileprivate var keepsFlags: Bool {
    flow == .next && [.move, .moveSigned, .loadAddress, .store].contains(operation)
  }
}
