import Disassembly

/// Whether registers' contents are still needed, by a search along all ways that lead on from a place. "Needed" is said where in doubt:
/// not needed is a register that is replaced or that ends with a return on every way.
struct Liveness {
  private let code: FunctionCode
  private let architecture: any Architecture.Type
  /// The registers that branches to thunks go through; see ``FunctionProof/thunks``.
  private let thunks: [Int: Register?]
  /// The positions of instructions whose registers something outside of the program looks at.
  private let namedInstructions: Set<Int>
  /// The blocks where control may arrive from anywhere in the function.
  private let arrivals: [Int]
  /// Whether an exception may lead to code outside of the function that finds the preserved registers.
  private let hasLandingPads: Bool
  var changes = Changes()

  /// Instructions that are to be changed, by their positions.
  struct Changes {
    /// Branches that go straight to a trampoline, and no longer through a register.
    var directed: Set<Int> = []
    /// Instructions that become nops.
    var removed: Set<Int> = []
  }

  init(_ proof: FunctionProof) {
    code = proof.code
    architecture = proof.evaluator.architecture
    thunks = proof.thunks
    namedInstructions = proof.namedInstructions
    arrivals = Set(proof.arrivals.compactMap { proof.code.position(at: $0) }.map { proof.code.block(of: $0) }).sorted()
    hasLandingPads = proof.hasLandingPads
  }

  /// What an instruction does with what a register holds.
  private enum Effect {
    case needs
    /// Nothing behind the instruction finds the old contents.
    case ends
    /// Behind it the contents may still be looked at: by called functions too, or only by what names the register.
    case passes(toCallees: Bool)
  }

  /// Whether a register is needed behind an instruction. With `countsBranchesOnly`, only branches that name it and called functions count.
  func isNeeded(_ register: Register, behind position: Int, countsBranchesOnly: Bool = false) -> Bool {
    // For each block whether it is to be looked at, or was: 1 if only what names the register counts there, else 2.
    var seen = [UInt8](repeating: 0, count: code.blocks.count)
    var work: [(block: Int, position: Int, reachesCallees: Bool)] = []
    func enter(_ block: Int, reachesCallees: Bool) {
      let state: UInt8 = reachesCallees ? 2 : 1
      guard seen[block] < state else { return }
      seen[block] = state
      work.append((block, code.blocks[block].range.lowerBound, reachesCallees))
    }
    for block in arrivals { enter(block, reachesCallees: true) }
    work.append((code.block(of: position), position + 1, true))
    search: while let (block, start, reached) = work.popLast() {
      var reachesCallees = reached
      for position in start..<code.blocks[block].range.upperBound {
        switch effect(of: position, on: register, reachesCallees, countsBranchesOnly) {
        case .needs: return true
        case .ends: continue search
        case .passes(let toCallees): reachesCallees = toCallees
        }
      }
      if code.blocks[block].leavesUnseen {
        // Behind a call at the end of a function there is nothing: it does not return.
        let endsInCall = code.instructions[code.blocks[block].range.upperBound - 1].flow.kind == .call
        if !endsInCall || reachesCallees { return true }
      }
      for successor in code.blocks[block].successors { enter(successor, reachesCallees: reachesCallees) }
    }
    return false
  }

  private func effect(
    of position: Int, on register: Register, _ reachesCallees: Bool, _ countsBranchesOnly: Bool
  ) -> Effect {
    if namedInstructions.contains(position) { return .needs }
    if changes.removed.contains(position) { return .passes(toCallees: reachesCallees) }
    let instruction = code.instructions[position]
    let isDirected = changes.directed.contains(position)
    if !isDirected, names(position, register, countsBranchesOnly) { return .needs }
    switch instruction.flow {
    case .next, .trap:
      return instruction.effects.overwrites.contains(register) ? .ends : .passes(toCallees: reachesCallees)
    case .call where isDirected:
      let isLookedAt =
        handedOver(at: position).contains(register) || hasLandingPads && architecture.calleeSaved.contains(register)
      if reachesCallees, isLookedAt { return .needs }
      // What its callee need not preserve may still be there (preserve_most); but no later callee is meant to find it.
      let isKept = architecture.calleeSaved.union(architecture.arguments).contains(register)
      return .passes(toCallees: reachesCallees && isKept)
    case .call:
      // Compilers know of functions in the same file what they keep (-fipa-ra), and there are other conventions
      // (preserve_none, the kernel's helpers): any register may be kept, and looked at.
      return reachesCallees ? .needs : .passes(toCallees: false)
    case .jump, .conditionalJump:
      let isInside = code.target(of: instruction) != nil || code.jumps[position]?.leavesFunction == false
      let isLookedAt =
        isDirected
        ? handedOver(at: position).union(architecture.calleeSaved).contains(register) : !isInside
      if reachesCallees, isLookedAt { return .needs }
      return isInside || instruction.flow.continues ? .passes(toCallees: reachesCallees) : .ends
    case .stop:
      let found = architecture.arguments.union(architecture.results).union(architecture.calleeSaved)
      return reachesCallees && found.contains(register) ? .needs : .ends
    }
  }

  /// Whether an instruction names a register whose contents it needs.
  private func names(_ position: Int, _ register: Register, _ countsBranchesOnly: Bool) -> Bool {
    let instruction = code.instructions[position]
    if countsBranchesOnly, instruction.flow.kind == nil { return false }
    if instruction.effects.reads.contains(register) { return true }
    // The register of a thunk is an operand that only the thunk's name tells.
    guard instruction.flow.kind != nil, let operand = thunks[position] else { return false }
    return operand.map { $0 == register } ?? true
  }

  /// What a trampoline's function may look at when it is called directly: anything but the register that the branch went through, for
  /// not every convention hands over in the psABI's argument registers (a static chain, preserve_none, swiftcall, regcall).
  private func handedOver(at position: Int) -> RegisterSet {
    var through: RegisterSet = []
    switch code.instructions[position].flow {
    case .call(.register(let register)), .jump(.register(let register)), .conditionalJump(.register(let register)):
      through.insert(RegisterSet(register))
    default: if case .some(.some(let register)) = thunks[position] { through.insert(RegisterSet(register)) }
    }
    return RegisterSet.all.subtracting(through).union(architecture.arguments)
  }
}
