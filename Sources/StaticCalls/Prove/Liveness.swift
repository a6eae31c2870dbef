import Disassembly

/// Which registers' contents are still needed, by backward propagation over a function's blocks. "Needed" is said where in doubt:
/// not needed is a register that is replaced or that ends with a return on every way.
struct Liveness {
  private let code: FunctionCode
  private let architecture: any Architecture.Type
  private let changes: Changes
  /// The registers that branches to thunks go through; see ``FunctionProof/thunks``.
  private let thunks: [Int: Register?]
  /// Whether only branches to a register count as a need.
  private let countsBranchesOnly: Bool
  /// Whether an exception may lead to code outside of the function that finds the preserved registers.
  private let hasLandingPads: Bool
  /// What is needed at the start of each block.
  private var starts: [Needs]
  /// Where control may arrive from anywhere in the function, and what is needed there.
  private let arrivals: Set<Int>
  private var unseen = Needs()

  /// Instructions that are to be changed, by their positions.
  struct Changes {
    /// Branches that go straight to a trampoline, and no longer through a register.
    var directed: Set<Int> = []
    /// Instructions that become nops.
    var removed: Set<Int> = []
  }

  /// Registers that are needed, by what needs them.
  private struct Needs: Equatable {
    /// An instruction names the register.
    var named: RegisterSet = []
    /// A called function may look at it.
    var called: RegisterSet = []

    mutating func formUnion(_ other: Needs) {
      named.formUnion(other.named)
      called.formUnion(other.called)
    }
  }

  init(_ proof: FunctionProof, _ changes: Changes, hasLandingPads: Bool, countsBranchesOnly: Bool = false) {
    code = proof.code
    architecture = proof.evaluator.architecture
    thunks = proof.thunks
    arrivals = proof.arrivals
    self.changes = changes
    self.hasLandingPads = hasLandingPads
    self.countsBranchesOnly = countsBranchesOnly
    starts = code.blocks.map { _ in Needs() }
    settle()
  }

  /// Works from the ends of the function to its start until nothing changes any more.
  private mutating func settle() {
    var predecessors = [[Int]](repeating: [], count: code.blocks.count)
    for (number, block) in code.blocks.enumerated() {
      for successor in block.successors { predecessors[successor].append(number) }
    }
    var isWaiting = [Bool](repeating: true, count: code.blocks.count)
    var work = Array(code.blocks.indices)
    while let number = work.popLast() {
      isWaiting[number] = false
      let start = needs(of: number, downTo: code.blocks[number].range.lowerBound)
      guard start != starts[number] else { continue }
      starts[number] = start
      var changed = predecessors[number]
      if arrivals.contains(code.instructions[code.blocks[number].range.lowerBound].offset) {
        let before = unseen
        unseen.formUnion(start)
        if unseen != before { changed = Array(code.blocks.indices) }
      }
      for block in changed where !isWaiting[block] {
        isWaiting[block] = true
        work.append(block)
      }
    }
  }

  /// Whether a register is needed behind an instruction.
  func isNeeded(_ register: Register, behind position: Int) -> Bool {
    let needs = needs(of: code.block(of: position), downTo: position + 1)
    return needs.named.union(needs.called).contains(register)
  }

  /// What is needed in front of the instruction at `position`, which belongs to a block or is the end of it.
  private func needs(of block: Int, downTo position: Int) -> Needs {
    let range = code.blocks[block].range
    var needs = Needs()
    if code.blocks[block].leavesUnseen {
      // Behind a call at the end of a function there is nothing: it does not return.
      let endsInCall = code.instructions[range.upperBound - 1].flow.kind == .call
      needs = Needs(named: endsInCall ? [] : .all, called: .all)
    }
    for successor in code.blocks[block].successors { needs.formUnion(starts[successor]) }
    needs.formUnion(unseen)
    for current in stride(from: range.upperBound - 1, through: position, by: -1) {
      self.needs(of: current, &needs)
      needs.formUnion(unseen)
    }
    return needs
  }

  /// Carries needs backward over one instruction.
  private func needs(of position: Int, _ needs: inout Needs) {
    if changes.removed.contains(position) { return }
    let instruction = code.instructions[position]
    let isDirected = changes.directed.contains(position)
    switch instruction.flow {
    case .next, .trap:
      needs.named.subtract(instruction.effects.overwrites)
      needs.called.subtract(instruction.effects.overwrites)
    case .call where isDirected:
      // What its callee need not preserve may still be there (preserve_most); but no later callee is meant to find it.
      needs.called.formIntersection(architecture.calleeSaved.union(architecture.arguments))
      needs.called.formUnion(handedOver(at: position))
      if hasLandingPads { needs.called.formUnion(architecture.calleeSaved) }
    case .call:
      // Compilers know of functions in the same file what they keep (-fipa-ra), and there are other conventions
      // (preserve_none, the kernel's helpers): any register may be kept, and looked at.
      needs.called = .all
    case .jump, .conditionalJump:
      let stays = instruction.flow.continues || code.target(of: instruction) != nil
      if !stays { needs = Needs() }
      if isDirected {
        needs.called.formUnion(handedOver(at: position).union(architecture.calleeSaved))
      } else if code.target(of: instruction) == nil {
        needs.called = .all
      }
    case .stop:
      needs = Needs(
        named: [], called: architecture.arguments.union(architecture.results).union(architecture.calleeSaved))
    }
    guard !isDirected, !countsBranchesOnly || instruction.flow.kind != nil else { return }
    needs.named.formUnion(instruction.effects.reads)
    // The register of a thunk is an operand that only the thunk's name tells.
    if let operand = thunks[position] { needs.named.formUnion(operand.map { RegisterSet($0) } ?? .all) }
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
