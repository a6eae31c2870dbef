extension X86Behaviour {
  /// Vector instructions, and those that share their maps: BMI, ADX, CRC32, AMX. Vector and mask registers are not counted; what is left
  /// are addresses and the instructions that name a general-purpose register.
  mutating func vectorMaps() -> Bool {
    guard X86VectorOpcodes.contain(encoding), hasOperandsOfItsKind else { return false }
    switch (encoding.form, encoding.map) {
    case (.legacy, 1): legacyVector()
    case (.legacy, 2): return legacyMap38()
    case (.legacy, 3): map3A()
    case (.vex, 1): vexMap1()
    case (.vex, 2): vexMap2()
    case (.vex, 3): vexMap3()
    case (.evex, 1): evexMap1()
    case (.evex, 2): evexMap2()
    case (.evex, 3): map3A()
    case (.evex, 5): evexMap5()
    case (.xop, 9): return xopMap9()
    case (.xop, 10): return xopMap10()
    default: break
    }
    return true
  }

  /// Whether ModRM names memory where only memory, or a register where only a register may be.
  private var hasOperandsOfItsKind: Bool {
    guard encoding.map == 1 else { return true }
    switch encoding.opcode {
    case 0x13, 0x17, 0x2b, 0xe7: return encoding.hasMemory
    case 0x50, 0xc5, 0xd7, 0xf7: return !encoding.hasMemory
    case 0x71...0x73: return !encoding.hasMemory || encoding.form == .evex
    default: return true
    }
  }

  private var isScalar: Bool { encoding.selector == .repeated || encoding.selector == .repeatedNot }

  /// 4 or 8 bytes, as W says.
  private var wideSize: Int { encoding.isWide ? 8 : 4 }

  // MARK: The map 0f and its twins

  private mutating func legacyVector() {
    switch encoding.opcode {
    case 0xf7:
      use(.rdi, .read)
      changeOtherMemory()
    // `movq2dq` and `movdq2q` have no memory.
    default: commonMap1()
    }
  }

  /// What SSE, AVX and AVX-512 have in common.
  private mutating func commonMap1() {
    switch encoding.opcode {
    case 0x11, 0x13, 0x17, 0x29, 0x2b, 0x7f, 0xe7: storeVector()
    // The others of these opcodes convert between vector registers.
    case 0xd6 where encoding.selector == .operandSize: storeVector()
    case 0x2a where isScalar: place(.read, wideSize)
    case 0x2c where isScalar, 0x2d where isScalar: register(.write, wideSize)
    case 0x50, 0xc5, 0xd7: register(.write, 4)
    case 0x6e: place(.read, wideSize)
    case 0x7e where encoding.selector != .repeated: place(.write, wideSize)
    case 0xc4: place(.read, encoding.hasMemory ? 2 : 4)
    default: break
    }
  }

  private mutating func storeVector() {
    if encoding.hasMemory { changeMemory() }
  }

  private mutating func vexMap1() {
    switch encoding.opcode {
    case 0x91: storeVector()
    case 0x92: place(.read, wideSize)
    case 0x93: register(.write, 4)
    case 0xae where encoding.extensionOfOpcode == 3: storeVector()
    case 0xf7:
      use(.rdi, .read)
      changeOtherMemory()
    default: commonMap1()
    }
  }

  private mutating func evexMap1() {
    switch encoding.opcode {
    case 0x78 where isScalar, 0x79 where isScalar: register(.write, wideSize)
    case 0x7b where isScalar: place(.read, wideSize)
    default: commonMap1()
    }
  }

  // MARK: The map 0f38 and its twins

  private mutating func legacyMap38() -> Bool {
    let selector = encoding.selector
    switch encoding.opcode {
    case 0xf0, 0xf1:
      if encoding.repetition == 0xf2 {  // crc32
        register(.readWrite, 4)
        place(.read, width)
      } else if encoding.hasMemory, encoding.opcode == 0xf0 {  // movbe
        register(.write, size)
        place(.read, size)
      } else if encoding.hasMemory {
        place(.write, size)
        register(.read, size)
      } else {
        return false
      }
    case 0xf6 where selector == .operandSize, 0xf6 where selector == .repeated:  // adcx, adox
      register(.readWrite, wideSize)
      place(.read, wideSize)
    case 0xf8 where encoding.hasMemory && selector == .operandSize:  // movdir64b
      register(.read, 8)
      changeOtherMemory()
    case 0xf9:  // movdiri
      guard encoding.hasMemory else { return false }
      place(.write, wideSize)
      register(.read, wideSize)
    // Translations, key locker, shadow stacks, `enqcmd`.
    case 0x80...0x82, 0xd8: return unknown()
    case 0xdc...0xdf where selector == .repeated: return unknown()
    case 0xf5...0xff: return unknown()
    default: break
    }
    return true
  }

  private mutating func vexMap2() {
    switch encoding.opcode {
    case 0x2e, 0x2f, 0x8e: storeVector()
    case 0x49 where encoding.selector == .operandSize, 0x4b where encoding.selector == .repeated: storeVector()
    case 0xe0...0xef:  // cmpccxadd
      place(.readWrite, wideSize)
      register(.readWrite, wideSize)
      operand(encoding.vectorRegister, .read, wideSize)
    case 0xf2:  // andn
      register(.write, wideSize)
      operand(encoding.vectorRegister, .read, wideSize)
      place(.read, wideSize)
    case 0xf3:  // blsr, blsmsk, blsi
      operand(encoding.vectorRegister, .write, wideSize)
      place(.read, wideSize)
    case 0xf6:  // mulx
      register(.write, wideSize)
      operand(encoding.vectorRegister, .write, wideSize)
      place(.read, wideSize)
      use(.rdx, .read)
    case 0xf5, 0xf7:  // bzhi, pext, pdep; bextr, shlx, sarx, shrx
      register(.write, wideSize)
      place(.read, wideSize)
      operand(encoding.vectorRegister, .read, wideSize)
    default: break
    }
  }

  private mutating func evexMap2() {
    switch encoding.opcode {
    case 0x10...0x15 where encoding.selector == .repeated, 0x20...0x25 where encoding.selector == .repeated,
      0x30...0x35 where encoding.selector == .repeated:
      storeVector()  // vpmov and its like
    case 0x63, 0x8a, 0x8b: storeVector()  // vpcompress, vcompress
    case 0xa0...0xa3: storeVector()  // scatters
    case 0x7a...0x7c: place(.read, wideSize)  // vpbroadcast
    default: break
    }
  }

  // MARK: The map 0f3a and its twins

  private mutating func map3A() {
    switch encoding.opcode {
    case 0x14: place(.write, encoding.hasMemory ? 1 : 4)
    case 0x15: place(.write, encoding.hasMemory ? 2 : 4)
    case 0x16, 0x17: place(.write, encoding.opcode == 0x16 ? wideSize : 4)
    case 0x19, 0x1b, 0x1d, 0x39, 0x3b: storeVector()
    case 0x20: place(.read, encoding.hasMemory ? 1 : 4)
    case 0x22: place(.read, wideSize)
    // `hreset`.
    case 0xf0: use(.rax, .read)
    case 0x60...0x63 where encoding.form != .evex: compareStrings()
    default: break
    }
  }

  /// `pcmpestrm`, `pcmpestri`, `pcmpistrm`, `pcmpistri`: lengths in `rax` and `rdx`, an index in `rcx`.
  private mutating func compareStrings() {
    if encoding.opcode < 0x62 { use([.rax, .rdx], .read) }
    if encoding.opcode & 1 == 1 { use(.rcx, .write) }
  }

  private mutating func vexMap3() {
    if encoding.opcode == 0xf0 {  // rorx
      register(.write, wideSize)
      place(.read, wideSize)
    } else {
      map3A()
    }
  }

  // MARK: FP16, XOP

  private mutating func evexMap5() {
    switch encoding.opcode {
    case 0x11: storeVector()
    case 0x2a where encoding.selector == .repeated, 0x7b where encoding.selector == .repeated: place(.read, wideSize)
    case 0x2c where encoding.selector == .repeated, 0x2d where encoding.selector == .repeated,
      0x78 where encoding.selector == .repeated, 0x79 where encoding.selector == .repeated:
      register(.write, wideSize)
    case 0x6e: place(.read, encoding.hasMemory ? 2 : 4)
    case 0x7e where encoding.selector == .operandSize: place(.write, encoding.hasMemory ? 2 : 4)
    default: break
    }
  }

  private mutating func xopMap9() -> Bool {
    switch encoding.opcode {
    case 0x01, 0x02:  // blcfill, blsfill, blcs, tzmsk, blcic, blsic, t1mskc; blcmsk, blci
      operand(encoding.vectorRegister, .write, wideSize)
      place(.read, wideSize)
    case 0x12: return unknown()
    default: break
    }
    return true
  }

  private mutating func xopMap10() -> Bool {
    guard encoding.opcode == 0x10 else { return unknown() }
    register(.write, wideSize)
    place(.read, wideSize)
    return true
  }
}
