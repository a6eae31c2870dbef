import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// From section 0xff00 on the numbers do not fit the fields that hold them, and stand elsewhere.
@Suite(
  .enabled(if: Target.haveAllTools, "the GNU tools for both machines and ld.lld are not all installed"), .serialized)
struct ManySectionsTests {
  /// 0xff00 headers are the first number that takes extended numbering.
  @Test(arguments: [
    (0xfeff, Target.x86_64, Assembler.clang), (0xff00, .x86_64, .gnu), (0xff00, .aarch64, .clang),
    (0xff01, .x86_64, .clang),
  ])
  func theNumberOfSectionsMayGrowPastTheLimit(
    _ count: Int, _ target: Target, _ assembler: Assembler
  ) async throws {
    let scratch = try Scratch()
    let path = try await emptySections(count - 2, scratch, target, assembler)
    var plan = EditPlan()
    plan.addedSections = [addedSection(".added", target, [(try ElfBytes(file: path).reference("first"), 0)])]
    let edited = try EditedFile(plan, of: path, target)
    #expect(edited.after[.sectionCount] == (count < 0xff00 ? UInt64(count) : 0))
    #expect(edited.after[section: 0, .length] == (count < 0xff00 ? 0 : UInt64(count)))
    #expect(edited.after.sectionCount == count)
    #expect(edited.after.name(ofSection: count - 2) == ".added")
    #expect(edited.after.name(ofSection: count - 1) == ".rela.added")
    #expect(edited.after[section: count - 1, .info] == UInt64(count - 2))
    #expect(edited.after.sections(ofType: 18) == [])
    edited.expectSameHeaders()
    try await edited.expectKeptSymbols(added: 0)
    try await edited.expectAccepted(showing: "-SW")
    #expect(readError(at: edited.afterPath) == nil)
  }

  /// GNU's assembler writes the table in any object with so many sections.
  @Test(arguments: Target.allCases)
  func aSymbolInAHighSectionBringsTheTableOfIndexes(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await emptySections(0xff00 + 20, scratch, target, .clang)
    let elf = try ElfBytes(file: path)
    try #require(elf.sections(ofType: 18) == [])
    let (low, high) = (0xfe00, 0xff00)
    var plan = EditPlan()
    plan.localSymbols = [high, low].map { NewSymbol(name: [], type: .section, section: SectionIndex($0)) }
    plan.globalSymbols = [NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil)]
    plan.addedSections = [addedSection(".added", target, [(.newLocal(0), 4), (.newLocal(1), 5), (.newGlobal(0), 6)])]
    let edited = try EditedFile(plan, of: path, target)
    let tables = edited.after.sections(ofType: 18)
    #expect(tables.count == 1)
    let table = try #require(tables.first)
    #expect(edited.after[section: table, .length] == UInt64(4 * edited.after.symbolCount))
    #expect(edited.after[section: table, .link] == UInt64(edited.after.symbolTable))
    let first = Int(elf[section: elf.symbolTable, .info])
    #expect(edited.after.places(of: [first, first + 1, edited.after.symbolCount - 1]) == [high, low, 0])
    edited.expectSameHeaders(except: [elf.symbolTable])
    try await edited.expectKeptSymbols(added: 3)
    try await edited.expectAccepted(showing: "-SW")
    #expect(readError(at: edited.afterPath) == nil)
  }

  @Test(arguments: [(Target.x86_64, Assembler.gnu), (.aarch64, .clang)])
  func symbolsInHighSectionsKeepTheirPlaces(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    // Each section has a relocation section beside it. All relocations name the symbol that has to move.
    let source =
      ".globl first\nfirst: .quad 0\n"
      + (0..<33_000).map { ".section .s\($0),\"ax\"\n.globl g\($0)\ng\($0): .quad first\n" }.joined()
    let path = try await scratch.assemble(source, for: target, with: assembler)
    let elf = try ElfBytes(file: path)
    let table = try #require(elf.sections(ofType: 18).first)
    let firstGlobal = Int(elf[section: elf.symbolTable, .info])
    try #require(elf.name(ofSymbol: firstGlobal) == "first")
    let high = try #require((0xff00..<elf.sectionCount).first { elf[section: $0, .type] == 1 })
    var plan = EditPlan()
    plan.localSymbols = [NewSymbol(name: [], type: .section, section: SectionIndex(high))]
    plan.globalSymbols = [NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil)]
    plan.addedSections = [addedSection(".added", target, [(.newLocal(0), 4), (.newGlobal(0), 6)])]
    let edited = try EditedFile(plan, of: path, target)
    let new = edited.after
    #expect(new.sections(ofType: 18) == [table])
    #expect(new[section: table, .length] == UInt64(4 * new.symbolCount))
    let moved = elf.symbolCount
    #expect(new.name(ofSymbol: moved) == "first")
    #expect(new.places(of: [firstGlobal, moved, moved + 1]) == [high, elf.places(of: [firstGlobal])[0], 0])
    let relocations = new.sections(ofType: 4).filter { $0 < elf.sectionCount }
    #expect(relocations.count == 33_000)
    #expect(relocations.allSatisfy { new[relocation: 0, of: $0, .symbol] == UInt64(moved) })
    edited.expectSameHeaders(except: [elf.symbolTable, table])
    try await edited.expectKeptSymbols(added: 2)
    try await edited.expectAccepted(showing: "-SW")
    #expect(readError(at: edited.afterPath) == nil)
  }

  /// An object with exactly `count` section headers, most of them of empty sections, and all symbols in low sections.
  private func emptySections(
    _ count: Int, _ scratch: Scratch, _ target: Target, _ assembler: Assembler
  ) async throws -> String {
    func assemble(_ number: Int) async throws -> String {
      let sections = (0..<number).map { ".section .s\($0),\"ax\"\n" }.joined()
      return try await scratch.assemble(
        ".globl first\nfirst: .quad 0\n\(sections)", for: target, with: assembler, name: "\(number).o")
    }
    let others = try ElfBytes(file: await assemble(1)).sectionCount - 1
    let path = try await assemble(count - others)
    try #require(try ElfBytes(file: path).sectionCount == count)
    return path
  }
}

extension ElfBytes {
  func sections(ofType type: UInt64) -> [Int] { (1..<sectionCount).filter { self[section: $0, .type] == type } }

  /// The sections that symbols are defined in, extended numbering resolved.
  func places(of symbols: [Int]) -> [Int] {
    let table = sections(ofType: 18).first
    return symbols.map { symbol in
      guard self[symbol: symbol, .section] == 0xffff, let table else { return Int(self[symbol: symbol, .section]) }
      return Int(number(at: offset(ofSection: table) + 4 * symbol, 4))
    }
  }
}

extension EditedFile {
  /// Expects that the headers of all old sections are the same, but for those that hold names and for `except`.
  func expectSameHeaders(except: Set<Int> = []) {
    let names = before[.sectionNames] == 0xffff ? before[section: 0, .link] : before[.sectionNames]
    let changing = except.union([Int(names), Int(before[section: before.symbolTable, .link])])
    let (old, new) = (Int(before[.sectionTable]), Int(after[.sectionTable]))
    let differing = (1..<before.sectionCount).filter { index in
      !changing.contains(index)
        && before.bytes[old + 64 * index..<old + 64 * index + 64]
          != after.bytes[new + 64 * index..<new + 64 * index + 64]
    }
    #expect(differing == [])
  }
}
