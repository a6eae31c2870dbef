import Disassembly
import TestSupport
import Testing

/// The assembler knows how long its instructions are. Each of these is of another map, or has another kind of prefix or operand.
@Suite(
  .enabled(if: tool(Target.x86_64.objcopy) != nil, "\(Target.x86_64.objcopy) is not installed")
) struct AssembledTests {
  private static let instructions = [
    // One byte.
    "nop", "push %rbp", "pop %r15", "mov $1, %al", "mov $1, %ax", "mov $1, %eax", "movabs $1, %rax", "mov $1, %rax",
    "add $1, %al", "add $0x1234, %ax", "add $0x12345678, %eax", "add $0x12345678, %rax", "imul $1000, %rax, %rcx",
    "imul $10, %ax, %cx", "push $1000", "push $1", "pushw $0x1234", "movabs 0x1122334455667788, %al",
    "movabs %eax, 0x1122334455667788", "test $1, %al", "test $0x1234, %ax",
    "testb $1, (%rax)", "testw $1, (%rax)", "testl $1, 8(%rax)", "testq $1, 0x1234(%rax)", "notq (%rax)", "negb (%rax)",
    "movb $1, (%rsp)", "movw $1, (%rip)", "movq $1, 8(%rsp,%rcx,4)", "enter $16, $1", "ret $8", "lret $8", "int $3",
    "int $0x80", "shl $3, %rax", "shl $1, %rax", "shl %cl, %rax", "in $1, %al", "out %eax, $1", "loop .", "jrcxz .",
    "xlatb", "fldt (%rax)", "fxch", "xabort $1", "xchg %rax, %r8", "mov %ds, %eax", "lea 8(,%rax,4), %rcx",
    "movslq %eax, %rcx", "mov 0x12345678, %eax", "mov (%r12), %rax", "mov (%r13), %rax", "mov %fs:0, %rax",
    // 0f.
    "syscall", "ud2", "cpuid", "cmovne (%rax), %rcx", "setne (%rax)", "bt $3, %rax", "bt %rax, (%rcx)",
    "shld $3, %rax, %rcx", "shld %cl, %rax, %rcx", "mov %cr0, %rax", "mov %rax, %db7", "movzbl (%rax), %ecx",
    "cmpxchg16b (%rax)", "cmpps $1, %xmm0, %xmm1", "pinsrw $1, %eax, %xmm0", "shufps $1, %xmm0, %xmm1",
    "psrlw $1, %xmm0",
    "pshufd $1, (%rax), %xmm0", "prefetcht0 (%rax)", "nopw 0x100(%rax,%rax)", "endbr64", "emms", "swapgs", "xgetbv",
    "lfence", "clflush (%rax)", "extrq $1, $2, %xmm0", "insertq $1, $2, %xmm0, %xmm1", "pfadd (%rax), %mm0",
    // 0f38 and 0f3a.
    "pshufb (%rax), %xmm0", "crc32q (%rax), %rcx", "crc32w %ax, %ecx", "movbe (%rax), %cx", "adcx (%rax), %rcx",
    "palignr $1, (%rax), %xmm0", "pextrq $1, %xmm0, (%rax)", "pcmpestri $1, (%rax), %xmm0",
    // VEX with two and three bytes.
    "vaddps (%rax), %ymm0, %ymm1", "vaddps %ymm10, %ymm0, %ymm1", "vpshufd $1, (%rax), %ymm0",
    "vpsrlw $1, %ymm0, %ymm1",
    "vzeroupper", "vpermq $1, (%rax), %ymm0", "andn (%rax), %rcx, %rdx", "rorx $1, (%rax), %rcx", "kmovq %k0, %rax",
    "vpgatherdd %ymm0, (%rax,%ymm1,4), %ymm2", "vblendvps %ymm0, (%rax), %ymm1, %ymm2",
    "vcmpps $1, 0x100(%rax), %ymm0, %ymm1",
    // EVEX, with displacements that it multiplies, broadcasts, masks and roundings.
    "vaddpd %zmm0, %zmm1, %zmm2", "vaddpd 0x40(%rax), %zmm1, %zmm2", "vaddpd 0x41(%rax), %zmm1, %zmm2",
    "vaddpd 8(%rax){1to8}, %zmm1, %zmm2{%k1}{z}", "vaddpd {rz-sae}, %zmm0, %zmm1, %zmm2",
    "vaddsd {rn-sae}, %xmm0, %xmm1, %xmm2",
    "vcmppd $1, {sae}, %zmm0, %zmm1, %k1", "vpternlogd $1, 0x40(%rax), %zmm0, %zmm1",
    "vgetmantpd $1, {sae}, %zmm0, %zmm1",
    "vpermt2d (%rax,%rcx,8), %zmm0, %zmm1", "vaddph {ru-sae}, %zmm0, %zmm1, %zmm2",
    "vfmadd132ph 0x40(%rax), %zmm0, %zmm1",
    "vcmpph $1, (%rax), %zmm0, %k1", "vprold $1, (%rax), %zmm0", "vpcmpub $1, (%rax), %zmm0, %k1",
    // XOP.
    "vprotb $1, (%rax), %xmm0", "vpcmov %xmm0, (%rax), %xmm1, %xmm2", "blsfill (%rax), %rcx",
    "bextr $0x1234, (%rax), %rcx",
    // Prefixes.
    "lock xaddq %rax, (%rcx)", "rep movsb", "data16 cs nopw 0x100(%rax,%rax)", "addr32 mov (%eax), %ecx",
    "notrack jmp *%rax",
    "repz ret", "xacquire lock incl (%rax)", "addr32 call .+100", "cs jmp .+1000", "data16 call .+100",
  ]

  @Test func lengthsAreThoseOfTheAssembler() async throws {
    let assembled = try await assemble(Self.instructions, for: .x86_64)
    let disassembler = Disassembler(.x86_64)
    for (instruction, place) in zip(Self.instructions, assembled.places) {
      let decoded = disassembler.decode(assembled.code.span, at: place.lowerBound)
      #expect(decoded?.length == place.count, "\(instruction)")
    }
    #expect(assembled.places.last?.upperBound == assembled.code.count)
  }
}

/// Instructions as the assembler writes them, and where each of them is.
func assemble(
  _ instructions: [String], for target: Target, _ start: String = ""
) async throws -> (code: [UInt8], places: [Range<Int>]) {
  let scratch = try Scratch()
  var source = start + ".text\n"
  for (number, instruction) in instructions.enumerated() { source += "L\(number): \(instruction)\n" }
  source += "L\(instructions.count):\n.section .lengths,\"a\"\n"
  for number in instructions.indices { source += ".byte L\(number + 1) - L\(number)\n" }
  let object = try await scratch.assemble(source, for: target)
  func contents(of section: String) async throws -> [UInt8] {
    let file = scratch.file("contents")
    try await require(target.objcopy, ["-O", "binary", "--only-section=\(section)", object, file])
    return try bytes(of: file)
  }
  var end = 0
  let places = try await contents(of: ".lengths").map { length in
    defer { end += Int(length) }
    return end..<end + Int(length)
  }
  try #require(places.count == instructions.count)
  return (try await contents(of: ".text"), places)
}
