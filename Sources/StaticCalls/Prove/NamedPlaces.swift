import ObjectFile

/// The places of code, and of data, that symbols and the relocations of data name. All of this is found without decoding any code.
struct NamedPlaces {
  /// Section offsets of symbols, in ascending order.
  private(set) var symbols: [SectionIndex: [Int]] = [:]
  /// Fields of data that hold an address of code, in ascending order of the place that they name.
  private(set) var references: [SectionIndex: [DataReference]] = [:]
  /// Places that control may get to because a table of the kernel names them, in ascending order.
  private(set) var described: [SectionIndex: [Int]] = [:]
  /// Places that a table names as an instruction to be examined or changed, in ascending order.
  private(set) var instructions: [SectionIndex: [Int]] = [:]
  /// Places whose code is replaced at run time, in ascending order.
  private(set) var alternatives: [SectionIndex: [Int]] = [:]
  /// Fields of data that hold a distance to code, by the section that holds them, in ascending order of the field; each with the place that
  /// it names if it counts from itself.
  private(set) var distances: [SectionIndex: [DataField]] = [:]
  /// All fields of data with a relocation, by the section that holds them, in ascending order of the field.
  private(set) var fields: [SectionIndex: [DataField]] = [:]
  /// Places in data that data, or a symbol that other objects can see, names, in ascending order.
  private(set) var sharedData: [SectionIndex: [Int]] = [:]
  /// Symbols in data, as section offsets in no particular order.
  private(set) var dataLabels: [SectionIndex: [Int]] = [:]
  /// Objects in data, as symbols give them, in ascending order of their starts.
  private(set) var dataObjects: [SectionIndex: [Range<Int>]] = [:]
  /// Where functions begin, in whatever section; pieces that a compiler outlined are not among them.
  private(set) var functionStarts: Set<Place> = []
  /// The code of functions that are longer than the distance to the next one's start, and of those next ones.
  private(set) var nestedFunctions: [SectionIndex: [Range<Int>]] = [:]
  /// Whether there are relocations that cannot be read.
  let isIncomplete: Bool

  /// Looks for the places in `sections` that anything outside of code names.
  init(
    in sections: Set<SectionIndex>, of object: borrowing ObjectFile, _ options: Options
  ) throws(ObjectFileError) {
    isIncomplete = object.sections.contains { table in
      [.rel, .crel].contains(table.type) && table.size != 0 && Int(table.info) < object.sections.count
        && object.sections[Int(table.info)].flags.contains(.alloc)
    }
    collectSymbols(in: sections, object)
    for table in object.sections where table.type == .rela && table.size != 0 {
      let holder = SectionIndex(Int(table.info))
      // The sites themselves: a patcher changes where they lead, and nothing else.
      if options.tableSections.contains(object.name(of: holder)) { continue }
      let purpose = TablePurpose(of: object[holder], object)
      // What is not loaded, such as debugging information, leads no control anywhere; but a tracer changes code at its probes.
      guard purpose != .code, object[holder].flags.contains(.alloc) || purpose == .instructions else { continue }
      if purpose == .data, try isTableOfSites(object[holder], StaticCalls.architecture(of: object.machine), object) {
        continue
      }
      try collectRelocations(in: table.index, of: holder, purpose, naming: sections, object)
    }
    sort()
  }

  /// Whether a symbol, or data, names a place strictly inside of a range. Distances are not among it: what they count from takes the code
  /// to know.
  func nameInside(_ range: Range<Int>, of section: SectionIndex) -> Bool {
    let inside = (range.lowerBound + 1)..<max(range.lowerBound + 1, range.upperBound)
    return symbols[section]?.elements(in: inside).isEmpty == false
      || described[section]?.elements(in: inside).isEmpty == false
      || references[section]?.elements(in: inside).isEmpty == false
  }

  /// Whether a table names an instruction in a range.
  func nameInstruction(in range: Range<Int>, of section: SectionIndex) -> Bool {
    instructions[section]?.elements(in: range).isEmpty == false
  }

  /// Whether code in a range is replaced at run time.
  func replaceCode(in range: Range<Int>, of section: SectionIndex) -> Bool {
    alternatives[section]?.elements(in: range).isEmpty == false
  }

  // MARK: Collecting

  private mutating func collectSymbols(in sections: Set<SectionIndex>, _ object: borrowing ObjectFile) {
    var functions: [SectionIndex: Set<Range<Int>>] = [:]
    object.withSymbols { symbols, names in
      for index in symbols.indices {
        let symbol = symbols[index]
        guard symbol.type != .section, symbol.type != .file, symbol.nameOffset != 0,
          symbol.marksData(names, on: object.machine) == nil,
          case .section(let section) = object.place(of: symbol, at: SymbolIndex(index))
        else { continue }
        let offset = Int(truncatingIfNeeded: symbol.value)
        let size = Int(clamping: symbol.size)
        let isInReach = offset >= 0 && offset <= Int(Int32.max) && size <= Int(Int32.max)
        // A place that is known as a function's start is among the others already.
        let isNew =
          symbol.type != .function || symbol.isOutlined(names)
          || functionStarts.insert(Place(section: section, offset: offset)).inserted
        if sections.contains(section) {
          if isNew { self.symbols[section, default: []].append(offset) }
          if symbol.type == .function, isInReach { functions[section, default: []].insert(offset..<(offset + size)) }
        } else {
          if isNew { dataLabels[section, default: []].append(offset) }
          if symbol.binding != .local { sharedData[section, default: []].append(offset) }
          if symbol.type == .object, size > 0, isInReach {
            dataObjects[section, default: []].append(offset..<(offset + size))
          }
        }
      }
    }
    nestedFunctions = functions.mapValues { $0.nested }
  }

  private mutating func collectRelocations(
    in table: SectionIndex, of holder: SectionIndex, _ purpose: TablePurpose, naming sections: Set<SectionIndex>,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let architecture = StaticCalls.architecture(of: object.machine)
    try object.withRelocations(in: table) { relocations in
      for position in relocations.indices where relocations[position].type != .none {
        let relocation = relocations[position]
        guard let place = Place(relocation.addend, from: relocation.symbol, object) else { continue }
        let (section, field) = (place.section, relocation.offset.rawValue)
        if purpose == .data { fields[holder, default: []].append(DataField(offset: field, target: place)) }
        guard sections.contains(section) else {
          if purpose == .data { sharedData[section, default: []].append(place.offset) }
          continue
        }
        switch purpose {
        case .code, .unwinding: break
        case .description: described[section, default: []].append(place.offset)
        case .instructions: instructions[section, default: []].append(place.offset)
        case .alternatives: alternatives[section, default: []].append(place.offset)
        case .data where architecture.isDistance(relocation):
          distances[holder, default: []].append(DataField(offset: field, target: place))
        case .data:
          references[section, default: []].append(
            DataReference(place: place.offset, field: Place(section: holder, offset: field)))
        }
      }
    }
  }

  private mutating func sort() {
    for section in symbols.keys { symbols[section]?.sort() }
    for section in references.keys { references[section]?.sort { $0.place < $1.place } }
    for section in sharedData.keys { sharedData[section]?.sort() }
    for section in described.keys { described[section]?.sort() }
    for section in instructions.keys { instructions[section]?.sort() }
    for section in alternatives.keys { alternatives[section]?.sort() }
    for section in distances.keys { distances[section]?.sort { $0.offset < $1.offset } }
    for section in fields.keys { fields[section]?.sort { $0.offset < $1.offset } }
    for section in dataObjects.keys { dataObjects[section]?.sort { $0.lowerBound < $1.lowerBound } }
  }
}

/// A field of data that names a place in code.
struct DataReference {
  /// The section offset that it names.
  var place: Int
  var field: Place
}

/// A relocated field of data.
struct DataField {
  /// Section offset of the field.
  var offset: Int
  /// What the relocation names, addend included.
  var target: Place
}

/// What a section with relocations is for.
enum TablePurpose {
  case code
  /// The unwind tables, which are read on their own.
  case unwinding
  /// Tables that say something of places without making anything jump there from anywhere: the kernel's jump labels and
  /// exception tables name the place themselves.
  case description
  /// Tables of instructions that something examines or changes.
  case instructions
  case alternatives
  /// Anything that the program may load an address from.
  case data

  init(of section: Section, _ object: borrowing ObjectFile) {
    func named(_ names: [String]) -> Bool { names.contains { object.name(of: section.index, is: Array($0.utf8)) } }
    func begins(_ prefix: String) -> Bool { object.name(of: section.index, hasPrefix: Array(prefix.utf8)) }
    self =
      if section.flags.contains(.execInstr) {
        .code
      } else if named([".eh_frame", ".gcc_except_table", ".orc_unwind_ip"]) || begins(".gcc_except_table.") {
        .unwinding
      } else if named([".altinstructions"]) {
        .alternatives
      } else if named([
        ".retpoline_sites", ".return_sites", ".call_sites", ".cfi_sites", ".parainstructions", ".smp_locks",
        ".kcfi_traps", "__bug_table", "__mcount_loc", "xray_instr_map",
      ]) || begins(".note.") {
        // A note that names code is read by a tracer: .note.stapsdt names a nop and the registers that hold a probe's arguments.
        .instructions
      } else if named(["__jump_table", "__ex_table", "__patchable_function_entries", ".ibt_endbr_seal"])
        || begins(".discard.")
      {
        .description
      } else {
        .data
      }
  }
}

extension [Int] {
  /// The elements of an ascending array that lie in a range.
  func elements(in range: Range<Int>) -> ArraySlice<Int> {
    self[partitionPoint { $0 >= range.lowerBound }..<partitionPoint { $0 >= range.upperBound }]
  }
}

extension [DataReference] {
  /// The references, in ascending order of what they name, that name a place in a range.
  func elements(in range: Range<Int>) -> ArraySlice<DataReference> {
    self[partitionPoint { $0.place >= range.lowerBound }..<partitionPoint { $0.place >= range.upperBound }]
  }
}

extension Set<Range<Int>> {
  /// Those ranges that another one begins strictly inside of, or that begin so inside of another.
  fileprivate var nested: [Range<Int>] {
    var found: [Range<Int>] = []
    var outer: Range<Int>?
    for range in sorted(by: { ($0.lowerBound, $1.upperBound) < ($1.lowerBound, $0.upperBound) }) {
      if let last = outer, range.lowerBound > last.lowerBound, range.lowerBound < last.upperBound {
        if found.last != last { found.append(last) }
        found.append(range)
      }
      if range.upperBound > outer?.upperBound ?? Int.min { outer = range }
    }
    return found
  }
}
