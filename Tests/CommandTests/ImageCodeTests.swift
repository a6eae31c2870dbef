import TestSupport
import Testing

/// Where verify takes bytes of a linked image for instructions, and where not.
@Suite(.enabled(if: Target.haveAllTools, "not all tools for both machines are installed"))
struct ImageCodeTests {
  private static let definitions = """
    .section .text.static_call.x,"ax",%progbits
    .p2align 4
    .globl __SCT__x
    .type __SCT__x, %function
    __SCT__x: ret
    .size __SCT__x, . - __SCT__x
    .data
    .p2align 4
    .globl __SCK__x
    __SCK__x: .quad 0, 0
    """

  private func verify(
    _ code: String, isAnnotated: Bool, for target: Target = .x86_64, linking options: [String] = [],
    in scratch: Scratch, _ arguments: [String] = []
  ) async throws -> Run {
    let source = ".text\n.globl _start\n\(code)\n.data\n.quad __SCK__x\n"
    let object = try await scratch.make(source, for: target)
    let definitions = try await scratch.make(Self.definitions, "definitions.o", for: target)
    if isAnnotated { try await require(staticcallPath, ["annotate", object], in: scratch.path) }
    try await require(target.linker, ["-o", "image"] + options + [object, definitions], in: scratch.path)
    return try await staticcall(["verify", "--strict"] + arguments + ["image"], scratch)
  }

  /// Data among the code puts a decoder out of step that takes one instruction after the other.
  @Test(arguments: [
    "call 1f\n.asciz \"hello\"\n1: pop %rdi", "call 1f\n.asciz \"pqrs|~ e\\350h\"\n1: pop %rdi",
    "jmp 1f\n.byte 0x48, 0xb8\n1: nop", "lea 1f(%rip), %rax\njmp *%rax\n.byte 0x48, 0xb8\nstart: 1: nop",
  ])
  func dataAmongTheCodeIsNoFault(_ data: String) async throws {
    let code = ".type _start, @function\n_start: \(data)\ncall __SCT__x\nret\n.size _start, . - _start"
    for isAnnotated in [true, false] {
      let run = try await verify(code, isAnnotated: isAnnotated, in: try Scratch())
      if isAnnotated {
        #expect((run.status, run.output) == (0, ""))
      } else {
        #expect(run.output.contains("1 static call, the first of x, and no table"), "\(run.output)")
      }
    }
  }

  /// Bytes that look like a call of the trampoline, in the middle of an instruction, in data and outside of the code.
  @Test(arguments: [
    // movabs of an immediate that is a call; behind a label alone; behind no label at all.
    ".type _start, @function\n_start: .byte 0x48, 0xb8\nlooks: call __SCT__x\n.byte 0, 0, 0\nret",
    "_start: .byte 0x48, 0xb8\ncall __SCT__x\n.byte 0, 0, 0\nret",
    "_start: ret\n.section .text.other, \"ax\"\n.byte 0x48, 0xb8\ncall __SCT__x\n.byte 0, 0, 0\nret",
    // mov %ebp, %r8d, whose last byte and the jump behind it look like a call.
    "_start: .byte 0x41, 0x89, 0xe8\n.byte 0xe9\n.reloc ., R_X86_64_NONE\n.long 0\nret",
    ".type _start, @function\n_start: ret\n.type table, @object\ntable: call __SCT__x\n.size table, . - table",
    "_start: ret\n.section .rodata\n.byte 0xe8\n.long __SCT__x - . - 4",
  ])
  func whatLooksLikeACallIsNone(_ code: String) async throws {
    let run = try await verify(
      code.replacing("looks:", with: ""), isAnnotated: false, linking: ["-z", "noseparate-code"], in: try Scratch())
    #expect(
      run.output.hasPrefix("image: warning: trampolines of static calls, and no table [SC115]\n"), "\(run.output)")
    #expect(!run.output.contains(": error: "))
  }

  /// The same bytes, named by an entry, are a fault all the same.
  @Test func anEntryInTheMiddleOfAnInstructionIsFound() async throws {
    let code = """
      .type _start, @function
      _start: .byte 0x48, 0xb8
      site: call __SCT__x
      .byte 0, 0, 0
      ret
      .size _start, . - _start
      .section .static_call_sites, "aw"
      .p2align 2
      .long _start + 2 - ., __SCK__x - .
      """
    let run = try await verify(code.replacing("site:", with: ""), isAnnotated: false, in: try Scratch())
    #expect(run.output.contains("entry 0 is not at an instruction boundary [SC108]"), "\(run.output)")
  }

  /// Behind bytes that are no known instruction nobody knows where the next one begins, up to a branch's target.
  @Test func unknownInstructionsAreNoFault() async throws {
    let code = """
      .type _start, @function
      _start: je 1f
      .byte 0x62, 0xf1, 0xff, 0xff, 0xff, 0xff
      call __SCT__x
      1: call __SCT__x
      ret
      .size _start, . - _start
      """
    let annotated = try await verify(code, isAnnotated: true, in: try Scratch())
    #expect(annotated.status == 0 && annotated.output == "", "\(annotated.output)")
    let plain = try await verify(code, isAnnotated: false, in: try Scratch())
    #expect(plain.output.contains("the first of x, and no table"), "\(plain.output)")
  }

  /// A literal that looks like a branch, in what AArch64's assembler marks as data.
  @Test func literalsAreNoBranches() async throws {
    let code = "_start: ldr w0, 1f\nret\n1: .inst 0\n.reloc 1b, R_AARCH64_CALL26, __SCT__x\n"
    let asCode = try await verify(
      code.replacing(".inst 0", with: ".inst 0x94000000"), isAnnotated: false, for: .aarch64, in: try Scratch())
    #expect(asCode.output.contains("1 static call, the first of x"), "\(asCode.output)")
    let asData = try await verify(
      code.replacing(".inst 0", with: ".long 0x94000000"), isAnnotated: false, for: .aarch64, in: try Scratch())
    #expect(!asData.output.contains(": error: "), "\(asData.output)")
  }

  /// Data, source files and thread-local variables with the prefix of trampolines are none.
  @Test(arguments: Target.allCases)
  func onlyFunctionsAreTrampolines(_ target: Target) async throws {
    let code = """
      .file "__SCT__file.c"
      .type _start, %function
      _start: CALL __SCT__x
      ret
      .size _start, . - _start
      .section .rodata
      .globl __SCT__version
      .type __SCT__version, %object
      __SCT__version: .asciz "1.0"
      .size __SCT__version, 4
      .section .tbss,"awT",%nobits
      .globl __SCT__local
      .type __SCT__local, %tls_object
      __SCT__local: .skip 4
      .type __SCT__shared, %object
      .comm __SCT__shared, 8, 8
      """
    let scratch = try Scratch()
    let run = try await verify(code, isAnnotated: true, for: target, in: scratch)
    #expect((run.status, run.output) == (0, ""))
    // Without the one that is a function nothing is left that has to do with static calls.
    try await require(
      target.objcopy, ["--strip-symbol=__SCT__x", "-R", ".static_call_sites", "image"], in: scratch.path)
    let without = try await staticcall(["verify", "--strict", "image"], scratch)
    #expect((without.status, without.output) == (0, ""))
  }

  /// GNU ld's section of stubs begins with a branch over itself, which may lead to a trampoline behind it.
  @Test func aBranchOverStubsIsNoCall() async throws {
    // The sequence of the Cortex-A53's erratum 843419: adrp at the end of a page, a load, a load through it.
    let code = """
      .balign 4096
      .type _start, %function
      _start: bl __SCT__x
      b 1f
      .skip 0xff8 - (. - _start)
      1: adrp x1, word
      ldr x2, [sp]
      ldr x3, [x1, :lo12:word]
      ret
      nop
      nop
      .size _start, . - _start
      .data
      .balign 8
      word: .quad 0
      .text
      """
    let scratch = try Scratch()
    let run = try await verify(
      code, isAnnotated: true, for: .aarch64, linking: ["--fix-cortex-a53-843419", "-Ttext=0x400000"], in: scratch)
    #expect((run.status, run.output) == (0, ""))
    let text = try await require("aarch64-linux-gnu-objdump", ["-d", "image"], in: scratch.path)
    #expect(text.contains("<__SCT__x>\n"), "the linker put in no branch to behind its stubs: \(text)")
    #expect(text.split(separator: "\n").contains { $0.contains("\tb\t") && $0.hasSuffix("<__SCT__x>") }, "\(text)")
  }
}
