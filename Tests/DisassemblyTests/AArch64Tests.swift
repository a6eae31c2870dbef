import Disassembly
import Testing

@Suite struct AArch64Tests {
  static let branches: [(Sample, ControlFlow)] = [
    (Sample("bl .+8", word: 0x9400_0002), .call(.direct(72))),
    (Sample("bl .-4", word: 0x97ff_ffff), .call(.direct(60))),
    (Sample("bl, as far back as it goes", word: 0x9600_0000), .call(.direct(64 - 0x800_0000))),
    (Sample("b .-4", word: 0x17ff_ffff), .jump(.direct(60))),
    (Sample("b .+0", word: 0x1400_0000), .jump(.direct(64))),
    (Sample("b, as far as it goes", word: 0x15ff_ffff), .jump(.direct(64 + 0x7ff_fffc))),
    (Sample("b.eq .+8", word: 0x5400_0040), .conditionalJump(.direct(72))),
    (Sample("b.le .-68", word: 0x54ff_fded), .conditionalJump(.direct(-4))),
    (Sample("cbz x0, .+8", word: 0xb400_0040), .conditionalJump(.direct(72))),
    (Sample("cbnz w1, .+8", word: 0x3500_0041), .conditionalJump(.direct(72))),
    (Sample("tbz w0, #3, .+8", word: 0x3618_0040), .conditionalJump(.direct(72))),
    (Sample("tbnz w0, #3, .+8", word: 0x3718_0040), .conditionalJump(.direct(72))),
    (Sample("tbnz x0, #35, .+8", word: 0xb718_0040), .conditionalJump(.direct(72))),
    (Sample("blr x8", word: 0xd63f_0100), .call(.register(Register(8)))),
    (Sample("blr x29", word: 0xd63f_03a0), .call(.register(Register(29)))),
    (Sample("blr x30", word: 0xd63f_03c0), .call(.register(Register(30)))),
    (Sample("br x17", word: 0xd61f_0220), .jump(.register(Register(17)))),
    (Sample("ret", word: 0xd65f_03c0), .stop),
    (Sample("ret x5", word: 0xd65f_00a0), .stop),
    (Sample("eret", word: 0xd69f_03e0), .stop),
    (Sample("brk #1", word: 0xd420_0020), .trap),
    (Sample("hlt #0", word: 0xd440_0000), .trap),
    (Sample("svc #0", word: 0xd400_0001), .next),
    (Sample("nop", word: 0xd503_201f), .next),
    (Sample("bti c", word: 0xd503_245f), .next),
    (Sample("paciasp", word: 0xd503_233f), .next),
    (Sample("autiasp", word: 0xd503_23bf), .next),
    (Sample("csel x0, x1, x2, eq", word: 0x9a82_0020), .next),
    (Sample("ldr x2, .+8", word: 0x5800_0042), .next),
  ]

  @Test(arguments: branches)
  func everyBranchHasItsKindAndTarget(_ sample: Sample, _ flow: ControlFlow) throws {
    let instruction = try #require(try sample.decode(.aarch64, behind: 64))
    #expect(instruction.offset == 64)
    #expect(instruction.length == 4)
    #expect(instruction.flow == flow)
    #expect(!instruction.hasOperandSizePrefix)
  }

  @Test(arguments: UInt32(0)..<14)
  func allConditionsAreConditionalJumps(_ condition: UInt32) throws {
    let instruction = try #require(try Sample("b.cond .+8", word: 0x5400_0040 | condition).decode(.aarch64))
    #expect(instruction.flow == .conditionalJump(.direct(8)))
  }

  /// What authentication makes of a signed address is not what the register holds.
  @Test(arguments: [
    (Sample("blraa x0, x1", word: 0xd73f_0801), ControlFlow.call(.memory), registers(0, 1)),
    (Sample("blraaz x0", word: 0xd63f_081f), .call(.memory), registers(0)),
    (Sample("braa x0, x1", word: 0xd71f_0801), .jump(.memory), registers(0, 1)),
    (Sample("braaz x0", word: 0xd61f_081f), .jump(.memory), registers(0)),
    (Sample("retaa", word: 0xd65f_0bff), .stop, registers(30)),
    (Sample("retab", word: 0xd65f_0fff), .stop, registers(30)),
  ])
  func theTargetsOfAuthenticatedBranchesAreNotBelieved(
    _ sample: Sample, _ flow: ControlFlow, _ read: RegisterSet
  ) throws {
    let instruction = try #require(try sample.decode(.aarch64))
    #expect(instruction.flow == flow)
    #expect(instruction.effects.reads == read)
  }

  @Test(arguments: [
    Sample("udf #0", word: 0), Sample("all ones", word: .max), Sample("a free branch", word: 0xd77f_0000),
    Sample("ld1w into SME's array", word: 0xe080_0000), Sample("psel", word: 0x25f1_7c24),
  ])
  func wordsOfNoKnownClassAreNone(_ sample: Sample) throws {
    #expect(try sample.decode(.aarch64) == nil)
  }

  @Test(arguments: [
    (Sample("pacia x0, x1", word: 0xdac1_0020), registers(0)),
    (Sample("casal x0, x1, [x2]", word: 0xc8e0_fc41), registers(0)),
    (Sample("swp x0, x1, [x2]", word: 0xf820_8041), registers(1)),
    (Sample("ldadd x0, x1, [x2]", word: 0xf820_0041), registers(1)),
  ])
  func laterInstructionsWriteTheirRegister(_ sample: Sample, _ written: RegisterSet) throws {
    let instruction = try #require(try sample.decode(.aarch64))
    #expect(instruction.effects.writes == written)
  }

  @Test(arguments: 0..<4)
  func anInstructionThatIsCutOffIsNone(_ length: Int) throws {
    let bytes: [UInt8] = [0x02, 0x00, 0x00, 0x94]
    #expect(try decodeBytes(Array(bytes[..<length]), .aarch64) == nil)
    #expect(try decodeBytes(bytes + bytes[..<length], .aarch64, at: 4) == nil)
  }

  @Test(arguments: 0..<31)
  func bothWidthsOfARegisterAreOneRegister(_ number: Int) throws {
    for word in [0x5280_0020, 0xd280_0020] {
      let instruction = try #require(try Sample("movz", word: UInt32(word | number)).decode(.aarch64))
      #expect(instruction.effects.writes == registers(number))
      #expect(instruction.destination == Register(number))
    }
  }

  static let writes: [(Sample, RegisterSet)] = [
    (Sample("br x17", word: 0xd61f_0220), []),
    (Sample("cbz x0", word: 0xb400_0040), []),
    (Sample("tbz w0, #3", word: 0x3618_0040), []),
    (Sample("mov sp, x0", word: 0x9100_001f), []),
    (Sample("mov w0, wzr", word: 0x2a1f_03e0), registers(0)),
    (Sample("mov x29, x30", word: 0xaa1e_03fd), registers(29)),
    (Sample("adds x0, x1, x2", word: 0xab02_0020), registers(0)),
    (Sample("mvn x0, x1", word: 0xaa21_03e0), registers(0)),
    (Sample("movk x3, #2, lsl #16", word: 0xf2a0_0043), registers(3)),
    (Sample("bfi x0, x1, #2, #3", word: 0xb37e_0820), registers(0)),
    (Sample("csel x0, x1, x2, eq", word: 0x9a82_0020), registers(0)),
    (Sample("adr x5", word: 0x1000_0005), registers(5)),
    (Sample("adrp x5", word: 0x9000_0005), registers(5)),
    (Sample("ldr x5, [x5, #8]", word: 0xf940_04a5), registers(5)),
    (Sample("ldr x0, [x1], #8", word: 0xf840_8420), registers(0, 1)),
    (Sample("ldrb w0, [x1, #1]!", word: 0x3840_1c20), registers(0, 1)),
    (Sample("ldrsw x0, [x1]", word: 0xb980_0020), registers(0)),
    (Sample("str x0, [x1, #8]!", word: 0xf800_8c20), registers(1)),
    (Sample("str x0, [x1, #8]", word: 0xf900_0420), []),
    (Sample("stp x0, x1, [x2], #16", word: 0xa881_0440), registers(2)),
    (Sample("stp x29, x30, [sp, #-16]!", word: 0xa9bf_7bfd), []),
    (Sample("ldp x29, x30, [sp], #16", word: 0xa8c1_7bfd), registers(29, 30)),
    (Sample("ldp x0, x1, [x2, #16]!", word: 0xa9c1_0440), registers(0, 1, 2)),
    (Sample("ldpsw x0, x1, [x2]", word: 0x6940_0440), registers(0, 1)),
    (Sample("ldxr x0, [x1]", word: 0xc85f_7c20), registers(0)),
    (Sample("stxr w2, x0, [x1]", word: 0xc802_7c20), registers(2)),
    (Sample("stlxp w5, x0, x1, [x2]", word: 0xc825_8440), registers(5)),
    (Sample("ldaxp x0, x1, [x2]", word: 0xc87f_8440), registers(0, 1)),
    (Sample("mrs x0, tpidr_el0", word: 0xd53b_d040), registers(0)),
    (Sample("sysl x3, #3, c7, c4, #1", word: 0xd52b_7423), registers(3)),
    (Sample("umov w0, v0.s[0]", word: 0x0e04_3c00), registers(0)),
    (Sample("fmov x3, d0", word: 0x9e66_0003), registers(3)),
    (Sample("fcvtzs x0, d0", word: 0x9e78_0000), registers(0)),
    (Sample("ld1 {v0.16b}, [x1], #16", word: 0x4cdf_7020), registers(1)),
    (Sample("ldr d0, [x1], #8", word: 0xfc40_8420), registers(1)),
  ]

  @Test(arguments: writes)
  func theRegistersThatChangeAreWritten(_ sample: Sample, _ written: RegisterSet) throws {
    let instruction = try #require(try sample.decode(.aarch64))
    #expect(instruction.effects == .unknown || instruction.effects.writes == written)
  }

  /// Their first operand is a register, as in most instructions, and it is only read.
  @Test(arguments: [
    Sample("cmp x0, #1", word: 0xf100_041f), Sample("subs xzr, x1, x2", word: 0xeb02_003f),
    Sample("cmn x1, x2", word: 0xab02_003f), Sample("tst x1, x2", word: 0xea02_003f),
    Sample("ccmp x1, x2, #0, eq", word: 0xfa42_0020), Sample("msr tpidr_el0, x0", word: 0xd51b_d040),
  ])
  func comparingARegisterDoesNotChangeIt(_ sample: Sample) throws {
    let instruction = try #require(try sample.decode(.aarch64))
    #expect(instruction.effects.writes == [])
  }

  static let effects: [(Sample, RegisterEffects)] = [
    (
      Sample("add x0, x1, x2", word: 0x8b02_0020),
      RegisterEffects(reads: registers(1, 2), writes: registers(0), overwrites: registers(0))
    ),
    (Sample("add x1, x1, x2", word: 0x8b02_0021), RegisterEffects(reads: registers(1, 2), writes: registers(1))),
    (
      Sample("mov w0, w1", word: 0x2a01_03e0),
      RegisterEffects(reads: registers(1), writes: registers(0), overwrites: registers(0))
    ),
    (Sample("movk x3, #2, lsl #16", word: 0xf2a0_0043), RegisterEffects(reads: registers(3), writes: registers(3))),
    (Sample("ldr x5, [x5, #8]", word: 0xf940_04a5), RegisterEffects(reads: registers(5), writes: registers(5))),
    (
      Sample("ldr x0, [x1], #8", word: 0xf840_8420),
      RegisterEffects(reads: registers(1), writes: registers(0, 1), overwrites: registers(0))
    ),
    (Sample("str x0, [x1, x2]", word: 0xf822_6820), RegisterEffects(reads: registers(0, 1, 2), writes: [])),
    (
      Sample("ldp x0, x1, [x2]", word: 0xa940_0440),
      RegisterEffects(reads: registers(2), writes: registers(0, 1), overwrites: registers(0, 1))
    ),
    (Sample("cbz x0", word: 0xb400_0040), RegisterEffects(reads: registers(0), writes: [])),
    (Sample("ret", word: 0xd65f_03c0), RegisterEffects(reads: registers(30), writes: [])),
    (Sample("paciasp", word: 0xd503_233f), RegisterEffects(reads: registers(30), writes: registers(30))),
    (Sample("bti c", word: 0xd503_245f), RegisterEffects(reads: [], writes: [])),
    (Sample("pacia1716", word: 0xd503_211f), RegisterEffects(reads: registers(16, 17), writes: registers(17))),
    (
      Sample("svc #0", word: 0xd400_0001),
      RegisterEffects(reads: .all, writes: RegisterSet(rawValue: 0x7ffff).union(registers(30)))
    ),
    (
      Sample("casp x0, x1, x2, x3, [x4]", word: 0x4820_7c82),
      RegisterEffects(reads: registers(0, 1, 2, 3, 4), writes: registers(0, 1))
    ),
    (Sample("hlt #0", word: 0xd440_0000), .unknown),
    (Sample("eret", word: 0xd69f_03e0), .unknown),
  ]

  @Test(arguments: effects)
  func theEffectsOnRegistersAreKnownOrUnknown(_ sample: Sample, _ effects: RegisterEffects) throws {
    guard let instruction = try sample.decode(.aarch64) else {
      #expect(effects == .unknown)
      return
    }
    #expect(instruction.effects == effects)
  }

  @Test(arguments: [
    (Sample("adrp x16", word: 0x9000_0010), Operation.loadAddress, Register(16)),
    (Sample("adr x5", word: 0x1000_0005), .loadAddress, Register(5)),
    (Sample("add x0, x0, #0", word: 0x9100_0000), .add, Register(0)),
    (Sample("ldr x1, [x0]", word: 0xf940_0001), .move, Register(1)),
    (Sample("ldr x2, .+8", word: 0x5800_0042), .move, Register(2)),
    (Sample("movz x3, #1", word: 0xd280_0023), .other, Register(3)),
    (Sample("movk x3, #2, lsl #16", word: 0xf2a0_0043), .add, Register(3)),
    (Sample("ldr x30, [sp]", word: 0xf940_03fe), .move, Register(30)),
  ])
  func anAddressIsFollowedIntoItsRegister(_ sample: Sample, _ operation: Operation, _ register: Register) throws {
    let instruction = try #require(try sample.decode(.aarch64))
    #expect(instruction.operation == operation)
    #expect(instruction.destination == register)
  }
}
