import StaticCalls
import TestSupport
import Testing

/// Tables that annotate would not make: refused with the reason, replaced on request.
@Suite struct StaleTableTests {
  struct Stale: CustomStringConvertible, Sendable {
    var description: String
    /// The table, for a caller with a call of `a`, a return and a tail call of `b`.
    var table: String
    var messages: [String]

    init(_ description: String, _ table: String, _ messages: String...) {
      self.description = description
      self.table = table
      self.messages = messages
    }
  }

  /// Entries are numbered from 0; `RETURN` and `TAIL` are the second and third instruction.
  private static let right = ".long CALLER - ., __SCK__a - .\n.long TAIL - ., __SCK__b - . + 1"

  static let cases = [
    Stale(
      "no branch there", "\(right)\n.long RETURN - ., __SCK__a - .",
      "entry 2 of the existing table does not fit the code: no direct call of a trampoline is there"),
    Stale(
      "a call marked as a tail call", ".long CALLER - ., __SCK__a - . + 1",
      "entry 0 of the existing table does not fit the code: its flags are 1, and the branch is a call"),
    Stale(
      "a tail call marked as a call", ".long TAIL - ., __SCK__b - .",
      "entry 0 of the existing table does not fit the code: its flags are 0, and the branch is a tail call"),
    Stale(
      "the runtime's flag", ".long CALLER - ., __SCK__a - . + 2",
      "entry 0 of the existing table does not fit the code: its flags are 2, and the branch is a call"),
    Stale(
      "another key", ".long CALLER - ., __SCK__b - .",
      "entry 0 of the existing table does not fit the code: "
        + "it names another key than the branch's trampoline has"),
    Stale(
      "a duplicate", "\(right)\n.long CALLER - ., __SCK__a - .",
      "entry 2 of the existing table does not fit the code: the same site has an entry before it"),
    Stale(
      "no key", ".long CALLER - ., 0\n.long TAIL - ., __SCK__b - . + 1",
      "entry 0 of the existing table does not fit the code: its key has no relocation"),
    Stale(
      "no address", ".long 0, __SCK__a - .",
      "entry 0 of the existing table does not fit the code: its address has no relocation"),
    Stale(
      "neither", ".long 0, 0",
      "entry 0 of the existing table does not fit the code: its key has no relocation"),
    Stale(
      "past the end of the code", ".long CALLER + 0x1000 - ., __SCK__a - .",
      "entry 0 of the existing table does not fit the code: its address lies outside section .text"),
    Stale(
      "before the code", ".long CALLER - 8 - ., __SCK__a - .",
      "entry 0 of the existing table does not fit the code: its address lies outside section .text"),
    Stale(
      "an undefined symbol", ".long elsewhere - ., __SCK__a - .",
      "entry 0 of the existing table does not fit the code: "
        + "its address refers to a symbol that is not defined in this object"),
    Stale(
      "two of them", ".long RETURN - ., __SCK__a - .\n.long CALLER - ., __SCK__b - .",
      "entry 0 of the existing table does not fit the code: no direct call of a trampoline is there",
      "entry 1 of the existing table does not fit the code: "
        + "it names another key than the branch's trampoline has"),
  ]

  private func object(_ table: String, _ target: Target, _ scratch: Scratch) async throws -> String {
    let (step, gap) = (target.branchSize, target == .x86_64 ? 1 : 4)
    return try await scratch.assemble(
      portable: """
        .globl CALLER
        CALLER: CALL __SCT__a
        ret
        JUMP __SCT__b
        .set RETURN, CALLER + \(step)
        .set TAIL, CALLER + \(step + gap)
        .data
        .quad __SCK__a, __SCK__b
        .section .static_call_sites,"aw",%progbits
        .p2align 2
        \(table)
        """, for: target)
  }

  @Test(arguments: Target.allCases, cases)
  func staleEntriesAreRefusedAndListed(_ target: Target, _ stale: Stale) async throws {
    let scratch = try Scratch()
    let object = try await object(stale.table, target, scratch)
    let before = try Fingerprint(object)
    let attempt = annotate(object)
    #expect(Set(attempt.codes) == [.staleTable])
    #expect(attempt.messages == stale.messages)
    #expect(try Fingerprint(object) == before)
  }

  @Test(arguments: Target.allCases, cases)
  func rebuildingReplacesThem(_ target: Target, _ stale: Stale) async throws {
    let scratch = try Scratch()
    let object = try await object(stale.table, target, scratch)
    let annotation = try #require(annotate(object) { $0.rebuildsTable = true }.annotation)
    #expect(annotation.change == .written)
    #expect(annotation.removed == stale.messages.count)
    #expect(try verify(object) == [])
    #expect(try table(of: object).map(\.key) == ["__SCK__a", "__SCK__b"])
    #expect(annotate(object) { $0.rebuildsTable = true }.annotation?.change == .upToDate)
  }

  @Test(arguments: Target.allCases)
  func aLongListIsCutShort(_ target: Target) async throws {
    let scratch = try Scratch()
    let table = Array(repeating: ".long RETURN - ., __SCK__a - .", count: 25).joined(separator: "\n")
    let messages = annotate(try await object(table, target, scratch)).messages
    #expect(messages.count == 11)
    #expect(messages.last == "and 15 entries more")
  }

  /// What objtool leaves behind where a key is missing: the relocation of the key slot is there, with the type that does
  /// nothing.
  @Test(arguments: Target.allCases)
  func aHalfFilledEntryIsRefused(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await object(Self.right, target, scratch)
    var elf = try ElfBytes(file: object)
    let relocations = try elf.section(".rela.static_call_sites")
    elf[relocation: 1, of: relocations, .type] = 0
    elf[relocation: 1, of: relocations, .symbol] = 0
    try scratch.write(elf.bytes, to: "test.o")
    let attempt = annotate(object)
    #expect(attempt.codes == [.staleTable])
    #expect(
      attempt.messages.first?.hasSuffix(
        "its key has no relocation any more (R_*_NONE): what it named was discarded") == true)
    #expect(annotate(object) { $0.rebuildsTable = true }.annotation?.change == .written)
    #expect(try verify(object) == [])
  }

  /// A relocation that fills a 64-bit field would overwrite the key with the address.
  @Test func aRelocationOfAnotherTypeIsRefused() async throws {
    let scratch = try Scratch()
    let object = try await object(".reloc ., R_X86_64_PC64, CALLER\n.long 0, __SCK__a - .", .x86_64, scratch)
    #expect(annotate(object).messages.first?.hasSuffix("its address has a relocation of type 24, not 2") == true)
  }

  @Test(arguments: Target.allCases)
  func rebuildingCanLeaveNothing(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALLER: ret
        .section .static_call_sites,"aw",%progbits
        .long CALLER - ., __SCK__a - .
        """, for: target)
    #expect(annotate(object).codes == [.staleTable])
    let annotation = try #require(annotate(object) { $0.rebuildsTable = true }.annotation)
    #expect((annotation.entries, annotation.removed) == (0, 1))
    #expect(
      annotation.left.map(\.message) == [
        "nothing is left of the existing table's entries: no symbol begins with __SCT__"
      ])
    #expect(try table(of: object) == [])
    #expect(try verify(object) == [])
  }

  struct Header: CustomStringConvertible, Sendable {
    var description: String
    var section: String
    var code: Code
  }

  @Test(
    arguments: Target.allCases,
    [
      Header(description: "of no bytes in the file", section: #""aw",%nobits"#, code: .tableSection),
      Header(description: "not loaded", section: #""w",%progbits"#, code: .tableSection),
      Header(description: "of larger entries", section: #""awM",%progbits,16"#, code: .tableSection),
      Header(description: "bound to a section", section: #""ao",%progbits,.text"#, code: .foreignTable),
    ])
  func tableSectionsOfOtherKindsAreRefused(_ target: Target, _ header: Header) async throws {
    let scratch = try Scratch()
    let contents = header.section.contains("nobits") ? ".zero 8" : ".long CALLER - ., __SCK__a - ."
    let object = try await scratch.assemble(
      portable: """
        CALLER: CALL __SCT__a
        .data
        .quad __SCK__a
        .section .static_call_sites,\(header.section)
        \(contents)
        """, for: target)
    let before = try Fingerprint(object)
    #expect(annotate(object).codes.contains(header.code))
    #expect(try Fingerprint(object) == before)
  }

  /// Flags that are faults by themselves are not carried over.
  @Test(arguments: Target.allCases, [#""awT",%progbits"#, #""awe",%progbits"#, #""awM",%progbits,8"#])
  func rebuildingMakesTheSectionAsItMustBe(_ target: Target, _ section: String) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALLER: CALL __SCT__a
        .data
        .p2align 3
        .quad __SCK__a
        .section .static_call_sites,\(section)
        .p2align 2
        .long CALLER - ., __SCK__a - .
        """, for: target)
    #expect(annotate(object).codes.contains(.tableSection))
    #expect(annotate(object) { $0.rebuildsTable = true }.annotation?.change == .written)
    #expect(try verify(object) == [])
    #expect(annotate(object).annotation?.change == .upToDate)
  }

  @Test(arguments: Target.allCases)
  func aTableOfNoWholeNumberOfEntriesIsRefused(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await object("\(Self.right)\n.long 0", target, scratch)
    let attempt = annotate(object)
    #expect(attempt.codes == [.tableSection])
    #expect(attempt.messages == ["the table takes 20 bytes, which is no whole number of 8-byte entries"])
    #expect(annotate(object) { $0.rebuildsTable = true }.annotation?.change == .written)
    #expect(try verify(object) == [])
  }
}
