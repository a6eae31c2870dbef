import Foundation
import TestSupport
import Testing

/// Files that staticcall does not handle: each is refused with its own message by every command, and nothing is written.
@Suite(.timeLimit(.minutes(15))) struct RefusalTests {
  struct Input: CustomStringConvertible, Sendable {
    var description: String
    var message: String
    /// Whether list and verify, which look at linked images and archives as well, do not refuse it.
    var isRead: Bool {
      message.contains("not a relocatable object") && !message.contains("core")
    }
    /// Makes the file `in.o` in the directory.
    var make: @Sendable (Scratch) async throws -> Void

    init(_ description: String, _ message: String, _ make: @escaping @Sendable (Scratch) async throws -> Void) {
      self.description = description
      self.message = message
      self.make = make
    }
  }

  private static func damaged(_ change: @escaping @Sendable (inout ElfBytes) throws -> Void)
    -> @Sendable (Scratch)
    async throws -> Void
  {
    { scratch in
      var elf = try ElfBytes(file: await scratch.make(Sample.direct, "in.o"))
      try change(&elf)
      try scratch.write(elf.bytes, to: "in.o")
    }
  }

  static let files = [
    Input("text", "not an ELF file [SC002]") { try $0.write("int main;\n".utf8, to: "in.o") },
    Input("nothing", "the file is empty [SC002]\n  Build the object again.\n") { try $0.write([], to: "in.o") },
    Input("one byte", "not an ELF file [SC002]") { try $0.write([0x7f], to: "in.o") },
    Input("a part of the header", "truncated ELF file: it ends inside the ELF header [SC003]") {
      try $0.write(ElfBytes(file: await $0.make(Sample.direct, "in.o")).bytes.prefix(40), to: "in.o")
    },
    Input("an object cut short", "past its end [SC003]") {
      try $0.write(ElfBytes(file: await $0.make(Sample.direct, "in.o")).bytes.dropLast(), to: "in.o")
    },
    Input("big-endian", "a big-endian ELF file; only little-endian objects are handled [SC004]") {
      try await require(
        "clang", ["--target=aarch64_be-linux-gnu", "-c", "-xassembler", "/dev/null", "-o", $0.file("in.o")])
    },
    Input("32-bit", "a 32-bit ELF file; only 64-bit objects are handled [SC004]") {
      try await require("clang", ["--target=i386-linux-gnu", "-c", "-xassembler", "/dev/null", "-o", $0.file("in.o")])
    },
    Input("x32", "a 32-bit ELF file (x32); only 64-bit objects are handled [SC004]") {
      try await require(
        "clang", ["--target=x86_64-linux-gnux32", "-c", "-xassembler", "/dev/null", "-o", $0.file("in.o")])
    },
    Input(
      "ILP32", "a 32-bit ELF file (ILP32); only 64-bit objects are handled [SC004]",
      damaged {
        $0[.fileClass] = 1
        $0[.machine] = 183
      }),
    Input(
      "RISC-V", "an object for RISC-V (machine 243); x86-64 and AArch64 are handled [SC004]",
      damaged { $0[.machine] = 243 }),
    Input(
      "a machine without a name", "an object for machine 4919; x86-64 and AArch64 are handled [SC004]",
      damaged { $0[.machine] = 4919 }),
    Input("an executable", "an executable (ET_EXEC), not a relocatable object [SC004]") {
      try await $0.make(".globl _start\n_start: ret", "start.o")
      try await require("ld.lld", ["-static", "start.o", "-o", "in.o"], in: $0.path)
    },
    Input(
      "a shared object",
      "a shared object or position-independent executable (ET_DYN), not a relocatable object [SC004]"
    ) {
      try await $0.make(Sample.direct, "start.o")
      try await require("ld.lld", ["-shared", "start.o", "-z", "notext", "-o", "in.o"], in: $0.path)
    },
    Input("a core file", "a core file, not a relocatable object [SC004]", damaged { $0[.type] = 4 }),
    Input("LLVM bitcode", "LLVM bitcode, not machine code [SC005]") {
      try $0.write("void f(void) {}".utf8, to: "f.c")
      try await require("clang", ["-c", "-emit-llvm", "f.c", "-o", "in.o"], in: $0.path)
    },
    Input(
      "no section header table", "damaged ELF file: it has no section header table [SC003]",
      damaged { $0[.sectionTable] = 0 }),
    Input(
      "too many sections", "truncated ELF file: 60000 section headers at file offset",
      damaged { $0[.sectionCount] = 60000 }),
    Input(
      "section names out of range", "damaged ELF file: its section name table has index 999 of",
      damaged { $0[.sectionNames] = 999 }),
    Input(
      "a section past the end", "past the end of the file [SC003]",
      damaged { $0[section: try $0.section(".text"), .offset] = 1 << 40 }),
    Input(
      "compact relocations", "has compact relocations (CREL); compile without -Wa,--crel [SC007]",
      damaged {
        let section = try $0.section(".rela.text")
        $0[section: section, .type] = 0x4000_0014
      }),
    Input(
      "relocations without addends", "holds code and has relocations without addends (SHT_REL) [SC007]",
      damaged {
        let section = try $0.section(".rela.text")
        $0[section: section, .type] = 9
        $0[section: section, .entrySize] = 16
      }),
    Input(
      "compressed code", "holds code and is compressed [SC007]",
      damaged { $0[section: try $0.section(".text"), .flags] |= 0x800 }),
  ]

  @Test(arguments: files)
  func refusedByEveryCommandAndUntouched(_ input: Input) async throws {
    let scratch = try Scratch()
    try await input.make(scratch)
    let before = try Fingerprint(scratch.file("in.o"))
    let names = scratch.contents
    for command in [["annotate"], ["annotate", "-o", "out.o"], ["annotate", "-n"], ["list"], ["verify"]] {
      if input.isRead, [["list"], ["verify"]].contains(command) { continue }
      let run = try await run(staticcallPath, command + ["in.o"], in: scratch.path)
      #expect(run.status == 2, "\(command)")
      #expect(run.output == "", "\(command)")
      #expect(run.errors.hasPrefix("in.o: error: "), "\(run.errors)")
      #expect(run.errors.contains(input.message), "\(run.errors)")
      #expect(try Fingerprint(scratch.file("in.o")) == before)
      #expect(scratch.contents == names)
    }
  }

  /// The compiler's own compact relocations, where it can write them.
  @Test func crelOfTheCompilerIsRefused() async throws {
    let scratch = try Scratch()
    try scratch.write("void __SCT__a(void); void f(void) { __SCT__a(); }".utf8, to: "f.c")
    let clang = try await run(
      "clang", ["-c", "f.c", "-o", "in.o", "-Wa,--crel,--allow-experimental-crel"], in: scratch.path)
    try #require(clang.status == 0, "\(clang.errors)")
    let before = try Fingerprint(scratch.file("in.o"))
    let run = try await staticcall("annotate", "in.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors.contains("compact relocations (CREL)") && run.errors.contains("[SC007]"), "\(run.errors)")
    #expect(try Fingerprint(scratch.file("in.o")) == before)
  }

  @Test(.enabled(if: tool("gcc") != nil, "gcc is not installed"))
  func slimObjectsOfGccAreRefused() async throws {
    let scratch = try Scratch()
    try scratch.write("void __SCT__a(void); void f(void) { __SCT__a(); }".utf8, to: "f.c")
    try await require("gcc", ["-c", "-flto", "-fno-fat-lto-objects", "f.c", "-o", "in.o"], in: scratch.path)
    let run = try await staticcall("annotate", "in.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(
      run.errors.hasPrefix(
        "in.o: error: an object with a compiler's intermediate code (slim LTO), not machine code [SC005]\n"))
    #expect(run.errors.contains("Compile without -flto"))
  }

  /// What is not a regular file is refused without reading it, which for a pipe would last for ever.
  @Test(arguments: ["annotate", "list", "verify"])
  func onlyRegularFilesAreOpened(_ command: String) async throws {
    let scratch = try Scratch()
    try await require("mkdir", ["directory.o"], in: scratch.path)
    try await require("mkfifo", ["pipe.o"], in: scratch.path)
    try await require("ln", ["-s", "nowhere", "dangling.o"], in: scratch.path)
    let places = [
      ("directory.o", "is a directory, not a regular file"), ("pipe.o", "is a pipe, not a regular file"),
      ("/dev/null", "is a device, not a regular file"), ("/dev/zero", "is a device, not a regular file"),
      ("missing.o", "cannot open the file: No such file or directory"),
      ("dangling.o", "cannot open the file: No such file or directory"),
      ("pipe.o/x", "cannot open the file: Not a directory"),
    ]
    let names = scratch.contents
    for (name, message) in places where command != "verify" || name != "directory.o" {
      let run = try await staticcall(command, name, in: scratch.path)
      #expect(run.status == 2)
      #expect(run.output == "")
      let help =
        name == "directory.o"
        ? "  Only `staticcall verify` walks through directories; the other commands take files.\n" : ""
      #expect(run.errors == "\(name): error: \(message) [SC001]\n" + help)
    }
    #expect(scratch.contents == names)
  }

  @Test(.enabled(if: getuid() != 0, "root may read everything"))
  func aFileThatMayNotBeReadIsRefused() async throws {
    let scratch = try Scratch()
    let object = try await scratch.make(Sample.direct)
    try await require("chmod", ["000", object])
    let run = try await staticcall("annotate", "a.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors == "a.o: error: cannot open the file: Permission denied [SC001]\n")
  }
}
