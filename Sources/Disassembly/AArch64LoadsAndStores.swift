// Arm ARM C4.1.94. The base is in bits 9 to 5 everywhere, what is moved in bits 4 to 0.

extension AArch64Behaviour {
  mutating func loadOrStore() -> Bool {
    if matches(0xbf00_0000, 0x0c00_0000) || matches(0xbf00_0000, 0x0d00_0000) { return vectorStructure() }
    switch (bits(28, 2), bits(24, 2)) {
    case (0, 0) where !bit(26): return exclusive()
    case (1, 0): return literal()
    case (1, 1): return unscaledOrTagged()
    case (2, _): return pair()
    case (3, _): return single()
    default: return false
    }
  }

  private mutating func store() {
    if !bit(26) {
      operation = .store
      read(at: 0)
    }
    changeMemoryAtBase()
  }

  private mutating func load() {
    operation = .move
    if !bit(26) { write(at: 0) }
  }

  // MARK: Exclusives, ordered ones, compare and swap

  private mutating func exclusive() -> Bool {
    read(at: 5)
    switch (bit(23), bit(21)) {
    case (false, false):
      if bit(22) {  // ldxr, ldaxr
        write(at: 0)
      } else {  // stxr, stlxr: the status goes to another register
        write(at: 16)
        read(at: 0)
        changeMemoryAtBase()
      }
    case (false, true) where bit(31):
      if bit(22) {  // ldxp, ldaxp
        write(at: 0)
        write(at: 10)
      } else {  // stxp, stlxp
        write(at: 16)
        read(at: 0, 10)
        changeMemoryAtBase()
      }
    case (false, true):  // casp: the registers are pairs, of which the first is named
      guard bits(10, 5) == 31, !bit(16), !bit(0) else { return false }
      changePair(at: 16)
      readPair(at: 0)
      changeMemoryAtBase()
    case (true, false):  // ldar, ldlar; stlr, stllr
      if bit(22) { write(at: 0) } else { store() }
    case (true, true):  // cas
      guard bits(10, 5) == 31 else { return false }
      change(at: 16)
      read(at: 0)
      changeMemoryAtBase()
    }
    return true
  }

  /// A register of an even number and the next; the one after `x30` is zero.
  private func pairOfRegisters(at position: UInt32) -> RegisterSet {
    let number = Int(bits(position, 5))
    let first = RegisterSet(Register(number))
    return number == 30 ? first : first.union(RegisterSet(Register(number + 1)))
  }

  private mutating func changePair(at position: UInt32) { change(pairOfRegisters(at: position)) }

  private mutating func readPair(at position: UInt32) { effects.reads.formUnion(pairOfRegisters(at: position)) }

  // MARK: Literals, unscaled offsets, tags, copies

  private mutating func literal() -> Bool {
    guard !bit(24), !bit(26) || bits(30, 2) != 3 else { return false }
    // prfm
    if !bit(26), bits(30, 2) == 3 { return true }
    load()
    return true
  }

  private mutating func unscaledOrTagged() -> Bool {
    read(at: 5)
    if matches(0xff20_0000, 0xd920_0000) { return tag() }
    if matches(0xff20_fc00, 0x1920_1000) || matches(0xff20_fc00, 0x1920_3000) || matches(0xff20_fc00, 0x1920_8000)
      || matches(0xff20_fc00, 0x1960_1000) || matches(0xff20_fc00, 0x1960_3000) || matches(0xff20_fc00, 0x1960_8000)
    {  // ldclrp, ldsetp, swpp with every order
      change(at: 0, 16)
      changeMemoryAtBase()
      return true
    }
    if matches(0xfb20_0c00, 0x1900_0400) {  // copies and settings of memory move all their registers
      change(at: 0, 5, 16)
      changeMemory()
      return true
    }
    if matches(0x3f20_0c00, 0x1d00_0800) {  // stlur and ldapur of vector registers
      if !bit(22) { changeMemoryAtBase() }
      return true
    }
    guard matches(0x3f20_0c00, 0x1900_0000) else { return false }
    switch (bits(22, 2), bits(30, 2)) {  // stlur; ldapur and its like
    case (0, _): store()
    case (1, _), (2, 0...2), (3, 0...1): load()
    default: return false
    }
    return true
  }

  /// `stg`, `stzg`, `st2g`, `stz2g`, `ldg`, and all tags of a block at once.
  private mutating func tag() -> Bool {
    guard bits(10, 2) == 0 else {
      read(at: 0)
      if bit(10) { change(at: 5) }
      changeMemoryAtBase()
      return true
    }
    guard bits(22, 2) == 1 || bits(12, 9) == 0 else { return false }
    switch bits(22, 2) {
    case 0, 2:  // stzgm, stgm
      read(at: 0)
      changeMemoryAtBase()
    default: change(at: 0)  // ldg, ldgm
    }
    return true
  }

  // MARK: Pairs

  private mutating func pair() -> Bool {
    let (size, mode) = (bits(30, 2), bits(23, 2))
    guard size != 3, bit(26) || size != 1 || mode != 0 else { return false }
    read(at: 5)
    if bit(22) {
      load()
      if !bit(26) { write(at: 10) }
    } else {  // with size 1, stgp
      store()
      if !bit(26) { read(at: 10) }
    }
    if mode & 1 == 1 { change(at: 5) }
    return true
  }

  // MARK: Single registers

  private mutating func single() -> Bool {
    read(at: 5)
    if bit(24) { return plain() }
    guard bit(21) else {
      // unscaled, post-indexed, unprivileged, pre-indexed
      let mode = bits(10, 2)
      guard mode != 2 || !bit(26), plain() else { return false }
      if mode & 1 == 1 {
        guard operation != .other || bit(26) else { return false }
        change(at: 5)
      }
      return true
    }
    switch bits(10, 2) {
    case 0: return !bit(26) && atomic()
    case 2:
      guard bit(14) else { return false }
      read(at: 16)
      return plain()
    default:  // ldraa, ldrab
      guard matches(0xff20_0400, 0xf820_0400) else { return false }
      load()
      if bit(11) { change(at: 5) }
      return true
    }
  }

  private mutating func plain() -> Bool {
    let (size, opcode) = (bits(30, 2), bits(22, 2))
    if bit(26) {
      guard opcode < 2 || size == 0 else { return false }
      if opcode & 1 == 0 { store() } else { load() }
      return true
    }
    switch opcode {
    case 0: store()
    case 1: load()
    case 2 where size == 3: break  // prfm
    case 2: load()
    default:
      guard size < 2 else { return false }
      load()
    }
    return true
  }

  /// `ldadd`, `ldclr`, `ldeor`, `ldset`, `ldsmax` and their like, `swp`; `ldapr`.
  private mutating func atomic() -> Bool {
    let (isSwap, opcode) = (bit(15), bits(12, 3))
    if isSwap, opcode == 4 {
      guard bit(23), !bit(22), bits(16, 5) == 31 else { return false }
      write(at: 0)
      return true
    }
    guard !isSwap || opcode == 0 else { return false }
    write(at: 0)
    read(at: 16)
    changeMemoryAtBase()
    return true
  }

  // MARK: Vectors

  /// `ld1` to `ld4`, `st1` to `st4`, whole or by element; behind them the base moves by a constant or a register.
  private mutating func vectorStructure() -> Bool {
    read(at: 5)
    if bit(23) {
      change(at: 5)
      read(at: 16)
    } else {
      guard bits(16, 5) < 2, bit(24) || !bit(21) else { return false }
    }
    if !bit(22) { changeMemoryAtBase() }
    return true
  }
}
