import TestSupport
import Testing

/// annotate on archives. The oracle is `ar`: an archive made of annotated objects is, byte for byte, what annotate must make of the
/// archive of the objects.
@Suite(.enabled(if: tool("ar") != nil, "ar is not installed"))
struct ArchiveTests {
  /// How an archive is made.
  enum Format: String, CaseIterable, Sendable {
    case gnu
    case llvmGNU
    case llvmBSD

    var command: [String] {
      switch self {
      case .gnu: ["ar", "rcD"]
      case .llvmGNU: [besideClang("llvm-ar"), "--format=gnu", "rcD"]
      case .llvmBSD: [besideClang("llvm-ar"), "--format=bsd", "rcD"]
      }
    }
  }

  /// Members of odd and even sizes, with short and long names, with and without static calls, and one that is no object.
  private static let names = [
    "calls.o", "plain.o", "a-member-with-a-long-name.o", "notes.txt", "no-symbols-of-its-own.o",
  ]

  private func makeObjects(for target: Target, in scratch: Scratch) async throws {
    try await scratch.make(Sample.direct, "calls.o", for: target)
    try await scratch.make(".globl plain\nplain: CALL f", "plain.o", for: target)
    try await scratch.make(
      ".globl other\nother: CALL __SCT__a\nJUMP __SCT__c\n.data\n.quad __SCK__a, __SCK__c",
      "a-member-with-a-long-name.o",
      for: target)
    try await scratch.make("CALL __SCT__a\n.data\n.quad __SCK__a", "no-symbols-of-its-own.o", for: target)
    try scratch.write("of no even length".utf8, to: "notes.txt")
  }

  private func pack(_ archive: String, _ format: Format, in scratch: Scratch, _ names: [String] = names) async throws {
    _ = try await run("rm", ["-f", archive], in: scratch.path)
    try await require(format.command[0], format.command.dropFirst() + [archive] + names, in: scratch.path)
  }

  /// In a thin archive, GNU's ar leaves the slash behind a name in the last byte of the header's field where the path has 15 bytes.
  @Test(arguments: ["fs/sysfs/file.o", "fs/sysfs/fil.o", "fs/sysfs/files.o"])
  func namesThatFillTheirFieldAreRead(_ name: String) async throws {
    let scratch = try Scratch()
    try await require("mkdir", ["-p", scratch.file("fs/sysfs")])
    try await scratch.make(Sample.direct, name)
    try await require("ar", ["cDPrST", "t.a", name], in: scratch.path)
    let annotated = try await staticcall("annotate", "-v", "t.a", in: scratch.path)
    #expect(annotated.output == "t.a(\(name)): 2 call sites of 2 keys; table of 2 entries written\n")
    #expect(try await staticcall("verify", "--strict", "t.a", in: scratch.path).status == 0)
    #expect(try await staticcall("list", "t.a", in: scratch.path).output.contains("table complete"))
  }

  /// Silence must not look like work: no member is anything that could have static calls.
  @Test func anArchiveWithoutObjectsIsMentioned() async throws {
    let scratch = try Scratch()
    for name in ["one.txt", "two.txt"] { try scratch.write("text".utf8, to: name) }
    try await scratch.make("ret", "none.o")
    try await pack("texts.a", .gnu, in: scratch, ["one.txt", "two.txt"])
    try await pack("mixed.a", .gnu, in: scratch, ["one.txt", "none.o"])
    try await pack("empty.a", .gnu, in: scratch, [])
    let run = try await staticcall("annotate", "texts.a", "mixed.a", "empty.a", in: scratch.path)
    #expect((run.status, run.output) == (0, ""))
    #expect(run.errors == "texts.a: note: none of its 2 members is an object\n")
    let quiet = try await staticcall("annotate", "-q", "texts.a", in: scratch.path)
    #expect((quiet.status, quiet.output, quiet.errors) == (0, "", ""))
    let verbose = try await staticcall("annotate", "-v", "mixed.a", "none.o", in: scratch.path)
    #expect(
      verbose.output == """
        mixed.a: no static calls
        none.o: no static calls
        No static calls in any of them: no symbol begins with __SCT__ (--trampoline-prefix).

        """)
  }

  /// Of one kind no more warnings are told than anybody reads, in all members together.
  @Test func warningsOfAllMembersAreCountedTogether() async throws {
    let scratch = try Scratch()
    let calls = String(repeating: "call *__SCT__a@GOTPCREL(%rip)\n", count: 700)
    for name in ["a.o", "b.o"] {
      try await scratch.make("caller: \(calls)\n.data\n.p2align 3\n.quad __SCK__a", name)
    }
    try await pack("lib.a", .gnu, in: scratch, ["a.o", "b.o"])
    let run = try await staticcall("annotate", "--no-rewrite", "lib.a", in: scratch.path)
    #expect(run.status == 0)
    let lines = run.errors.split(separator: "\n").filter { $0.hasSuffix("[SC030]") }
    #expect(lines.count == 1001)
    #expect(lines.last == "lib.a: warning: and 400 more of this kind [SC030]")
    let verified = try await staticcall("verify", "lib.a", in: scratch.path)
    let found = verified.output.split(separator: "\n").filter { $0.hasSuffix("[SC102]") }
    #expect(found.count == 1001 && found.last == "lib.a: warning: and 400 more of this kind [SC102]")
    #expect(verified.output.hasSuffix("0 errors and 1,400 warnings in 2 objects\n"), "\(verified.output.suffix(200))")
    // One that is too large by itself is counted on.
    let few = try await staticcall("annotate", "--no-rewrite", "a.o", "b.o", in: scratch.path)
    #expect(few.errors.split(separator: "\n").count { $0.hasSuffix("[SC030]") } == 1400)
  }

  @Test(arguments: Target.allCases, Format.allCases)
  func theOutcomeIsTheArchiveOfTheAnnotatedObjects(_ target: Target, _ format: Format) async throws {
    let scratch = try Scratch()
    try await makeObjects(for: target, in: scratch)
    try await pack("lib.a", format, in: scratch)
    let before = try bytes(of: scratch.file("lib.a"))
    let run = try await staticcall(["annotate", "-v", "lib.a", "-o", "new.a"], scratch)
    #expect(run.errors == "")
    #expect(
      run.output == """
        lib.a(calls.o): 2 call sites of 2 keys; table of 2 entries written
        lib.a(a-member-with-a-long-name.o): 2 call sites of 2 keys; table of 2 entries written
        lib.a(no-symbols-of-its-own.o): 1 call site of 1 key; table of 1 entry written

        """)
    #expect(run.status == 0)
    #expect(try bytes(of: scratch.file("lib.a")) == before)
    try #require(await staticcall(["annotate", "lib.a"], scratch).status == 0)
    #expect(try bytes(of: scratch.file("lib.a")) == bytes(of: scratch.file("new.a")))

    for name in Self.names where name.hasSuffix(".o") {
      try #require(await staticcall(["annotate", name], scratch).status == 0)
    }
    try await pack("expected.a", format, in: scratch)
    #expect(try bytes(of: scratch.file("new.a")) == bytes(of: scratch.file("expected.a")))

    let written = try Fingerprint(scratch.file("lib.a"))
    let second = try await staticcall(["annotate", "-v", "lib.a"], scratch)
    #expect(second.output.hasPrefix("lib.a(calls.o): up to date (2 call sites of 2 keys)\n"))
    #expect(try Fingerprint(scratch.file("lib.a")) == written)
    #expect(try await staticcall(["verify", "lib.a"], scratch).status == 0)
  }

  @Test(arguments: Target.allCases)
  func twoMembersOfOneNameAreBothAnnotated(_ target: Target) async throws {
    let scratch = try Scratch()
    try await makeObjects(for: target, in: scratch)
    let add = ["qcD", "lib.a", "calls.o"]
    try await require("ar", add, in: scratch.path)
    try await require("ar", add, in: scratch.path)
    let run = try await staticcall(["annotate", "-v", "lib.a"], scratch)
    #expect(run.output.contains("lib.a(calls.o): 2 call sites"))
    #expect(run.output.contains("lib.a(calls.o)[2]: 2 call sites"), "\(run.output)\(run.errors)")
    #expect(
      try await staticcall(["verify", "-v", "lib.a"], scratch).output == "2 objects, 4 table entries: all is well\n")
  }

  @Test(.enabled(if: Linker.haveAll, "a linker or a cross compiler is not installed"), arguments: Linker.allCases)
  func linkersFindTheMembers(_ linker: Linker) async throws {
    let scratch = try Scratch()
    for name in ["calls", "calls-main"] {
      try await require("gcc", ["-O2", "-c", fixture("\(name).c"), "-o", scratch.file("\(name).o")])
    }
    try await pack("lib.a", .gnu, in: scratch, ["calls.o"])
    try #require(await staticcall(["annotate", "lib.a", "calls-main.o"], scratch).status == 0)
    let program = scratch.file("program")
    try await linker.link([scratch.file("calls-main.o"), scratch.file("lib.a")], for: .x86_64, to: program)
    #expect(try await Target.x86_64.run(program).status == 3)
    #expect(try await staticcall(["verify", "--strict", "program"], scratch).status == 0)
  }

  @Test func aMemberThatCannotBeAnnotatedLeavesTheArchiveAsItIs() async throws {
    let scratch = try Scratch()
    try await makeObjects(for: .x86_64, in: scratch)
    try await scratch.make("caller: CALL __SCT__a", "bad.o")
    try await pack("lib.a", .gnu, in: scratch, Self.names + ["bad.o"])
    let before = try Fingerprint(scratch.file("lib.a"))
    for options in [[], ["-o", "new.a"]] {
      let run = try await staticcall(["annotate", "lib.a"] + options, scratch)
      #expect(run.status == 2)
      #expect(
        run.errors.hasPrefix(
          "lib.a(bad.o): error: caller+0x0: the object has no symbol __SCK__a, the key of this call [SC012]\n"))
      #expect(try Fingerprint(scratch.file("lib.a")) == before)
      #expect(!scratch.contents.contains("new.a"))
    }
  }

  /// A member's intermediate code hides its calls.
  @Test func intermediateCodeInAnArchiveIsNoSilence() async throws {
    let scratch = try Scratch()
    try scratch.write("void __SCT__a(void); void f(void) { __SCT__a(); }".utf8, to: "f.c")
    try await require("gcc", ["-flto", "-c", "f.c", "-o", "slim.o"], in: scratch.path)
    try await pack("lib.a", .gnu, in: scratch, ["slim.o"])
    let run = try await staticcall(["annotate", "lib.a"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("lib.a(slim.o): error: "))
    #expect(run.errors.contains("[SC005]"))
  }

  @Test func strictHoldsBackAllMembers() async throws {
    let scratch = try Scratch()
    try await makeObjects(for: .x86_64, in: scratch)
    try await scratch.make(Sample.indirect, "indirect.o")
    try await pack("lib.a", .gnu, in: scratch, Self.names + ["indirect.o"])
    let before = try Fingerprint(scratch.file("lib.a"))
    let run = try await staticcall(["annotate", "--strict", "--no-rewrite", "lib.a"], scratch)
    #expect(run.status == 1)
    #expect(run.errors.contains("lib.a(indirect.o): "))
    #expect(try Fingerprint(scratch.file("lib.a")) == before)
  }

  @Test func aThinArchiveIsAnnotatedWhereItsMembersAre() async throws {
    let scratch = try Scratch()
    try await makeObjects(for: .x86_64, in: scratch)
    try await require("ar", ["rcDT", "thin.a", "calls.o", "plain.o"], in: scratch.path)
    let before = try Fingerprint(scratch.file("thin.a"))
    let run = try await staticcall(["annotate", "-v", "thin.a"], scratch)
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.hasPrefix("thin.a(calls.o): 2 call sites of 2 keys; table of 2 entries written\n"))
    #expect(try Fingerprint(scratch.file("thin.a")) == before)
    #expect(
      try await staticcall(["verify", "-v", "calls.o"], scratch).output == "1 object, 2 table entries: all is well\n")
    #expect(try await staticcall(["annotate", "thin.a", "-o", "other.a"], scratch).status == 2)
  }

  /// As the kernel's build has them: the archive of a directory names what the archives below it name.
  @Test(arguments: [[], ["--in-place"]])
  func objectsMayBeNamedAgainByThinArchives(_ options: [String]) async throws {
    let scratch = try Scratch()
    let old = try bytes(of: try await scratch.make(Sample.direct))
    let members = (0..<8).map { "\($0).o" }
    for member in members { try scratch.write(old, to: member) }
    let archives = ["first.a", "second.a"]
    for archive in archives { try await require("ar", ["rcDT", archive] + members, in: scratch.path) }
    for _ in 0..<5 {
      for member in members { try scratch.write(old, to: member) }
      let run = try await staticcall(["annotate", "-j", "8"] + options + archives + members, scratch)
      #expect((run.status, run.output, run.errors) == (0, "", ""))
      #expect(try await staticcall(["verify"] + members, scratch).status == 0)
    }
  }

  /// What fails while the members are written leaves those annotated that came before; each is a file of its own.
  @Test(.enabled(if: tool("flock") != nil, "flock is not installed"))
  func aMemberOfAThinArchiveThatCannotBeWrittenIsNamed() async throws {
    let scratch = try Scratch()
    for name in ["first.o", "second.o"] {
      try await scratch.make(Sample.direct.replacing("caller", with: String(name.dropLast(2))), name)
    }
    try await require("ar", ["rcDT", "thin.a", "first.o", "second.o"], in: scratch.path)
    let before = try Fingerprint(scratch.file("second.o"))
    // As if another run were at it.
    let lock = scratch.file(".second.o.staticcall")
    let failed = try await run("flock", [lock, staticcallPath, "annotate", "-v", "thin.a"], in: scratch.path)
    #expect(failed.status == 2)
    #expect(failed.output == "thin.a(first.o): 2 call sites of 2 keys; table of 2 entries written\n")
    #expect(
      failed.errors.hasPrefix("thin.a(second.o): error: another run of staticcall is writing"), "\(failed.errors)")
    #expect(try Fingerprint(scratch.file("second.o")) == before)
    #expect(try await staticcall(["verify", "first.o"], scratch).status == 0)
    let again = try await staticcall(["annotate", "thin.a"], scratch)
    #expect((again.status, again.output, again.errors) == (0, "", ""))
    #expect(try await staticcall(["verify", "thin.a"], scratch).status == 0)
  }

  @Test func aStaleIndexOfSymbolsIsRefused() async throws {
    let scratch = try Scratch()
    try await makeObjects(for: .x86_64, in: scratch)
    try await pack("lib.a", .gnu, in: scratch)
    var archive = try bytes(of: scratch.file("lib.a"))
    // The first offset of the index, behind the archive's mark, the index's header and its count.
    archive[8 + 60 + 4 + 3] &+= 2
    try scratch.write(archive, to: "lib.a")
    let run = try await staticcall(["annotate", "lib.a"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.contains("where no member begins; run ranlib [SC003]"), "\(run.errors)")
    #expect(try bytes(of: scratch.file("lib.a")) == archive)
  }
}
