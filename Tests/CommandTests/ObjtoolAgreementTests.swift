import TestSupport
import Testing

/// Where objtool is right, the two tools write the same entries.
@Suite(
  .enabled(if: Objtool.isInstalled, "objtool (Debian: linux-kbuild-6.1 or later) is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct ObjtoolAgreementTests {
  struct Sample: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var source: String
    /// How many entries there are: two tools may also agree on nothing.
    var count: Int

    init(_ name: String, _ count: Int, _ function: String, _ rest: String = "") {
      testDescription = name
      self.count = count
      source = objectSource(function: function, rest: rest)
    }
  }

  private static let samples = [
    Sample("calls", 2, "call __SCT__key; nop; call __SCT__key"),
    Sample("a tail call", 1, "jmp __SCT__key"),
    Sample("conditional tail calls", 3, "je __SCT__key; jae __SCT__key; jmp __SCT__key"),
    Sample("an undefined trampoline", 2, "call __SCT__far; jmp __SCT__far", ".globl __SCK__far; .quad __SCK__far"),
    Sample("a local key", 1, "call __SCT__near", "__SCK__near: .quad 0"),
    Sample("no key", 3, "call __SCT__foreign; jmp __SCT__foreign; call __SCT__key"),
    Sample("code that is never reached", 2, "call __SCT__key; ud2; call __SCT__key"),
    Sample("a call outside any function", 1, "nop", ".text; call __SCT__key; ret"),
    Sample(
      "several sections", 4, "call __SCT__key",
      """
      .section .text.other, "ax"; .type g, @function; g: call __SCT__key; jmp __SCT__key; .size g, . - g
      .section .init.text, "ax"; .type h, @function; h: call __SCT__key; ret; .size h, . - h
      """),
    Sample(
      "a replacement", 1, "call __SCT__key", ".section .altinstr_replacement, \"ax\"; call __SCT__key"),
    Sample(
      "calls without relocation", 1, "call 1f",
      ".text; .globl __SCT__same, __SCK__same; .type __SCT__same, @function;"
        + "__SCT__same: 1: ret; .size __SCT__same, . - __SCT__same; .data; __SCK__same: .quad 0"),
    Sample(
      "indirect calls", 1,
      "lea __SCT__key(%rip), %rbx; call *%rbx; call *%rbx; call __SCT__key"),
    Sample("no static calls", 0, "nop", ".text; .type g, @function; g: call f; ret; .size g, . - g"),
  ]

  /// The entries that each tool writes, as sets: objtool puts jumps first.
  private func tables(of object: String, in scratch: Scratch) async throws -> (objtool: [String], staticcall: [String])
  {
    let (theirs, ours) = (try scratch.copy(object, to: "objtool.o"), try scratch.copy(object, to: "staticcall.o"))
    let objtool = try await Objtool.annotate(theirs)
    #expect(objtool.status == 0, "\(objtool.errors)")
    let staticcall = try await staticcall("annotate", "--module", ours)
    #expect(staticcall.status == 0, "\(staticcall.errors)")
    let entries = try await tableEntries(of: [theirs, ours])
    return (entries[theirs, default: []].sorted(), entries[ours, default: []].sorted())
  }

  @Test(arguments: samples, Assembler.allCases)
  func bothWriteTheSameEntries(_ sample: Sample, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(sample.source, for: .x86_64, with: assembler)
    let tables = try await tables(of: object, in: scratch)
    #expect(tables.objtool == tables.staticcall)
    #expect(tables.staticcall.count == sample.count)
  }

  /// Compiled as the kernel is: objtool gives up at the jump tables of position-independent code.
  private static let builds = [
    [], ["-ffunction-sections", "-fno-asynchronous-unwind-tables"], ["-fcf-protection=branch"],
  ].flatMap { flags in
    [Build.Compiler.gcc, .clang].map {
      Build(compiler: $0, target: .x86_64, flags: ["-mcmodel=kernel", "-fno-pie"] + flags)
    }
  }

  @Test(arguments: builds)
  func bothWriteTheSameEntriesForCompiledCode(_ build: Build) async throws {
    let scratch = try Scratch()
    for level in ["-O0", "-O2", "-Os"] {
      for object in try await build.compile(["calls.c", "calls-main.c"], level, into: scratch.path) {
        let tables = try await tables(of: object, in: scratch)
        #expect(tables.objtool == tables.staticcall, "\(object) \(level)")
        #expect(!tables.staticcall.isEmpty)
      }
    }
  }
}
