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

  /// Calls `body` with each record of a table after an edit, in their order, and the old record in its place; none is there behind the
  /// old end. No table is built: it may be most of a large object.
  func forEachRecord(
    after edit: EditedRelocations, of object: borrowing ObjectFile, _ renumbering: SymbolRenumbering?,
    _ body: (_ new: Relocation, _ old: Relocation?) throws(ObjectFileError) -> Void
  ) throws(ObjectFileError) {
    let isAscending = try object.relocationsAscend(in: edit.table)
    try object.withRelocations(in: edit.table) { table throws(ObjectFileError) in
      var edited: [PlacedRecord] = []
      var added = edit.added[...]
      for position in edit.removed.union(edit.changed.keys).sorted() where position < table.count {
        var new = Relocation(offset: table[position].offset, type: .none, symbol: SymbolIndex(0), addend: 0)
        if let planned = edit.changed[position] ?? added.popFirst() {
          new = record(of: planned, in: object, renumbering)
        }
        edited.append(PlacedRecord(new, position, hasMoved: new.storedOffset != table[position].storedOffset))
      }
      for (number, planned) in added.enumerated() {
        edited.append(PlacedRecord(record(of: planned, in: object, renumbering), table.count + number, hasMoved: true))
      }

      // What does not stay in its place in an ascending table finds a new one: behind what was in front of it at the same offset.
      var strays = (isAscending ? edited.filter(\.hasMoved).sorted { $0.sortKey < $1.sortKey } : [])[...]
      if isAscending { edited.removeAll(where: \.hasMoved) }
      let leaving = Set(strays.map(\.position))
      var (staying, count) = (edited[...], 0)
      for position in table.indices {
        var placed = PlacedRecord(table[position], position, hasMoved: false)
        if position == staying.first?.position {
          placed.record = staying.removeFirst().record
        } else if leaving.contains(position) {
          continue
        } else if let renumbering {
          placed.record.rename(to: renumbering.newIndex(of: placed.record.symbol.rawValue))
        }
        while let stray = strays.first, stray.sortKey < placed.sortKey {
          try body(stray.record, count < table.count ? table[count] : nil)
          (strays, count) = (strays.dropFirst(), count + 1)
        }
        try body(placed.record, count < table.count ? table[count] : nil)
        count += 1
      }
      for placed in strays + staying {
        try body(placed.record, count < table.count ? table[count] : nil)
        count += 1
      }
    }
  }
}

/// A record of a table under edit, with the position that it would have if the table were not put in order.
private struct PlacedRecord {
  var record: Relocation
  var position: Int
  /// Whether its offset is not the one that the position had.
  var hasMoved: Bool

  init(_ record: Relocation, _ position: Int, hasMoved: Bool) {
    self.record = record
    self.position = position
    self.hasMoved = hasMoved
  }

  var sortKey: (UInt64, Int) { (record.storedOffset, position) }
}

extension Relocation {
  /// Makes the record one of another symbol.
  fileprivate mutating func rename(to symbol: Int) { info = UInt64(symbol) << 32 | info & 0xffff_ffff }
}
