import StaticCalls
import TestSupport
import Testing

/// An address that may reach a branch which is not proved is reported; one that is stored, compared or passed on is not.
@Suite struct PossibleAddressTests {
  // MARK: Calls that are not followed

  /// `LOAD` brings the address into %rbx; %rbp and the stack are the function's own.
  private static let x86Left: [(name: String, code: Code, body: String)] = [
    ("an unknown instruction", .unknownInstruction, "LOAD\nvmcall\ncall *%rbx\nret"),
    ("unknown, copied", .unknownInstruction, "LOAD\nvmcall\nmov %rbx, %rax\njmp *%rax"),
    ("unknown, a thunk", .unknownInstruction, "LOAD\nvmcall\njmp __x86_indirect_thunk_rbx"),
    ("a thunk that is not known", .notFollowed, "LOAD\nmov %rbx, %rax\njmp __x86_indirect_call_thunk_rax"),
    ("a selection", .notOnEveryPath, "LOAD\nmov other@GOTPCREL(%rip), %rax\ncmove %rax, %rbx\ncall *%rbx\nret"),
    ("a selected argument", .notOnEveryPath, "LOAD\ntest %edi, %edi\ncmove %rsi, %rbx\njmp *%rbx"),
    ("a selection in memory", .notOnEveryPath, "mov (%rdi), %rbx\ncmove __SCT__a@GOTPCREL(%rip), %rbx\njmp *%rbx"),
    ("arithmetic", .notFollowed, "LOAD\nxor $1, %rbx\nxor $1, %rbx\njmp *%rbx"),
    ("exchanged", .notFollowed, "LOAD\nxor %eax, %eax\nxchg %rax, %rbx\njmp *%rax"),
    ("over a call that keeps it", .notFollowed, "LOAD\nmov %rbx, %rax\ncall leaf\njmp *%rax"),
    ("over a call that calls one", .notFollowed, "LOAD\nmov %rbx, %r11\ncall outer\njmp *%r11"),
    ("over a call of another section", .notFollowed, "LOAD\nmov %rbx, %rax\ncall far\njmp *%rax"),
    (
      "on the stack", .keptOnStack,
      "LOAD\nmov %rbx, 8(%rsp)\nxor %ebx, %ebx\ncall elsewhere\nmov 8(%rsp), %rbx\ncall *%rbx\nret"
    ),
    ("called on the stack", .keptOnStack, "LOAD\nmov %rbx, 8(%rsp)\nxor %ebx, %ebx\ncall *8(%rsp)\nret"),
    ("pushed and popped", .keptOnStack, "LOAD\npush %rbx\nxor %ebx, %ebx\ncall elsewhere\npop %rax\njmp *%rax"),
    (
      "behind a push", .keptOnStack, "LOAD\nmov %rbx, 8(%rsp)\npush %rdi\nmov 16(%rsp), %rax\ncall *%rax\npop %rdi\nret"
    ),
    (
      "in the frame", .keptOnStack,
      "push %rbp\nmov %rsp, %rbp\nsub $16, %rsp\nLOAD\nmov %rbx, -8(%rbp)\nmov 8(%rsp), %rdx\nleave\njmp *%rdx"
    ),
    ("an array on the stack", .keptOnStack, "LOAD\nmov %rbx, 8(%rsp)\nmovslq %edi, %rdi\ncall *(%rsp,%rdi,8)\nret"),
    (
      "an array in a register", .keptOnStack,
      "LOAD\nmov %rbx, 8(%rsp)\nlea (%rsp), %rbp\nmov 8(%rbp), %rax\ncall *%rax\nret"
    ),
    (
      "a pointer on the stack", .keptOnStack,
      "LOAD\nmov %rbx, 8(%rsp)\nlea 8(%rsp), %rax\nmov %rax, 16(%rsp)\nmov 16(%rsp), %rax\nmov (%rax), %rdx\ncall *%rdx\nret"
    ),
    ("an immediate on the stack", .keptOnStack, "movq $__SCT__a, 8(%rsp)\nmov 8(%rsp), %rdx\ncall *%rdx\nret"),
    ("through a vector register", .notFollowed, "LOAD\nmovq %rbx, %xmm1\nxor %ebx, %ebx\nmovq %xmm1, %rax\njmp *%rax"),
    (
      "a vector on the stack", .keptOnStack,
      "movq __SCT__a@GOTPCREL(%rip), %xmm0\nmovups %xmm0, 8(%rsp)\nmov 8(%rsp), %rax\ncall *%rax\nret"
    ),
    ("in front of a return", .throughThunk, "LOAD\ncall 1f\n2: pause\nlfence\njmp 2b\n1: mov %rbx, (%rsp)\nret"),
    ("a return to a push", .throughThunk, "LOAD\npush %rbx\nret"),
    (
      "gcc's thunk in line", .throughThunk,
      "jmp 2f\n1: push __SCT__a@GOTPCREL(%rip)\ncall 3f\n4: pause\nlfence\njmp 4b\n3: lea 8(%rsp), %rsp\nret\n2: call 1b\nret"
    ),
    (
      "a table's label", .notFollowed,
      "LOAD\ntest %edi, %edi\n.Ljump: nopl 0(%rax,%rax)\nret\n.Llabel: call *%rbx\nret\n.section keys, \"aw\"\n.quad .Ljump, .Llabel\n.text"
    ),
    (
      "an entry of the GOT by its distance", .unknownInstruction,
      "movabs $__SCT__a@GOT, %rax\nvmcall\nmov (%rax,%rbx), %rax\ncall *%rax\nret"
    ),
  ]

  private static let armLeft: [(name: String, code: Code, body: String)] = [
    ("an unknown instruction", .unknownInstruction, "LOAD\nhlt #1\nblr x19\nret"),
    (
      "a selection", .notOnEveryPath,
      "LOAD\nadrp x1, :got:other\nldr x1, [x1, :got_lo12:other]\ncsel x1, x19, x1, eq\nblr x1\nret"
    ),
    ("a selected argument", .notOnEveryPath, "LOAD\ncmp w0, #0\ncsel x1, x1, x19, ne\nbr x1"),
    ("a thunk", .notOnEveryPath, "LOAD\ncmp w0, #0\ncsel x8, x1, x19, ne\nbl __call_indirect_x8\nret"),
    ("a return", .throughThunk, "LOAD\nret x19"),
    ("over a call that keeps it", .notFollowed, "LOAD\nmov x9, x19\nbl leaf\nbr x9"),
    ("in a result's register", .notFollowed, "LOAD\nmov x0, x19\nbl leaf\nbr x0"),
    ("on the stack", .keptOnStack, "LOAD\nstr x19, [sp, #8]\nmov x19, #0\nbl elsewhere\nldr x1, [sp, #8]\nbr x1"),
    ("a pair on the stack", .keptOnStack, "LOAD\nstp x0, x19, [sp]\nbl elsewhere\nldr x1, [sp, #8]\nbr x1"),
    ("with another base", .keptOnStack, "mov x29, sp\nLOAD\nstr x19, [sp, #8]\nldr x1, [x29, #8]\nbr x1"),
    ("an array on the stack", .keptOnStack, "LOAD\nstr x19, [sp, #8]\nmov x1, sp\nldr x1, [x1, w0, sxtw #3]\nbr x1"),
    ("a vector register", .notFollowed, "LOAD\nfmov d0, x19\nmov x19, #0\nfmov x1, d0\nbr x1"),
    ("moved down and up", .keptOnStack, "LOAD\nstr x19, [sp, #-16]!\nbl elsewhere\nldr x1, [sp], #16\nbr x1"),
  ]

  @Test(
    arguments: x86Left.map { RewriteCase($0.name, .x86_64, .mayBeCalled($0.code), x86Load + $0.body, and: helpers) }
      + armLeft.map { RewriteCase($0.name, .aarch64, .mayBeCalled($0.code), armLoad + $0.body, and: armHelpers) })
  func whatMayBeCalledIsReported(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static let x86Load = """
      .purgem LOAD
      .macro LOAD
      mov __SCT__a@GOTPCREL(%rip), %rbx
      .endm

    """

  private static let armLoad = """
      .purgem LOAD
      .macro LOAD
      adrp x19, :got:__SCT__a
      ldr x19, [x19, :got_lo12:__SCT__a]
      .endm

    """

  /// Functions that leave nearly all registers alone.
  private static let helpers = """
    .type leaf, %function
    leaf: add $1, %edi
    ret
    .size leaf, . - leaf
    .type outer, %function
    outer: call leaf
    call leaf
    ret
    .size outer, . - outer
    .section .text.far, "ax"
    .type far, %function
    far: add $1, %edi
    ret
    .size far, . - far
    .text
    """
  private static let armHelpers = """
    .type leaf, %function
    leaf: add w5, w5, #1
    ret
    .size leaf, . - leaf
    """

  /// The branch is known to go to the trampoline on one way, and the reason is not that it goes elsewhere on another.
  @Test(arguments: [
    RewriteCase(
      "unknown", .x86_64, .stays(.unknownInstruction),
      x86Load + "LOAD\ntest %edi, %edi\nje 1f\nvmcall\n1: call *%rbx\nret"),
    RewriteCase(
      "known", .x86_64, .stays(.notOnEveryPath),
      x86Load + "LOAD\ntest %edi, %edi\nje 1f\nmov (%rsi), %rbx\n1: call *%rbx\nret"),
    RewriteCase(
      "unknown", .aarch64, .stays(.unknownInstruction), armLoad + "LOAD\ncbz w0, 1f\nhlt #1\n1: blr x19\nret"),
    RewriteCase(
      "known", .aarch64, .stays(.notOnEveryPath), armLoad + "LOAD\ncbz w0, 1f\nldr x19, [x1]\n1: blr x19\nret"),
  ])
  func theReasonIsTheOneThatCounts(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: Calls that are

  private static let x86Direct: [(name: String, body: String)] = [
    (
      "a known instruction",
      "mov __SCT__a@GOTPCREL(%rip), %rbx\nadd $1, %edi\ncall __x86_indirect_thunk_rbx\npop %rbx\nret"
    ),
    (
      "a store beside it",
      "mov __SCT__a@GOTPCREL(%rip), %rbx\nmov %rdi, 8(%rsp)\ncall __x86_indirect_thunk_rbx\nmov 8(%rsp), %rdi\npop %rbx\ncall *%rdi\nret"
    ),
  ]

  @Test(arguments: x86Direct.map { RewriteCase($0.name, .x86_64, .direct, $0.body) })
  func whatIsFollowedIsNotReported(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: No calls

  private static let x86NoCalls: [(name: String, use: NonCall, body: String)] = [
    (
      "an argument beside a callback", .passedOn,
      "push %rdi\nlea __SCT__a(%rip), %rdi\ncall elsewhere\npop %rax\njmp *%rax"
    ),
    ("an argument on the stack", .passedOn, "push __SCT__a@GOTPCREL(%rip)\ncall elsewhere\npop %rax\nret"),
    ("an immediate on the stack", .passedOn, "push $__SCT__a\ncall elsewhere\ncall *%rbx\nret"),
    ("a result", .passedOn, "call *(%rdi)\nlea __SCT__a(%rip), %rax\nret"),
    ("a result instead of the address", .passedOn, "mov $__SCT__a, %eax\nmov %rax, %rdi\ncall elsewhere\njmp *%rax"),
    ("the result of a function here", .passedOn, "mov $__SCT__a, %eax\nmov %rax, %rdi\ncall get\njmp *%rax"),
    (
      "taken along to another part", .passedOn,
      "push %rbx\nmov __SCT__a@GOTPCREL(%rip), %rbx\ntest %edi, %edi\njne g.cold\npop %rbx\nret\n.section .text.unlikely\ng.cold: ret\n.text"
    ),
    (
      "taken along to another part, beside a callback", .passedOn,
      "push %rbx\nmov __SCT__a@GOTPCREL(%rip), %rbx\ntest %edi, %edi\njne g.cold\npop %rbx\njmp *%rsi\n.section .text.unlikely\ng.cold: ret\n.text"
    ),
    ("stored", .stored, "lea __SCT__a(%rip), %rax\nmov %rax, (%rdi)\nmov 8(%rdi), %rax\njmp *%rax"),
    ("stored as an immediate", .stored, "movq $__SCT__a, (%rdi)\njmp *8(%rdi)"),
    (
      "a structure on the stack", .stored,
      "lea __SCT__a(%rip), %rax\nmov %rax, 8(%rsp)\nmov %rsp, %rdi\nmov 16(%rsp), %rbx\ncall elsewhere\ncall *%rbx\nret"
    ),
    ("exchanged with memory", .stored, "lea __SCT__a(%rip), %rax\nxchg %rax, (%rdi)\nxor %eax, %eax\njmp *%rbx"),
    ("compared", .compared, "lea __SCT__a(%rip), %rax\ncmp %rax, (%rdi)\nje 1f\njmp *(%rdi)\n1: xor %eax, %eax\nret"),
    ("compared in the GOT", .compared, "cmp __SCT__a@GOTPCREL(%rip), %rdi\nje 1f\njmp *%rdi\n1: ret"),
    ("not used", .unused, "lea __SCT__a(%rip), %rcx\nxor %ecx, %ecx\njmp *%rdx"),
    ("its code", .accessed, "mov __SCT__a(%rip), %eax\njmp *%rdx"),
    (
      "a switch beside callbacks", .passedOn,
      "mov 8(%rdi), %rax\ncmp $1, %esi\nja 3f\njmp *.Ltable(,%rsi,8)\n1: lea __SCT__a(%rip), %rdi\njmp elsewhere\n2: jmp *%rax\n3: ret\n.section .rodata\n.Ltable: .quad 1b, 2b\n.text"
    ),
  ]

  private static let armNoCalls: [(name: String, use: NonCall, body: String)] = [
    (
      "an argument beside a callback", .passedOn,
      "mov x19, x0\nadrp x0, __SCT__a\nadd x0, x0, :lo12:__SCT__a\nbl elsewhere\nbr x19"
    ),
    ("stored", .stored, "adrp x1, __SCT__a\nadd x1, x1, :lo12:__SCT__a\nstr x1, [x0]\nldr x1, [x0, #8]\nbr x1"),
    (
      "a structure on the stack", .stored,
      "adrp x1, __SCT__a\nadd x1, x1, :lo12:__SCT__a\nstp x1, x2, [sp, #16]\nldr x19, [sp, #32]\nmov x0, #0\nmov x1, #0\nbr x19"
    ),
    (
      "compared", .compared,
      "adrp x1, __SCT__a\nadd x1, x1, :lo12:__SCT__a\ncmp x1, x0\nmov x1, #0\nb.eq 1f\nbr x9\n1: mov x0, #0\nret"
    ),
    ("a part that stands alone", .unused, "adrp x1, __SCT__a\nadd x1, x1, :lo12:__SCT__a\nmov x1, #0\nbr x9"),
    ("its code", .accessed, "adrp x1, __SCT__a\nldr w1, [x1, :lo12:__SCT__a]\nbr x9"),
  ]

  @Test(
    arguments: x86NoCalls.map { RewriteCase($0.name, .x86_64, .noCall($0.use), $0.body, and: getter) }
      + armNoCalls.map { RewriteCase($0.name, .aarch64, .noCall($0.use), $0.body) })
  func whatIsNoCallIsListedAsThat(_ rewrite: RewriteCase) async throws {
    try await rewrite.check()
    // In an object whose data is looked at as well, nothing else comes out.
    try await rewrite.check { $0.callsThroughKeys = true }
  }

  private static let getter = """
    .type get, %function
    get: mov 8(%rdi), %rax
    ret
    .size get, . - get
    """
}
