import Foundation
import TestSupport
import Testing

/// Files that objtool accepts in silence, damages or does nothing for, and what staticcall does with them.
@Suite(
  .enabled(if: Objtool.isInstalled, "objtool (Debian: linux-kbuild-6.1 or later) is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct ObjtoolFileTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// A copy of an object for each of the two tools.
  private func copies(of object: String) throws -> (theirs: String, ours: String) {
    (try scratch.copy(object, to: "objtool.o"), try scratch.copy(object, to: "staticcall.o"))
  }

  private func assemble(_ function: String, _ rest: String = "", with assembler: Assembler = .gnu) async throws
    -> String
  {
    try await scratch.assemble(objectSource(function: function, rest: rest), for: .x86_64, with: assembler)
  }

  /// objtool says nothing, or as much as `says`, and leaves the file alone with exit code 0; staticcall refuses it.
  private func expectRefusal(
    of object: String, objtoolSays says: String, code: String, location: SourceLocation = #_sourceLocation
  ) async throws {
    let (theirs, ours) = try copies(of: object)
    let objtool = try await Objtool.annotate(theirs)
    #expect(objtool.status == 0, sourceLocation: location)
    #expect(says.isEmpty ? objtool.errors.isEmpty : objtool.errors.contains(says), sourceLocation: location)
    #expect(try bytes(of: theirs) == bytes(of: object), sourceLocation: location)

    let staticcall = try await staticcall("annotate", ours)
    #expect(staticcall.status == 2, sourceLocation: location)
    #expect(staticcall.errors.contains("[\(code)]"), sourceLocation: location)
    #expect(try bytes(of: ours) == bytes(of: object), sourceLocation: location)
  }

  @Test func truncatedObject() async throws {
    let object = try await assemble("call __SCT__key")
    try scratch.write(bytes(of: object).prefix(300), to: "truncated.o")
    try await expectRefusal(of: scratch.file("truncated.o"), objtoolSays: "", code: "SC003")
  }

  @Test func executable() async throws {
    let object = try await assemble("call __SCT__key")
    try await require("ld", ["-e", "f", "-o", scratch.file("executable"), object])
    try await expectRefusal(
      of: scratch.file("executable"), objtoolSays: "can't find starting instruction", code: "SC004")
  }

  @Test func objectOfAnotherMachine() async throws {
    let source = ".globl f\nf: bl __SCT__key\nret\n.data\n.quad __SCK__key\n"
    let object = try await scratch.assemble(source, for: .aarch64)
    let (theirs, ours) = try copies(of: object)
    let objtool = try await Objtool.annotate(theirs)
    #expect(objtool.status == 0)
    #expect(objtool.errors.contains("unexpected ELF machine type 183"))
    #expect(try bytes(of: theirs) == bytes(of: object))

    #expect(try await staticcall("annotate", ours).status == 0)
    #expect(try await tableEntries(of: [ours])[ours] == [".text+0x0\t__SCK__key\t0"])
  }

  /// The kernel checks modules' signatures, and objtool cuts them off with whatever else stands behind the last section.
  @Test func signedModule() async throws {
    let object = try await assemble("call __SCT__key")
    let mark = Array("~Module signature appended~\n".utf8)
    let signature = [UInt8](repeating: 0x5a, count: 100) + [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 100] + mark
    let (theirs, ours) = try copies(of: scratch.write(bytes(of: object) + signature, to: "signed.ko"))
    #expect(try await Objtool.annotate(theirs).status == 0)
    #expect(!(try bytes(of: theirs).contains(mark)))

    let staticcall = try await staticcall("annotate", ours)
    #expect(staticcall.status == 2)
    #expect(staticcall.errors.contains("[SC008]"))
    #expect(try bytes(of: ours).suffix(mark.count) == mark)
  }

  @Test func callWithoutKey() async throws {
    let object = try await assemble("call __SCT__foreign; call __SCT__key")
    let (theirs, ours) = try copies(of: object)
    let objtool = try await Objtool.annotate(theirs, isModule: false)
    #expect(objtool.status == 0)
    #expect(objtool.errors.contains("can't find static_call_key symbol"))
    let elf = try ElfBytes(file: theirs)
    #expect(elf[section: try elf.section(".static_call_sites"), .length] == 16, "a table of two entries")
    // Linux 6.12 leaves the records of the others, of the type that does nothing.
    let records = try elf.section(".rela.static_call_sites")
    let relocations = (0..<Int(elf[section: records, .length]) / 24).filter {
      elf[relocation: $0, of: records, .type] != 0
    }
    #expect(relocations.count == 1, "with one relocation")
    // Nobody downstream notices.
    #expect(try await run("ld", ["-r", "-o", scratch.file("linked.o"), theirs]).status == 0)

    let staticcall = try await staticcall("annotate", ours)
    #expect(staticcall.status == 2)
    #expect(staticcall.errors.contains("[SC012]"))
    #expect(try bytes(of: ours) == bytes(of: object))
  }

  @Test func partOfATable() async throws {
    let annotated = try await assemble("call __SCT__key")
    try await require(Objtool.program, ["--static-call", "--link", "--module", annotated])
    let plain = try await scratch.assemble(
      ".type g, @function\ng: call __SCT__key\nret\n.size g, . - g\n.data\n.quad __SCK__key\n", for: .x86_64,
      with: .gnu, name: "plain.o")
    let combined = scratch.file("combined.o")
    try await require("ld", ["-r", "-o", combined, annotated, plain])
    let (theirs, ours) = try copies(of: combined)
    let objtool = try await Objtool.annotate(theirs)
    #expect(objtool.status == 0)
    #expect(objtool.errors.contains("file already has .static_call_sites section, skipping"))
    #expect(try await tableEntries(of: [theirs])[theirs]?.count == 1)

    #expect(try await staticcall("annotate", ours).status == 0)
    #expect(try await tableEntries(of: [ours])[ours]?.count == 2)
  }

  /// Position-independent code with a switch: all that a program in user space needs to lose its table.
  @Test func jumpTableOfPositionIndependentCode() async throws {
    let build = Build(compiler: .gcc, target: .x86_64, flags: ["-fPIE"])
    let object = try await build.compile(["calls.c"], "-O2", into: scratch.path)[0]
    let (theirs, ours) = try copies(of: object)
    let objtool = try await Objtool.annotate(theirs)
    #expect(objtool.status == 0)
    #expect(objtool.errors.contains("can't find switch jump table"))
    #expect(try bytes(of: theirs) == bytes(of: object))

    #expect(try await staticcall("annotate", ours).status == 0)
    #expect(try await tableEntries(of: [ours])[ours]?.count ?? 0 > 25)
  }

  /// A compiler cache gives out hard links to its objects.
  @Test func objectWithASecondName() async throws {
    let object = try await assemble("call __SCT__key")
    let (theirs, ours) = try copies(of: object)
    for path in [theirs, ours] { try FileManager.default.linkItem(atPath: path, toPath: path + ".cached") }
    #expect(try await Objtool.annotate(theirs).status == 0)
    #expect(try await staticcall("annotate", ours).status == 0)
    #expect(try bytes(of: theirs + ".cached") != bytes(of: object))
    #expect(try bytes(of: ours + ".cached") == bytes(of: object))
    #expect(try await tableEntries(of: [ours])[ours]?.count == 1)
  }
}
