import TestSupport
import Testing

/// Sound objects that annotate cannot complete: they can be listed and verified, and are not changed.
@Suite struct RefusedEditTests {
  struct Object: CustomStringConvertible, Sendable {
    var description: String
    var source: String
    var message: String
    var options: [String] = []
  }

  static let objects = [
    Object(
      description: "no key", source: "caller: CALL __SCT__a",
      message: """
        a.o: error: caller+0x0: the object has no symbol __SCK__a, the key of this call [SC012]
          Where another object defines it, annotate with --add-missing-keys; in a kernel module, with --module.
          Or mention it where the call is declared, as DECLARE_STATIC_CALL does.

        """),
    Object(
      description: "a section that is discarded by its name", source: Sample.linkOnce,
      message: """
        a.o: error: inline+0x0: the call is in .gnu.linkonce.t.inline, which the linker may discard for another object's copy [SC014]
          Put the code into a section group (COMDAT), as compilers do today.

        """),
    Object(
      description: "a table bound to a section",
      source: Sample.direct + "\n.section .static_call_sites,\"ao\",%progbits,.text\n.long caller - ., __SCK__a - .",
      message: """
        a.o: error: .static_call_sites+0x0: the existing table is of a kind that is not handled [SC015]
          Annotate the object that the compiler wrote, without this table; use one --abi for all objects.

        """, options: ["--rebuild"]),
    Object(
      description: "a stale table",
      source: Sample.direct + "\n.section .static_call_sites,\"aw\",%progbits\n.long caller - ., __SCK__b - .",
      message: """
        a.o: error: caller+0x0: entry 0 of the existing table does not fit the code: \
        it names another key than the branch's trampoline has [SC016]
          `staticcall annotate --rebuild` throws the table away and makes it anew.

        """),
  ]

  @Test(arguments: Target.allCases, objects)
  func theMessageSaysWhatToDo(_ target: Target, _ object: Object) async throws {
    let scratch = try Scratch()
    try await scratch.make(object.source, for: target)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    for options in [[], ["-o", "out.o"], ["-n"]] {
      let run = try await run(
        staticcallPath, ["annotate", "a.o"] + object.options + options, in: scratch.path)
      #expect(run.status == 2, "\(options)")
      #expect(run.errors == object.message)
      #expect(run.output == "")
      #expect(try Fingerprint(scratch.file("a.o")) == before)
      #expect(scratch.contents == names)
    }
    #expect(try await staticcall("list", "a.o", in: scratch.path).status == 0)
    #expect(try await staticcall("verify", "a.o", in: scratch.path).status <= 1)
  }

  /// Whatever else is wrong, every problem of an object is said at once.
  @Test func allProblemsAreReportedTogether() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.linkOnce + "\n.text\ncaller: CALL __SCT__b")
    let run = try await staticcall("annotate", "a.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors.contains("[SC012]") && run.errors.contains("[SC014]"), "\(run.errors)")
  }

  private static let signature = Array("~Module signature appended~\n".utf8)

  @Test(arguments: Target.allCases, [[], ["-o", "out.o"], ["-n"]])
  func aSignedModuleIsNotChanged(_ target: Target, _ options: [String]) async throws {
    let scratch = try Scratch()
    let bytes = try bytes(of: await scratch.make(Sample.direct, "m.ko", for: target))
    try scratch.write(bytes + Self.signature, to: "m.ko")
    let before = try Fingerprint(scratch.file("m.ko"))
    let names = scratch.contents
    let run = try await run(staticcallPath, ["annotate", "m.ko"] + options, in: scratch.path)
    #expect(run.status == 2)
    #expect(
      run.errors == """
        m.ko: error: the module is signed, and any change makes the signature invalid [SC008]
          Annotate the module before it is signed.

        """)
    #expect(try Fingerprint(scratch.file("m.ko")) == before)
    #expect(scratch.contents == names)
  }

  @Test(arguments: Target.allCases)
  func aSignedModuleThatNeedsNoChangeIsFine(_ target: Target) async throws {
    let scratch = try Scratch()
    let module = try await scratch.make(Sample.direct, "m.ko", for: target)
    try #require(await staticcall("annotate", module).status == 0)
    try scratch.write(bytes(of: module) + Self.signature, to: "m.ko")
    let before = try Fingerprint(module)
    let run = try await staticcall("annotate", "-v", "m.ko", in: scratch.path)
    #expect(run.status == 0)
    #expect(run.output == "m.ko: up to date (2 call sites of 2 keys)\n")
    #expect(try Fingerprint(module) == before)
  }

  /// A symbol must be inserted, and a section of an unknown type may hold the indexes of those behind it.
  @Test func anUnknownTableOfSymbolIndexesIsRefused() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      """
      .globl caller, __SCK__a
      caller: CALL __SCT__a
      .data
      .p2align 3
      __SCK__a: .quad caller
      .section .indexes,"",@0x6fff1234
      .long 1
      """)
    var elf = try ElfBytes(file: scratch.file("a.o"))
    elf[section: try elf.section(".indexes"), .link] = UInt64(elf.symbolTable)
    try scratch.write(elf.bytes, to: "a.o")
    let before = try Fingerprint(scratch.file("a.o"))
    let run = try await staticcall("annotate", "a.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(
      run.errors == """
        a.o: error: a symbol must be inserted, but section .indexes of type 0x6fff1234 may hold symbol indexes in a form \
        that is not known [SC011]
          Pass the object through `ld -r` first, which adds section symbols.

        """)
    #expect(try Fingerprint(scratch.file("a.o")) == before)
  }
}
