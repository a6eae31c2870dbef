import Disassembly
import ObjectFile

/// Where the addresses of trampolines get to in one function, as far as the instructions right behind their loads tell: a rough answer
/// that needs nothing but the function itself, and is enough for those that only hand an address on.
struct CarriedAddresses {
  /// Whether a branch, or a store, may be given one; or nobody can say.
  let mayReachBranch: Bool

  init(
    in stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ locations: Locations,
    _ object: borrowing ObjectFile
  ) {
    var end = stretch.range.lowerBound
    for instruction in stretch.instructions where instruction.offset == end { end = instruction.end }
    guard end == stretch.range.upperBound else {
      mayReachBranch = true
      return
    }
    let function = Function(
      instructions: stretch.instructions, relocations: relocations, architecture: locations.architecture,
      thunks: locations.thunks.thunks(in: stretch, relocations, object))
    mayReachBranch = relocations.contains { relocation in
      guard locations.index.target(of: relocation.relocation.symbol) != nil else { return false }
      return stretch.position(of: relocation.offset).map { function.mayReachBranch(from: $0) } ?? true
    }
  }
}

private struct Function {
  let instructions: [Instruction]
  let relocations: ArraySlice<CodeRelocation>
  let architecture: any Architecture.Type
  let thunks: [Int: Register?]

  /// Follows the address that an instruction uses, until nothing holds it any more.
  func mayReachBranch(from use: Int) -> Bool {
    let first = instructions[use]
    switch first.flow {
    // A direct branch to the trampoline holds no address.
    case .call(.direct), .jump(.direct), .conditionalJump(.direct): return false
    case .call, .jump, .conditionalJump, .trap, .stop: return true
    case .next: break
    }
    guard first.operation != .store, first.operation != .push, let destination = first.destination else { return true }
    var carriers = RegisterSet(destination)
    for position in (use + 1)..<max(use + 1, instructions.count) {
      // Calls and exceptions carry what is in these to other places.
      guard carriers.isDisjoint(with: architecture.calleeSaved) else { return true }
      let instruction = instructions[position]
      switch instruction.flow {
      case .stop: return false
      case .trap, .conditionalJump, .call(.register), .call(.memory), .jump(.register), .jump(.memory): return true
      case .call(.direct), .jump(.direct):
        if let thunk = thunks[position], let register = thunk, carriers.contains(register) { return true }
        // A jump with a relocation leaves the function.
        return instruction.flow.kind != .call && !isRelocated(instruction)
      case .next:
        let effects = instruction.effects
        guard effects != .unknown else { return true }
        if effects.reads.isDisjoint(with: carriers) {
          carriers.subtract(effects.overwrites)
        } else {
          if instruction.operation == .store { return true }
          // What is loaded from memory was not carried here.
          if instruction.memory == nil || instruction.operation == .loadAddress { carriers.formUnion(effects.writes) }
        }
      }
      if carriers.isEmpty { return false }
    }
    return true
  }

  private func isRelocated(_ instruction: Instruction) -> Bool {
    let next = relocations.partitionPoint { $0.offset >= instruction.offset }
    return next < relocations.endIndex && relocations[next].offset < instruction.end
  }
}
