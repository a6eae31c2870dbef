import StaticCalls
import TestSupport
import Testing

/// What compilers and libraries emit may stand between a load and its branch: its effects are known, so the call is made direct.
@Suite struct KnownInstructionTests {
  private static let x86Strings = [
    "rep stosb", "rep stosq", "stosl", "rep movsb", "rep movsq", "movsl", "movsb", "repe cmpsb", "cmpsq", "repne scasb",
    "scasl", "lodsb", "lodsq", "rep insb", "outsb",
  ]
  private static let x87 = [
    "fldt (%rdi)", "fstpt (%rdi)", "fildll (%rdi)", "fistpll (%rdi)", "fisttpl (%rdi)", "fadd %st(1)", "faddp",
    "fxch", "fucomip %st(1)", "fchs", "fld1", "fcmovb %st(1), %st", "fnstcw (%rdi)", "fldcw (%rdi)", "fnstenv (%rdi)",
    "fnstsw %ax", "fnstsw (%rdi)", "fwait", "fnclex", "fninit", "frstor (%rdi)", "fnsave (%rdi)",
  ]
  private static let x86Arithmetic = [
    "mulx %rax, %rcx, %rdx", "adcx %rax, %rcx", "adox %rax, %rcx", "pdep %rax, %rcx, %rdx", "pext %rax, %rcx, %rdx",
    "bextr %rax, (%rcx), %rdx", "bzhi %rax, %rcx, %rdx", "andn %rax, %rcx, %rdx", "blsr %rax, %rcx",
    "rorx $3, %rax, %rcx",
    "shlx %rax, %rcx, %rdx", "crc32q %rax, %rcx", "crc32b (%rax), %ecx", "movbe (%rax), %rcx", "movbe %rcx, (%rax)",
    "movnti %rax, (%rdi)", "lahf", "sahf", "xlatb", "std", "cld", "clc", "stc", "cmc", "tzcnt %rax, %rcx",
    "rdrand %rax",
    "rdseed %rax", "cmpxchg8b (%rdi)", "lock cmpxchg16b (%rdi)", "lock btsq %rax, (%rdi)", "pushfq\npopfq",
    "enter $16, $0",
    "cmpbexadd %eax, %ecx, (%rdi)",
  ]
  private static let x86System = [
    "cpuid", "rdtsc", "rdtscp", "rdpmc", "xgetbv", "syscall", "rdmsr", "wrmsr", "swapgs", "invlpg (%rax)",
    "in %dx, %al",
    "out %al, %dx", "cli", "sti", "clac", "stac", "monitor", "mwait", "rdpid %rax", "rdfsbase %rax", "wrgsbase %rax",
    "verw (%rax)", "sidt (%rax)", "lgdt (%rax)", "mov %cr3, %rax", "mov %rax, %cr3", "mov %db7, %rax", "wbinvd", "clts",
    "tpause %eax", "umwait %eax", "umonitor %rax", "serialize", "rdpkru", "wrpkru", "mov %fs, %eax",
    "push %fs\npop %fs",
    "incsspq %rax", "ptwriteq %rax",
  ]
  private static let x86Memory = [
    "clflush (%rax)", "clflushopt (%rax)", "clwb (%rax)", "cldemote (%rax)", "prefetchw (%rax)", "prefetcht1 (%rax)",
    "ldmxcsr (%rax)", "stmxcsr (%rax)", "fxsave (%rdi)", "fxrstor (%rdi)", "xsave (%rdi)", "xsaveopt (%rdi)",
    "xsavec (%rdi)",
    "xrstor (%rdi)", "movdiri %rax, (%rdi)", "movdir64b (%rax), %rdi",
  ]
  private static let x86Vectors = [
    "vaddpd {rz-sae}, %zmm1, %zmm0, %zmm0", "vcvtps2dq {ru-sae}, %zmm0, %zmm1",
    "vfmadd213pd {rn-sae}, %zmm1, %zmm0, %zmm0",
    "vcvttss2usi %xmm0, %rax", "kmovq %rax, %k1", "kmovd %k1, %ecx", "kortestq %k0, %k1", "vzeroall", "emms",
    "pcmpistri $0, %xmm0, %xmm1", "pcmpestrm $0, %xmm0, %xmm1", "maskmovdqu %xmm0, %xmm1", "sha256rnds2 %xmm1, %xmm2",
    "aesenc %xmm0, %xmm1", "vpgatherdd %xmm0, (%rax,%xmm1,4), %xmm2", "vpscatterdd %zmm0, (%rax,%zmm1,4){%k1}",
    "vpbroadcastq %rax, %zmm0", "vp2intersectd %zmm0, %zmm1, %k2", "vpcompressb %zmm0, (%rdi){%k1}",
    "vpdpbusd %zmm0, %zmm1, %zmm2", "vcvtsi2sh %rax, %xmm0, %xmm1", "vaddph %zmm0, %zmm1, %zmm2", "movq %xmm0, %rax",
    "tileloadd (%rax,%rcx), %tmm0", "tdpbssd %tmm0, %tmm1, %tmm2", "blsfill %rax, %rcx",
    "pfadd %mm0, %mm1",
  ]

  /// The address is in a register that none of them names.
  private static func x86(_ instruction: String) -> RewriteCase {
    RewriteCase(
      instruction, .x86_64, .direct,
      "  mov __SCT__a@GOTPCREL(%rip), %r10\n  \(instruction)\n  jmp __x86_indirect_thunk_r10")
  }

  @Test(arguments: (x86Strings + x87 + x86Arithmetic + x86System + x86Memory + x86Vectors).map(x86))
  func whatLeavesTheRegisterAloneIsKnownOnX86(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  private static let armAtomics = [
    "casal x0, x1, [x2]", "cas w0, w1, [x2]", "caspal x0, x1, x2, x3, [x4]", "ldaddal x0, x1, [x2]",
    "ldclr w0, w1, [x2]",
    "stadd x0, [x1]", "swpal x0, x1, [x2]", "ldumaxb w0, w1, [x2]", "ldapr x0, [x1]", "ldaprb w0, [x1]",
    "ldapur x0, [x1, #8]",
    "stlur x0, [x1, #8]", "ldxp x0, x1, [x2]", "stlxp w0, x1, x2, [x3]", "ldlar x0, [x1]", "stllr x0, [x1]",
  ]
  private static let armSystem = [
    "dc zva, x0", "dc cvau, x0", "ic ivau, x0", "ic iallu", "at s1e1r, x0", "tlbi vmalle1", "tlbi vae1, x0", "isb",
    "sb", "mrs x0, cntvct_el0", "msr tpidr_el0, x0", "msr daifset, #2", "msr sp_el0, x0", "cfinv", "dgh", "setf8 w0",
    "rmif x0, #3, #4", "psb csync", "wfe",
  ]
  private static let armPointers = [
    "pacia x0, x1", "pacda x0, sp", "pacga x0, x1, x2", "autib x0, x1", "autiza x0", "xpaci x0", "xpaclri", "pacia1716",
    "ldraa x0, [x1]", "crc32x w0, w1, x2", "crc32cb w0, w1, w2", "irg x0, x1", "addg x0, x1, #16, #1", "gmi x0, x1, x2",
    "subp x0, x1, x2", "stg x0, [x1]", "st2g x0, [x1], #32", "stzg x0, [x1]", "ldg x0, [x1]", "stgp x0, x1, [x2]",
  ]
  private static let armVectors = [
    "whilelo p0.d, x0, x1", "ptrue p0.d", "ld1d {z0.d}, p0/z, [x0]", "st1d {z0.d}, p0, [x0, x1, lsl #3]",
    "ld1w {z0.d}, p0/z, [x0, z1.d]", "prfd pldl1keep, p0, [x0]", "fmla z0.d, p0/m, z1.d, z2.d", "incd x0", "cntd x0",
    "sqincb x0", "addvl x0, x0, #1", "rdvl x0, #1", "index z0.d, x0, #1", "dup z0.d, x0", "cpy z0.d, p0/m, x0",
    "insr z0.d, x0", "lasta x0, p0, z0.d", "clastb x0, p0, x0, z0.d", "cntp x0, p0, p1.d", "incp x0, p0.d",
    "ctermeq x0, x1", "add z0.d, z0.d, #1", "sdot z0.s, z1.b, z2.b", "mul z0.d, z1.d, z2.d", "setffr",
    "sel z0.d, p0, z1.d, z2.d",
    "aese v0.16b, v1.16b", "fjcvtzs w0, d0", "fmov x0, d0",
  ]

  private static func arm(_ instruction: String) -> RewriteCase {
    RewriteCase(
      instruction, .aarch64, .direct,
      """
        .arch armv8.7-a+memtag+sve2+crc+pauth+aes+profile
        adrp x8, :got:__SCT__a
        ldr x8, [x8, :got_lo12:__SCT__a]
        \(instruction)
        br x8
      """)
  }

  @Test(arguments: (armAtomics + armSystem + armPointers + armVectors).map(arm))
  func whatLeavesTheRegisterAloneIsKnownOnArm(_ rewrite: RewriteCase) async throws { try await rewrite.check() }

  /// A system call keeps what a function keeps, and nothing else.
  @Test(arguments: [("x19", Verdict.direct), ("x17", .unknown)])
  func aSystemCallKeepsThePreservedRegisters(_ register: String, _ verdict: Verdict) async throws {
    try await RewriteCase(
      "svc", .aarch64, verdict,
      "  adrp \(register), :got:__SCT__a\n  ldr \(register), [\(register), :got_lo12:__SCT__a]\n  svc #0\n  br \(register)"
    ).check()
  }

  // MARK: Lengths

  /// A loop whose register gets another address behind an instruction that a decoder may take for longer than it is.
  private static func loop(_ instruction: String, changing register: String) -> String {
    """
      mov __SCT__a@GOTPCREL(%rip), %r14
    1: call __x86_indirect_thunk_r14
      \(instruction)
      mov (%rbx,%r12,8), %\(register)
      dec %ebp
      jne 1b
      ret
    """
  }

  /// `4e 8b 34 e3` without its first byte writes to `%esi`.
  @Test(
    arguments: [
      "vaddpd {rz-sae}, %zmm1, %zmm0, %zmm0", "vsubps {ru-sae}, %zmm1, %zmm0, %zmm0{%k1}",
      "vaddss {rn-sae}, %xmm1, %xmm0, %xmm0",
      "vfmadd213ps {rz-sae}, %zmm1, %zmm0, %zmm0", "vcvtps2dq {rz-sae}, %zmm0, %zmm1", "vaddpd %zmm1, %zmm0, %zmm0",
      "nop",
    ])
  func theInstructionBehindOneWithStaticRoundingCounts(_ instruction: String) async throws {
    try await RewriteCase(
      "\(instruction), then another address", .x86_64, .stays(.notOnEveryPath), Self.loop(instruction, changing: "r14")
    ).check()
    try await RewriteCase(
      "\(instruction), then another register", .x86_64, .direct, Self.loop(instruction, changing: "r13")
    ).check()
  }

  @Test(arguments: ["call *__SCT__a@GOTPCREL(%rip)\n ret", "jmp *__SCT__a@GOTPCREL(%rip)"])
  func aBranchBehindOneWithStaticRoundingIsSeen(_ branch: String) async throws {
    try await RewriteCase(branch, .x86_64, .direct, "  vaddpd {rz-sae}, %zmm1, %zmm0, %zmm0\n  \(branch)").check()
  }
}
