import Disassembly
import ObjectFile
import Testing

@testable import StaticCalls

@Suite struct X86ArchitectureTests {
  private static let pc32: UInt32 = 2
  private static let plt32: UInt32 = 4

  struct FieldCase: Sendable {
    var bytes: [UInt8]
    var offset: Int
    var type: UInt32
    var expected: RelocatedField

    init(_ bytes: [UInt8], at offset: Int, _ type: UInt32, _ expected: RelocatedField) {
      self.bytes = bytes + [0, 0, 0, 0]
      self.offset = offset
      self.type = type
      self.expected = expected
    }
  }

  @Test(arguments: [
    FieldCase([0xe8], at: 1, plt32, .branch(start: 0, length: 5, kind: .call, certainty: .certain)),
    FieldCase([0x90, 0xe8], at: 2, plt32, .branch(start: 1, length: 5, kind: .call, certainty: .certain)),
    FieldCase([0xe9], at: 1, pc32, .branch(start: 0, length: 5, kind: .tail, certainty: .needsInstructionStart)),
    FieldCase(
      [0x81, 0xe8], at: 2, pc32, .branch(start: 1, length: 5, kind: .call, certainty: .needsInstructionStart)),
    FieldCase([0x0f, 0x80], at: 2, plt32, .branch(start: 0, length: 6, kind: .conditionalTail, certainty: .certain)),
    FieldCase([0x0f, 0x8f], at: 2, plt32, .branch(start: 0, length: 6, kind: .conditionalTail, certainty: .certain)),
    FieldCase([0x0f, 0x90], at: 2, plt32, .other),
    FieldCase([0x0e, 0x84], at: 2, plt32, .other),
    FieldCase([0x84], at: 1, plt32, .other),
    FieldCase([0xe8], at: 0, plt32, .other),
    FieldCase([0xeb], at: 1, plt32, .other),
    FieldCase([0x2e, 0xe8], at: 2, plt32, .branch(start: 1, length: 5, kind: .call, certainty: .certain)),
    FieldCase([0x66, 0xe8], at: 2, plt32, .branch(start: 1, length: 5, kind: .call, certainty: .mayHavePrefix)),
    FieldCase(
      [0x66, 0x2e, 0xe8], at: 3, plt32, .branch(start: 2, length: 5, kind: .call, certainty: .mayHavePrefix)),
    FieldCase([0x66, 0x90, 0xe8], at: 3, plt32, .branch(start: 2, length: 5, kind: .call, certainty: .certain)),
    FieldCase([0xeb], at: 1, 15, .unpatchableBranch),
    FieldCase([0x66, 0xe9], at: 2, 13, .unpatchableBranch),
    FieldCase([0xff, 0x15], at: 2, 41, .tableBranch(start: 0, length: 6)),
    FieldCase([0xff, 0x25], at: 2, 41, .tableBranch(start: 0, length: 6)),
    FieldCase([0x2e, 0x48, 0xff, 0x15], at: 4, 41, .tableBranch(start: 2, length: 6)),
    FieldCase([0x64, 0x48, 0xff, 0x15], at: 4, 41, .other),
    FieldCase([0x66, 0xff, 0x25], at: 3, 41, .other),
    FieldCase([0xff, 0x35], at: 2, 41, .other),
    FieldCase([0x8b, 0x15], at: 2, 41, .other),
    FieldCase([0xff, 0x15], at: 2, 9, .other),
  ])
  func fieldsAreJudgedByRelocationAndOpcode(_ test: FieldCase) {
    let relocation = Relocation(
      offset: SectionOffset(test.offset), type: RelocationType(test.type), symbol: SymbolIndex(1), addend: -4)
    let field = X86_64.field(of: relocation, in: test.bytes.span)
    #expect(field == test.expected, "\(test.bytes)")
  }

  struct UseCase: Sendable {
    var bytes: [UInt8]
    var type: UInt32
    var expected: Definition?

    init(_ bytes: [UInt8], _ type: UInt32, _ expected: Definition?) {
      self.bytes = bytes
      self.type = type
      self.expected = expected
    }
  }

  @Test(arguments: [
    UseCase([0x48, 0x8b, 0x1d, 0, 0, 0, 0], 42, Definition(register: Register(3), source: .symbol, shape: .m1)),
    UseCase([0x4c, 0x8b, 0x1d, 0, 0, 0, 0], 42, Definition(register: Register(11), source: .symbol, shape: .m1)),
    UseCase([0x48, 0x3b, 0x3d, 0, 0, 0, 0], 42, nil),  // cmp GOT(%rip),%rdi
    UseCase([0x8b, 0x1d, 0, 0, 0, 0], 41, nil),  // mov GOT(%rip),%ebx: half of it
    UseCase([0x64, 0x48, 0x8b, 0x1d, 0, 0, 0, 0], 42, nil),  // mov %fs:GOT(%rip),%rbx: from somewhere else
    UseCase([0x48, 0x8d, 0x05, 0, 0, 0, 0], 2, Definition(register: Register(0), source: .symbol, shape: .m2)),
    UseCase([0x8d, 0x05, 0, 0, 0, 0], 2, nil),  // lea T(%rip),%eax
    UseCase([0x48, 0x8b, 0x05, 0, 0, 0, 0], 2, Definition(register: Register(0), source: .memoryAtSymbol, shape: .g2)),
    UseCase([0xb8, 0, 0, 0, 0], 10, Definition(register: Register(0), source: .symbol, shape: .m3)),
    UseCase([0xb8, 0, 0, 0, 0], 11, nil),  // the sign is not extended
    UseCase([0x49, 0xc7, 0xc3, 0, 0, 0, 0], 11, Definition(register: Register(11), source: .symbol, shape: .m3)),
    UseCase([0x49, 0xc7, 0xc3, 0, 0, 0, 0], 10, nil),  // the sign is extended
    UseCase([0x48, 0xc7, 0x45, 0xf0, 0, 0, 0, 0], 11, nil),  // movq $T,-16(%rbp)
    UseCase([0x48, 0x81, 0xff, 0, 0, 0, 0], 11, nil),  // cmp $T,%rdi
    UseCase([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], 1, Definition(register: Register(0), source: .symbol, shape: .m4)),
    UseCase(
      [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], 31,
      Definition(register: Register(0), source: .distanceFromTable, shape: .m5)),
    UseCase(
      [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], 25,
      Definition(register: Register(0), source: .distanceFromTable, shape: .m5)),
    UseCase(
      [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], 27,
      Definition(register: Register(0), source: .distanceFromTable, shape: .m6)),
    UseCase([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], 0xffff, nil),
  ])
  func definitionsAreJudgedByRelocationAndInstruction(_ test: UseCase) throws {
    let instruction = try decode(test.bytes, as: .x86_64)
    try #require(instruction.length == test.bytes.count)
    let field = test.bytes.count - (test.bytes.count == 10 ? 8 : 4)
    let relocation = Relocation(
      offset: SectionOffset(field), type: RelocationType(test.type), symbol: SymbolIndex(1), addend: -4)
    let definition = X86_64.definition(by: instruction, relocation, in: test.bytes.span)
    #expect(definition == test.expected, "\(test.bytes)")
  }

  @Test(
    arguments: [
      ([0xff, 0x15, 0, 0, 0, 0], 41, .symbol, .x4), ([0xff, 0x15, 0, 0, 0, 0], 9, .symbol, .x4),
      ([0xff, 0x25, 0, 0, 0, 0], 41, .symbol, .x5), ([0x3e, 0xff, 0x25, 0, 0, 0, 0], 41, .symbol, .x5),
      ([0xff, 0x15, 0, 0, 0, 0], 2, .memoryAtSymbol, .g1), ([0xff, 0x14, 0x25, 0, 0, 0, 0], 11, .memoryAtSymbol, .g1),
      ([0x65, 0xff, 0x15, 0, 0, 0, 0], 41, nil, .x4), ([0x66, 0xff, 0x15, 0, 0, 0, 0], 41, nil, .x4),
      ([0x67, 0xff, 0x15, 0, 0, 0, 0], 41, nil, .x4),
    ] as [([UInt8], UInt32, Source?, Shape)])
  func branchesThroughMemoryTakeTheirTargetFromItsSymbol(
    _ bytes: [UInt8], _ type: UInt32, _ source: Source?, _ shape: Shape
  ) throws {
    let instruction = try decode(bytes, as: .x86_64)
    try #require(instruction.length == bytes.count)
    let relocation = Relocation(
      offset: SectionOffset(bytes.count - 4), type: RelocationType(type), symbol: SymbolIndex(1), addend: -4)
    let target = X86_64.target(of: instruction, relocation)
    #expect(target?.source == source)
    #expect(target == nil || target?.shape == shape)
  }

  @Test func onlyThePrefixlessPartIsPatchable() throws {
    let samples: [(bytes: [UInt8], expected: Range<Int>?)] = [
      ([0xf2, 0xe8, 0, 0, 0, 0], 1..<6), ([0x48, 0xe9, 0, 0, 0, 0], 1..<6), ([0x3e, 0x0f, 0x84, 0, 0, 0, 0], 1..<7),
      ([0xeb, 0x10], nil), ([0x74, 0x10], nil), ([0xe3, 0x10], nil), ([0xe2, 0x10], nil),
    ]
    for (bytes, expected) in samples {
      let instruction = try decode(bytes, as: .x86_64)
      let patchable = X86_64.patchableBytes(of: instruction, in: bytes.span)
      #expect(patchable == expected, "\(bytes)")
    }
  }

  /// An immediate behind the displacement moves the end of the instruction away from the field.
  @Test func displacementsCountFromTheEndOfTheInstruction() {
    let relocation = Relocation(
      offset: SectionOffset(3), type: RelocationType(Self.pc32), symbol: SymbolIndex(1), addend: -5)
    #expect(X86_64.targetOffset(of: relocation, instructionEnd: 8) == 0)
    let absolute = Relocation(offset: SectionOffset(3), type: RelocationType(11), symbol: SymbolIndex(1), addend: 8)
    #expect(X86_64.targetOffset(of: absolute, instructionEnd: 8) == 8)
  }

  @Test(arguments: [("__x86_indirect_thunk_rax", 0), ("__llvm_retpoline_r11", 11), ("__llvm_lvi_thunk_r15", 15)])
  func everyKindOfThunkIsKnown(_ name: String, _ register: Int) {
    #expect(X86_64.thunkRegister(name) == Register(register))
  }

  @Test(arguments: ["__x86_indirect_thunk", "__x86_indirect_thunk_array", "__x86_return_thunk", "__llvm_retpoline_eax"])
  func otherThunksAreNone(_ name: String) {
    #expect(X86_64.thunkRegister(name) == nil)
  }

  @Test func calleesPreserveWhatThePsABISays() {
    let preserved = (0..<16).map { Register($0) }.filter { X86_64.calleeSaved.contains($0) }.map(X86_64.name)
    #expect(preserved == ["%rbx", "%rsp", "%rbp", "%r12", "%r13", "%r14", "%r15"])
  }
}
