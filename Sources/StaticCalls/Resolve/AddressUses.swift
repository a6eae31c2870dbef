import Disassembly
import ObjectFile

/// References to a trampoline that are no direct branches: what becomes of the address.
extension CallSiteResolver {
  /// A use of a trampoline's address by the instruction at a position of its stretch.
  struct Use {
    var reference: Reference
    var position: Int
  }

  mutating func resolveUse(
    _ reference: Reference, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    guard followsAddresses else { return }
    let relocation = reference.relocation
    let section = reference.section
    let offset = relocation.offset.rawValue
    guard let stretch = try code.stretch(around: offset, in: section, object) else {
      // A literal pool, or a table beside the code; the function around it may call what it loads from there.
      addInData(reference, .noCall(.data))
      pool.insert(offset)
      return
    }
    guard let position = stretch.position(of: offset) else {
      addInData(reference, .left(.undecoded))
      return
    }
    uses[stretch.range.lowerBound, default: []].append(Use(reference: reference, position: position))
  }

  /// Follows the addresses that instructions use, one function at a time.
  mutating func resolveUses(
    in section: SectionIndex, role: SectionRole, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let readers = try readers(of: pool, in: section, object)
    pool = []
    for reader in readers { self.uses[reader, default: []] += [] }
    let uses = uses.sorted { $0.key < $1.key }
    self.uses = [:]
    for (start, uses) in uses {
      let stretch = try code.stretch(holding: start, in: section, object)
      switch try indirect.examine(stretch, role: role, readsPool: readers.contains(start), &code, object) {
      case .handedOn(let fates):
        for use in uses {
          let instruction = stretch.instructions[use.position]
          guard let trampoline = trampoline(of: use, instruction) else { continue }
          let fate = known(use, instruction, object) ?? fates[use.position] ?? .unused
          addUse(use, instruction, trampoline, .noCall(fate), object)
        }
      case .followed(let rewriter): try resolve(uses, of: stretch, rewriter, object)
      }
    }
  }

  /// The starts of the functions that may load addresses from places among the code: those whose relocations name such a place, and the one
  /// around it or in front of it, which assemblers need no relocation for.
  private mutating func readers(
    of pool: Set<Int>, in section: SectionIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Set<Int> {
    guard !pool.isEmpty else { return [] }
    var starts: Set<Int> = []
    for place in pool {
      let around = try code.stretch(holding: place, in: section, object).range.lowerBound
      starts.insert(around)
      if around > 0, let before = try code.stretch(around: around - 1, in: section, object) {
        starts.insert(before.range.lowerBound)
      }
    }
    let readers = try code.relocations(of: section, in: 0..<object[section].contentSize, object).filter { reader in
      let symbol = object.symbol(reader.relocation.symbol)
      guard symbol.binding == .local,
        object.place(of: symbol, at: reader.relocation.symbol) == .section(section)
      else { return false }
      let end = reader.offset + architecture.fieldSize(of: reader.relocation)
      let distance = architecture.targetOffset(of: reader.relocation, instructionEnd: end)
      return pool.contains(Int(truncatingIfNeeded: Int64(bitPattern: symbol.value) &+ distance))
    }
    for reader in readers {
      if let stretch = try code.stretch(around: reader.offset, in: section, object) {
        starts.insert(stretch.range.lowerBound)
      }
    }
    return starts
  }

  /// Settles the uses of a function, together with the branches that go to their addresses.
  private mutating func resolve(
    _ uses: [Use], of stretch: DecodedStretch, _ rewriter: Rewriter, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let branches = Dictionary(rewriter.sites.enumerated().map { ($1.offset.rawValue, $0) }) { first, _ in first }
    var sites = rewriter.sites
    deadLoads += rewriter.deadLoads
    // A branch that names the address itself is a reference; so is one whose address has no other.
    let named = Set(uses.map { stretch.instructions[$0.position].offset })
    for (number, branch) in rewriter.branches.all.enumerated() {
      sites[number].isReference = branch.callee.loads.allSatisfy { load in
        load == sites[number].offset.rawValue || !named.contains(load)
      }
      sites[number].isRelocated = named.contains(sites[number].offset.rawValue) && !branch.callee.isKeyWord
    }

    var loads: [FollowedAddresses.Load] = []
    var others: [(use: Use, trampoline: Int)] = []
    var keys: [(use: Use, trampoline: Int)] = []
    for use in uses {
      let instruction = stretch.instructions[use.position]
      if let branch = branches[instruction.offset] {
        if !sites[branch].isReference { records.pass(over: use.reference) }
        continue
      }
      if case .key(let number) = use.reference.target {
        keys.append((use, number))
        continue
      }
      guard let trampoline = trampoline(of: use, instruction) else { continue }
      if case .push(let shape) = architecture.use(of: instruction, use.reference.relocation),
        let site = rewriter.pushedSite(at: use.position, shape: shape, trampoline: trampoline, object)
      {
        sites.append(site)
        continue
      }
      others.append((use, trampoline))
      guard known(use, instruction, object) == nil, instruction.flow.kind == nil else { continue }
      let writesMemory = [.store, .push].contains(instruction.operation)
      let isPointer = architecture.use(of: instruction, use.reference.relocation) == .other(.m6)
      let definition = object.withContents(of: stretch.section) {
        architecture.definition(by: instruction, use.reference.relocation, in: $0)
      }
      loads.append(
        FollowedAddresses.Load(
          source: PossibleAddresses.Source(
            position: use.position, isPointer: isPointer, isSelection: definition == nil, writesMemory: writesMemory),
          trampoline: trampoline, isPush: instruction.operation == .push))
    }
    let followed = try indirect.follow(loads, rewriter, &code, object)
    var fates: [Int: CallSite.Status] = [:]
    for (number, branch) in rewriter.branches.all.enumerated() {
      if let reason = followed.reasons[branch.position], sites[number].status == .left(.notOnEveryPath) {
        sites[number].status = .left(reason)
      }
      for load in branch.callee.loads where load != sites[number].offset.rawValue {
        // Of several calls, one that stays counts.
        if case .left? = fates[load] { continue }
        fates[load] = sites[number].status
      }
    }
    // Those that need no proof stand there already.
    self.sites += sites.filter { !tableBranches.contains($0.offset.rawValue) }
    for (use, trampoline) in keys {
      let instruction = stretch.instructions[use.position]
      settle(use, instruction, trampoline, fates[instruction.offset])
    }
    for (use, trampoline) in others {
      let instruction = stretch.instructions[use.position]
      if let fate = known(use, instruction, object) {
        addUse(use, instruction, trampoline, .noCall(fate), object)
        continue
      }
      switch followed.verdicts[use.position] {
      case .left(let code, let branch):
        addUse(use, instruction, trampoline, .left(code), object)
        reached[self.sites[self.sites.count - 1].position] = branch.map {
          SectionOffset(stretch.instructions[$0].offset)
        }
      case .noCall(let fate): addUse(use, instruction, trampoline, .noCall(fate), object)
      case nil:
        if instruction.flow.kind != nil {
          addUnfollowed(use, instruction, trampoline)
        } else {
          settle(use, instruction, trampoline, fates[instruction.offset])
        }
      }
    }
    for (position, trampoline) in rewriter.branches.constantLoads.sorted(by: { $0.key < $1.key }) {
      guard case .left(let code, let branch)? = followed.verdicts[position] else { continue }
      let instruction = stretch.instructions[position]
      add(
        stretch.section, instruction.offset, instruction.length, nil, .m11, trampoline, .left(code),
        through: instruction.destination.map { architecture.name(of: $0) } ?? "address")
      self.sites[self.sites.count - 1].isRelocated = false
      reached[self.sites[self.sites.count - 1].position] = branch.map {
        SectionOffset(stretch.instructions[$0].offset)
      }
    }
  }

  /// Notes what became of the calls that an instruction loads the address for; `nil` where there are none.
  private mutating func settle(
    _ use: Use, _ instruction: Instruction, _ trampoline: Int, _ status: CallSite.Status?
  ) {
    guard let status else { return records.pass(over: use.reference) }
    let isKey = if case .key = use.reference.target { true } else { false }
    records.add(
      ReferenceRecords.Load(
        section: use.reference.section, bytes: instruction.offset..<instruction.end, trampoline: trampoline,
        status: status, isRelocated: !isKey))
  }

  /// The trampoline whose whole address an instruction uses. What is none is passed over.
  private mutating func trampoline(of use: Use, _ instruction: Instruction) -> Int? {
    let relocation = use.reference.relocation
    let target = architecture.targetOffset(of: relocation, instructionEnd: instruction.end)
    if case .key = use.reference.target {
      records.pass(over: use.reference)
      return nil
    }
    guard architecture.use(of: instruction, relocation) != .part,
      let trampoline = trampoline(use.reference, targetOffset: target)
    else {
      records.pass(over: use.reference)
      return nil
    }
    return trampoline
  }

  /// What an instruction does with an address where that needs no look at any other instruction.
  private func known(_ use: Use, _ instruction: Instruction, _ object: borrowing ObjectFile) -> NonCall? {
    let isAccess = object.withContents(of: use.reference.section) {
      architecture.namesAccessedMemory(use.reference.relocation, by: instruction, in: $0)
    }
    if isAccess { return .accessed }
    return instruction.operation == .compare ? .compared : nil
  }

  /// Lists the use of an address by an instruction that is no site.
  private mutating func addUse(
    _ use: Use, _ instruction: Instruction, _ trampoline: Int, _ status: CallSite.Status,
    _ object: borrowing ObjectFile
  ) {
    let relocation = use.reference.relocation
    let section = use.reference.section
    let definition = object.withContents(of: section) {
      architecture.definition(by: instruction, relocation, in: $0)
    }
    let shape: Shape =
      switch architecture.use(of: instruction, relocation) {
      case .push(let shape), .other(let shape): shape
      case .part: .c
      }
    add(
      section, instruction.offset, instruction.length, nil, definition?.shape ?? shape, trampoline, status,
      through: definition.map { architecture.name(of: $0.register) } ?? "address")
  }

  /// Lists a branch that names a trampoline's address in a way that is not followed.
  private mutating func addUnfollowed(_ use: Use, _ instruction: Instruction, _ trampoline: Int) {
    let code: Code =
      if use.reference.isShared {
        .severalRelocations
      } else {
        instruction.hasOperandSizePrefix ? .operandSizePrefix : .notFollowed
      }
    add(
      use.reference.section, instruction.offset, instruction.length, instruction.flow.kind, .e, trampoline,
      .left(code), through: instruction.hasOperandSizePrefix ? "66-prefixed branch" : "memory")
  }

  /// Lists an address that stands among the code and is no part of a known instruction.
  private mutating func addInData(_ reference: Reference, _ status: CallSite.Status) {
    if case .key = reference.target { return records.pass(over: reference) }
    guard let trampoline = trampolineMeant(reference) else { return records.pass(over: reference) }
    add(
      reference.section, reference.relocation.offset.rawValue, 4, nil, architecture.shapeInData(reference.relocation),
      trampoline, status, through: "data in code")
  }
}
