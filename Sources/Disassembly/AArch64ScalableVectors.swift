// SVE and SVE2 (Arm ARM C4.1.93): what touches general-purpose registers is known by its class, what certainly does not is without effects,
// and what is in neither list is refused.

extension AArch64Behaviour {
  mutating func vectorLength() -> Bool {
    switch word >> 24 {
    case 0x04: return !bit(21) || integersWithoutPredicate()
    case 0x05: return !bit(21) || permutation()
    case 0x25: return !bit(21) || predicates()
    // Comparisons; multiplication, histograms and the like; floating point.
    case 0x24, 0x44, 0x45, 0x64, 0x65: return true
    case 0x84, 0x85, 0xa4, 0xa5, 0xc4, 0xc5, 0xe4, 0xe5:
      // The base or the offset may be a vector; none of them moves.
      read(at: 5, 16)
      if bits(29, 3) == 7 { changeMemory() }
      return true
    default: return false
    }
  }

  private mutating func integersWithoutPredicate() -> Bool {
    switch bits(12, 4) {
    case 4:  // index, from registers or immediates
      if bit(10) { read(at: 5) }
      if bit(11) { read(at: 16) }
    case 5:  // addvl, addpl, and rdvl, whose source is no register
      guard !bit(11) else { return false }
      if bit(23) {
        guard matches(0xffff_f800, 0x04bf_5000) else { return false }
      } else {
        read(at: 16)
      }
      write(at: 0)
    case 14 where matches(0x0030_0c00, 0x0020_0000): write(at: 0)  // cntb and its like
    case 14, 15: change(at: 0)  // incb, sqincb and their like
    default: break
    }
    return true
  }

  private mutating func permutation() -> Bool {
    switch (bits(10, 6), bits(16, 5)) {
    case (0b001110, 0b00000), (0b001110, 0b00100): read(at: 5)  // dup, insr
    case (0b101000...0b101111, 0b00000), (0b101000...0b101111, 0b00001): write(at: 0)  // lasta, lastb
    case (0b101000...0b101111, 0b01000): read(at: 5)  // cpy
    case (0b101000...0b101111, 0b10000), (0b101000...0b101111, 0b10001): change(at: 0)  // clasta, clastb
    case (0b101000...0b101111, _): return false
    default: break
    }
    return true
  }

  private mutating func predicates() -> Bool {
    switch bits(14, 2) {
    case 0:  // while, cterm
      read(at: 5, 16)
    case 1: return false
    case 2:
      switch bits(19, 3) {
      case 4: change(at: 0)  // cntp
      case 5 where bits(12, 2) == 0:  // incp, decp and their like
        if bit(11) { change(at: 0) }
      case 5 where bits(12, 2) == 1: break  // wrffr, setffr
      default: return false
      }
    default: break
    }
    return true
  }
}
