import StaticCalls
import TestSupport
import Testing

/// Branches and loads that look like those of compilers and are not.
@Suite struct RewriteRefusalTestsForms {
  @Test(
    arguments: [
      ("call", .direct, "call *__SCT__a@GOTPCREL(%rip)"),
      ("jump", .direct, "jmp *__SCT__a@GOTPCREL(%rip)"),
      ("prefix 3e", .direct, ".byte 0x3e\ncall *__SCT__a@GOTPCREL(%rip)"),
      ("prefix 48", .direct, ".byte 0x48\ncall *__SCT__a@GOTPCREL(%rip)"),
      ("prefix f2", .direct, ".byte 0xf2\ncall *__SCT__a@GOTPCREL(%rip)"),
      ("prefix 64", .stays(.notFollowed), ".byte 0x64\ncall *__SCT__a@GOTPCREL(%rip)"),
      ("prefix 65", .stays(.notFollowed), ".byte 0x65\njmp *__SCT__a@GOTPCREL(%rip)"),
      ("prefix 66", .unpatchable(.operandSizePrefix), ".byte 0x66\ncall *__SCT__a@GOTPCREL(%rip)"),
      ("prefix 67", .stays(.notFollowed), ".byte 0x67\ncall *__SCT__a@GOTPCREL(%rip)"),
      ("an addend", .unknown, "call *__SCT__a@GOTPCREL+8(%rip)"),
      ("the trampoline's first bytes", .noCall(.accessed), "call *__SCT__a(%rip)"),
      ("far", .unknown, "lcall *__SCT__a@GOTPCREL(%rip)"),
      ("an index", .noCall(.accessed), "call *__SCT__a(,%rax,8)"),
      ("named by the kernel", .stays(.namedInstruction), namedByTheKernel),
      (
        "two relocations", .stays(.severalRelocations),
        "call *__SCT__a@GOTPCREL(%rip)\n.reloc . - 4, R_X86_64_GOTPCREL, other - 4"
      ),
      ("an alternative's original", .stays(.namedInstruction), alternativeOriginal),
      ("entered behind a prefix", .direct, enteredBehindPrefix),
    ].map { (name: String, verdict: Verdict, branch: String) in RewriteCase(name, .x86_64, verdict, branch + "\nret") })
  func theBranchIsThroughThatEntryOfTheTable(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static let namedByTheKernel = """
    1: call *__SCT__a@GOTPCREL(%rip)
      .pushsection .retpoline_sites, "a"
      .long 1b - .
      .popsection
    """

  private static let alternativeOriginal = """
    1: call *__SCT__a@GOTPCREL(%rip)
      .pushsection .altinstructions, "a"
      .long 1b - .
      .popsection
    """

  private static let enteredBehindPrefix = """
      test %edi, %edi
      je 1f
      .byte 0x3e
    1: .byte 0x48
      call *__SCT__a@GOTPCREL(%rip)
    """

  @Test(
    arguments: [
      ("GOT", .direct, "mov __SCT__a@GOTPCREL(%rip), %r11"),
      ("lea", .direct, "lea __SCT__a(%rip), %r11"),
      ("absolute", .direct, "mov $__SCT__a, %r11"),
      ("absolute, 32 bits", .direct, "mov $__SCT__a, %r11d"),
      ("absolute, 64 bits", .direct, "movabs $__SCT__a, %r11"),
      ("half of the GOT's entry", .unknown, "mov __SCT__a@GOTPCREL(%rip), %r11d"),
      ("segment", .unknown, ".byte 0x65\nmov __SCT__a@GOTPCREL(%rip), %r11"),
      ("short address", .unknown, ".byte 0x67\nlea __SCT__a(%rip), %r11"),
      ("the GOT entry's address", .unknown, "lea __SCT__a@GOTPCREL(%rip), %r11"),
      ("half an address", .unknown, "lea __SCT__a(%rip), %r11d"),
      ("beside it", .unknown, "lea __SCT__a+1(%rip), %r11"),
      ("beside it, absolute", .unknown, "movabs $__SCT__a + 8, %r11"),
      ("added", .unknown, "add $__SCT__a, %r11"),
      ("code of the trampoline", .unknown, "mov __SCT__a(%rip), %r11"),
      (
        "another's entry wins", .unknown,
        "mov __SCT__a@GOTPCREL(%rip), %r11\n.reloc . - 4, R_X86_64_GOTPCREL, other - 4"
      ),
    ].map { (name: String, verdict: Verdict, load: String) in
      RewriteCase(name, .x86_64, verdict, load + "\njmp __x86_indirect_thunk_r11")
    })
  func theLoadIsOfThatAddress(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(
    arguments: [
      ("call", .direct, "call __x86_indirect_thunk_r11"),
      ("conditional jump", .direct, "jne __x86_indirect_thunk_r11\nret"),
      ("clang's", .direct, "jmp __llvm_retpoline_r11"),
      ("with a prefix", .direct, ".byte 0x2e\ncall __x86_indirect_thunk_r11"),
      ("another register's", .unknown, "call __x86_indirect_thunk_r10"),
      ("the kernel's array", .unknown, "call __x86_indirect_thunk_array"),
      ("a part of it", .unknown, "call __x86_indirect_thunk_r11 + 32"),
      ("a longer name", .unknown, "call __x86_indirect_thunk_r11x"),
      (
        "a short jump", .stays(.throughThunk),
        ".byte 0xeb, 0 # jmp\n.reloc . - 1, R_X86_64_PC8, __x86_indirect_thunk_r11 - 1"
      ),
      ("66", .unpatchable(.operandSizePrefix), ".byte 0x66\ncall __x86_indirect_thunk_r11"),
    ].map { (name: String, verdict: Verdict, branch: String) in
      RewriteCase(name, .x86_64, verdict, "LOAD\n\(branch)" + (branch.contains("j") ? "" : "\nret"))
    })
  func theThunkIsThatOfTheRegister(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// Bytes between functions, such as the hash of `-fsanitize=function`, may look like a branch. Into a call whose bytes linkers may change,
  /// none can lead.
  @Test(
    arguments: [
      ("into another instruction", .direct, "call *__SCT__a@GOTPCREL(%rip)", "f + 2"),
      ("into the call", .direct, "call *__SCT__a@GOTPCREL(%rip)", "f + 6"),
      (
        "the old relocation", .stays(.entered),
        ".byte 0xff, 0x15\n.long 0\n.reloc . - 4, R_X86_64_GOTPCREL, __SCT__a - 4", "f + 2"
      ),
    ].map { (name: String, verdict: Verdict, call: String, target: String) in
      RewriteCase(
        name, .x86_64, verdict, "mov $0x12345678, %eax\n\(call)\nret\nf_end:", and: "jge \(target)\n.globl g\ng: ret")
    })
  func aCallIsOneWhateverLooksLikeABranch(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(
    arguments: [
      ("gcc's", .direct, "bl __call_indirect_x9"),
      ("clang's", .direct, "bl __llvm_slsblr_thunk_x9"),
      ("another register's", .unknown, "bl __call_indirect_x8"),
      ("a part of it", .unknown, "bl __call_indirect_x9 + 4"),
      ("a longer name", .unknown, "bl __call_indirect_x9x"),
      ("with pointer authentication", .unknown, "bl __llvm_slsblr_thunk_aa_x9_x10"),
      ("an authenticated branch", .unknown, ".arch armv8.3-a\nblraaz x9"),
      ("the half of it", .unknown, "mov w10, w9\nblr x10"),
    ].map { (name: String, verdict: Verdict, branch: String) in
      RewriteCase(name, .aarch64, verdict, "LOAD\n\(branch)\nret")
    })
  func theArmThunkIsThatOfTheRegister(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// gcc keeps thunks behind a function (`-mharden-sls=blr`). Once the calls are direct, none of them is a call that is left.
  @Test(
    arguments: [
      ("behind a return", .direct, "LOAD\nbl 2f\nret\n2: mov x16, x9\nbr x16"),
      (
        "behind a call that does not return", .direct,
        "cbz x2, 1f\nLOAD\nbl 2f\nret\n1: bl gone\n2: mov x16, x9\nbr x16"
      ),
      (
        "the same, and the register is known there", .direct,
        "adrp x19, :got:__SCT__a\nldr x19, [x19, :got_lo12:__SCT__a]\ncbz x2, 1f\nbl 2f\nret\n1: bl gone\n2: mov x16, x19\nbr x16"
      ),
      (
        "a tail call behind such a call", .direct,
        "adrp x19, :got:__SCT__a\nldr x19, [x19, :got_lo12:__SCT__a]\ncbz x2, 2f\nbl gone\n2: mov x16, x19\nbr x16"
      ),
    ].map { (name: String, verdict: Verdict, body: String) in RewriteCase(name, .aarch64, verdict, body) })
  func aThunkInsideTheFunctionIsNoCall(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(
    arguments: [
      ("tail call", .direct, "push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk"),
      ("call", .direct, "jmp 1f\n2: push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk\n1: call 2b\nret"),
      ("something between", .mayBeCalled(.throughThunk), "push __SCT__a@GOTPCREL(%rip)\nnop\njmp __x86_indirect_thunk"),
      ("a register's thunk", .noCall(.passedOn), "push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk_rax"),
      ("another function", .noCall(.passedOn), "push __SCT__a@GOTPCREL(%rip)\njmp elsewhere"),
      (
        "two callers", .mayBeCalled(.throughThunk),
        "jmp 1f\n2: push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk\n1: call 2b\ncall 2b\nret"
      ),
      (
        "fallen into", .mayBeCalled(.throughThunk),
        "2: push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk\n1: call 2b\nret"
      ),
      (
        "jumped into", .mayBeCalled(.throughThunk),
        "jmp 1f\n2: push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk\n1: call 2b\njmp 2b"
      ),
      ("a part of the thunk", .noCall(.passedOn), "push __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk + 1"),
      ("16 bits", .mayBeCalled(.throughThunk), "pushw __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk"),
      ("a segment", .mayBeCalled(.throughThunk), ".byte 0x64\npush __SCT__a@GOTPCREL(%rip)\njmp __x86_indirect_thunk"),
    ].map { (name: String, verdict: Verdict, code: String) in RewriteCase(name, .x86_64, verdict, code) })
  func whatIsPushedIsReturnedToAtOnce(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// A pool that the program may write, or of which not all is the address, proves nothing.
  @Test(
    arguments: [
      ("in the text", .direct, "", ".xword __SCT__a"),
      ("in writable data", .unknown, ".data", ".xword __SCT__a"),
      ("beside it", .unknown, "", ".xword __SCT__a + 4"),
      ("half an address", .unknown, "", ".word 0, __SCT__a"),
      ("zero", .unknown, "", ".xword 0"),
    ].map { (name: String, verdict: Verdict, section: String, pool: String) in
      let load = section.isEmpty ? "ldr x9, .Lpool" : "adrp x9, .Lpool\nldr x9, [x9, :lo12:.Lpool]"
      return RewriteCase(
        name, .aarch64, verdict, "\(load)\nbr x9\n\(section)\n.p2align 3\n.Lpool: \(pool)\n.text")
    })
  func aPoolHoldsTheAddressForGood(_ rewrite: RewriteCase) async throws { try await rewrite.check() }
}
