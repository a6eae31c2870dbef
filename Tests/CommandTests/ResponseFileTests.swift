import TestSupport
import Testing

/// Arguments `@FILE`, as compilers and linkers know them.
@Suite struct ResponseFileTests {
  /// What `list` says of the object, which tells whether the arguments arrived.
  private static func listing(_ name: String) -> String {
    "\(name): x86-64, 2 call sites of 2 keys, no table\n"
  }

  private func list(_ contents: String, _ arguments: [String] = ["list", "@args"]) async throws -> Run {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    for name in ["b.o", "two words.o", "it's.o", "back\\slash.o"] {
      try scratch.write(bytes(of: scratch.file("a.o")), to: name)
    }
    try scratch.write(contents.utf8, to: "args")
    try scratch.write("@args".utf8, to: "outer")
    return try await run(staticcallPath, arguments, in: scratch.path)
  }

  @Test(arguments: [
    ("a.o", ["a.o"]), ("a.o b.o\n", ["a.o", "b.o"]), ("  a.o\t\n\n  b.o  ", ["a.o", "b.o"]),
    ("\"two words.o\"", ["two words.o"]), ("'two words.o' a.o", ["two words.o", "a.o"]),
    ("two\\ words.o", ["two words.o"]), ("two' 'words.o", ["two words.o"]), ("\"it's.o\"", ["it's.o"]),
    ("it\\'s.o", ["it's.o"]), ("back\\\\slash.o", ["back\\slash.o"]), ("a.o\r\nb.o\r\n", ["a.o", "b.o"]),
    ("--section .sites a.o", ["a.o"]),
  ])
  func argumentsAreSeparatedAndUnquoted(_ contents: String, _ objects: [String]) async throws {
    let run = try await list(contents)
    #expect(run.status == 0)
    #expect(run.errors == "")
    for name in objects { #expect(run.output.contains(Self.listing(name)), "\(run.output)") }
    #expect(run.output.split(separator: "\n").count { $0.contains("2 call sites") } == objects.count)
  }

  @Test func aResponseFileCanHoldTheCommandAndMore() async throws {
    #expect(try await list("list a.o", ["@args"]).output.hasPrefix(Self.listing("a.o")))
    #expect(try await list("a.o", ["list", "b.o", "@args"]).output.contains(Self.listing("a.o")))
    #expect(try await list("", ["list", "@args", "a.o"]).output.hasPrefix(Self.listing("a.o")))
  }

  @Test func responseFilesCanNameOthers() async throws {
    let run = try await list("a.o", ["list", "@outer"])
    #expect(run.status == 0)
    #expect(run.output.hasPrefix(Self.listing("a.o")))
  }

  @Test(.timeLimit(.minutes(5))) func responseFilesThatNameOneAnotherAreAnError() async throws {
    let run = try await list("@outer", ["list", "@outer"])
    #expect(run.status == 2)
    #expect(run.output == "")
    #expect(run.errors.hasPrefix("Error: cannot read the response file "))
    #expect(run.errors.hasSuffix(": response files name one another\n"), "\(run.errors)")
  }

  /// Not the code for findings: a script would take that for a table that is wrong.
  @Test(arguments: [
    ("@missing", "cannot open the file: No such file or directory"), ("@.", "cannot read the file: Is a directory"),
    ("@a.o", "it is not a text"),
  ])
  func aResponseFileThatCannotBeReadIsAnError(_ argument: String, _ reason: String) async throws {
    let run = try await list("", ["list", argument])
    #expect(run.status == 2)
    #expect(run.output == "")
    #expect(run.errors == "Error: cannot read the response file \(argument.dropFirst()): \(reason)\n")
  }

  @Test func anObjectWhoseNameBeginsWithAnAtSignHasAPath() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, "@.o")
    #expect(try await staticcall("list", "./@.o", in: scratch.path).output.hasPrefix(Self.listing("./@.o")))
  }
}
