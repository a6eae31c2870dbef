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
  /// The places that jump tables lead to, as section offsets.
  let tableTargets: Set<Int>
  /// Why no proof about several instructions holds in the function; `nil` where proofs hold.
  let obstacle: FunctionCode.Obstacle?

  /// Jump tables whose targets become known make more edges, and with them less may be known of other jumps. Each round finds
  /// at least one new target, so this many are never needed by what a compiler wrote.
  private static let mostRounds = 16

  init(
    _ stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ entrances: Entrances,
    _ evaluator: Evaluator, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    self.evaluator = evaluator
    thunks = Self.thunks(in: stretch, relocations, evaluator.architecture, object)
    self.evaluator.thunkCalls = Self.thunkCalls(in: stretch, thunks)
    let (section, range) = (stretch.section, stretch.range)
    arrivals = entrances.arrivals(in: range, of: section)
    let pads = entrances.unwinding.landingPads(in: range, of: section)
    var places = Set(entrances.entrances(in: range, of: section))
    let fixed =
      entrances.obstacle(in: range, of: section)
      ?? (Self.isDecoded(stretch, evaluator.architecture, object) ? nil : .undecoded)
    var rounds = 0
    while true {
      let code = FunctionCode(stretch, relocations, entrances: places, landingPads: pads, obstacle: fixed)
      let propagation = try Propagation(code, self.evaluator, object)
      let jumps = try IndirectJumps(code, propagation, self.evaluator, thunks, entrances, object)
      rounds += 1
      guard jumps.targets.isSubset(of: places), rounds < Self.mostRounds else {
        places.formUnion(jumps.targets)
        if rounds < Self.mostRounds { continue }
        (self.code, self.propagation, obstacle) = (code, propagation, .unboundedJump)
        tableTargets = jumps.targets
        return
      }
      (self.code, self.propagation, tableTargets) = (code, propagation, jumps.targets)
      let own = OwnAddresses(stretch, relocations, self.evaluator, object)
      let isBounded =
        !own.leadInside(range, butTo: jumps.bases)
        && (!jumps.areUnknown || own.isEmpty && !entrances.isTaken(inside: range, of: section))
      let isWhole = isBounded && !propagation.missesCode(of: code)
      obstacle = code.obstacle ?? (isWhole ? nil : .unboundedJump)
      return
    }
  }

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

  static func thunks(
    in stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ architecture: any Architecture.Type,
    _ object: borrowing ObjectFile
  ) -> [Int: Register?] {
    var known: [SymbolIndex: Register??] = [:]
    var thunks: [Int: Register?] = [:]
    for relocation in relocations {
      let behind = stretch.instructions.partitionPoint { $0.offset > relocation.offset }
      guard behind > 0, stretch.instructions[behind - 1].flow.isDirectBranch else { continue }
      let symbol = relocation.relocation.symbol
      let branch = stretch.instructions[behind - 1]
      // Beside its start a thunk is something else.
      guard architecture.targetOffset(of: relocation.relocation, instructionEnd: branch.end) == 0 else { continue }
      if known[symbol] == nil {
        let name = object.name(of: symbol)
        known[symbol] = .some(architecture.isThunk(name) ? .some(architecture.thunkRegister(name)) : nil)
      }
      if case .some(.some(let register)) = known[symbol] { thunks[behind - 1] = .some(register) }
    }
    object.withContents(of: stretch.section) { contents in
      // Such code is as well what a tail call is made of, so a jump there is a jump inside of the function.
      for (position, instruction) in stretch.instructions.enumerated() where instruction.flow.kind == .call {
        guard let target = instruction.flow.directTarget, stretch.range.contains(target), thunks[position] == nil,
          let register = architecture.thunkRegister(at: target, in: contents)
        else { continue }
        let next = relocations.partitionPoint { $0.offset >= instruction.offset }
        if next < relocations.endIndex, relocations[next].offset < instruction.end { continue }
        thunks[position] = .some(register)
      }
    }
    return thunks
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
  /// Section offsets that jump tables lead to.
  var targets: Set<Int> = []
  /// The places that the elements of jump tables are added to, as section offsets.
  var bases: Set<Int> = []
  /// Whether there is a jump of which it is not known where it leads.
  var areUnknown = false

  init(
    _ code: FunctionCode, _ propagation: Propagation, _ evaluator: Evaluator, _ thunks: [Int: Register?],
    _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    var targets: Set<Int> = []
    var bases: Set<Int> = []
    var areUnknown = false
    try propagation.forEach(code, object) { position, registers throws(ObjectFileError) in
      if Self.endsThunk(position, code, thunks) { return }
      guard
        let value = try Self.target(
          at: position, thunks[position], registers, code, evaluator, object)
      else { return }
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
        targets.formUnion(found)
        if let base = table.base, base.section == code.section { bases.insert(base.offset) }
      default: areUnknown = true
      }
    }
    self.targets = targets
    self.bases = bases
    self.areUnknown = areUnknown
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
    at position: Int, _ thunk: Register??, _ registers: [Value], _ code: FunctionCode, _ evaluator: Evaluator,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value? {
    let instruction = code.instructions[position]
    switch instruction.flow {
    case .jump(.register), .jump(.memory), .conditionalJump(.register), .conditionalJump(.memory):
      return try evaluator.target(of: instruction, code, registers, object)
    case .jump(.direct), .conditionalJump(.direct):
      guard let thunk else { return nil }
      if let register = thunk { return registers[register.number] }
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

extension JumpTable {
  /// The places in a function that the table leads to; `nil` where the table cannot be read.
  fileprivate func targets(
    in code: FunctionCode, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> [Int]? {
    let section = object[table.section]
    guard table.offset >= 0, table.offset < section.contentSize else { return nil }
    let label = entrances.end(ofArrayAt: table.offset, in: table.section) ?? .max
    let end = min(section.contentSize, label)
    let fields = try relocatedFields(of: table.section, from: table.offset, to: section.contentSize, object)
    guard let base else {
      // Constant addresses are entrances already. What a program can write is anything.
      let isConstant =
        !section.flags.contains(.write) || object.name(of: section.index, hasPrefix: Array(".data.rel.ro".utf8))
      let slots = stride(from: table.offset, to: max(table.offset + element.size, end), by: element.size)
      return isConstant && slots.allSatisfy { fields[$0] != nil || $0 >= end - element.size + 1 } && !fields.isEmpty
        ? [] : nil
    }
    if base == table, shift == 0 { return distances(fields, label, code) }
    guard base.section == code.section, !section.flags.contains(.write) else { return nil }
    return constantTargets(from: base.offset, fields, code, entrances, object)
  }

  /// The targets of constants that count from a base.
  ///
  /// Where the comparison in front of the jump is not understood, the table may reach as far as the next object does: a label in between
  /// may as well be an address that some index is added to. Constants behind the table's end only make entrances that are none.
  private func constantTargets(
    from base: Int, _ fields: [Int: (section: SectionIndex, offset: Int)], _ code: FunctionCode, _ entrances: Entrances,
    _ object: borrowing ObjectFile
  ) -> [Int]? {
    let size = object[table.section].contentSize
    let known = load.flatMap { code.position(at: $0) }.flatMap { position in
      object.withContents(of: code.section) {
        entrances.architecture.entries(loadedBy: code.instructions[position], after: code.path(to: position), in: $0)
      }
    }
    let end =
      known.map { table.offset + $0 * element.size }
      ?? min(size, entrances.objectEnd(at: table.offset, in: table.section) ?? .max)
    guard end <= size, !fields.keys.contains(where: { $0 < end }) else { return nil }
    return object.withContents(of: table.section) { bytes in
      var targets: [Int] = []
      for field in stride(from: table.offset, to: end - element.size + 1, by: element.size) {
        guard let value = self.value(at: field, in: bytes) else { return nil }
        let target = base &+ (value &<< shift)
        if code.range.contains(target) {
          targets.append(target)
        } else if known != nil {
          return nil
        }
      }
      return targets
    }
  }

  /// The targets of distances from the table's start, each a relocated field.
  private func distances(_ fields: [Int: (section: SectionIndex, offset: Int)], _ label: Int, _ code: FunctionCode)
    -> [Int]?
  {
    guard element.size == 4, !fields.isEmpty else { return nil }
    var targets: [Int] = []
    var field = table.offset
    // A label may be a few bytes off; behind it, only what leads to an instruction counts.
    while let place = fields[field] {
      let target = place.offset &- (field - table.offset)
      if place.section == code.section, code.range.contains(target),
        field < label || code.position(at: target) != nil
      {
        targets.append(target)
      }
      field += element.size
    }
    return targets
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

  private func relocatedFields(
    of section: SectionIndex, from start: Int, to end: Int, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> [Int: (section: SectionIndex, offset: Int)] {
    var fields: [Int: (section: SectionIndex, offset: Int)] = [:]
    for table in object.relocationSections(of: section) {
      try object.withRelocations(in: table) { relocations in
        for position in relocations.indices where relocations[position].type != .none {
          let relocation = relocations[position]
          let offset = relocation.offset.rawValue
          guard offset >= start, offset < end else { continue }
          let symbol = object.symbol(relocation.symbol)
          guard case .section(let target) = object.place(of: symbol, at: relocation.symbol) else { continue }
          fields[offset] = (target, Int(truncatingIfNeeded: Int64(bitPattern: symbol.value) &+ relocation.addend))
        }
      }
    }
    return fields
  }
}
