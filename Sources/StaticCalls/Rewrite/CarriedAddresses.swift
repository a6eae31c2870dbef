import Disassembly
import ObjectFile

/// Where the addresses of trampolines get to in one function, as far as the instructions right behind their loads tell: a rough answer
/// that needs nothing but the function itself, and is enough for those that only hand an address on.
struct CarriedAddresses {
  /// What becomes of the addresses that instructions make, by the instructions' positions; `nil` where a branch, or a store, may be given
  /// one, or where nobody can say.
  let uses: [Int: NonCall]?

  init(
    in stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ locations: Locations,
    _ kept: inout KeptRegisters, _ reader: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    var end = stretch.range.lowerBound
    for instruction in stretch.instructions where instruction.offset == end { end = instruction.end }
    guard end == stretch.range.upperBound else {
      uses = nil
      return
    }
    let function = Function(
      section: stretch.section, instructions: stretch.instructions, relocations: relocations,
      architecture: locations.architecture, thunks: locations.thunks.thunks(in: stretch, relocations, object))
    var uses: [Int: NonCall] = [:]
    for relocation in relocations where locations.index.target(of: relocation.relocation.symbol) != nil {
      guard let position = stretch.position(of: relocation.offset),
        let use = try function.use(of: position, &kept, &reader, object)
      else {
        self.uses = nil
        return
      }
      uses[position] = use
    }
    self.uses = uses
  }
}

private struct Function {
  let section: SectionIndex
  let instructions: [Instruction]
  let relocations: ArraySlice<CodeRelocation>
  let architecture: any Architecture.Type
  let thunks: [Int: Register?]

  /// How many instructions are followed before it counts as not known where the address gets to.
  private static let mostSteps = 1024

  /// A place on the way, and the registers that hold the address there.
  private struct Walk {
    var position: Int
    var carriers: RegisterSet
  }

  /// Follows the address that an instruction uses on all ways, until nothing holds it any more. Returns what became of it; `nil` where a
  /// branch or a store may be given it.
  func use(
    of use: Int, _ kept: inout KeptRegisters, _ reader: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> NonCall? {
    let first = instructions[use]
    switch first.flow {
    // A direct branch to the trampoline holds no address.
    case .call(.direct), .jump(.direct), .conditionalJump(.direct): return .unused
    case .call, .jump, .conditionalJump, .trap, .stop: return nil
    case .next: break
    }
    guard first.operation != .store, first.operation != .push, let destination = first.destination else { return nil }
    var work = [Walk(position: use + 1, carriers: RegisterSet(destination))]
    var seen: [Int: RegisterSet] = [:]
    var (steps, found) = (0, NonCall.unused)
    while var walk = work.popLast() {
      while walk.position < instructions.count {
        steps += 1
        // Calls and exceptions carry what is in the preserved registers to other places.
        guard steps <= Self.mostSteps, walk.carriers.isDisjoint(with: architecture.calleeSaved) else { return nil }
        switch try step(&walk, &found, &kept, &reader, object) {
        case .reachesBranch: return nil
        case .ends: walk.position = instructions.count
        case .goesOn:
          // Behind a call at the end of a function there is nothing: it does not return.
          let isAtEnd = walk.position == instructions.count
          if isAtEnd, instructions[walk.position - 1].flow.kind != .call { return nil }
        case .branches(let target, let goesOn):
          guard let position = position(at: target) else { return nil }
          // Where more than before is known to hold the address, the way is followed anew.
          if seen[position]?.isSuperset(of: walk.carriers) != true {
            seen[position, default: []].formUnion(walk.carriers)
            work.append(Walk(position: position, carriers: walk.carriers))
          }
          if !goesOn { walk.position = instructions.count }
        }
      }
    }
    return found
  }

  private enum Outcome {
    /// A branch or a store may be given the address, or nobody can say.
    case reachesBranch
    case ends
    case goesOn
    case branches(target: Int, goesOn: Bool)
  }

  /// Carries the address over one instruction.
  private func step(
    _ walk: inout Walk, _ found: inout NonCall, _ kept: inout KeptRegisters, _ reader: inout CodeReader,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Outcome {
    let position = walk.position
    let instruction = instructions[position]
    walk.position += 1
    switch instruction.flow {
    case .stop:
      if !walk.carriers.isDisjoint(with: instruction.effects.reads) { return .reachesBranch }
      if !walk.carriers.isDisjoint(with: architecture.results) { found = .passedOn }
      return .ends
    case .trap: return .goesOn
    case .call, .jump, .conditionalJump:
      if !walk.carriers.isDisjoint(with: instruction.effects.reads) { return .reachesBranch }
      if let thunk = thunks[position], thunk.map(walk.carriers.contains) ?? true { return .reachesBranch }
      let relocation = relocation(in: instruction)
      let leavesFunction = instruction.flow.directTarget == nil || relocation != nil
      // A direct jump may lead to another part of the function, which finds all registers as they are.
      let mayLeadToPart = instruction.flow.isDirectBranch && instruction.flow.kind != .call
      let passes = mayLeadToPart ? walk.carriers : walk.carriers.intersection(architecture.arguments)
      if leavesFunction, !passes.isEmpty { found = .passedOn }
      guard instruction.flow.kind == .call else { return jump(instruction, relocation, object) }
      // Code in the function itself may do anything with it: gcc's thunks that are part of the function return to it.
      if relocation == nil, let target = instruction.flow.directTarget, self.position(at: target) != nil {
        return .reachesBranch
      }
      // A function in this object may be known to keep registers that others do not (-fipa-ra).
      let kept = try kept.kept(by: instruction, relocation, in: section, &reader, object)
      walk.carriers.formIntersection(kept.union(architecture.calleeSaved))
    case .next:
      let effects = instruction.effects
      guard effects != .unknown else { return .reachesBranch }
      if effects.reads.isDisjoint(with: walk.carriers) {
        walk.carriers.subtract(effects.overwrites)
      } else if instruction.operation == .compare {
        found = .compared
      } else if instruction.operation == .store || effects.writes.isEmpty || instruction.mayMoveVector
        || instruction.memory != nil && instruction.destination == nil
      {
        // It may be in memory now, or in a vector register.
        return .reachesBranch
      } else if instruction.memory == nil || instruction.operation == .loadAddress {
        walk.carriers.formUnion(effects.writes)
      } else {
        // What is loaded from memory was not carried here.
        walk.carriers.subtract(effects.overwrites)
      }
    }
    return walk.carriers.isEmpty ? .ends : .goesOn
  }

  /// Where a jump leads; one to another function hands on what it holds.
  private func jump(_ jump: Instruction, _ relocation: Relocation?, _ object: borrowing ObjectFile) -> Outcome {
    let goesOn = jump.flow.continues
    // It may go on in the function.
    guard let target = jump.flow.directTarget else { return .reachesBranch }
    if let relocation {
      return leadsToPart(relocation, object) ? .reachesBranch : goesOn ? .goesOn : .ends
    }
    return .branches(target: target, goesOn: goesOn)
  }

  private func relocation(in instruction: Instruction) -> Relocation? {
    let next = relocations.partitionPoint { $0.offset >= instruction.offset }
    guard next < relocations.endIndex, relocations[next].offset < instruction.end else { return nil }
    return relocations[next].relocation
  }

  private func position(at offset: Int) -> Int? {
    let position = instructions.partitionPoint { $0.offset >= offset }
    return position < instructions.count && instructions[position].offset == offset ? position : nil
  }
}
