import StaticCalls
import TestSupport
import Testing

/// Ways into a function that data names: for what registers hold there, and for what is needed there.
@Suite struct RewriteRefusalTestsNamed {
  // MARK: Labels that only a table leads to

  /// A function that loads an address, calls it, and needs it once more at a label that nothing in sight leads to.
  private static func labelled(_ target: Target, behindCall: String = "", at label: String? = nil) -> String {
    switch target {
    case .x86_64:
      """
      mov __SCT__a@GOTPCREL(%rip), %rbx
      call __x86_indirect_thunk_rbx
      .Lsite: nopl 0(%rax,%rax)
      .Lother: nopl 0(%rax,%rax)
      .Lfault: mov (%rdi), %eax
      .Lend: \(behindCall)
      pop %rbx
      .Lreturn: ret
      .Llabel: \(label ?? "mov %rbx, (%rdi)")
      pop %rbx
      ret
      """
    case .aarch64:
      """
      adrp x19, :got:__SCT__a
      ldr x19, [x19, :got_lo12:__SCT__a]
      blr x19
      .Lsite: nop
      .Lother: nop
      .Lfault: ldr w0, [x0]
      .Lend: \(behindCall)
      ldp x19, x30, [sp], #16
      .Lreturn: ret
      .Llabel: \(label ?? "str x19, [x0]")
      ldp x19, x30, [sp], #16
      ret
      """
    }
  }

  /// A stub in another section, which an abort of a sequence leads to.
  private static func stub(_ target: Target) -> String {
    """
    .section .failures, "ax"
    .Lstub: \(target == .x86_64 ? "jmp" : "b") .Llabel
    .section __sequences, "aw"
    .quad .Lsite, .Lend - .Lsite, .Lstub
    """
  }

  private static let tables: [(name: String, table: @Sendable (Target) -> String)] = [
    ("a jump label", { _ in ".section sites, \"aw\"\n.quad .Lsite, .Llabel" }),
    ("a jump label of distances", { _ in ".section sites, \"a\"\n.long .Lsite - ., .Llabel - ." }),
    ("a table of exceptions", { _ in ".section .ex_table, \"a\"\n.long .Lfault - ., .Llabel - ." }),
    ("a restartable sequence", { _ in ".section __sequences, \"aw\"\n.quad .Lsite, .Lend - .Lsite, .Llabel" }),
    ("a label that others can see", { _ in ".globl resume\n.set resume, .Llabel" }),
    ("a stub elsewhere", { stub($0) }),
  ]

  private static let labelCases = tables.flatMap { table in
    Target.allCases.map { target in
      RewriteCase(table.name, target, .direct, labelled(target), and: table.table(target))
    }
  }

  @Test(arguments: labelCases)
  func whatALabelNeedsThatDataNamesIsNeededEverywhere(_ rewrite: RewriteCase) async throws {
    let load = try await rewrite.load()
    #expect(load.isKept && load.isDirect, "\(rewrite)")
  }

  @Test(arguments: Target.allCases)
  func aLabelThatABranchLeadsToIsNeededThere(_ target: Target) async throws {
    let branch = target == .x86_64 ? "test %edi, %edi\nje .Llabel" : "cbz w0, .Llabel"
    let needed = try await RewriteCase(
      "needs it", target, .direct, Self.labelled(target, behindCall: branch)
    ).load()
    #expect(needed.isKept && needed.isDirect)
    let free = try await RewriteCase(
      "does not", target, .direct, Self.labelled(target, behindCall: branch, at: "nop")
    ).load()
    #expect(!free.isKept && free.isDirect)
  }

  /// Where a nop becomes a jump to a place that no relocation names, nobody knows where it leads.
  @Test(
    arguments: [
      ("a constant", ".section sites, \"a\"\n.long .Lsite - ., .Llabel - .Lsite"),
      ("nothing", ".section sites, \"a\"\n.quad .Lsite"),
      ("a constant beside the function", ".section sites, \"a\"\n.quad .Lsite, f\n.long .Llabel - .Lsite"),
      (
        "a constant beside another record",
        ".section sites, \"a\"\n.quad .Lsite, .Llabel, .Lother\n.long .Llabel - .Lother"
      ),
      ("two of them", ".section sites, \"a\"\n.long .Lsite - ., .Llabel - .Lsite, 0, .Lsite - ., .Llabel - .Lsite, 0"),
    ].flatMap { (name: String, table: String) in
      Target.allCases.map { target in
        RewriteCase(name, target, .stays(.unboundedJump), labelled(target), and: table)
      }
    })
  func aNopThatDataNamesMayLeadAnywhere(_ rewrite: RewriteCase) async throws {
    var rewrite = rewrite
    // The label is led to, so that it is no code that is missed.
    let branch = rewrite.target == .x86_64 ? "test %edi, %edi\nje .Llabel" : "cbz w0, .Llabel"
    rewrite.body = Self.labelled(rewrite.target, behindCall: branch)
    try await rewrite.check()
    rewrite.rest = ""
    rewrite.verdict = .direct
    try await rewrite.check()
  }

  /// A tracer reads the registers at a probe.
  @Test(
    arguments: [
      ("a probe", true, ".section .note.stapsdt, \"\", %note\n.quad .Lsite"),
      ("a note of one's own", true, ".section .note.probes, \"a\", %note\n.quad .Lsite"),
      ("a probe elsewhere", false, ".section .note.stapsdt, \"\", %note\n.quad .Lreturn"),
    ].flatMap { (name: String, isKept: Bool, note: String) in
      Target.allCases.map { target in
        (RewriteCase(name, target, .direct, labelled(target, at: "nop"), and: note), isKept)
      }
    })
  func aProbeFindsWhatRegistersHold(_ rewrite: RewriteCase, isKept: Bool) async throws {
    var rewrite = rewrite
    let branch = rewrite.target == .x86_64 ? "test %edi, %edi\nje .Llabel" : "cbz w0, .Llabel"
    rewrite.body = Self.labelled(rewrite.target, behindCall: branch, at: "nop")
    let load = try await rewrite.load()
    #expect(load.isKept == isKept && load.isDirect, "\(rewrite)")
  }

  // MARK: Jump tables

  /// A switch whose cases call what was loaded in front of it.
  private static func switched(_ kind: String, isInLoop: Bool = false) -> String {
    let load = "mov __SCT__a@GOTPCREL(%rip), %rbx\n"
    let (base, jump) =
      kind == "distances"
      ? ("lea .Ltable(%rip), %r12", "movslq (%r12,%rdi,4), %rax\nadd %r12, %rax\njmp *%rax")
      : ("movabs $.Ltable, %r12", "jmp *(%r12,%rdi,8)")
    return load + (isInLoop ? "\(base)\n.Lloop: call next\nmov %eax, %edi\n" : "mov %edi, %edi\n\(base)\n") + """
      cmp $1, %edi
      ja .Lout
      \(jump)
      .Lone: call __x86_indirect_thunk_rbx
      \(isInLoop ? "jmp .Lloop" : "jmp .Lout")
      .Ltwo: mov $1, %eax
      call __x86_indirect_thunk_rbx
      .Lout: pop %r12
      pop %rbx
      ret
      """
  }

  private static let switchTables = [
    "distances": ".section .rodata\n.p2align 2\n.Ltable: .long .Lone - .Ltable, .Ltwo - .Ltable",
    "addresses": ".section .rodata\n.p2align 3\n.Ltable: .quad .Lone, .Ltwo",
  ]

  @Test(arguments: ["distances", "addresses"], [false, true])
  func whatASwitchLeadsToKnowsWhatWasLoadedBefore(_ kind: String, isInLoop: Bool) async throws {
    let rewrite = RewriteCase(
      kind, .x86_64, .direct, Self.switched(kind, isInLoop: isInLoop), and: Self.switchTables[kind] ?? "")
    try await rewrite.check()
    if isInLoop { return }
    let load = try await rewrite.load()
    #expect(!load.isKept && load.isDirect)
  }

  /// Where anything else names a case as well, the switch does not tell how control gets there.
  @Test(
    arguments: [
      ("another table", ".section handlers, \"aw\"\n.quad .Lone"),
      ("a symbol", ".globl one\n.set one, .Lone"),
      ("other code", ".section .other, \"ax\"\njmp .Lone"),
    ])
  func aCaseThatSomethingElseNamesIsAWayIn(_ name: String, rest: String) async throws {
    let switched = Self.switched("distances").replacing(
      "mov $1, %eax\ncall __x86_indirect_thunk_rbx", with: "mov $1, %eax")
    try await RewriteCase(
      name, .x86_64, .stays(.notFollowed), switched, and: Self.switchTables["distances", default: ""] + "\n" + rest
    ).check()
    try await RewriteCase("twin", .x86_64, .direct, switched, and: Self.switchTables["distances", default: ""]).check()
  }

  /// A table may go on behind a label that something else refers to: an index may be added to an address in its middle.
  @Test func aTableMayGoOnBehindALabel() async throws {
    let body = """
      mov __SCT__a@GOTPCREL(%rip), %rbx
      mov other@GOTPCREL(%rip), %r12
      lea .Lmiddle(%rip), %rdx
      mov %rdx, (%rsi)
      mov (%rsi,%rdi,8), %rcx
      jmp *.Ltable(,%rcx,8)
      .Lone: mov $1, %eax
      jmp .Lcall
      .Ltwo: mov %r12, %rbx
      .Lcall: call __x86_indirect_thunk_rbx
      ret
      """
    let table = ".section .rodata\n.p2align 3\n.Ltable: .quad .Lone\n.Lmiddle: .quad .Ltwo"
    try await RewriteCase("middle", .x86_64, .stays(.notFollowed), body, and: table).check()
  }

  /// Whoever else gets at the table, or at what was loaded from it, may lead control to the cases with anything in the registers.
  @Test(
    arguments: [
      (
        "another function reads the table", "",
        ".section .other, \"ax\"\nlea .Ltable(%rip), %rdx\nmovslq (%rdx), %rax\nret"
      ),
      ("data names the table", "", ".data\n.quad .Ltable"),
      ("others can see the table", "", ".globl cases\n.set cases, .Ltable"),
      ("the table's address is stored", "mov %r12, (%rsi)", ""),
      ("the table's address is an argument", "mov %r12, %rdi\ncall elsewhere", ""),
      (
        "another part goes on with the table's address", "test %esi, %esi\njne .Lcold",
        ".section .text.unlikely, \"ax\"\n.Lcold: ret"
      ),
      ("the target is stored", "", "",),
    ].map { (name: String, use: String, rest: String) in
      let stored = name == "the target is stored"
      let body = switched("distances").replacing("mov $1, %eax\ncall __x86_indirect_thunk_rbx", with: "mov $1, %eax")
        .replacing("cmp $1, %edi", with: use + "\ncmp $1, %edi")
        .replacing("add %r12, %rax\n", with: "add %r12, %rax\n" + (stored ? "mov %rax, (%rsi)\n" : ""))
      return RewriteCase(
        name, .x86_64, .stays(.notFollowed), body, and: (switchTables["distances"] ?? "") + "\n" + rest)
    })
  func aTableThatOthersGetAtDoesNotTellTheWaysIn(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// What a comparison says of the index does not hold behind a call, which brings another one.
  @Test(arguments: [("mov w0, w0", Verdict.direct), ("bl next", .stays(.notOnEveryPath))])
  func aBoundHoldsUpToTheNextCall(_ between: String, verdict: Verdict) async throws {
    let body = """
      stp x19, x30, [sp, #-16]!
      adrp x19, :got:other
      ldr x19, [x19, :got_lo12:other]
      cmp w0, #1
      b.hi .Lout
      \(between)
      adrp x9, .Ltable
      add x9, x9, :lo12:.Ltable
      adr x10, .Lone
      ldrb w11, [x9, w0, uxtw]
      add x10, x10, w11, sxtb #2
      br x10
      .Lone: adrp x19, :got:__SCT__a
      ldr x19, [x19, :got_lo12:__SCT__a]
      .Lcall: blr x19
      .Lout: ldp x19, x30, [sp], #16
      ret
      """
    let table = """
      .section .rodata
      .type table, %object
      .Ltable:
      table: .byte 0, (.Lout - .Lone) / 4, (.Lcall - .Lone) / 4
      .size table, 3
      """
    try await RewriteCase(between, .aarch64, verdict, body, and: table).check()
  }

  /// Where the table's start is an address in front of it, the object around that says nothing of its end.
  @Test func aTableThatBeginsInAnotherObjectIsNotRead() async throws {
    let body = """
      adrp x9, before + 2
      add x9, x9, :lo12:before + 2
      LOAD
      adr x10, .Lone
      ldrb w11, [x9, w1, uxtw]
      add x10, x10, w11, sxtb #2
      br x10
      .Lone: nop
      OTHER
      .Lcall: CALLIT
      ret
      """
    let table = """
      .section .rodata
      .type before, %object
      before: .byte 99, 99, 99, 99
      .size before, 4
      .type table, %object
      table: .byte 0, (.Lcall - .Lone) / 4
      .size table, 2
      """
    try await RewriteCase("bias", .aarch64, .unknown, body, and: table).check()
  }

  // MARK: Tail calls behind an epilogue

  /// A switch, and a tail call through memory: behind a whole epilogue it cannot lead back into the function.
  private static func virtualTailCall(_ target: Target, epilogue: String) -> String {
    switch target {
    case .x86_64:
      """
      push %rbx
      sub $16, %rsp
      mov %rsi, %rbx
      mov %edi, %edi
      cmp $1, %edi
      ja .Lout
      lea .Ltable(%rip), %rdx
      movslq (%rdx,%rdi,4), %rax
      add %rdx, %rax
      jmp *%rax
      .Lone: LOAD
      CALLIT
      .Lout: mov %rbx, %rdi
      mov (%rbx), %rax
      \(epilogue)
      jmp *8(%rax)
      """
    case .aarch64:
      """
      stp x29, x30, [sp, #-32]!
      str x19, [sp, #16]
      mov x19, x1
      cmp w0, #1
      b.hi .Lout
      adrp x1, .Ltable
      add x1, x1, :lo12:.Ltable
      ldrb w1, [x1, w0, uxtw]
      adr x2, .Lone
      add x1, x2, w1, sxtb #2
      br x1
      .Lone: LOAD
      CALLIT
      .Lout: ldr x16, [x19]
      \(epilogue)
      br x16
      """
    }
  }

  @Test(
    arguments: [
      (Target.x86_64, Verdict.direct, "add $16, %rsp\npop %rbx"),
      (.x86_64, .stays(.unboundedJump), "add $8, %rsp\npop %rbx"),
      (.x86_64, .stays(.unboundedJump), ""),
      (.aarch64, .direct, "ldr x19, [sp, #16]\nldp x29, x30, [sp], #32"),
      (.aarch64, .stays(.unboundedJump), "ldr x19, [sp, #16]\nldp x29, x30, [sp], #16"),
      (.aarch64, .stays(.unboundedJump), ""),
    ])
  func aJumpBehindAWholeEpilogueIsATailCall(_ target: Target, verdict: Verdict, epilogue: String) async throws {
    let table =
      target == .x86_64
      ? ".section .rodata\n.p2align 2\n.Ltable: .long .Lone - .Ltable, .Lout - .Ltable"
      : ".section .rodata\n.Ltable: .byte 0, (.Lout - .Lone) / 4"
    try await RewriteCase("tail", target, verdict, Self.virtualTailCall(target, epilogue: epilogue), and: table).check()
  }

  /// Without a frame, as compilers leave the ways through a function that need none, a jump may lead back.
  @Test(arguments: [("push %rbx", "pop %rbx"), ("", "")])
  func aJumpBehindAnEpilogueMayLeadToWhereThereIsNoFrame(_ prologue: String, epilogue: String) async throws {
    let body = """
      test %esi, %esi
      je .Lquick
      \(prologue)
      call elsewhere
      mov (%rax), %rax
      OTHER
      \(epilogue)
      jmp *%rax
      .Lquick: LOAD
      mov %edi, %edi
      cmp $1, %edi
      ja .Lout
      lea .Ltable(%rip), %rdx
      movslq (%rdx,%rdi,4), %rax
      add %rdx, %rax
      jmp *%rax
      .Lone: BRANCH
      .Lout: ret
      """
    let table = ".section .rodata\n.p2align 2\n.Ltable: .long .Lone - .Ltable, .Lout - .Ltable"
    try await RewriteCase("frame", .x86_64, .stays(.unboundedJump), body, and: table).check()
  }

  // MARK: Pools

  /// gcc puts the addresses that a function needs behind it, in the large model; an assembler may put them further away.
  @Test(
    arguments: [
      ("behind the function", "adrp x9, .Lpool\nldr x9, [x9, :lo12:.Lpool]", ".p2align 3\n.Lpool: .quad __SCT__a"),
      ("by a literal", "ldr x9, .Lpool", ".p2align 3\n.Lpool: .quad __SCT__a"),
      (
        "right behind a branch", "cbz x0, 1f\nadrp x9, .Lpool\nldr x9, [x9, :lo12:.Lpool]",
        "1: b elsewhere\n.Lpool: .quad __SCT__a"
      ),
      (
        "right behind a load", "cbz x0, 1f\nadrp x9, .Lpool\nldr x9, [x9, :lo12:.Lpool]",
        "1: ldr x0, elsewhere\n.Lpool: .quad __SCT__a"
      ),
      (
        "behind another function", "adrp x9, .Lpool\nldr x9, [x9, :lo12:.Lpool]",
        ".type g, %function\ng: ret\n.size g, . - g\n.p2align 3\n.Lpool: .quad __SCT__a"
      ),
    ].map { (name: String, load: String, pool: String) in
      // Without a relocation in the function there is no table to add one to.
      RewriteCase(
        name, .aarch64, name == "by a literal" ? .stays(.throughRegister) : .direct, load + "\nblr x9\nret", and: pool)
    })
  func anAddressInAPoolIsFollowed(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  // MARK: Words of keys

  /// The word of a key is not loaded later than other memory is read: what was written before it may be read after it.
  @Test(
    arguments: [
      (Target.x86_64, Verdict.direct, "mov __SCK__a(%rip), %r11\nmov %rsi, %rdi\ncall __x86_indirect_thunk_r11\nret"),
      (.x86_64, .direct, "mov __SCK__a(%rip), %r11\nmov 8(%rsp), %rdi\ncall __x86_indirect_thunk_r11\nret"),
      (
        .x86_64, .direct,
        "mov __SCK__a(%rip), %r11\nmov other@GOTPCREL(%rip), %rdi\ncall __x86_indirect_thunk_r11\nret"
      ),
      (.x86_64, .stays(.staleKey), "mov __SCK__a(%rip), %r11\nmov (%rsi), %rdi\ncall __x86_indirect_thunk_r11\nret"),
      (
        .x86_64, .stays(.staleKey), "mov __SCK__a(%rip), %r11\ncmpl $0, limit(%rip)\ncall __x86_indirect_thunk_r11\nret"
      ),
      (
        .x86_64, .stays(.staleKey),
        "mov __SCK__a(%rip), %r11\nmovdqu (%rsi), %xmm0\ncall __x86_indirect_thunk_r11\nret"
      ),
      (.x86_64, .stays(.staleKey), "mov __SCK__a(%rip), %r11\nlodsb\ncall __x86_indirect_thunk_r11\nret"),
      (.x86_64, .stays(.staleKey), "mov __SCK__a(%rip), %r11\nrepe cmpsb\ncall __x86_indirect_thunk_r11\nret"),
      (.x86_64, .stays(.staleKey), "mov __SCK__a(%rip), %r11\nxlatb\ncall __x86_indirect_thunk_r11\nret"),
      (
        .aarch64, .stays(.staleKey),
        ".arch armv8.2-a+sve\nadrp x8, __SCK__a\nldr x9, [x8, :lo12:__SCK__a]\nld1d {z0.d}, p0/z, [x1]\nblr x9\nret"
      ),
      (.aarch64, .direct, "adrp x8, __SCK__a\nldr x9, [x8, :lo12:__SCK__a]\nldr x0, [sp, #8]\nblr x9\nret"),
      (.aarch64, .stays(.staleKey), "adrp x8, __SCK__a\nldr x9, [x8, :lo12:__SCK__a]\nldr x0, [x1]\nblr x9\nret"),
      (.aarch64, .stays(.staleKey), "adrp x8, __SCK__a\nldr x9, [x8, :lo12:__SCK__a]\nldr d0, [x1]\nblr x9\nret"),
      (.aarch64, .direct, "adrp x8, __SCK__a\nadd x8, x8, :lo12:__SCK__a\nldar x9, [x8]\nblr x9\nret"),
      (
        .aarch64, .stays(.staleKey),
        "adrp x8, __SCK__a\nadd x8, x8, :lo12:__SCK__a\nldar x9, [x8]\nldr x0, [x1]\nblr x9\nret"
      ),
    ])
  func aKeyIsNotLoadedBehindOtherReads(_ target: Target, verdict: Verdict, body: String) async throws {
    try await RewriteCase("key", target, verdict, body).check { $0.callsThroughKeys = true }
  }
}
