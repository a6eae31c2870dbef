import Disassembly
import ObjectFile
import Testing

@testable import StaticCalls

@Suite struct AArch64ArchitectureTests {
  private static let jump26: UInt32 = 282
  private static let call26: UInt32 = 283

  struct FieldCase: Sendable {
    var words: [UInt32]
    var offset: Int
    var type: UInt32
    var expected: RelocatedField

    init(_ words: [UInt32], at offset: Int, _ type: UInt32, _ expected: RelocatedField) {
      self.words = words
      self.offset = offset
      self.type = type
      self.expected = expected
    }
  }

  @Test(arguments: [
    FieldCase([0x9400_0000], at: 0, call26, .branch(start: 0, length: 4, kind: .call, certainty: .certain)),
    FieldCase([0x1400_0000], at: 0, jump26, .branch(start: 0, length: 4, kind: .tail, certainty: .certain)),
    // The opcode tells a call from a jump; linkers treat the two relocations alike.
    FieldCase([0x1400_0000], at: 0, call26, .branch(start: 0, length: 4, kind: .tail, certainty: .certain)),
    FieldCase([0x9400_0000], at: 0, jump26, .branch(start: 0, length: 4, kind: .call, certainty: .certain)),
    FieldCase(
      [0xd503_201f, 0x97ff_ffff], at: 4, call26, .branch(start: 4, length: 4, kind: .call, certainty: .certain)),
    FieldCase([0xd503_201f], at: 0, call26, .other),  // nop
    FieldCase([0x9400_0000, 0x9400_0000], at: 2, call26, .other),  // not aligned
    FieldCase([0x5400_0000], at: 0, 280, .unpatchableBranch),  // b.eq, R_AARCH64_CONDBR19
    FieldCase([0x3600_0000], at: 0, 279, .unpatchableBranch),  // tbz, R_AARCH64_TSTBR14
    FieldCase([0x9400_0000], at: 0, 257, .other),  // R_AARCH64_ABS64
  ])
  func fieldsAreJudgedByRelocationAndWord(_ test: FieldCase) {
    let relocation = Relocation(
      offset: SectionOffset(test.offset), type: RelocationType(test.type), symbol: SymbolIndex(1), addend: 0)
    let field = AArch64.field(of: relocation, in: bytes(of: test.words).span)
    #expect(field == test.expected)
  }

  struct UseCase: Sendable {
    var word: UInt32
    var type: UInt32
    var expected: Definition?

    init(_ word: UInt32, _ type: UInt32, _ expected: Definition?) {
      self.word = word
      self.type = type
      self.expected = expected
    }
  }

  private static func made(_ register: Int, _ source: Source, _ shape: Shape) -> Definition {
    Definition(register: Register(register), source: source, shape: shape)
  }

  @Test(arguments: [
    UseCase(0x9000_0008, 311, made(8, .pageOfTableEntry, .m7)),  // adrp x8, :got:T
    UseCase(0xf940_0108, 312, made(8, .tableEntryOnPage(Register(8)), .m7)),  // ldr x8, [x8, :got_lo12:T]
    UseCase(0xf940_0113, 313, made(19, .tableEntryOnTablePage(Register(8)), .m7)),  // ldr x19, [x8, :gotpage_lo15:T]
    UseCase(0x9000_0008, 275, made(8, .page, .m8)),  // adrp x8, T
    UseCase(0x9100_0109, 277, made(9, .addressOnPage(Register(8)), .m8)),  // add x9, x8, :lo12:T
    UseCase(0x1100_0109, 277, nil),  // add w9, w8, :lo12:T
    UseCase(0x5800_0009, 309, made(9, .symbol, .m9)),  // ldr x9, :got:T
    UseCase(0x1800_0009, 309, nil),  // ldr w9, :got:T
    UseCase(0x1000_000a, 274, made(10, .symbol, .m9)),  // adr x10, T
    UseCase(0xd280_000b, 264, made(11, .part(0, isFirst: true), .m10)),  // movz x11, :abs_g0_nc:T
    UseCase(0xf2a0_000b, 266, made(11, .part(1, isFirst: false), .m10)),  // movk x11, :abs_g1_nc:T
    UseCase(0xf2c0_000b, 268, made(11, .part(2, isFirst: false), .m10)),  // movk x11, :abs_g2_nc:T
    UseCase(0xf2e0_000b, 269, made(11, .part(3, isFirst: false), .m10)),  // movk x11, :abs_g3:T
    UseCase(0xf2e0_000b, 268, nil),  // the part does not go where it belongs
    UseCase(0xf940_0108, 286, made(8, .memoryOnPage(Register(8)), .m11)),  // ldr x8, [x8, :lo12:T] reads what is there
    UseCase(0xd503_201f, 283, nil),
  ])
  func definitionsAreJudgedByRelocationAndWord(_ test: UseCase) throws {
    let code = bytes(of: [test.word])
    let instruction = try decode(code, as: .aarch64)
    let relocation = Relocation(
      offset: SectionOffset(0), type: RelocationType(test.type), symbol: SymbolIndex(1), addend: 0)
    let definition = AArch64.definition(by: instruction, relocation, in: code.span)
    #expect(definition == test.expected)
  }

  /// `b.eq`, `cbz`, `cbnz`, `tbz`, `tbnz` have no room for another target.
  @Test(arguments: [0x5400_0000, 0xb400_0000, 0xb500_0001, 0x3600_0000, 0x3700_0000] as [UInt32])
  func conditionalBranchesAreNotPatchable(_ word: UInt32) throws {
    let code = bytes(of: [word])
    let instruction = try decode(code, as: .aarch64)
    let patchable = AArch64.patchableBytes(of: instruction, in: code.span)
    #expect(patchable == nil)
  }

  @Test(arguments: [("__call_indirect_x0", 0), ("__call_indirect_x30", 30), ("__llvm_slsblr_thunk_x8", 8)])
  func everyKindOfThunkIsKnown(_ name: String, _ register: Int) {
    #expect(AArch64.thunkRegister(name) == Register(register))
  }

  @Test(arguments: ["__call_indirect_x31", "__call_indirect_x", "__call_indirect_w8", "__call_indirect_x-1"])
  func otherThunksAreNone(_ name: String) {
    #expect(AArch64.thunkRegister(name) == nil)
  }

  @Test func calleesPreserveWhatTheAAPCS64Says() {
    let preserved = (0...30).filter { AArch64.calleeSaved.contains(Register($0)) }
    #expect(preserved == Array(19...29))
  }

  private func bytes(of words: [UInt32]) -> [UInt8] {
    words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) } }
  }
}
