import ObjectFile

/// Whether a section that holds data is a table of call sites under another name: that of a second system of static calls in the
/// program, which describes places and leads no control to any of them.
///
/// A table of labels could have the same form by accident, so all of it must fit: entries of two distances, the first to a direct branch whose
/// relocation names a symbol, the second to a symbol that is not in code and whose name ends as the branch's does, with the flags of that branch.
func isTableOfSites(
  _ section: Section, _ architecture: any Architecture.Type, _ object: borrowing ObjectFile
) throws(ObjectFileError) -> Bool {
  let entries = section.contentSize / ExistingTable.entrySize
  guard section.type == .progbits, entries > 0, section.contentSize % ExistingTable.entrySize == 0,
    object.relocationSections(of: section.index).count == 1,
    let table = object.relocationSections(of: section.index).first,
    object[table].contentSize == entries * 2 * Relocation.size
  else { return false }
  var relocations: [Relocation] = []
  try object.withRelocations(in: table) { stored in
    for position in stored.indices {
      let isInPlace = stored[position].offset.rawValue == position * ExistingTable.fieldSize
      guard isInPlace, stored[position].type == architecture.tableRelocation else { return }
      relocations.append(stored[position])
    }
  }
  guard relocations.count == entries * 2 else { return false }
  for entry in 0..<entries {
    let (site, key) = (relocations[2 * entry], relocations[2 * entry + 1])
    guard let branch = try namedBranch(at: site, architecture, object), key.addend == branch.kind.flags else {
      return false
    }
    let symbol = object.symbol(key.symbol)
    if case .section(let holder) = object.place(of: symbol, at: key.symbol), object[holder].flags.contains(.execInstr),
      key.symbol != branch.symbol
    {
      return false
    }
    guard let (first, second) = lastBytes(of: branch.symbol, key.symbol, object), first == second else { return false }
  }
  return true
}

/// The direct branch at the place that a table's field names, with the symbol that its relocation names.
private func namedBranch(
  at site: Relocation, _ architecture: any Architecture.Type, _ object: borrowing ObjectFile
) throws(ObjectFileError) -> (kind: CallKind, symbol: SymbolIndex)? {
  guard let place = Place(site.addend, from: site.symbol, object), place.offset >= 0,
    object[place.section].flags.contains(.execInstr)
  else { return nil }
  let (section, offset) = (place.section, place.offset)
  let branch = object.withContents(of: section) { code in
    offset < code.count ? architecture.patchableBranch(at: offset, in: code) : nil
  }
  guard let branch else { return nil }
  let field = offset + architecture.branchRelocation(branch.kind).field
  for table in object.relocationSections(of: section) {
    let found: SymbolIndex? = try object.withRelocations(in: table, at: field..<field + 1) { relocations, _ in
      relocations.isEmpty ? nil : relocations[0].symbol
    }
    if let found { return (branch.kind, found) }
  }
  return nil
}

/// The last bytes of two symbols' names; `nil` where one has none.
private func lastBytes(
  of first: SymbolIndex, _ second: SymbolIndex, _ object: borrowing ObjectFile
) -> (UInt8, UInt8)? {
  guard let first = object.name(of: first).utf8.last, let second = object.name(of: second).utf8.last else { return nil }
  return (first, second)
}
