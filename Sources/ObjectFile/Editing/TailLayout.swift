/// The part that an edit appends to an object, and the few bytes that it changes in front of it.
///
/// Existing sections keep their offsets and bytes. What grows is written again behind the old end of the file, in a fixed
/// order with zero padding, so that the same plan gives the same bytes; the section header table comes last.
struct TailLayout {
  /// The bytes behind the old end of the file.
  private(set) var tail: [UInt8] = []
  /// Changes to the old bytes.
  private(set) var patches: [Patch] = []

  struct Patch: Equatable {
    /// File offset, in bytes.
    var offset: Int
    var bytes: [UInt8]
  }

  private let originalSize: Int
  private let sectionNames: SectionIndex
  private var headers: [Section]
  /// What each string table gains. Keyed by section, because the names of symbols and sections may share one table.
  private var addedStrings: [SectionIndex: [UInt8]] = [:]
  /// Where the names of added sections are in the table of section names: parts of a table share one.
  private var addedNames: [String: Int] = [:]
  /// The members that each section group gains, in order.
  private var addedMembers: [SectionIndex: [SectionIndex]] = [:]
  private let renumbering: SymbolRenumbering?

  /// Lays out `plan` over `object`, whose symbol table the plan's new symbols and relocations go through.
  init(_ plan: EditPlan, over object: borrowing ObjectFile) throws(ObjectFileError) {
    originalSize = object.image.count
    sectionNames = object.header.sectionNames
    headers = object.sections
    renumbering = object.symbolTable.map { SymbolRenumbering($0, insertedLocals: plan.localSymbols.count) }
    if !plan.localSymbols.isEmpty { try renumberSymbols(of: object, Set(plan.editedRelocations.map(\.table))) }
    if plan.addsSymbols { addSymbols(of: plan, to: object) }
    for section in plan.replacedSections { replace(section, plan, object) }
    for patch in plan.contentPatches {
      let start = Int(object[patch.section].fileOffset)
      patches.append(Patch(offset: start + patch.offset.rawValue, bytes: patch.bytes))
    }
    for edit in plan.editedRelocations { try change(edit, plan, object) }
    for section in plan.addedSections { add(section, plan, object) }
    writeGroups(of: object)
    writeStringTables(of: object)
    writeHeaders()
  }

  // MARK: Symbols

  /// Follows the symbols that move, but for `edited` tables of relocations, which are written anew.
  private mutating func renumberSymbols(
    of object: borrowing ObjectFile, _ edited: Set<SectionIndex>
  ) throws(ObjectFileError) {
    try object.checkCanRenumber()
    guard let renumbering, !renumbering.isIdentity else { return }
    for section in object.sections {
      switch section.type {
      case .rela where edited.contains(section.index): break
      case .rela: renumberRelocations(of: section, recordSize: Relocation.size, object, renumbering)
      case .rel: renumberRelocations(of: section, recordSize: 16, object, renumbering)
      case .group: headers[section.index.rawValue].info = UInt32(renumbering.newIndex(of: Int(section.info)))
      // A tool that does not keep it up to date unlinks it from the symbol table, and linkers then ignore it.
      case .llvmAddrsig where Int(section.link) == object.symbolTable?.section.rawValue:
        if let contents = try object.renumberedAddrsig(section.index, renumbering) {
          move(section.index, to: contents, alignment: 1)
        }
      default: break
      }
    }
  }

  private mutating func renumberRelocations(
    of section: Section, recordSize: Int, _ object: borrowing ObjectFile, _ renumbering: SymbolRenumbering
  ) {
    // In both record formats r_info follows the eight bytes of r_offset, with the symbol index in its upper half.
    let symbolField = 12
    object.withContents(of: section.index) { records in
      for record in stride(from: 0, to: records.count, by: recordSize) {
        guard let old = records.littleEndian(UInt32.self, at: record + symbolField) else { return }
        guard renumbering.moved.contains(Int(old)) else { continue }
        let new = UInt32(renumbering.newIndex(of: Int(old)))
        patches.append(
          Patch(offset: Int(section.fileOffset) + record + symbolField, bytes: littleEndianBytes(new)))
      }
    }
  }

  private mutating func addSymbols(of plan: EditPlan, to object: borrowing ObjectFile) {
    guard let table = object.symbolTable, let renumbering else { return }
    let locals = plan.localSymbols.flatMap { record(of: $0, binding: .local, names: table.strings) }
    let globals = plan.globalSymbols.flatMap { record(of: $0, binding: .global, names: table.strings) }
    move(
      table.section,
      to: insert(locals, globals, into: table.section, recordSize: Symbol.size, renumbering, object), alignment: 8)
    headers[table.section.rawValue].info += UInt32(plan.localSymbols.count)
    extendSectionIndexes(of: plan, table, renumbering, object)
  }

  /// The records of a table that has one for each symbol, with those of new symbols put where the symbols go.
  private func insert(
    _ locals: [UInt8], _ globals: [UInt8], into section: SectionIndex, recordSize: Int,
    _ renumbering: SymbolRenumbering,
    _ object: borrowing ObjectFile
  ) -> [UInt8] {
    object.withContents(of: section) { old in
      var contents: [UInt8] = []
      contents.reserveCapacity(old.count + locals.count + globals.count)
      let movedBytes = (renumbering.moved.lowerBound * recordSize)..<(renumbering.moved.upperBound * recordSize)
      contents.append(contentsOf: old, in: 0..<movedBytes.lowerBound)
      contents.append(contentsOf: locals)
      contents.append(contentsOf: old, in: movedBytes.upperBound..<old.count)
      contents.append(contentsOf: old, in: movedBytes)
      contents.append(contentsOf: globals)
      return contents
    }
  }

  private mutating func record(
    of symbol: NewSymbol, binding: SymbolBinding, names: SectionIndex
  ) -> [UInt8] {
    let name = symbol.name.isEmpty ? 0 : appendString(symbol.name, to: names)
    let section = symbol.section?.rawValue ?? 0
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt32(name))
    bytes.append(binding.rawValue << 4 | symbol.type.rawValue)
    bytes.append(0)  // st_other: default visibility
    bytes.append(littleEndian: section < Self.reservedSections ? UInt16(section) : Self.extendedIndex)
    bytes.append(littleEndian: UInt64(0))  // st_value
    bytes.append(littleEndian: UInt64(0))  // st_size
    return bytes
  }

  /// `SHN_LORESERVE`: section numbers from here on do not fit the 16-bit fields.
  private static let reservedSections = 0xff00
  /// `SHN_XINDEX`: the number stands elsewhere.
  private static let extendedIndex: UInt16 = 0xffff

  /// Keeps the table of extended section indexes, where there is one or a new symbol needs one, in step with the symbols.
  private mutating func extendSectionIndexes(
    of plan: EditPlan, _ table: SymbolTable, _ renumbering: SymbolRenumbering, _ object: borrowing ObjectFile
  ) {
    func extended(_ symbols: [NewSymbol]) -> [UInt8] {
      var bytes: [UInt8] = []
      for symbol in symbols {
        let section = symbol.section?.rawValue ?? 0
        bytes.append(littleEndian: section < Self.reservedSections ? UInt32(0) : UInt32(section))
      }
      return bytes
    }
    let locals = extended(plan.localSymbols)
    let globals = extended(plan.globalSymbols)
    if let section = table.extendedIndexes {
      move(section, to: insert(locals, globals, into: section, recordSize: 4, renumbering, object), alignment: 4)
    } else if locals.contains(where: { $0 != 0 }) {
      let behindLocals = table.count - table.firstGlobal + plan.globalSymbols.count
      appendSection(
        named: ".symtab_shndx", type: .symtabShndx, flags: [],
        contents: [UInt8](repeating: 0, count: table.firstGlobal * 4) + locals
          + [UInt8](repeating: 0, count: behindLocals * 4),
        link: table.section, info: 0, alignment: 4, entrySize: 4)
    }
  }

  // MARK: Sections

  private mutating func add(_ section: AddedSection, _ plan: EditPlan, _ object: borrowing ObjectFile) {
    let index = SectionIndex(headers.count)
    appendSection(
      named: section.name, type: section.type, flags: section.flags, contents: section.contents, link: section.link,
      info: 0, alignment: section.alignment, entrySize: section.entrySize, group: section.group)
    appendRelocations(section.relocations, of: index, named: section.name, group: section.group, plan, object)
  }

  private mutating func replace(_ section: ReplacedSection, _ plan: EditPlan, _ object: borrowing ObjectFile) {
    headers[section.section.rawValue].type = section.type
    headers[section.section.rawValue].flags = section.flags
    headers[section.section.rawValue].link = UInt32(section.link.rawValue)
    headers[section.section.rawValue].entrySize = section.entrySize
    headers[section.section.rawValue].alignment = section.alignment
    move(section.section, to: section.contents, alignment: Int(section.alignment))
    if let relocations = section.relocationSection {
      move(relocations, to: bytes(of: section.relocations, plan, object), alignment: 8)
    } else {
      appendRelocations(
        section.relocations, of: section.section, named: object.name(of: section.section),
        group: object.group(of: section.section), plan, object)
    }
  }

  private mutating func appendRelocations(
    _ relocations: [PlannedRelocation], of section: SectionIndex, named name: String, group: SectionIndex?,
    _ plan: EditPlan, _ object: borrowing ObjectFile
  ) {
    guard !relocations.isEmpty, let symbols = object.symbolTable else { return }
    appendSection(
      named: ".rela" + name, type: .rela, flags: .infoLink, contents: bytes(of: relocations, plan, object),
      link: symbols.section, info: section.rawValue, alignment: 8, entrySize: UInt64(Relocation.size), group: group)
  }

  private func bytes(
    of relocations: [PlannedRelocation], _ plan: EditPlan, _ object: borrowing ObjectFile
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(relocations.count * Relocation.size)
    for relocation in relocations { bytes.append(plan.record(of: relocation, in: object, renumbering)) }
    return bytes
  }

  /// Writes a table of relocations anew: in its place, record by record, or at the end if it grows.
  private mutating func change(
    _ edit: EditedRelocations, _ plan: EditPlan, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let oldCount = object[edit.table].contentSize / Relocation.size
    var (patched, position) = ([Patch](), 0)
    var grown: [UInt8] = []
    let start = Int(object[edit.table].fileOffset)
    let grows = edit.added.count > edit.removed.count { edit.changed[$0] == nil }
    if grows { grown.reserveCapacity((oldCount + edit.added.count) * Relocation.size) }
    try plan.forEachRecord(after: edit, of: object, renumbering) { new, old in
      if grows {
        grown.append(new)
      } else if new != old {
        var bytes: [UInt8] = []
        bytes.append(new)
        patched.append(Patch(offset: start + position * Relocation.size, bytes: bytes))
      }
      position += 1
    }
    if grows { move(edit.table, to: grown, alignment: 8) } else { patches += patched }
  }

  private mutating func appendSection(
    named name: String, type: SectionType, flags: SectionFlags, contents: [UInt8], link: SectionIndex, info: Int,
    alignment: UInt64, entrySize: UInt64, group: SectionIndex? = nil
  ) {
    var flags = flags
    if let group {
      flags.insert(.group)
      addedMembers[group, default: []].append(SectionIndex(headers.count))
    }
    let fileOffset = append(contents, alignment: Int(alignment))
    let nameOffset = addedNames[name] ?? appendString(Array(name.utf8), to: sectionNames)
    addedNames[name] = nameOffset
    headers.append(
      Section(
        index: SectionIndex(headers.count), nameOffset: UInt32(nameOffset),
        type: type, flags: flags, address: 0, fileOffset: UInt64(fileOffset), size: UInt64(contents.count),
        link: UInt32(link.rawValue), info: UInt32(info), alignment: alignment, entrySize: entrySize))
  }

  /// Gives an existing section new contents in the tail.
  private mutating func move(_ section: SectionIndex, to contents: [UInt8], alignment: Int) {
    headers[section.rawValue].fileOffset = UInt64(append(contents, alignment: alignment))
    headers[section.rawValue].size = UInt64(contents.count)
  }

  /// Appends bytes to the tail and returns their file offset.
  private mutating func append(_ bytes: [UInt8], alignment: Int) -> Int {
    let end = originalSize + tail.count
    let start = alignment > 1 ? (end + alignment - 1) / alignment * alignment : end
    tail.append(contentsOf: [UInt8](repeating: 0, count: start - end))
    tail.append(contentsOf: bytes)
    return start
  }

  /// Writes the section groups that gain members anew.
  private mutating func writeGroups(of object: borrowing ObjectFile) {
    for (group, members) in addedMembers.sorted(by: { $0.key < $1.key }) {
      var contents = object.withContents(of: group) { old in
        var bytes: [UInt8] = []
        bytes.append(contentsOf: old, in: 0..<old.count)
        return bytes
      }
      for member in members { contents.append(littleEndian: UInt32(member.rawValue)) }
      move(group, to: contents, alignment: 4)
    }
  }

  // MARK: String tables and headers

  /// Adds a string to a table and returns its offset in it.
  private mutating func appendString(_ string: [UInt8], to table: SectionIndex) -> Int {
    let offset = Int(headers[table.rawValue].size) + addedStrings[table, default: []].count
    addedStrings[table, default: []] += string + [0]
    return offset
  }

  private mutating func writeStringTables(of object: borrowing ObjectFile) {
    for (table, added) in addedStrings.sorted(by: { $0.key < $1.key }) {
      let contents = object.withContents(of: table) { old in
        var bytes: [UInt8] = []
        bytes.reserveCapacity(old.count + added.count)
        bytes.append(contentsOf: old, in: 0..<old.count)
        bytes += added
        return bytes
      }
      move(table, to: contents, alignment: 1)
    }
  }

  private mutating func writeHeaders() {
    let isExtended = headers.count >= Self.reservedSections
    // Extended numbering: the count moves to the null section's sh_size.
    if isExtended { headers[0].size = UInt64(headers.count) }
    var table: [UInt8] = []
    table.reserveCapacity(headers.count * Section.headerSize)
    for header in headers {
      table.append(littleEndian: header.nameOffset)
      table.append(littleEndian: header.type.rawValue)
      table.append(littleEndian: header.flags.rawValue)
      table.append(littleEndian: header.address)
      table.append(littleEndian: header.fileOffset)
      table.append(littleEndian: header.size)
      table.append(littleEndian: header.link)
      table.append(littleEndian: header.info)
      table.append(littleEndian: header.alignment)
      table.append(littleEndian: header.entrySize)
    }
    let offset = append(table, alignment: 8)
    patches.append(Patch(offset: Header.sectionTableOffsetField, bytes: littleEndianBytes(UInt64(offset))))
    patches.append(
      Patch(
        offset: Header.sectionCountField,
        bytes: littleEndianBytes(isExtended ? UInt16(0) : UInt16(headers.count))))
  }
}

extension [UInt8] {
  /// Appends a record as it is in the file.
  fileprivate mutating func append(_ record: Relocation) {
    // SAFETY: the bytes of a local value, copied before the call returns. Its layout is that of the file.
    unsafe Swift.withUnsafeBytes(of: record) { unsafe append(contentsOf: $0) }
  }
}
