import ObjectFile

/// Whether a section that holds data is a table of call sites under another name: that of a second system of static calls in the
/// program, which describes places and leads no control to any of them.
///
/// A table of labels could have the same form by accident, so all of it must fit: entries of two distances, the first to a direct branch whose
/// relocation names a symbol, the second to a symbol that is not in code, with the flags of that branch; and the names of
/// the two differ in all entries by the same beginnings.
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
  var pairs: [[String]] = []
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
    guard let pair = prefixes(of: branch.symbol, key.symbol, object), pair.isEmpty || pairs.last ?? pair == pair
    else { return false }
    if !pair.isEmpty { pairs.append(pair) }
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

/// How many characters the names of a trampoline and of its key must have in common at their end.
private let shortestCallName = 2

/// What two symbols' names begin with in front of what they have in common; `nil` where that is too little, or all of a name.
private func prefixes(of first: SymbolIndex, _ second: SymbolIndex, _ object: borrowing ObjectFile) -> [String]? {
  // A module's entry may name the trampoline itself.
  if first == second { return [] }
  let (first, second) = (object.name(of: first), object.name(of: second))
  let common = zip(first.reversed(), second.reversed()).prefix { $0 == $1 }.count
  guard common >= shortestCallName, common < first.count, common < second.count else { return nil }
  return [String(first.dropLast(common)), String(second.dropLast(common))]
}
