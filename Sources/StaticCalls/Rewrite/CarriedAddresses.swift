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
      thunks: locations.thunks.thunks(in: stretch, relocations, object),
      destinations: relocations.map { Destination($0.relocation.symbol, object) })
    mayReachBranch = relocations.contains { relocation in
      guard locations.index.target(of: relocation.relocation.symbol) != nil else { return false }
      return stretch.position(of: relocation.offset).map { function.mayReachBranch(from: $0) } ?? true
    }
  }
}

/// What a branch with a relocation leads to.
private enum Destination {
  case otherObject
  case function
  /// No function: a part of one that was moved away, most often.
  case code

  init(_ index: SymbolIndex, _ object: borrowing ObjectFile) {
    let symbol = object.symbol(index)
    guard case .section = object.place(of: symbol, at: index) else {
      self = .otherObject
      return
    }
    // gcc makes a function symbol of its own for the cold part of a function.
    let isWhole = symbol.type == .function && !(symbol.binding == .local && object.name(of: index).contains(".cold"))
    self = isWhole ? .function : .code
  }
}

private struct Function {
  let instructions: [Instruction]
  let relocations: ArraySlice<CodeRelocation>
  let architecture: any Architecture.Type
  let thunks: [Int: Register?]
  /// For each relocation, in their order.
  let destinations: [Destination]

  /// How many instructions are followed before it counts as not known where the address gets to.
  private static let mostSteps = 1024

  /// A place on the way, and the registers that hold the address there.
  private struct Walk {
    var position: Int
    var carriers: RegisterSet
  }

  /// Follows the address that an instruction uses on all ways, until nothing holds it any more.
  func mayReachBranch(from use: Int) -> Bool {
    let first = instructions[use]
    switch first.flow {
    // A direct branch to the trampoline holds no address.
    case .call(.direct), .jump(.direct), .conditionalJump(.direct): return false
    case .call, .jump, .conditionalJump, .trap, .stop: return true
    case .next: break
    }
    guard first.operation != .store, first.operation != .push, let destination = first.destination else { return true }
    var work = [Walk(position: use + 1, carriers: RegisterSet(destination))]
    var seen: [Int: RegisterSet] = [:]
    var steps = 0
    while var walk = work.popLast() {
      while walk.position < instructions.count {
        steps += 1
        // Calls and exceptions carry what is in the preserved registers to other places.
        guard steps <= Self.mostSteps, walk.carriers.isDisjoint(with: architecture.calleeSaved) else { return true }
        switch step(&walk) {
        case .reachesBranch: return true
        case .ends: walk.position = instructions.count
        case .goesOn:
          // Behind a call at the end of a function there is nothing: it does not return.
          let isAtEnd = walk.position == instructions.count
          if isAtEnd, instructions[walk.position - 1].flow.kind != .call { return true }
        case .branches(let target, let goesOn):
          guard let position = position(at: target) else { return true }
          // Where more than before is known to hold the address, the way is followed anew.
          if seen[position]?.isSuperset(of: walk.carriers) != true {
            seen[position, default: []].formUnion(walk.carriers)
            work.append(Walk(position: position, carriers: walk.carriers))
          }
          if !goesOn { walk.position = instructions.count }
        }
      }
    }
    return false
  }

  private enum Outcome {
    case reachesBranch
    case ends
    case goesOn
    case branches(target: Int, goesOn: Bool)
  }

  /// Carries the address over one instruction.
  private func step(_ walk: inout Walk) -> Outcome {
    let position = walk.position
    let instruction = instructions[position]
    walk.position += 1
    switch instruction.flow {
    case .stop: return .ends
    case .trap: return .goesOn
    case .call(.register), .jump(.register), .conditionalJump, .call(.memory), .jump(.memory), .call(.direct), .jump(.direct):
      if !instruction.effects.reads.isDisjoint(with: walk.carriers) { return .reachesBranch }
      if let thunk = thunks[position], thunk.map({ walk.carriers.contains($0) }) ?? true { return .reachesBranch }
      guard case .call = instruction.flow else { return jump(instruction) }
      // A function in this object may be known to keep registers that others do not (-fipa-ra).
      return destination(of: instruction) == .otherObject ? .ends : .goesOn
    case .next:
      let effects = instruction.effects
      guard effects != .unknown else { return .reachesBranch }
      if effects.reads.isDisjoint(with: walk.carriers) {
        walk.carriers.subtract(effects.overwrites)
      } else {
        if instruction.operation == .store { return .reachesBranch }
        // What is loaded from memory was not carried here.
        if instruction.memory == nil || instruction.operation == .loadAddress {
          walk.carriers.formUnion(effects.writes)
        } else {
          walk.carriers.subtract(effects.writes)
        }
      }
      return walk.carriers.isEmpty ? .ends : .goesOn
    }
  }

  /// Where a jump leads; one to another function hands on what it holds.
  private func jump(_ jump: Instruction) -> Outcome {
    let goesOn = jump.flow.continues
    switch (destination(of: jump), jump.flow.directTarget) {
    case (.code, _): return .reachesBranch
    case (.otherObject, _), (.function, _): return goesOn ? .goesOn : .ends
    case (nil, let target?): return .branches(target: target, goesOn: goesOn)
    case (nil, nil): return .ends
    }
  }

  /// Where the relocation of a branch leads; `nil` for a branch without one.
  private func destination(of branch: Instruction) -> Destination? {
    let next = relocations.partitionPoint { $0.offset >= branch.offset }
    guard next < relocations.endIndex, relocations[next].offset < branch.end else { return nil }
    return destinations[next - relocations.startIndex]
  }

  private func position(at offset: Int) -> Int? {
    let position = instructions.partitionPoint { $0.offset >= offset }
    return position < instructions.count && instructions[position].offset == offset ? position : nil
  }
}
