import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Edits that know nothing of static calls: what is old stays, what is new is there, and other tools agree.
@Suite(.enabled(if: Target.haveAllTools, "the GNU tools for both machines and ld.lld are not all installed"))
struct EditTests {
  @Test(arguments: Target.allCases, Assembler.allCases)
  func aSectionWithRelocationsIsAppended(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
    let elf = try ElfBytes(file: path)
    var plan = EditPlan()
    plan.addedSections = [
      addedSection(".added", target, [(try elf.reference("f"), 0), (try elf.reference("inner"), -7)])
    ]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound()
    #expect(edited.after.sectionCount == elf.sectionCount + 2)
    let added = elf.sectionCount
    #expect(edited.after.name(ofSection: added) == ".added")
    #expect(edited.after[section: added, .type] == 1)
    #expect(edited.after[section: added, .flags] == 3)
    #expect(edited.after[section: added, .alignment] == 8)
    #expect(edited.after[section: added, .entrySize] == 8)
    #expect(edited.after[section: added, .offset] % 8 == 0)
    #expect(Array(edited.after.contents(ofSection: added)) == [UInt8](repeating: 0, count: 16))
    #expect(edited.after.name(ofSection: added + 1) == ".rela.added")
    #expect(edited.after[section: added + 1, .flags] == 0x40)
    #expect(edited.after[section: added + 1, .info] == UInt64(added))
    #expect(try edited.newRelocations(in: ".rela.added") == ["0 f 0", "8 inner -7"])
  }

  /// What readelf prints of the group is compared with what it printed before, with two more members at its end.
  @Test(arguments: Target.allCases, Assembler.allCases)
  func aSectionJoinsAGroup(_ target: Target, _ assembler: Assembler) async throws {
    for movesSignature in [false, true] { try await expectThatASectionJoinsAGroup(target, assembler, movesSignature) }
  }

  private func expectThatASectionJoinsAGroup(
    _ target: Target, _ assembler: Assembler, _ movesSignature: Bool
  ) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
    let elf = try ElfBytes(file: path)
    let group = SectionIndex(try elf.section(".group"))
    let text = SectionIndex(try elf.section(".text.shared"))
    var plan = EditPlan()
    if movesSignature { plan.localSymbols = [try elf.newSectionSymbol(".text.shared")] }
    var added = addedSection("added", target, [(try elf.reference("f"), 0)])
    added.group = group
    added.flags.insert(.linkOrder)
    added.link = text
    plan.addedSections = [added, addedSection("other", target, [])]
    try carryOut(plan, on: path, to: "\(path).edited")

    let after = try ElfBytes(file: "\(path).edited")
    let (section, relocations) = (elf.sectionCount, elf.sectionCount + 1)
    #expect(after[section: section, .flags] == 0x283, "SHF_WRITE, SHF_ALLOC, SHF_LINK_ORDER and SHF_GROUP")
    #expect(after[section: section, .link] == UInt64(text.rawValue))
    #expect(after[section: relocations, .flags] == 0x240)
    #expect(after[section: relocations + 1, .flags] == 3)
    func member(_ index: Int) -> String {
      let number = String(index)
      return "   [\(String(repeating: " ", count: 5 - number.count))\(number)]   \(after.name(ofSection: index))\n"
    }
    let old = try await require(target.readelf, ["-gW", path])
    let new = try await require(target.readelf, ["-gW", "\(path).edited"])
    #expect(
      new == old.replacing("contains 2 sections", with: "contains 4 sections") + member(section) + member(relocations))
  }

  @Test(arguments: Target.allCases, Assembler.allCases)
  func severalSectionsAreAppendedInOrder(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
    let elf = try ElfBytes(file: path)
    var plan = EditPlan()
    plan.addedSections = [
      addedSection(".added.1", target, [(try elf.reference("g"), 1)]), addedSection(".added.2", target, []),
      addedSection(".added", target, [(try elf.reference("h"), 3)]),
    ]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound()
    let names = (elf.sectionCount..<edited.after.sectionCount).map { edited.after.name(ofSection: $0) }
    #expect(names == [".added.1", ".rela.added.1", ".added.2", ".added", ".rela.added"])
    #expect(try edited.newRelocations(in: ".rela.added") == ["0 h 3"])
  }

  @Test(arguments: Target.allCases, Assembler.allCases)
  func aGlobalSymbolIsAppended(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
    let elf = try ElfBytes(file: path)
    var plan = EditPlan()
    plan.globalSymbols = [
      NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil),
      NewSymbol(
        name: Array("defined".utf8), type: .object, section: SectionIndex(try elf.section(".data"))),
    ]
    plan.addedSections = [addedSection(".added", target, [(.newGlobal(1), 2), (.newGlobal(0), 1)])]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound(newSymbols: 2)
    let (fresh, defined) = (try edited.after.symbol("fresh"), try edited.after.symbol("defined"))
    #expect(fresh == elf.symbolCount)
    #expect(edited.after[symbol: fresh, .info] == 0x10)
    #expect(edited.after[symbol: fresh, .section] == 0)
    #expect(edited.after[symbol: defined, .info] == 0x11)
    #expect(edited.after[symbol: defined, .section] == UInt64(try elf.section(".data")))
    #expect(edited.after[section: edited.after.symbolTable, .info] == elf[section: elf.symbolTable, .info])
    #expect(try edited.newRelocations(in: ".rela.added") == ["0 defined 2", "8 fresh 1"])
  }

  @Test(arguments: Target.allCases, Assembler.allCases)
  func aSectionIsReplacedWithItsRelocations(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
    let elf = try ElfBytes(file: path)
    let (data, relocations) = (try elf.section(".data"), try elf.section(".rela.data"))
    let planned = [try elf.reference("h"), try elf.reference("g")].enumerated().map { number, symbol in
      PlannedRelocation(offset: SectionOffset(16 * number), type: absolute(target), symbol: symbol, addend: 0)
    }
    var plan = EditPlan()
    plan.replacedSections = [
      ReplacedSection(
        section: SectionIndex(data), relocationSection: SectionIndex(relocations), type: .progbits, flags: .alloc,
        alignment: 16, entrySize: 16, contents: Array(0..<32), relocations: planned)
    ]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectAccepted()
    #expect(edited.after.sectionCount == elf.sectionCount)
    #expect(Array(edited.after.contents(ofSection: data)) == Array(0..<32))
    #expect(edited.after[section: data, .flags] == 2)
    #expect(edited.after[section: data, .alignment] == 16)
    #expect(edited.after[section: data, .offset] % 16 == 0)
    #expect(try edited.newRelocations(in: ".rela.data") == ["0 h 0", "16 g 0"])
    for index in 1..<elf.sectionCount where ![data, relocations].contains(index) {
      #expect(edited.after.contents(ofSection: index) == elf.contents(ofSection: index), "section \(index)")
    }
  }

  @Test(arguments: Target.allCases)
  func aReplacedSectionGetsRelocationsWhereItHadNone(_ target: Target) async throws {
    let scratch = try Scratch()
    let source = try fixtureText("sections.s") + "\n.section .plain,\"aw\"\n.quad 1\n"
    let path = try await scratch.assemble(source, for: target)
    let elf = try ElfBytes(file: path)
    var plan = EditPlan()
    plan.replacedSections = [
      ReplacedSection(
        section: SectionIndex(try elf.section(".plain")), relocationSection: nil, type: .progbits,
        flags: [.write, .alloc], alignment: 8, entrySize: 0, contents: [UInt8](repeating: 0, count: 8),
        relocations: [
          PlannedRelocation(offset: SectionOffset(0), type: absolute(target), symbol: try elf.reference("f"), addend: 4)
        ])
    ]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectAccepted()
    #expect(edited.after.sectionCount == elf.sectionCount + 1)
    #expect(try edited.newRelocations(in: ".rela.plain") == ["0 f 4"])
  }

  @Test(arguments: Target.allCases, Assembler.allCases)
  func anEmptyPlanKeepsEverything(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
    let edited = try EditedFile(EditPlan(), of: path, target)
    try await edited.expectSound()
    #expect(edited.after.sectionCount == edited.before.sectionCount)
  }

  @Test(arguments: Target.allCases)
  func bytesBehindTheLastPartStayWhereTheyAre(_ target: Target) async throws {
    let scratch = try Scratch()
    let sound = try ElfBytes(file: try await scratch.assemble(fixture: "sections.s", for: target))
    let path = try scratch.write(sound.bytes + [1, 2, 3], to: "odd.o")
    var plan = EditPlan()
    plan.addedSections = [addedSection(".added", target, [(try sound.reference("f"), 0)])]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound()
    #expect(Array(edited.after.bytes[sound.bytes.count..<sound.bytes.count + 3]) == [1, 2, 3])
  }

  @Test(arguments: Target.allCases)
  func theSamePlanGivesTheSameBytes(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "sections.s", for: target)
    let elf = try ElfBytes(file: path)
    var plan = EditPlan()
    plan.localSymbols = [try elf.newSectionSymbol(".text")]
    plan.globalSymbols = [NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil)]
    plan.addedSections = [addedSection(".added", target, [(.newLocal(0), 0), (.newGlobal(0), 0)])]
    try carryOut(plan, on: path, to: scratch.file("first.o"))
    try carryOut(plan, on: path, to: scratch.file("second.o"))
    #expect(try bytes(of: scratch.file("first.o")) == bytes(of: scratch.file("second.o")))
  }

  @Test(arguments: Target.allCases)
  func nothingIsWrittenBeforeItIsAskedFor(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "sections.s", for: target)
    let (before, files) = (try Fingerprint(path), scratch.contents)
    var plan = EditPlan()
    plan.addedSections = [addedSection(".added", target, [])]
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let count = try EditedObject(plan, of: object, from: input).object.sections.count
    #expect(count == object.sections.count + 1)
    #expect(try Fingerprint(path) == before)
    #expect(scratch.contents == files)
  }

  @Test(arguments: Target.allCases)
  func aSignedModuleIsNotEdited(_ target: Target) async throws {
    let scratch = try Scratch()
    let bytes = try await soundObject(target).bytes + Array("~Module signature appended~\n".utf8)
    #expect(editError(EditPlan(), on: try scratch.write(bytes, to: "module.ko")) == .signedModule)
  }
}
