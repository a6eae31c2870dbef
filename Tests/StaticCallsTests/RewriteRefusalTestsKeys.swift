import StaticCalls
import TestSupport
import Testing

/// With `--through-keys` a call of what the key's first word holds becomes a call of the trampoline: they are the same only where
/// nobody looks at the word, and nobody can have changed it meanwhile.
@Suite struct RewriteRefusalTestsKeys {
  private static let x86Calls: [(name: String, verdict: Verdict, body: String)] = [
    ("in place", .direct, "call *__SCK__a(%rip)\nret"),
    ("a tail call", .direct, "jmp *__SCK__a(%rip)"),
    ("the second word", .unknown, "call *__SCK__a+8(%rip)\nret"),
    ("of this processor", .unknown, ".byte 0x65\ncall *__SCK__a(%rip)\nret"),
    ("of this thread", .unknown, "call *%fs:__SCK__a@tpoff\nret"),
    ("loaded", .direct, "mov __SCK__a(%rip), %rax\nnop\ncall *%rax\nret"),
    ("half loaded", .unknown, "mov __SCK__a(%rip), %eax\ncall *%rax\nret"),
    (
      "tested", .stays(.testedKey),
      "mov __SCK__a(%rip), %r11\ntest %r11, %r11\nje 1f\njmp __x86_indirect_thunk_r11\n1: ret"
    ),
    (
      "compared", .stays(.testedKey),
      "mov __SCK__a(%rip), %r11\ncmp %rdi, %r11\nje 1f\njmp __x86_indirect_thunk_r11\n1: ret"
    ),
    ("stored", .stays(.testedKey), "mov __SCK__a(%rip), %r11\nmov %r11, (%rdi)\njmp __x86_indirect_thunk_r11"),
    ("exchanged", .unknown, "mov %rdi, %rax\nxchg %rax, __SCK__a(%rip)\ncall *%rax\nret"),
  ]

  /// A trampoline is a call through its key, and so may be what it calls: made direct, it would call itself for ever.
  @Test(
    arguments: [
      ("itself", .stays(.ownTrampoline), "", ""),
      ("beside it", .stays(.ownTrampoline), "", "\n.globl __SCT__a\n__SCT__a: ret"),
      ("a local one", .stays(.ownTrampoline), "", "\n.local __SCT__a\n__SCT__a: ret"),
      ("declared", .direct, "", "\n.globl __SCT__a"),
      ("another's", .direct, "", "\n.globl __SCT__b\n__SCT__b: ret"),
    ].flatMap { (name: String, verdict: Verdict, _: String, rest: String) in
      let label = name == "itself" ? ".globl __SCT__a\n.set __SCT__a, f\n" : ""
      return [
        RewriteCase(name, .x86_64, verdict, label + "jmp *__SCK__a(%rip)", and: rest),
        RewriteCase(
          name, .aarch64, verdict, label + "adrp x16, __SCK__a\nldr x16, [x16, :lo12:__SCK__a]\nbr x16", and: rest),
      ]
    })
  func aTrampolineDoesNotCallItself(_ rewrite: RewriteCase) async throws {
    try await rewrite.check { $0.callsThroughKeys = true }
  }

  @Test(arguments: x86Calls.map { RewriteCase($0.name, .x86_64, $0.verdict, $0.body) })
  func theWordIsUsedForTheCallAlone(_ rewrite: RewriteCase) async throws {
    try await rewrite.check { $0.callsThroughKeys = true }
  }

  @Test(
    arguments: [
      ("loaded", .direct, "adrp x9, __SCK__a\nldr x9, [x9, :lo12:__SCK__a]\nbr x9"),
      ("the second word", .unknown, "adrp x9, __SCK__a+8\nldr x9, [x9, :lo12:__SCK__a+8]\nbr x9"),
      ("half loaded", .unknown, "adrp x9, __SCK__a\nldr w9, [x9, :lo12:__SCK__a]\nbr x9"),
      ("tested", .stays(.testedKey), "adrp x9, __SCK__a\nldr x9, [x9, :lo12:__SCK__a]\ncbz x9, 1f\nbr x9\n1: ret"),
      ("stored", .stays(.testedKey), "adrp x9, __SCK__a\nldr x9, [x9, :lo12:__SCK__a]\nstr x9, [x0]\nbr x9"),
    ].map { (name: String, verdict: Verdict, body: String) in RewriteCase(name, .aarch64, verdict, body) })
  func theArmWordIsUsedForTheCallAlone(_ rewrite: RewriteCase) async throws {
    try await rewrite.check { $0.callsThroughKeys = true }
  }

  /// `old = key.func; key.func = new; old();`
  @Test(
    arguments: [
      (
        "a store to the key", .x86_64,
        "mov __SCK__a(%rip), %r11\nmov %rdi, __SCK__a(%rip)\njmp __x86_indirect_thunk_r11"
      ),
      ("a store somewhere", .x86_64, "mov __SCK__a(%rip), %r11\nmov %rdi, (%rsi)\njmp __x86_indirect_thunk_r11"),
      ("a call", .x86_64, "mov __SCK__a(%rip), %rbx\ncall elsewhere\ncall __x86_indirect_thunk_rbx\npop %rbx\nret"),
      (
        "a store to the key", .aarch64,
        "adrp x8, __SCK__a\nldr x9, [x8, :lo12:__SCK__a]\nstr x0, [x8, :lo12:__SCK__a]\nbr x9"
      ),
      ("a call", .aarch64, "adrp x19, __SCK__a\nldr x19, [x19, :lo12:__SCK__a]\nbl elsewhere\nblr x19\nret"),
    ].map { (name: String, target: Target, body: String) in RewriteCase(name, target, .stays(.staleKey), body) })
  func theWordMayHaveChangedMeanwhile(_ rewrite: RewriteCase) async throws {
    try await rewrite.check { $0.callsThroughKeys = true }
  }

  @Test func withoutTheOptionKeysAreLeftAlone() async throws {
    try await RewriteCase("default", .x86_64, .unknown, "jmp *__SCK__a(%rip)").check()
  }
}
