import Disassembly
import ObjectFile

/// Where a jump through a table leads, and the fields of data that say so.
struct TableContents {
  var targets = FunctionCode.JumpTargets()
  var fields: Set<Place> = []
  /// What was read of the table, as section offsets.
  var range = 0..<0

  /// Adds a target of which a field, or a constant, says that it is in a section.
  mutating func add(_ target: Int, in section: SectionIndex, _ code: FunctionCode) {
    if section == code.section, code.range.contains(target) {
      targets.places.insert(target)
    } else {
      targets.leavesFunction = true
    }
  }
}

extension JumpTable {
  /// The places in a function that the table leads to; `nil` where the table cannot be read.
  ///
  /// The table ends where the comparison in front of the jump says. Where that is not understood, it may go on behind a label: that may as
  /// well be an address in its middle which an index is added to.
  func targets(
    in code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> TableContents? {
    let section = object[table.section]
    guard table.offset >= 0, table.offset < section.contentSize else { return nil }
    let entries = load.flatMap { code.position(at: $0) }.flatMap { position in
      object.withContents(of: code.section) {
        entrances.architecture.entries(loadedBy: code.instructions[position], after: code.path(to: position), in: $0)
      }
    }
    let known = entries.map { table.offset + $0 * element.size }
    guard let base else {
      // What a program can write is anything.
      let isConstant =
        !section.flags.contains(.write) || object.name(of: section.index, hasPrefix: Array(".data.rel.ro".utf8))
      return isConstant ? try addresses(known, code, entrances, object) : nil
    }
    if base == table, shift == 0 { return try distances(known, code, entrances, object) }
    guard base.section == code.section, !section.flags.contains(.write) else { return nil }
    return try constantTargets(from: base.offset, known, code, entrances, object)
  }

  /// The first place behind the table's start where a label may end it.
  private func label(_ entrances: Entrances, _ object: borrowing ObjectFile) -> Int {
    min(object[table.section].contentSize, entrances.end(ofArrayAt: table.offset, in: table.section) ?? .max)
  }

  /// The targets of addresses, each a relocated field.
  private func addresses(
    _ known: Int?, _ code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> TableContents? {
    let end = known ?? max(table.offset + 1, label(entrances, object) - element.size + 1)
    var found = TableContents()
    var slot = table.offset
    for field in try fields(to: known ?? .max, entrances, object) where field.offset >= slot {
      let isInFunction = field.target.section == code.section && code.range.contains(field.target.offset)
      guard field.offset == slot, slot < end || isInFunction else { break }
      if slot < end { found.fields.insert(Place(section: table.section, offset: slot)) }
      found.add(field.target.offset, in: field.target.section, code)
      slot += element.size
    }
    found.range = table.offset..<slot
    return slot >= end ? found : nil
  }

  /// The targets of constants that count from a base. Constants behind the table's end only make entrances that are none.
  private func constantTargets(
    from base: Int, _ known: Int?, _ code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> TableContents? {
    let size = object[table.section].contentSize
    // An address in front of the table, to which an index is added, has another object around it.
    if known == nil, entrances.isInside(anObjectAt: table.offset, in: table.section) { return nil }
    let end = known ?? min(size, entrances.objectEnd(at: table.offset, in: table.section) ?? .max)
    guard end <= size, try fields(to: end, entrances, object).isEmpty else { return nil }
    return object.withContents(of: table.section) { bytes in
      var found = TableContents(range: table.offset..<max(table.offset, end))
      for field in stride(from: table.offset, to: end - element.size + 1, by: element.size) {
        guard let value = self.value(at: field, in: bytes) else { return nil }
        let target = base &+ (value &<< shift)
        if code.range.contains(target) {
          found.targets.places.insert(target)
        } else if known != nil {
          return nil
        }
      }
      return found
    }
  }

  /// The targets of distances from the table's start, each a relocated field.
  private func distances(
    _ known: Int?, _ code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> TableContents? {
    guard element.size == 4 else { return nil }
    let end = known ?? max(table.offset + 1, label(entrances, object) - element.size + 1)
    var found = TableContents()
    var slot = table.offset
    for field in try fields(to: known ?? .max, entrances, object) where field.offset >= slot {
      guard field.offset == slot else { break }
      let target = field.target.offset &- (slot - table.offset)
      if slot < end {
        found.fields.insert(Place(section: table.section, offset: slot))
        found.add(target, in: field.target.section, code)
      } else if field.target.section == code.section, code.position(at: target) != nil {
        // Behind a label, only what leads to an instruction counts.
        found.targets.places.insert(target)
      }
      slot += element.size
    }
    found.range = table.offset..<slot
    return slot >= end ? found : nil
  }

  private func value(at offset: Int, in bytes: Span<UInt8>) -> Int? {
    let (size, isSigned) =
      switch widening {
      case .whole: (element.size, element.isSigned)
      case .signed(let bytes): (min(bytes, element.size), true)
      case .unsigned(let bytes): (min(bytes, element.size), false)
      }
    return switch (size, isSigned) {
    case (1, false): bytes.littleEndian(UInt8.self, at: offset).map { Int($0) }
    case (1, true): bytes.littleEndian(Int8.self, at: offset).map { Int($0) }
    case (2, false): bytes.littleEndian(UInt16.self, at: offset).map { Int($0) }
    case (2, true): bytes.littleEndian(Int16.self, at: offset).map { Int($0) }
    case (4, false): bytes.littleEndian(UInt32.self, at: offset).map { Int($0) }
    case (4, true): bytes.littleEndian(Int32.self, at: offset).map { Int($0) }
    default: nil
    }
  }

  /// The relocated fields from the table's start to an offset, in ascending order.
  private func fields(
    to end: Int, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> ArraySlice<DataField> {
    // A table among code is rare: its relocations are among those of the code.
    let all =
      object[table.section].flags.contains(.execInstr)
      ? try relocatedFields(of: table.section, object) : entrances.named.fields[table.section] ?? []
    let start = all.partitionPoint { $0.offset >= table.offset }
    return all[start..<max(start, all.partitionPoint { $0.offset >= end })]
  }

  private func relocatedFields(
    of section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> [DataField] {
    var fields: [DataField] = []
    for table in object.relocationSections(of: section) {
      try object.withRelocations(in: table) { relocations in
        for position in relocations.indices where relocations[position].type != .none {
          let relocation = relocations[position]
          guard let target = Place(relocation.addend, from: relocation.symbol, object) else { continue }
          fields.append(DataField(offset: relocation.offset.rawValue, target: target))
        }
      }
    }
    return fields.sorted { $0.offset < $1.offset }
  }
}
