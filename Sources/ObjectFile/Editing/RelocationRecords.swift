extension EditPlan {
  /// The record that a planned relocation becomes.
  func record(
    of planned: PlannedRelocation, in object: borrowing ObjectFile, _ renumbering: SymbolRenumbering?
  ) -> Relocation {
    let (count, firstGlobal) = (object.symbolTable?.count ?? 0, object.symbolTable?.firstGlobal ?? 0)
    let symbol =
      switch planned.symbol {
      case .existing(let old): renumbering?.newIndex(of: old.rawValue) ?? old.rawValue
      case .newLocal(let position): firstGlobal + position
      case .newGlobal(let position): count + localSymbols.count + position
      }
    return Relocation(
      offset: planned.offset, type: planned.type, symbol: SymbolIndex(symbol), addend: planned.addend)
  }

  /// A table's records before and after an edit.
  func records(
    after edit: EditedRelocations, of object: borrowing ObjectFile, _ renumbering: SymbolRenumbering?
  ) throws(ObjectFileError) -> (old: [Relocation], new: [Relocation]) {
    var old: [Relocation] = []
    try object.withRelocations(in: edit.table) { records in
      old.reserveCapacity(records.count)
      for position in records.indices { old.append(records[position]) }
    }
    var added = edit.added[...]
    var new: [Relocation] = []
    new.reserveCapacity(old.count + added.count)
    for (position, record) in old.enumerated() {
      if let changed = edit.changed[position] {
        new.append(self.record(of: changed, in: object, renumbering))
      } else if !edit.removed.contains(position) {
        let symbol = SymbolIndex(renumbering?.newIndex(of: record.symbol.rawValue) ?? record.symbol.rawValue)
        new.append(Relocation(record, symbol: symbol))
      } else if let first = added.popFirst() {
        new.append(self.record(of: first, in: object, renumbering))
      } else {
        new.append(Relocation(offset: record.offset, type: .none, symbol: SymbolIndex(0), addend: 0))
      }
    }
    new += added.map { self.record(of: $0, in: object, renumbering) }
    let wasSorted = zip(old, old.dropFirst()).allSatisfy { $0.storedOffset <= $1.storedOffset }
    return (old, wasSorted ? new.sortedByOffset() : new)
  }
}

extension Relocation {
  /// The same record with another symbol.
  fileprivate init(_ record: Relocation, symbol: SymbolIndex) {
    self = record
    info = UInt64(symbol.rawValue) << 32 | record.info & 0xffff_ffff
  }
}

extension [Relocation] {
  /// In ascending order of offset; records of one offset, which form one relocation together, keep their order.
  fileprivate func sortedByOffset() -> [Relocation] {
    enumerated().sorted { ($0.element.storedOffset, $0.offset) < ($1.element.storedOffset, $1.offset) }.map(\.element)
  }
}
