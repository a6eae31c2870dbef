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

  /// Lends a table's records before an edit, with those after it.
  func withRecords<Result>(
    after edit: EditedRelocations, of object: borrowing ObjectFile, _ renumbering: SymbolRenumbering?,
    _ body: (_ old: Span<Relocation>, _ new: [Relocation]) throws(ObjectFileError) -> Result
  ) throws(ObjectFileError) -> Result {
    try object.withRelocations(in: edit.table) { old throws(ObjectFileError) in
      var added = edit.added[...]
      var new: [Relocation] = []
      new.reserveCapacity(max(old.count, old.count - edit.removed.count + added.count))
      var (wasSorted, last) = (true, UInt64(0))
      for position in old.indices {
        let record = old[position]
        if record.storedOffset < last { wasSorted = false }
        last = record.storedOffset
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
      return try body(old, wasSorted ? new.sortedByOffset() : new)
    }
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
    if zip(self, dropFirst()).allSatisfy({ $0.storedOffset <= $1.storedOffset }) { return self }
    return enumerated().sorted { ($0.element.storedOffset, $0.offset) < ($1.element.storedOffset, $1.offset) }.map(\.element)
  }
}
