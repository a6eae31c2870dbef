import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// An edited table of relocations is in ascending order of offset if it was before; records of one offset keep their order.
@Suite struct RelocationOrderTests {
  /// Six fields of four bytes, with a relocation each.
  private static let source = ".text\n" + String(repeating: ".long target - .\n", count: 6)

  private func edited(_ target: Target, isAscending: Bool) async throws -> [(offset: Int, addend: Int)] {
    let scratch = try Scratch()
    let path = try await scratch.assemble(portable: Self.source, for: target)
    var before = try ElfBytes(file: path)
    let table = try before.section(".rela.text")
    if !isAscending {
      for (number, offset) in [20, 0, 4, 8, 12, 16].enumerated() {
        before[relocation: number, of: table, .offset] = UInt64(offset)
      }
      try scratch.write(before.bytes, to: "test.o")
    }
    let record = (before[relocation: 0, of: table, .type], before[relocation: 0, of: table, .symbol])
    func planned(_ offset: Int, _ addend: Int64) -> PlannedRelocation {
      PlannedRelocation(
        offset: SectionOffset(offset), type: RelocationType(UInt32(record.0)),
        symbol: .existing(SymbolIndex(Int(record.1))), addend: addend)
    }
    var edit = EditedRelocations(table: SectionIndex(table))
    edit.changed = [0: planned(12, 100)]
    edit.removed = [2]
    edit.added = [planned(4, 101), planned(0, 102), planned(20, 103)]
    var plan = EditPlan()
    plan.editedRelocations = [edit]
    try carryOut(plan, on: path, to: "\(path).edited")
    let after = try ElfBytes(file: "\(path).edited")
    let count = after.contents(ofSection: table).count / 24
    return (0..<count).map {
      (
        Int(after[relocation: $0, of: table, .offset]),
        Int(Int64(bitPattern: after[relocation: $0, of: table, .addend]))
      )
    }
  }

  @Test(arguments: Target.allCases)
  func anAscendingTableStaysSo(_ target: Target) async throws {
    let records = try await edited(target, isAscending: true)
    #expect(records.map(\.offset) == [0, 4, 4, 12, 12, 16, 20, 20])
    #expect(records.map(\.addend) == [102, 0, 101, 100, 0, 0, 0, 103])
  }

  @Test(arguments: Target.allCases)
  func anotherKeepsItsPlaces(_ target: Target) async throws {
    let records = try await edited(target, isAscending: false)
    #expect(records.map(\.offset) == [12, 0, 4, 8, 12, 16, 0, 20])
    #expect(records.map(\.addend) == [100, 0, 101, 0, 0, 0, 102, 103])
  }
}
