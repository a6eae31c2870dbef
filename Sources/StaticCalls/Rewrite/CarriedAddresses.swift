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
      architecture: locations.architecture,
      thunks: FunctionProof.thunks(in: stretch, relocations, locations.architecture, object))
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

  /// Follows the address that an instruction uses, until nothing holds it any more. Returns what became of it; `nil` where a branch or a
  /// store may be given it.
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
    var carriers = RegisterSet(destination)
    var found = NonCall.unused
    for position in (use + 1)..<max(use + 1, instructions.count) {
      // Calls and exceptions carry what is in these to other places.
      guard carriers.isDisjoint(with: architecture.calleeSaved) else { return nil }
      let instruction = instructions[position]
      switch instruction.flow {
      case .stop where !carriers.isDisjoint(with: instruction.effects.reads): return nil
      case .stop: return carriers.isDisjoint(with: architecture.results) ? found : .passedOn
      case .trap, .conditionalJump, .call(.register), .call(.memory), .jump(.register), .jump(.memory): return nil
      case .call(.direct), .jump(.direct):
        if let thunk = thunks[position], thunk.map(carriers.contains) ?? true { return nil }
        if !carriers.isDisjoint(with: architecture.arguments) { found = .passedOn }
        let relocation = relocation(in: instruction)
        // A jump with a relocation leaves the function.
        guard instruction.flow.kind == .call else { return relocation == nil ? nil : found }
        let kept = try kept.kept(by: instruction, relocation, in: section, &reader, object)
        return kept.isDisjoint(with: carriers) ? found : nil
      case .next:
        let effects = instruction.effects
        guard effects != .unknown else { return nil }
        if effects.reads.isDisjoint(with: carriers) {
          carriers.subtract(effects.overwrites)
        } else {
          if instruction.operation == .compare {
            found = .compared
          } else if instruction.operation == .store || effects.writes.isEmpty || instruction.mayMoveVector
            || instruction.memory != nil && instruction.destination == nil
          {
            // It may be in memory now, or in a vector register.
            return nil
          }
          // What is loaded from memory was not carried here.
          if instruction.memory == nil || instruction.operation == .loadAddress { carriers.formUnion(effects.writes) }
        }
      }
      if carriers.isEmpty { return found }
    }
    return nil
  }

  private func relocation(in instruction: Instruction) -> Relocation? {
    let next = relocations.partitionPoint { $0.offset >= instruction.offset }
    guard next < relocations.endIndex, relocations[next].offset < instruction.end else { return nil }
    return relocations[next].relocation
  }
}
