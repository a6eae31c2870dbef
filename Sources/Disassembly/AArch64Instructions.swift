/// AArch64, decoded by its encoding.
extension Disassembler {
  static func arm64Instruction(_ code: Span<UInt8>, at offset: Int) -> Instruction? {
    guard offset <= code.count - 4 else { return nil }
    let word = (0..<4).reduce(UInt32(0)) { $0 | UInt32(code[offset + $1]) << UInt32(8 * $1) }
    guard let behaviour = AArch64Behaviour(word) else { return nil }
    return Instruction(
      offset: offset, length: 4, flow: behaviour.flow.counted(from: offset), operation: behaviour.operation,
      destination: behaviour.destination, destinationSize: 0, source: nil, memory: nil,
      writesMemory: behaviour.writesMemory, effects: behaviour.effects, hasOperandSizePrefix: false)
  }
}

extension ControlFlow {
  /// The flow with its target counted from where the instruction's own offset counts from.
  func counted(from offset: Int) -> ControlFlow {
    switch self {
    case .call(.direct(let distance)): .call(.direct(offset + distance))
    case .jump(.direct(let distance)): .jump(.direct(offset + distance))
    case .conditionalJump(.direct(let distance)): .conditionalJump(.direct(offset + distance))
    default: self
    }
  }
}

// MARK: Branches, exceptions and system instructions (Arm ARM C4.1.89)

extension AArch64Behaviour {
  mutating func branchOrSystem() -> Bool {
    if matches(0x7c00_0000, 0x1400_0000) {  // b, bl
      let target = BranchTarget.direct(distance(at: 0, 26))
      flow = bit(31) ? .call(target) : .jump(target)
      if bit(31) { effects.writes.formUnion(Self.linkRegister) }
    } else if matches(0xff00_0000, 0x5400_0000) {  // b.cond, bc.cond
      flow = .conditionalJump(.direct(distance(at: 5, 19)))
    } else if matches(0x7e00_0000, 0x3400_0000) {  // cbz, cbnz
      flow = .conditionalJump(.direct(distance(at: 5, 19)))
      read(at: 0)
    } else if matches(0x7e00_0000, 0x3600_0000) {  // tbz, tbnz
      flow = .conditionalJump(.direct(distance(at: 5, 14)))
      read(at: 0)
    } else if matches(0xfe00_0000, 0xd600_0000) {
      return branchThroughRegister()
    } else if matches(0xff00_0000, 0xd400_0000) {
      return exception()
    } else {
      return matches(0xffc0_0000, 0xd500_0000) && system()
    }
    return true
  }

  static let linkRegister = RegisterSet(Register(30))

  /// The signed number of words in a field, in bytes.
  private func distance(at position: UInt32, _ count: UInt32) -> Int {
    let field = Int32(bitPattern: bits(position, count) << (32 - count))
    return Int(field >> Int32(32 - count)) * 4
  }

  private mutating func branchThroughRegister() -> Bool {
    let register = bits(5, 5)
    // Of the zero register nothing is known, and of what authentication makes of a signed address neither.
    let plain = register == 31 ? BranchTarget.memory : .register(Register(Int(register)))
    switch (word & 0xffff_fc1f, word & 0xffff_f81f, word & 0xffff_f800) {
    case (0xd61f_0000, _, _): flow = .jump(plain)  // br
    case (0xd63f_0000, _, _): flow = .call(plain)  // blr
    case (0xd65f_0000, _, _): flow = .stop  // ret
    case (_, 0xd61f_081f, _): flow = .jump(.memory)  // braaz, brabz
    case (_, 0xd63f_081f, _): flow = .call(.memory)  // blraaz, blrabz
    case (_, _, 0xd71f_0800): flow = .jump(.memory)  // braa, brab
    case (_, _, 0xd73f_0800): flow = .call(.memory)  // blraa, blrab
    default:
      flow = .stop
      switch word {
      case 0xd65f_0bff, 0xd65f_0fff: effects.reads.formUnion(Self.linkRegister)  // retaa, retab
      case 0xd69f_03e0, 0xd69f_0bff, 0xd69f_0fff, 0xd6bf_03e0: return unknown()  // eret, eretaa, eretab, drps
      default: return false
      }
      return true
    }
    read(at: 5)
    if bit(24) { read(at: 0) }
    if case .call = flow { effects.writes.formUnion(Self.linkRegister) }
    return true
  }

  /// A system call, a call of the hypervisor or of the firmware may change what a function may (AAPCS64, section 6.1.1): Linux changes
  /// `x0` alone, the firmware up to `x17` (SMCCC, section 2.6). All may look at every register.
  private mutating func exception() -> Bool {
    switch word & 0xffe0_001f {
    case 0xd400_0001, 0xd400_0002, 0xd400_0003:  // svc, hvc, smc
      effects.reads = .all
      effects.writes = RegisterSet(rawValue: 0x0007_ffff).union(Self.linkRegister)
      changeMemory()
    case 0xd420_0000: flow = .trap  // brk
    case 0xd440_0000:  // hlt, with which a debugger makes system calls of its own
      flow = .trap
      return unknown()
    case 0xd4a0_0001, 0xd4a0_0002, 0xd4a0_0003: return unknown()  // dcps
    default: return false
    }
    return true
  }

  private mutating func system() -> Bool {
    if matches(0xffff_f01f, 0xd503_201f) { return hint() }
    if matches(0xffff_f01f, 0xd503_301f) {  // clrex, dsb, dmb, isb, sb
      return [2, 4, 5, 6, 7].contains(bits(5, 3)) || matches(0xffff_f3ff, 0xd503_323f)
    }
    if matches(0xffff_ffc0, 0xd503_1000) {  // wfet, wfit
      read(at: 0)
      return true
    }
    if matches(0xfff8_f01f, 0xd500_401f) { return true }  // cfinv, msr of a field of PSTATE
    if matches(0xfff8_0000, 0xd508_0000) {  // sys: dc, ic, at, tlbi
      read(at: 0)
      changeMemory()
      return true
    }
    if matches(0xfff0_0000, 0xd510_0000) {  // msr
      read(at: 0)
      return true
    }
    if matches(0xfff8_0000, 0xd528_0000) || matches(0xfff0_0000, 0xd530_0000) {  // sysl, mrs
      write(at: 0)
      return true
    }
    return false
  }

  /// Those that sign and authenticate `x30` or `x17`, and those that have nothing to do with registers. What is not defined yet is left
  /// unknown (Arm ARM C6.2, HINT).
  private mutating func hint() -> Bool {
    switch bits(5, 7) {
    // `nop`, `yield`, `wfe`, `wfi`, `sev`, `sevl`, `dgh`, `esb`, `psb`, `tsb`, `gcsb`, `csdb`, `clrbhb`, `bti`.
    case 0...6, 16...20, 22, 32, 34, 36, 38: break
    case 7, 24...31: change(Self.linkRegister)
    case 8, 10, 12, 14:
      change(RegisterSet(Register(17)))
      effects.reads.formUnion(RegisterSet(Register(16)))
    default: return unknown()
    }
    return true
  }
}
