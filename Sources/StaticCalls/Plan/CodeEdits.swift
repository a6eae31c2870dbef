import ObjectFile

extension EditPlan {
  /// Adds the changes of code and of its relocations.
  mutating func change(_ edits: [CodeEdit], _ symbols: inout CallSymbols) {
    var tables: [SectionIndex: EditedRelocations] = [:]
    for edit in edits {
      contentPatches += edit.patches.map {
        ContentPatch(section: edit.section, offset: SectionOffset($0.offset), bytes: $0.bytes)
      }
      for change in edit.relocations {
        let old = change.old
        // In its place: a copy for each change would take time that grows with the square of their number.
        func edit(_ body: (inout EditedRelocations) -> Void) {
          body(&tables[old.table, default: EditedRelocations(table: old.table)])
        }
        switch change {
        case .aim(_, let new):
          let relocation = symbols.relocation(new)
          edit { $0.changed[old.position] = .some(relocation) }
        case .move(_, let distance):
          let relocation = PlannedRelocation(
            offset: SectionOffset(old.offset + distance), type: old.relocation.type,
            symbol: .existing(old.relocation.symbol), addend: old.relocation.addend)
          edit { $0.changed[old.position] = relocation }
        case .remove: edit { _ = $0.removed.insert(old.position) }
        case .add(let new, _):
          let relocation = symbols.relocation(new)
          edit { $0.added.append(relocation) }
        }
      }
    }
    editedRelocations = tables.values.sorted { $0.table < $1.table }
  }
}

extension RelocationEdit {
  /// The relocation that changes, or beside which one is added.
  fileprivate var old: CodeRelocation {
    switch self {
    case .aim(let old, _), .move(let old, _), .remove(let old), .add(_, let old): old
    }
  }
}

/// The symbols that entries and direct branches name, those that have to be added included.
struct CallSymbols {
  private let index: TrampolineIndex
  private let options: Options
  /// The names of the global symbols to add, in order.
  private(set) var added: [SymbolName] = []
  private var positions: [SymbolName: Int] = [:]

  init(_ index: TrampolineIndex, _ options: Options) {
    self.index = index
    self.options = options
  }

  mutating func trampoline(_ number: Int) -> SymbolReference {
    let trampoline = index.trampolines[number]
    return trampoline.symbol.map { .existing($0) }
      ?? added(options.trampolineName(of: trampoline.callName))
  }

  mutating func added(_ name: SymbolName) -> SymbolReference {
    if let known = positions[name] { return .newGlobal(known) }
    positions[name] = added.count
    added.append(name)
    return .newGlobal(added.count - 1)
  }

  mutating func relocation(_ branch: BranchRelocation) -> PlannedRelocation {
    PlannedRelocation(
      offset: SectionOffset(branch.offset), type: branch.type, symbol: trampoline(branch.trampoline),
      addend: branch.addend)
  }
}
