import TestSupport
import Testing

/// Code for which objtool writes a wrong table or none, most often with exit code 0, and what staticcall does with it.
@Suite(
  .enabled(if: Objtool.isInstalled, "objtool (Debian: linux-kbuild-6.1 or later) is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct ObjtoolDifferenceTests {
  struct Sample: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var source: String
    var objtool: Treatment
    var staticcall: Treatment

    init(_ name: String, _ function: String, _ rest: String = "", objtool: Treatment, staticcall: Treatment) {
      testDescription = name
      source = objectSource(function: function, rest: rest)
      self.objtool = objtool
      self.staticcall = staticcall
    }
  }

  private static let samples = [
    Sample(
      "a call of the next instruction stops objtool", "call __SCT__key; call 1f; 1: pop %rax",
      objtool: Treatment(0, says: "unannotated intra-function call", table: nil),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0"])),
    Sample(
      "a jump out of the section stops objtool", "call __SCT__key; jmp . + 100",
      objtool: Treatment(0, says: "can't find jump dest instruction", table: nil),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0"])),
    Sample(
      "a byte that is no instruction stops objtool", "call __SCT__key", ".text; .byte 0x82",
      objtool: Treatment(0, says: "can't decode instruction at .text", table: nil),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0"])),
    Sample(
      "a cold part without its function stops objtool", "call __SCT__key",
      ".text; .type g.cold, @function; g.cold: ret; .size g.cold, . - g.cold",
      objtool: Treatment(1, says: "can't find parent function", table: nil),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0"])),
    Sample(
      "weak trampolines do not count for objtool", "call __SCT__key; call __SCT__weak",
      ".weak __SCT__weak; .globl __SCK__weak; .quad __SCK__weak",
      objtool: Treatment(0, table: [".text+0x0 __SCK__key 0"]),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0", ".text+0x5 __SCK__weak 0"])),
    Sample(
      "local trampolines do not count for objtool", "call __SCT__key; call __SCT__local",
      """
      .globl __SCK__local; .quad __SCK__local
      .section .static_call.text, "ax"; .type __SCT__local, @function; __SCT__local: ret
      .size __SCT__local, . - __SCT__local
      """,
      objtool: Treatment(0, table: [".text+0x0 __SCK__key 0"]),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0", ".text+0x5 __SCK__local 0"])),
    Sample(
      "objtool ignores the distance from the trampoline", "call __SCT__key + 4",
      objtool: Treatment(0, table: [".text+0x0 __SCK__key 0"]),
      staticcall: Treatment(0, says: "[SC037]", table: nil)),
    Sample(
      "objtool records the prefix and not the call",
      [0x2e, 0xf2, 0x48].map { ".byte \($0); call __SCT__key" }.joined(separator: "; "),
      objtool: Treatment(0, table: [".text+0x0 __SCK__key 0", ".text+0x6 __SCK__key 0", ".text+0xc __SCK__key 0"]),
      staticcall: Treatment(0, table: [".text+0x1 __SCK__key 0", ".text+0x7 __SCK__key 0", ".text+0xd __SCK__key 0"])),
    Sample(
      "objtool records calls with the prefix 66", ".byte 0x66; call __SCT__key",
      objtool: Treatment(0, table: [".text+0x0 __SCK__key 0"]),
      staticcall: Treatment(0, says: "[SC036]", table: nil)),
    Sample(
      "objtool records branches too short to be retargeted", "jmp 1f; jrcxz 1f; loop 1f; je 1f; call 1f",
      """
      .text; .globl __SCT__same, __SCK__same; .type __SCT__same, @function
      __SCT__same: 1: ret
      .size __SCT__same, . - __SCT__same
      .data; __SCK__same: .quad 0
      """,
      objtool: Treatment(
        0, table: [0, 2, 4, 6].map { ".text+0x\($0) __SCK__same 1" } + [".text+0x8 __SCK__same 0"]),
      staticcall: Treatment(0, says: "[SC034]", table: [".text+0x8 __SCK__same 0"])),
    Sample(
      "objtool does not see jumps outside functions", "call __SCT__key", ".text; jmp __SCT__key",
      objtool: Treatment(0, table: [".text+0x0 __SCK__key 0"]),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0", ".text+0x6 __SCK__key 1"])),
    Sample(
      "objtool records calls in sections that are discarded", "call __SCT__key",
      ".section .discard.text, \"ax\"; call __SCT__key; .section .altinstr_aux, \"ax\"; call __SCT__key",
      objtool: Treatment(
        0, table: [".altinstr_aux+0x0 __SCK__key 0", ".discard.text+0x0 __SCK__key 0", ".text+0x0 __SCK__key 0"]),
      staticcall: Treatment(0, table: [".text+0x0 __SCK__key 0"])),
    Sample(
      "objtool leaves indirect calls behind in silence", "call *__SCT__key@GOTPCREL(%rip)",
      objtool: Treatment(0, table: nil),
      staticcall: Treatment(0, table: [".text+0x1 __SCK__key 0"])),
  ]

  @Test(arguments: samples)
  func theTwoDiffer(_ sample: Sample) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(sample.source, for: .x86_64, with: .gnu)
    let (theirs, ours) = (try scratch.copy(object, to: "objtool.o"), try scratch.copy(object, to: "staticcall.o"))
    let objtool = try await Treatment(Objtool.annotate(theirs), theirs, expecting: sample.objtool)
    let staticcall = try await Treatment(
      TestSupport.staticcall("annotate", ours), ours, expecting: sample.staticcall)
    #expect(objtool == sample.objtool)
    #expect(staticcall == sample.staticcall)
    if sample.objtool.table == nil { #expect(try bytes(of: theirs) == bytes(of: object)) }
    #expect(try await TestSupport.staticcall("verify", ours).status == 0)
  }
}
