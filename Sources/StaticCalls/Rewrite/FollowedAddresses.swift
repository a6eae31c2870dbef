import Disassembly
import ObjectFile

/// What becomes of the trampolines' addresses that a function makes, besides the calls that are proved: each may reach a branch of which
/// nobody knows where it goes, which is a call left behind for all that is known, or it is certain to be no call.
struct FollowedAddresses {
  /// By the positions of the instructions that make the addresses; those that are spoken for by branches which are sites, and by
  /// nothing else, are not among them.
  private(set) var verdicts: [Int: Verdict] = [:]
  /// Better reasons for branches of which it was only known that they may go elsewhere as well, by their positions.
  private(set) var reasons: [Int: Code] = [:]

  enum Verdict: Equatable {
    /// It may be called; the position of the branch is `nil` where it gets to code that is not known.
    case left(Code, branch: Int?)
    case noCall(NonCall)
  }

  /// An instruction that makes an address.
  struct Load {
    var source: PossibleAddresses.Source
    /// Number of the trampoline in ``Survey/trampolines``.
    var trampoline: Int
    var isPush = false

    var position: Int { source.position }
  }

  private let proof: FunctionProof
  private let sites: IndirectBranches
  /// For the branches that are sites, where their addresses are made.
  private let ownLoads: [Int: [Int]]

  init(
    _ loads: [Load], _ rewriter: Rewriter, _ kept: inout KeptRegisters, _ reader: inout CodeReader,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    proof = rewriter.proof
    sites = rewriter.branches
    ownLoads = Dictionary(sites.all.map { ($0.position, $0.callee.loads) }) { first, _ in first }
    let unproved = try unprovedBranches(object)
    let settled = Set(sites.all.flatMap(\.callee.loads))
    let isSettled = { [code = proof.code] (load: Load) in
      settled.contains(code.instructions[load.position].offset)
    }
    let constants = sites.constantLoads.map {
      Load(source: PossibleAddresses.Source(position: $0.key), trampoline: $0.value)
    }
    // Where each branch is proved, only what else is done with an address is left to say.
    let followed = unproved.isEmpty ? loads.filter { !isSettled($0) } : loads + constants
    guard !followed.isEmpty else { return }
    var keptResults: [Int: RegisterSet] = [:]
    for (position, instruction) in proof.code.instructions.enumerated() where instruction.flow.kind == .call {
      let relocation = proof.code.relocation(in: instruction)?.relocation
      let kept = try kept.kept(by: instruction, relocation, in: proof.code.section, &reader, object)
      keptResults[position] = kept
    }
    var possible = PossibleAddresses(proof, branches: unproved, keptResults: keptResults, object)
    // All at once first: nearly always that answers for each of them.
    let all = unproved.isEmpty ? nil : possible.follow(Set(followed.map(\.source)))
    let mayBeCalled = all.map(\.mayBeCall) ?? !unproved.isEmpty
    let spokenFor = followed.filter(isSettled)
    for load in mayBeCalled ? suspects(among: spokenFor[...], &possible) : [] {
      let outcome = possible.follow([load.source])
      verdicts[load.position] = verdict(of: load, outcome, followed, isSettled: true, unproved, &possible)
    }
    for load in followed where !isSettled(load) {
      let outcome = possible.follow([load.source])
      verdicts[load.position] = verdict(of: load, outcome, followed, isSettled: false, unproved, &possible)
    }
    for load in constants {
      // A constant that is not called stays what it is: data.
      if case .noCall? = verdicts[load.position] { verdicts[load.position] = nil }
    }
    for branch in sites.all where branch.certainty == .maybe {
      reasons[branch.position] = reason(for: branch, loads + constants, &possible)
    }
  }

  /// The loads whose address may be called by more than the branches that speak for it, and perhaps others: most are told from them by
  /// the half, which takes far fewer steps than one by one.
  private func suspects(among loads: ArraySlice<Load>, _ possible: inout PossibleAddresses) -> [Load] {
    guard loads.count > 1 else { return Array(loads) }
    guard possible.follow(Set(loads.map(\.source)), stopsAtCall: true)?.mayBeCall != false else { return [] }
    let middle = loads.startIndex + loads.count / 2
    return suspects(among: loads[..<middle], &possible) + suspects(among: loads[middle...], &possible)
  }

  private func verdict(
    of load: Load, _ outcome: PossibleAddresses.Outcome?, _ all: [Load], isSettled: Bool,
    _ unproved: [Int: PossibleAddresses.Target], _ possible: inout PossibleAddresses
  ) -> Verdict? {
    let offset = proof.code.instructions[load.position].offset
    // Branches that are sites speak for their own loads.
    func isOwn(_ branch: Int) -> Bool { ownLoads[branch]?.contains(offset) == true }
    guard let outcome else {
      // The function is too long to say more.
      return unproved.keys.filter { !isOwn($0) }.min().map { .left(.notFollowed, branch: $0) }
        ?? (isSettled ? nil : .noCall(.passedOn))
    }
    if let branch = outcome.branches.first(where: { !isOwn($0) }) {
      return .left(
        code(at: branch, load.trampoline, unproved[branch], outcome.passed, all, &possible), branch: branch)
    }
    if outcome.reachesUnknownCode { return .left(proof.obstacle?.code ?? .undecodedFunction, branch: nil) }
    if isSettled { return nil }
    if load.isPush { return .noCall(.passedOn) }
    // A register that is stored may still hold the address at a call that does not look at it.
    if outcome.uses.contains(.stored) { return .noCall(.stored) }
    if outcome.uses.contains(.passedOn) { return .noCall(.passedOn) }
    return .noCall(outcome.uses.contains(.compared) ? .compared : .unused)
  }

  /// Why a call is not followed.
  private func code(
    at branch: Int, _ trampoline: Int, _ target: PossibleAddresses.Target?, _ passed: PossibleAddresses.Passage,
    _ loads: [Load], _ possible: inout PossibleAddresses
  ) -> Code {
    if target == .pushed { return .throughThunk }
    let sources = Set(loads.filter { $0.trampoline == trampoline }.map(\.source))
    if possible.mayDiffer(at: branch, sources, isInVector: passed.contains(.vector)) { return .notOnEveryPath }
    // Of a branch that is a site it is known that the address gets there.
    if ownLoads[branch] == nil, let obstacle = proof.obstacle { return obstacle.code }
    if passed.contains(.unknownInstruction) { return .unknownInstruction }
    return passed.contains(.stack) ? .keptOnStack : .notFollowed
  }

  private func reason(
    for branch: IndirectBranch, _ loads: [Load], _ possible: inout PossibleAddresses
  ) -> Code {
    let own = loads.filter { branch.callee.loads.contains(proof.code.instructions[$0.position].offset) }
    let outcome = possible.follow(Set(own.map(\.source)))
    return code(
      at: branch.position, branch.callee.trampoline, branch.register.map { .register($0) },
      outcome?.passed ?? [], loads, &possible)
  }

  /// The indirect branches that are not known to go to one place, or to those of a jump table.
  private func unprovedBranches(
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> [Int: PossibleAddresses.Target] {
    let (proof, code, holds) = (proof, proof.code, proof.obstacle == nil)
    let (architecture, index) = (proof.evaluator.architecture, proof.evaluator.locations.index)
    let certain = Set(sites.all.filter { $0.certainty != .maybe }.map(\.position))
    var unproved: [Int: PossibleAddresses.Target] = [:]
    try proof.propagation.forEach(code, object) { position, registers throws(ObjectFileError) in
      if holds, certain.contains(position) { return }
      let instruction = code.instructions[position]
      let target: PossibleAddresses.Target
      switch instruction.flow {
      case .call(.register(let register)), .jump(.register(let register)), .conditionalJump(.register(let register)):
        if proof.isThunk(at: position, object) { return }
        if holds, registers[register].leadsElsewhere(than: index) { return }
        target = .register(register)
      case .call(.memory), .jump(.memory), .conditionalJump(.memory):
        let value = try proof.evaluator.target(of: instruction, code, registers, object)
        if holds || code.relocation(in: instruction) != nil, value.leadsElsewhere(than: index) { return }
        target = .memory
      case .call(.direct), .jump(.direct), .conditionalJump(.direct):
        guard let thunk = proof.thunks[position] else { return }
        if let register = thunk {
          if holds, registers[register].leadsElsewhere(than: index) { return }
          target = .register(register)
        } else {
          let name = code.relocation(in: instruction).map { object.name(of: $0.relocation.symbol) }
          target = name.map(architecture.returnsToPushed) == true ? .pushed : .anywhere
        }
      case .stop:
        let start = code.blocks[code.block(of: position)].range.lowerBound
        guard architecture.isComputedReturn(code.instructions[start...position]) else { return }
        target = .pushed
      case .next, .trap: return
      }
      unproved[position] = target
    }
    return unproved
  }
}

extension FunctionProof {
  /// Whether a jump is that of a thunk which only branches lead to: these speak for it.
  fileprivate func isThunk(at position: Int, _ object: borrowing ObjectFile) -> Bool {
    guard position > 0, case .jump(.register) = code.instructions[position].flow else { return false }
    if endsUnusedThunk(position, object) { return true }
    let start = code.instructions[position - 1].offset
    let block = code.block(of: position)
    guard code.blocks[block].range.lowerBound == position - 1 else { return false }
    let isFallenInto = block > 0 && code.blocks[block - 1].successors.contains(block)
    let callers = code.instructions.indices.filter { code.target(of: code.instructions[$0]) == start }
    return !isFallenInto && !callers.isEmpty && callers.allSatisfy { thunks[$0] != nil }
  }
}

extension Value {
  /// Whether a branch to it certainly goes to something else than a trampoline.
  fileprivate func leadsElsewhere(than index: TrampolineIndex) -> Bool {
    switch self {
    // Another object may have the last word on where a trampoline is that others can see, but it may be there.
    case .location(.place(let place), _): index.trampoline(in: place.section, at: place.offset) == nil
    case .location(.external, _), .location(.globalOffsetTable, _), .jumpTarget: true
    default: false
    }
  }
}

extension PossibleAddresses.Outcome {
  /// Whether something may call what was followed.
  fileprivate var mayBeCall: Bool { !branches.isEmpty || reachesUnknownCode }
}
