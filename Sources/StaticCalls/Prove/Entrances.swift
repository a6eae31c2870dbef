import ObjectFile

/// Where control may enter code by ways that the code itself does not show: symbols, addresses in relocations, tables of the
/// kernel, landing pads of exceptions, branches from other functions.
struct Entrances {
  let named: NamedPlaces
  let unwinding: UnwindTable
  let architecture: any Architecture.Type
  /// Section offsets in ascending order. Those that only data names, and that may be targets of a jump table, are not among them.
  private var places: [SectionIndex: [Int]] = [:]
  /// Fields of data that name places, distances included, in ascending order of the place.
  private var references: [SectionIndex: [DataReference]] = [:]
  /// The addresses of code that other code forms without a relocation, in ascending order of the place.
  private var formed: [SectionIndex: [CodeReader.FormedAddress]] = [:]
  /// Places whose address a program can get hold of, so that an indirect jump may lead there.
  private var takenAddresses: [SectionIndex: [Int]] = [:]
  /// Places in data that code refers to, or that symbols name: where tables may begin. In ascending order.
  private var dataLabels: [SectionIndex: [Int]] = [:]
  /// What code refers to in data, with the field that does, in ascending order of the place.
  private var labelReferences: [SectionIndex: [DataReference]] = [:]
  /// Sections whose code something refers to in a way that is not understood.
  private var unreadable: Set<SectionIndex> = []

  /// Looks for the entrances to `sections`.
  init(
    to sections: Set<SectionIndex>, _ named: NamedPlaces, in object: borrowing ObjectFile, _ code: inout CodeReader
  ) throws(ObjectFileError) {
    architecture = StaticCalls.architecture(of: object.machine)
    self.named = named
    unwinding = try UnwindTable(of: sections, in: object)
    dataLabels = named.dataLabels
    references = named.references
    for section in sections {
      places[section] = (named.symbols[section] ?? []) + (named.described[section] ?? [])
      takenAddresses[section] = named.references[section]?.map(\.place)
    }
    for table in object.sections where table.type == .rela && table.size != 0 {
      let holder = object[SectionIndex(Int(table.info))]
      guard holder.flags.contains(.execInstr), holder.flags.contains(.alloc) else { continue }
      try collectReferencesOfCode(in: table.index, of: holder.index, to: sections, object)
    }
    var starts: [SectionIndex: InstructionStarts] = [:]
    for section in sections.sorted() where object[section].flags.contains(.execInstr) {
      guard let far = try code.farTargets(in: section, object) else {
        unreadable.insert(section)
        continue
      }
      places[section, default: []] += far.branches
      formed[section] = far.addresses
      takenAddresses[section, default: []] += far.addresses.map(\.place)
      starts[section] = far.starts
    }
    for section in dataLabels.keys { dataLabels[section]?.sort() }
    for section in labelReferences.keys { labelReferences[section]?.sort { $0.place < $1.place } }
    collectDistances(starts)
    for section in places.keys { places[section]?.sort() }
    for section in references.keys { references[section]?.sort { $0.place < $1.place } }
    for section in takenAddresses.keys { takenAddresses[section]?.sort() }
  }

  // MARK: Asking

  /// The entrances to the function that takes a range of section offsets which hold whatever jump tables there are; landing pads not among
  /// them. An address that the function forms itself is none: it is the base of a jump table, or makes proofs impossible.
  func entrances(toFunction range: Range<Int>, of section: SectionIndex) -> Set<Int> {
    var found = Set(places[section]?.elements(in: range) ?? [])
    for address in formed(in: range, of: section) where !range.contains(address.instruction) {
      found.insert(address.place)
    }
    return found
  }

  private func formed(in range: Range<Int>, of section: SectionIndex) -> ArraySlice<CodeReader.FormedAddress> {
    let all = formed[section] ?? []
    let start = all.partitionPoint { $0.place >= range.lowerBound }
    return all[start..<all.partitionPoint { $0.place >= range.upperBound }]
  }

  /// The places in a range that fields of data name. Each is an entrance, but for the targets of a jump table whose jump is known.
  func references(to range: Range<Int>, of section: SectionIndex) -> ArraySlice<DataReference> {
    references[section]?.elements(in: range) ?? []
  }

  /// Whether control may enter strictly inside of a range, by whatever way; landing pads not among them.
  func leadInside(_ range: Range<Int>, of section: SectionIndex) -> Bool {
    let inside = (range.lowerBound + 1)..<max(range.lowerBound + 1, range.upperBound)
    return places[section]?.elements(in: inside).isEmpty == false || !formed(in: inside, of: section).isEmpty
      || !references(to: inside, of: section).isEmpty
      || named.nameInstruction(in: inside, of: section)
  }

  /// Whether an indirect jump may lead into the inside of a range.
  func isTaken(inside range: Range<Int>, of section: SectionIndex) -> Bool {
    takenAddresses[section]?.elements(in: (range.lowerBound + 1)..<max(range.lowerBound + 1, range.upperBound)).isEmpty
      == false
  }

  /// What makes all proofs about a range of code impossible, whatever the code does.
  func obstacle(in range: Range<Int>, of section: SectionIndex) -> FunctionCode.Obstacle? {
    if named.isIncomplete || unreadable.contains(section) || unwinding.isUnreadable(for: section) {
      return .unreadableTables
    }
    if named.replaceCode(in: range, of: section) { return .alternatives }
    // A jump table of the outer function may lead into the inner one.
    return named.nestedFunctions[section]?.contains { $0.overlaps(range) } == true ? .unboundedJump : nil
  }

  /// Where an array ends that begins at or reaches `offset` of a section: with the object that a symbol names there, or else in
  /// front of the next place that code refers to or that a symbol names.
  func end(ofArrayAt offset: Int, in section: SectionIndex) -> Int? {
    if let object = objects(at: offset, in: section).first { return object.upperBound }
    guard let labels = dataLabels[section] else { return nil }
    let next = labels.partitionPoint { $0 > offset }
    return next < labels.count ? labels[next] : nil
  }

  /// How far an array may reach that begins at or reaches `offset`: to the end of the objects that symbols name there, or else to the
  /// next such object; `nil` where there is none.
  func objectEnd(at offset: Int, in section: SectionIndex) -> Int? {
    if let end = objects(at: offset, in: section).map(\.upperBound).max() { return end }
    let all = named.dataObjects[section] ?? []
    let next = all.partitionPoint { $0.lowerBound > offset }
    return next < all.count ? all[next].lowerBound : nil
  }

  /// Whether an offset lies in an object in data behind its start.
  func isInside(anObjectAt offset: Int, in section: SectionIndex) -> Bool {
    objects(at: offset, in: section).contains { $0.lowerBound != offset }
  }

  /// Whether anything but the function that takes a range of code names a place in a range of data: other code, data, or a symbol that other
  /// objects can see.
  func isNamed(_ data: Range<Int>, of section: SectionIndex, butBy function: Range<Int>, in code: SectionIndex) -> Bool
  {
    if named.sharedData[section]?.elements(in: data).isEmpty == false { return true }
    let all = labelReferences[section] ?? []
    let start = all.partitionPoint { $0.place >= data.lowerBound }
    return all[start..<all.partitionPoint { $0.place >= data.upperBound }].contains {
      $0.field.section != code || !function.contains($0.field.offset)
    }
  }

  /// The places strictly inside of a range that an indirect jump may lead to.
  func taken(inside range: Range<Int>, of section: SectionIndex) -> ArraySlice<Int> {
    takenAddresses[section]?.elements(in: (range.lowerBound + 1)..<max(range.lowerBound + 1, range.upperBound)) ?? []
  }

  /// The objects in data that hold an offset.
  private func objects(at offset: Int, in section: SectionIndex) -> [Range<Int>] {
    (named.dataObjects[section] ?? []).filter { $0.contains(offset) }
  }

  // MARK: Collecting

  /// Notes what the relocations of code name: places in code, and where arrays may begin in data.
  private mutating func collectReferencesOfCode(
    in table: SectionIndex, of holder: SectionIndex, to sections: Set<SectionIndex>, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    try object.withRelocations(in: table) { relocations in
      for position in relocations.indices where relocations[position].type != .none {
        let relocation = relocations[position]
        // Behind the field of a branch, and of an instruction that makes an address, the instruction ends.
        let end = relocation.offset.rawValue + architecture.fieldSize(of: relocation)
        let distance = architecture.targetOffset(of: relocation, instructionEnd: end)
        guard let named = Place(distance, from: relocation.symbol, object) else { continue }
        let (section, place) = (named.section, named.offset)
        guard sections.contains(section) else {
          dataLabels[section, default: []].append(place)
          labelReferences[section, default: []].append(
            DataReference(place: place, field: Place(section: holder, offset: relocation.offset.rawValue)))
          continue
        }
        places[section, default: []].append(place)
        object.withContents(of: holder) { code in
          let isUnderstood = !architecture.isDistance(relocation) || architecture.formsAddress(relocation, in: code)
          if !isUnderstood { unreadable.insert(section) }
          if architecture.field(of: relocation, in: code) == .other {
            takenAddresses[section, default: []].append(place)
          }
        }
      }
    }
  }

  /// Finds the places that data names by distances. A distance counts from its own field, or, in a jump table, from the start of
  /// the table: the assembler makes of `.long target - table` a relocation whose addend counts from the field. Neighbours that
  /// form a table are read in the way that leads all of them to instructions; in both where both do.
  private mutating func collectDistances(_ starts: [SectionIndex: InstructionStarts]) {
    for (holder, fields) in named.distances {
      let labels = dataLabels[holder] ?? []
      for table in fields.tables(between: labels) {
        let behind = labels.partitionPoint { $0 > table[0].offset }
        let start = behind > 0 ? labels[behind - 1] : 0
        let fromFields = table
        let fromStart = table.map { field in
          var moved = field
          moved.target.offset = field.target.offset &- (field.offset &- start)
          return moved
        }
        func isSound(_ fields: [DataField]) -> Bool {
          fields.allSatisfy { starts[$0.target.section]?.contains($0.target.offset) == true }
        }
        let readings = [fromFields, fromStart].filter(isSound)
        // Distances from yet another place: no telling where they lead.
        if readings.isEmpty { unreadable.formUnion(table.map(\.target.section)) }
        for field in (readings.isEmpty ? [fromFields, fromStart] : readings).joined() {
          references[field.target.section, default: []].append(
            DataReference(place: field.target.offset, field: Place(section: holder, offset: field.offset)))
          takenAddresses[field.target.section, default: []].append(field.target.offset)
        }
      }
    }
  }
}

extension [DataField] {
  /// Runs of neighbouring fields, which are in ascending order, with no label among them but at their start.
  fileprivate func tables(between labels: [Int]) -> [[DataField]] {
    var tables: [[DataField]] = []
    var previous: Int?
    for field in self {
      let isNeighbour = previous.map { field.offset - $0 <= 8 } ?? false
      let behind = labels.partitionPoint { $0 >= field.offset }
      let isLabel = behind < labels.count && labels[behind] == field.offset
      if isNeighbour, !isLabel { tables[tables.count - 1].append(field) } else { tables.append([field]) }
      previous = field.offset
    }
    return tables
  }
}
