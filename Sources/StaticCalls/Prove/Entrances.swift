import ObjectFile

/// Where control may enter code by ways that the code itself does not show: symbols, addresses in relocations, tables of the
/// kernel, landing pads of exceptions, branches from other functions.
struct Entrances {
  /// Section offsets in ascending order.
  private var places: [SectionIndex: [Int]] = [:]
  /// Those of them whose address a program can get hold of, so that an indirect jump may lead there.
  private var takenAddresses: [SectionIndex: [Int]] = [:]
  /// Those of them where control may arrive from any instruction around: what a handler or a patched jump goes on with.
  private var arrivals: [SectionIndex: [Int]] = [:]
  /// Places that a table of the kernel names as an instruction to be examined or changed.
  private var namedInstructions: [SectionIndex: [Int]] = [:]
  /// Places whose code is replaced at run time.
  private var alternatives: [SectionIndex: [Int]] = [:]
  /// Places in data that code refers to: where tables may begin.
  private var dataLabels: [SectionIndex: [Int]] = [:]
  /// Where functions begin, in whatever section; pieces that a compiler outlined are not among them.
  private(set) var functionStarts: Set<Place> = []
  /// Sections whose code something refers to in a way that is not understood.
  private var unreadable: Set<SectionIndex> = []
  let unwinding: UnwindTable
  /// The code of functions, as symbols give it; while collecting.
  private var functionRanges: [SectionIndex: Set<Range<Int>>] = [:]
  /// The code of functions that are longer than the distance to the next one's start.
  private var nested: [SectionIndex: [Range<Int>]] = [:]
  /// Whether there are relocations that cannot be read.
  private var isIncomplete = false
  /// Objects in data, as symbols give them.
  private var dataObjects: [SectionIndex: [Range<Int>]] = [:]
  /// Fields of data that hold a distance to code, by the section that holds them, in ascending order.
  fileprivate var distances: [SectionIndex: [Distance]] = [:]
  let architecture: any Architecture.Type

  /// A field that holds the distance from somewhere to a place in code.
  fileprivate struct Distance {
    var field: Int
    /// The place, if the distance counts from the field itself.
    var target: Place
  }

  /// Looks for the entrances to `sections`.
  init(
    to sections: Set<SectionIndex>, in object: borrowing ObjectFile, _ code: inout CodeReader, _ options: Options
  ) throws(ObjectFileError) {
    architecture = StaticCalls.architecture(of: object.machine)
    unwinding = try UnwindTable(of: sections, in: object)
    collectSymbols(in: sections, object)
    for table in object.sections where table.type == .rela && table.size != 0 {
      // The sites themselves: a patcher changes where they lead, and nothing else.
      if options.tableSections.contains(object.name(of: SectionIndex(Int(table.info)))) { continue }
      try collectRelocations(in: table, of: sections, object)
    }
    isIncomplete = object.sections.contains { table in
      [.rel, .crel].contains(table.type) && table.size != 0 && Int(table.info) < object.sections.count
        && object.sections[Int(table.info)].flags.contains(.alloc)
    }
    var starts: [SectionIndex: InstructionStarts] = [:]
    for section in sections.sorted() where object[section].flags.contains(.execInstr) {
      guard let far = try code.farTargets(in: section, object) else {
        unreadable.insert(section)
        continue
      }
      places[section, default: []] += far.branches + far.addresses
      takenAddresses[section, default: []] += far.addresses
      starts[section] = far.starts
    }
    collectDistances(starts)
    for section in places.keys { places[section]?.sort() }
    for section in arrivals.keys { arrivals[section]?.sort() }
    for section in takenAddresses.keys { takenAddresses[section]?.sort() }
    for section in namedInstructions.keys { namedInstructions[section]?.sort() }
    for section in alternatives.keys { alternatives[section]?.sort() }
    for section in dataLabels.keys { dataLabels[section]?.sort() }
    for (section, ranges) in functionRanges { nested[section] = ranges.nested }
    functionRanges = [:]
  }

  // MARK: Asking

  /// The entrances in a range of section offsets; landing pads not among them.
  func entrances(in range: Range<Int>, of section: SectionIndex) -> [Int] {
    Array(places[section]?.elements(in: range) ?? [])
  }

  /// The entrances in a range of section offsets that control may take from any instruction of the same function.
  func arrivals(in range: Range<Int>, of section: SectionIndex) -> Set<Int> {
    Set(arrivals[section]?.elements(in: range) ?? [])
      .union(unwinding.landingPads(in: range, of: section).map(\.offset))
  }

  /// Whether an indirect jump may lead into the inside of a range.
  func isTaken(inside range: Range<Int>, of section: SectionIndex) -> Bool {
    takenAddresses[section]?.elements(in: (range.lowerBound + 1)..<max(range.lowerBound + 1, range.upperBound)).isEmpty
      == false
  }

  /// Whether a table of the kernel names an instruction in a range.
  func namesInstruction(in range: Range<Int>, of section: SectionIndex) -> Bool {
    namedInstructions[section]?.elements(in: range).isEmpty == false
  }

  /// What makes all proofs about a range of code impossible, whatever the code does.
  func obstacle(in range: Range<Int>, of section: SectionIndex) -> FunctionCode.Obstacle? {
    if isIncomplete || unreadable.contains(section) || unwinding.isUnreadable(for: section) { return .unreadableTables }
    if alternatives[section]?.elements(in: range).isEmpty == false { return .alternatives }
    // A jump table of the outer function may lead into the inner one.
    return nested[section]?.contains { $0.overlaps(range) } == true ? .unboundedJump : nil
  }

  /// Where an array ends that begins at or reaches `offset` of a section: with the object that a symbol names there, or else in
  /// front of the next place that code refers to or that a symbol names.
  func end(ofArrayAt offset: Int, in section: SectionIndex) -> Int? {
    if let object = dataObjects[section]?.first(where: { $0.contains(offset) }) { return object.upperBound }
    guard let labels = dataLabels[section] else { return nil }
    let next = labels.partitionPoint { $0 > offset }
    return next < labels.count ? labels[next] : nil
  }

  /// How far an array may reach that begins at or reaches `offset`: to the end of the objects that symbols name there, or else to the
  /// next such object; `nil` where there is none.
  func objectEnd(at offset: Int, in section: SectionIndex) -> Int? {
    let objects = dataObjects[section] ?? []
    return objects.filter { $0.contains(offset) }.map(\.upperBound).max()
      ?? objects.map(\.lowerBound).filter { $0 > offset }.min()
  }

  // MARK: Collecting

  private mutating func collectSymbols(in sections: Set<SectionIndex>, _ object: borrowing ObjectFile) {
    object.withSymbols { symbols, names in
      for index in symbols.indices {
        let symbol = symbols[index]
        guard symbol.type != .section, symbol.type != .file, symbol.nameOffset != 0,
          symbol.marksData(names, on: object.machine) == nil,
          case .section(let section) = object.place(of: symbol, at: SymbolIndex(index))
        else { continue }
        let offset = Int(truncatingIfNeeded: symbol.value)
        // A place that is known as a function's start is among the others already.
        let isNew =
          symbol.type != .function || symbol.isOutlined(names)
          || functionStarts.insert(Place(section: section, offset: offset)).inserted
        if sections.contains(section) {
          if isNew { places[section, default: []].append(offset) }
          let size = Int(clamping: symbol.size)
          if symbol.type == .function, offset >= 0, offset <= Int(Int32.max), size <= Int(Int32.max) {
            functionRanges[section, default: []].insert(offset..<(offset + size))
          }
        } else {
          if isNew { dataLabels[section, default: []].append(offset) }
          let size = Int(clamping: symbol.size)
          if symbol.type == .object, size > 0, offset >= 0, offset <= Int(Int32.max), size <= Int(Int32.max) {
            dataObjects[section, default: []].append(offset..<(offset + size))
          }
        }
      }
    }
  }

  private mutating func collectRelocations(
    in table: Section, of sections: Set<SectionIndex>, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let holder = object[SectionIndex(Int(table.info))]
    let purpose = TablePurpose(of: holder, object)
    // What is not loaded, such as debugging information, leads no control anywhere; but a tracer changes code at its probes.
    guard holder.flags.contains(.alloc) || purpose == .instructions else { return }
    if purpose == .data, try isTableOfSites(holder, architecture, object) { return }
    try object.withRelocations(in: table.index) { relocations in
      for position in relocations.indices where relocations[position].type != .none {
        let relocation = relocations[position]
        let symbol = object.symbol(relocation.symbol)
        guard case .section(let section) = object.place(of: symbol, at: relocation.symbol) else { continue }
        let base = Int(truncatingIfNeeded: symbol.value)
        let plain = base &+ Int(truncatingIfNeeded: relocation.addend)
        // Behind the field of a branch, and of an instruction that makes an address, the instruction ends.
        let end = relocation.offset.rawValue + architecture.fieldSize(of: relocation)
        let adjusted =
          base &+ Int(truncatingIfNeeded: architecture.targetOffset(of: relocation, instructionEnd: end))
        guard sections.contains(section) else {
          if purpose == .code { dataLabels[section, default: []].append(adjusted) }
          continue
        }
        switch purpose {
        case .code:
          places[section, default: []].append(adjusted)
          let isUnderstood = object.withContents(of: holder.index) {
            !architecture.isDistance(relocation) || architecture.formsAddress(relocation, in: $0)
          }
          if !isUnderstood { unreadable.insert(section) }
          let isBranch = object.withContents(of: holder.index) { architecture.field(of: relocation, in: $0) != .other }
          if !isBranch { takenAddresses[section, default: []].append(adjusted) }
        case .description:
          places[section, default: []].append(plain)
          arrivals[section, default: []].append(plain)
        case .unwinding: break
        case .instructions:
          places[section, default: []].append(plain)
          arrivals[section, default: []].append(plain)
          namedInstructions[section, default: []].append(plain)
        case .alternatives: alternatives[section, default: []].append(plain)
        case .data where architecture.isDistance(relocation):
          distances[holder.index, default: []].append(
            Distance(field: relocation.offset.rawValue, target: Place(section: section, offset: plain)))
        case .data:
          places[section, default: []].append(plain)
          takenAddresses[section, default: []].append(plain)
        }
      }
    }
  }

  /// Finds the places that data names by distances. A distance counts from its own field, or, in a jump table, from the start of
  /// the table: the assembler makes of `.long target - table` a relocation whose addend counts from the field. Neighbours that
  /// form a table are read in the way that leads all of them to instructions; in both where both do.
  private mutating func collectDistances(_ starts: [SectionIndex: InstructionStarts]) {
    for (holder, fields) in distances {
      let labels = (dataLabels[holder] ?? []).sorted()
      for table in fields.sorted(by: { $0.field < $1.field }).tables(between: labels) {
        let behind = labels.partitionPoint { $0 > table[0].field }
        let start = behind > 0 ? labels[behind - 1] : 0
        let fromFields = table.map(\.target)
        let fromStart = table.map {
          Place(section: $0.target.section, offset: $0.target.offset &- ($0.field &- start))
        }
        func isSound(_ targets: [Place]) -> Bool {
          targets.allSatisfy { starts[$0.section]?.contains($0.offset) == true }
        }
        let readings = [fromFields, fromStart].filter(isSound)
        // Distances from yet another place: no telling where they lead.
        if readings.isEmpty { unreadable.formUnion(table.map(\.target.section)) }
        for target in (readings.isEmpty ? [fromFields, fromStart] : readings).joined() {
          places[target.section, default: []].append(target.offset)
          takenAddresses[target.section, default: []].append(target.offset)
        }
      }
    }
  }
}

extension [Entrances.Distance] {
  /// Runs of neighbouring fields, with no label among them but at their start.
  fileprivate func tables(between labels: [Int]) -> [[Entrances.Distance]] {
    var tables: [[Entrances.Distance]] = []
    var previous: Int?
    for distance in self {
      let isNeighbour = previous.map { distance.field - $0 <= 8 } ?? false
      let behind = labels.partitionPoint { $0 >= distance.field }
      let isLabel = behind < labels.count && labels[behind] == distance.field
      if isNeighbour, !isLabel { tables[tables.count - 1].append(distance) } else { tables.append([distance]) }
      previous = distance.field
    }
    return tables
  }
}

/// What a section with relocations is for.
private enum TablePurpose {
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
    self =
      if section.flags.contains(.execInstr) {
        .code
      } else if named([".eh_frame", ".gcc_except_table", ".orc_unwind_ip"]) {
        .unwinding
      } else if named([".altinstructions"]) {
        .alternatives
      } else if named([
        ".retpoline_sites", ".return_sites", ".call_sites", ".cfi_sites", ".parainstructions", ".smp_locks",
        ".kcfi_traps", "__bug_table", "__mcount_loc", "xray_instr_map", ".note.stapsdt",
      ]) {
        .instructions
      } else if named(["__jump_table", "__ex_table", "__patchable_function_entries", ".ibt_endbr_seal"])
        || object.name(of: section.index, hasPrefix: Array(".discard.".utf8))
      {
        .description
      } else {
        .data
      }
  }
}

extension [Int] {
  /// The elements of an ascending array that lie in a range.
  fileprivate func elements(in range: Range<Int>) -> ArraySlice<Int> {
    self[partitionPoint { $0 >= range.lowerBound }..<partitionPoint { $0 >= range.upperBound }]
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
