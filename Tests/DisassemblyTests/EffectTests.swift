import Disassembly
import TestSupport
import Testing

/// What instructions read, write, overwrite and store. Those that are only overwritten need not be kept for them; the difference between
/// written and overwritten is a register that keeps a part, or is left alone at times.
@Suite struct EffectTests {
  struct Expected: CustomTestStringConvertible, Sendable {
    var text: String
    var effects: RegisterEffects
    var stores: Bool

    var testDescription: String { text }

    init(_ text: String, _ reads: [Int], _ writes: [Int], _ overwrites: [Int], stores: Bool = false) {
      func set(_ numbers: [Int]) -> RegisterSet { numbers.reduce(into: []) { $0.insert(RegisterSet(Register($1))) } }
      self.text = text
      effects = RegisterEffects(reads: set(reads), writes: set(writes), overwrites: set(overwrites))
      self.stores = stores
    }
  }

  /// `rax`, `rcx`, `rdx`, `rbx`, `rsp`, `rbp`, `rsi` and `rdi` are 0 to 7.
  static let x86 = [
    Expected("mulx %rax, %rcx, %rdx", [0, 2], [1, 2], [1]),
    Expected("mulx (%rsi), %ecx, %edx", [2, 6], [1, 2], [1]),
    Expected("adcx %rax, %rcx", [0, 1], [1], []),
    Expected("bzhi %rax, (%rcx), %rdx", [0, 1], [2], [2]),
    Expected("blsr %rax, %rcx", [0], [1], [1]),
    Expected("crc32q %rax, %rcx", [0, 1], [1], []),
    Expected("movbe (%rax), %rcx", [0], [1], [1]),
    Expected("movbe (%rax), %cx", [0, 1], [1], []),
    Expected("movbe %rcx, (%rax)", [0, 1], [], [], stores: true),
    Expected("lodsq", [6], [0, 6], [0]),
    Expected("lodsb", [0, 6], [0, 6], []),
    Expected("rep lodsq", [0, 1, 6], [0, 1, 6], []),
    Expected("rep stosq", [0, 1, 7], [1, 7], [], stores: true),
    Expected("stosb", [0, 7], [7], [], stores: true),
    Expected("repne scasb", [0, 1, 7], [1, 7], []),
    Expected("cmpsb", [6, 7], [6, 7], []),
    Expected("rep movsb", [1, 6, 7], [1, 6, 7], [], stores: true),
    Expected("lock cmpxchg16b (%rsi)", [0, 1, 2, 3, 6], [0, 2], [], stores: true),
    Expected("cmpxchg %rcx, (%rbx)", [0, 1, 3], [0], [], stores: true),
    Expected("cmovne %ecx, %edx", [1, 2], [2], []),
    Expected("xchg %eax, %ecx", [0, 1], [0, 1], []),
    Expected("xadd %ecx, (%rdx)", [1, 2], [1], [], stores: true),
    Expected("mul %ecx", [0, 1], [0, 2], [2]),
    Expected("mul %cl", [0, 1], [0], []),
    Expected("div %rcx", [0, 1, 2], [0, 2], []),
    Expected("cqto", [0], [2], [2]),
    Expected("rdtsc", [], [0, 2], [0, 2]),
    Expected("rdtscp", [], [0, 1, 2], [0, 1, 2]),
    Expected("rdmsr", [1], [0, 2], [0, 2]),
    Expected("wrmsr", [0, 1, 2], [], [], stores: true),
    Expected("xgetbv", [1], [0, 2], [0, 2]),
    Expected("xsave (%rdi)", [0, 2, 7], [], [], stores: true),
    Expected("xrstor (%rdi)", [0, 2, 7], [], []),
    Expected("fxsave (%rdi)", [7], [], [], stores: true),
    Expected("fstpt (%rdi)", [7], [], [], stores: true),
    Expected("fldt (%rdi)", [7], [], []),
    Expected("fnstsw %ax", [0], [0], []),
    Expected("fstpt (%rsp)", [4], [], []),
    Expected("fstpt %fs:(%rsp)", [4], [], [], stores: true),
    Expected("fstpt (%esp)", [4], [], [], stores: true),
    Expected("bts %rax, (%rsp)", [0, 4], [], [], stores: true),
    Expected("bts $3, (%rsp)", [4], [], []),
    Expected("enter $16, $0", [4, 5], [4, 5], []),
    Expected("pushfq", [4], [4], []),
    Expected("pop %rsp", [4], [4], []),
    Expected("kmovd %k1, %ecx", [], [1], [1]),
    Expected("kmovq %rax, %k1", [0], [], []),
    Expected("vpextrb $1, %xmm0, %eax", [], [0], [0]),
    Expected("vpextrb $1, %xmm0, (%rax)", [0], [], [], stores: true),
    Expected("vpinsrb $1, %eax, %xmm0, %xmm0", [0], [], []),
    Expected("vcvttss2usi %xmm0, %rax", [], [0], [0]),
    Expected("vpscatterdd %zmm0, (%rsp,%zmm1,4){%k1}", [4], [], [], stores: true),
    Expected("vpgatherdd %xmm0, (%rax,%xmm1,4), %xmm2", [0], [], []),
    Expected("vmovups %ymm0, (%rax)", [0], [], [], stores: true),
    Expected("vmovups %ymm0, (%rsp)", [4], [], []),
    Expected("vmovq %xmm0, (%rcx)", [1], [], [], stores: true),
    Expected("movq (%rcx), %xmm0", [1], [], []),
    Expected("vpmovqb %zmm0, (%rcx)", [1], [], [], stores: true),
    Expected("pcmpestri $0, %xmm0, %xmm1", [0, 2], [1], [1]),
    Expected("maskmovdqu %xmm0, %xmm1", [7], [], [], stores: true),
    Expected("movdir64b (%rax), %rcx", [0, 1], [], [], stores: true),
    Expected("clzero", [0], [], [], stores: true),
    Expected("sete %al", [0], [0], []),
    Expected("setb (%rax)", [0], [], [], stores: true),
    Expected("movsbl %al, %ecx", [0], [1], [1]),
    Expected("movslq %eax, %rcx", [0], [1], [1]),
    Expected("lar %ax, %ecx", [0, 1], [1], []),
    Expected("rdpid %rax", [], [0], [0]),
    Expected("rdrand %eax", [], [0], [0]),
    Expected("tzcnt %eax, %ecx", [0, 1], [1], []),
    Expected("popcnt %eax, %ecx", [0], [1], [1]),
    Expected("rdsspq %rax", [0], [0], []),
    Expected("cmpbexadd %eax, %ecx, (%rdi)", [0, 1, 7], [1], [], stores: true),
  ]

  static let arm = [
    Expected("casal x0, x1, [x2]", [0, 1, 2], [0], [], stores: true),
    Expected("casp x0, x1, x2, x3, [x4]", [0, 1, 2, 3, 4], [0, 1], [], stores: true),
    Expected("caspal x28, x29, x30, xzr, [x4]", [4, 28, 29, 30], [28, 29], [], stores: true),
    Expected("ldaddal x0, x1, [x2]", [0, 2], [1], [1], stores: true),
    Expected("stadd x0, [x1]", [0, 1], [], [], stores: true),
    Expected("swp x0, xzr, [sp]", [0], [], []),
    Expected("ldapr x0, [x1]", [1], [0], [0]),
    Expected("stlxp w0, x1, x2, [x3]", [1, 2, 3], [0], [0], stores: true),
    Expected("ldaxp x0, x1, [x2]", [2], [0, 1], [0, 1]),
    Expected("stxr w0, x1, [sp]", [1], [0], [0]),
    Expected("crc32x w0, w1, x2", [1, 2], [0], [0]),
    Expected("pacia x0, x1", [0, 1], [0], []),
    Expected("paciza x0", [0], [0], []),
    Expected("xpaci x0", [0], [0], []),
    Expected("pacga x0, x1, x2", [1, 2], [0], [0]),
    Expected("xpaclri", [30], [30], []),
    Expected("autia1716", [16, 17], [17], []),
    Expected("ldraa x0, [x1, #8]!", [1], [0, 1], [0]),
    Expected("dc zva, x0", [0], [], [], stores: true),
    Expected("ic iallu", [], [], [], stores: true),
    Expected("mrs x0, nzcv", [], [0], [0]),
    Expected("msr nzcv, x0", [0], [], []),
    Expected("sysl x3, #3, c7, c4, #1", [], [3], [3]),
    Expected("wfet x0", [0], [], []),
    Expected("movk x0, #1", [0], [0], []),
    Expected("bfi x0, x1, #2, #3", [0, 1], [0], []),
    Expected("extr x0, x1, x2, #3", [1, 2], [0], [0]),
    Expected("umulh x0, x1, x2", [1, 2], [0], [0]),
    Expected("madd x0, x1, x2, x3", [1, 2, 3], [0], [0]),
    Expected("ccmp x0, x1, #0, eq", [0, 1], [], []),
    Expected("ccmp x0, #1, #0, eq", [0], [], []),
    Expected("ldr x0, [x1], #8", [1], [0, 1], [0]),
    Expected("str x0, [x1, x2]", [0, 1, 2], [], [], stores: true),
    Expected("ldp x0, x1, [x2, #16]!", [2], [0, 1, 2], [0, 1]),
    Expected("stnp x0, x1, [sp]", [0, 1], [], []),
    Expected("prfm pldl1keep, [x0, x1]", [0, 1], [], []),
    Expected("ldr q0, [x1], #16", [1], [1], []),
    Expected("str q0, [x1, x2]", [1, 2], [], [], stores: true),
    Expected("str q0, [sp]", [], [], []),
    Expected("ld1 {v0.16b}, [x1], x2", [1, 2], [1], []),
    Expected("st1 {v0.b}[3], [x1]", [1], [], [], stores: true),
    Expected("fmov x0, v1.d[1]", [], [0], [0]),
    Expected("fmov v1.d[1], x0", [0], [], []),
    Expected("fcvtzs x0, d1", [], [0], [0]),
    Expected("scvtf d1, w0", [0], [], []),
    Expected("dup v0.4s, w1", [1], [], []),
    Expected("smov x0, v1.b[2]", [], [0], [0]),
    Expected("ins v0.d[1], x1", [1], [], []),
    Expected("irg x0, x1", [1], [0], [0]),
    Expected("stg x0, [x1], #16", [0, 1], [1], [], stores: true),
    Expected("ldg x0, [x1]", [0, 1], [0], []),
    Expected("stgp x0, x1, [sp, #16]!", [0, 1], [], []),
    Expected("gmi x0, x1, x2", [1, 2], [0], [0]),
    Expected("whilelo p0.d, x0, x1", [0, 1], [], []),
    Expected("ctermne x0, x1", [0, 1], [], []),
    Expected("cntp x0, p0, p1.d", [0], [0], []),
    Expected("incp x0, p0.d", [0], [0], []),
    Expected("incd x0", [0], [0], []),
    Expected("cntd x0", [], [0], [0]),
    Expected("sqincb x0, w0", [0], [0], []),
    Expected("addvl x0, x1, #1", [1], [0], [0]),
    Expected("rdvl x0, #1", [], [0], [0]),
    Expected("index z0.d, x0, x1", [0, 1], [], []),
    Expected("index z0.d, #1, #2", [], [], []),
    Expected("dup z0.d, x0", [0], [], []),
    Expected("lasta x0, p0, z0.d", [], [0], [0]),
    Expected("clasta x0, p0, x0, z0.d", [0], [0], []),
    Expected("ld1d {z0.d}, p0/z, [x0, x1, lsl #3]", [0, 1], [], []),
    Expected("st1d {z0.d}, p0, [x0]", [0], [], [], stores: true),
    Expected("st1d {z0.d}, p0, [z1.d, #8]", [1], [], [], stores: true),
    Expected("incd z0.d", [], [], []),
    Expected("cpyfp [x0]!, [x1]!, x2!", [0, 1, 2], [0, 1, 2], [], stores: true),
    Expected("setp [x0]!, x1!, x2", [0, 1, 2], [0, 1, 2], [], stores: true),
  ]

  @Test(.enabled(if: tool(Target.x86_64.objcopy) != nil, "objcopy is not installed"))
  func effectsOnX86() async throws { try await check(Self.x86, .x86_64, .x86_64, "") }

  @Test(.enabled(if: tool(Target.aarch64.objcopy) != nil, "aarch64-linux-gnu-objcopy is not installed"))
  func effectsOnArm() async throws {
    try await check(Self.arm, .aarch64, .aarch64, ".arch armv8.8-a+memtag+sve2+crc+pauth+mops\n")
  }

  private func check(
    _ table: [Expected], _ target: Target, _ instructionSet: InstructionSet, _ start: String
  ) async throws {
    let assembled = try await assemble(table.map(\.text), for: target, start)
    let disassembler = Disassembler(instructionSet)
    for (expected, place) in zip(table, assembled.places) {
      let instruction = disassembler.decode(assembled.code.span, at: place.lowerBound)
      #expect(instruction?.length == place.count, "\(expected.text)")
      #expect(instruction?.effects == expected.effects, "\(expected.text)")
      #expect(instruction?.writesMemory == expected.stores, "\(expected.text)")
      #expect(instruction?.flow == .next, "\(expected.text)")
    }
  }
}
