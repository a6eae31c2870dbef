import Disassembly
import ObjectFile

/// What AArch64 code is like in a linked image.
extension AArch64 {
  static func patchableBranch(at offset: Int, in code: Span<UInt8>) -> PatchableBranch? {
    guard offset % 4 == 0, let word = branchWord(at: offset, in: code) else { return nil }
    let distance = Int(Int32(bitPattern: word << 6) >> 6) * 4
    return PatchableBranch(kind: word >> 31 == 1 ? .call : .tail, length: 4, target: offset + distance)
  }

  /// GNU ld and mold write a `nop`; others let the branch lead to the next instruction.
  static func isErasedBranch(at offset: Int, in code: Span<UInt8>) -> Bool {
    code.littleEndian(UInt32.self, at: offset) == nop
  }

  /// An entry of a PLT (`adrp x16`, `ldr x17`, `add x16`, `br x17`), or a veneer: `adrp x16`, `add x16`, `br x16`; `ldr x16` of the
  /// address behind `br x16`; `ldr x16`, `adr x17`, `add x16, x16, x17`, `br x16` and the distance behind it; a plain `b`.
  static func stubTarget(at offset: Int, in code: Span<UInt8>, address: UInt64) -> StubTarget? {
    func word(_ number: Int) -> UInt32 { code.littleEndian(UInt32.self, at: offset + 4 * number) ?? 0 }
    let (jumpThroughX16, here) = (UInt32(0xd61f_0200), address &+ UInt64(offset))
    if word(0) & ~0x80 == 0xd503_241f || word(0) & ~0xc0 == 0xd503_241f {  // bti c, bti jc
      return stubTarget(at: offset + 4, in: code, address: address)
    }
    if word(0) & 0x9f00_001f == 0x9000_0010 {  // adrp x16
      let page = page(word(0), here)
      let immediate = UInt64(word(1) >> 10 & 0xfff)
      if word(1) & 0xffc0_03ff == 0xf940_0211 { return .memory(page &+ immediate * 8) }  // ldr x17, [x16, #imm]
      guard word(1) & 0xffc0_03ff == 0x9100_0210, word(2) == jumpThroughX16 else { return nil }  // add x16, x16, #imm
      return .address(page &+ immediate)
    }
    if word(0) == 0x5800_0050, word(1) == jumpThroughX16 {  // ldr x16, .+8
      return code.littleEndian(UInt64.self, at: offset + 8).map { .address($0) }
    }
    if word(0) == 0x5800_0090, word(1) == 0x1000_0011, word(2) == 0x8b11_0210, word(3) == jumpThroughX16 {
      return code.littleEndian(UInt64.self, at: offset + 16).map { .address(here &+ 4 &+ $0) }
    }
    return patchableBranch(at: offset, in: code).flatMap {
      $0.kind == .tail ? .address(address &+ UInt64(bitPattern: Int64($0.target))) : nil
    }
  }

  /// `adrp x16`, `ldr x16`: what all forms of veneers begin with that gold makes.
  static func mayBeNamelessStub(at offset: Int, in code: Span<UInt8>) -> Bool {
    guard let word = code.littleEndian(UInt32.self, at: offset) else { return false }
    return word & 0x9f00_001f == 0x9000_0010 || word == 0x5800_0050 || word == 0x5800_0090
  }

  /// GNU ld begins a section of stubs in the middle of the code with a branch over it and a `nop`. Its corrections of the Cortex-A53's errata
  /// 835769 and 843419 have no names: the instruction that was in the wrong place, and a branch back.
  static func leadsOverStubs(at offset: Int, in code: Span<UInt8>, isStub: (Int) -> Bool) -> Bool {
    func word(_ number: Int) -> UInt32 { code.littleEndian(UInt32.self, at: offset + 4 * number) ?? 0 }
    guard let branch = patchableBranch(at: offset, in: code), branch.kind == .tail, branch.target > offset + 8,
      word(1) == nop
    else { return false }
    if isStub(offset + 8) { return true }
    let isMoved = word(2) & 0x3b00_0000 == 0x3900_0000 || word(2) & 0xff00_0000 == 0x9b00_0000  // ldr, str; madd, msub
    guard isMoved, let back = patchableBranch(at: offset + 12, in: code) else { return false }
    return back.kind == .tail && !(offset...branch.target).contains(back.target)
  }

  static func mention(at offset: Int, in code: Span<UInt8>, address: UInt64) -> Mention? {
    guard offset % 4 == 0, let word = code.littleEndian(UInt32.self, at: offset) else { return nil }
    let here = address &+ UInt64(offset)
    if word & 0x9f00_0000 == 0x9000_0000 { return .page(page(word, here)) }
    if word & 0x9f00_0000 == 0x1000_0000 { return .address(nearby(word, here)) }  // adr
    if word & 0xff00_0000 == 0x5800_0000 { return .slot(literal(word, here)) }
    if word & 0xff80_0000 == 0xd280_0000 { return .part(UInt64(word >> 5 & 0xffff), shift: Int(word >> 21 & 3) * 16) }
    return nil
  }

  static func content(
    madeBy instruction: Instruction, of held: [Register: UInt64], in code: Span<UInt8>, address: UInt64
  ) -> LinkedContent? {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset) else { return nil }
    let here = address &+ UInt64(instruction.offset)
    let (target, base) = (Register(Int(word & 31)), held[Register(Int(word >> 5 & 31))])
    guard word & 31 != 31 else { return nil }
    if word & 0x9f00_0000 == 0x9000_0000 { return LinkedContent(target, .address(page(word, here))) }
    if word & 0x9f00_0000 == 0x1000_0000 { return LinkedContent(target, .address(nearby(word, here))) }
    if word & 0xff00_0000 == 0x5800_0000 { return LinkedContent(target, .slot(literal(word, here))) }
    let immediate = UInt64(word >> 10 & 0xfff)
    switch word & 0xffc0_0000 {
    case 0x9100_0000: return base.map { LinkedContent(target, .address($0 &+ immediate)) }  // add
    case 0xf940_0000: return base.map { LinkedContent(target, .slot($0 &+ immediate * 8)) }  // ldr
    default: break
    }
    if word & 0xffe0_ffe0 == 0xaa00_03e0 {  // mov
      return LinkedContent(target, .register(Register(Int(word >> 16 & 31))))
    }
    let (part, shift) = (UInt64(word >> 5 & 0xffff), UInt64(word >> 21 & 3) * 16)
    switch word & 0xff80_0000 {
    case 0xd280_0000: return LinkedContent(target, .address(part << shift))  // movz
    case 0xf280_0000:  // movk
      return held[target].map { LinkedContent(target, .address($0 & ~(0xffff << shift) | part << shift)) }
    default: return nil
    }
  }

  static let shapeFromTable = Shape.m7
  static let shapeOfAddress = Shape.m8

  /// No branch goes through memory.
  static func slot(ofBranchOrPush instruction: Instruction, address: UInt64) -> UInt64? { nil }

  private static func page(_ adrp: UInt32, _ here: UInt64) -> UInt64 {
    (here & ~0xfff) &+ UInt64(bitPattern: distance(adrp) << 12)
  }

  private static func nearby(_ adr: UInt32, _ here: UInt64) -> UInt64 { here &+ UInt64(bitPattern: distance(adr)) }

  private static func literal(_ load: UInt32, _ here: UInt64) -> UInt64 {
    here &+ UInt64(bitPattern: Int64(Int32(bitPattern: load << 8) >> 13) * 4)
  }

  /// The signed number in an `adr` or `adrp`.
  private static func distance(_ word: UInt32) -> Int64 {
    Int64(Int32(bitPattern: word << 8) >> 13) << 2 | Int64(word >> 29 & 3)
  }
}
