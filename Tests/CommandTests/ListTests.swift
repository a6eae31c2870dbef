import Foundation
import TestSupport
import Testing

/// What list prints; the listings of every kind of call are goldens.
@Suite struct ListTests {
  @Test(arguments: Target.allCases)
  func theStateFollowsTheTable(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, for: target)
    let name = target == .x86_64 ? "x86-64" : "AArch64"
    let before = try await staticcall("list", "a.o", in: scratch.path)
    #expect(before.output.hasPrefix("a.o: \(name), 2 call sites of 2 keys, no table\n"))
    #expect(before.output.split(separator: "\n").dropFirst(2).allSatisfy { $0.hasSuffix("  not in table") })
    try #require(await staticcall("annotate", "a.o", in: scratch.path).status == 0)
    let after = try await staticcall("list", "a.o", in: scratch.path)
    #expect(after.output.hasPrefix("a.o: \(name), 2 call sites of 2 keys, table complete\n"))
    #expect(after.output.split(separator: "\n").dropFirst(2).allSatisfy { $0.hasSuffix("  in table") })
    #expect(after.errors == "")
  }

  @Test func whatIsWrongWithATableIsListed() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      Sample.direct + """

        .section .static_call_sites,"aw",%progbits
        .long caller - ., __SCK__a - .
        """)
    let part = try await staticcall("list", "a.o", in: scratch.path).output
    #expect(part.hasPrefix("a.o: x86-64, 2 call sites of 2 keys, table incomplete\n"))
    try await scratch.make(
      Sample.direct + """

        .section .static_call_sites,"aw",%progbits
        .long caller - ., __SCK__b - .
        """)
    let stale = try await staticcall("list", "a.o", in: scratch.path).output
    #expect(stale.hasPrefix("a.o: x86-64, 2 call sites of 2 keys, table does not fit the code\n"))
    #expect(stale.contains("\n  entry 0: it names another key than the branch's trampoline has\n"))
  }

  @Test func usesOfOneKeyOrTheirNumbers() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let key = try await staticcall("list", "-k", "b", "a.o", in: scratch.path)
    #expect(key.output.contains("1 call site of 1 key, no table\n"))
    #expect(key.output.split(separator: "\n").count == 3, "\(key.output)")
    #expect(try await staticcall("list", "-k", "nobody", "a.o", in: scratch.path).output == "a.o: no use of nobody\n")
    let summary = try await staticcall("list", "--summary", "a.o", in: scratch.path)
    let rows = summary.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(summary.output.contains("\n  2 references in code: 2 are not in the table yet\n"), "\(summary.output)")
    #expect(
      rows.dropFirst(3) == [
        ["KEY", "a", "1", "0", "1", "0", "0", "0"], ["b", "1", "0", "1", "0", "0", "0"],
        ["SHAPE", "X1", "1", "0", "1", "0", "0", "0"], ["X2", "1", "0", "1", "0", "0", "0"],
      ], "\(summary.output)")
    #expect(try await staticcall("list", "--summary", "--disassemble", "a.o", in: scratch.path).status == 64)
  }

  /// Each language has names of its own for functions; a name that is none of theirs stays as it is.
  @Test(arguments: [
    ("_ZN3net7receiveEi", "net::receive(int)"), ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
    ("$s3net7receiveyySiF", "net.receive(Swift.Int) -> ()"), ("_Z", "_Z"), ("_ZN", "_ZN"), ("plain", "plain"),
  ])
  func functionsHaveTheNamesOfTheirLanguage(_ symbol: String, name: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(".type \"\(symbol)\", %function\n\"\(symbol)\": CALL __SCT__a\n.size \"\(symbol)\", 5")
    let run = try await staticcall("list", "a.o", in: scratch.path)
    #expect(run.output.contains("  \(name)+0x0  "), "\(run.output)")
    let raw = try await staticcall("list", "--no-demangle", "a.o", in: scratch.path)
    #expect(raw.output.contains("  \(symbol)+0x0  "), "\(raw.output)")
    let json = try await staticcall("list", "--format", "json", "a.o", in: scratch.path)
    #expect(json.output.contains("\"functionName\"") == (name != symbol), "\(json.output)")
  }

  @Test(
    .enabled(if: Target.haveAllTools, "a compiler is not installed"), arguments: Target.allCases,
    [["-g"], ["-gdwarf-4"], ["-g", "-gz"], ["-g", "-ffunction-sections"], []])
  func theSourceLineIsThatOfTheCall(_ target: Target, _ options: [String]) async throws {
    let scratch = try Scratch()
    try scratch.write("void __SCT__a(void);\n\nint f(void) {\n  __SCT__a();\n  return 0;\n}\n".utf8, to: "a.c")
    for compiler in [[target.gcc], ["clang", "--target=\(target.triple)"]] {
      try await require(compiler[0], compiler.dropFirst() + ["-O2", "-c", "a.c"] + options, in: scratch.path)
      let run = try await staticcall("list", "a.o", in: scratch.path)
      #expect(run.output.contains("/a.c:4\n") == !options.isEmpty || run.output.contains("  a.c:4\n"), "\(run.output)")
      let json = try await staticcall("list", "--format", "json", "a.o", in: scratch.path)
      #expect(json.output.contains("\"line\" : 4") == !options.isEmpty)
    }
  }

  @Test func anObjectWithoutStaticCallsIsALine() async throws {
    let scratch = try Scratch()
    try await scratch.make("ret")
    let run = try await staticcall("list", "a.o", in: scratch.path)
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output == "a.o: x86-64, no static calls\n")
  }

  @Test(arguments: Target.allCases)
  func listingTouchesNothing(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, for: target)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    for command in [["list"], ["list", "--format", "json"], ["verify"]] {
      _ = try await run(staticcallPath, command + ["a.o"], in: scratch.path)
      #expect(try Fingerprint(scratch.file("a.o")) == before)
      #expect(scratch.contents == names)
    }
  }

  /// The fields that a script may rely on.
  private struct Document: Decodable, Equatable {
    var schema: String
    var version: Int
    var objects: [Object]

    struct Object: Decodable, Equatable {
      var path: String
      var machine: String
      var table: String
      var staleEntries: [String]
      var sites: [Site]
    }

    struct Site: Decodable, Equatable {
      var section: String
      var offset: Int
      var function: String?
      var functionOffset: Int?
      var kind: String?
      var shape: String
      var through: String
      var key: String
      var state: String
      var code: String?
    }
  }

  @Test func theDocumentHasStableFields() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect + ", __SCT__a")
    try await scratch.make("ret", "b.o", for: .aarch64)
    let run = try await staticcall("list", "--format", "json", "a.o", "b.o", in: scratch.path)
    #expect((run.status, run.errors) == (0, ""))
    let document = try JSONDecoder().decode(Document.self, from: Data(run.output.utf8))
    let sites = [
      Document.Site(
        section: ".text", offset: 0, function: "caller", functionOffset: 0, kind: "call", shape: "X1",
        through: "direct", key: "a", state: "not in table"),
      Document.Site(
        section: ".text", offset: 5, function: "caller", functionOffset: 5, kind: "call", shape: "X4",
        through: document.objects.first?.sites.dropFirst().first?.through ?? "", key: "a", state: "can be made direct"),
      Document.Site(
        section: ".data", offset: 8, shape: "D", through: "data", key: "a", state: "address taken", code: "SC033"),
    ]
    #expect(
      document
        == Document(
          schema: "staticcall-list", version: 1,
          objects: [
            .init(path: "a.o", machine: "x86-64", table: "none", staleEntries: [], sites: sites),
            .init(path: "b.o", machine: "AArch64", table: "none", staleEntries: [], sites: []),
          ]))
  }

  /// Another reader of JSON than the one that wrote it.
  @Test(.enabled(if: tool("python3") != nil, "python3 is not installed"))
  func theDocumentIsJSONWhateverTheNames() async throws {
    let scratch = try Scratch()
    let name = "quote\" back\\slash\ttab é.o"
    let source = #"""
      "call\\er \"quoted\"": call "__SCT__a \"b\" é"

      """#
    _ = try await scratch.assemble(source, for: .x86_64, name: "plain.o")
    try scratch.write(bytes(of: scratch.file("plain.o")), to: name)
    let run = try await staticcall("list", "--format", "json", name, in: scratch.path)
    try #require(run.status == 0)
    try scratch.write(run.output.utf8, to: "list.json")
    let script = "import json; d = json.load(open('list.json')); o = d['objects'][0]; print(o['path']); "
    let printed = try await require(
      "python3", ["-c", script + "print(o['sites'][0]['key']); print(o['sites'][0]['function'])"], in: scratch.path)
    #expect(printed == "\(name)\na \"b\" é\ncall\\er \"quoted\"\n")
  }

  /// The linker has resolved the calls of an image: they have addresses.
  @Test(.enabled(if: tool("ld.lld") != nil, "ld.lld is not installed"), arguments: Target.allCases)
  func aLinkedImageIsListedByAddress(_ target: Target) async throws {
    let scratch = try Scratch()
    let trampolines =
      "\n__SCK__a: .quad 0\n__SCK__b: .quad 0\n.section .tramp, \"ax\"\n__SCT__a: ret\n.p2align 3\n__SCT__b: ret"
    try await scratch.make(Sample.direct + trampolines, for: target)
    try await require("ld.lld", ["-Ttext=0x400000", "-e", "caller", "-o", "plain", "a.o"], in: scratch.path)
    try #require(await staticcall(["annotate", "a.o"], scratch).status == 0)
    try await require("ld.lld", ["-Ttext=0x400000", "-e", "caller", "-o", "image", "a.o"], in: scratch.path)
    let (plain, image) = (
      try await staticcall(["list", "plain"], scratch), try await staticcall(["list", "image"], scratch)
    )
    #expect((plain.status, image.status) == (0, 0))
    #expect(plain.output.contains("2 call sites of 2 keys, no table\n"), "\(plain.output)")
    #expect(image.output.contains("2 call sites of 2 keys, table complete\n"), "\(image.output)")
    let rows = image.output.split(separator: "\n").dropFirst(2).map { $0.split(separator: " ").joined(separator: " ") }
    let second = target == .x86_64 ? 5 : 4
    // The label has no size, so nothing says that it covers the calls.
    #expect(rows == ["0x400000 - call direct a in table", "0x40000\(second) - tail direct b in table"])
  }

  /// What could not be read is reported, and the rest is there.
  @Test func theDocumentHoldsWhatCouldBeRead() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let run = try await staticcall("list", "--format", "json", "gone.o", "a.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors == "gone.o: error: cannot open the file: No such file or directory [SC001]\n")
    let document = try JSONDecoder().decode(Document.self, from: Data(run.output.utf8))
    #expect(document.objects.map(\.path) == ["a.o"])
  }
}
