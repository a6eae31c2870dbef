import StaticCalls
import TestSupport
import Testing

/// A load becomes a nop only when nobody else needs what it loads.
@Suite struct RewriteRefusalTestsUses {
  /// Code behind a load of %rbx: a call through a thunk that becomes direct, and then this.
  private static let x86Uses: [(name: String, isKept: Bool, code: String)] = [
    ("nothing", false, "pop %rbx\nret"),
    ("another thunk", false, "call __x86_indirect_thunk_rbx\npop %rbx\nret"),
    ("a store", true, "mov %rbx, (%rdi)\npop %rbx\nret"),
    ("a compare", true, "cmp %rbx, %rdi\npop %rbx\nret"),
    ("a store on one way", true, "test %edi, %edi\nje 1f\nmov %rbx, (%rdi)\n1: pop %rbx\nret"),
    ("a read of a part", true, "movzbl %bl, %eax\npop %rbx\nret"),
    ("an address", true, "mov 8(%rbx), %rax\npop %rbx\nret"),
    ("an argument", true, "mov %rbx, %rdi\ncall elsewhere\npop %rbx\nret"),
    ("a return with it", true, "ret"),
    ("a tail call with it", true, "jmp elsewhere"),
    ("a conditional tail call with it", true, "test %edi, %edi\nje elsewhere\npop %rbx\nret"),
    ("a call with a convention of its own", true, "call elsewhere\npop %rbx\nret"),
    ("a thunk through the GOT", true, "call *__x86_indirect_thunk_rbx@GOTPCREL(%rip)\npop %rbx\nret"),
    ("the next function", true, "f_end:\n.type g, %function\ng: mov %rbx, (%rdi)\nret"),
    ("an unknown instruction", true, "vmcall\npop %rbx\nret"),
    ("a branch elsewhere with it", true, "mov %rbx, %rax\njmp *%rax"),
    ("a part replaced", true, "mov $1, %bl\nmov %rbx, (%rdi)\npop %rbx\nret"),
    ("replaced, then read", false, "xor %ebx, %ebx\nmov %rbx, (%rdi)\npop %rbx\nret"),
    ("a loop", true, "1: test %edi, %edi\nje 2f\nmov %rbx, (%rdi)\njmp 1b\n2: pop %rbx\nret"),
    ("an unbounded jump", true, "lea 1f(%rip), %rax\nadd %rdx, %rax\njmp *%rax\n1: pop %rbx\nret"),
    ("an exchange", true, "xchg %rbx, (%rdi)\npop %rbx\nret"),
  ]

  @Test(
    arguments: x86Uses.map { use in
      (
        RewriteCase(
          use.name, .x86_64, .direct,
          "mov __SCT__a@GOTPCREL(%rip), %rbx\ncall __x86_indirect_thunk_rbx\n" + use.code),
        use.isKept
      )
    })
  func aLoadStaysThatIsStillNeeded(_ rewrite: RewriteCase, isKept: Bool) async throws {
    let load = try await rewrite.load()
    #expect(load.isKept == isKept, "\(rewrite)")
    #expect(load.isDirect || rewrite.name == "an unbounded jump", "\(rewrite)")
  }

  /// Code behind a load of x19 and a call through it.
  private static let armUses: [(name: String, isKept: Bool, code: String)] = [
    ("nothing", false, "ldp x19, x30, [sp], #16\nret"),
    ("another call", false, "blr x19\nldp x19, x30, [sp], #16\nret"),
    ("a store", true, "str x19, [x0]\nldp x19, x30, [sp], #16\nret"),
    ("a compare", true, "cmp x19, x0\nldp x19, x30, [sp], #16\nret"),
    ("a read of a half", true, "mov w0, w19\nldp x19, x30, [sp], #16\nret"),
    ("a conditional select", true, "csel x0, x19, x1, eq\nldp x19, x30, [sp], #16\nret"),
    ("a comparing branch", true, "cbz x19, 1f\nnop\n1: ldp x19, x30, [sp], #16\nret"),
    ("a base", true, "ldr x0, [x19]\nldp x19, x30, [sp], #16\nret"),
    ("a vector", true, "fmov d0, x19\nldp x19, x30, [sp], #16\nret"),
    ("an unknown instruction", true, "hlt #1\nldp x19, x30, [sp], #16\nret"),
    ("an authentication of it", true, ".arch armv8.3-a\nautiza x19\nldp x19, x30, [sp], #16\nret"),
    ("a return with it", true, "ret"),
    ("a tail call with it", true, "b elsewhere"),
    ("a call with a convention of its own", true, "bl elsewhere\nldp x19, x30, [sp], #16\nret"),
    ("a half replaced", true, "movk x19, #1\nstr x19, [x0]\nldp x19, x30, [sp], #16\nret"),
    ("replaced by 32 bits", false, "mov w19, w0\nstr x19, [x1]\nldp x19, x30, [sp], #16\nret"),
  ]

  @Test(
    arguments: armUses.map { use in
      (
        RewriteCase(
          use.name, .aarch64, .direct,
          "adrp x19, :got:__SCT__a\nldr x19, [x19, :got_lo12:__SCT__a]\nblr x19\n" + use.code),
        use.isKept
      )
    })
  func anArmLoadStaysThatIsStillNeeded(_ rewrite: RewriteCase, isKept: Bool) async throws {
    let load = try await rewrite.load()
    #expect(load.isKept == isKept, "\(rewrite)")
    #expect(load.isDirect, "\(rewrite)")
  }

  /// clang's `preserve_most` and gcc's `-fipa-ra`: a call may leave alone what callees may change by convention.
  @Test(arguments: [
    RewriteCase("a jump", .aarch64, .direct, "LOAD\nblr x9\nldp x29, x30, [sp], #16\nbr x9"),
    RewriteCase(
      "a local function", .x86_64, .direct,
      "LOAD\nIF 1f\nCALLIT\nret\n1: call leaf\ncall *%r11\nret", and: ".type leaf, %function\nleaf: ret"),
    RewriteCase(
      "a helper of the kernel", .x86_64, .direct, "LOAD\nIF 1f\nCALLIT\nret\n1: call __put_user_8\nret"),
  ])
  func aLoadStaysThatIsNeededBehindACall(_ rewrite: RewriteCase) async throws {
    let load = try await rewrite.load()
    #expect(load.isKept && load.isDirect, "\(rewrite)")
  }

  /// A static chain, preserve_none, swiftcall and regcall hand over in registers that are no arguments of the psABI.
  @Test(arguments: [
    RewriteCase("x86", .x86_64, .direct, "mov __SCT__a@GOTPCREL(%rip), %r10\ncall *__SCT__b@GOTPCREL(%rip)\nret"),
    RewriteCase("a tail call", .x86_64, .direct, "mov __SCT__a@GOTPCREL(%rip), %r12\njmp *__SCT__b@GOTPCREL(%rip)"),
    RewriteCase(
      "through another register", .x86_64, .direct,
      "mov __SCT__a@GOTPCREL(%rip), %r13\nmov __SCT__b@GOTPCREL(%rip), %rax\ncall __x86_indirect_thunk_rax\nret"),
    RewriteCase(
      "arm", .aarch64, .direct,
      "adrp x15, :got:__SCT__a\nldr x15, [x15, :got_lo12:__SCT__a]\nadrp x8, :got:__SCT__b\nldr x8, [x8, :got_lo12:__SCT__b]\nblr x8\nret"
    ),
  ])
  func aDirectCallHandsOverWhateverWasLoaded(_ rewrite: RewriteCase) async throws {
    let load = try await rewrite.load()
    #expect(load.isKept && load.isDirect, "\(rewrite)")
  }

  /// One page, and two symbols' offsets added to it.
  @Test func aPageStaysThatAnotherAddressIsMadeOf() async throws {
    let load = try await RewriteCase(
      "shared page", .aarch64, .direct,
      """
      adrp x8, __SCT__a
      add x9, x8, :lo12:__SCT__a
      blr x9
      add x0, x8, #8
      mov x9, #0
      ret
      """
    ).load()
    #expect(!load.isKept && load.isDirect)
  }

  // MARK: Exceptions

  /// A function with one region of calls, its landing pad, and an unwind table.
  private static func throwing(_ region: String, _ rest: String, pad: String) -> RewriteCase {
    RewriteCase(
      "pad", .x86_64, .direct,
      """
        .cfi_startproc
        .cfi_personality 0x0, personality
        .cfi_lsda 0x1b, .Larea
        mov __SCT__a@GOTPCREL(%rip), %rbx
      .Lstart: \(region)
      .Lend: \(rest)
      .Lpad: \(pad)
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
        """)
  }

  @Test(
    arguments: [
      ("the pad needs it", true, "call __x86_indirect_thunk_rbx", "pop %rbx\nret", "mov %rbx, (%rdi)\npop %rbx\nret"),
      ("a load may throw, too", true, "call __x86_indirect_thunk_rbx\nmov (%rdi), %eax", "pop %rbx\nret", "jmp *%rbx"),
    ] as [(String, Bool, String, String, String)])
  func aLandingPadFindsTheRegister(
    _ name: String, isKept: Bool, region: String, rest: String, pad: String
  ) async throws {
    var rewrite = Self.throwing(region, rest, pad: pad)
    rewrite.name = name
    #expect(try await rewrite.load().isKept == isKept, "\(name)")
  }

  @Test func aLandingPadOfTheCallItselfFindsTheRegister() async throws {
    var rewrite = Self.throwing("call *%rbx", "pop %rbx\nret", pad: "mov %rbx, (%rdi)\npop %rbx\nret")
    rewrite.verdict = .stays(.registerInUse)
    try await rewrite.check()
    // Without a handler there is nobody who finds it.
    try await RewriteCase(
      "none", .x86_64, .direct, "mov __SCT__a@GOTPCREL(%rip), %rbx\ncall *%rbx\npop %rbx\nret"
    ).check()
  }

  /// A pad is entered with whatever the register holds at the call that throws.
  @Test(arguments: [(".Lpad - f", Verdict.stays(.notOnEveryPath)), ("0", .direct)])
  func aLandingPadIsEntered(_ pad: String, verdict: Verdict) async throws {
    var rewrite = Self.throwing(
      "mov %rax, %rbx\ncall elsewhere", "mov __SCT__a@GOTPCREL(%rip), %rbx",
      pad: "call __x86_indirect_thunk_rbx\npop %rbx\nret")
    rewrite.rest = rewrite.rest.replacing(".Lpad - f", with: pad)
    rewrite.verdict = verdict
    try await rewrite.check()
  }
}
