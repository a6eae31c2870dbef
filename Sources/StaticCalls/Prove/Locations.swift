import ObjectFile

/// What relocations refer to, as far as proofs need it.
struct Locations {
  let architecture: any Architecture.Type
  let index: TrampolineIndex
  let thunks: Thunks

  init(_ architecture: any Architecture.Type, _ index: TrampolineIndex) {
    self.architecture = architecture
    self.index = index
    thunks = Thunks(architecture)
  }

  private static let tableName = Array("_GLOBAL_OFFSET_TABLE_".utf8)

  /// What the relocated instruction, which ends at a section offset, refers to.
  func location(of relocation: Relocation, instructionEnd end: Int, _ object: borrowing ObjectFile) -> Location? {
    let distance = architecture.targetOffset(of: relocation, instructionEnd: end)
    switch index.target(of: relocation.symbol) {
    case .trampoline(let number): return distance == 0 ? .trampoline(number) : nil
    case .key(let number): return distance == 0 ? .key(number) : nil
    case .section(let section):
      // A place stands for a symbol there only if no other object can have a say in where the symbol is.
      if let number = index.trampoline(in: section, at: Int(distance)), index.trampolines[number].binding == .local,
        !index.hasSharedAddress(number)
      {
        return .trampoline(number)
      }
      return .place(Place(section: section, offset: Int(distance)))
    case nil: return place(of: relocation.symbol, distance, object)
    }
  }

  private func place(of index: SymbolIndex, _ distance: Int64, _ object: borrowing ObjectFile) -> Location? {
    let symbol = object.symbol(index)
    switch object.place(of: symbol, at: index) {
    case .section(let section):
      // Another object may have the last word on where a global symbol is.
      guard symbol.binding == .local else { return distance == 0 ? .external(index) : nil }
      return .place(
        Place(section: section, offset: Int(truncatingIfNeeded: Int64(bitPattern: symbol.value) &+ distance)))
    case .undefined:
      let isTable = object.withSymbols { _, names in
        names.hasBytes(Self.tableName + [0], at: Int(symbol.nameOffset))
      }
      return distance != 0 ? nil : isTable ? .globalOffsetTable : .external(index)
    case .reserved: return nil
    }
  }

  /// The trampoline whose address is a constant at a place: in a section that the program cannot write.
  func trampoline(inConstantAt place: Place, _ object: borrowing ObjectFile) throws(ObjectFileError) -> Int? {
    let flags = object[place.section].flags
    guard flags.contains(.alloc), !flags.contains(.write) else { return nil }
    var found: [Int?] = []
    for table in object.relocationSections(of: place.section) {
      try object.withRelocations(in: table) { relocations in
        for position in relocations.indices {
          let relocation = relocations[position]
          // Whatever overlaps the eight bytes has a say in them.
          let distance = relocation.offset.rawValue &- place.offset
          guard relocation.type != .none, distance < 8, distance > -architecture.fieldSize(of: relocation) else {
            continue
          }
          let location = location(of: relocation, instructionEnd: place.offset, object)
          if case .trampoline(let number)? = location, relocation.type == architecture.addressRelocation,
            relocation.offset.rawValue == place.offset
          {
            found.append(number)
          } else {
            found.append(nil)
          }
        }
      }
    }
    return found.count == 1 ? found[0] : nil
  }
}

/// Whether a branch leads to a part of a function that was moved away, and not to a function: gcc makes a function symbol of its own for the
/// cold part of a function, and clang names a place in the section.
func leadsToPart(_ relocation: Relocation, _ object: borrowing ObjectFile) -> Bool {
  let symbol = object.symbol(relocation.symbol)
  guard symbol.binding == .local, case .section = object.place(of: symbol, at: relocation.symbol) else { return false }
  return symbol.type != .function || object.name(of: relocation.symbol).contains(".cold")
}
