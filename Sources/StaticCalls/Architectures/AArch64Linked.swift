import ObjectFile

/// What AArch64 code is like in a linked image.
extension AArch64 {
  static func patchableBranch(at offset: Int, in code: Span<UInt8>) -> PatchableBranch? {
    guard offset % 4 == 0, let word = branchWord(at: offset, in: code) else { return nil }
    let distance = Int(Int32(bitPattern: word << 6) >> 6) * 4
    return PatchableBranch(kind: word >> 31 == 1 ? .call : .tail, length: 4, target: offset + distance)
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
      let pages = Int64(Int32(bitPattern: word(0) << 8) >> 13) << 2 | Int64(word(0) >> 29 & 3)
      let page = (here & ~0xfff) &+ UInt64(bitPattern: pages << 12)
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
}
