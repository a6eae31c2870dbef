import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// The records that are borrowed from the file byte for byte must be laid out as the file is.
@Suite struct RecordTests {
  @Test func aSymbolIsLaidOutAsInTheFile() {
    #expect(MemoryLayout<Symbol>.size == Symbol.size)
    #expect(MemoryLayout<Symbol>.stride == Symbol.size)
    #expect(MemoryLayout<Symbol>.offset(of: \.nameOffset) == 0)
    #expect(MemoryLayout<Symbol>.offset(of: \.info) == 4)
    #expect(MemoryLayout<Symbol>.offset(of: \.other) == 5)
    #expect(MemoryLayout<Symbol>.offset(of: \.storedSection) == 6)
    #expect(MemoryLayout<Symbol>.offset(of: \.value) == 8)
    #expect(MemoryLayout<Symbol>.offset(of: \.size) == 16)
  }

  @Test func aRelocationIsLaidOutAsInTheFile() {
    #expect(MemoryLayout<Relocation>.size == Relocation.size)
    #expect(MemoryLayout<Relocation>.stride == Relocation.size)
    #expect(MemoryLayout<Relocation>.offset(of: \.storedOffset) == 0)
    #expect(MemoryLayout<Relocation>.offset(of: \.info) == 8)
    #expect(MemoryLayout<Relocation>.offset(of: \.addend) == 16)
  }

  @Test func aRelocationSurvivesItsOwnParts() {
    let relocation = Relocation(
      offset: SectionOffset(0x1234), type: RelocationType(0xfedc_ba98), symbol: SymbolIndex(0x7654_3210), addend: -5)
    #expect(relocation.info == 0x7654_3210_fedc_ba98)
    #expect(relocation.offset == SectionOffset(0x1234))
    #expect(relocation.type == RelocationType(0xfedc_ba98))
    #expect(relocation.symbol == SymbolIndex(0x7654_3210))
    #expect(relocation.addend == -5)
  }

  @Test(arguments: Target.allCases)
  func everySectionHeaderIsRead(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "sections.s", for: target)
    let elf = try ElfBytes(file: path)
    let object = try ObjectFile(reading: InputFile(FilePath(path)))
    let machine = object.machine.rawValue
    #expect(machine == UInt16(elf[.machine]))
    let sections = object.sections
    #expect(sections.count == elf.sectionCount)
    for (index, section) in sections.enumerated() {
      #expect(section.index == SectionIndex(index))
      let fields: [(ElfBytes.SectionField, UInt64)] = [
        (.name, UInt64(section.nameOffset)), (.type, UInt64(section.type.rawValue)), (.flags, section.flags.rawValue),
        (.address, section.address), (.offset, section.fileOffset), (.length, section.size),
        (.link, UInt64(section.link)), (.info, UInt64(section.info)), (.alignment, section.alignment),
        (.entrySize, section.entrySize),
      ]
      for (field, value) in fields { #expect(elf[section: index, field] == value, "\(field) of section \(index)") }
      let (name, contents) = (object.name(of: section.index), contents(of: section.index, in: object))
      #expect(name == elf.name(ofSection: index))
      #expect(contents == Array(elf.contents(ofSection: index)))
    }
  }

  @Test(arguments: Target.allCases)
  func everySymbolIsRead(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "sections.s", for: target)
    let elf = try ElfBytes(file: path)
    let object = try ObjectFile(reading: InputFile(FilePath(path)))
    let found = object.symbolTable
    let table = try #require(found)
    #expect(table.count == elf.symbolCount)
    #expect(table.firstGlobal == Int(elf[section: elf.symbolTable, .info]))
    for index in 0..<elf.symbolCount {
      let symbol = object.symbol(SymbolIndex(index))
      let fields: [(ElfBytes.SymbolField, UInt64)] = [
        (.name, UInt64(symbol.nameOffset)), (.info, UInt64(symbol.info)), (.other, UInt64(symbol.other)),
        (.section, UInt64(symbol.storedSection)), (.value, symbol.value), (.length, symbol.size),
      ]
      for (field, value) in fields { #expect(elf[symbol: index, field] == value, "\(field) of symbol \(index)") }
    }
    let (f, spare, g) = (try elf.symbol("f"), try elf.symbol("spare"), try elf.symbol("g"))
    let (function, weak) = (object.symbol(SymbolIndex(f)), object.symbol(SymbolIndex(spare)))
    #expect(function.binding == .global)
    #expect(function.type == .function)
    #expect(weak.binding == .weak)
    let places = [f, g].map { object.place(of: object.symbol(SymbolIndex($0)), at: SymbolIndex($0)) }
    #expect(places == [.section(SectionIndex(try elf.section(".text"))), .undefined])
  }

  @Test(arguments: Target.allCases)
  func everyRelocationIsRead(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "sections.s", for: target)
    let elf = try ElfBytes(file: path)
    let object = try ObjectFile(reading: InputFile(FilePath(path)))
    for (name, count) in [(".rela.text", 2), (".rela.data", 1), (".rela.text.shared", 1)] {
      let section = try elf.section(name)
      let relocations = try relocations(in: SectionIndex(section), of: object)
      #expect(relocations.count == count)
      for (index, relocation) in relocations.enumerated() {
        let fields: [(ElfBytes.RelocationField, UInt64)] = [
          (.offset, relocation.storedOffset), (.type, UInt64(relocation.type.rawValue)),
          (.symbol, UInt64(relocation.symbol.rawValue)), (.addend, UInt64(bitPattern: relocation.addend)),
        ]
        for (field, value) in fields {
          #expect(elf[relocation: index, of: section, field] == value, "\(field) of relocation \(index) of \(name)")
        }
      }
      let tables = object.relocationSections(of: SectionIndex(Int(elf[section: section, .info])))
      #expect(tables == [SectionIndex(section)])
    }
    let without = object.relocationSections(of: SectionIndex(try elf.section(".bss")))
    #expect(without == [])
  }

  @Test(arguments: Target.allCases)
  func aGroupListsItsMembers(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(fixture: "sections.s", for: target)
    let elf = try ElfBytes(file: path)
    let object = try ObjectFile(reading: InputFile(FilePath(path)))
    let groups = object.groups
    #expect(groups.count == 1)
    let group = try #require(groups.first)
    #expect(group.section == SectionIndex(try elf.section(".group")))
    #expect(group.isComdat)
    let members = [SectionIndex(try elf.section(".text.shared")), SectionIndex(try elf.section(".rela.text.shared"))]
    #expect(group.members == members)
  }
}

func contents(of section: SectionIndex, in object: borrowing ObjectFile) -> [UInt8] {
  object.withContents(of: section) { span in span.indices.map { span[$0] } }
}

func relocations(
  in section: SectionIndex, of object: borrowing ObjectFile
) throws(ObjectFileError) -> [Relocation] {
  try object.withRelocations(in: section) { span in span.indices.map { span[$0] } }
}
