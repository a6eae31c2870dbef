import Disassembly

/// Which registers' contents are still needed, by backward propagation over a function's blocks. "Needed" is said where in doubt.
struct Liveness {
  private let code: FunctionCode
  private let architecture: any Architecture.Type
  private let changes: Changes
  private let hasLandingPads: Bool
  /// The registers that branches to thunks go through; see ``FunctionProof/thunks``.
  private let thunks: [Int: Register?]
  /// Registers that are needed at the start of each block.
  private var needed: [RegisterSet]

  /// Instructions that are to be changed, by their positions.
  struct Changes {
    /// Branches that go straight to a trampoline, and no longer through a register.
    var directed: Set<Int> = []
    /// Instructions that become nops.
    var removed: Set<Int> = []
  }

  init(_ proof: FunctionProof, _ changes: Changes, hasLandingPads: Bool) {
    code = proof.code
    architecture = proof.evaluator.architecture
    thunks = proof.thunks
    self.changes = changes
    self.hasLandingPads = hasLandingPads
    needed = code.blocks.map { _ in [] }
    var changed = true
    while changed {
      changed = false
      for number in code.blocks.indices.reversed() {
        let start = registersNeeded(from: number, downTo: code.blocks[number].range.lowerBound)
        if start != needed[number] {
          needed[number] = start
          changed = true
        }
      }
    }
  }

  /// Whether a register is needed behind an instruction.
  func isNeeded(_ register: Register, behind position: Int) -> Bool {
    registersNeeded(from: code.block(of: position), downTo: position + 1).contains(register)
  }

  /// The registers that are needed in front of the instruction at `position`, which belongs to a block or is the end of it.
  private func registersNeeded(from block: Int, downTo position: Int) -> RegisterSet {
    let range = code.blocks[block].range
    var registers: RegisterSet =
      code.blocks[block].leavesUnseen
      ? .all : code.blocks[block].successors.reduce(into: []) { $0.formUnion(needed[$1]) }
    for current in stride(from: range.upperBound - 1, through: position, by: -1) {
      registers = registersNeeded(at: current, if: registers)
    }
    return registers
  }

  private func registersNeeded(at position: Int, if after: RegisterSet) -> RegisterSet {
    if changes.removed.contains(position) { return after }
    let instruction = code.instructions[position]
    let isDirected = changes.directed.contains(position)
    let reads = isDirected ? [] : instruction.effects.reads
    switch instruction.flow {
    case .next, .trap: return after.subtracting(instruction.effects.overwrites).union(reads)
    case .call:
      // A trampoline's callee changes what it need not preserve, and looks at arguments. Any other may keep more, as compilers
      // know of functions in the same file (-fipa-ra), or have conventions of its own. Behind an exception the handler may look
      // at the rest.
      var registers =
        isDirected
        ? after.intersection(architecture.calleeSaved).union(architecture.arguments)
        : after.union(RegisterSet.all.subtracting(architecture.calleeSaved))
      if code.target(of: instruction) != nil { registers = .all }
      if hasLandingPads { registers.formUnion(architecture.calleeSaved) }
      if !isDirected, let operand = thunks[position] { registers.formUnion(operand.map { RegisterSet($0) } ?? .all) }
      return registers.union(reads)
    case .jump, .conditionalJump:
      let leaving = registersNeeded(leavingBy: instruction, isDirected: isDirected)
      let staying = instruction.flow.continues || code.target(of: instruction) != nil ? after : []
      return staying.union(leaving).union(reads)
    case .stop:
      return architecture.results.union(architecture.calleeSaved).union(reads)
    }
  }

  /// What is needed where a jump leads out of the function: a tail call takes its arguments along.
  private func registersNeeded(leavingBy instruction: Instruction, isDirected: Bool) -> RegisterSet {
    let tailCall = architecture.arguments.union(architecture.calleeSaved)
    if isDirected { return tailCall }
    return code.target(of: instruction) == nil ? .all : []
  }
}
