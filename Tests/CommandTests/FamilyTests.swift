import TestSupport
import Testing

/// Static calls with other prefixes, and with several of them in one run.
@Suite struct FamilyTests {
  private static let two = [
    "--trampoline-prefix", "a_", "--key-prefix", "ak_", "--trampoline-prefix", "b_", "--key-prefix", "bk_",
  ]

  /// One name in both families.
  private static let source = """
    .globl caller
    caller: CALL a_send
    CALL b_send
    JUMP b_poll
    .data
    .p2align 3
    .quad ak_send, bk_send, bk_poll
    """

  @Test(arguments: Target.allCases)
  func familiesShareATableAndKeepTheirNamesApart(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Self.source, for: target)
    let annotated = try await run(staticcallPath, ["annotate", "-v", "--strict", "a.o"] + Self.two, in: scratch.path)
    #expect(annotated.output == "a.o: 3 call sites of 3 keys; table of 3 entries written\n")
    #expect(annotated.errors == "")
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable().map(\.key) == ["ak_send", "bk_send", "bk_poll"])
    let verified = try await run(staticcallPath, ["verify", "-v", "--strict", "a.o"] + Self.two, in: scratch.path)
    #expect(verified.output == "1 object, 3 table entries: all is well\n")
    let listed = try await run(staticcallPath, ["list", "a.o"] + Self.two, in: scratch.path)
    for name in ["a_send", "b_send", "b_poll"] { #expect(listed.output.contains("  \(name)"), "\(listed.output)") }
    #expect(try await run(staticcallPath, ["diff", "a.o", "a.o"] + Self.two, in: scratch.path).status == 0)
    // In one family, the entries of the other lead nowhere.
    #expect(try await run(staticcallPath, ["verify", "a.o"] + Self.two.prefix(4), in: scratch.path).status == 1)
  }

  @Test func aNameMeansTheCallsOfAllFamiliesOrOfOne() async throws {
    let scratch = try Scratch()
    try await scratch.make(Self.source)
    for (name, uses) in [("send", 2), ("b_send", 1), ("poll", 1), ("none", 0)] {
      let run = try await run(staticcallPath, ["list", "-k\(name)", "a.o"] + Self.two, in: scratch.path)
      #expect(run.output.split(separator: "\n").count { $0.hasSuffix("not in table") } == uses, "\(run.output)")
    }
  }

  /// An entry that names the key of the other family's call is as wrong as any other.
  @Test func aKeyOfAnotherFamilyIsAnotherKey() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      "caller: CALL a_send\n.section .static_call_sites,\"aw\",%progbits\n.long caller - ., bk_send - .\n.data\n.quad ak_send"
    )
    let verified = try await run(staticcallPath, ["verify", "a.o"] + Self.two, in: scratch.path)
    #expect(verified.status == 1)
    #expect(verified.output.contains("names bk_send, and the branch calls a_send [SC107]"), "\(verified.output)")
  }

  @Test(arguments: Target.allCases)
  func addedKeysAreThoseOfTheFamily(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make("caller: CALL a_x\nCALL b_x", for: target)
    let run = try await run(staticcallPath, ["annotate", "--add-missing-keys", "a.o"] + Self.two, in: scratch.path)
    #expect((run.status, run.errors) == (0, ""))
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable().map(\.key) == ["ak_x", "bk_x"])
  }

  @Test func linkedProgramsHaveFamiliesAsWell() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      """
      .globl _start
      _start: CALL a_x
      CALL b_x
      .section .text.t,"ax"
      .globl a_x, b_x
      .type a_x, %function
      a_x: ret
      .type b_x, %function
      b_x: ret
      .data
      .p2align 3
      .globl ak_x, bk_x
      ak_x: .quad a_x
      bk_x: .quad b_x
      """)
    try await require(staticcallPath, ["annotate", scratch.file("a.o")] + Self.two)
    try await require("ld.lld", ["-o", scratch.file("program"), scratch.file("a.o")])
    let verified = try await run(staticcallPath, ["verify", "-v", "program"] + Self.two, in: scratch.path)
    #expect(verified.output == "1 linked image, 2 table entries: all is well\n")
    let listed = try await run(staticcallPath, ["list", "program"] + Self.two, in: scratch.path)
    #expect(listed.output.contains("  a_x  in table") && listed.output.contains("  b_x  in table"), "\(listed.output)")
  }

  /// Of several prefixes that fit a name, the longest counts.
  @Test(arguments: Target.allCases)
  func aPrefixMayBeginWithTheOther(_ target: Target) async throws {
    let scratch = try Scratch()
    for (trampoline, key) in [("sc_", "sc_key_"), ("sc_tramp_", "sc_")] {
      try await scratch.make(
        "caller: CALL \(trampoline)send\n.data\n.p2align 3\n.globl \(key)send\n\(key)send: .quad 0", for: target)
      let naming = ["--trampoline-prefix", trampoline, "--key-prefix", key]
      let annotated = try await run(staticcallPath, ["annotate", "-v", "--strict", "a.o"] + naming, in: scratch.path)
      #expect(annotated.output == "a.o: 1 call site of 1 key; table of 1 entry written\n")
      #expect(annotated.errors == "")
      let named = try ElfBytes(file: scratch.file("a.o")).siteTable().map(\.key)
      #expect(named == ["\(key)send"])
      let verified = try await run(staticcallPath, ["verify", "-v", "--strict", "a.o"] + naming, in: scratch.path)
      #expect(verified.output == "1 object, 1 table entry: all is well\n")
    }
  }

  /// The key of `sc_tramp_x`'s call would be taken for a trampoline.
  @Test func aKeyThatWouldBeNoneIsNotAdded() async throws {
    let scratch = try Scratch()
    try await scratch.make("caller: CALL sc_tramp_tramp_x\nCALL sc_tramp_y")
    let before = try Fingerprint(scratch.file("a.o"))
    let naming = ["--trampoline-prefix", "sc_tramp_", "--key-prefix", "sc_", "--add-missing-keys"]
    let run = try await run(staticcallPath, ["annotate", "a.o"] + naming, in: scratch.path)
    #expect(run.status == 2)
    #expect(
      run.errors.contains("the key of this call would be sc_tramp_x, which is no key by its name"), "\(run.errors)")
    #expect(!run.errors.contains("SC018"))
    #expect(try Fingerprint(scratch.file("a.o")) == before)
  }

  @Test(arguments: ["annotate", "list", "verify"])
  func prefixesGoInPairs(_ command: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    for (options, message) in [
      (
        ["--trampoline-prefix", "a", "--trampoline-prefix", "b"],
        "--trampoline-prefix and --key-prefix go in pairs: there are 2 and 1 of them."
      ),
      (
        Self.two + ["--key-prefix", "c"], "--trampoline-prefix and --key-prefix go in pairs: there are 2 and 3 of them."
      ),
      (
        Self.two + ["--trampoline-prefix", "a_", "--key-prefix", "c"],
        "All prefixes of trampolines and keys must be different."
      ),
      (
        Self.two + ["--trampoline-prefix", "ak_", "--key-prefix", "c"],
        "All prefixes of trampolines and keys must be different."
      ),
      (Self.two + ["--trampoline-prefix", "", "--key-prefix", "c"], "A prefix must not be empty."),
    ] {
      let run = try await run(staticcallPath, [command, "a.o"] + options, in: scratch.path)
      #expect(run.status == 64)
      #expect(run.errors.hasPrefix("Error: \(message)\n"), "\(run.errors)")
    }
  }
}
