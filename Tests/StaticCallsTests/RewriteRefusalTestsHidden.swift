import StaticCalls
import TestSupport
import Testing

/// Ways into a function that neither its branches nor a plain relocation show.
@Suite struct RewriteRefusalTestsHidden {
  private static let loadMiddleBranch = "LOAD\nnop\n.Lmiddle: BRANCH"

  /// A way out of the function; and behind it, a branch whose address another way may have brought.
  private static func behind(_ jump: String) -> String {
    "OTHER\nIF .Lload\n\(jump)\n.Linside: nop\n.Lload: LOAD\nnop\n.Lbranch: BRANCH"
  }

  // MARK: Targets that are computed

  @Test(
    arguments: [
      ("from a return address", "call 1f\n1: pop %rax\nlea (.Lbranch - 1b)(%rax), %rax\njmp *%rax"),
      ("from the function's start", "lea .Lload(%rip), %rax\nadd $(.Lbranch - .Lload), %rax\njmp *%rax"),
      ("on the stack", "call 1f\nint3\n1: addq $(.Lbranch - .Linside), (%rsp)\nret"),
      ("pushed early", "lea .Linside(%rip), %rax\nadd %rdx, %rax\npush %rax\nxor %eax, %eax\nret"),
      ("from an inner address, by a thunk", "lea .Linside(%rip), %rax\nadd %rdx, %rax\njmp __x86_indirect_thunk_rax"),
    ].map { (name: String, jump: String) in RewriteCase(name, .x86_64, .stays(.unboundedJump), behind(jump)) })
  func aTargetMayBeADistanceFromAKnownPlace(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static let distances = """
    lea .Ltable(%rip), %rax
    movslq (%rax,%rsi,4), %rdx
    add %rax, %rdx
    jmp *%rdx
    """
  private static let armDistances = """
    adr x10, .Ltable
    ldrsw x11, [x10, w1, uxtw #2]
    add x11, x11, x10
    br x11
    """
  private static let table = ".p2align 2\n.Ltable: .long .Linside - .Ltable, .Lbranch - .Ltable"

  /// A jump table that stands in the text needs no relocations.
  @Test(arguments: [
    RewriteCase("x86", .x86_64, .stays(.unboundedJump), behind(distances), and: table),
    RewriteCase("arm", .aarch64, .stays(.unboundedJump), behind(armDistances), and: table),
  ])
  func aTableBehindTheCodeLeadsIntoIt(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// Distances that count neither from their fields nor from the start of their table.
  @Test func distancesFromACommonBaseAreNotBelieved() async throws {
    try await RewriteCase(
      "base", .x86_64, .stays(.unreadableTables),
      Self.behind(
        "lea .Lbase(%rip), %rax\nlea .Ltable(%rip), %rdx\nmovslq (%rdx,%rsi,4), %rdx\nadd %rax, %rdx\njmp *%rdx"),
      and: """
        .section .rodata
        .Lbase: .zero 4096
        .Ltable: .long .Linside - .Lbase, .Lbranch - .Lbase
        """
    ).check()
  }

  /// C's `static const int table[] = {&&b - &&a, ...}`, of which other code names the third element.
  @Test func aTableReachesToTheEndOfItsObject() async throws {
    try await RewriteCase(
      "labels", .aarch64, .stays(.notFollowed),
      Self.behind(
        """
        adrp x10, table + 8
        add x10, x10, :lo12:table + 8
        str x10, [x2]
        adrp x10, table
        add x10, x10, :lo12:table
        adr x11, .Linside
        ldrsw x12, [x10, w1, uxtw #2]
        add x11, x11, x12
        br x11
        """),
      and: """
          .section .rodata
          .p2align 2
          .type table, %object
        table: .word 0, 0, .Lbranch - .Linside
          .size table, . - table
        """
    ).check()
  }

  // MARK: Branches and names that are easily overlooked

  /// A branch with a displacement of eight bits counts from its end, which is nearer than that of others.
  @Test func aShortBranchFromAnotherSectionEnters() async throws {
    try await RewriteCase(
      "jrcxz", .x86_64, .stays(.notFollowed), "mov __SCT__a@GOTPCREL(%rip), %r11\n.Lcall: call *%r11\nret",
      and: ".section .text.b, \"ax\"\nOTHER\njrcxz .Lcall"
    ).check()
  }

  /// Swift's symbols all begin like that; AArch64's mapping symbols are `$x` and `$d`.
  @Test(
    arguments: ["$s4main", "$middle", "$data", "$x86"].flatMap { name in
      RewriteCase.onBoth(
        name, .stays(.notFollowed), "LOAD\nnop\n\"\(name)\": BRANCH", and: ".globl \"\(name)\"")
    })
  func aSymbolThatBeginsWithADollarIsASymbol(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// The data decodes as an instruction that swallows the branch behind it.
  @Test func dataInAnotherFunctionHidesNoBranch() async throws {
    try await RewriteCase(
      "data", .x86_64, .stays(.notFollowed), Self.loadMiddleBranch,
      and: """
          .type g, %function
        g: OTHER
          jmp 1f
          .byte 0x48, 0xb8, 0x90
        1: nop
          jmp .Lmiddle
          nop
          nop
          nop
          nop
          ret
          .size g, . - g
        """
    ).check()
  }

  /// A table of probes is not loaded into memory, and a tracer writes to the places that it names.
  @Test func aProbeNamesAPlace() async throws {
    let middle = "mov __SCT__a@GOTPCREL(%rip), %r10\n.Lprobe: nop\ncall *%r10\nret"
    let note =
      ".section .note.stapsdt, \"\", %note\n.p2align 2\n.long 8, 24, 3\n.asciz \"stapsdt\"\n.quad .Lprobe, 0, 0"
    try await RewriteCase("probe", .x86_64, .stays(.notFollowed), middle, and: note).check()
    try await RewriteCase("none", .x86_64, .direct, middle).check()
  }

  /// Code may mean the trampoline that stands here; the name may come to mean another one.
  @Test(arguments: [("weak", Verdict.unknown), ("local", .direct)])
  func aPlaceIsATrampolineIfItsNameCannotMoveAway(_ binding: String, verdict: Verdict) async throws {
    try await RewriteCase(
      binding, .x86_64, verdict, "lea .Lhere(%rip), %r11\njmp __x86_indirect_thunk_r11",
      and: """
          .section .static_call.text, "ax"
          .\(binding) __SCT__a
          .type __SCT__a, %function
        __SCT__a:
        .Lhere: ret
        """
    ).check()
  }

  // MARK: Exceptions

  /// The unwind table of a function in another section, whose landing pad is in this one.
  @Test func aLandingPadOfAnotherSectionsFunctionIsEntered() async throws {
    try await RewriteCase(
      "cold", .x86_64, .stays(.notFollowed),
      "push %rbx\nmov __SCT__a@GOTPCREL(%rip), %rbx\n.Lpad: call __x86_indirect_thunk_rbx\npop %rbx\nret",
      and: """
          .section .text.hot, "ax"
        g: .cfi_startproc
          .cfi_personality 0x0, personality
          .cfi_lsda 0x1b, .Larea
        .Lstart: call elsewhere
        .Lend: ret
          .cfi_endproc
          .section .gcc_except_table, "a"
        .Larea: .byte 0x1b
          .long f - .
          .byte 0xff, 1
          .uleb128 .Lsites - .Lfirst
        .Lfirst: .uleb128 .Lstart - g
          .uleb128 .Lend - .Lstart
          .uleb128 .Lpad - f
          .uleb128 0
        .Lsites:
        """
    ).check()
  }

  /// What may throw must stay on its side of a region's border; the call itself does.
  @Test(arguments: [("mov (%rdi), %ecx", "nop"), ("nop", "mov (%rdi), %ecx")])
  func whatMayThrowStaysInItsRegion(_ inside: String, _ outside: String) async throws {
    try await RewriteCase(
      "border", .x86_64, .stays(.unwindInfo),
      """
        .cfi_startproc
        .cfi_personality 0x0, personality
        .cfi_lsda 0x1b, .Larea
        mov __SCT__a@GOTPCREL(%rip), %r10
      .Lstart: \(inside)
      .Lend: \(outside)
        call *%r10
        ret
      .Lpad: ret
        .cfi_endproc
      """,
      and: """
          .section .gcc_except_table, "a"
        .Larea: .byte 0xff, 0xff, 1
          .uleb128 .Lsites - .Lfirst
        .Lfirst: .uleb128 .Lstart - f
          .uleb128 .Lend - .Lstart
          .uleb128 .Lpad - f
          .uleb128 0
        .Lsites:
        """
    ).check()
  }

  /// Words for code with landing pads, with the trampoline's address in a preserved register.
  private static func landingMacros(_ target: Target) -> String {
    switch target {
    case .x86_64:
      """
        .macro KEEP
        mov __SCT__a@GOTPCREL(%rip), %rbx
        .endm
        .macro LOSE
        mov %rax, %rbx
        .endm
        .macro HIDE
        mov %rbx, %rcx
        .endm
        .macro THROW
        call elsewhere
        .endm
        .macro FAULT
        mov (%rdi), %rax
        .endm
        .macro QUIET
        lea 1(%rdi), %rdi
        .endm
        .macro VIA
        jmp __x86_indirect_thunk_rbx
        .endm
        .macro VIATEMP
        jmp __x86_indirect_thunk_rcx
        .endm
        .macro POOL
        mov .Lpool(%rip), %rcx
        .pushsection .rodata
        .p2align 3
        .Lpool: .quad __SCT__b
        .popsection
        .endm
        .macro VIATEMPCALL
        call __x86_indirect_thunk_rcx
        .endm
      """
    case .aarch64:
      """
        .macro KEEP
        adrp x19, :got:__SCT__a
        ldr x19, [x19, :got_lo12:__SCT__a]
        .endm
        .macro LOSE
        mov x19, x0
        .endm
        .macro HIDE
        mov x9, x19
        .endm
        .macro THROW
        bl elsewhere
        .endm
        .macro FAULT
        ldr x0, [x0]
        .endm
        .macro QUIET
        add x0, x0, #1
        .endm
        .macro VIA
        br x19
        .endm
        .macro VIATEMP
        br x9
        .endm
        .macro POOL
        adrp x9, .Lpool
        ldr x9, [x9, :lo12:.Lpool]
        .pushsection .rodata
        .p2align 3
        .Lpool: .quad __SCT__b
        .popsection
        .endm
        .macro VIATEMPCALL
        blr x9
        .endm
      """
    }
  }

  private static func withLandingPad(
    _ name: String, _ verdict: Verdict, _ body: String, regions: [(String, String)] = [("S", "E")], and: String = ""
  ) -> [RewriteCase] {
    Target.allCases.map { target in
      RewriteCase(
        name, target, verdict,
        """
        \(landingMacros(target))
          .cfi_startproc
          .cfi_personality 0x0, personality
          .cfi_lsda 0x1b, .Larea
        \(body)
          .cfi_endproc
        """,
        and: """
            .section .gcc_except_table, "a"
          .Larea: .byte 0xff, 0xff, 1
            .uleb128 .Lsites - .Lfirst
          .Lfirst:
          """
            + regions.map { region in
              """
                .uleb128 .L\(region.0) - f
                .uleb128 .L\(region.1) - .L\(region.0)
                .uleb128 .Lpad - f
                .uleb128 0

              """
            }.joined() + """
              .Lsites:
                .text
              \(and)
              """)
    }
  }

  /// At a landing pad the preserved registers hold what they held at each place that an exception may come from.
  @Test(
    arguments: [
      withLandingPad("loaded before", .direct, "KEEP\n.LS: THROW\n.LE: ret\n.Lpad: VIA"),
      withLandingPad("loaded in the region", .direct, ".LS: QUIET\nKEEP\nTHROW\n.LE: ret\n.Lpad: VIA"),
      withLandingPad(
        "a call in front of the load", .stays(.notOnEveryPath), ".LS: THROW\nKEEP\nTHROW\n.LE: ret\n.Lpad: VIA"),
      withLandingPad(
        "what faults in front of the load", .stays(.notOnEveryPath), ".LS: FAULT\nKEEP\nTHROW\n.LE: ret\n.Lpad: VIA"),
      withLandingPad(
        "changed before another call", .stays(.notOnEveryPath), "KEEP\n.LS: THROW\nLOSE\nTHROW\n.LE: ret\n.Lpad: VIA"),
      // The first run takes the load away: what it made room for must not be proved in the second one only.
      withLandingPad("a load from a pool", .direct, ".LS: POOL\nKEEP\nVIATEMPCALL\n.LE: ret\n.Lpad: VIA"),
      withLandingPad("changed behind the region", .direct, "KEEP\n.LS: THROW\n.LE: LOSE\nTHROW\nret\n.Lpad: VIA"),
      withLandingPad("a register that is not preserved", .unknown, "KEEP\nHIDE\n.LS: FAULT\n.LE: ret\n.Lpad: VIATEMP"),
      withLandingPad(
        "a second region", .stays(.notOnEveryPath), "KEEP\n.LS: THROW\n.LE: LOSE\n.LT: THROW\n.LF: ret\n.Lpad: VIA",
        regions: [("S", "E"), ("T", "F")]),
      withLandingPad(
        "a second region that keeps it", .direct, "KEEP\n.LS: THROW\n.LE: QUIET\n.LT: THROW\n.LF: ret\n.Lpad: VIA",
        regions: [("S", "E"), ("T", "F")]),
      withLandingPad(
        "regions that overlap", .unknown, "KEEP\n.LS: THROW\nnop\n.LE: ret\n.Lpad: VIA",
        regions: [("S", "E"), ("S", "E")]),
      withLandingPad(
        "a region of another function", .unknown, "KEEP\n.LS: THROW\nret\n.Lpad: VIA",
        and: ".type g, %function\ng: THROW\n.LE: ret"),
      withLandingPad(
        "a jump there", .stays(.notOnEveryPath), "IF .Lpad\nKEEP\n.LS: THROW\n.LE: ret\n.Lpad: VIA"),
      withLandingPad(
        "an outlined piece throws", .stays(.notFollowed),
        "KEEP\n.LS: CALLFN OUTLINED_FUNCTION_0\n.LE: ret\n.Lpad: VIA",
        and: ".type OUTLINED_FUNCTION_0, %function\nOUTLINED_FUNCTION_0: LOSE\nTHROW\nret"),
    ].flatMap(\.self))
  func landingPadsFindThePreservedRegisters(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// gcc's pushed addresses stand inside of regions; only their call may throw.
  @Test(arguments: [
    ("push __SCT__b@GOTPCREL(%rip)", Verdict.direct), ("push (%rdx)", .stays(.notFollowed)),
  ])
  func aPushMayThrowWhatItsOperandMay(_ push: String, verdict: Verdict) async throws {
    let body = "KEEP\n.LS: jmp 1f\n2: \(push)\njmp __x86_indirect_thunk\n1: call 2b\n.LE: ret\n.Lpad: VIA"
    for rewrite in Self.withLandingPad(push, verdict, body) where rewrite.target == .x86_64 {
      try await rewrite.check()
    }
  }
}
