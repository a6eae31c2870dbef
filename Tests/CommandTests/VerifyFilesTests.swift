import Foundation
import TestSupport
import Testing

/// The files that verify looks at: archives, directories, and what lies in them.
@Suite struct VerifyFilesTests {
  private let bad = Sample.direct
  private let archiver = tool("llvm-ar") ?? "ar"

  /// A directory with a right object, one without a table, and files of other kinds.
  private func tree() async throws -> Scratch {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.file("tree/sub"), withIntermediateDirectories: true)
    try await scratch.make(Sample.direct, "tree/good.o")
    try #require(await staticcall(["annotate", "tree/good.o"], scratch).status == 0)
    try await scratch.make(bad, "tree/sub/bad.o")
    for name in ["tree/good.o.s", "tree/sub/bad.o.s"] { try FileManager.default.removeItem(atPath: scratch.file(name)) }
    try scratch.write("text".utf8, to: "tree/notes.txt")
    try scratch.write([], to: "tree/empty")
    // An ELF file for another machine: number 8 is MIPS.
    var other = try bytes(of: scratch.file("tree/good.o"))
    other[0x12] = 8
    try scratch.write(other, to: "tree/mips.o")
    return scratch
  }

  @Test func aDirectoryIsSearched() async throws {
    let scratch = try await tree()
    let run = try await staticcall(["verify", "tree"], scratch)
    #expect(run.status == 1)
    #expect(
      run.output == """
        tree/sub/bad.o: error: caller+0x0: call of a has no table entry [SC102]
          Run `staticcall annotate` on the object, before it is linked.
        tree/sub/bad.o: error: caller+0x5: tail call of b has no table entry [SC102]
        To read on: staticcall explain SC102
        2 objects, 2 table entries: 2 errors and 0 warnings in 1 object; 3 other files skipped

        """)
    #expect(run.errors == "")
    for jobs in ["1", "7"] {
      #expect(try await staticcall(["verify", "-j", jobs, "tree"], scratch).output == run.output)
    }
  }

  /// What is named is asked for; what lies in a directory may be anything.
  @Test(arguments: ["tree/notes.txt", "tree/empty", "tree/mips.o", "tree/missing.o"])
  func aFileThatIsNamedMustBeOne(_ name: String) async throws {
    let scratch = try await tree()
    let run = try await staticcall(["verify", name], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("\(name): error: "), "\(run.errors)")
  }

  @Test func aFileIsLookedAtOnce() async throws {
    let scratch = try await tree()
    try FileManager.default.createSymbolicLink(atPath: scratch.file("tree/link.o"), withDestinationPath: "good.o")
    try FileManager.default.createSymbolicLink(atPath: scratch.file("tree/loop"), withDestinationPath: "..")
    try FileManager.default.createSymbolicLink(atPath: scratch.file("tree/nowhere"), withDestinationPath: "gone")
    let run = try await staticcall(["verify", "-v", "tree", "tree/sub", "tree/good.o"], scratch)
    #expect(run.output.contains("\n2 objects, 2 table entries: 2 errors"), "\(run.output)")
  }

  @Test func aDamagedObjectInADirectoryIsAFailure() async throws {
    let scratch = try await tree()
    try scratch.write(bytes(of: scratch.file("tree/good.o")).prefix(100), to: "tree/cut.o")
    let run = try await staticcall(["verify", "tree"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("tree/cut.o: error: truncated ELF file"), "\(run.errors)")
    #expect(run.output.contains("1 object could not be checked"))
  }

  /// A wrong path must not make a build farm green.
  @Test func aDirectoryWithNothingToVerifyIsAFailure() async throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.file("notes"), withIntermediateDirectories: true)
    try scratch.write("text".utf8, to: "notes/a.txt")
    for format in ["text", "json", "junit"] {
      let run = try await staticcall(["verify", "--format", format, "notes"], scratch)
      #expect(run.status == 2)
      #expect(run.errors.hasPrefix("notes: error: nothing to verify: there is no object"), "\(run.errors)")
    }
  }

  @Test func aDirectoryThatCannotBeReadIsAFailure() async throws {
    let scratch = try Scratch()
    let run = try await staticcall(["verify", "nowhere"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("nowhere: error: cannot open the file: "), "\(run.errors)")
  }

  /// Deeper than the longest path that the kernel takes in one call (4096 bytes).
  @Test func aDirectoryIsSearchedHoweverDeepItIs() async throws {
    let scratch = try await tree()
    // From directory to directory, as no path leads there.
    let script = """
      import os
      contents = open("tree/sub/bad.o", "rb").read()
      os.chdir("tree/sub")
      for level in range(150):
          os.mkdir("d" * 30)
          os.chdir("d" * 30)
      open("deep.o", "wb").write(contents)
      """
    try await require("python3", ["-c", script], in: scratch.path)
    let run = try await staticcall(["verify", "tree"], scratch)
    #expect(run.status == 1)
    #expect(
      run.output.matches(of: /ddd\/deep\.o: error: caller\+0x[05]: .* has no table entry/).count == 2, "\(run.output)")
    #expect(run.output.contains("3 objects, 2 table entries: 4 errors and 0 warnings in 2 objects"), "\(run.output)")
    // A file that is named twice is looked at once there as well.
    let twice = try await staticcall(["verify", "tree", "tree/sub"], scratch)
    #expect(twice.output.contains("\n3 objects, 2 table entries: 4 errors"), "\(twice.output)")
    try await require("rm", ["-r", "tree/sub"], in: scratch.path)
  }

  /// A directory that can be read and not searched: the names are there, and nothing else. (For root there is no such directory.)
  @Test(.enabled(if: tool("setpriv") != nil || !isRoot, "setpriv is not installed"))
  func whatCannotBeExaminedIsAFailure() async throws {
    let scratch = try await tree()
    let script = """
      chmod 755 . && chmod 744 tree/sub || exit 9
      \(isRoot ? "setpriv --reuid=65534 --regid=65534 --clear-groups" : "") '\(staticcallPath)' verify tree
      status=$?; chmod 755 tree/sub; exit $status
      """
    let run = try await TestSupport.run("sh", ["-c", script], in: scratch.path)
    #expect(run.status == 2, "\(run.output) \(run.errors)")
    #expect(run.errors.contains("tree/sub/bad.o: error: cannot examine the file: Permission denied"), "\(run.errors)")
  }

  // MARK: Archives

  /// An object of a build, and the thin archives up the tree that name it.
  @Test func anObjectInThinArchivesIsLookedAtOnce() async throws {
    let scratch = try await tree()
    try await require(archiver, ["rcT", "built-in.a", "bad.o"], in: scratch.file("tree/sub"))
    try await require(archiver, ["rcT", "built-in.a", "sub/bad.o", "good.o"], in: scratch.file("tree"))
    let found = try await staticcall(["verify", "-v", "tree"], scratch)
    #expect(
      found.output.contains("\n2 objects, 2 table entries: 2 errors and 0 warnings in 1 object"), "\(found.output)")
    #expect(found.output.hasPrefix("tree/sub/bad.o: error: "))
    let archives = try await staticcall(["verify", "tree/built-in.a", "tree/sub/built-in.a"], scratch)
    #expect(archives.output.hasPrefix("tree/built-in.a(sub/bad.o): error: "), "\(archives.output)")
    #expect(archives.output.contains("\n2 objects, 2 table entries: 2 errors and 0 warnings in 1 object"))
  }

  @Test(arguments: [["rcs"], ["rcsT"], ["rc"]])
  func anArchiveIsReadMemberByMember(_ options: [String]) async throws {
    let scratch = try await tree()
    try await scratch.make(bad, "tree/a-long-name-for-a-member.o")
    try FileManager.default.removeItem(atPath: scratch.file("tree/a-long-name-for-a-member.o.s"))
    let members = ["good.o", "sub/bad.o", "a-long-name-for-a-member.o", "notes.txt"]
    try await require(archiver, options + ["lib.a"] + members, in: scratch.file("tree"))
    let run = try await staticcall(["verify", "tree/lib.a"], scratch)
    #expect(run.status == 1)
    let bad = options == ["rcsT"] ? "sub/bad.o" : "bad.o"
    #expect(
      run.output.hasPrefix("tree/lib.a(\(bad)): error: caller+0x0: call of a has no table entry [SC102]\n"),
      "\(run.output)")
    #expect(run.output.contains("\ntree/lib.a(a-long-name-for-a-member.o): error: caller+0x0: "))
    #expect(
      run.output.hasSuffix(
        "3 objects, 2 table entries: 4 errors and 0 warnings in 2 objects; 1 other member skipped\n"), "\(run.output)")
  }

  /// Two members of one name are told apart, as `ar x` does.
  @Test func aNameMayOccurTwice() async throws {
    let scratch = try await tree()
    try FileManager.default.copyItem(atPath: scratch.file("tree/sub/bad.o"), toPath: scratch.file("bad.o"))
    try await require(archiver, ["rc", "lib.a", "bad.o", "tree/notes.txt"], in: scratch.path)
    try await require(archiver, ["q", "lib.a", "tree/sub/bad.o"], in: scratch.path)
    let run = try await staticcall(["verify", "lib.a"], scratch)
    #expect(run.output.hasPrefix("lib.a(bad.o): error: "))
    #expect(run.output.contains("\nlib.a(bad.o)[2]: error: "))
    let list = try await staticcall(["list", "lib.a"], scratch)
    #expect((list.status, list.errors) == (0, ""))
    #expect(list.output.hasPrefix("lib.a(bad.o): x86-64, 2 call sites of 2 keys, no table\n"))
    #expect(list.output.contains("\nlib.a(bad.o)[2]: x86-64, 2 call sites of 2 keys, no table\n"))
    try await require(archiver, ["rc", "other.a", "tree/notes.txt"], in: scratch.path)
    let other = try await staticcall(["list", "other.a"], scratch)
    #expect((other.status, other.output) == (0, "other.a: an archive without objects\n"))
  }

  @Test func aMemberThatCannotBeReadIsNamed() async throws {
    let scratch = try await tree()
    try await require(archiver, ["rcS", "lib.a", "good.o", "sub/bad.o"], in: scratch.file("tree"))
    var archive = try bytes(of: scratch.file("tree/lib.a"))
    // The section header table of the second member, which is the last one, lies elsewhere.
    let header = try #require(archive.lastIndex(of: 0x7f))
    archive[header + 0x2c] = 0x7f
    try scratch.write(archive, to: "tree/lib.a")
    let run = try await staticcall(["verify", "tree/lib.a"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("tree/lib.a(bad.o): error: truncated ELF file"), "\(run.errors)")
  }

  @Test func aThinArchiveMayLoseAMember() async throws {
    let scratch = try await tree()
    try await require(archiver, ["rcT", "lib.a", "good.o"], in: scratch.file("tree"))
    try FileManager.default.removeItem(atPath: scratch.file("tree/good.o"))
    let run = try await staticcall(["verify", "tree/lib.a"], scratch)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("tree/lib.a(good.o): error: cannot open the file: "), "\(run.errors)")
  }

  /// Every archive that ends anywhere, and a header with any byte changed, is read or refused.
  @Test func aBrokenArchiveIsRefused() async throws {
    let scratch = try await tree()
    try await require(archiver, ["rc", "lib.a", "sub/bad.o", "notes.txt"], in: scratch.file("tree"))
    let archive = try bytes(of: scratch.file("tree/lib.a"))
    var names: [String] = []
    for length in stride(from: 8, to: archive.count, by: 7) {
      names.append(
        String(URL(fileURLWithPath: try scratch.write(archive.prefix(length), to: "cut-\(length).a")).lastPathComponent)
      )
    }
    for position in 8..<68 {
      var changed = archive
      changed[position] = UInt8(ascii: "~")
      names.append(
        String(URL(fileURLWithPath: try scratch.write(changed, to: "changed-\(position).a")).lastPathComponent))
    }
    let run = try await staticcall(["verify"] + names, scratch)
    #expect(run.status == 2)
    #expect(!run.errors.contains("(a bug in staticcall)"))
  }

  // MARK: Bitcode

  @Test(.enabled(if: tool("clang") != nil, "clang is not installed"))
  func bitcodeIsNoAssurance() async throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.file("tree"), withIntermediateDirectories: true)
    try scratch.write("extern void __SCT__a(void); void f(void) { __SCT__a(); }".utf8, to: "a.c")
    try await require("clang", ["-c", "-flto", "-o", "tree/a.o", "a.c"], in: scratch.path)
    let found = try await staticcall(["verify", "tree"], scratch)
    #expect(found.status == 0)
    #expect(
      found.output.hasPrefix("tree/a.o: warning: LLVM bitcode, in which there is nothing to verify yet [SC005]\n"))
    #expect(
      found.output.hasSuffix("1 bitcode file, 0 table entries: 0 errors and 1 warning in 1 object\n"), "\(found.output)"
    )
    // Many take one line.
    for name in ["b.o", "c.o"] {
      try FileManager.default.copyItem(atPath: scratch.file("tree/a.o"), toPath: scratch.file("tree/\(name)"))
    }
    let many = try await staticcall(["verify", "tree"], scratch)
    #expect(many.output.hasPrefix("tree/a.o and 2 others: warning: LLVM bitcode"), "\(many.output)")
    #expect(many.output.split(separator: "\n").count { $0.contains("warning: ") } == 1)
    #expect(many.output.hasSuffix("3 bitcode files, 0 table entries: 0 errors and 3 warnings in 3 objects\n"))
    #expect(try await staticcall(["verify", "--strict", "tree"], scratch).status == 1)
    #expect(try await staticcall(["verify", "tree/a.o"], scratch).status == 2)
  }
}

private let isRoot = geteuid() == 0
