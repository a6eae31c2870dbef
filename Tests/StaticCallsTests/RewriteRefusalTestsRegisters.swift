import StaticCalls
import TestSupport
import Testing

/// Between load and branch the register must keep the trampoline's address.
@Suite struct RewriteRefusalTestsRegisters {
  /// An x86-64 instruction and the register that it changes, in whole or in part, or that nobody vouches for.
  private static let x86Changes: [(register: String, instruction: String)] = [
    ("rax", "mov $1, %al"), ("rax", "mov $1, %ah"), ("rax", "mov $1, %ax"), ("rax", "mov %eax, %eax"),
    ("r9", "mov %r9d, %r9d"), ("r8", "cmove %rdx, %r8"), ("r8", "cmovne %r8d, %r8d"), ("rcx", "xchg %rcx, (%rdi)"),
    ("rcx", "xchg %cl, %ch"), ("rax", "lock cmpxchg %rdx, (%rdi)"), ("rcx", "lock xadd %rcx, (%rdi)"),
    ("rdx", "lock cmpxchg16b (%rdi)"), ("rax", "mul %rcx"), ("rdx", "imul %rcx"), ("rdx", "div %rcx"),
    ("rcx", "mulx %rax, %rdx, %rcx"), ("rsi", "movsl"), ("rdi", "rep stosb"), ("rax", "lodsq"), ("rcx", "rep movsb"),
    ("rbx", "cpuid"), ("rcx", "syscall"), ("rdx", "rdtsc"), ("rax", "fnstsw %ax"), ("rax", "lahf"), ("rax", "cltq"),
    ("rdx", "cqto"), ("rbx", "pop %rbx"), ("r10", "lea 8(%r10), %r10"), ("r10", "add $1, %r10"), ("r10", "sete %r10b"),
    ("r10", "bswap %r10"), ("r10", "rdfsbase %r10"), ("r10", "rdrand %r10"), ("r10", "rdsspq %r10"),
    ("r10", "rdpid %r10"), ("r10", "kmovq %k1, %r10"), ("r10", "vpextrq $1, %xmm0, %r10"), ("r10", "movq %xmm0, %r10"),
    ("r10", "cvttsd2si %xmm0, %r10"), ("r10", "vcvttss2usi %xmm0, %r10"), ("rcx", "pcmpestri $0, %xmm0, %xmm1"),
    ("r8", "blsr %rax, %r8"), ("r8", "pext %rax, %rdx, %r8"), ("r8", "tzcnt %ax, %r8w"), ("rbp", "leave"),
    ("rbp", "enter $0, $0"), ("rdi", "vmcall"), ("rdi", "int $0x80"),
    ("rbx", "call .Lown\n nop\n jmp .Lgo\n.Lown: xor %ebx, %ebx\n ret\n.Lgo: nop"),
    ("rax", "call elsewhere"), ("r10", "loop .Lnext\n xor %r10d, %r10d\n.Lnext: nop"),
  ]

  @Test(
    arguments: x86Changes.map { pair in
      // What is changed on one way only is listed as a call.
      RewriteCase(
        pair.instruction, .x86_64, pair.instruction.hasPrefix("loop") ? .stays(.notOnEveryPath) : .unknown,
        through(pair.register, pair.instruction))
    })
  func anInstructionThatMayChangeTheRegisterEndsTheProof(_ rewrite: RewriteCase) async throws {
    try await rewrite.check()
  }

  /// An x86-64 instruction and a register that it leaves alone.
  private static let x86Keeps: [(register: String, instruction: String)] = [
    ("rax", "mov $1, %cl"), ("rax", "mov %eax, (%rdi)"), ("r8", "cmove %r8, %rdx"), ("rcx", "cmp %rcx, (%rdi)"),
    ("r10", "mul %rcx"), ("r10", "push %r10"), ("r10", "test %r10, %r10"), ("r10", "movq %r10, %xmm0"), ("r10", "nop"),
    ("r10", "lea 8(%r10), %rcx"), ("r10", "pause"), ("r10", "lock xadd %rcx, (%r10)"), ("rbx", "call elsewhere"),
    ("r10", "vpaddd %xmm0, %xmm1, %xmm2"), ("r10", "int3"), ("r10", "xor %ecx, %ecx"), ("r10", "endbr64"),
    ("r10", "mov %r10, %rcx"), ("r10", "cqto"),
  ]

  @Test(arguments: x86Keeps.map { RewriteCase($0.instruction, .x86_64, .direct, through($0.register, $0.instruction)) })
  func anInstructionThatLeavesItAloneDoesNot(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static func through(_ register: String, _ instruction: String) -> String {
    """
      mov __SCT__a@GOTPCREL(%rip), %\(register)
      \(instruction)
      jmp __x86_indirect_thunk_\(register)
    """
  }

  // MARK: Callees

  /// A called function keeps the preserved registers; a piece of its caller that LLVM outlined need not.
  @Test(
    arguments: [
      ("a function", "piece", "", .direct),
      ("a function of another section", "piece", "  .section .text.far, \"ax\"", .direct),
      ("an outlined piece", "OUTLINED_FUNCTION_0", "", .unknown),
      ("a later round's", "OUTLINED_FUNCTION_1_12", "", .unknown),
      ("one in another section", "OUTLINED_FUNCTION_3", "  .section .text.far, \"ax\"", .unknown),
      ("a global one", "OUTLINED_FUNCTION_2", "  .weak OUTLINED_FUNCTION_2", .unknown),
    ].flatMap { (name: String, callee: String, placed: String, verdict: Verdict) in
      [
        RewriteCase(
          name, .x86_64, verdict,
          "  mov __SCT__a@GOTPCREL(%rip), %rbx\n  call \(callee)\n  jmp __x86_indirect_thunk_rbx",
          and: "\(placed)\n  .type \(callee), %function\n\(callee): mov %rax, %rbx\n  ret"),
        RewriteCase(
          name, .aarch64, verdict,
          "  adrp x19, :got:__SCT__a\n  ldr x19, [x19, :got_lo12:__SCT__a]\n  bl \(callee)\n  br x19",
          and: "\(placed)\n  .type \(callee), %function\n\(callee): mov x19, x0\n  ret"),
      ]
    })
  func onlyFunctionsKeepThePreservedRegisters(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: AArch64

  private static let armChanges = [
    "mov w8, w8", "bfi x8, x1, #3, #4", "ldr x8, [x8]", "ldr x0, [x8], #16", "ldr x0, [x8, #16]!", "ldr q0, [x8], #16",
    "str q0, [x8, #16]!", "strb w0, [x8], #1", "ldrsw x0, [x8], #4", "ldp x0, x1, [x8], #16", "ldp x0, x8, [x1]",
    "stp q0, q1, [x8, #-32]!", "ldpsw x0, x8, [x1], #8", "ldnp x0, x8, [x1]", "ld1 {v0.16b}, [x8], x1",
    "casp x8, x9, x2, x3, [x0]", "ldadd x1, x8, [x0]", "swp x1, x8, [x0]", "stxr w8, x1, [x0]", "ldxp x1, x8, [x0]",
    "stlxp w8, x1, x2, [x0]", "pacia x8, x1", "autiza x8", "xpaci x8", "irg x8, x1", "incb x8", "cntb x8",
    "addvl x8, x8, #1", "ldraa x0, [x8, #8]!", "mrs x8, nzcv", "fmov x8, d0", "umov w8, v0.b[1]", "fcvtzs x8, d0",
    "ldapr x8, [x1]", "cset w8, eq", "csel x8, x8, xzr, ne", "add x8, x8, #4", "adds x8, x8, #1", "subs w8, w8, #0",
    "crc32x w8, w0, x1", "ldtr x8, [x1]", "sysl x8, #0, c7, c0, #0", "ldlarb w8, [x1]", "movk x8, #7", "neg x8, x8",
    "bl elsewhere", "svc #0",
  ]

  private static let armExtensions = "  .arch armv8.5-a+memtag+sve+crc\n"

  @Test(arguments: armChanges.map { RewriteCase($0, .aarch64, .unknown, armThroughX8($0)) })
  func anArmInstructionThatMayChangeTheRegisterEndsTheProof(_ rewrite: RewriteCase) async throws {
    try await rewrite.check()
  }

  private static let armKeeps = [
    "mov w0, w8", "str x8, [x0], #8", "ldr x0, [x8, #16]", "ldp x0, x1, [x2], #16", "cmp x8, #0", "nop",
    "bti j", "ldxr x0, [x8]", "stxr w0, x8, [x1]", "add x0, x8, #4", "movk x0, #7", "brk #1",
    "dmb ish",
  ]

  @Test(arguments: armKeeps.map { RewriteCase($0, .aarch64, .direct, armThroughX8($0)) })
  func anArmInstructionThatLeavesItAloneDoesNot(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static func armThroughX8(_ instruction: String) -> String {
    """
    \(armExtensions)
      adrp x8, :got:__SCT__a
      ldr x8, [x8, :got_lo12:__SCT__a]
      \(instruction)
      br x8
    """
  }

  /// Addresses that are put together of parts.
  @Test(
    arguments: [
      RewriteCase("whole", .aarch64, .direct, parts("movz g3", "movk g2", "movk g1", "movk g0")),
      RewriteCase("out of order", .aarch64, .direct, parts("movz g1", "movk g3", "movk g0", "movk g2")),
      RewriteCase("one missing", .aarch64, .unknown, parts("movz g3", "movk g2", "movk g0")),
      RewriteCase("no start", .aarch64, .unknown, parts("movk g3", "movk g2", "movk g1", "movk g0")),
      RewriteCase("started again", .aarch64, .unknown, parts("movz g3", "movk g2", "movz g1", "movk g0")),
      RewriteCase("a part of another", .aarch64, .unknown, parts("movz g3", "movk g2", "movk g1 other", "movk g0")),
      RewriteCase(
        "another page", .aarch64, .unknown, "adrp x8, other\n add x8, x8, :lo12:__SCT__a\n br x8"),
      RewriteCase(
        "another table page", .aarch64, .unknown,
        "adrp x8, :got:other\n ldr x8, [x8, :got_lo12:__SCT__a]\n br x8"),
      RewriteCase("half a register", .aarch64, .unknown, "adrp x8, __SCT__a\n add w8, w8, :lo12:__SCT__a\n br x8"),
      RewriteCase("beside it", .aarch64, .unknown, "adrp x8, __SCT__a+4\n add x8, x8, :lo12:__SCT__a+4\n br x8"),
      RewriteCase("page and offset", .aarch64, .direct, "adrp x8, __SCT__a\n add x8, x8, :lo12:__SCT__a\n br x8"),
    ])
  func allPartsMustBeOfTheTrampoline(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static func parts(_ parts: String...) -> String {
    parts.map { part in
      let words = part.split(separator: " ")
      let group = words[1] == "g3" ? "g3" : words[0] == "movz" ? words[1] : "\(words[1])_nc"
      return "  \(words[0]) x8, #:abs_\(group):\(words.count > 2 ? String(words[2]) : "__SCT__a")\n"
    }.joined() + "  br x8"
  }
}
