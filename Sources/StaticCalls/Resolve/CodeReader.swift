import Disassembly
import ObjectFile

/// A run of instructions that was decoded from a label on.
struct DecodedStretch {
  var section: SectionIndex
  var range: Range<Int>
  var instructions: [Instruction]
  /// The parts of the range that hold data.
  var data: [Range<Int>] = []
  /// Whether it goes on for so long that it was given up.
  var isTooLong = false

  func isData(_ offset: Int) -> Bool { data.contains { $0.contains(offset) } }

  /// The position of the instruction whose bytes include a section offset.
  func position(of offset: Int) -> Int? {
    let behind = instructions.partitionPoint { $0.offset > offset }
    guard behind > 0, offset < instructions[behind - 1].end else { return nil }
    return behind - 1
  }
}

/// A relocation of code, with the place of its record.
struct CodeRelocation: Equatable {
  /// The section offset of the field, in bytes.
  var offset: Int { relocation.offset.rawValue }
  var relocation: Relocation
  /// The `SHT_RELA` section that holds the record, and its position there.
  var table: SectionIndex
  var position: Int
}

/// Where instructions begin in a section: a bit for each byte.
struct InstructionStarts {
  private var words: [UInt64]

  init(size: Int) { words = [UInt64](repeating: 0, count: size / 64 + 1) }

  mutating func insert(_ offset: Int) { words[offset / 64] |= 1 << UInt64(offset % 64) }

  func contains(_ offset: Int) -> Bool {
    offset >= 0 && offset / 64 < words.count && words[offset / 64] >> UInt64(offset % 64) & 1 == 1
  }
}

/// Decodes code on demand: one instruction where its start is known, a whole stretch where it is not.
struct CodeReader: ~Copyable {
  private let architecture: any Architecture.Type
  private let disassembler: Disassembler
  /// The sections that may be asked for.
  private let sections: Set<SectionIndex>
  /// All their labels, collected when several sections or places need some: most objects have one or two doubtful places, or none.
  private var allLabels: Functions?
  /// The labels that were last collected by themselves.
  private var someLabels: (section: SectionIndex, isWhole: Bool, labels: Functions)?
  private var collections = 0
  /// The last stretch that was decoded: references come in ascending order.
  private var last: DecodedStretch?
  /// Sections in which a stretch is known to go on for too long.
  private var tooLong: Set<SectionIndex> = []
  /// The relocations that were last asked for.
  private var relocated: (section: SectionIndex, range: Range<Int>, relocations: [CodeRelocation])?
  /// Tables of relocations that are known to be in ascending order of offset.
  private var ascending: Set<SectionIndex>
  /// Tables that are known not to be.
  private var unordered: Set<SectionIndex> = []

  /// How many instructions a stretch may have to be decoded. Compilers' longest functions have some ten thousand; without an end, an
  /// object without labels would take fifty times its size in memory.
  static let mostInstructions = 1 << 18

  /// How often some labels are collected by themselves. To collect all takes as long as some ten times.
  private static let fewCollections = 4

  /// `ascending` names tables of relocations that are known to be in ascending order.
  init(
    _ architecture: any Architecture.Type, sections: Set<SectionIndex>, ascending: Set<SectionIndex> = []
  ) {
    self.ascending = ascending
    self.architecture = architecture
    self.sections = sections
    disassembler = Disassembler(architecture.instructionSet)
  }

  /// The instruction that starts at an offset, whatever stands before it.
  func instruction(at offset: Int, in section: SectionIndex, _ object: borrowing ObjectFile) -> Instruction? {
    object.withContents(of: section) { disassembler.decode($0, at: offset) }
  }

  /// The instruction whose bytes include an offset, found by decoding from the label before it.
  mutating func instruction(
    around offset: Int, in section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Instruction? {
    guard let stretch = try stretch(around: offset, in: section, object) else { return nil }
    return stretch.position(of: offset).map { stretch.instructions[$0] }
  }

  /// The decoded code between the labels around an offset; `nil` where a literal pool or jump table is there.
  mutating func stretch(
    around offset: Int, in section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> DecodedStretch? {
    if labels(of: section, around: offset, object).isData(offset, in: section) { return nil }
    return try stretch(holding: offset, in: section, object)
  }

  /// The decoded code between the labels around an offset, which itself may lie in data.
  mutating func stretch(
    holding offset: Int, in section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> DecodedStretch {
    if let last, last.section == section, last.range.contains(offset) { return last }
    let labels = labels(of: section, around: offset, object)
    let range = labels.stretch(around: offset, in: section, size: object[section].contentSize)
    var stretch = decode(range, of: section, labels, object)
    if stretch.isTooLong { tooLong.insert(section) }
    if try !isInStep(stretch.instructions, section, object) { stretch.instructions = [] }
    last = stretch
    return stretch
  }

  /// Where the code between labels ends that an offset lies in; `nil` for a section whose labels are not known.
  mutating func end(
    ofCodeAt offset: Int, in section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Int? {
    guard sections.contains(section) else { return nil }
    return labels(of: section, around: offset, object)
      .stretch(around: offset, in: section, size: object[section].contentSize).upperBound
  }

  /// The symbol that a relocation inside an instruction names.
  mutating func relocatedSymbol(
    in instruction: Instruction, _ section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> SymbolIndex? {
    try relocation(in: instruction, section, object)?.symbol
  }

  /// The first relocation inside an instruction.
  mutating func relocation(
    in instruction: Instruction, _ section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Relocation? {
    let relocations = try relocations(of: section, in: instruction.offset..<instruction.end, object)
    let position = relocations.partitionPoint { $0.offset >= instruction.offset }
    guard position < relocations.count, relocations[position].offset < instruction.end else { return nil }
    return relocations[position].relocation
  }

  /// A direct branch and the offset in its own section that it leads to.
  struct UnrelocatedBranch {
    var instruction: Instruction
    var target: Int
  }

  /// All direct branches of a section without a relocation that lead to one of some places there, and where code that may hold such a branch
  /// could not be decoded.
  ///
  /// Each stretch between two labels is decoded by itself, if any of its bytes look like such a branch. A stretch whose last instruction
  /// would reach into the next one was decoded out of step, and nothing in it is believed.
  mutating func unrelocatedBranches(
    in section: SectionIndex, to isWanted: (Int) -> Bool, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (found: [UnrelocatedBranch], undecoded: [Int]) {
    let labels = labels(of: section, object)
    var found: [UnrelocatedBranch] = []
    var undecoded: [Int] = []
    _ = try relocations(of: section, in: 0..<object[section].contentSize, object)
    for range in labels.stretches(of: section, size: object[section].contentSize) {
      guard mayBranch(in: range, of: section, to: isWanted, object) else { continue }
      // Zeros between functions are padding, and decode as instructions that reach into the next function.
      let padding = object.withContents(of: section) { $0.endOfNonzero(in: range) }
      let stretch = decode(range.lowerBound..<padding, of: section, labels, object)
      let instructions = stretch.instructions
      let end = instructions.last?.end ?? range.lowerBound
      if labels.isData(range.lowerBound, in: section), !stretch.isTooLong { continue }
      guard !stretch.isTooLong, try isInStep(instructions, section, object),
        architecture.resume(after: range.lowerBound) != nil || (padding...range.upperBound).contains(end)
      else {
        undecoded.append(min(end, range.upperBound))
        continue
      }
      for instruction in instructions where try relocatedSymbol(in: instruction, section, object) == nil {
        if let target = instruction.flow.directTarget, isWanted(target) {
          found.append(UnrelocatedBranch(instruction: instruction, target: target))
        }
      }
    }
    return (found, undecoded)
  }

  /// Whether any bytes in a range look like a branch to one of some places.
  private func mayBranch(
    in range: Range<Int>, of section: SectionIndex, to isWanted: (Int) -> Bool, _ object: borrowing ObjectFile
  ) -> Bool {
    object.withContents(of: section) { code in
      var offset = range.lowerBound
      while offset < range.upperBound {
        if let target = architecture.possibleBranchTarget(at: offset, in: code), isWanted(target) { return true }
        offset = architecture.resume(after: offset) ?? offset + 1
      }
      return false
    }
  }

  private func decode(
    _ range: Range<Int>, of section: SectionIndex, _ labels: Functions, _ object: borrowing ObjectFile
  ) -> DecodedStretch {
    object.withContents(of: section) { code in
      var instructions: [Instruction] = []
      var data: [Range<Int>] = []
      var offset = range.lowerBound
      while offset < range.upperBound {
        let isData = labels.isData(offset, in: section)
        let decoded = isData ? nil : disassembler.decode(code, at: offset)
        if instructions.count == Self.mostInstructions {
          return DecodedStretch(section: section, range: range, instructions: [], isTooLong: true)
        }
        if let decoded {
          instructions.append(decoded)
          offset = decoded.end
        } else if let next = architecture.resume(after: offset) {
          if isData {
            let start = data.last?.upperBound == offset ? data.removeLast().lowerBound : offset
            data.append(start..<next)
          }
          offset = next
        } else {
          break
        }
      }
      return DecodedStretch(section: section, range: range, instructions: instructions, data: data)
    }
  }

  /// Whether decoding began and stayed at instructions: out of step, branches lead into the middle of what was decoded. A
  /// branch over a prefix (`lock`) is good practice and counts as in step.
  private mutating func isInStep(
    _ instructions: [Instruction], _ section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Bool {
    guard let first = instructions.first, let last = instructions.last else { return true }
    _ = try relocations(of: section, in: first.offset..<max(last.end, first.end), object)
    for instruction in instructions {
      guard let target = instruction.flow.directTarget, target > first.offset, target < last.end else { continue }
      let position = instructions.partitionPoint { $0.offset > target } - 1
      guard position >= 0 else { continue }
      let distance = target - instructions[position].offset
      guard distance > 1, target < instructions[position].end else { continue }
      // What a relocation overwrites is no target, whatever stands there meanwhile.
      if try relocatedSymbol(in: instruction, section, object) == nil { return false }
    }
    return true
  }

  /// The labels of a section, or at least those that are enough to find and decode the stretch around an offset.
  private mutating func labels(
    of section: SectionIndex, around offset: Int? = nil, _ object: borrowing ObjectFile
  ) -> Functions {
    if let allLabels { return allLabels }
    if let known = someLabels, known.section == section, offset.map(known.labels.cover) ?? known.isWhole {
      return known.labels
    }
    guard offset == nil, collections < Self.fewCollections else {
      let labels = Functions(of: sections, in: object)
      allLabels = labels
      return labels
    }
    collections += 1
    let labels = Functions(of: [section], in: object)
    someLabels = (section, true, labels)
    return labels
  }

  /// Prepares for questions about the code around some offsets of a section, which are in ascending order.
  mutating func expectPlaces(_ offsets: [Int], in section: SectionIndex, _ object: borrowing ObjectFile) {
    guard allLabels == nil, collections < Self.fewCollections else { return }
    collections += 1
    let labels = Functions(around: offsets, in: section, of: object)
    someLabels = (section, false, labels)
  }

  /// The relocations of a range of a section, in ascending order of offset; there may be others among them.
  mutating func relocations(
    of section: SectionIndex, in range: Range<Int>, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> [CodeRelocation] {
    if let relocated, relocated.section == section, relocated.range.lowerBound <= range.lowerBound,
      range.upperBound <= relocated.range.upperBound
    {
      return relocated.relocations
    }
    // All of a large section would take more memory than everything else. Where the order is not what compilers make, all are
    // read, once.
    let tables = object.relocationSections(of: section)
    let areAscending = if tables.count == 1 { try isAscending(tables[0], object) } else { false }
    let range = areAscending ? range : 0..<object[section].contentSize
    var all: [CodeRelocation] = []
    for table in tables {
      func add(_ relocations: Span<Relocation>, _ first: Int) {
        for position in relocations.indices where relocations[position].type != .none {
          all.append(CodeRelocation(relocation: relocations[position], table: table, position: first + position))
        }
      }
      if areAscending {
        try object.withRelocations(in: table, at: range) { add($0, $1) }
      } else {
        try object.withRelocations(in: table) { add($0, 0) }
      }
    }
    all.sort { $0.offset < $1.offset }
    relocated = (section, range, all)
    return all
  }

  private mutating func isAscending(
    _ table: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Bool {
    if ascending.contains(table) { return true }
    if unordered.contains(table) { return false }
    let isAscending = try object.relocationsAscend(in: table)
    if isAscending { ascending.insert(table) } else { unordered.insert(table) }
    return isAscending
  }

  // MARK: Branches across stretches

  /// An address in its own section that an instruction without relocation makes.
  struct FormedAddress {
    /// The section offset that it is the address of.
    var place: Int
    /// The section offset of the instruction.
    var instruction: Int
  }

  /// Where direct branches without relocation, calls included, lead out of the stretch of code that they stand in, ascending; the addresses
  /// of code in its section that code forms, in ascending order of the place; and all starts of instructions. Where the code cannot be
  /// decoded, whatever looks like such a branch counts as one; `nil` where that is too much to look through.
  mutating func farTargets(
    in section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (branches: [Int], addresses: [FormedAddress], starts: InstructionStarts)? {
    if tooLong.contains(section) { return nil }
    let labels = labels(of: section, object)
    let relocations = try relocations(of: section, in: 0..<object[section].contentSize, object)
    var branches: Set<Int> = []
    var addresses: [FormedAddress] = []
    var starts = InstructionStarts(size: object[section].contentSize)
    func hasRelocation(_ instruction: Instruction) -> Bool {
      let position = relocations.partitionPoint { $0.offset >= instruction.offset }
      return position < relocations.count && relocations[position].offset < instruction.end
    }
    for range in labels.stretches(of: section, size: object[section].contentSize) {
      let stretch = decode(range, of: section, labels, object)
      if stretch.isTooLong { return nil }
      let instructions = stretch.instructions
      for instruction in instructions {
        starts.insert(instruction.offset)
        if let target = instruction.flow.directTarget {
          if !range.contains(target), !hasRelocation(instruction) { branches.insert(target) }
        } else if !hasRelocation(instruction) {
          object.withContents(of: section) {
            if let place = architecture.placeFormed(by: instruction, in: $0) {
              addresses.append(FormedAddress(place: place, instruction: instruction.offset))
            }
          }
        }
      }
      let decoded = instructions.last?.end ?? range.lowerBound
      let isBelieved = try isInStep(instructions, section, object) && decoded <= range.upperBound
      let end = isBelieved ? decoded : range.lowerBound
      if end < range.upperBound, architecture.resume(after: end) == nil {
        if range.upperBound - end > 4 * Self.mostInstructions { return nil }
        object.withContents(of: section) { code in
          for offset in end..<range.upperBound {
            if let target = architecture.possibleBranchTarget(at: offset, in: code) { branches.insert(target) }
          }
        }
      }
    }
    return (branches.sorted(), addresses.sorted { $0.place < $1.place }, starts)
  }
}

extension Span where Element == UInt8 {
  /// The end of a range without the zeros that it ends in.
  fileprivate func endOfNonzero(in range: Range<Int>) -> Int {
    var end = range.upperBound
    while end > range.lowerBound, self[end - 1] == 0 { end -= 1 }
    return end
  }
}
