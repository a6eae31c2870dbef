import Disassembly
import Testing

@Suite struct X86FlowTests {
  /// Each sample has its displacement in the last four bytes: 0x100.
  static let near: [(Sample, ControlFlow, Bool)] = [
    (Sample("call", 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("jmp", 0xe9, 0, 1, 0, 0), .jump(.direct(0)), false),
    (Sample("addr32 call", 0x67, 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("cs call", 0x2e, 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("ds call", 0x3e, 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("bnd call", 0xf2, 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("rep call", 0xf3, 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("rex.W call", 0x48, 0xe8, 0, 1, 0, 0), .call(.direct(0)), false),
    (Sample("bnd jmp", 0xf2, 0xe9, 0, 1, 0, 0), .jump(.direct(0)), false),
    (Sample("cs jmp", 0x2e, 0xe9, 0, 1, 0, 0), .jump(.direct(0)), false),
    (Sample("je, predicted taken", 0x3e, 0x0f, 0x84, 0, 1, 0, 0), .conditionalJump(.direct(0)), false),
    (Sample("data16 call", 0x66, 0xe8, 0, 1, 0, 0), .call(.direct(0)), true),
    (Sample("data16 jmp", 0x66, 0xe9, 0, 1, 0, 0), .jump(.direct(0)), true),
    (Sample("data16 je", 0x66, 0x0f, 0x84, 0, 1, 0, 0), .conditionalJump(.direct(0)), true),
    (Sample("data16 cs call", 0x66, 0x2e, 0xe8, 0, 1, 0, 0), .call(.direct(0)), true),
    (Sample("data16 rex.W call", 0x66, 0x48, 0xe8, 0, 1, 0, 0), .call(.direct(0)), true),
  ]

  @Test(arguments: near)
  func aNearBranchHasFourBytesOfDisplacement(_ sample: Sample, _ flow: ControlFlow, _ isMarked: Bool) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.length == sample.bytes.count)
    #expect(instruction.flow.kind == flow.kind)
    #expect(instruction.hasOperandSizePrefix == isMarked)
  }

  /// With the operand-size prefix as well, as assemblers and Intel's processors take it.
  @Test(arguments: near)
  func theTargetOfANearBranchCountsFromItsEnd(_ sample: Sample, _: ControlFlow, _: Bool) throws {
    let instruction = try #require(try sample.decode(.x86_64, behind: 16))
    #expect(instruction.flow.target == .direct(16 + sample.bytes.count + 0x100))
  }

  @Test(arguments: UInt8(0)..<16)
  func allConditionsAreConditionalJumps(_ condition: UInt8) throws {
    let short = try #require(try Sample("jcc rel8", 0x70 | condition, 0x7f).decode(.x86_64, behind: 4))
    #expect(short.length == 2)
    #expect(short.flow == .conditionalJump(.direct(4 + 2 + 0x7f)))
    let long = try #require(try Sample("jcc rel32", 0x0f, 0x80 | condition, 0xf0, 0xff, 0xff, 0xff).decode(.x86_64))
    #expect(long.length == 6)
    #expect(long.flow == .conditionalJump(.direct(6 - 16)))
  }

  static let branches: [(Sample, ControlFlow)] = [
    (Sample("jmp rel8", 0xeb, 0x10), .jump(.direct(0x12))),
    (Sample("jmp to itself", 0xeb, 0xfe), .jump(.direct(0))),
    (Sample("call back", 0xe8, 0xf6, 0xff, 0xff, 0xff), .call(.direct(-5))),
    (Sample("the furthest call back", 0xe8, 0x00, 0x00, 0x00, 0x80), .call(.direct(5 - 0x8000_0000))),
    (Sample("the furthest call", 0xe8, 0xff, 0xff, 0xff, 0x7f), .call(.direct(5 + 0x7fff_ffff))),
    (Sample("jrcxz", 0xe3, 0x08), .conditionalJump(.direct(10))),
    (Sample("jecxz", 0x67, 0xe3, 0x07), .conditionalJump(.direct(10))),
    (Sample("loop", 0xe2, 0xfa), .conditionalJump(.direct(-4))),
    (Sample("loope", 0xe1, 0xfa), .conditionalJump(.direct(-4))),
    (Sample("loopne", 0xe0, 0xfa), .conditionalJump(.direct(-4))),
    (Sample("xbegin", 0xc7, 0xf8, 0x10, 0x00, 0x00, 0x00), .conditionalJump(.direct(0x16))),
    (Sample("call *%rax", 0xff, 0xd0), .call(.register(Register(0)))),
    (Sample("notrack call *%rax", 0x3e, 0xff, 0xd0), .call(.register(Register(0)))),
    (Sample("call *%r11", 0x41, 0xff, 0xd3), .call(.register(Register(11)))),
    (Sample("jmp *%rbp", 0xff, 0xe5), .jump(.register(Register(5)))),
    (Sample("notrack jmp *%r15", 0x3e, 0x41, 0xff, 0xe7), .jump(.register(Register(15)))),
    (Sample("call *(%rax)", 0xff, 0x10), .call(.memory)),
    (Sample("call *0(%rip)", 0xff, 0x15, 0, 0, 0, 0), .call(.memory)),
    (Sample("jmp *0(%rip)", 0xff, 0x25, 0, 0, 0, 0), .jump(.memory)),
    (Sample("jmp *0(,%rax,8)", 0xff, 0x24, 0xc5, 0, 0, 0, 0), .jump(.memory)),
    (Sample("ret", 0xc3), .stop),
    (Sample("ret $8", 0xc2, 0x08, 0x00), .stop),
    (Sample("repz ret", 0xf3, 0xc3), .stop),
    (Sample("bnd ret", 0xf2, 0xc3), .stop),
    (Sample("lret", 0xcb), .stop),
    (Sample("lretq", 0x48, 0xcb), .stop),
    (Sample("iretq", 0x48, 0xcf), .stop),
    (Sample("sysretq", 0x48, 0x0f, 0x07), .stop),
    (Sample("ud2", 0x0f, 0x0b), .trap),
    (Sample("hlt", 0xf4), .trap),
    (Sample("ljmp *(%rax)", 0xff, 0x28), .stop),
    (Sample("syscall", 0x0f, 0x05), .next),
    (Sample("push %rax", 0x50), .next),
    (Sample("mov %rax, %rbx", 0x48, 0x89, 0xc3), .next),
    (Sample("sub $0, %eax looks like a call from its second byte", 0x81, 0xe8, 0, 0, 0, 0), .next),
  ]

  @Test(arguments: branches)
  func everyBranchHasItsKindAndTarget(_ sample: Sample, _ flow: ControlFlow) throws {
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.length == sample.bytes.count)
    #expect(instruction.flow == flow)
    #expect(!instruction.hasOperandSizePrefix)
  }

  /// Of the register, 16 bits count on AMD's processors: it does not say where the branch goes.
  @Test func theRegisterOfABranchWithAnOperandSizePrefixIsNotBelieved() throws {
    let sample = Sample("data16 notrack call *%rax", 0x66, 0x3e, 0xff, 0xd0)
    let instruction = try #require(try sample.decode(.x86_64))
    #expect(instruction.hasOperandSizePrefix)
    #expect(instruction.flow == .call(.memory))
  }

  @Test func anOperandSizePrefixElsewhereIsNotMarked() throws {
    for sample in [
      Sample("xchg %ax, %ax", 0x66, 0x90), Sample("mov $1, %ax", 0x66, 0xb8, 1, 0),
    ] {
      #expect(try sample.decode(.x86_64)?.hasOperandSizePrefix == false, "\(sample.text)")
    }
  }
}

/// A branch without its target.
enum BranchKind { case call, jump, conditionalJump }

extension ControlFlow {
  var kind: BranchKind? {
    switch self {
    case .call: .call
    case .jump: .jump
    case .conditionalJump: .conditionalJump
    case .next, .trap, .stop: nil
    }
  }

  var target: BranchTarget? {
    switch self {
    case .call(let target), .jump(let target), .conditionalJump(let target): target
    case .next, .trap, .stop: nil
    }
  }
}
