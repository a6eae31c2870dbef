import Disassembly
import Testing

/// Capstone 4 takes UD1 and UD0 for two-byte instructions: UD1 ends every x86-64 trampoline.
@Suite struct X86LengthTests {
  static let undefined = [
    Sample("ud1 %esp, %ecx", 0x0f, 0xb9, 0xcc),
    Sample("ud1 %eax, %eax", 0x0f, 0xb9, 0xc0),
    Sample("ud1 (%rax), %eax", 0x0f, 0xb9, 0x00),
    Sample("ud1 (%eax), %eax", 0x67, 0x0f, 0xb9, 0x00),
    Sample("ud1 (%rax), %rcx", 0x48, 0x0f, 0xb9, 0x08),
    Sample("ud1 (%rax), %cx", 0x66, 0x0f, 0xb9, 0x08),
    Sample("ud1 (%rsp), %ecx", 0x0f, 0xb9, 0x0c, 0x24),
    Sample("ud1 (%rax,%rcx,4), %ecx", 0x0f, 0xb9, 0x0c, 0x88),
    Sample("ud1 0x10(%rax), %ecx", 0x0f, 0xb9, 0x48, 0x10),
    Sample("ud1 8(%rsp), %ecx", 0x0f, 0xb9, 0x4c, 0x24, 0x08),
    Sample("ud1 8(%rbp,%rcx,4), %ecx", 0x0f, 0xb9, 0x4c, 0x8d, 0x08),
    Sample("ud1 0x1234(%rip), %ecx", 0x0f, 0xb9, 0x0d, 0x34, 0x12, 0x00, 0x00),
    Sample("ud1 0x1234(%rax), %ecx", 0x0f, 0xb9, 0x88, 0x34, 0x12, 0x00, 0x00),
    Sample("ud1 0x1234(%rsp), %ecx", 0x0f, 0xb9, 0x8c, 0x24, 0x34, 0x12, 0x00, 0x00),
    Sample("ud1 0x1234(%rbp,%rcx,4), %ecx", 0x0f, 0xb9, 0x8c, 0x8d, 0x34, 0x12, 0x00, 0x00),
    Sample("ud1 0x1234, %ecx", 0x0f, 0xb9, 0x0c, 0x25, 0x34, 0x12, 0x00, 0x00),
    Sample("ud1 0x1234(,%rax,4), %ecx", 0x0f, 0xb9, 0x0c, 0x85, 0x34, 0x12, 0x00, 0x00),
    Sample("ud0 %esp, %ecx", 0x0f, 0xff, 0xcc),
    Sample("ud0 (%rax), %ecx", 0x0f, 0xff, 0x08),
    Sample("ud0 8(%rsp), %ecx", 0x0f, 0xff, 0x4c, 0x24, 0x08),
    Sample("ud0 0x1234(%rip), %ecx", 0x0f, 0xff, 0x0d, 0x34, 0x12, 0x00, 0x00),
  ]

  @Test(arguments: undefined)
  func anUndefinedInstructionIncludesItsOperands(_ sample: Sample) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.length == sample.bytes.count)
    #expect(instruction.flow == .trap)
  }

  @Test func whatFollowsATrampolinesTailIsInStep() throws {
    // jmp *0(%rip); ud1 %esp, %ecx; call .+5
    let code: [UInt8] = [0xff, 0x25, 0, 0, 0, 0, 0x0f, 0xb9, 0xcc, 0xe8, 0, 0, 0, 0]
    let disassembler = Disassembler(.x86_64)
    var ends: [Int] = []
    var offset = 0
    while let instruction = disassembler.decode(code.span, at: offset) {
      offset = instruction.end
      ends.append(offset)
    }
    #expect(ends == [6, 9, 14])
  }

  static let ordinary = [
    Sample("ud2", 0x0f, 0x0b),
    Sample("nop", 0x90),
    Sample("nopw 0(%rax,%rax)", 0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00),
    Sample("endbr64", 0xf3, 0x0f, 0x1e, 0xfa),
    Sample("movabs $0x1122334455667788, %rax", 0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11),
    // clang writes eight bytes of address, of which processors take four (SDM volume 2, MOV: moffs has the address' size).
    Sample("addr32 movabs 0x11223344, %eax", 0x67, 0xa1, 0x44, 0x33, 0x22, 0x11),
    Sample("sub $imm32, %eax", 0x81, 0xe8, 0x01, 0x02, 0x03, 0x04),
    Sample("imul $imm32, %eax, %ebp", 0x69, 0xe8, 0x01, 0x02, 0x03, 0x04),
    Sample("packssdw %xmm1, %xmm0", 0x66, 0x0f, 0x6b, 0xc1),
    Sample(
      "the longest: 15 bytes", 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00),
  ]

  @Test(arguments: ordinary)
  func otherInstructionsKeepTheirLength(_ sample: Sample) throws {
    let instruction = try #require(try sample.decode(.x86_64, behind: 8))
    #expect(instruction.offset == 8)
    #expect(instruction.length == sample.bytes.count)
    #expect(instruction.end == 8 + sample.bytes.count)
    #expect(!instruction.hasOperandSizePrefix)
  }

  static let cutOff =
    undefined + ordinary + [
      Sample("call rel32", 0xe8, 0x01, 0x02, 0x03, 0x04),
      Sample("jmp rel32", 0xe9, 0x01, 0x02, 0x03, 0x04),
      Sample("je rel32", 0x0f, 0x84, 0x01, 0x02, 0x03, 0x04),
      Sample("data16 call rel32", 0x66, 0xe8, 0x01, 0x02, 0x03, 0x04),
      Sample("data16 jmp rel32", 0x66, 0xe9, 0x01, 0x02, 0x03, 0x04),
      Sample("data16 je rel32", 0x66, 0x0f, 0x84, 0x01, 0x02, 0x03, 0x04),
    ]

  @Test(arguments: cutOff)
  func anInstructionThatIsCutOffIsNone(_ sample: Sample) throws {
    for length in 0..<sample.bytes.count {
      #expect(try decodeBytes(Array(sample.bytes[..<length]), .x86_64) == nil, "the first \(length) bytes")
    }
  }

  @Test(arguments: [
    Sample("push %es, not in 64-bit mode", 0x06), Sample("daa, not in 64-bit mode", 0x27),
    Sample("ljmp, not in 64-bit mode", 0xea), Sample("a free opcode", 0x0f, 0x0a),
    Sample("fifteen prefixes", [UInt8](repeating: 0x66, count: 15)),
  ])
  func bytesThatAreNoInstructionAreNone(_ sample: Sample) throws {
    #expect(try sample.decode(.x86_64) == nil)
  }

  @Test(arguments: InstructionSet.allCases)
  func nothingIsOutsideTheCode(_ instructionSet: InstructionSet) throws {
    let code: [UInt8] = instructionSet == .x86_64 ? [0x90, 0x90, 0x90, 0x90] : [0x1f, 0x20, 0x03, 0xd5]
    for offset in [Int.min, -4, -1, 4, 5, 8, Int.max] {
      #expect(try decodeBytes(code, instructionSet, at: offset) == nil, "offset \(offset)")
    }
    #expect(try decodeBytes([], instructionSet) == nil)
    #expect(try decodeBytes(code, instructionSet)?.end == (instructionSet == .x86_64 ? 1 : 4))
  }
}
