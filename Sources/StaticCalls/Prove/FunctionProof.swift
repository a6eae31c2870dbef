import Disassembly
import ObjectFile

/// What can be proved of one function: its flow of control, and what its registers hold.
struct FunctionProof {
  private(set) var code: FunctionCode
  private(set) var propagation: Propagation
  private(set) var evaluator: Evaluator
  /// The branches to thunks, by position: the register that each goes through, or `nil` where the name does not tell.
  let thunks: [Int: Register?]
  /// The places where control may arrive from anywhere in the function, as section offsets.
  let arrivals: Set<Int>
  /// The positions of instructions that a table names: something examines or changes them, and what their registers hold.
  let namedInstructions: Set<Int>
  /// Whether exceptions that leave calls of the function land in it, wherever it has its landing pads.
  let hasLandingPads: Bool
  /// Why no proof about several instructions holds in the function; `nil` where proofs hold.
  let obstacle: FunctionCode.Obstacle?

  /// The places that jump tables lead to, as section offsets.
  var tableTargets: Set<Int> { code.jumps.values.reduce(into: []) { $0.formUnion($1.places) } }

  /// Jump tables are found one after the other: what is behind one may hold the next. Real functions take two or three rounds.
  private static let mostRounds = 32

  init(
    _ stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ entrances: Entrances,
    _ evaluator: Evaluator, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    self.evaluator = evaluator
    thunks = evaluator.locations.thunks.thunks(in: stretch, relocations, object)
    self.evaluator.thunkCalls = Self.thunkCalls(in: stretch, thunks)
    let (section, range) = (stretch.section, stretch.range)
    let pads = entrances.unwinding.landingPads(in: range, of: section)
    hasLandingPads = entrances.unwinding.hasLandingPads(in: range, of: section)
    let references = entrances.references(to: range, of: section)
    let instructionPlaces = entrances.named.instructions[section]?.elements(in: range) ?? []
    let fixed =
      entrances.obstacle(in: range, of: section)
      ?? (Self.isDecoded(stretch, evaluator.architecture, object) ? nil : .undecoded)
    // At first, no place that only data names is taken for a way in: it may be a target of a jump table. The places that turn out to be
    // none are added, until each is one or the other.
    var ways = entrances.entrances(toFunction: range, of: section).union(instructionPlaces)
    var (rounds, isSettled) = (0, false)
    var code: FunctionCode
    var propagation: Propagation
    var jumps: IndirectJumps
    repeat {
      var known: [Int: FunctionCode.JumpTargets] = [:]
      var isComplete = false
      repeat {
        code = FunctionCode(
          stretch, relocations, entrances: ways, jumps: known, landingPads: pads, obstacle: fixed)
        propagation = try Propagation(code, self.evaluator, object)
        jumps = try IndirectJumps(code, propagation, self.evaluator, thunks, entrances, object)
        rounds += 1
        isComplete = known.add(jumps.targets)
      } while !isComplete && rounds < Self.mostRounds
      // Neither are the targets of tables that somebody else may jump through as well.
      let shared = try SharedTables(jumps.tables, code, propagation, self.evaluator, entrances, object).targets
      let unexplained = Set(references.filter { !jumps.fields.contains($0.field) }.map(\.place)).union(shared)
      isSettled = isComplete && unexplained.isSubset(of: ways)
      ways.formUnion(unexplained)
    } while !isSettled && rounds < Self.mostRounds
    (self.code, self.propagation) = (code, propagation)
    // Whoever calls the function from its start on does so anew.
    arrivals = ways.subtracting(instructionPlaces).union(pads.map(\.offset)).subtracting([range.lowerBound])
    namedInstructions = Set(instructionPlaces.compactMap { code.position(at: $0) })
    let own = OwnAddresses(stretch, relocations, self.evaluator, object)
    // A jump behind the whole epilogue may lead back to where there is no frame.
    let places = own.places(inside: range).union(entrances.taken(inside: range, of: section)).union(jumps.bases)
      .union(code.jumps.values.flatMap(\.places))
    let mayComeBack =
      jumps.leaveFrame && !places.isEmpty && !StackDepth.isBelowStart(at: places, code, object)
    let areUnknown = jumps.areUnknown || mayComeBack
    let isBounded =
      isSettled && !Self.mayBecomeJump(references.filter { !jumps.fields.contains($0.field) }, code, entrances, object)
      && !own.leadInside(range, butTo: jumps.bases)
      && (!areUnknown || own.isEmpty && !entrances.isTaken(inside: range, of: section))
    let isWhole = isBounded && !propagation.missesCode(of: code)
    obstacle = code.obstacle ?? (isWhole ? nil : .unboundedJump)
  }

  /// Whether data names a nop or a jump of the function, and no other place of code close by: a program may overwrite that with a jump (a
  /// jump label, as the kernel has them), and where it leads may be a constant that nothing tells from others.
  private static func mayBecomeJump(
    _ references: [DataReference], _ code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) -> Bool {
    guard !references.isEmpty else { return false }
    let placeholders = object.withContents(of: code.section) { contents in
      let named = references.filter { reference in
        guard reference.place != code.range.lowerBound, let position = code.position(at: reference.place) else {
          return false
        }
        return entrances.architecture.isPlaceholder(code.instructions[position], in: contents)
      }
      return Set(named.map(\.field))
    }
    // Each record with such a place must have another one: else some record's is a constant.
    return placeholders.contains { placeholder in
      func isNear(_ field: Place) -> Bool {
        field.section == placeholder.section && (field.offset - placeholder.offset).magnitude <= recordSize
      }
      let records = placeholders.filter(isNear).count
      let inFunction = Set(
        references.filter {
          isNear($0.field) && !placeholders.contains($0.field) && $0.place != code.range.lowerBound
        }.map(\.field))
      // A stub in another section leads back; a function is what the program calls at the place.
      let elsewhere = (entrances.named.fields[placeholder.section] ?? []).filter {
        isNear(Place(section: placeholder.section, offset: $0.offset)) && $0.target.section != code.section
          && object[$0.target.section].flags.contains(.execInstr)
          && !entrances.named.functionStarts.contains($0.target)
      }
      return inFunction.count + elsewhere.count < records
    }
  }

  /// How many bytes the fields of one record are apart at most, as far as they are taken for one.
  private static let recordSize = 32

  /// Whether a jump is that of a thunk behind a call at the function's end, to which nothing else leads but calls. The call in front
  /// does not return, or the thunk would return to itself; and once the others are direct nobody gets there.
  func endsUnusedThunk(_ position: Int, _ object: borrowing ObjectFile) -> Bool {
    guard position > 1, case .jump(.register) = code.instructions[position].flow,
      code.instructions[position - 2].flow.kind == .call
    else { return false }
    let start = code.instructions[position - 1].offset
    let isThunk = object.withContents(of: code.section) {
      evaluator.architecture.thunkRegister(at: start, in: $0) != nil
    }
    return isThunk && !tableTargets.contains(start)
      && !code.instructions.contains { $0.flow.kind != .call && code.target(of: $0) == start }
  }

  /// The offsets of branches to thunks, and of gcc's calls of a push in front of one: what they call behaves as any function.
  private static func thunkCalls(in stretch: DecodedStretch, _ thunks: [Int: Register?]) -> Set<Int> {
    var calls = Set(thunks.keys.map { stretch.instructions[$0].offset })
    for instruction in stretch.instructions where instruction.flow.kind == .call {
      guard let target = instruction.flow.directTarget, stretch.range.contains(target),
        let push = stretch.position(of: target), stretch.instructions[push].offset == target,
        stretch.instructions[push].operation == .push, thunks[push + 1] != nil
      else { continue }
      calls.insert(instruction.offset)
    }
    return calls
  }

  /// Whether all of a stretch that may be executed was decoded, up to instructions that at worst change registers.
  private static func isDecoded(
    _ stretch: DecodedStretch, _ architecture: any Architecture.Type, _ object: borrowing ObjectFile
  ) -> Bool {
    var end = stretch.range.lowerBound
    // What the instruction in front goes on to is code, whatever a mapping symbol says; but a call there may not return.
    var isFallenInto = true
    let starts = stretch.instructions.map(\.offset) + [stretch.range.upperBound]
    let ends = stretch.instructions.map(\.end)
    return object.withContents(of: stretch.section) { code in
      for (position, start) in starts.enumerated() {
        // Between two instructions lies what was not decoded; data, by the mapping symbols, is among it and does no harm.
        while end < start {
          if architecture.mayBranch(undecodedAt: end, in: code), isFallenInto || !stretch.isData(end) { return false }
          guard let next = architecture.resume(after: end) else { return false }
          end = next
        }
        guard position < ends.count else { continue }
        end = ends[position]
        let flow = stretch.instructions[position].flow
        isFallenInto = flow.continues && flow.kind != .call
      }
      return end == stretch.range.upperBound
    }
  }
}

/// The jumps of a function through registers and memory.
private struct IndirectJumps {
  /// Where jump tables lead, by the positions of the jumps.
  private(set) var targets: [Int: FunctionCode.JumpTargets] = [:]
  /// The fields of data that jump tables consist of.
  private(set) var fields: Set<Place> = []
  /// The places that the elements of jump tables are added to, as section offsets.
  private(set) var bases: Set<Int> = []
  /// Whether there is a jump of which it is not known where it leads.
  private(set) var areUnknown = false
  /// Whether there is one behind a whole epilogue.
  private(set) var leaveFrame = false
  /// The tables, with what was read of them.
  private(set) var tables: [(table: JumpTable, contents: TableContents)] = []

  init(
    _ code: FunctionCode, _ propagation: Propagation, _ evaluator: Evaluator, _ thunks: [Int: Register?],
    _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    for (number, block) in code.blocks.enumerated() {
      // Only the last instruction of a block jumps anywhere. What nothing leads to does nothing, or is an obstacle of its own.
      let position = block.range.upperBound - 1
      guard propagation.reaches(block: number), Self.mayJump(code.instructions[position]) else { continue }
      var outcome: Value?
      try propagation.forEach(inBlock: number, code, object) { current, registers throws(ObjectFileError) in
        guard current == position, !Self.endsThunk(position, code, thunks) else { return }
        outcome = try Self.target(at: position, thunks[position], registers, code, evaluator, object)
      }
      if let outcome { try add(outcome, at: position, code, entrances, object) }
    }
  }

  private static func mayJump(_ instruction: Instruction) -> Bool {
    switch instruction.flow {
    case .jump, .conditionalJump, .stop: true
    case .next, .call, .trap: false
    }
  }

  /// Notes where a jump leads.
  private mutating func add(
    _ value: Value, at position: Int, _ code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    switch value {
    case .callee: break
    case .location(.external(let symbol), _):
      let place = object.place(of: object.symbol(symbol), at: symbol)
      if place == .section(code.section), code.range.contains(Int(clamping: object.symbol(symbol).value)) {
        areUnknown = true
      }
    case .jumpTarget(let table):
      guard let found = try table.targets(in: code, entrances, object) else {
        areUnknown = true
        return
      }
      targets[position] = found.targets
      tables.append((table, found))
      fields.formUnion(found.fields)
      if let base = table.base, base.section == code.section { bases.insert(base.offset) }
    default:
      // Behind a whole epilogue a jump is a tail call: the function's own code finds no frame any more.
      if StackDepth.isBehindEpilogue(position, code, object) { leaveFrame = true } else { areUnknown = true }
    }
  }

  /// Whether a jump is that of a thunk inside the function, which only branches lead to: the branches speak for it.
  private static func endsThunk(_ position: Int, _ code: FunctionCode, _ thunks: [Int: Register?]) -> Bool {
    guard position > 0, case .jump(.register) = code.instructions[position].flow else { return false }
    let block = code.block(of: position)
    let start = code.instructions[code.blocks[block].range.lowerBound].offset
    guard code.instructions[position - 1].offset == start else { return false }
    let callers = code.instructions.indices.filter { code.target(of: code.instructions[$0]) == start }
    let isFallenInto = block > 0 && code.blocks[block - 1].successors.contains(block)
    return !callers.isEmpty && callers.allSatisfy { thunks[$0] != nil } && !isFallenInto
  }

  /// Where an instruction jumps to, if that is not in the instruction itself; `nil` for all others.
  private static func target(
    at position: Int, _ thunk: Register??, _ registers: Registers, _ code: FunctionCode, _ evaluator: Evaluator,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value? {
    let instruction = code.instructions[position]
    switch instruction.flow {
    case .jump(.register), .jump(.memory), .conditionalJump(.register), .conditionalJump(.memory):
      return try evaluator.target(of: instruction, code, registers, object)
    case .jump(.direct), .conditionalJump(.direct):
      guard let thunk else { return nil }
      if let register = thunk { return registers[register] }
      // A thunk that returns to what was pushed.
      guard position > 0, code.block(of: position) == code.block(of: position - 1) else { return .unknown }
      return evaluator.pushed(by: code.instructions[position - 1], code, object)
    case .stop:
      let start = code.blocks[code.block(of: position)].range.lowerBound
      let isComputed = evaluator.architecture.isComputedReturn(code.instructions[start...position])
      return isComputed ? .unknown : nil
    default: return nil
    }
  }
}

extension [Int: FunctionCode.JumpTargets] {
  /// Adds targets of jumps. Returns whether all were there already.
  fileprivate mutating func add(_ found: Self) -> Bool {
    let before = self
    for (position, targets) in found { self[position, default: FunctionCode.JumpTargets()].formUnion(targets) }
    return self == before
  }
}
