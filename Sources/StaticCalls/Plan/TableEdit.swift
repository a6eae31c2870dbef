import ObjectFile

extension EditPlan {
  /// The edit that makes the planned branches direct and an object's table hold exactly the planned entries.
  ///
  /// Sections of the table that are not needed, which `ld -r` can leave behind, become empty.
  init(
    writing plan: TablePlan, _ index: TrampolineIndex, _ options: Options, _ object: borrowing ObjectFile
  ) {
    self.init()
    let bases = siteBases(of: plan.entries, in: object)
    var symbols = CallSymbols(index, options)
    for part in plan.parts {
      let relocations = relocations(
        of: part.entries.lazy.map { plan.entries[$0] }, bases, index, &symbols, options, object)
      place(relocations, in: part.section, part.home, options, object)
    }
    for section in plan.unused {
      let isOther = plan.otherLayout.contains(section)
      place([], in: section, TableHome(ofTable: section, object), options, keepsFlags: isOther, object)
    }
    change(plan.edits, &symbols)
    globalSymbols = symbols.added.map { NewSymbol(name: $0.bytes, type: .noType, section: nil) }
  }

  /// Two relocations for each entry: the site's and the key's.
  private func relocations(
    of entries: some Collection<TablePlan.PlannedEntry>, _ bases: [SectionIndex: SiteBase], _ index: TrampolineIndex,
    _ symbols: inout CallSymbols, _ options: Options, _ object: borrowing ObjectFile
  ) -> [PlannedRelocation] {
    let type = architecture(of: object.machine).tableRelocation
    var relocations: [PlannedRelocation] = []
    relocations.reserveCapacity(entries.count * 2)
    var section: SectionIndex?
    var base = SiteBase(symbol: .existing(SymbolIndex(0)), value: 0)
    for (number, entry) in entries.enumerated() {
      let offset = number * ExistingTable.entrySize
      if section != entry.site.section, let new = bases[entry.site.section] {
        (section, base) = (entry.site.section, new)
      }
      relocations.append(
        PlannedRelocation(
          offset: SectionOffset(offset), type: type, symbol: base.symbol,
          addend: Int64(entry.site.offset.rawValue) &- base.value))
      let trampoline = index.trampolines[entry.site.trampoline]
      let key: SymbolReference =
        switch entry.key {
        case .symbol(let symbol): .existing(symbol)
        case .trampoline: symbols.trampoline(entry.site.trampoline)
        case .missing, .ambiguous: symbols.added(options.keyName(of: trampoline.callName))
        }
      relocations.append(
        PlannedRelocation(
          offset: SectionOffset(offset + ExistingTable.fieldSize), type: type, symbol: key,
          addend: entry.site.kind?.flags ?? 0))
    }
    return relocations
  }

  /// Writes a part of the table into an existing section, or into one that is added.
  private mutating func place(
    _ relocations: [PlannedRelocation], in existing: SectionIndex?, _ home: TableHome, _ options: Options,
    keepsFlags: Bool = false, _ object: borrowing ObjectFile
  ) {
    // The relocations carry everything: the entries themselves are zero.
    let contents = [UInt8](repeating: 0, count: relocations.count * ExistingTable.fieldSize)
    let (wanted, unwanted): (SectionFlags, SectionFlags) =
      keepsFlags ? ([], []) : options.layout == .user ? ([.alloc, .linkOrder], .write) : ([.alloc, .write], [])
    guard let existing else {
      addedSections.append(
        AddedSection(
          name: options.tableSection, type: .progbits, flags: wanted, link: home.code ?? SectionIndex(0), alignment: 4,
          entrySize: UInt64(ExistingTable.entrySize), contents: contents, relocations: relocations, group: home.group))
      return
    }
    let header = object[existing]
    // Where the section is made anew because of its flags, these go.
    let kept = ExistingTable.foreignFlags.reduce(header.flags.union(wanted).subtracting(unwanted)) {
      $0.subtracting($1.flag)
    }
    replacedSections.append(
      ReplacedSection(
        section: existing, relocationSection: object.relocationSections(of: existing).first, type: .progbits,
        flags: kept, link: home.code ?? SectionIndex(0),
        alignment: header.alignment >= 8 ? 8 : 4, entrySize: UInt64(ExistingTable.entrySize), contents: contents,
        relocations: relocations))
  }

  /// A symbol through which sites of a section are addressed, with its own offset in the section.
  private struct SiteBase {
    var symbol: SymbolReference
    var value: Int64
  }

  /// Finds, for each section with sites, a symbol to address them by: the section symbol, else any local symbol defined there,
  /// else a section symbol that has to be inserted. Never a global or weak one, which after linking may be another object's.
  private mutating func siteBases(
    of entries: [TablePlan.PlannedEntry], in object: borrowing ObjectFile
  ) -> [SectionIndex: SiteBase] {
    var wanted: Set<SectionIndex> = []
    var last: SectionIndex?
    for number in entries.indices where entries[number].site.section != last {
      last = entries[number].site.section
      wanted.insert(entries[number].site.section)
    }
    var bases: [SectionIndex: SiteBase] = [:]
    object.withSymbols { symbols, _ in
      for index in 1..<max(1, object.symbolTable?.firstGlobal ?? 1) where !wanted.isEmpty {
        let symbol = symbols[index]
        // Thread-local symbols and indirect functions do not stand for their address.
        guard [.section, .function, .noType, .object].contains(symbol.type),
          case .section(let section) = object.place(of: symbol, at: SymbolIndex(index)), wanted.contains(section)
        else { continue }
        let base = SiteBase(symbol: .existing(SymbolIndex(index)), value: Int64(bitPattern: symbol.value))
        if symbol.type == .section {
          bases[section] = base
          wanted.remove(section)
        } else if bases[section] == nil {
          bases[section] = base
        }
      }
    }
    for section in wanted.sorted() where bases[section] == nil {
      bases[section] = SiteBase(symbol: .newLocal(localSymbols.count), value: 0)
      localSymbols.append(NewSymbol(name: [], type: .section, section: section))
    }
    return bases
  }
}
