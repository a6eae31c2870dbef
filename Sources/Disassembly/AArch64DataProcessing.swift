// Arm ARM C4.1.86 (immediates), C4.1.95 (registers), C4.1.96 (floating point and vectors).

extension AArch64Behaviour {
  // MARK: Immediates

  mutating func immediate() -> Bool {
    let is64Bit = bit(31)
    switch bits(23, 3) {
    case 0, 1:  // adr, adrp
      operation = .loadAddress
      write(at: 0)
    case 2:
      addOrSubtract()
      read(at: 5)
    case 3:
      // addg, subg, and with bit 22 the minima and maxima of CSSC
      let isTagged = matches(0xbfc0_c000, 0x9180_0000)
      guard isTagged || matches(0x7fc0_0000, 0x11c0_0000) && bits(18, 4) < 4 else { return false }
      write(at: 0)
      read(at: 5)
    case 4:  // and, orr, eor, ands
      guard is64Bit || !bit(22) else { return false }
      write(at: 0)
      read(at: 5)
    case 5:  // movn, movz, movk
      guard bits(29, 2) != 1, is64Bit || !bit(22) else { return false }
      operation = bits(29, 2) == 3 ? .add : .other
      write(at: 0)
      if bits(29, 2) == 3 { read(at: 0) }
    case 6:  // sbfm, bfm, ubfm
      guard bits(29, 2) != 3, bit(22) == is64Bit, is64Bit || !bit(21) && !bit(15) else { return false }
      write(at: 0)
      read(at: 5)
      if bits(29, 2) == 1 { read(at: 0) }
    default:  // extr
      guard matches(0x7fa0_0000, 0x1380_0000), bit(22) == is64Bit, is64Bit || !bit(15) else { return false }
      write(at: 0)
      read(at: 5, 16)
    }
    return true
  }

  /// `add`, `adds`, `sub`, `subs`; `cmp` and `cmn` where the result goes nowhere.
  private mutating func addOrSubtract() {
    operation = bit(29) && bits(0, 5) == 31 ? .compare : bit(30) ? .other : .add
    write(at: 0)
  }

  // MARK: Registers

  mutating func registers() -> Bool {
    let is64Bit = bit(31)
    if matches(0x1f00_0000, 0x0a00_0000) || matches(0x1f20_0000, 0x0b00_0000) {  // with a shifted register
      let isLogical = !bit(24)
      guard is64Bit || !bit(15), isLogical || bits(22, 2) != 3 else { return false }
      if isLogical { write(at: 0) } else { addOrSubtract() }
    } else if matches(0x1fe0_0000, 0x0b20_0000) {  // with an extended register
      guard bits(10, 3) <= 4 else { return false }
      addOrSubtract()
    } else if matches(0x1f00_0000, 0x1b00_0000) {
      return threeSources()
    } else if matches(0x1fe0_fc00, 0x1a00_0000) || matches(0x3fe0_0800, 0x1a80_0000) {  // adc, sbc; csel and its like
      write(at: 0)
    } else if matches(0x3fe0_0410, 0x3a40_0000) {  // ccmn, ccmp
      read(at: 5)
      if !bit(11) { read(at: 16) }
      return true
    } else if matches(0xffe0_7c10, 0xba00_0400) || matches(0xffff_bc1f, 0x3a00_080d) {  // rmif, setf8, setf16
      read(at: 5)
      return true
    } else if matches(0x5fe0_0000, 0x1ac0_0000) {
      guard isTwoSources else { return false }
      write(at: 0)
    } else if matches(0x7fe0_0000, 0x5ac0_0000) {
      return oneSource()
    } else {
      return false
    }
    read(at: 5, 16)
    return true
  }

  /// `madd`, `smaddl`, `smulh` and their like.
  private mutating func threeSources() -> Bool {
    let isMultiplyHigh = bits(21, 3) == 2 || bits(21, 3) == 6
    switch bits(21, 3) {
    case 0: guard bits(29, 2) == 0 else { return false }
    case 1, 5: guard bits(29, 3) == 4 else { return false }
    case 2, 6: guard bits(29, 3) == 4, !bit(15) else { return false }
    default: return false
    }
    write(at: 0)
    read(at: 5, 16)
    if !isMultiplyHigh { read(at: 10) }
    return true
  }

  /// `subp`, `udiv`, `sdiv`, `irg`, `gmi`, shifts, `pacga`, `crc32`, minima and maxima; `subps`.
  private var isTwoSources: Bool {
    let is64Bit = bit(31)
    if bit(29) { return is64Bit && bits(10, 6) == 0 }
    switch bits(10, 6) {
    case 0, 4, 5, 12: return is64Bit
    case 2, 3, 8...11, 24...27: return true
    case 16...18, 20...22: return !is64Bit
    case 19, 23: return is64Bit
    default: return false
    }
  }

  /// `rbit`, `rev`, `clz`, `cls`, `ctz`, `cnt`, `abs`, and pointer authentication.
  private mutating func oneSource() -> Bool {
    let is64Bit = bit(31)
    write(at: 0)
    switch (bits(16, 5), bits(10, 6)) {
    case (0, 3): return is64Bit && readsSource()
    case (0, 0...2), (0, 4...8): return readsSource()
    case (1, 0...7) where is64Bit:
      read(at: 0)
      return readsSource()
    case (1, 8...17) where is64Bit:
      read(at: 0)
      return bits(5, 5) == 31
    default: return false
    }
  }

  private mutating func readsSource() -> Bool {
    read(at: 5)
    return true
  }

  // MARK: Floating point and vectors

  /// Of these, conversions and copies name a general-purpose register, and nothing else does.
  mutating func vector() -> Bool {
    if matches(0x5f20_fc00, 0x1e20_0000) {  // between floating point and integers
      switch (bits(19, 2), bits(16, 3)) {
      case (0...3, 0), (0...3, 1), (0, 4), (0, 5): write(at: 0)
      case (0, 2), (0, 3), (0, 7), (1, 7): read(at: 5)
      case (0, 6), (1, 6), (3, 6): write(at: 0)
      default: return false
      }
      return true
    }
    if matches(0x5f20_0000, 0x1e00_0000) {  // between floating point and fixed point
      switch (bits(19, 2), bits(16, 3)) {
      case (0, 2), (0, 3): read(at: 5)
      case (3, 0), (3, 1): write(at: 0)
      default: return false
      }
      return true
    }
    if matches(0xbfe0_8400, 0x0e00_0400) {  // dup, ins, smov, umov
      switch bits(11, 4) {
      case 1, 3: read(at: 5)
      case 5, 7: write(at: 0)
      default: break
      }
    }
    switch word >> 24 {
    case 0x0e, 0x0f, 0x1e, 0x1f, 0x2e, 0x2f, 0x4e, 0x4f, 0x5e, 0x5f, 0x6e, 0x6f, 0x7e, 0x7f, 0xce: return true
    default: return false
    }
  }
}
