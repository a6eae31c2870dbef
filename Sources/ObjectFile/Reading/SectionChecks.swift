/// The symbol table of an object, located and checked.
public struct SymbolTable: Sendable {
  public var section: SectionIndex
  /// The string table with the symbols' names.
  public var strings: SectionIndex
  /// The `SHT_SYMTAB_SHNDX` section that belongs to the table, where there is one.
  public var extendedIndexes: SectionIndex?
  /// Number of symbols, the null symbol included.
  public var count: Int
  /// Index of the first symbol that is not local (`sh_info`).
  public var firstGlobal: Int
}

/// A section group (`SHT_GROUP`).
public struct SectionGroup: Sendable {
  public var section: SectionIndex
  /// Whether the linker keeps one group of this signature and discards the others (`GRP_COMDAT`).
  public var isComdat: Bool
  public var members: [SectionIndex]
}

/// The checks between section headers and file that libelf leaves out. All work on values from the file is bounded here: no
/// two sections share bytes, so whatever is done once per byte of every section is done once per byte of the file.
struct SectionChecks {
  let sections: [Section]
  let header: Header
  let fileSize: Int

  /// Checks that every section lies in the file, that none overlaps another, and the fields that any section may have.
  func checkBounds() throws(ObjectFileError) {
    var ranges: [(start: UInt64, end: UInt64, section: Int)] = []
    ranges.reserveCapacity(sections.count)
    // All that follows passes over it, here and elsewhere (System V gABI, "Sections": index SHN_UNDEF).
    guard sections.first?.type == .null else { throw .damaged("section 0 is not the empty one that it must be") }
    for section in sections.dropFirst() {
      let index = section.index.rawValue
      guard section.link < UInt32(clamping: sections.count) else {
        throw .damaged("section \(index) is linked to section \(section.link) of \(sections.count)")
      }
      guard section.alignment & (section.alignment &- 1) == 0 || section.alignment == 0 else {
        throw .damaged("the alignment of section \(index) is \(section.alignment), not a power of two")
      }
      if section.flags.contains(.linkOrder), Int(section.link) == index {
        throw .damaged("section \(index) is to be placed behind itself")
      }
      guard section.hasFileContents else { continue }
      let (end, overflow) = section.fileOffset.addingReportingOverflow(section.size)
      guard !overflow, end <= UInt64(fileSize) else {
        throw .truncated(
          "section \(index) takes \(section.size) bytes at file offset \(hex(section.fileOffset)), past the end of the file"
        )
      }
      ranges.append((section.fileOffset, end, index))
    }
    try checkOverlaps(&ranges)
  }

  private func checkOverlaps(_ ranges: inout [(start: UInt64, end: UInt64, section: Int)]) throws(ObjectFileError) {
    let table = UInt64(header.sectionTableOffset)
    ranges.append((table, table + UInt64(header.sectionCount * Section.headerSize), -1))
    ranges.sort { ($0.start, $0.end) < ($1.start, $1.end) }
    var previous: (end: UInt64, section: Int) = (UInt64(Header.size), 0)
    for range in ranges {
      guard range.start >= previous.end else {
        throw .damaged("\(name(range.section)) overlaps \(name(previous.section))")
      }
      previous = (range.end, range.section)
    }
    func name(_ section: Int) -> String {
      switch section {
      case -1: "the section header table"
      case 0: "the ELF header"
      default: "section \(section)"
      }
    }
  }

  /// Checks that the section names are strings: a table that ends in NUL, and each name inside it.
  func checkStringTables(_ file: Span<UInt8>) throws(ObjectFileError) {
    try checkStringTable(header.sectionNames, file)
    let size = sections[header.sectionNames.rawValue].size
    for section in sections {
      guard section.nameOffset < size else {
        throw .damaged("the name of section \(section.index.rawValue) lies outside the name table")
      }
    }
    if let symbols = sections.first(where: { $0.type == .symtab }) {
      try checkStringTable(SectionIndex(Int(symbols.link)), file)
    }
  }

  private func checkStringTable(_ index: SectionIndex, _ file: Span<UInt8>) throws(ObjectFileError) {
    let section = sections[index.rawValue]
    guard section.type == .strtab, !section.flags.contains(.compressed) else {
      throw .damaged("section \(index.rawValue) is used as a string table and is none")
    }
    // Without the final NUL, a name may run on into whatever follows.
    guard section.hasFileContents, file[Int(section.fileEnd) - 1] == 0 else {
      throw .damaged("string table \(index.rawValue) does not end in NUL")
    }
  }

  /// Finds the one symbol table and checks its shape.
  func locateSymbolTable() throws(ObjectFileError) -> SymbolTable? {
    guard let table = sections.first(where: { $0.type == .symtab }) else { return nil }
    if let second = sections.first(where: { $0.type == .symtab && $0.index != table.index }) {
      throw .damaged("sections \(table.index.rawValue) and \(second.index.rawValue) are both symbol tables")
    }
    let count = try recordCount(of: table, size: Symbol.size, "symbol")
    guard count > 0, table.info >= 1, table.info <= UInt32(clamping: count) else {
      throw .damaged("the first global symbol is number \(table.info) of \(count)")
    }
    let extended = sections.first { $0.type == .symtabShndx && Int($0.link) == table.index.rawValue }
    if let extended, extended.size != UInt64(count) * 4 {
      throw .damaged("the table of extended section indexes does not have one entry for each symbol")
    }
    return SymbolTable(
      section: table.index, strings: SectionIndex(Int(table.link)), extendedIndexes: extended?.index, count: count,
      firstGlobal: Int(table.info))
  }

  /// Checks every relocation section's shape, and that code has relocations of the one kind that is read.
  func checkRelocationSections(symbols: SymbolTable?) throws(ObjectFileError) {
    for section in sections where [.rela, .rel, .crel].contains(section.type) {
      let index = section.index.rawValue
      guard section.info > 0, section.info < UInt32(clamping: sections.count), Int(section.info) != index else {
        throw .damaged("relocation section \(index) applies to section \(section.info)")
      }
      guard let symbols, Int(section.link) == symbols.section.rawValue else {
        throw .damaged("relocation section \(index) uses section \(section.link) as its symbol table")
      }
      let target = sections[Int(section.info)]
      guard ![.symtab, .strtab, .rela, .rel, .crel, .group, .symtabShndx].contains(target.type) else {
        throw .damaged("relocation section \(index) applies to section \(section.info), a table that has none")
      }
      switch section.type {
      case .rela: _ = try recordCount(of: section, size: Relocation.size, "relocation")
      case .rel: _ = try recordCount(of: section, size: 16, "relocation")
      default: break
      }
      if section.type != .rela, target.flags.contains(.execInstr), section.size != 0 {
        throw .unsupportedConstruct(
          section.type == .crel
            ? "section \(target.index.rawValue) has compact relocations (CREL); compile without -Wa,--crel"
            : "section \(target.index.rawValue) holds code and has relocations without addends (SHT_REL)")
      }
    }
    if let section = sections.first(where: { $0.flags.contains(.execInstr) && $0.flags.contains(.compressed) }) {
      throw .unsupportedConstruct("section \(section.index.rawValue) holds code and is compressed")
    }
  }

  /// Reads the section groups and checks that the flag `SHF_GROUP` agrees with them on sections that hold code.
  func readGroups(_ file: Span<UInt8>, symbols: SymbolTable?) throws(ObjectFileError) -> [SectionGroup] {
    var groups: [SectionGroup] = []
    var memberships: [SectionIndex: Int] = [:]
    for section in sections where section.type == .group {
      let index = section.index.rawValue
      guard section.size >= 4, section.size % 4 == 0, let symbols, Int(section.link) == symbols.section.rawValue,
        section.info < UInt32(clamping: symbols.count)
      else { throw .damaged("section group \(index) has a wrong size, symbol table or signature") }
      var group = SectionGroup(
        section: section.index,
        isComdat: (file.littleEndian(UInt32.self, at: Int(section.fileOffset)) ?? 0) & 1 != 0, members: [])
      for position in 1..<Int(section.size / 4) {
        let member = Int(file.littleEndian(UInt32.self, at: Int(section.fileOffset) + 4 * position) ?? 0)
        guard member > 0, member < sections.count, member != index else {
          throw .damaged("section group \(index) lists section \(member), which cannot be a member")
        }
        if let other = memberships.updateValue(index, forKey: SectionIndex(member)) {
          throw .damaged(
            other == index
              ? "section group \(index) lists section \(member) twice"
              : "section groups \(other) and \(index) both list section \(member); mold -r does that with tables: annotate what it writes, not what it reads"
          )
        }
        group.members.append(SectionIndex(member))
      }
      groups.append(group)
    }
    let code: SectionFlags = [.execInstr, .group]
    if let stray = sections.first(where: { $0.flags.isSuperset(of: code) && memberships[$0.index] == nil }) {
      throw .damaged("section \(stray.index.rawValue) is marked as a member of a group, and no group lists it")
    }
    return groups
  }

  private func recordCount(of section: Section, size: Int, _ record: String) throws(ObjectFileError) -> Int {
    let index = section.index.rawValue
    guard section.entrySize == UInt64(size) else {
      throw .damaged("a \(record) of section \(index) is said to take \(section.entrySize) bytes, not \(size)")
    }
    guard section.size % UInt64(size) == 0, !section.flags.contains(.compressed) else {
      throw .damaged("section \(index) does not hold whole \(record)s")
    }
    return Int(section.size) / size
  }
}
