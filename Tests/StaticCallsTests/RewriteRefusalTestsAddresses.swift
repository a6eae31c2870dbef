import StaticCalls
import TestSupport
import Testing

/// Addresses inside of the function, and what else was once overlooked.
@Suite struct RewriteRefusalTestsAddresses {
  @Test(
    arguments: [
      ("two relocations", ".xword __SCT__a\n.reloc .Lpool, R_AARCH64_ABS64, other"),
      ("a relocation of the upper half", ".xword __SCT__a\n.reloc .Lpool + 4, R_AARCH64_ABS32, other"),
    ].map { (name: String, pool: String) in
      RewriteCase(name, .aarch64, .unknown, "ldr x9, .Lpool\nbr x9\n.p2align 3\n.Lpool: \(pool)")
    })
  func aPoolHoldsTheAddressForGood(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// The row belongs to the push in front of it, which moves.
  @Test func theRulesForUnwindingMustNotChangeInside() async throws {
    try await RewriteCase(
      "in the middle", .x86_64, .stays(.unwindInfo),
      """
      .cfi_startproc
      mov __SCT__a@GOTPCREL(%rip), %rax
      push %rdi
      .cfi_adjust_cfa_offset 8
      call *%rax
      pop %rdi
      ret
      .cfi_endproc
      """
    ).check()
  }

  private static func behind(_ jump: String) -> String {
    "OTHER\nIF .Lload\n\(jump)\n.Linside: nop\n.Lload: LOAD\nnop\n.Lbranch: BRANCH"
  }

  @Test(
    arguments: [
      ("under the top of the stack", "push %rcx\nmov %rax, 8(%rsp)\npop %rcx\nret"),
      ("pushed in another block", "push %rax\ntest %esi, %esi\nje 1f\nnop\n1: ret"),
      ("through the frame pointer", "push %rbp\nmov %rsp, %rbp\nmov %rax, 8(%rbp)\npop %rbp\nret"),
      ("on another stack", "mov %rax, (%rsi)\nmov %rsi, %rsp\nret"),
      ("by a callee", "mov %rax, (%rdi)\ncall elsewhere\nret"),
    ].map { (name: String, jump: String) in
      RewriteCase(
        name, .x86_64, .stays(.unboundedJump), behind("lea .Linside(%rip), %rax\nadd %rdx, %rax\n" + jump))
    })
  func aReturnAddressMayBeReplacedAnywhere(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(
    arguments: [
      ("made in another block", "adr x10, .Linside\nadd x30, x10, x1\ncbz w1, 1f\nnop\n1: ret"),
      ("of a call", "bl 1f\n1: add x30, x30, x1\ncbz w1, 2f\nnop\n2: ret"),
      ("stored", "adr x10, .Linside\nadd x10, x10, x1\nstr x10, [sp, #-16]!\nldr x30, [sp], #16\nret"),
    ].map { (name: String, jump: String) in RewriteCase(name, .aarch64, .stays(.unboundedJump), behind(jump)) })
  func anArmReturnAddressMayBeReplacedAnywhere(_ rewrite: RewriteCase) async throws { try await rewrite.check() }
}
