import StaticCalls
import TestSupport
import Testing

/// Calls that take more than a look at their relocation.
@Suite struct SiteTests {
  @Test(arguments: Target.allCases)
  func alternativesAreLeftOutUnlessAskedFor(_ target: Target) async throws {
    let scratch = try Scratch()
    let source = """
      CALL __SCT__a
      .data
      .p2align 3
      .quad __SCK__a
      .section .altinstr_replacement,"ax",%progbits
      CALL __SCT__a
      """
    let without = try await scratch.assemble(portable: source, for: target, name: "without.o")
    #expect(annotate(without).annotation?.entries == 1)
    #expect(try verify(without) == [])
    #expect(try verify(without) { $0.includesAlternatives = true } == [.missingEntry])

    let with = try await scratch.assemble(portable: source, for: target, name: "with.o")
    #expect(annotate(with) { $0.includesAlternatives = true }.annotation?.entries == 2)
    #expect(try table(of: with).map(\.site) == [".text+0x0", ".altinstr_replacement+0x0"])
    #expect(try verify(with) { $0.includesAlternatives = true } == [])
    #expect(annotate(with).codes == [.staleTable])
  }

  @Test(arguments: Target.allCases)
  func sectionsThatNeverReachTheProgramHaveNoSites(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        .section .discard.text,"ax",%progbits
        CALL __SCT__a
        .section .altinstr_aux,"ax",%progbits
        CALL __SCT__a
        .section .init.text,"ax",%progbits
        CALL __SCT__a
        .section .discarded,"ax",%progbits
        CALL __SCT__a
        .data
        .quad __SCK__a
        """, for: target)
    #expect(annotate(object).annotation?.entries == 2)
    #expect(try table(of: object).map(\.site) == [".init.text+0x0", ".discarded+0x0"])
  }

  /// Intel's processors branch to the trampoline here, AMD's to somewhere else; either way it is no site.
  @Test func anOperandSizePrefixIsNoticedWithoutRelocation() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      """
        .section .static_call.text,"ax"
      __SCT__a: ret
      caller:
        .byte 0x66, 0xe8
        .long __SCT__a - . - 4
        ret
      """, for: .x86_64)
    #expect(annotate(object).annotation?.left.map(\.code) == [.operandSizePrefix])
  }

  /// Some linkers put zeros between the code of two objects, which decode to an instruction that reaches into the next function.
  @Test(arguments: 0..<4)
  func zerosBetweenFunctionsHideNoCalls(_ count: Int) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      """
        .section .static_call.text,"ax"
      __SCT__a: ret
      first:
        call __SCT__a
        ret
        .zero \(count)
      second:
        call __SCT__a
        ret
        .data
        .quad __SCK__a
      """, for: .x86_64)
    let annotation = try #require(annotate(object).annotation)
    #expect(annotation.entries == 2)
    #expect(annotation.left == [])
  }

  @Test func codeThatCannotBeDecodedIsReported() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      """
      caller:
        call __SCT__a
        .byte 0x06, 0x07
        .byte 0xe8
        .reloc ., R_X86_64_PC32, __SCT__a - 4
        .long 0
        .data
        .p2align 3
        .quad __SCK__a
      """, for: .x86_64)
    let annotation = try #require(annotate(object).annotation)
    #expect(annotation.entries == 1)
    #expect(annotation.left.map(\.code) == [.undecoded])
    #expect(annotation.left.map(\.place) == ["caller+0x8"])
  }

  /// Where code goes on for very long without a label, decoding it would take more than the answer is worth.
  @Test(arguments: Target.allCases)
  func codeWithoutLabelsIsNotDecodedForEver(_ target: Target) async throws {
    let scratch = try Scratch()
    let use = target == .x86_64 ? ".byte 0xe8\n.reloc ., R_X86_64_PC32, __SCT__a - 4\n.long 0" : "adrp x0, __SCT__a"
    for (count, codes) in [(1000, [] as [Code]), (1 << 18, [.undecoded])] {
      let object = try await scratch.assemble(
        portable: """
          CALL __SCT__a
          .rept \(count)
          nop
          .endr
          \(use)
          .data
          .p2align 3
          .quad __SCK__a
          """, for: target)
      let annotation = try #require(annotate(object).annotation)
      #expect(annotation.left.map(\.code) == codes)
    }
  }

  @Test func overlappingBranchesAreRefused() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      """
      caller:
        .byte 0xe8
        .reloc ., R_X86_64_PLT32, __SCT__a - 4
        .byte 0xe8
        .reloc ., R_X86_64_PLT32, __SCT__b - 4
        .long 0
        .data
        .quad __SCK__a, __SCK__b
      """, for: .x86_64)
    let before = try Fingerprint(object)
    #expect(annotate(object).codes == [.overlappingSites])
    #expect(try Fingerprint(object) == before)
  }

  @Test(arguments: Target.allCases)
  func aBranchBesideATrampolineIsReported(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: "caller: CALL __SCT__a + 4\n.quad __SCK__a", for: target)
    let annotation = try #require(annotate(object).annotation)
    #expect(annotation.entries == 0)
    #expect(annotation.left.map(\.code) == [.besideTrampoline])
    #expect(annotation.left.map(\.place) == ["caller+0x0"])
  }

  /// A key in a section that is not aligned is the object's fault and not that of the tool.
  @Test(arguments: Target.allCases)
  func anUnalignedKeyIsReportedAsWhatItIs(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALL __SCT__a
        .data
        .byte 0
        __SCK__a: .quad 0
        """, for: target)
    let before = try Fingerprint(object)
    let codes = annotate(object).codes
    #expect(codes == [.keyAlignment])
    #expect(try Fingerprint(object) == before)
  }

  /// The object has neither a section symbol nor a local symbol to address the site by.
  @Test func aSectionSymbolIsInsertedWhereThereIsNoLocalSymbol() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        .globl caller
        caller: CALL __SCT__a
        JUMP other
        .data
        .p2align 3
        .globl __SCK__a
        __SCK__a: .quad other, caller
        """, for: .x86_64)
    let before = try ElfBytes(file: object)
    try #require((0..<before.symbolCount).allSatisfy { before[symbol: $0, .info] & 0xf != 3 }, "no section symbols")
    #expect(annotate(object).annotation?.entries == 1)
    #expect(try table(of: object) == [SiteEntry(".text+0x0", "__SCK__a", 0)])
    let after = try ElfBytes(file: object)
    #expect(after.symbolCount == before.symbolCount + 1)
    // Every relocation still names the symbol that it named before.
    for section in (1..<before.sectionCount).filter({ before[section: $0, .type] == 4 }) {
      let count = Int(before[section: section, .length]) / 24
      func names(_ elf: ElfBytes) -> [String] {
        (0..<count).map { elf.name(ofSymbol: Int(elf[relocation: $0, of: section, .symbol])) }
      }
      #expect(names(after) == names(before))
    }
    #expect(try verify(object) == [])
  }
}
