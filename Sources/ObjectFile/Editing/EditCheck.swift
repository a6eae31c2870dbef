extension EditedObject {
  /// The first thing that the edit changed and should not have, in words; `nil` where there is none.
  ///
  /// Compares the outcome, as the reader sees it, with the original: every section, and, where symbols moved, every symbol and
  /// every relocation by the symbol that it names.
  public func difference(from original: borrowing ObjectFile) throws(ObjectFileError) -> String? {
    guard object.sections.count >= original.sections.count else { return "sections are gone" }
    guard object.header.sectionNames == original.header.sectionNames,
      stringsAreKept(original.header.sectionNames, original)
    else { return "section names changed" }
    var fates = [Fate](repeating: .kept, count: original.sections.count)
    for (position, edit) in plan.editedRelocations.enumerated() { fates[edit.table.rawValue] = .edited(position) }
    for section in rewrittenSections(of: original) { fates[section.rawValue] = .rewritten }
    for replaced in plan.replacedSections { fates[replaced.section.rawValue] = .replaced }
    let newMembers = membersGained(since: original)
    for old in original.sections.dropFirst() {
      let new = object[old.index]
      // The names are the old ones, so that the same offset means the same name.
      guard new.nameOffset == old.nameOffset else { return "section \(old.index.rawValue) changed its name" }
      if case .replaced = fates[old.index.rawValue] { continue }
      guard new.type == old.type, new.flags == old.flags, new.address == old.address
      else { return "the header of \(original.name(of: old.index)) changed" }
      switch fates[old.index.rawValue] {
      case .rewritten, .replaced: break
      case .edited(let position):
        guard new.link == old.link, new.info == old.info, try hasRecords(plan.editedRelocations[position], original)
        else { return "\(original.name(of: old.index)) is not what it should be" }
      case .kept where newMembers[old.index] != nil:
        guard new.link == old.link, hasGained(newMembers[old.index] ?? [], group: old.index, original) else {
          return "the section group \(original.name(of: old.index)) is not what it should be"
        }
      case .kept:
        guard new.fileOffset == old.fileOffset, new.size == old.size, new.link == old.link,
          new.alignment == old.alignment,
          new.entrySize == old.entrySize, new.info == old.info || old.type == .group
        else { return "\(original.name(of: old.index)) moved" }
      }
    }
    for section in Set(plan.contentPatches.map(\.section)) where !hasOnlyPatches(in: section, original) {
      return "\(original.name(of: section)) changed in other places than planned"
    }
    return differenceInSymbols(from: original)
  }

  /// What an edit may do to a section.
  private enum Fate {
    case kept
    /// Written anew, header and contents.
    case replaced
    /// Its contents are written anew.
    case rewritten
    /// A table of relocations, by its position in the plan.
    case edited(Int)
  }

  /// The sections whose contents the edit may write anew: the plan's own, and those that grow with names and symbols.
  private func rewrittenSections(of original: borrowing ObjectFile) -> Set<SectionIndex> {
    var sections: Set<SectionIndex> = [original.header.sectionNames]
    for replaced in plan.replacedSections {
      sections.insert(replaced.section)
      if let relocations = replaced.relocationSection { sections.insert(relocations) }
    }
    guard let table = original.symbolTable, plan.addsSymbols else {
      return sections
    }
    sections.formUnion([table.section, table.strings])
    if let extended = table.extendedIndexes { sections.insert(extended) }
    return sections.union(original.sections.filter { $0.type == .llvmAddrsig }.map(\.index))
  }

  /// The sections behind the original ones that are marked as members of groups, by the group that the plan has them in.
  private func membersGained(since original: borrowing ObjectFile) -> [SectionIndex: [SectionIndex]] {
    var gained: [SectionIndex: [SectionIndex]] = [:]
    for section in object.sections.dropFirst(original.sections.count) where section.flags.contains(.group) {
      guard let group = object.group(of: section.index) else { continue }
      gained[group, default: []].append(section.index)
    }
    return gained
  }

  /// Whether a section group has the members that it had, and behind them `members`.
  private func hasGained(
    _ members: [SectionIndex], group: SectionIndex, _ original: borrowing ObjectFile
  ) -> Bool {
    original.withContents(of: group) { old in
      object.withContents(of: group) { new in
        guard new.count == old.count + 4 * members.count else { return false }
        for position in old.indices where old[position] != new[position] { return false }
        return members.enumerated().allSatisfy { number, member in
          new.littleEndian(UInt32.self, at: old.count + 4 * number) == UInt32(member.rawValue)
        }
      }
    }
  }

  /// Whether the outcome's table of relocations holds the records that `edit` makes.
  private func hasRecords(
    _ edit: EditedRelocations, _ original: borrowing ObjectFile
  ) throws(ObjectFileError) -> Bool {
    let renumbering = original.symbolTable.map { SymbolRenumbering($0, insertedLocals: plan.localSymbols.count) }
    // In portions: a copy of the table may be most of a large object.
    var (portion, count, isRight) = ([Relocation](), 0, true)
    func compare() throws(ObjectFileError) {
      let isSame = try object.hasRelocations(portion, at: count, in: edit.table)
      isRight = isRight && isSame
      count += portion.count
      portion.removeAll(keepingCapacity: true)
    }
    try plan.forEachRecord(after: edit, of: original, renumbering) { expected, _ throws(ObjectFileError) in
      portion.append(expected)
      if portion.count == 4096 { try compare() }
    }
    try compare()
    return isRight && count == object[edit.table].contentSize / Relocation.size
  }

  /// Whether a section differs from the original in the planned patches only, and has these.
  private func hasOnlyPatches(in section: SectionIndex, _ original: borrowing ObjectFile) -> Bool {
    original.withContents(of: section) { old in
      object.withContents(of: section) { new in
        guard new.count == old.count else { return false }
        var position = 0
        for patch in plan.contentPatches.filter({ $0.section == section }).sorted(by: { $0.offset < $1.offset }) {
          let start = patch.offset.rawValue
          guard start >= position, new.hasBytes(patch.bytes, at: start) else { return false }
          guard new.hasSameBytes(as: old, in: position..<start) else { return false }
          position = start + patch.bytes.count
        }
        return new.hasSameBytes(as: old, in: position..<old.count)
      }
    }
  }

  private func stringsAreKept(_ table: SectionIndex, _ original: borrowing ObjectFile) -> Bool {
    original.withContents(of: table) { old in
      object.withContents(of: table) { new in
        new.count >= old.count && new.hasSameBytes(as: old, in: 0..<old.count)
      }
    }
  }

  private func differenceInSymbols(from original: borrowing ObjectFile) -> String? {
    guard let table = original.symbolTable, plan.addsSymbols else {
      return nil
    }
    guard stringsAreKept(table.strings, original) else { return "symbol names changed" }
    let renumbering = SymbolRenumbering(table, insertedLocals: plan.localSymbols.count)
    return original.withSymbols { old, _ in
      object.withSymbols { new, _ -> String? in
        guard new.count == old.count + plan.localSymbols.count + plan.globalSymbols.count else {
          return "symbols are lost"
        }
        for index in old.indices {
          let (before, after) = (SymbolIndex(index), SymbolIndex(renumbering.newIndex(of: index)))
          guard old[index] == new[after.rawValue],
            original.place(of: old[index], at: before) == object.place(of: new[after.rawValue], at: after)
          else { return "symbol \(index) changed" }
        }
        if renumbering.isIdentity { return nil }
        return differenceInReferences(from: original, old, new)
      }
    }
  }

  /// Follows every symbol index outside the symbol table: it must still lead to the same record.
  private func differenceInReferences(
    from original: borrowing ObjectFile, _ old: Span<Symbol>, _ new: Span<Symbol>
  ) -> String? {
    func isSame(_ oldIndex: UInt32, _ newIndex: UInt32) -> Bool {
      guard Int(oldIndex) < old.count, Int(newIndex) < new.count else { return oldIndex == newIndex }
      return old[Int(oldIndex)] == new[Int(newIndex)]
    }
    for section in original.sections {
      let recordSize: Int
      switch section.type {
      case .rela
      where !plan.replacedSections.contains { $0.relocationSection == section.index }
        && !plan.editedRelocations.contains { $0.table == section.index }:
        recordSize = Relocation.size
      case .rel: recordSize = 16
      case .group:
        guard isSame(section.info, object[section.index].info) else {
          return "the signature of a section group changed"
        }
        continue
      default: continue
      }
      let isKept = original.withContents(of: section.index) { before in
        object.withContents(of: section.index) { after in
          for record in stride(from: 0, to: before.count, by: recordSize) {
            guard let oldIndex = before.littleEndian(UInt32.self, at: record + 12),
              let newIndex = after.littleEndian(UInt32.self, at: record + 12), isSame(oldIndex, newIndex)
            else { return false }
          }
          return true
        }
      }
      guard isKept else { return "a relocation of \(original.name(of: section.index)) names another symbol" }
    }
    return nil
  }
}
