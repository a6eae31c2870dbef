import Disassembly
import ObjectFile

/// One function's instructions with their relocations, cut into blocks.
struct FunctionCode {
  let section: SectionIndex
  /// The section offsets that the function takes.
  let range: Range<Int>
  let instructions: [Instruction]
  /// The relocations of the function, in ascending order of offset.
  let relocations: ArraySlice<CodeRelocation>
  /// For each instruction the position of the first relocation that does not lie in front of it.
  private let firstRelocations: [Int32]
  /// Where jumps through tables lead, by their positions.
  let jumps: [Int: JumpTargets]
  private(set) var blocks: [Block] = []
  /// The block where control goes on after an exception, by the position of the instruction that the exception leaves.
  private(set) var landings: [Int: Int] = [:]
  /// Why nothing can be proved here that needs more than one instruction; `nil` where proofs hold.
  private(set) var obstacle: Obstacle?

  /// Instructions that are entered at the first only and left at the last only.
  struct Block {
    /// Positions in ``FunctionCode/instructions``.
    var range: Range<Int>
    var successors: [Int] = []
    /// Whether control may come from where it is not seen.
    var isEntered: Bool
    /// Whether control may leave to where it is not seen, other than by a return or a tail call.
    var leavesUnseen = false
  }

  /// Where an indirect jump leads.
  struct JumpTargets: Equatable {
    /// Section offsets inside of the function.
    var places: Set<Int> = []
    /// Whether it may lead out of the function as well.
    var leavesFunction = false

    mutating func formUnion(_ other: JumpTargets) {
      places.formUnion(other.places)
      leavesFunction = leavesFunction || other.leavesFunction
    }
  }

  /// What makes a function's flow of control impossible to know.
  enum Obstacle: Equatable {
    /// Bytes that the decoder does not know.
    case undecoded
    /// A jump that may lead anywhere into the function.
    case unboundedJump
    /// A branch into the middle of an instruction.
    case outOfStep
    /// Code that is replaced at run time.
    case alternatives
    /// Unwind tables, or relocations, that cannot be read.
    case unreadableTables
  }

  /// Cuts a stretch of code that is entered at `entrances` and whose indirect jumps lead where `jumps` says.
  init(
    _ stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, entrances: Set<Int>,
    jumps: [Int: JumpTargets], landingPads: ArraySlice<LandingPad>, obstacle: Obstacle?
  ) {
    section = stretch.section
    range = stretch.range
    instructions = stretch.instructions
    self.relocations = relocations
    firstRelocations = relocations.firstPositions(for: stretch.instructions)
    self.jumps = jumps
    self.obstacle = obstacle
    // What names data among the code is no way into the code.
    let entrances = entrances.filter { !stretch.isData($0) }
    let isLed = lead(to: landingPads)
    let landings = Set(landingPads.map(\.offset))
    cut(at: isLed ? entrances : entrances.union(landings), landings: landings)
    self.landings = self.landings.mapValues { block(of: $0) }
  }

  // MARK: Looking up

  /// The position of the instruction that begins at an offset.
  func position(at offset: Int) -> Int? {
    let behind = instructions.partitionPoint { $0.offset > offset }
    guard behind > 0, instructions[behind - 1].offset == offset else { return nil }
    return behind - 1
  }

  /// The relocations inside an instruction, in ascending order.
  func relocations(in instruction: Instruction) -> ArraySlice<CodeRelocation> {
    relocations(in: instruction, from: relocations.partitionPoint { $0.offset >= instruction.offset })
  }

  /// The same for the instruction at a position, without a search.
  func relocations(inInstructionAt position: Int) -> ArraySlice<CodeRelocation> {
    relocations(in: instructions[position], from: Int(firstRelocations[position]))
  }

  private func relocations(in instruction: Instruction, from start: Int) -> ArraySlice<CodeRelocation> {
    var end = start
    while end < relocations.endIndex, relocations[end].offset < instruction.end { end += 1 }
    return relocations[start..<end]
  }

  func relocation(in instruction: Instruction) -> CodeRelocation? { relocations(in: instruction).first }

  /// The position of the block that holds an instruction.
  func block(of position: Int) -> Int { blocks.partitionPoint { $0.range.lowerBound > position } - 1 }

  /// Where a direct branch leads inside the function; `nil` for one that leaves it or has a relocation.
  func target(of instruction: Instruction) -> Int? {
    guard let target = instruction.flow.directTarget, range.contains(target), relocation(in: instruction) == nil else {
      return nil
    }
    return target
  }

  /// Whether a block has anything but nops and traps, which stand between and behind what is executed.
  func doesAnything(inBlock number: Int) -> Bool {
    instructions[blocks[number].range].contains {
      $0.flow != .next && $0.flow != .trap || $0.effects != RegisterEffects(reads: [], writes: [])
    }
  }

  // MARK: Cutting

  /// Leads exceptions to their landing pads. Where one comes from elsewhere, such as the function's hot part, or the table is not
  /// in order, none is led anywhere.
  private mutating func lead(to pads: ArraySlice<LandingPad>) -> Bool {
    var end = 0
    for pad in pads.sorted(by: { $0.guarded.lowerBound < $1.guarded.lowerBound }) {
      guard pad.guardedSection == section, range.contains(pad.guarded), let landing = position(at: pad.offset) else {
        landings = [:]
        return false
      }
      // The unwinder looks up the last byte of a call, and the first of what faults.
      let first = instructions.partitionPoint { $0.end > pad.guarded.lowerBound }
      guard first >= end else {
        landings = [:]
        return false
      }
      end = max(first, instructions.partitionPoint { $0.offset >= pad.guarded.upperBound })
      for position in first..<end { landings[position] = landing }
    }
    return true
  }

  private mutating func cut(at entrances: Set<Int>, landings: Set<Int>) {
    guard !instructions.isEmpty else { return }
    var isLeader = [Bool](repeating: false, count: instructions.count)
    var isEntered = isLeader
    isLeader[0] = true
    isEntered[0] = true
    func mark(_ offset: Int, isEntrance: Bool) {
      guard range.contains(offset), let position = position(at: offset) else {
        if range.contains(offset) { obstacle = obstacle ?? .outOfStep }
        return
      }
      isLeader[position] = true
      if isEntrance { isEntered[position] = true }
    }
    for entrance in entrances { mark(entrance, isEntrance: true) }
    for landing in landings { mark(landing, isEntrance: false) }
    for targets in jumps.values {
      for place in targets.places { mark(place, isEntrance: false) }
    }
    for (position, instruction) in instructions.enumerated() {
      // A call into the function itself is an entrance: who knows what is in the registers there.
      if let target = target(of: instruction) { mark(target, isEntrance: instruction.flow.kind == .call) }
      let isGap = position > 0 && instructions[position - 1].end != instruction.offset
      if isGap || position > 0 && instructions[position - 1].flow.endsBlock { isLeader[position] = true }
      if isGap { isEntered[position] = true }
    }
    let leaders = isLeader.indices.filter { isLeader[$0] }
    blocks = zip(leaders, leaders.dropFirst() + [instructions.count]).map {
      Block(range: $0..<$1, isEntered: isEntered[$0])
    }
    for number in blocks.indices { connect(number) }
  }

  private mutating func connect(_ number: Int) {
    let end = blocks[number].range.upperBound - 1
    let last = instructions[end]
    if let targets = jumps[end] {
      blocks[number].successors += targets.places.sorted().compactMap { position(at: $0).map { block(of: $0) } }
      if targets.leavesFunction { blocks[number].leavesUnseen = true }
    }
    if let target = target(of: last), last.flow.kind != .call, let position = position(at: target) {
      blocks[number].successors.append(block(of: position))
    } else if let target = last.flow.directTarget, last.flow.kind != .call, !range.contains(target) {
      blocks[number].leavesUnseen = true
    }
    guard last.flow.continues else { return }
    let next = number + 1
    if next < blocks.count, instructions[blocks[next].range.lowerBound].offset == last.end {
      blocks[number].successors.append(next)
    } else {
      blocks[number].leavesUnseen = true
    }
  }
}

extension ControlFlow {
  /// Whether what follows is another block.
  fileprivate var endsBlock: Bool {
    switch self {
    case .next, .call, .trap: false
    case .jump, .conditionalJump, .stop: true
    }
  }

  /// Whether the next instruction may be executed afterwards. A handler may go on behind a trap, as the kernel's does for
  /// warnings.
  var continues: Bool {
    switch self {
    case .next, .call, .conditionalJump, .trap: true
    case .jump, .stop: false
    }
  }
}

extension ArraySlice<CodeRelocation> {
  /// For each instruction the position of the first relocation that does not lie in front of it. Both are in ascending order.
  fileprivate func firstPositions(for instructions: [Instruction]) -> [Int32] {
    var next = startIndex
    return instructions.map { instruction in
      while next < endIndex, self[next].offset < instruction.offset { next += 1 }
      return Int32(clamping: next)
    }
  }
}
