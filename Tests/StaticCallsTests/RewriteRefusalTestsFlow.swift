import StaticCalls
import TestSupport
import Testing

/// Control may enter between load and branch by ways that the function itself does not show.
@Suite struct RewriteRefusalTestsFlow {
  private static let loadMiddleBranch = """
      LOAD
      nop
    .Lmiddle: BRANCH
    """

  /// Ways into the middle of the function, each as what stands behind it.
  private static let entrances: [(name: String, code: String)] = [
    ("nothing", ""),
    ("a symbol", ".globl middle\n.set middle, .Lmiddle"),
    ("an address in data", ".data\n.quad .Lmiddle"),
    ("an address in constants", ".section .rodata\n.quad .Lmiddle"),
    ("a distance from its field", ".section .rodata\n.long .Lmiddle - ."),
    ("a distance from the table", ".section .rodata\n.p2align 2\n.Ltable: .long f - .Ltable, .Lmiddle - .Ltable"),
    ("a long distance", ".section .rodata\n.p2align 3\n.quad .Lmiddle - ."),
    ("a branch from another section", ".section .text.b, \"ax\"\nGOTO .Lmiddle"),
    ("a branch from a cold section", ".section .text.unlikely, \"ax\"\ng.cold: nop\nIF .Lmiddle"),
    ("a branch from the function behind", ".type g, %function\ng: OTHER\nGOTO .Lmiddle\n.size g, . - g"),
    ("a call from elsewhere", ".type g, %function\ng: CALLFN .Lmiddle\nret\n.size g, . - g"),
    ("its address formed elsewhere", ".type g, %function\ng: TAKE .Lmiddle\nret\n.size g, . - g"),
    ("a fixup", ".section __ex_table, \"a\"\n.long elsewhere - ., .Lmiddle - ."),
    ("a jump label", ".section __jump_table, \"aw\"\n.long f - ., .Lmiddle - .\n.quad elsewhere - ."),
    ("an address in a section of its own", ".section .init_array.5, \"aw\"\n.quad .Lmiddle"),
  ]

  @Test(
    arguments: entrances.flatMap { entrance in
      RewriteCase.onBoth(
        entrance.name, entrance.name == "nothing" ? .direct : .stays(.notFollowed), loadMiddleBranch,
        and: entrance.code)
    })
  func whoeverEntersBehindTheLoadMayBringAnotherAddress(_ rewrite: RewriteCase) async throws {
    try await rewrite.check()
  }

  @Test(arguments: [
    RewriteCase(
      "a movabs of the address", .x86_64, .stays(.notFollowed), loadMiddleBranch,
      and: ".section .text.b, \"ax\"\nmovabs $.Lmiddle, %rax"),
    RewriteCase(
      "a lea from another section", .x86_64, .stays(.notFollowed), loadMiddleBranch,
      and: ".section .text.b, \"ax\"\nlea .Lmiddle(%rip), %rax"),
    RewriteCase(
      "two instructions from another section", .aarch64, .stays(.notFollowed), loadMiddleBranch,
      and: ".section .text.b, \"ax\"\nadrp x0, .Lmiddle\nadd x0, x0, :lo12:.Lmiddle"),
    RewriteCase(
      "the address in parts", .aarch64, .stays(.notFollowed), loadMiddleBranch,
      and: ".section .text.b, \"ax\"\nmovz x0, #:abs_g1:.Lmiddle\nmovk x0, #:abs_g0_nc:.Lmiddle"),
  ])
  func anAddressTakenInAnotherSectionCounts(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// The unwind tables cannot be read, or are of a kind that is not read.
  @Test(
    arguments: [
      ("64-bit lengths", ".section .eh_frame, \"a\"\n.long -1\n.quad 4\n.long 0"),
      ("a length past the end", ".section .eh_frame, \"a\"\n.long 4000\n.long 0"),
      ("an entry without its common one", ".section .eh_frame, \"a\"\n.long 16\n.long 99\n.quad f\n.long 0"),
      ("DW_CFA_set_loc", ".text\n.cfi_startproc\n.cfi_escape 0x01, 0, 0, 0, 0\nnop\n.cfi_endproc"),
    ].flatMap { RewriteCase.onBoth($0.0, .stays(.unreadableTables), loadMiddleBranch, and: $0.1) })
  func tablesThatCannotBeReadMayHideAWay(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: Paths

  @Test(
    arguments: [
      ("loaded on both ways", .direct, "IF 1f\nLOAD\nGOTO 2f\n1: nop\nLOAD\n2: BRANCH"),
      ("loaded on one way", .stays(.notOnEveryPath), "OTHER\nIF 1f\nLOAD\n1: BRANCH"),
      ("a loop that changes it", .stays(.notOnEveryPath), "LOAD\n1: IF 2f\nOTHER\nGOTO 1b\n2: BRANCH"),
      ("a loop that keeps it", .direct, "LOAD\n1: IF 2f\nnop\nGOTO 1b\n2: BRANCH"),
      ("from far behind", .stays(.notOnEveryPath), "IF 2f\nLOAD\n1: BRANCH\n2: OTHER\nGOTO 1b"),
      ("a subroutine of its own enters", .stays(.notFollowed), "IF 2f\nLOAD\n1: BRANCH\n2: OTHER\nCALLFN 1b\nret"),
      ("fallen into", .stays(.notOnEveryPath), "IF 2f\nLOAD\nGOTO 1f\n2: OTHER\n1: BRANCH"),
    ].flatMap { (name: String, verdict: Verdict, body: String) in RewriteCase.onBoth(name, verdict, body) })
  func everyWayMustBringTheAddress(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  @Test(arguments: [
    RewriteCase(
      "another trampoline", .x86_64, .stays(.notOnEveryPath),
      "LOAD\nIF 1f\nmov __SCT__b@GOTPCREL(%rip), %r11\n1: BRANCH"),
    RewriteCase(
      "another trampoline", .aarch64, .stays(.notOnEveryPath),
      "LOAD\nIF 1f\nadrp x9, :got:__SCT__b\nldr x9, [x9, :got_lo12:__SCT__b]\n1: BRANCH"),
    RewriteCase("a transaction", .x86_64, .mayBeCalled(.notFollowed), "LOAD\nxbegin 1f\nxend\n1: BRANCH"),
  ])
  func theOtherWayMayBringAnotherTrampoline(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: Jumps that may lead anywhere

  /// A jump to an address that was computed from one inside the function; behind it, the branch.
  private static func behind(_ jump: String) -> String { "OTHER\nIF 2f\n\(jump)\n1: nop\n2: LOAD\nnop\n3: BRANCH" }

  @Test(
    arguments: [
      RewriteCase("a return instead", .x86_64, .direct, behind("ret")),
      RewriteCase("a tail call instead", .x86_64, .direct, behind("jmp *%rdx")),
      RewriteCase(
        "a register", .x86_64, .stays(.unboundedJump), behind("lea 1b(%rip), %rax\nadd %rdx, %rax\njmp *%rax")),
      RewriteCase(
        "push and return", .x86_64, .stays(.unboundedJump), behind("lea 1b(%rip), %rax\nadd %rdx, %rax\npush %rax\nret")
      ),
      RewriteCase(
        "stored return", .x86_64, .stays(.unboundedJump),
        behind("lea 1b(%rip), %rax\nadd %rdx, %rax\nmov %rax, (%rsp)\nret")),
      RewriteCase(
        "memory", .x86_64, .stays(.unboundedJump),
        behind("lea 1b(%rip), %rax\nadd %rdx, %rax\nmov %rax, (%rdi)\njmp *(%rdi)")),
      RewriteCase(
        "a thunk", .x86_64, .stays(.unboundedJump),
        behind("lea 1b(%rip), %rax\nadd %rdx, %rax\njmp __x86_indirect_thunk_rax")),
      RewriteCase(
        "a pushed address and a thunk", .x86_64, .stays(.unboundedJump),
        behind("lea 1b(%rip), %rax\nadd %rdx, %rax\npush %rax\njmp __x86_indirect_thunk")),
      RewriteCase("a return instead", .aarch64, .direct, behind("ret")),
      RewriteCase("a register", .aarch64, .stays(.unboundedJump), behind("adr x2, 1b\nadd x2, x2, x1\nbr x2")),
      RewriteCase("ret x2", .aarch64, .stays(.unboundedJump), behind("adr x2, 1b\nadd x2, x2, x1\nret x2")),
      RewriteCase(
        "a thunk", .aarch64, .stays(.unboundedJump), behind("adr x2, 1b\nadd x2, x2, x1\nb __call_indirect_x2")),
    ].map { rewrite in
      // The label that is taken stands behind the jump.
      var forward = rewrite
      forward.body = rewrite.body.replacing("1b", with: "1f")
      return forward
    })
  func aJumpToAComputedPlaceInsideEndsTheProof(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// Jump tables in the forms of compilers: the cases they lead to are entered, those that they do not lead to are not.
  @Test(arguments: [
    RewriteCase(
      "of distances", .x86_64, .stays(.notOnEveryPath),
      table("lea .Ltable(%rip), %rax\nmovslq (%rax,%rsi,4), %rdx\nadd %rax, %rdx\njmp *%rdx"),
      and: ".section .rodata\n.p2align 2\n.Ltable: .long .L1 - .Ltable, .L3 - .Ltable"),
    RewriteCase(
      "of distances, elsewhere", .x86_64, .direct,
      table("lea .Ltable(%rip), %rax\nmovslq (%rax,%rsi,4), %rdx\nadd %rax, %rdx\njmp *%rdx"),
      and: ".section .rodata\n.p2align 2\n.Ltable: .long .L1 - .Ltable, .L2 - .Ltable"),
    RewriteCase(
      "of addresses", .x86_64, .stays(.notOnEveryPath), table("jmp *.Ltable(,%rsi,8)"),
      and: ".section .rodata\n.p2align 3\n.Ltable: .quad .L1, .L3"),
    RewriteCase(
      "of bytes", .aarch64, .stays(.notOnEveryPath), armTable("ldrb w1, [x0, w1, uxtw]", "sxtb #2"),
      and: ".section .rodata\n.Ltable: .byte (.L1 - .L1) / 4, (.L3 - .L1) / 4"),
    RewriteCase(
      "of halfwords", .aarch64, .stays(.notOnEveryPath), armTable("ldrh w1, [x0, w1, uxtw #1]", "sxth #2"),
      and: ".section .rodata\n.p2align 1\n.Ltable: .hword (.L1 - .L1) / 4, (.L3 - .L1) / 4"),
    RewriteCase(
      "of bytes, elsewhere", .aarch64, .direct, armTable("ldrb w1, [x0, w1, uxtw]", "sxtb #2"),
      and: ".section .rodata\n.Ltable: .byte (.L1 - .L1) / 4, (.L2 - .L1) / 4"),
  ])
  func aCaseOfASwitchIsEntered(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// Where a table without relocations ends: where the comparison in front of the jump says, or else with the next object.
  @Test(
    arguments: [
      (
        "a label inside it", .stays(.notFollowed), "", both,
        ".text\n.type g, %function\ng: adrp x0, .Ltable+1\nadd x0, x0, :lo12:.Ltable+1\nret"
      ),
      ("more constants than cases", .stays(.notOnEveryPath), "", three, ""),
      ("b.hi", .direct, "cmp w1, #1\nb.hi .L1\n", three, ""),
      ("b.hs", .direct, "cmp w1, #2\nb.hs .L1\n", three, ""),
      ("b.ls", .direct, "cmp w1, #1\nb.ls 1f\nb .L1\n1: ", three, ""),
      ("b.lo", .direct, "cmp x1, #2\nb.lo 1f\nb .L1\n1: ", three, ""),
      ("a copy", .direct, "cmp w2, #1\nb.hi .L1\nmov w1, w2\n", three, ""),
      ("a move between", .direct, "cmp w1, #1\nmov w5, #0\nb.hi .L1\n", three, ""),
      ("a mask", .direct, "and w1, w2, #1\n", three, ""),
      ("a larger number", .stays(.notOnEveryPath), "cmp w1, #2\nb.hi .L1\n", three, ""),
      ("a larger mask", .stays(.unboundedJump), "and w1, w2, #3\n", three, ""),
      ("a mask of other bits", .stays(.notOnEveryPath), "and w1, w2, #2\n", three, ""),
      ("another branch", .stays(.notOnEveryPath), "cmp w1, #1\nb.gt .L1\n", three, ""),
      ("another register", .stays(.notOnEveryPath), "cmp w2, #1\nb.hi .L1\n", three, ""),
      ("other flags", .stays(.notOnEveryPath), "cmp w1, #1\ncmp w2, #1\nb.hi .L1\n", three, ""),
      ("changed behind it", .stays(.notOnEveryPath), "cmp w1, #1\nb.hi .L1\nadd w1, w1, #1\n", three, ""),
      ("another way there", .stays(.notOnEveryPath), "tbnz w2, #1, 1f\ncmp w1, #1\nb.hi .L1\n1: ", three, ""),
      ("the next object", .direct, "", ".byte 0, 1\n.type object, %object\nobject: .byte 4\n.size object, 1", ""),
      ("outside of the function", .stays(.unboundedJump), "cmp w1, #1\nb.hi .L1\n", ".byte 0, 127", ""),
    ].map { (name: String, verdict: Verdict, check: String, constants: String, rest: String) in
      RewriteCase(
        name, .aarch64, verdict, armTable(check + "ldrb w1, [x0, w1, uxtw]", "sxtb #2"),
        and: ".section .rodata\n.Ltable: \(constants)\n\(rest)")
    })
  func aTableEndsWhereItsIndexDoes(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// Constants that lead to `.L1` and `.L3`; to `.L1` and `.L2`, and behind them to `.L3`.
  private static let both = ".byte 0, (.L3 - .L1) / 4"
  private static let three = ".byte 0, (.L2 - .L1) / 4, (.L3 - .L1) / 4"

  /// A function symbol inside of a function: the one's jump tables may lead into the other.
  @Test(arguments: [
    ("an inner function", Verdict.stays(.unboundedJump), "LOAD\nnop\nBRANCH\n.type g, %function\ng: ret"),
    ("a label", .direct, "LOAD\nnop\nBRANCH\n.type g, %notype\ng: ret"),
    ("behind its end", .direct, "LOAD\nnop\nBRANCH\nf_end:\n.type g, %function\ng: ret"),
  ])
  func aFunctionInsideAnotherIsNoWhole(_ name: String, verdict: Verdict, body: String) async throws {
    for rewrite in RewriteCase.onBoth(name, verdict, body) { try await rewrite.check() }
  }

  /// What control runs into is code, whatever a mapping symbol calls it.
  @Test(arguments: [
    ("run into", Verdict.stays(.undecodedFunction), "mov x9, x0\n.word 0xb4000061 // cbz x1, .+12\nLOAD\nBRANCH"),
    ("behind a jump", .direct, "b 1f\n.word 0xb4000061\n1: LOAD\nnop\nBRANCH"),
    ("behind the end", .direct, "LOAD\nnop\nBRANCH\n.word 0xb4000061"),
  ])
  func dataAmongCodeIsDataWhereNothingRunsIntoIt(_ name: String, verdict: Verdict, body: String) async throws {
    try await RewriteCase(name, .aarch64, verdict, body).check()
  }

  private static func table(_ jump: String) -> String {
    "OTHER\nIF .L2\n\(jump)\n.L1: ret\n.L2: LOAD\nnop\n.L3: BRANCH"
  }

  private static func armTable(_ load: String, _ widening: String) -> String {
    table("adrp x0, .Ltable\nadd x0, x0, :lo12:.Ltable\n\(load)\nadr x2, .L1\nadd x1, x2, w1, \(widening)\nbr x1")
  }
}
