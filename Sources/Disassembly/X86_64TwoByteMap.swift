extension X86Behaviour {
  /// The instructions behind 0f that are not the vector units'.
  mutating func twoByteMap() -> Bool {
    let (opcode, selector) = (encoding.opcode, encoding.selector)
    switch opcode {
    case 0x00: return group6()
    case 0x01: return group7()
    case 0x02, 0x03:
      register(.readWrite, size)
      place(.read, encoding.hasMemory ? 2 : size)
    case 0x05: systemCall()
    // `clts`, `invd`, `wbinvd`, `femms`, `emms`.
    case 0x06, 0x08, 0x09, 0x0e, 0x77: break
    case 0x07, 0x34, 0x35:
      flow = .stop
      return unknown()
    case 0x0b: flow = .trap
    case 0xb9, 0xff:
      // `ud1` and `ud0` have operands, which a handler may look at.
      flow = .trap
      return unknown()
    case 0x0d, 0x18, 0x19, 0x1a, 0x1c, 0x1d: place(.read, 8)
    // 3DNow!: its registers are those of MMX.
    case 0x0f: break
    case 0x1b:
      // MPX stores bounds here; without it this is a `nop`.
      place(.read, 8)
      changeMemory()
    case 0x1e:
      // `rdssp`: without shadow stacks it leaves its operand as it was.
      if selector == .repeated, !encoding.hasMemory, encoding.extensionOfOpcode == 1 { place(.readWrite, 2) }
    // The operand of a `nop` says how long it is.
    case 0x1f: effects = RegisterEffects(reads: [], writes: [])
    case 0x20...0x23: return controlRegister()
    case 0x30...0x33: modelSpecific()
    case 0x40...0x4f:
      register(.readWrite, size)
      place(.read, size)
    case 0x78 where selector == .none:
      place(.write, 8)
      register(.read, 8)
    case 0x79 where selector == .none:
      register(.read, 8)
      place(.read, 8)
    case 0x80...0x8f: branch(isConditional: true)
    case 0x90...0x9f: place(.write, 1)
    case 0xa0, 0xa8: push()
    case 0xa1, 0xa9: use(.rsp, .readWrite)
    case 0xa2:
      use([.rax, .rcx], .readWrite)
      use([.rbx, .rdx], .write)
    case 0xa3:
      place(.read, size)
      register(.read, size)
    case 0xa4, 0xa5, 0xac, 0xad:
      place(.readWrite, size)
      register(.read, size)
      if opcode & 1 == 1 { use(.rcx, .read) }
    case 0xaa:
      flow = .stop
      return unknown()
    case 0xab, 0xb3, 0xbb:
      allowLock()
      place(.readWrite, size)
      register(.read, size)
      // The number of the bit reaches far beyond the operand.
      if encoding.hasMemory { changeOtherMemory() }
    case 0xae: return group15()
    case 0xaf:
      register(.readWrite, size)
      place(.read, size)
    case 0xb0, 0xb1:
      allowLock()
      place(.readWrite, width)
      register(.read, width)
      use(.rax, .readWrite)
    case 0xb2, 0xb4, 0xb5:
      guard encoding.hasMemory else { return false }
      register(.readWrite, size)
    case 0xb6, 0xb7, 0xbe, 0xbf:
      register(.write, size)
      place(.read, opcode & 1 == 0 ? 1 : 2)
    case 0xb8:
      guard selector == .repeated else { return false }
      register(.write, size)
      place(.read, size)
    case 0xba:
      guard encoding.extensionOfOpcode >= 4 else { return false }
      if encoding.extensionOfOpcode > 4 { allowLock() }
      place(encoding.extensionOfOpcode == 4 ? .read : .readWrite, size)
    // Of zero, `bsf` and `bsr` leave the register as it was; processors without `tzcnt` and `lzcnt` take them for these.
    case 0xbc, 0xbd:
      register(.readWrite, size)
      place(.read, size)
    case 0xc0, 0xc1:
      allowLock()
      place(.readWrite, width)
      register(.readWrite, width)
    case 0xc3:
      guard encoding.hasMemory, selector == .none else { return false }
      place(.write, size)
      register(.read, size)
    case 0xc7: return group9()
    case 0xc8...0xcf: operand(encoding.registerOfOpcode, .readWrite, size)
    default: return vectorMaps()
    }
    return true
  }

  /// `syscall` leaves its return address and the flags in `rcx` and `r11` (SDM volume 2), and Linux its result in `rax` and nothing in
  /// others (psABI, section A.2.1); other kernels use `rdx` as well. A kernel may look at all registers: `ptrace`, signals.
  private mutating func systemCall() {
    effects.reads = .all
    effects.writes = [.rax, .rcx, .rdx, .r11]
    changeOtherMemory()
  }

  /// `sldt`, `str`, `lldt`, `ltr`, `verr`, `verw`.
  private mutating func group6() -> Bool {
    switch encoding.extensionOfOpcode {
    case 0, 1: place(.readWrite, encoding.hasMemory ? 2 : size)
    case 2...5: place(.read, 2)
    default: return false
    }
    return true
  }

  private mutating func group7() -> Bool {
    guard encoding.hasMemory else { return group7WithoutMemory() }
    switch encoding.extensionOfOpcode {
    // `sgdt`, `sidt`, `smsw`.
    case 0, 1, 4: place(.write, encoding.extensionOfOpcode == 4 ? 2 : 10)
    // `lgdt`, `lidt`, `lmsw`, `invlpg`.
    case 2, 3, 6, 7: break
    // `rstorssp`.
    default: return encoding.selector == .repeated && unknown()
    }
    return true
  }

  private mutating func group7WithoutMemory() -> Bool {
    switch (encoding.modRM, encoding.selector) {
    case (0xc8, .none), (0xfa, .none): use([.rax, .rcx, .rdx], .read)  // monitor, monitorx
    case (0xc9, .none): use([.rax, .rcx], .read)  // mwait
    case (0xfb, .none): use([.rax, .rbx, .rcx], .read)  // mwaitx
    case (0xca, .none), (0xcb, .none): break  // clac, stac
    case (0xd0, .none), (0xee, .none):  // xgetbv, rdpkru
      use(.rcx, .read)
      use([.rax, .rdx], .write)
    case (0xd1, .none), (0xef, .none): use([.rax, .rcx, .rdx], .read)  // xsetbv, wrpkru
    case (0xd5, .none), (0xd6, .none): break  // xend, xtest
    case (0xe8, .none), (0xe8, .repeatedNot), (0xe9, .repeatedNot): break  // serialize, xsusldtrk, xresldtrk
    case (0xf8, .none): break  // swapgs
    case (0xf9, .none): use([.rax, .rcx, .rdx], .write)  // rdtscp
    case (0xfc, .none):  // clzero
      use(.rax, .read)
      changeOtherMemory()
    case (0xca, .repeated), (0xca, .repeatedNot), (0xec, .repeated), (0xde, _):  // eretu, erets, uiret, skinit
      flow = .stop
      return unknown()
    case (0xe0...0xe7, .none), (0xe0...0xe7, .operandSize): place(.readWrite, size)  // smsw
    case (0xf0...0xf7, .none): place(.read, 2)  // lmsw
    default: return unknown()
    }
    return true
  }

  private mutating func controlRegister() -> Bool {
    let isControl = encoding.opcode & 1 == 0
    guard isControl ? [0, 2, 3, 4, 8].contains(encoding.register) : encoding.register < 8 else { return false }
    place(encoding.opcode < 0x22 ? .write : .read, 8)
    // With another root of the page tables memory is other memory.
    if encoding.opcode == 0x22 { changeOtherMemory() }
    return true
  }

  /// `wrmsr`, `rdtsc`, `rdmsr`, `rdpmc`.
  private mutating func modelSpecific() {
    switch encoding.opcode {
    case 0x30:
      use([.rax, .rcx, .rdx], .read)
      changeOtherMemory()
    case 0x31: use([.rax, .rdx], .write)
    default:
      use(.rcx, .read)
      use([.rax, .rdx], .write)
    }
  }

  /// `fxsave` and `xsave` and their like, `ldmxcsr`, `stmxcsr`, fences, cache lines, bases of FS and GS, waiting.
  private mutating func group15() -> Bool {
    let number = encoding.extensionOfOpcode
    guard encoding.hasMemory else {
      switch (number, encoding.selector) {
      case (0, .repeated), (1, .repeated): place(.write, size)
      case (2, .repeated), (3, .repeated), (4, .repeated), (5, .repeated), (6, .repeated): place(.read, size)
      case (5, .none), (6, .none), (7, .none): break
      case (6, .operandSize), (6, .repeatedNot):
        place(.read, 4)
        use([.rax, .rdx], .read)
      default: return false
      }
      return true
    }
    switch (number, encoding.selector) {
    case (0, .none), (3, .none): place(.write, 4)
    case (1, .none), (2, .none): break
    case (4, .none), (6, .none):
      place(.write, 1)
      use([.rax, .rdx], .read)
    case (5, .none): use([.rax, .rdx], .read)
    case (4, .repeated): place(.read, size)
    case (6, .operandSize), (7, .none), (7, .operandSize): break
    case (6, .repeated): return unknown()
    default: return false
    }
    return true
  }

  /// `cmpxchg8b`, `cmpxchg16b`, the rest of `xsave`'s family, random numbers, `rdpid`.
  private mutating func group9() -> Bool {
    let (number, selector) = (encoding.extensionOfOpcode, encoding.selector)
    guard encoding.hasMemory else {
      switch (number, selector) {
      case (6, .none), (6, .operandSize), (7, .none), (7, .operandSize): place(.write, size)
      case (7, .repeated): place(.write, 8)
      default: return number >= 6 && unknown()
      }
      return true
    }
    switch number {
    case 1:
      allowLock()
      place(.readWrite, 8)
      // Whether the registers change depends on memory.
      use([.rbx, .rcx], .read)
      use([.rax, .rdx], .readWrite)
    case 3 where selector == .none: use([.rax, .rdx], .read)
    case 4 where selector == .none, 5 where selector == .none:
      place(.write, 1)
      use([.rax, .rdx], .read)
    case 6, 7: return unknown()
    default: return false
    }
    return true
  }
}
