import TestSupport
import Testing

/// The table's layout is the object's: programs that use static_call.h have a runtime that reads one table and no other.
@Suite struct LayoutTests {
  private static let caller = """
    #include "static_call.h"
    int function(int);
    DECLARE_STATIC_CALL(number, function);
    int caller(int x) { return static_call(number)(x) + 1; }
    """
  private static let program = """
    #include "static_call.h"
    int function(int x) { return x; }
    DEFINE_STATIC_CALL(number, function);
    int caller(int);
    int main(void) { return caller(1) - 2 + static_call_update(number, function); }
    """

  /// An object that only declares and calls, and one that defines and updates.
  private func compile(_ source: String, _ name: String, for target: Target, in scratch: Scratch) async throws {
    try scratch.write(source.utf8, to: "\(name).c")
    try await require(
      target.gcc, ["-O2", "-c", "-I", RuntimeBuild.includes, "\(name).c", "-o", "\(name).o"], in: scratch.path)
  }

  /// `bare.o`: caller.o as somebody annotated it before objects said what they need.
  private func makeKernelTable(for target: Target, in scratch: Scratch) async throws {
    try await require(
      target.objcopy,
      ["--remove-section=.static_call.user", scratch.file("caller.o"), scratch.file("bare.o")])
    try await require(staticcallPath, ["annotate", "--add-missing-keys", scratch.file("bare.o")])
  }

  @Test(arguments: Target.allCases)
  func theObjectSaysWhichLayoutItNeeds(_ target: Target) async throws {
    let scratch = try Scratch()
    for (name, source) in [
      ("caller", Self.caller), ("program", Self.program + "\nint other(int x) { return static_call(number)(x) + 1; }"),
    ] {
      try await compile(source, name, for: target, in: scratch)
      let run = try await staticcall("annotate", "-v", "\(name).o", in: scratch.path)
      #expect(run.output == "\(name).o: 1 call site of 1 key; table of 1 entry written\n")
      let elf = try ElfBytes(file: scratch.file("\(name).o"))
      #expect(try elf.siteTable("static_call_sites").map(\.key.description.isEmpty) == [false])
      #expect(throws: (any Error).self) { try elf.section(".static_call_sites") }
      #expect(try await staticcall("verify", "--strict", "\(name).o", in: scratch.path).status == 0)
      let again = try await staticcall("annotate", "-v", "--abi", "user", "\(name).o", in: scratch.path)
      #expect(again.output == "\(name).o: up to date (1 call site of 1 key)\n")
    }
  }

  /// The twin: an object without the header is the kernel's.
  @Test(arguments: Target.allCases)
  func anObjectWithoutTheHeaderIsTheKernels(_ target: Target) async throws {
    let scratch = try Scratch()
    for options in [[], ["--abi", "linux"]] {
      try await scratch.make(Sample.direct, for: target)
      try await require(staticcallPath, ["annotate", scratch.file("a.o")] + options)
      #expect(try ElfBytes(file: scratch.file("a.o")).siteTable().count == 2)
    }
  }

  @Test(arguments: [["--abi", "linux"], ["--module"], ["--abi", "linux", "--rebuild"], ["--abi", "linux", "-n"]])
  func anotherLayoutThanTheObjectsIsRefused(_ options: [String]) async throws {
    let scratch = try Scratch()
    try await compile(Self.caller, "caller", for: .x86_64, in: scratch)
    let before = try Fingerprint(scratch.file("caller.o"))
    let run = try await run(staticcallPath, ["annotate", "caller.o"] + options, in: scratch.path)
    #expect((run.status, run.output) == (2, ""))
    #expect(
      run.errors == """
        caller.o: error: the object is of a program that uses static_call.h, and \
        \(options[0] == "--module" ? "--module" : "--abi linux") is for the kernel [SC020]
          Leave it out: annotate takes `--abi user` for this object by itself.

        """)
    #expect(try Fingerprint(scratch.file("caller.o")) == before)
  }

  /// Objects that were annotated for the kernel, combined with one that says what it needs.
  @Test(arguments: Target.allCases)
  func aWrongTableIsReportedAndConverted(_ target: Target) async throws {
    let scratch = try Scratch()
    try await compile(Self.caller, "caller", for: target, in: scratch)
    try await compile(Self.program, "program", for: target, in: scratch)
    try await makeKernelTable(for: target, in: scratch)
    let object = try await scratch.combine(["bare.o", "program.o"].map(scratch.file))
    let found = try await staticcall("verify", "combined.o", in: scratch.path)
    #expect(found.status == 1)
    #expect(
      found.output.hasPrefix(
        """
        combined.o: error: .static_call_sites+0x0: the table is the kernel's, and the object is of a program whose runtime \
        reads static_call_sites [SC120]
          `staticcall annotate --abi user --rebuild` on the objects converts the table; then link again.

        """), "\(found.output)")
    #expect(try await staticcall("list", "combined.o", in: scratch.path).output.contains("table does not fit the code"))
    // Without being told, annotate does not throw a table away.
    let before = try Fingerprint(object)
    let refused = try await staticcall("annotate", "combined.o", in: scratch.path)
    #expect(refused.status == 2)
    #expect(refused.errors.contains("the object already has a table for the kernel [SC015]"), "\(refused.errors)")
    #expect(refused.errors.contains("Annotate with --abi user; with --rebuild besides, "), "\(refused.errors)")
    #expect(try Fingerprint(object) == before)

    let converted = try await staticcall("annotate", "-v", "--rebuild", "combined.o", in: scratch.path)
    #expect(converted.output == "combined.o: 1 call site of 1 key; table of 1 entry, 1 old one removed written\n")
    let elf = try ElfBytes(file: object)
    #expect(try elf.siteTable("static_call_sites").count == 1)
    #expect(try elf[section: elf.section(".static_call_sites"), .length] == 0)
    let verified = try await staticcall("verify", "-v", "--strict", "combined.o", in: scratch.path)
    #expect(verified.output == "1 object, 1 table entry: all is well\n")
    let again = try await staticcall("annotate", "-v", "combined.o", in: scratch.path)
    #expect(again.output == "combined.o: up to date (1 call site of 1 key)\n")
  }

  /// The other way round, and with tables tied to their code: only an explicit wish makes a kernel's table.
  @Test(arguments: Target.allCases)
  func aTableOfUserSpaceIsConvertedOnRequest(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct + "\n.section .text.b,\"ax\",%progbits\nCALL __SCT__a", for: target)
    try await require(staticcallPath, ["annotate", "--abi", "user", scratch.file("a.o")])
    // Nobody said that it is not one of user space.
    let before = try Fingerprint(scratch.file("a.o"))
    for options in [[], ["--rebuild"]] {
      let refused = try await annotate(options, in: scratch)
      #expect(refused.status == 2)
      #expect(refused.errors.contains("the object already has a table for user space [SC015]"), "\(refused.errors)")
    }
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    let run = try await staticcall("annotate", "-v", "--abi", "linux", "--rebuild", "a.o", in: scratch.path)
    #expect(run.output == "a.o: 3 call sites of 2 keys; table of 3 entries, 3 old ones removed written\n")
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable().count == 3)
    let verified = try await staticcall("verify", "-v", "--strict", "a.o", in: scratch.path)
    #expect(verified.output == "1 object, 3 table entries: all is well\n")
    try await require(
      target == .x86_64 ? "ld" : "aarch64-linux-gnu-ld", ["-r", "-o", scratch.file("r.o"), scratch.file("a.o")])
  }

  private func annotate(_ options: [String], in scratch: Scratch) async throws -> Run {
    try await run(staticcallPath, ["annotate", "a.o"] + options, in: scratch.path)
  }

  /// A program whose table nobody reads works, and none of its calls is ever patched.
  @Test(arguments: Target.allCases, [false, true])
  func aProgramWhoseRuntimeReadsNoTableIsReported(_ target: Target, _ isStripped: Bool) async throws {
    let scratch = try Scratch()
    try await compile(Self.caller, "caller", for: target, in: scratch)
    try await compile(Self.program, "program", for: target, in: scratch)
    try await makeKernelTable(for: target, in: scratch)
    try await require(staticcallPath, ["annotate", scratch.file("caller.o")])
    let options = isStripped ? ["-s"] : []
    let wrong = try await RuntimeBuild(target: target, linkOptions: options).link(
      ["bare.o", "program.o"].map(scratch.file), in: scratch, to: "wrong")
    let right = try await RuntimeBuild(target: target, linkOptions: options).link(
      ["caller.o", "program.o"].map(scratch.file), in: scratch, to: "right")
    let found = try await run(staticcallPath, ["verify", wrong])
    #expect(found.status == 1)
    #expect(
      found.output.contains("1 entry in .static_call_sites, and the program's runtime reads static_call_sites [SC120]"),
      "\(found.output)")
    let twin = try await run(staticcallPath, ["verify", "-v", right])
    #expect(twin.output == "1 linked image, 1 table entry: all is well\n")
  }

  /// The mark is for staticcall, and not part of programs.
  @Test(arguments: Linker.allCases.filter { $0.program(for: .x86_64) != nil })
  func linkersLeaveTheMarkOut(_ linker: Linker) async throws {
    let scratch = try Scratch()
    try await compile(Self.caller, "caller", for: .x86_64, in: scratch)
    try await compile(Self.program, "program", for: .x86_64, in: scratch)
    #expect(throws: Never.self) { try ElfBytes(file: scratch.file("caller.o")).section(".static_call.user") }
    let program = try await RuntimeBuild(target: .x86_64, linker: linker).link(
      ["caller.o", "program.o"].map(scratch.file), in: scratch)
    #expect(throws: (any Error).self) { try ElfBytes(file: program).section(".static_call.user") }
    #expect(try await run(program, []).status == 0)
  }
}
