import Disassembly
import Testing

@Suite struct X86RegisterTests {
  @Test(arguments: 0..<16)
  func allPartsOfARegisterAreOneRegister(_ number: Int) throws {
    let (low, extension_) = (UInt8(number & 7), UInt8(number >> 3))
    let parts: [(Sample, isWhole: Bool)] = [
      (Sample("mov imm8", 0x40 | extension_, 0xb0 | low, 1), false),
      (Sample("mov imm16", 0x66, 0x40 | extension_, 0xb8 | low, 1, 0), false),
      (Sample("mov imm32", 0x40 | extension_, 0xb8 | low, 1, 0, 0, 0), true),
      (Sample("mov imm64", 0x48 | extension_, 0xb8 | low, 1, 0, 0, 0, 0, 0, 0, 0), true),
    ]
    for (sample, isWhole) in parts {
      let instruction = try #require(try sample.decode(.x86_64))
      #expect(instruction.length == sample.bytes.count, "\(sample.text)")
      #expect(instruction.effects.writes == registers(number), "\(sample.text)")
      // A write to 32 bits clears the upper half; a write to 8 or 16 bits keeps the rest.
      #expect(instruction.destination == (isWhole ? Register(number) : nil), "\(sample.text)")
      #expect(instruction.operation == .move, "\(sample.text)")
    }
  }

  @Test(arguments: zip(["ah", "ch", "dh", "bh"], 0..<4))
  func theSecondByteOfARegisterBelongsToIt(_ name: String, _ number: Int) throws {
    let instruction = try #require(try Sample("mov $1, %\(name)", 0xb4 | UInt8(number), 1).decode(.x86_64))
    #expect(instruction.effects.writes == registers(number))
    #expect(instruction.destination == nil)
  }

  static let explicit: [(Sample, RegisterSet)] = [
    (Sample("mov %al, %bl", 0x88, 0xc3), registers(3)),
    (Sample("add %bl, %ah", 0x00, 0xdc), registers(0)),
    (Sample("mov %eax, %r9d", 0x41, 0x89, 0xc1), registers(9)),
    (Sample("movzbl %al, %ecx", 0x0f, 0xb6, 0xc8), registers(1)),
    (Sample("movslq %eax, %rcx", 0x48, 0x63, 0xc8), registers(1)),
    (Sample("lea 0(%rip), %rax", 0x48, 0x8d, 0x05, 0, 0, 0, 0), registers(0)),
    (Sample("cmove %rcx, %rdx", 0x48, 0x0f, 0x44, 0xd1), registers(2)),
    (Sample("setb %dl", 0x0f, 0x92, 0xc2), registers(2)),
    (Sample("xchg %rax, %rcx", 0x48, 0x91), registers(0, 1)),
    (Sample("xchg %rcx, (%rdx)", 0x48, 0x87, 0x0a), registers(1)),
    (Sample("xadd %rcx, %rdx", 0x48, 0x0f, 0xc1, 0xca), registers(1, 2)),
    (Sample("lock xadd %rcx, (%rbx)", 0xf0, 0x48, 0x0f, 0xc1, 0x0b), registers(1)),
    (Sample("imul $3, %rcx, %rdx", 0x48, 0x6b, 0xd1, 0x03), registers(2)),
    (Sample("inc %eax", 0xff, 0xc0), registers(0)),
    (Sample("not %rax", 0x48, 0xf7, 0xd0), registers(0)),
    (Sample("bswap %rcx", 0x48, 0x0f, 0xc9), registers(1)),
    (Sample("bsf %rax, %r10", 0x4c, 0x0f, 0xbc, 0xd0), registers(10)),
    (Sample("popcnt %rax, %rbx", 0xf3, 0x48, 0x0f, 0xb8, 0xd8), registers(3)),
    (Sample("rdrand %rax", 0x48, 0x0f, 0xc7, 0xf0), registers(0)),
    (Sample("rdfsbase %rcx", 0xf3, 0x48, 0x0f, 0xae, 0xc1), registers(1)),
    (Sample("movq %xmm0, %rcx", 0x66, 0x48, 0x0f, 0x7e, 0xc1), registers(1)),
    (Sample("pextrq $1, %xmm0, %rdx", 0x66, 0x48, 0x0f, 0x3a, 0x16, 0xc2, 0x01), registers(2)),
    (Sample("cvttsd2si %xmm0, %rdi", 0xf2, 0x48, 0x0f, 0x2c, 0xf8), registers(7)),
    (Sample("mov %cr0, %rax", 0x0f, 0x20, 0xc0), registers(0)),
    (Sample("mov %ds, %eax", 0x8c, 0xd8), registers(0)),
    (Sample("str %eax", 0x0f, 0x00, 0xc8), registers(0)),
    (Sample("movabs 0x1122334455667788, %al", 0xa0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11), registers(0)),
  ]

  static let implicit: [(Sample, RegisterSet)] = [
    (Sample("push %rax", 0x50), registers(4)),
    (Sample("pop %rbx", 0x5b), registers(3, 4)),
    (Sample("leave", 0xc9), registers(4, 5)),
    (Sample("mul %rcx", 0x48, 0xf7, 0xe1), registers(0, 2)),
    (Sample("div %rcx", 0x48, 0xf7, 0xf1), registers(0, 2)),
    (Sample("cqto", 0x48, 0x99), registers(2)),
    (Sample("cltq", 0x48, 0x98), registers(0)),
    (Sample("cpuid", 0x0f, 0xa2), registers(0, 1, 2, 3)),
    (Sample("rdtsc", 0x0f, 0x31), registers(0, 2)),
    (Sample("rdtscp", 0x0f, 0x01, 0xf9), registers(0, 1, 2)),
    (Sample("rdmsr", 0x0f, 0x32), registers(0, 2)),
    (Sample("xgetbv", 0x0f, 0x01, 0xd0), registers(0, 2)),
    (Sample("syscall", 0x0f, 0x05), registers(1, 11)),
    (Sample("in %dx, %al", 0xec), registers(0)),
    (Sample("cmpxchg %rcx, (%rbx)", 0x48, 0x0f, 0xb1, 0x0b), registers(0)),
    (Sample("cmpxchg8b (%rsi)", 0x0f, 0xc7, 0x0e), registers(0, 2)),
    (Sample("cmpxchg16b (%rsi)", 0x48, 0x0f, 0xc7, 0x0e), registers(0, 2)),
    (Sample("lods (%rsi), %al", 0xac), registers(0, 6)),
    (Sample("stos %al, (%rdi)", 0xaa), registers(7)),
    (Sample("rep stos %rax, (%rdi)", 0xf3, 0x48, 0xab), registers(1, 7)),
    (Sample("rep movsb", 0xf3, 0xa4), registers(1, 6, 7)),
    (Sample("repne scas (%rdi), %al", 0xf2, 0xae), registers(1, 7)),
    (Sample("loop", 0xe2, 0xfe), registers(1)),
    (Sample("xlat (%rbx)", 0xd7), registers(0)),
    (Sample("lahf", 0x9f), registers(0)),
    (Sample("pcmpestri $0, %xmm1, %xmm2", 0x66, 0x0f, 0x3a, 0x61, 0xd1, 0x00), registers(1)),
  ]

  static let none: [(Sample, RegisterSet)] = [
    (Sample("mov %rax, (%rbx)", 0x48, 0x89, 0x03), []),
    (Sample("cmp %rax, %rbx", 0x48, 0x39, 0xc3), []),
    (Sample("test %rax, %rax", 0x48, 0x85, 0xc0), []),
    (Sample("bt %rax, %rbx", 0x48, 0x0f, 0xa3, 0xc3), []),
    (Sample("wrmsr", 0x0f, 0x30), []),
    (Sample("jmp *%r11", 0x41, 0xff, 0xe3), []),
    (Sample("je", 0x74, 0x00), []),
    (Sample("nopl (%rax)", 0x0f, 0x1f, 0x00), []),
  ]

  @Test(arguments: explicit + none)
  func theRegistersThatOperandsNameAreWritten(_ sample: Sample, _ written: RegisterSet) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.length == sample.bytes.count)
    #expect(instruction.effects == .unknown || instruction.effects.writes == written)
  }

  /// More than is written does no harm: a register that is believed to be lost only keeps a call as it is. Less would.
  @Test(arguments: implicit)
  func registersThatNoOperandNamesAreWritten(_ sample: Sample, _ written: RegisterSet) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.length == sample.bytes.count)
    #expect(instruction.effects.writes.isSuperset(of: written))
  }

  @Test(arguments: [
    Sample("call rel32", 0xe8, 0, 0, 0, 0), Sample("call *%rax", 0xff, 0xd0), Sample("call *(%rax)", 0xff, 0x10),
  ])
  func whatACalleeMayWriteIsNotWrittenByTheCall(_ sample: Sample) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    let stackPointer = registers(4)
    #expect(instruction.effects.writes.subtracting(stackPointer) == [])
  }

  @Test(arguments: [
    (Sample("mov 0(%rip), %rbx", 0x48, 0x8b, 0x1d, 0, 0, 0, 0), Operation.move, Register(3)),
    (Sample("movabs $0, %r11", 0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0), .move, Register(11)),
    (Sample("lea 0(%rip), %r14", 0x4c, 0x8d, 0x35, 0, 0, 0, 0), .loadAddress, Register(14)),
    (Sample("add %rcx, %rax", 0x48, 0x01, 0xc8), .add, Register(0)),
    (Sample("movzbl %al, %ecx", 0x0f, 0xb6, 0xc8), .other, Register(1)),
  ])
  func anAddressIsFollowedIntoItsRegister(_ sample: Sample, _ operation: Operation, _ register: Register) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.operation == operation)
    #expect(instruction.destination == register)
  }

  @Test(arguments: [
    (Sample("push 0(%rip)", 0xff, 0x35, 0, 0, 0, 0), Operation.push),
    (Sample("cmp $0, 0(%rip)", 0x48, 0x83, 0x3d, 0, 0, 0, 0, 0), .compare),
    (Sample("mov $0, 0(%rip)", 0xc7, 0x05, 0, 0, 0, 0, 0, 0, 0, 0), .store),
  ])
  func aMemoryOperandIsNoDestination(_ sample: Sample, _ operation: Operation) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.operation == operation)
    #expect(instruction.destination == nil)
  }

  static let effects: [(Sample, RegisterEffects)] = [
    (
      Sample("mov %rax, %rbx", 0x48, 0x89, 0xc3),
      RegisterEffects(reads: registers(0), writes: registers(3), overwrites: registers(3))
    ),
    (
      Sample("mov %eax, %ebx", 0x89, 0xc3),
      RegisterEffects(reads: registers(0), writes: registers(3), overwrites: registers(3))
    ),
    (Sample("mov %al, %bl", 0x88, 0xc3), RegisterEffects(reads: registers(0, 3), writes: registers(3))),
    (
      Sample("mov (%rbx,%rcx), %rbx", 0x48, 0x8b, 0x1c, 0x0b),
      RegisterEffects(reads: registers(1, 3), writes: registers(3))
    ),
    (Sample("xor %eax, %eax", 0x31, 0xc0), RegisterEffects(reads: [], writes: registers(0), overwrites: registers(0))),
    (Sample("xor %al, %al", 0x30, 0xc0), RegisterEffects(reads: registers(0), writes: registers(0))),
    (Sample("cmove %rcx, %rdx", 0x48, 0x0f, 0x44, 0xd1), RegisterEffects(reads: registers(1, 2), writes: registers(2))),
    (Sample("add %rcx, (%rdx)", 0x48, 0x01, 0x0a), RegisterEffects(reads: registers(1, 2), writes: [])),
    (Sample("shl %cl, %rax", 0x48, 0xd3, 0xe0), RegisterEffects(reads: registers(0, 1), writes: registers(0))),
    (Sample("xchg %rax, %rcx", 0x48, 0x91), RegisterEffects(reads: registers(0, 1), writes: registers(0, 1))),
    (Sample("pop %rbx", 0x5b), RegisterEffects(reads: registers(4), writes: registers(3, 4), overwrites: registers(3))),
    (
      Sample("movq %xmm0, %rcx", 0x66, 0x48, 0x0f, 0x7e, 0xc1),
      RegisterEffects(reads: [], writes: registers(1), overwrites: registers(1))
    ),
    (Sample("movups %xmm0, (%rcx)", 0x0f, 0x11, 0x01), RegisterEffects(reads: registers(1), writes: [])),
    (Sample("jmp *%r11", 0x41, 0xff, 0xe3), RegisterEffects(reads: registers(11), writes: [])),
    (Sample("jrcxz", 0xe3, 0x00), RegisterEffects(reads: registers(1), writes: [])),
    (
      Sample("cpuid", 0x0f, 0xa2),
      RegisterEffects(reads: registers(0, 1), writes: registers(0, 1, 2, 3), overwrites: registers(2, 3))
    ),
    (Sample("syscall", 0x0f, 0x05), RegisterEffects(reads: .all, writes: registers(0, 1, 2, 11))),
    (Sample("rep movsb", 0xf3, 0xa4), RegisterEffects(reads: registers(1, 6, 7), writes: registers(1, 6, 7))),
    (Sample("maskmovdqu %xmm1, %xmm0", 0x66, 0x0f, 0xf7, 0xc1), RegisterEffects(reads: registers(7), writes: [])),
    (Sample("int $0x80", 0xcd, 0x80), .unknown),
    (Sample("vmcall", 0x0f, 0x01, 0xc1), .unknown),
    (Sample("xbegin", 0xc7, 0xf8, 0, 0, 0, 0), .unknown),
  ]

  /// A proof rests on these: what is not vouched for must be unknown.
  @Test(arguments: effects)
  func theEffectsOnRegistersAreKnownOrUnknown(_ sample: Sample, _ effects: RegisterEffects) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.effects == effects)
  }
}
