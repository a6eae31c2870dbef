import Disassembly
import ObjectFile

/// Where the addresses of trampolines can get to in one function, whatever its flow of control: a rough answer that needs
/// nothing but the function itself, and is enough for those that only hand an address on.
struct CarriedAddresses {
  /// Whether a branch, or a store, may be given one; or nobody can say.
  private(set) var mayReachBranch = true

  init(
    in stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ locations: Locations,
    _ object: borrowing ObjectFile
  ) {
    var end = stretch.range.lowerBound
    for instruction in stretch.instructions {
      guard instruction.offset == end else { return }
      end = instruction.end
    }
    guard end == stretch.range.upperBound else { return }

    var isUse = [Bool](repeating: false, count: stretch.instructions.count)
    for relocation in relocations where locations.index.target(of: relocation.relocation.symbol) != nil {
      guard let position = stretch.position(of: relocation.offset) else { return }
      isUse[position] = true
    }
    // Registers that an address, or what was made of one, is in anywhere. What is loaded from memory is none: the addresses
    // that stand in data were excluded, and those that are stored are excluded below.
    var carriers: RegisterSet = []
    while true {
      let before = carriers
      for (position, instruction) in stretch.instructions.enumerated() where instruction.flow.kind == nil {
        guard isUse[position] || !instruction.effects.reads.isDisjoint(with: carriers) else { continue }
        if instruction.effects != .unknown { carriers.formUnion(instruction.effects.writes) }
        if let destination = instruction.destination { carriers.insert(RegisterSet(destination)) }
      }
      if carriers == before { break }
    }
    let thunks = FunctionProof.thunks(in: stretch, relocations, locations.architecture, object)
    for (position, instruction) in stretch.instructions.enumerated() {
      let carried: Bool
      switch instruction.flow {
      case .call(.register(let register)), .jump(.register(let register)), .conditionalJump(.register(let register)):
        carried = carriers.contains(register)
      case .call(.memory), .jump(.memory), .conditionalJump(.memory):
        carried = isUse[position] || !instruction.effects.reads.isDisjoint(with: carriers)
      case .call(.direct), .jump(.direct), .conditionalJump(.direct):
        guard let thunk = thunks[position], let register = thunk else { continue }
        carried = carriers.contains(register)
      case .next, .trap, .stop:
        let isCarrier = isUse[position] || !instruction.effects.reads.isDisjoint(with: carriers)
        carried = instruction.operation == .push && isUse[position] || instruction.operation == .store && isCarrier
      }
      if carried { return }
    }
    mayReachBranch = false
  }
}
