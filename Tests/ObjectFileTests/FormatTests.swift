import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Files that are something else than an object of machine code.
@Suite struct FormatTests {
  @Test func aFileWithoutContentsIsNotElf() throws {
    #expect(try readError([]) == .empty)
  }

  @Test(arguments: [
    ([0x42, 0x43, 0xc0, 0xde, 0, 0, 0, 0], ErrorKind.noMachineCode, "LLVM bitcode"),
    ([0xde, 0xc0, 0x17, 0x0b, 0, 0, 0, 0], .noMachineCode, "LLVM bitcode"),
    (Array("!<arch>\n".utf8), .archive, "an archive"),
    (Array("!<thin>\n".utf8), .archive, "a thin archive"),
    (Array("#!/bin/sh\n".utf8), .notElf, "not an ELF file"),
    (Array("!<arch>".utf8), .notElf, "not an ELF file"),
  ])
  func otherFormatsAreRecognised(_ bytes: [UInt8], _ kind: ErrorKind, _ words: String) throws {
    let error = try readError(bytes)
    #expect(error?.kind == kind)
    #expect(error?.message.contains(words) == true)
  }

  @Test func whatCompilersMakeForLinkTimeOptimisationIsRecognised() async throws {
    let scratch = try Scratch()
    let bitcode = try await scratch.compile("int f(void) { return 1; }", for: .x86_64, "-flto", name: "bitcode.o")
    #expect(readError(at: bitcode)?.kind == .noMachineCode)
  }

  @Test(.enabled(if: tool("gcc") != nil, "gcc is not installed"))
  func anObjectWithIntermediateCodeOnlyIsRefused() async throws {
    let scratch = try Scratch()
    try scratch.write("int f(void) { return 1; }".utf8, to: "f.c")
    try await require("gcc", ["-c", "-flto", "-fno-fat-lto-objects", "f.c", "-o", "slim.o"], in: scratch.path)
    try await require("gcc", ["-c", "-flto", "-ffat-lto-objects", "f.c", "-o", "fat.o"], in: scratch.path)
    try await require("gcc", ["-c", "f.c", "-o", "plain.o"], in: scratch.path)
    #expect(readError(at: scratch.file("slim.o"))?.kind == .noMachineCode)
    let fat = try ObjectFile(reading: InputFile(FilePath(scratch.file("fat.o")))).intermediateCode
    #expect(fat == .besidesMachineCode)
    let plain = try ObjectFile(reading: InputFile(FilePath(scratch.file("plain.o")))).intermediateCode
    #expect(plain == .absent)
  }

  @Test(arguments: Target.allCases)
  func aSignedModuleIsRecognised(_ target: Target) async throws {
    let scratch = try Scratch()
    let bytes = try await soundObject(target).bytes
    let mark = Array("~Module signature appended~\n".utf8)
    let cases = [(bytes, false), (bytes + mark, true), (bytes + mark + [0], false), (bytes + mark.dropLast(), false)]
    for (bytes, isSigned) in cases {
      let path = try scratch.write(bytes, to: "module.ko")
      let answer = try ObjectFile(reading: InputFile(FilePath(path))).isSignedModule
      #expect(answer == isSigned)
    }
  }

  @Test func whatIsNotARegularFileIsRefusedUnread() async throws {
    let scratch = try Scratch()
    try await require("mkfifo", [scratch.file("pipe")])
    #expect(readError(at: scratch.path) == .notARegularFile("a directory"))
    #expect(readError(at: scratch.file("pipe")) == .notARegularFile("a pipe"))
    #expect(readError(at: "/dev/zero") == .notARegularFile("a device"))
  }

  @Test func aFileThatIsNotThereCannotBeOpened() throws {
    let scratch = try Scratch()
    let error = readError(at: scratch.file("none.o"))
    #expect(error == .system(operation: "open the file", .noSuchFileOrDirectory))
  }

  @Test(arguments: Target.allCases)
  func aSymbolicLinkLeadsToItsFile(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(fixture: "sections.s", for: target)
    try await require("ln", ["-s", object, scratch.file("link.o")])
    #expect(readError(at: scratch.file("link.o")) == nil)
  }

  /// Objects that tools make and that are rare enough to be forgotten.
  @Test(
    arguments: Target.allCases,
    ["", ".text\n", ".bss\n.zero 8\n", ".globl f\nf:\n", ".long 0\n.section .a,\"\",%note\n"])
  func smallObjectsAreAccepted(_ target: Target, _ source: String) async throws {
    let scratch = try Scratch()
    #expect(readError(at: try await scratch.assemble(source, for: target)) == nil)
  }
}
