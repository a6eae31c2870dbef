import Disassembly
import ObjectFile

/// Decides, for the indirect branches of one function that may reach a trampoline, which become direct, and how.
struct Rewriter {
  let proof: FunctionProof
  /// The branches that may reach a trampoline, as far as values were followed; one for each site.
  let branches: IndirectBranches
  private let entrances: Entrances
  private let options: Options
  private let role: SectionRole
  /// What was decided, in the order of the code.
  private(set) var sites: [CallSite] = []
  /// Loads that are dead once the branches are direct, as edits that turn them into nops.
  private(set) var deadLoads: [CodeEdit] = []
  private var liveness: Liveness
  /// The section offsets of code that moves to make room.
  private var moved: [Range<Int>] = []

  private var code: FunctionCode { proof.code }
  private var architecture: any Architecture.Type { proof.evaluator.architecture }

  init(
    _ proof: FunctionProof, _ entrances: Entrances, role: SectionRole, _ options: Options,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    self.proof = proof
    self.entrances = entrances
    self.options = options
    self.role = role
    liveness = Liveness(proof)
    branches = try IndirectBranches(proof, object)
    decide(branches, object)
    removeDeadLoads(branches.addressLoads)
  }

  private var section: SectionIndex { code.section }

  private mutating func decide(_ branches: IndirectBranches, _ object: borrowing ObjectFile) {
    var outcomes: [(branch: IndirectBranch, outcome: Outcome)] = branches.all.map { branch in
      (branch, outcomeInPlace(branch, branches, object))
    }
    // What stays in its place is decided first: it reads no register any more, and loads may give room to others.
    for (branch, outcome) in outcomes {
      if case .rewritten = outcome { liveness.changes.directed.insert(branch.position) }
    }
    for position in outcomes.indices {
      guard case .needsRoom = outcomes[position].outcome else { continue }
      outcomes[position].outcome = closeGap(before: outcomes[position].branch, object)
    }
    sites = outcomes.map { site(of: $0.branch, $0.outcome) }
  }

  /// What becomes of a branch.
  private enum Outcome {
    case rewritten(Rewrite)
    /// A direct branch does not fit in its place.
    case needsRoom
    case left(Code)
  }

  private func site(of branch: IndirectBranch, _ outcome: Outcome) -> CallSite {
    let instruction = code.instructions[branch.position]
    let status: CallSite.Status =
      switch outcome {
      case .rewritten(let rewrite): .convertible(rewrite)
      case .needsRoom: .left(.noRoom)
      case .left(let code): .left(code)
      }
    return CallSite(
      section: section, offset: SectionOffset(instruction.offset), length: instruction.length,
      kind: instruction.flow.kind, shape: branch.shape, trampoline: branch.callee.trampoline, status: status,
      through: branch.through)
  }

  // MARK: In place

  private func outcomeInPlace(
    _ branch: IndirectBranch, _ branches: IndirectBranches, _ object: borrowing ObjectFile
  ) -> Outcome {
    let instruction = code.instructions[branch.position]
    if let table = tableBranch(branch, object) {
      switch table.status(entrances.named, role: role, options, architecture, object) {
      case .convertible(let rewrite): return .rewritten(rewrite)
      case .left(let reason): return .left(reason)
      case .direct, .leftOut, .noCall: return .left(.throughTable)
      }
    }
    let bytes = instruction.offset..<instruction.end
    if let reason = reasonToLeave(branch, branches, object) { return .left(reason) }
    if entrances.named.nameInstruction(in: bytes, of: section) { return .left(.namedInstruction) }
    if entrances.leadInside(bytes, of: section) { return .left(.entered) }
    return object.withContents(of: section) { contents in
      if case .thunk = branch.route { return retarget(branch, instruction, contents) }
      guard let direct = architecture.directForm(of: instruction, in: contents) else { return .needsRoom }
      let relocation = branchRelocation(of: branch, opcode: direct.opcode, instruction)
      let edit = CodeEdit(
        section: section, patches: [CodePatch(offset: instruction.offset, bytes: direct.bytes)],
        relocations: [relocationEdit(relocation, code.relocation(in: instruction), beside: branch)].compactMap { $0 })
      guard !edit.relocations.isEmpty else { return .left(.throughRegister) }
      return .rewritten(
        Rewrite(
          edit: edit, offset: SectionOffset(direct.opcode), length: instruction.end - direct.opcode - direct.padding,
          route: branch.route.summary(isKey: branch.callee.isKeyWord)))
    }
  }

  /// The branch as one whose own relocation is proof enough; `nil` for all others.
  private func tableBranch(_ branch: IndirectBranch, _ object: borrowing ObjectFile) -> TableBranch? {
    let instruction = code.instructions[branch.position]
    let relocations = code.relocations(inInstructionAt: branch.position)
    guard branch.callee.loads == [instruction.offset], !branch.callee.isKeyWord, relocations.count == 1,
      let relocation = relocations.first,
      object.withContents(of: section, { architecture.field(of: relocation.relocation, in: $0) })
        == .tableBranch(start: instruction.offset, length: instruction.length)
    else { return nil }
    return TableBranch(
      section: section, instruction: instruction, relocation: relocation, trampoline: branch.callee.trampoline)
  }

  /// Why a branch stays as it is, whatever room there is.
  private func reasonToLeave(
    _ branch: IndirectBranch, _ branches: IndirectBranches, _ object: borrowing ObjectFile
  ) -> Code? {
    if role == .leftOut || !options.rewritesCalls { return branch.route.codeWhenLeft }
    switch branch.certainty {
    case .certain: break
    case .maybe: return .notOnEveryPath
    case .fromTableBase: return .largePositionIndependent
    }
    // A branch with the address in its own operand needs no proof about other instructions.
    let instruction = code.instructions[branch.position]
    if let obstacle = proof.obstacle {
      let ownOperand = branch.callee.loads == [instruction.offset]
      let isInstruction = obstacle != .outOfStep || isCertain(instruction)
      guard ownOperand, isInstruction, obstacle != .alternatives else { return obstacle.code }
    }
    // The trampoline itself is such a branch, and so may be what it calls.
    if branch.callee.isKeyWord, proof.evaluator.locations.index.isDefined(branch.callee.trampoline) {
      return .ownTrampoline
    }
    if branch.callee.isKeyWord, !branches.testedLoads.isDisjoint(with: branch.callee.loads) { return .testedKey }
    if branch.callee.isStale { return .staleKey }
    if instruction.hasOperandSizePrefix { return .operandSizePrefix }
    if code.relocations(in: instruction).count > 1 { return .severalRelocations }
    if let register = branch.register, isChecked(register, before: branch.position, object) { return .checkedTarget }
    return nil
  }

  /// Whether a branch stands where it seems to, though others that were decoded lead into the middle of instructions.
  private func isCertain(_ branch: Instruction) -> Bool {
    guard let relocation = code.relocation(in: branch)?.relocation, architecture.isOnlyInBranches(relocation) else {
      return false
    }
    return !code.instructions.contains { other in
      code.target(of: other).map { $0 > branch.offset && $0 < branch.end } ?? false
    }
  }

  /// Whether the few instructions in front of a branch compare the word before the called function with a hash (kCFI).
  private func isChecked(_ register: Register, before position: Int, _ object: borrowing ObjectFile) -> Bool {
    let first = max(0, position - 8)
    let trap = (first..<position).last { code.instructions[$0].flow == .trap }
    guard let trap else { return false }
    return object.withContents(of: section) { contents in
      (first..<trap).contains { architecture.readsTypeHash(code.instructions[$0], of: register, in: contents) }
    }
  }

  private func retarget(_ branch: IndirectBranch, _ instruction: Instruction, _ contents: Span<UInt8>) -> Outcome {
    guard let bytes = architecture.patchableBytes(of: instruction, in: contents) else { return .left(.throughThunk) }
    let aimed = branchRelocation(of: branch, opcode: bytes.lowerBound, instruction)
    let old = code.relocation(in: instruction)
    guard let change = relocationEdit(aimed, old, beside: branch) else { return .left(.throughThunk) }
    var edit = CodeEdit(section: section, relocations: [change])
    if old == nil {
      // The assembler resolved it: a displacement of zero leaves it to the linker.
      guard let direct = architecture.directForm(of: instruction, in: contents) else { return .left(.throughThunk) }
      edit.patches = [CodePatch(offset: instruction.offset, bytes: direct.bytes)]
    }
    return .rewritten(
      Rewrite(
        edit: edit,
        offset: SectionOffset(bytes.lowerBound), length: bytes.count, route: .thunk))
  }

  private func branchRelocation(
    of branch: IndirectBranch, opcode: Int, _ instruction: Instruction
  ) -> BranchRelocation {
    let form = architecture.branchRelocation(instruction.flow.kind ?? .call)
    return BranchRelocation(
      offset: opcode + form.field, type: form.type, addend: form.addend, trampoline: branch.callee.trampoline)
  }

  /// The relocation of the new branch takes the place of the old one's, or stands beside that of the load.
  private func relocationEdit(
    _ new: BranchRelocation, _ old: CodeRelocation?, beside branch: IndirectBranch
  ) -> RelocationEdit? {
    if let old { return .aim(old, new) }
    let load = branch.callee.loads.first.flatMap { code.position(at: $0) }
    let neighbour = load.flatMap { code.relocation(in: code.instructions[$0]) } ?? code.relocations.first
    return neighbour.map { .add(new, beside: $0) }
  }

  // MARK: Pushed addresses

  /// What becomes of a trampoline's address that an instruction pushes for a thunk; `nil` where the push is no part of gcc's idiom.
  func pushedSite(at position: Int, shape: Shape, trampoline: Int, _ object: borrowing ObjectFile) -> CallSite? {
    let instruction = code.instructions[position]
    guard let idiom = PushIdiom(at: position, proof, entrances, object) else { return nil }
    var site = CallSite(
      section: section, offset: SectionOffset(instruction.offset), length: instruction.length, kind: .call,
      shape: shape,
      trampoline: trampoline, status: .left(.throughThunk), through: "pushed address")
    site.kind = idiom.isCall ? .call : .tail
    guard role != .leftOut, options.rewritesCalls else { return site }
    if let obstacle = proof.obstacle {
      site.status = .left(obstacle.code)
    } else if entrances.named.nameInstruction(in: idiom.range, of: section) {
      site.status = .left(.namedInstruction)
    } else if let rewrite = idiom.rewrite(to: trampoline) {
      site.status = .convertible(rewrite)
    }
    return site
  }

  // MARK: Making room

  private mutating func closeGap(before branch: IndirectBranch, _ object: borrowing ObjectFile) -> Outcome {
    if branch.register == nil { return .left(.noRoom) }
    let closing = GapClosing(branch, proof, entrances, liveness)
    switch closing.plan(object) {
    case .failure(let reason): return .left(reason.code)
    case .success(let rewrite):
      // Two gaps that reach into each other: one of them has to do without.
      let range = rewrite.edit.patches[0].range
      guard !moved.contains(where: { $0.overlaps(range) }) else { return .left(.noRoom) }
      moved.append(range)
      liveness.changes.directed.insert(branch.position)
      if let load = closing.load { liveness.changes.removed.insert(load) }
      return .rewritten(rewrite)
    }
  }

  // MARK: Dead loads

  /// Turns loads into nops that nobody needs any more. A load that nobody needed before either is the compiler's own affair.
  private mutating func removeDeadLoads(_ loads: [Int]) {
    guard !liveness.changes.directed.isEmpty, proof.obstacle == nil else { return }
    let before = Liveness(proof)
    var candidates = loads.filter { position in
      guard !liveness.changes.removed.contains(position), let register = code.instructions[position].destination else {
        return false
      }
      let bytes = code.instructions[position].offset..<code.instructions[position].end
      if moved.contains(where: { $0.overlaps(bytes) }) { return false }
      return before.isNeeded(register, behind: position)
        && !entrances.named.nameInstruction(in: bytes, of: section)
    }
    while true {
      let dead = candidates.filter { position in
        code.instructions[position].destination.map { !liveness.isNeeded($0, behind: position) } ?? false
      }
      guard !dead.isEmpty else { return }
      candidates.removeAll { dead.contains($0) }
      liveness.changes.removed.formUnion(dead)
      for position in dead { remove(position) }
    }
  }

  private mutating func remove(_ position: Int) {
    let instruction = code.instructions[position]
    deadLoads.append(
      CodeEdit(
        section: section,
        patches: [CodePatch(offset: instruction.offset, bytes: architecture.nops(instruction.length))],
        relocations: code.relocations(in: instruction).map { .remove($0) }))
  }
}

extension FunctionCode.Obstacle {
  /// The reason for people.
  var code: Code {
    switch self {
    case .undecoded: .undecodedFunction
    case .unboundedJump: .unboundedJump
    case .outOfStep: .entered
    case .alternatives: .namedInstruction
    case .unreadableTables: .unreadableTables
    }
  }
}
