import Disassembly
import ObjectFile

/// What x86-64 code is like in a linked image.
extension X86_64 {
  /// The kind of a branch with a 32-bit displacement whose opcode is at `offset`, prefixes left out, and where the displacement is.
  static func nearBranch(at offset: Int, in code: Span<UInt8>) -> (kind: CallKind, field: Int)? {
    guard offset >= 0, offset < code.count else { return nil }
    switch code[offset] {
    case 0xe8: return (.call, offset + 1)
    case 0xe9: return (.tail, offset + 1)
    case 0x0f where offset + 1 < code.count && code[offset + 1] & 0xf0 == 0x80: return (.conditionalTail, offset + 2)
    default: return nil
    }
  }

  static func patchableBranch(at offset: Int, in code: Span<UInt8>) -> PatchableBranch? {
    guard let (kind, field) = nearBranch(at: offset, in: code),
      let displacement = code.littleEndian(Int32.self, at: field)
    else { return nil }
    return PatchableBranch(kind: kind, length: field + 4 - offset, target: field + 4 + Int(displacement))
  }

  static func isErasedBranch(at offset: Int, in code: Span<UInt8>) -> Bool { false }

  /// `jmp *slot(%rip)`, behind `endbr64` and with the prefix `bnd` where control-flow protection wants them (x86-64 psABI, "Procedure
  /// Linkage Table"). lld's with retpolines loads `r11` and jumps to the code that returns there (`-z retpolineplt`), or calls it
  /// where symbols are bound late.
  static func stubTarget(at offset: Int, in code: Span<UInt8>, address: UInt64) -> StubTarget? {
    func slot(_ field: Int) -> StubTarget? {
      code.littleEndian(Int32.self, at: field).map {
        .memory(address &+ UInt64(field + 4) &+ UInt64(bitPattern: Int64($0)))
      }
    }
    if code.hasBytes([0x4c, 0x8b, 0x1d], at: offset) {  // mov slot(%rip), %r11
      return code.hasBytes([0xe9], at: offset + 7) || code.hasBytes([0xe8], at: offset + 7) ? slot(offset + 3) : nil
    }
    var offset = offset
    if code.hasBytes([0xf3, 0x0f, 0x1e, 0xfa], at: offset) { offset += 4 }  // endbr64
    if code.hasBytes([0x41, 0xbb], at: offset) { offset += 6 }  // mov $index, %r11d, by mold
    if code.hasBytes([0xf2], at: offset) { offset += 1 }  // bnd
    return code.hasBytes([0xff, 0x25], at: offset) ? slot(offset + 2) : nil
  }

  /// Branches reach everything: linkers make no veneers.
  static func mayBeNamelessStub(at offset: Int, in code: Span<UInt8>) -> Bool { false }

  static func leadsOverStubs(at offset: Int, in code: Span<UInt8>, isStub: (Int) -> Bool) -> Bool { false }

  static func mention(at offset: Int, in code: Span<UInt8>, address: UInt64) -> Mention? {
    // Most bytes are none of these.
    let first = code[offset]
    guard first & 0xf8 == 0xb8 || first == 0x8b || first == 0x8d || first == 0xff || first == 0xc7 else { return nil }
    func end(_ size: Int) -> UInt64 { address &+ UInt64(offset + size) }
    func relative(_ field: Int) -> UInt64? {
      code.littleEndian(Int32.self, at: field).map { end(field + 4 - offset) &+ UInt64(bitPattern: Int64($0)) }
    }
    let second = offset + 1 < code.count ? code[offset + 1] : 0
    switch first {
    case 0x8b where second & 0xc7 == 0x05: return relative(offset + 2).map { .slot($0) }  // mov slot(%rip), %reg
    case 0x8d where second & 0xc7 == 0x05: return relative(offset + 2).map { .address($0) }  // lea
    case 0xff where [0x15, 0x25, 0x35].contains(second):  // call, jmp, push
      return relative(offset + 2).map { .slot($0) }
    case 0xb8...0xbf:  // mov $imm32, %reg; movabs $imm64, %reg
      if offset > 0, code[offset - 1] & 0xf8 == 0x48 {
        return code.littleEndian(UInt64.self, at: offset + 1).map { .address($0) }
      }
      return code.littleEndian(UInt32.self, at: offset + 1).map { .address(UInt64($0)) }
    case 0xc7 where second & 0xf8 == 0xc0:  // mov $imm32, %reg, with the sign extended
      return code.littleEndian(Int32.self, at: offset + 2).map { .address(UInt64(bitPattern: Int64($0))) }
    default: return nil
    }
  }

  static func content(
    madeBy instruction: Instruction, of held: [Register: UInt64], in code: Span<UInt8>, address: UInt64
  ) -> LinkedContent? {
    guard let register = instruction.destination, instruction.memory?.isSegmented != true else { return nil }
    let end = address &+ UInt64(instruction.end)
    func immediate<Number: FixedWidthInteger>(_: Number.Type) -> Number? {
      code.littleEndian(Number.self, at: instruction.end - Number.bitWidth / 8)
    }
    switch (instruction.operation, instruction.memory) {
    case (.loadAddress, let memory?) where memory.isProgramCounterRelative && instruction.destinationSize == 8:
      return LinkedContent(register, .address(end &+ UInt64(bitPattern: Int64(memory.displacement))))
    case (.move, let memory?)
    where memory.isProgramCounterRelative && memory.size == 8 && instruction.destinationSize == 8:
      return LinkedContent(register, .slot(end &+ UInt64(bitPattern: Int64(memory.displacement))))
    case (.move, nil):
      if let source = instruction.source { return LinkedContent(register, .register(source)) }
      // Without a register or memory it is an immediate of 8 or 4 bytes: b8+r, or c7 /0, which extends the sign.
      let prefixes = instruction.length > 0 && code[instruction.offset] & 0xf0 == 0x40 ? 1 : 0
      guard prefixes < instruction.length else { return nil }
      switch (code[instruction.offset + prefixes], instruction.length - prefixes) {
      case (0xb8...0xbf, 9): return immediate(UInt64.self).map { LinkedContent(register, .address($0)) }
      case (0xb8...0xbf, 5): return immediate(UInt32.self).map { LinkedContent(register, .address(UInt64($0))) }
      case (0xc7, 6) where instruction.destinationSize == 8:
        return immediate(Int32.self).map { LinkedContent(register, .address(UInt64(bitPattern: Int64($0)))) }
      default: return nil
      }
    default: return nil
    }
  }

  static let shapeFromTable = Shape.m1
  static let shapeOfAddress = Shape.m2

  static func slot(ofBranchOrPush instruction: Instruction, address: UInt64) -> UInt64? {
    guard let memory = instruction.memory, memory.isProgramCounterRelative, !memory.isSegmented, memory.size == 8,
      !instruction.hasOperandSizePrefix
    else { return nil }
    return address &+ UInt64(instruction.end) &+ UInt64(bitPattern: Int64(memory.displacement))
  }
}
