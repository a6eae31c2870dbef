import Disassembly
import ObjectFile

/// How AArch64 code uses memory and its stack: Arm ARM C4.1.66, "Loads and Stores".
extension AArch64 {
  static let framePointer = Register(29)

  static func memoryAccesses(by instruction: Instruction, in code: Span<UInt8>) -> [MemoryAccess] {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset), word & 0x0a00_0000 == 0x0800_0000 else {
      return []
    }
    let first = register(word, at: 0).map { RegisterSet($0) } ?? []
    let second = register(word, at: 10).map { RegisterSet($0) } ?? []
    let status = register(word, at: 16).map { RegisterSet($0) } ?? []
    let (isVector, isLoad) = (word >> 26 & 1 == 1, word >> 22 & 1 == 1)
    let base: MemoryAccess.Base = register(word, at: 5).map { .register($0) } ?? .stackPointer
    func access(
      _ base: MemoryAccess.Base, _ displacement: Int?, _ size: Int, isRead: Bool, isWrite: Bool,
      _ data: RegisterSet
    ) -> [MemoryAccess] {
      let data = isVector ? [] : data
      return [
        MemoryAccess(
          base: base, displacement: displacement, size: size, isRead: isRead, isWrite: isWrite,
          stored: isWrite ? data : [], loaded: isRead ? data : [])
      ]
    }
    if word & 0x3b00_0000 == 0x1800_0000 {  // literal
      return access(.other, nil, 8, isRead: true, isWrite: false, first)
    }
    if word & 0x3a00_0000 == 0x2800_0000 {  // pair
      let size = isVector ? 4 << Int(word >> 30) : word >> 30 & 2 == 2 ? 8 : 4
      let distance = Int(Int32(bitPattern: word << 10) >> 25) * size
      let isPostIndexed = word >> 23 & 3 == 1
      return access(
        base, isPostIndexed ? 0 : distance, 2 * size, isRead: isLoad, isWrite: !isLoad, first.union(second))
    }
    // Of one register: bits 31, 30 and 23 say how long it is, and 23 and 22 whether it is loaded.
    let size = isVector && word >> 23 & 1 == 1 ? 16 : 1 << Int(word >> 30)
    let isSingleLoad = isVector ? isLoad : word >> 22 & 3 != 0
    if word & 0x3b00_0000 == 0x3900_0000 {  // unsigned immediate
      let distance = Int(word >> 10 & 0xfff) * size
      return access(base, distance, size, isRead: isSingleLoad, isWrite: !isSingleLoad, first)
    }
    if word & 0x3b20_0000 == 0x3800_0000 {  // 9-bit immediate
      let distance = Int(Int32(bitPattern: word << 11) >> 23)
      return access(
        base, word >> 10 & 3 == 1 ? 0 : distance, size, isRead: isSingleLoad, isWrite: !isSingleLoad, first)
    }
    if word & 0x3b20_0c00 == 0x3820_0800 {  // register offset
      return access(base, nil, size, isRead: isSingleLoad, isWrite: !isSingleLoad, first)
    }
    var all = access(base, nil, 16, isRead: true, isWrite: true, first.union(second).union(status))
    if instruction.effects != .unknown { all[0].loaded = instruction.effects.writes }
    return all
  }

  static func stackStep(of instruction: Instruction, in code: Span<UInt8>) -> StackStep {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset) else { return .moved(by: 0) }
    let amount = Int(word >> 10 & 0xfff) << (word >> 22 & 1 == 1 ? 12 : 0)
    switch word & 0xff80_03ff {
    case 0x9100_03ff: return .moved(by: amount)  // add sp, sp, #imm
    case 0xd100_03ff: return .moved(by: -amount)  // sub sp, sp, #imm
    default: break
    }
    let isOther =
      word & 0x1f00_001f == 0x1100_001f && word >> 29 & 1 == 0  // add, sub with an immediate, from another register
      || word & 0x3fe0_001f == 0x0b20_001f  // add, sub of a register
      || word & 0x7f80_001f == 0x1200_001f  // and with an immediate
    if isOther { return .unknown }
    guard word & 0x0a00_03e0 == 0x0800_03e0 else { return .moved(by: 0) }
    // Loads and stores that move their base.
    if word & 0x3a00_0000 == 0x2800_0000, word >> 23 & 1 == 1 {
      let size = word >> 26 & 1 == 1 ? 4 << Int(word >> 30) : word >> 30 & 2 == 2 ? 8 : 4
      return .moved(by: Int(Int32(bitPattern: word << 10) >> 25) * size)
    }
    if word & 0x3b20_0400 == 0x3800_0400 { return .moved(by: Int(Int32(bitPattern: word << 11) >> 23)) }
    return .moved(by: 0)
  }

  static func stackAddress(formedBy instruction: Instruction, in code: Span<UInt8>) -> (
    register: Register, distance: Int?
  )? {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset), let register = register(word, at: 0) else {
      return nil
    }
    if word & 0xff80_03e0 == 0x9100_03e0 {  // add Xd, sp, #imm
      return (register, Int(word >> 10 & 0xfff) << (word >> 22 & 1 == 1 ? 12 : 0))
    }
    // sub, and add of a register
    let isComputed = word & 0xff80_03e0 == 0xd100_03e0 || word & 0xbfe0_03e0 == 0x8b20_03e0
    return isComputed ? (register, nil) : nil
  }
}
