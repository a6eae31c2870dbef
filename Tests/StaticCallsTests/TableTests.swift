import StaticCalls
import TestSupport
import Testing

/// What is written, and what becomes of a table that is there already.
@Suite struct TableTests {
  /// Two calls and a tail call of two static calls.
  private static let caller = """
    .globl caller
    caller: CALL __SCT__a
    CALL __SCT__b
    JUMP __SCT__a
    .data
    .quad __SCK__a, __SCK__b
    """

  private static func expected(_ target: Target, from offset: Int = 0) -> [SiteEntry] {
    func site(_ number: Int) -> String { ".text+0x" + String(offset + number * target.branchSize, radix: 16) }
    return [
      SiteEntry(site(0), "__SCK__a", 0), SiteEntry(site(1), "__SCK__b", 0), SiteEntry(site(2), "__SCK__a", 1),
    ]
  }

  @Test(arguments: Target.allCases)
  func theTableIsAsTheKernelExpectsIt(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: Self.caller, for: target)
    let annotation = try #require(annotate(object).annotation)
    #expect(annotation.change == .written)
    #expect((annotation.entries, annotation.keys, annotation.added) == (3, 2, 3))
    #expect(try table(of: object) == Self.expected(target))
    let elf = try ElfBytes(file: object)
    let section = try elf.section(".static_call_sites")
    #expect(elf[section: section, .type] == 1, "SHT_PROGBITS")
    #expect(elf[section: section, .flags] == 3, "SHF_WRITE and SHF_ALLOC")
    #expect(elf[section: section, .entrySize] == 8)
    #expect(elf[section: section, .alignment] == 4)
    #expect(elf.contents(ofSection: section).allSatisfy { $0 == 0 })
    #expect(try verify(object) == [])
  }

  @Test(arguments: Target.allCases)
  func theOrderIsBySectionIndexThenOffset(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        .section .text.late,"ax",%progbits
        CALL __SCT__a
        .section .text.later,"ax",%progbits
        CALL __SCT__a
        .section .text.late
        CALL __SCT__a
        .text
        CALL __SCT__a
        .data
        .quad __SCK__a
        """, for: target)
    #expect(annotate(object).annotation?.entries == 4)
    let second = ".text.late+0x\(target.branchSize)"
    #expect(try table(of: object).map(\.site) == [".text+0x0", ".text.late+0x0", second, ".text.later+0x0"])
  }

  @Test(arguments: Target.allCases)
  func anObjectWithoutStaticCallsGetsNoTable(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: "CALL f\n.data\n.quad __SCT__a, __SCK__a", for: target)
    let before = try Fingerprint(object)
    #expect(annotate(object).annotation?.change == .noStaticCalls)
    #expect(try Fingerprint(object) == before)
  }

  static let linkers: [(Target, String)] = [
    (.x86_64, "ld"), (.x86_64, "ld.lld"), (.x86_64, "mold"), (.aarch64, "aarch64-linux-gnu-ld"), (.aarch64, "ld.lld"),
  ].filter { tool($0.1) != nil }

  @Test(.enabled(if: !linkers.isEmpty, "no linker is installed"), arguments: linkers)
  func whatIsMissingAfterCombiningIsAdded(_ target: Target, _ linker: String) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(portable: Self.caller, for: target, name: "a.o")
    let second = try await scratch.assemble(
      portable: Self.caller.split(separator: "\n").filter { !$0.contains(".globl") }.joined(separator: "\n"),
      for: target, name: "b.o")
    #expect(annotate(first).annotation?.change == .written)
    let object = try await scratch.combine([first, second], with: linker)
    #expect(try verify(object) == [.missingEntry, .missingEntry, .missingEntry])
    let annotation = try #require(annotate(object).annotation)
    #expect(annotation.change == .written)
    #expect((annotation.entries, annotation.added) == (6, 3))
    // The second .text stands behind the first one, aligned to 4 as the assembler asks for.
    let start = (3 * target.branchSize + 3) / 4 * 4
    let sites = try table(of: object).map(\.site)
    #expect(sites == (Self.expected(target) + Self.expected(target, from: start)).map(\.site))
    #expect(try verify(object) == [])
    let before = try Fingerprint(object)
    #expect(annotate(object).annotation?.change == .upToDate)
    #expect(try Fingerprint(object) == before)
  }

  @Test(arguments: Target.allCases)
  func twoAnnotatedObjectsCombineToACompleteTable(_ target: Target) async throws {
    let scratch = try Scratch()
    var objects: [String] = []
    for name in ["a", "b"] {
      let source = Self.caller.split(separator: "\n").filter { !$0.contains(".globl") }.joined(separator: "\n")
      objects.append(try await scratch.assemble(portable: source, for: target, name: "\(name).o"))
    }
    for object in objects { #expect(annotate(object).annotation?.change == .written) }
    let object = try await scratch.combine(objects)
    let before = try Fingerprint(object)
    #expect(annotate(object).annotation?.change == .upToDate)
    #expect(annotate(object).annotation?.entries == 6)
    #expect(try Fingerprint(object) == before)
  }

  /// `ld -r` drops the entry size, and objtool writes tables with alignment 1: such a table is as good.
  @Test(arguments: Target.allCases, [(entrySize: 0, alignment: 4), (8, 1), (0, 1), (8, 8)])
  func otherEntrySizesAndAlignmentsAreAccepted(
    _ target: Target, _ header: (entrySize: UInt64, alignment: UInt64)
  ) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: Self.caller, for: target)
    #expect(annotate(object).annotation?.change == .written)
    var elf = try ElfBytes(file: object)
    let section = try elf.section(".static_call_sites")
    elf[section: section, .entrySize] = header.entrySize
    elf[section: section, .alignment] = header.alignment
    try scratch.write(elf.bytes, to: "test.o")
    let before = try Fingerprint(object)
    #expect(annotate(object).annotation?.change == .upToDate)
    #expect(try verify(object) == [])
    #expect(try Fingerprint(object) == before)
  }

  /// The caller above with entries written by hand.
  private static func tableText(_ lines: String) -> String {
    """
    \(caller)
    .section .static_call_sites,"aw",%progbits
    \(lines)
    """
  }

  @Test(arguments: Target.allCases)
  func aTableInTwoSectionsCounts(_ target: Target) async throws {
    let scratch = try Scratch()
    let size = target.branchSize
    let object = try await scratch.assemble(
      portable: Self.tableText(
        """
        .long caller - ., __SCK__a - .
        .section .static_call_sites,"aw",%progbits,unique,1
        .long caller + \(size) - ., __SCK__b - .
        .long caller + \(2 * size) - ., __SCK__a - . + 1
        """), for: target)
    try #require(ElfBytes(file: object).siteTable() == Self.expected(target))
    let before = try Fingerprint(object)
    #expect(annotate(object).annotation?.change == .upToDate)
    #expect(try Fingerprint(object) == before)
    #expect(try verify(object) == [])
  }

  @Test(arguments: Target.allCases)
  func aTableInTwoSectionsIsCompletedInTheFirst(_ target: Target) async throws {
    let scratch = try Scratch()
    let size = target.branchSize
    let object = try await scratch.assemble(
      portable: Self.tableText(
        """
        .long caller - ., __SCK__a - .
        .section .static_call_sites,"aw",%progbits,unique,1
        .long caller + \(2 * size) - ., __SCK__a - . + 1
        """), for: target)
    let annotation = try #require(annotate(object).annotation)
    #expect((annotation.entries, annotation.added) == (3, 1))
    #expect(try table(of: object) == Self.expected(target))
    let elf = try ElfBytes(file: object)
    let sizes = (1..<elf.sectionCount).filter { elf.name(ofSection: $0) == ".static_call_sites" }
      .map { elf[section: $0, .length] }
    #expect(sizes == [24, 0])
    #expect(try verify(object) == [])
  }

  @Test(arguments: Target.allCases)
  func anEmptyTableIsFilled(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: Self.tableText(""), for: target)
    #expect(annotate(object).annotation?.added == 3)
    #expect(try table(of: object) == Self.expected(target))
  }
}
