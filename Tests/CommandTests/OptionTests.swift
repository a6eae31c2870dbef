import TestSupport
import Testing

/// What the options of annotate do, and what it says with them.
@Suite struct OptionTests {
  private func annotate(_ scratch: Scratch, _ arguments: String...) async throws -> Run {
    try await run(staticcallPath, ["annotate"] + arguments, in: scratch.path)
  }

  private static let warning = """
    a.o: warning: caller+0x5: call through the GOT to a stays indirect [SC030]
      Leave out --no-rewrite, or compile without -fno-plt.

    """

  @Test func verboseSaysWhatBecameOfTheObject() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let first = try await annotate(scratch, "-v", "a.o")
    #expect(first.output == "a.o: 2 call sites of 2 keys; table of 2 entries written\n")
    let second = try await annotate(scratch, "--verbose", "a.o")
    #expect(second.output == "a.o: up to date (2 call sites of 2 keys)\n")
    try await scratch.make("ret", "none.o")
    let none = try await annotate(scratch, "-v", "none.o")
    #expect(none.output == "none.o: no static calls\n")
    #expect(first.errors + second.errors + none.errors == "")
  }

  @Test func verboseCountsWhatIsNewAndWhatIsGone() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      Sample.direct + """

        .section .static_call_sites,"aw",%progbits
        .long caller - ., __SCK__a - .
        """)
    let completed = try await annotate(scratch, "-v", "a.o").output
    #expect(completed.hasPrefix("a.o: 2 call sites of 2 keys; table of 2 entries, 1 of them new"), "\(completed)")
    try await scratch.make(
      Sample.direct + """

        .section .static_call_sites,"aw",%progbits
        .long caller - ., __SCK__b - .
        """)
    let rebuilt = try await annotate(scratch, "-v", "--rebuild", "a.o").output
    #expect(rebuilt.hasPrefix("a.o: 2 call sites of 2 keys; table of 2 entries, 1 old one removed"), "\(rebuilt)")
  }

  @Test func warningsGoToStandardErrorWithTheirCode() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect)
    let run = try await annotate(scratch, "-v", "--no-rewrite", "a.o")
    #expect(run.status == 0)
    #expect(run.output == "a.o: 1 call site of 1 key; table of 1 entry written; 1 warning\n")
    #expect(run.errors == Self.warning)
  }

  @Test func quietLeavesWarningsOutAndErrorsIn() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect)
    let run = try await annotate(scratch, "-q", "a.o")
    #expect((run.status, run.output, run.errors) == (0, "", ""))
    let failed = try await annotate(scratch, "--quiet", "missing.o")
    #expect(failed.status == 2)
    #expect(failed.errors == "missing.o: error: cannot open the file: No such file or directory [SC001]\n")
  }

  @Test(arguments: Target.allCases, ["-n", "--dry-run"])
  func aDryRunPrintsThePlanAndTouchesNothing(_ target: Target, _ option: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, for: target)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    for output in [[], ["-o", "out.o"]] {
      let run = try await run(staticcallPath, ["annotate", option, "a.o"] + output, in: scratch.path)
      #expect(run.status == 0)
      #expect(run.errors == "")
      #expect(
        run.output == """
          a.o: 2 call sites of 2 keys; table of 2 entries would be written
            +  caller+0x0  call  a
            +  caller+0x\(target.branchSize)  tail  b

          """)
      #expect(try Fingerprint(scratch.file("a.o")) == before)
      #expect(scratch.contents == names)
    }
  }

  @Test func aDryRunOfAnUpToDateObjectSaysSo() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try #require(await annotate(scratch, "a.o").status == 0)
    #expect(try await annotate(scratch, "-n", "a.o").output == "a.o: up to date (2 call sites of 2 keys)\n")
    #expect(
      try await annotate(scratch, "-n", "--rebuild", "a.o").output == "a.o: up to date (2 call sites of 2 keys)\n")
  }

  @Test(arguments: [[], ["-o", "out.o"], ["-n"]])
  func strictWritesNothingWhereACallStaysBehind(_ options: [String]) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    let run = try await run(
      staticcallPath, ["annotate", "-v", "--strict", "--no-rewrite", "a.o"] + options, in: scratch.path)
    #expect(run.status == 1)
    #expect(run.output == "a.o: nothing written, because calls stay behind (--strict)\n")
    #expect(run.errors == Self.warning)
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(scratch.contents == names)
  }

  /// Warnings alone would not say why the build stops.
  @Test func strictSaysThatItIsTheReason() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect)
    let run = try await annotate(scratch, "--strict", "--no-rewrite", "a.o")
    #expect((run.status, run.output) == (1, ""))
    #expect(run.errors == Self.warning + "a.o: nothing written, because calls stay behind (--strict)\n")
  }

  @Test func strictIsContentWhereNothingStaysBehind() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let run = try await annotate(scratch, "--strict", "a.o")
    #expect((run.status, run.output, run.errors) == (0, "", ""))
    #expect(try await staticcall("verify", "--strict", "a.o", in: scratch.path).status == 0)
  }

  @Test(arguments: Target.allCases)
  func missingKeysHaveTwoRemedies(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make("CALL __SCT__a", for: target)
    #expect(try await annotate(scratch, "--module", "-o", "module.o", "a.o").status == 0)
    #expect(try await annotate(scratch, "--add-missing-keys", "-o", "key.o", "a.o").status == 0)
    #expect(try ElfBytes(file: scratch.file("module.o")).siteTable().map(\.key) == ["__SCT__a"])
    #expect(try ElfBytes(file: scratch.file("key.o")).siteTable().map(\.key) == ["__SCK__a"])
    #expect(try await staticcall("verify", "--strict", "module.o", "key.o", in: scratch.path).status == 0)
  }

  @Test(arguments: Target.allCases)
  func namesCanBeOthers(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make("caller: CALL call_a\nCALL __SCT__b\n.data\n.p2align 3\n.quad key_a", for: target)
    let naming = ["--trampoline-prefix", "call_", "--key-prefix", "key_", "--section", "sites"]
    let annotated = try await run(staticcallPath, ["annotate", "-v", "a.o"] + naming, in: scratch.path)
    #expect(annotated.output == "a.o: 1 call site of 1 key; table of 1 entry written\n")
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable("sites").map(\.key) == ["key_a"])
    #expect(try await run(staticcallPath, ["verify", "--strict", "a.o"] + naming, in: scratch.path).status == 0)
    let listed = try await run(staticcallPath, ["list", "a.o"] + naming, in: scratch.path)
    #expect(listed.output.contains("  a    in table\n"), "\(listed.output)")
  }

  /// The layout decides how a table must be, and not its name.
  @Test(arguments: Target.allCases)
  func aTableOfUserSpaceCanHaveAnotherName(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, for: target)
    #expect(try await annotate(scratch, "--abi", "user", "--section", "sites", "a.o").status == 0)
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable("sites").count == 2)
    let verified = try await run(staticcallPath, ["verify", "--strict", "--section", "sites", "a.o"], in: scratch.path)
    #expect(verified.status == 0, "\(verified.output)")
    #expect(
      try await annotate(scratch, "-v", "--abi", "user", "--section", "sites", "a.o").output.contains("up to date"))
  }

  @Test func replacementsOfAlternativesAreOptional() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      Sample.direct + "\n.section .altinstr_replacement,\"ax\"\nCALL __SCT__a")
    #expect(try await annotate(scratch, "-v", "-o", "b.o", "a.o").output.hasPrefix("a.o: 2 call sites"))
    #expect(
      try await annotate(scratch, "-v", "--include-altinstr", "-o", "b.o", "a.o").output.hasPrefix(
        "a.o: 3 call sites"))
  }

  /// A fat object's table is lost if the link uses the intermediate code.
  @Test(.enabled(if: tool("gcc") != nil, "gcc is not installed"))
  func fatObjectsAreAnnotatedWithAWarning() async throws {
    let scratch = try Scratch()
    try scratch.write(
      "void __SCT__a(void); extern long __SCK__a; void *use = &__SCK__a; void caller(void) { __SCT__a(); __SCT__a(); }"
        .utf8, to: "f.c")
    try await require("gcc", ["-c", "-O2", "-flto", "-ffat-lto-objects", "f.c", "-o", "a.o"], in: scratch.path)
    let run = try await annotate(scratch, "a.o")
    #expect(run.status == 0)
    #expect(
      run.errors == """
        a.o: warning: the object also holds intermediate code for link-time optimisation [SC038]
          If the final link uses -flto, annotate the object that comes out of that instead.

        """)
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable().count == 2)
  }

  /// Calls with few options are read by a shorter way than others.
  @Test(arguments: [[], ["--module"], ["--abi", "user"], ["-v"], ["-o", "b.o"], ["--in-place", "-q"]])
  func defaultsThatAreSpelledOutChangeNothing(_ options: [String]) async throws {
    let (short, long) = (try Scratch(), try Scratch())
    for scratch in [short, long] { try await scratch.make(Sample.indirect) }
    let defaults = ["--trampoline-prefix", "__SCT__", "--key-prefix", "__SCK__"]
    let first = try await run(staticcallPath, ["annotate"] + options + ["a.o"], in: short.path)
    let second = try await run(staticcallPath, ["annotate"] + options + defaults + ["a.o"], in: long.path)
    #expect((first.status, first.output, first.errors) == (second.status, second.output, second.errors))
    #expect(short.contents == long.contents)
    for name in short.contents { #expect(try bytes(of: short.file(name)) == bytes(of: long.file(name)), "\(name)") }
  }

  /// As make, ninja and xargs have them.
  @Test(arguments: [["-j2"], ["-j", "2"], ["--jobs", "2"], ["--jobs=2"]], ["annotate", "list", "verify"])
  func theNumberOfJobsHasTheUsualSpellings(_ jobs: [String], _ command: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try await require(staticcallPath, ["annotate", scratch.file("a.o")])
    let run = try await run(staticcallPath, [command] + jobs + ["a.o"], in: scratch.path)
    #expect((run.status, run.errors) == (0, ""))
  }

  @Test func otherOptionsOfOneLetterTakeTheirValueAsWell() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    #expect(try await annotate(scratch, "-ob.o", "a.o").status == 0)
    #expect(try ElfBytes(file: scratch.file("b.o")).siteTable().count == 2)
    let listed = try await staticcall("list", "-kb", "b.o", in: scratch.path)
    #expect(listed.output.hasPrefix("b.o: x86-64, 1 call site of 1 key"), "\(listed.output)")
  }

  @Test func quietVerificationLeavesWarningsOutAndErrorsIn() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect)
    try await require(staticcallPath, ["annotate", "--no-rewrite", "-q", scratch.file("a.o")])
    let loud = try await staticcall("verify", "a.o", in: scratch.path)
    #expect(loud.status == 0 && loud.output.contains("[SC102]"), "\(loud.output)")
    let quiet = try await staticcall("verify", "-q", "a.o", in: scratch.path)
    #expect((quiet.status, quiet.output, quiet.errors) == (0, "", ""))
    // Never a failure without a word.
    let strict = try await staticcall("verify", "--quiet", "--strict", "a.o", in: scratch.path)
    #expect(strict.status == 1 && strict.output.contains("[SC102]"), "\(strict.output)")
    try await scratch.make(Sample.direct)
    let failed = try await staticcall("verify", "-q", "a.o", in: scratch.path)
    #expect(failed.status == 1 && failed.output.contains("error: caller+0x0: call of a has no table entry [SC102]"))
    let missing = try await staticcall("verify", "-q", "missing.o", in: scratch.path)
    #expect(missing.status == 2 && missing.errors.contains("[SC001]"))
  }

  /// A module's entries name the trampoline where there is no key: right for list as for verify.
  @Test(arguments: Target.allCases)
  func aModulesTableIsListedAsComplete(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make("caller: CALL __SCT__a", for: target)
    try await require(staticcallPath, ["annotate", "--module", scratch.file("a.o")])
    let listed = try await staticcall("list", "a.o", in: scratch.path)
    #expect(listed.output.contains("1 call site of 1 key, table complete\n"), "\(listed.output)")
    #expect(!listed.output.contains("entry 0"), "\(listed.output)")
    #expect(try await staticcall("diff", "a.o", "a.o", in: scratch.path).status == 0)
    // Another call's trampoline is still another one.
    try await scratch.make(
      "caller: CALL __SCT__a\n.section .static_call_sites,\"aw\",%progbits\n.long caller - ., __SCT__b - .", for: target
    )
    let wrong = try await staticcall("list", "a.o", in: scratch.path)
    #expect(wrong.output.contains("table does not fit the code"), "\(wrong.output)")
  }

  @Test func aTableDoesNotGoWithoutAWord() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    _ = try await annotate(scratch, "a.o")
    let mistyped = ["annotate", "--rebuild", "--trampoline-prefix", "__SCX__", "a.o"]
    let strict = try await run(staticcallPath, mistyped + ["--strict"], in: scratch.path)
    #expect(strict.status == 1)
    #expect(try await annotate(scratch, "-v", "a.o").output == "a.o: up to date (2 call sites of 2 keys)\n")
    let rebuilt = try await run(staticcallPath, mistyped, in: scratch.path)
    #expect(rebuilt.status == 0)
    #expect(
      rebuilt.errors == """
        a.o: warning: nothing is left of the existing table's entries: no symbol begins with __SCX__ [SC016]
          If that is not meant, compile the object again, and check --trampoline-prefix.

        """)
  }
}
