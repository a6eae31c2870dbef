import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Local symbols stand before all others, so inserting some moves globals; whatever names those by number must follow.
@Suite(.enabled(if: Target.haveAllTools, "the GNU tools for both machines and ld.lld are not all installed"))
struct SymbolInsertionTests {
  /// Fixtures/sections.s has five global symbols: fewer, as many and more locals are inserted.
  @Test(arguments: [1, 2, 4, 5, 6, 12], Target.allCases)
  func localSymbolsAreInserted(_ count: Int, _ target: Target) async throws {
    for assembler in Assembler.allCases {
      let scratch = try Scratch()
      let path = try await scratch.assemble(try fixtureText("sections.s"), for: target, with: assembler)
      let elf = try ElfBytes(file: path)
      let sections = [".text", ".bss", ".text.shared"]
      var plan = EditPlan()
      plan.localSymbols = try (0..<count).map { try elf.newSectionSymbol(sections[$0 % sections.count]) }
      plan.globalSymbols = [NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil)]
      // Through symbols that stay, that move, and that are new.
      let names = ["inner", "f", "h"]
      plan.addedSections = [
        addedSection(
          ".added", target,
          try names.map { (try elf.reference($0), 0) } + [
            (.newLocal(0), 1), (.newLocal(count - 1), 2), (.newGlobal(0), 3),
          ])
      ]
      let edited = try EditedFile(plan, of: path, target)
      try await edited.expectSound(newSymbols: count + 1)
      let firstGlobal = elf[section: elf.symbolTable, .info]
      #expect(edited.after[section: edited.after.symbolTable, .info] == firstGlobal + UInt64(count))
      for (number, symbol) in plan.localSymbols.enumerated() {
        let index = Int(firstGlobal) + number
        #expect(edited.after[symbol: index, .info] == 3, "symbol \(index)")
        #expect(edited.after[symbol: index, .section] == UInt64(symbol.section?.rawValue ?? 0), "symbol \(index)")
      }
      let last = sections[(count - 1) % sections.count]
      let expected = ["0 inner 0", "8 f 0", "16 h 0", "24 .text 1", "32 \(last) 2", "40 fresh 3"]
      #expect(try edited.newRelocations(in: ".rela.added") == expected)
    }
  }

  @Test(arguments: Target.allCases)
  func aTableWithoutGlobalsTakesLocals(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble("f: .quad f\n.data\n.quad f\n", for: target)
    let elf = try ElfBytes(file: path)
    try #require(elf[section: elf.symbolTable, .info] == UInt64(elf.symbolCount))
    var plan = EditPlan()
    plan.localSymbols = [try elf.newSectionSymbol(".data")]
    plan.addedSections = [addedSection(".added", target, [(.newLocal(0), 8)])]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound(newSymbols: 1)
    #expect(try edited.newRelocations(in: ".rela.added") == ["0 .data 8"])
  }

  @Test(arguments: [1, 2, 3, 9], Target.allCases)
  func aGroupItsSignatureAndWhatNamesItStayTogether(_ count: Int, _ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "group-first.s", for: target)
    let elf = try ElfBytes(file: path)
    try #require(elf[section: elf.symbolTable, .info] == UInt64(try elf.symbol("signature")))
    var plan = EditPlan()
    plan.localSymbols = try (0..<count).map { _ in try elf.newSectionSymbol(".text.shared") }
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound(newSymbols: count)
    #expect(try edited.after.symbol("signature") != elf.symbol("signature"))
    let significant = try edited.after.addressSignificant()
    #expect(significant == ["caller", "signature"])
    #expect(significant == (try elf.addressSignificant()))
  }

  @Test(arguments: Target.allCases)
  func anEditedGroupIsTheSameGroupToTheLinker(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "group-first.s", for: target)
    let elf = try ElfBytes(file: path)
    var plan = EditPlan()
    plan.localSymbols = [try elf.newSectionSymbol(".text.shared")]
    let edited = try EditedFile(plan, of: path, target)
    let other = try await scratch.assemble(
      ".section .text.shared,\"axG\",%progbits,signature,comdat\n.globl signature\nsignature: .quad 0\n", for: target,
      name: "other.o")
    for program in [target.linker, "ld.lld"] {
      try await require(program, ["-r", "-o", scratch.file("linked.o"), other, edited.afterPath])
      let linked = try ElfBytes(file: scratch.file("linked.o"))
      let copies = (1..<linked.sectionCount).count { linked.name(ofSection: $0) == ".text.shared" }
      #expect(copies == 1, "\(program)")
    }
  }

  /// The numbers of a table of significant addresses are of variable length.
  @Test(arguments: Target.allCases)
  func aSignificantAddressMovesFromOneByteToTwo(_ target: Target) async throws {
    let scratch = try Scratch()
    let names = (0..<200).map { "global\($0)" }
    let source =
      names.map { ".globl \($0)\n\($0): .quad 0\n" }.joined()
      + ".addrsig\n.addrsig_sym global0\n.addrsig_sym global199\n"
    let path = try await scratch.assemble(source, for: target)
    let elf = try ElfBytes(file: path)
    let first = Int(elf[section: elf.symbolTable, .info])
    try #require(first < 128)
    var plan = EditPlan()
    plan.localSymbols = [try elf.newSectionSymbol(".text")]
    let edited = try EditedFile(plan, of: path, target)
    try await edited.expectSound(newSymbols: 1)
    let moved = elf.name(ofSymbol: first)
    #expect(try edited.after.symbol(moved) >= 128)
    #expect(try edited.after.addressSignificant() == elf.addressSignificant())
    #expect(try elf.addressSignificant().contains(moved))
  }

  @Test(arguments: Target.allCases)
  func aTableOfAnUnknownKindIsNotGuessedAt(_ target: Target) async throws {
    let scratch = try Scratch()
    var elf = try await soundObject(target)
    elf[section: try elf.section(".note.GNU-stack"), .link] = UInt64(elf.symbolTable)
    let path = try scratch.write(elf.bytes, to: "unknown.o")
    var plan = EditPlan()
    plan.localSymbols = [try elf.newSectionSymbol(".text")]
    #expect(editError(plan, on: path)?.kind == .cannotRenumber)
    plan = EditPlan()
    plan.globalSymbols = [NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil)]
    #expect(editError(plan, on: path) == nil)
  }

  @Test(arguments: [[0x80], [0xff, 0xff, 0xff, 0xff, 0x0f], [0x7f]] as [[UInt8]], Target.allCases)
  func aDamagedTableOfSignificantAddressesIsRefused(_ numbers: [UInt8], _ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(".globl f\nf: .quad 0\n.addrsig\n.addrsig_sym f\n", for: target)
    var elf = try ElfBytes(file: path)
    let table = try elf.section(".llvm_addrsig")
    elf[section: table, .offset] = UInt64(elf.bytes.count)
    elf[section: table, .length] = UInt64(numbers.count)
    try scratch.write(elf.bytes + numbers, to: "test.o")
    var plan = EditPlan()
    plan.localSymbols = [try elf.newSectionSymbol(".text")]
    #expect(editError(plan, on: path)?.kind == .damaged)
  }
}
