/// One relocatable ELF object, read through libelf and checked once: every index, offset and size handed out is in range.
///
/// The object borrows its bytes from the file; nothing is copied until an edit asks for it.
@safe public struct ObjectFile: ~Copyable {
  private let elf: ElfHandle
  let image: Image
  let header: Header

  /// All section headers in index order, the null section at index 0 included.
  public let sections: [Section]
  /// The symbol table, or `nil` in an object without symbols.
  public let symbolTable: SymbolTable?
  /// Every `SHT_RELA` section with the section it applies to, ordered by the latter.
  private let relocationTargets: [(target: SectionIndex, table: SectionIndex)]
  /// Section groups, in index order.
  public let groups: [SectionGroup]
  /// For each member of a section group the group.
  private let groupMemberships: [SectionIndex: SectionIndex]

  public var machine: Machine { header.machine }

  /// What the object holds besides, or in place of, machine code.
  public let intermediateCode: IntermediateCode

  /// Reads and checks the object in `input`.
  public init(reading input: borrowing InputFile) throws(ObjectFileError) {
    guard input.size > 0 else { throw .empty }
    try self.init(Image(reading: input.descriptor, size: input.size))
  }

  /// Reads and checks the object in `image`.
  init(_ image: consuming Image) throws(ObjectFileError) {
    let object = try ObjectFile(checkingSectionsOf: image)
    try object.checkSymbols()
    self = object
  }

  private init(checkingSectionsOf image: consuming Image) throws(ObjectFileError) {
    let header = try image.withBytes { bytes throws(ObjectFileError) in try Header(bytes) }
    let elf = try ElfHandle(image)
    guard elf.sectionCount() == header.sectionCount else {
      throw .damaged("libelf finds \(elf.sectionCount()) sections, the header says \(header.sectionCount)")
    }
    var sections: [Section] = []
    sections.reserveCapacity(header.sectionCount)
    for index in 0..<header.sectionCount { try sections.append(elf.section(at: index)) }

    let checks = SectionChecks(sections: sections, header: header, fileSize: image.count)
    try checks.checkBounds()
    try image.withBytes { bytes throws(ObjectFileError) in try checks.checkStringTables(bytes) }
    let symbolTable = try checks.locateSymbolTable()
    try checks.checkRelocationSections(symbols: symbolTable)
    let groups = try image.withBytes { bytes throws(ObjectFileError) in
      try checks.readGroups(bytes, symbols: symbolTable)
    }
    let intermediateCode = IntermediateCode(
      image, names: sections[header.sectionNames.rawValue],
      symbolNames: symbolTable.map { sections[$0.strings.rawValue] })
    if intermediateCode == .only { throw .noMachineCode("an object with a compiler's intermediate code (slim LTO)") }
    self.elf = elf
    self.image = image
    self.header = header
    self.sections = sections
    relocationTargets =
      sections.filter { $0.type == .rela }.map { (SectionIndex(Int($0.info)), $0.index) }.sorted { $0 < $1 }
    self.symbolTable = symbolTable
    self.groups = groups
    groupMemberships = Dictionary(
      uniqueKeysWithValues: groups.flatMap { group in group.members.map { ($0, group.section) } })
    self.intermediateCode = intermediateCode
  }

  // MARK: Sections

  /// The section at `index`. The index must come from this object.
  public subscript(index: SectionIndex) -> Section { sections[index.rawValue] }

  /// Lends the contents of a section; empty for one without file contents.
  public func withContents<Result, Failure: Error>(
    of section: SectionIndex, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try image.withBytes { bytes throws(Failure) in
      let section = sections[section.rawValue]
      guard section.hasFileContents else { return try body(bytes.extracting(0..<0)) }
      return try body(bytes.extracting(Int(section.fileOffset)..<Int(section.fileEnd)))
    }
  }

  /// The name of a section.
  public func name(of section: SectionIndex) -> String {
    withContents(of: header.sectionNames) { names in
      names.string(at: Int(sections[section.rawValue].nameOffset))
    }
  }

  /// Whether a section's name is `name`.
  public func name(of section: SectionIndex, is name: [UInt8]) -> Bool {
    withContents(of: header.sectionNames) { names in
      let start = Int(sections[section.rawValue].nameOffset)
      // The table ends in NUL, so that there is a byte behind each of its strings.
      return names.hasBytes(name, at: start) && start + name.count < names.count && names[start + name.count] == 0
    }
  }

  /// Whether a section's name begins with `prefix`.
  public func name(of section: SectionIndex, hasPrefix prefix: [UInt8]) -> Bool {
    withContents(of: header.sectionNames) { names in
      names.hasBytes(prefix, at: Int(sections[section.rawValue].nameOffset))
    }
  }

  /// The section group that `section` is a member of, or `nil`. A linker keeps or discards its members together.
  public func group(of section: SectionIndex) -> SectionIndex? { groupMemberships[section] }

  // MARK: Symbols

  /// Lends the symbol table with the string table that holds the names; both empty in an object without symbols.
  public func withSymbols<Result, Failure: Error>(
    _ body: (_ symbols: Span<Symbol>, _ names: Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // SAFETY: libelf aligns the data for Elf64_Sym, whose layout `Symbol` repeats; the checks in `init` made sure that the
    // table can be read and holds whole records; it lives as long as `elf`.
    let data = unsafe symbolTable.flatMap { unsafe try? elf.data(of: sections[$0.section.rawValue]) }
    let records = unsafe UnsafeBufferPointer(
      start: data?.baseAddress?.assumingMemoryBound(to: Symbol.self), count: (data?.count ?? 0) / Symbol.size)
    let symbols = unsafe Span<Symbol>(_unsafeElements: records)
    guard let symbolTable else {
      return try image.withBytes { bytes throws(Failure) in try body(symbols, bytes.extracting(0..<0)) }
    }
    return try withContents(of: symbolTable.strings) { names throws(Failure) in try body(symbols, names) }
  }

  /// The symbol at `index`. The index must come from this object.
  public func symbol(_ index: SymbolIndex) -> Symbol { withSymbols { symbols, _ in symbols[index.rawValue] } }

  /// The name of the symbol at `index`; a section symbol goes by its section's name.
  public func name(of index: SymbolIndex) -> String {
    let symbol = symbol(index)
    if symbol.type == .section, case .section(let section) = place(of: symbol, at: index) { return name(of: section) }
    return withSymbols { _, names in names.string(at: Int(symbol.nameOffset)) }
  }

  /// Where `symbol`, which stands at `index`, is defined.
  public func place(of symbol: Symbol, at index: SymbolIndex) -> SymbolPlace {
    switch symbol.storedSection {
    case 0: return .undefined
    case 0xffff:
      guard let extended = symbolTable?.extendedIndexes else { return .reserved(0xffff) }
      return withContents(of: extended) { table in
        .section(SectionIndex(Int(table.littleEndian(UInt32.self, at: index.rawValue * 4) ?? 0)))
      }
    case 0xff00...: return .reserved(symbol.storedSection)
    default: return .section(SectionIndex(Int(symbol.storedSection)))
    }
  }

  /// Whether `text` occurs anywhere in the names of the symbols: one fast search in place of a look at each symbol.
  public func symbolNamesContain(_ text: [UInt8]) -> Bool {
    guard let symbolTable else { return false }
    let names = sections[symbolTable.strings.rawValue]
    return image.firstOffset(of: text, in: Int(names.fileOffset)..<Int(names.fileEnd)) != nil
  }

  // MARK: Relocations

  /// The `SHT_RELA` sections that apply to `section`, in index order.
  public func relocationSections(of section: SectionIndex) -> [SectionIndex] {
    var position = relocationTargets.firstIndex(reaching: section)
    var result: [SectionIndex] = []
    while position < relocationTargets.count, relocationTargets[position].target == section {
      result.append(relocationTargets[position].table)
      position += 1
    }
    return result
  }

  /// Lends the relocations of a `SHT_RELA` section, each with its symbol index and its offset checked.
  public func withRelocations<Result>(
    in section: SectionIndex, _ body: (Span<Relocation>) throws(ObjectFileError) -> Result
  ) throws(ObjectFileError) -> Result {
    try withUncheckedRelocations(in: section) { relocations throws(ObjectFileError) in
      try check(relocations, of: section)
      return try body(relocations)
    }
  }

  /// Calls `body` with those relocations of a `SHT_RELA` section that name a symbol marked in `isWanted`, which has an element for each
  /// symbol. All relocations of the section are checked, as by ``withRelocations(in:_:)``, in the same pass: most are of no interest.
  ///
  /// - Returns: whether each relocation lies behind the one before it.
  public func forEachRelocation(
    in section: SectionIndex, naming isWanted: [Bool], _ body: (Relocation) -> Void
  ) throws(ObjectFileError) -> Bool {
    try withUncheckedRelocations(in: section) { relocations throws(ObjectFileError) in
      let limits = limits(ofRelocationsIn: section)
      var (last, isAscending) = (-1, true)
      for position in relocations.indices {
        let relocation = relocations[position]
        guard limits.admit(relocation) else { throw fault(of: relocation, at: position, of: section) }
        if relocation.offset.rawValue <= last { isAscending = false }
        last = relocation.offset.rawValue
        if isWanted[relocation.symbol.rawValue] { body(relocation) }
      }
      return isAscending
    }
  }

  /// Lends those relocations of a table in ascending order of offset that lie in a range of section offsets, each checked, with the
  /// position of the first of them in the table. In a table without order it is anybody's guess which ones these are.
  public func withRelocations<Result>(
    in section: SectionIndex, at offsets: Range<Int>,
    _ body: (_ relocations: Span<Relocation>, _ first: Int) throws(ObjectFileError) -> Result
  ) throws(ObjectFileError) -> Result {
    try withUncheckedRelocations(in: section) { relocations throws(ObjectFileError) in
      let first = relocations.firstIndex(atOrBehind: offsets.lowerBound)
      let range = first..<max(first, relocations.firstIndex(atOrBehind: offsets.upperBound))
      let inside = relocations.extracting(range)
      try check(inside, at: first, of: section)
      return try body(inside, first)
    }
  }

  /// Whether the relocations of a `SHT_RELA` section are in ascending order of their offsets.
  public func relocationsAscend(in section: SectionIndex) throws(ObjectFileError) -> Bool {
    try withUncheckedRelocations(in: section) { relocations in
      var last: UInt64 = 0
      for position in relocations.indices {
        if relocations[position].storedOffset < last { return false }
        last = relocations[position].storedOffset
      }
      return true
    }
  }

  /// Whether the records of a `SHT_RELA` section from a position on begin with `expected`.
  func hasRelocations(
    _ expected: [Relocation], at position: Int, in section: SectionIndex
  ) throws(ObjectFileError) -> Bool {
    try withUncheckedRelocations(in: section) { relocations in
      guard expected.count <= relocations.count - position else { return false }
      for number in expected.indices where relocations[position + number] != expected[number] { return false }
      return true
    }
  }

  private func withUncheckedRelocations<Result>(
    in section: SectionIndex, _ body: (Span<Relocation>) throws(ObjectFileError) -> Result
  ) throws(ObjectFileError) -> Result {
    // SAFETY: libelf aligns the data for Elf64_Rela, whose layout `Relocation` repeats; `SectionChecks` made sure that the
    // section holds whole records; it lives as long as `elf`.
    let data = unsafe try elf.data(of: sections[section.rawValue])
    let records = unsafe UnsafeBufferPointer(
      start: data.baseAddress?.assumingMemoryBound(to: Relocation.self), count: data.count / Relocation.size)
    return try body(unsafe Span<Relocation>(_unsafeElements: records))
  }

  /// What the numbers in a section's relocations must be below.
  private struct RelocationLimits {
    var symbolCount: UInt64
    /// Size of the section that the relocations apply to, in bytes.
    var size: UInt64

    func admit(_ relocation: Relocation) -> Bool {
      // `ld -r` leaves R_*_NONE wherever it likes.
      relocation.info >> 32 < symbolCount && (relocation.storedOffset < size || relocation.type == .none)
    }
  }

  private func limits(ofRelocationsIn section: SectionIndex) -> RelocationLimits {
    RelocationLimits(
      symbolCount: UInt64(symbolTable?.count ?? 0),
      size: UInt64(sections[Int(sections[section.rawValue].info)].contentSize))
  }

  /// Checks relocations that stand in the table of `section` from position `first` on.
  private func check(
    _ relocations: Span<Relocation>, at first: Int = 0, of section: SectionIndex
  ) throws(ObjectFileError) {
    let limits = limits(ofRelocationsIn: section)
    for position in relocations.indices where !limits.admit(relocations[position]) {
      throw fault(of: relocations[position], at: first + position, of: section)
    }
  }

  /// What is wrong with a relocation that is not within its limits.
  private func fault(of relocation: Relocation, at position: Int, of section: SectionIndex) -> ObjectFileError {
    let name = "relocation \(position) of \(name(of: section))"
    let symbolCount = symbolTable?.count ?? 0
    guard relocation.info >> 32 >= UInt64(symbolCount) else {
      return .damaged("\(name) lies at \(hex(relocation.storedOffset)), past the end of its section")
    }
    return .damaged("\(name) names symbol \(relocation.info >> 32) of \(symbolCount)")
  }

  private func checkSymbols() throws(ObjectFileError) {
    guard let symbolTable else { return }
    // SAFETY: the data is not looked at; whether libelf can read the table is what matters.
    _ = unsafe try elf.data(of: sections[symbolTable.section.rawValue])
    let namesSize = sections[symbolTable.strings.rawValue].size
    try withSymbols { symbols, _ throws(ObjectFileError) in
      for index in symbols.indices {
        let symbol = symbols[index]
        guard symbol.nameOffset < namesSize else {
          throw .damaged("the name of symbol \(index) lies outside the string table")
        }
        guard (symbol.binding == .local) == (index < symbolTable.firstGlobal) else {
          throw .damaged("symbol \(index) is on the wrong side of the border between local and global symbols")
        }
        guard symbol.type != .section || symbol.value == 0 else {
          throw .damaged("section symbol \(index) does not stand for the start of its section")
        }
        if symbol.storedSection == 0xffff, symbolTable.extendedIndexes == nil {
          throw .damaged("symbol \(index) has an extended section index, and there is no table of them")
        }
        if case .section(let section) = place(of: symbol, at: SymbolIndex(index)), section.rawValue >= sections.count {
          throw .damaged("symbol \(index) is defined in section \(section.rawValue) of \(sections.count)")
        }
      }
    }
  }
}

extension [(target: SectionIndex, table: SectionIndex)] {
  /// The first position whose target is `section` or behind it, in an array ordered by target.
  fileprivate func firstIndex(reaching section: SectionIndex) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].target < section { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension Span where Element == Relocation {
  /// The first relocation, in a table in ascending order, that does not lie in front of an offset.
  fileprivate func firstIndex(atOrBehind offset: Int) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle].storedOffset < UInt64(clamping: offset) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension Span where Element == UInt8 {
  /// The NUL-terminated string at `offset`, with invalid UTF-8 replaced; empty where `offset` is out of range.
  public func string(at offset: Int) -> String {
    // SAFETY: the string is a copy of the bytes, made before the call returns.
    unsafe extracting(rangeOfString(at: offset)).withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// The bytes of the NUL-terminated string at `offset`; none where `offset` is out of range.
  public func bytes(at offset: Int) -> [UInt8] {
    // SAFETY: the array is a copy of the bytes, made before the call returns.
    unsafe extracting(rangeOfString(at: offset)).withUnsafeBufferPointer { unsafe Array($0) }
  }

  private func rangeOfString(at offset: Int) -> Range<Int> {
    guard offset >= 0, offset < count else { return 0..<0 }
    var end = offset
    while end < count, self[end] != 0 { end += 1 }
    return offset..<end
  }
}
