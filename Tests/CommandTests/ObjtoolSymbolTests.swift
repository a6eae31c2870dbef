import Foundation
import TestSupport
import Testing

/// Both tools insert a section symbol where the code has none, and the symbols behind it get other numbers. What else in the
/// file counts symbols must follow.
@Suite(.enabled(if: Objtool.isInstalled, "objtool (Debian: linux-kbuild-6.1 or later) is not installed"))
struct ObjtoolSymbolTests {
  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  /// A function of its own section with a call, behind a function `first`: the first global symbol of the object.
  private func source(first: String) -> String {
    """
      .section .text.f, "ax"
    \(first)
      .section .text.f, "ax"
      .globl f
      .type f, @function
    f:
      call __SCT__key
      ret
      .size f, . - f
      .section .discard.addressable, "aw"
      .quad __SCK__key

    """
  }

  private func annotate(_ source: String, with assembler: Assembler) async throws -> (theirs: String, ours: String) {
    let object = try await scratch.assemble(source, for: .x86_64, with: assembler)
    let (theirs, ours) = (try scratch.copy(object, to: "objtool.o"), try scratch.copy(object, to: "staticcall.o"))
    #expect(try await Objtool.annotate(theirs).errors == "")
    #expect(try await staticcall("annotate", ours).status == 0)
    return (theirs, ours)
  }

  private static let inline = """
      .section .text.inline, "axG", @progbits, inline, comdat
      .weak inline
      .type inline, @function
    inline:
      ret
      .size inline, . - inline
    """

  @Test func aGroupKeepsItsSignature() async throws {
    let (theirs, ours) = try await annotate(source(first: Self.inline), with: .gnu)
    #expect(try await require("readelf", ["-gW", theirs]).contains("`.group' [.text.f]"))
    #expect(try await require("readelf", ["-gW", ours]).contains("`.group' [inline]"))
  }

  /// What the signature is for: of two copies of an inline function, the linker keeps one.
  @Test func theLinkerKeepsOneCopyOfAnInlineFunction() async throws {
    let (theirs, ours) = try await annotate(source(first: Self.inline), with: .gnu)
    let other = try await scratch.assemble(
      Self.inline + "\n.text\n.globl _start\n_start:\ncall f\n"
        + ".globl __SCT__key, __SCK__key\n__SCT__key: ret\n.data\n.balign 8\n__SCK__key: .quad 0\n",
      for: .x86_64, with: .gnu, name: "other.o")
    for (object, copies) in [(theirs, 2), (ours, 1)] {
      let image = scratch.file("image")
      // All code is one section in the image: its inline functions are told by a linker map.
      let map = try await require("ld", ["-M", "-o", image, other, object])
      let kept = map.components(separatedBy: "Linker script and memory map").last ?? ""
      let count = kept.split(separator: "\n", omittingEmptySubsequences: true).filter {
        $0.hasPrefix(" .text.inline") && !$0.contains(" 0x0 ")
      }.count
      #expect(count == copies, "\(object)\n\(kept)")
    }
  }

  /// lld folds identical functions unless `.llvm_addrsig` says that a function's address is compared.
  @Test func theAddressTableFollowsItsSymbols() async throws {
    let first = """
        .section .text.first, "ax"
        .globl first
        .type first, @function
      first:
        ret
        .size first, . - first
        .addrsig
        .addrsig_sym first
      """
    let (theirs, ours) = try await annotate(source(first: first), with: .clang)
    #expect(try addressTable(of: theirs) != ["first"])
    #expect(try addressTable(of: ours) == ["first"])
  }

  /// The symbols that `.llvm_addrsig` names. Each number takes one byte in an object as small as these.
  private func addressTable(of object: String) throws -> [String] {
    let elf = try ElfBytes(file: object)
    return elf.contents(ofSection: try elf.section(".llvm_addrsig")).map { elf.name(ofSymbol: Int($0)) }
  }

  /// A call inside a COMDAT group: a table outside the group points into the copy that the linker discards.
  @Test func aCallInAGroupIsNoReasonToBreakTheLink() async throws {
    let function = Self.inline.replacing("  ret", with: "  call __SCT__key\n  ret")
    var (theirs, ours): ([String], [String]) = ([], [])
    for (name, rest) in [("one", ""), ("two", "\n.text\n.globl g\ng: ret\n")] {
      let object = try await scratch.assemble(
        function + "\n.data\n.quad __SCK__key\n" + rest, for: .x86_64, with: .gnu, name: "\(name).o")
      ours.append(try scratch.copy(object, to: "\(name).staticcall.o"))
      theirs.append(object)
      #expect(try await staticcall("annotate", ours[ours.count - 1]).status == 0)
      #expect(try await Objtool.annotate(object).status == 0)
    }
    let linked = scratch.file("linked.o")
    let link = try await run("ld", ["-r", "-o", linked] + theirs)
    #expect(link.status == 1)
    #expect(link.errors.contains("discarded section"))
    try await require("ld", ["-r", "-o", linked] + ours)
    #expect(try await staticcall("verify", "-v", linked).output == "1 object, 1 table entry: all is well\n")
  }
}
