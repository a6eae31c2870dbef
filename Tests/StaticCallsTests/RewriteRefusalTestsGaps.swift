import StaticCalls
import SystemPackage
import TestSupport
import Testing

/// Where a direct call does not fit, the load gives its bytes, and what stands between the two moves.
@Suite struct RewriteRefusalTestsGaps {
  /// A load of %rax, what stands between, and a call.
  private static func gap(
    _ middle: String, register: String = "rax", behind: String = "ret", label: String = ".Lcall"
  ) -> String {
    """
      mov __SCT__a@GOTPCREL(%rip), %\(register)
    \(middle)
    \(label): call *%\(register)
    \(behind)
    """
  }

  // MARK: The register is still needed

  @Test(
    arguments: [
      ("nothing", .direct, "pop %rbx\nret"),
      ("a compare", .stays(.registerInUse), "cmp %rbx, (%rdi)\npop %rbx\nret"),
      ("a store", .stays(.registerInUse), "mov %rbx, (%rdi)\npop %rbx\nret"),
      ("a test", .stays(.registerInUse), "test %rbx, %rbx\npop %rbx\nret"),
      ("an address", .stays(.registerInUse), "mov (%rbx), %eax\npop %rbx\nret"),
      ("an index", .stays(.registerInUse), "mov (%rdi,%rbx,4), %eax\npop %rbx\nret"),
      ("a copy", .stays(.registerInUse), "mov %rbx, %rdi\ncall elsewhere\npop %rbx\nret"),
      ("a part", .stays(.registerInUse), "mov %bl, (%rdi)\npop %rbx\nret"),
      ("one way", .stays(.registerInUse), "test %edi, %edi\nje 1f\npush %rbx\n1: nop\npop %rbx\nret"),
      ("a jump out of the function", .stays(.registerInUse), "test %edi, %edi\nje elsewhere"),
      ("a tail call", .stays(.registerInUse), "jmp elsewhere"),
      ("a call that may look at it", .stays(.registerInUse), "call elsewhere\npop %rbx\nret"),
      ("a return", .stays(.registerInUse), "ret"),
      ("the next function", .stays(.registerInUse), "f_end:\n.type g, %function\ng: nop\nret"),
      ("an unknown instruction", .stays(.registerInUse), "vmcall\npop %rbx\nret"),
    ].map { (name: String, verdict: Verdict, behind: String) in
      RewriteCase(
        "\(name) behind the call", .x86_64, verdict, gap("nop", register: "rbx", behind: behind))
    })
  func nobodyElseMayNeedTheRegister(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// By convention a callee may change %r10; with `preserve_most` it keeps it.
  @Test(
    arguments: [
      ("dead", .direct, "xor %eax, %eax\nret"),
      ("stored", .stays(.registerInUse), "mov %r10, (%rdi)\nret"),
      ("called again", .stays(.registerInUse), "mov %r10, %rcx\ncall *%rcx\nret"),
    ].map { (name: String, verdict: Verdict, behind: String) in
      RewriteCase(name, .x86_64, verdict, gap("nop", register: "r10", behind: behind))
    })
  func aRegisterThatACalleeMayChangeMayBeKept(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(arguments: ["rdi", "rsi", "rdx", "rcx", "r8", "r9"])
  func anArgumentOfTheCallIsNeeded(_ register: String) async throws {
    try await RewriteCase(register, .x86_64, .stays(.registerInUse), Self.gap("nop", register: register)).check()
    try await RewriteCase("r10", .x86_64, .direct, Self.gap("nop", register: "r10")).check()
  }

  // MARK: The middle

  @Test(
    arguments: [
      ("moves", .direct, "mov %rsi, %rdi\nxor %ecx, %ecx"),
      ("a load with a relocation", .direct, "mov variable(%rip), %ecx"),
      ("a load with a relocation and an immediate", .direct, "movl $1, variable(%rip)"),
      ("the thread's data", .stays(.noRoom), "mov %fs:variable@tpoff, %ecx"),
      ("an absolute address", .direct, "mov $variable, %ecx"),
      ("a push without unwind table", .direct, "push %rdi"),
      ("reads the register", .stays(.registerInUse), "mov %rax, %rdi"),
      ("changes a part of it", .mayBeCalled(.notFollowed), "mov $1, %al"),
      ("a distance that the assembler worked out", .stays(.noRoom), "lea .Lstart(%rip), %rcx"),
      ("the thread's data through the GOT", .stays(.noRoom), "add variable@gottpoff(%rip), %rcx"),
      ("a distance as an immediate", .stays(.noRoom), "mov $variable - ., %ecx"),
      ("a long distance as an immediate", .stays(.noRoom), "movabs $variable - ., %rcx"),
      ("the GOT's distance", .stays(.noRoom), "movabs $_GLOBAL_OFFSET_TABLE_ - ., %rcx"),
      ("another call", .unknown, "call elsewhere"),
      ("a branch over something", .stays(.noRoom), "test %edi, %edi\nje 1f\nnop\n1: nop"),
      ("an unknown instruction", .mayBeCalled(.unknownInstruction), "vmcall"),
      ("an instruction with operands that it does not name", .direct, "rep movsb"),
      ("flags", .direct, "cmp %rsi, %rdi"),
    ].map { (name: String, verdict: Verdict, middle: String) in
      RewriteCase(name, .x86_64, verdict, ".Lstart: nop\n" + gap(middle))
    })
  func theMiddleMustMeanTheSameFurtherDown(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// What names a place in the moved bytes, with what stands behind the function.
  @Test(
    arguments: [
      ("nothing", .direct, ""),
      ("the load's start", .direct, ".data\n.quad .Lload"),
      ("the end", .direct, ".data\n.quad .Lend"),
      ("a symbol", .stays(.notFollowed), ".globl inside\n.set inside, .Linside"),
      ("a symbol inside an instruction", .stays(.entered), ".globl inside\n.set inside, .Linside + 1"),
      ("an address", .stays(.notFollowed), ".data\n.quad .Linside"),
      ("the call's address", .stays(.notFollowed), ".data\n.quad .Lcall"),
      ("a retpoline site", .stays(.notFollowed), ".section .retpoline_sites, \"a\"\n.long .Lcall - ."),
      ("a lock prefix", .stays(.notFollowed), ".section .smp_locks, \"a\"\n.long .Linside - ."),
      ("a warning", .stays(.notFollowed), ".section __bug_table, \"aw\"\n.long .Linside - ."),
      ("the load as a call site", .stays(.namedInstruction), ".section .call_sites, \"a\"\n.long .Lload - ."),
      ("an alternative", .stays(.namedInstruction), ".section .altinstructions, \"a\"\n.long .Linside - ."),
      (
        "a row of the kernel's unwind table", .stays(.unwindInfo),
        ".section .orc_unwind_ip, \"a\"\n.long .Lload - ., .Linside - ."
      ),
      ("debugging information", .direct, ".section .debug_info, \"\"\n.quad .Linside"),
    ].map { (name: String, verdict: Verdict, rest: String) in
      RewriteCase(
        name, .x86_64, verdict,
        ".Lload:"
          + gap("mov %rsi, %rdi\n.Linside: mov %rdx, %rsi", register: "r10", behind: ".Lend: xor %ecx, %ecx\nret"),
        and: rest)
    })
  func nothingMayNameAPlaceThatMoves(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(arguments: [
    RewriteCase(
      "before the load", .x86_64, .direct,
      ".cfi_startproc\npush %rbx\n.cfi_adjust_cfa_offset 8\n" + gap("nop", behind: "pop %rbx\nret\n.cfi_endproc")),
    RewriteCase(
      "behind the call", .x86_64, .direct,
      ".cfi_startproc\npush %rbx\n" + gap("nop", behind: ".cfi_adjust_cfa_offset 8\npop %rbx\nret\n.cfi_endproc")),
    RewriteCase(
      "behind the load", .x86_64, .stays(.unwindInfo),
      ".cfi_startproc\n" + gap(".cfi_adjust_cfa_offset 8\nnop", behind: "ret\n.cfi_endproc")),
  ])
  func theRulesForUnwindingMustNotChangeInside(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: Room

  @Test(arguments: [
    RewriteCase("two in a row", .x86_64, .direct, gap("nop", behind: gap("nop"), label: ".Lfirst")),
    RewriteCase("load in another block", .x86_64, .stays(.noRoom), gap("test %edi, %edi\nje 1f\n1: nop")),
    RewriteCase(
      "two loads", .x86_64, .stays(.noRoom),
      "test %edi, %edi\nje 1f\nmov __SCT__a@GOTPCREL(%rip), %rax\njmp 2f\n1: lea __SCT__a(%rip), %rax\n2: call *%rax\nret"
    ),
    RewriteCase(
      "a copy", .x86_64, .stays(.noRoom), "mov __SCT__a@GOTPCREL(%rip), %rcx\nmov %rcx, %rax\ncall *%rax\nret"),
  ])
  func oneLoadStandsInTheSameBlock(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// Two loads, then two calls: both gaps would take the same bytes.
  @Test func ofTwoGapsThatReachIntoEachOtherOneStays() async throws {
    let scratch = try Scratch()
    let object = try await RewriteCase(
      "both", .x86_64, .direct,
      """
      mov __SCT__a@GOTPCREL(%rip), %rbx
      mov __SCT__b@GOTPCREL(%rip), %rax
      call *%rax
      call *%rbx
      pop %rbx
      ret
      """
    ).assemble(in: scratch)
    let states = try Pipeline.list(FilePath(object), Options()).sites.filter { $0.kind != nil }.map {
      "\($0.callName) \($0.state)"
    }
    #expect(states == ["b convertible", "a staysIndirect"])
  }
}
