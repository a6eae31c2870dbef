import Disassembly
import ObjectFile

/// Makes room for a direct call where an indirect one is too short: the instruction that loads the register gives its bytes.
///
///     load (5 to 10 bytes)   middle   call *reg (2 or 3 bytes)
///     middle   nop   call (5 bytes)
///
/// Both take the same bytes, and the return address stays. The middle moves down by the length of the load.
struct GapClosing {
  private let branch: IndirectBranch
  private let proof: FunctionProof
  private let entrances: Entrances
  private let liveness: Liveness

  /// Why the gap cannot be closed.
  struct Reason: Error {
    var code: Code

    init(_ code: Code) { self.code = code }
  }

  private var code: FunctionCode { proof.code }
  private var architecture: any Architecture.Type { proof.evaluator.architecture }

  init(_ branch: IndirectBranch, _ proof: FunctionProof, _ entrances: Entrances, _ liveness: Liveness) {
    self.branch = branch
    self.proof = proof
    self.entrances = entrances
    self.liveness = liveness
  }

  /// The position of the one instruction that loads the register.
  var load: Int? {
    // A branch through memory at a register completes the address itself.
    let loads = branch.callee.loads.filter { $0 != code.instructions[branch.position].offset }
    guard loads.count == 1, let register = branch.register else { return nil }
    return code.position(at: loads[0]).flatMap {
      code.instructions[$0].destination == register ? $0 : nil
    }
  }

  /// The change, or why there is none.
  func plan(_ object: borrowing ObjectFile) -> Result<Rewrite, Reason> {
    guard let register = branch.register, let load, load < branch.position,
      code.block(of: load) == code.block(of: branch.position)
    else { return .failure(Reason(.noRoom)) }
    let call = code.instructions[branch.position]
    let range = code.instructions[load].offset..<call.end
    if !isUnused(register, load) { return .failure(Reason(.registerInUse)) }
    if entrances.named.nameInstruction(in: range, of: code.section) { return .failure(Reason(.namedInstruction)) }
    if entrances.leadInside(range, of: code.section) { return .failure(Reason(.entered)) }
    if entrances.unwinding.changesInside(range, of: code.section, butAt: call.offset) {
      return .failure(Reason(.unwindInfo))
    }
    return object.withContents(of: code.section) { contents in
      guard let middle = movedMiddle(load, contents),
        let direct = architecture.directForm(of: call, in: contents, room: range.count - middle.count)
      else { return .failure(Reason(.noRoom)) }
      return .success(rewrite(load, range, middle, direct))
    }
  }

  /// Whether nothing but the call looks at the register between the load and its next value.
  private func isUnused(_ register: Register, _ load: Int) -> Bool {
    for instruction in code.instructions[(load + 1)..<branch.position] {
      let effects = instruction.effects
      guard instruction.flow == .next, !effects.reads.contains(register), !effects.writes.contains(register) else {
        return false
      }
    }
    if architecture.arguments.contains(register) { return false }
    if code.instructions[branch.position].flow.kind != .call { return !architecture.calleeSaved.contains(register) }
    // A handler of the call's own exception finds what the call preserves.
    if proof.hasLandingPads, architecture.calleeSaved.contains(register) { return false }
    // Where the call leaves its result, other uses are uses of the result; but who goes on to branch there may mean the address.
    let isResult = architecture.results.contains(register)
    var after = liveness
    after.changes.directed.insert(branch.position)
    return !after.isNeeded(register, behind: load, countsBranchesOnly: isResult)
  }

  /// The bytes between the load and the call, as they are when they stand in the load's place.
  private func movedMiddle(_ load: Int, _ contents: Span<UInt8>) -> [UInt8]? {
    let distance = code.instructions[load].length
    var bytes: [UInt8] = []
    for instruction in code.instructions[(load + 1)..<branch.position] {
      let relocations = code.relocations(in: instruction)
      guard let moved = architecture.moved(instruction, down: distance, relocations, in: contents) else { return nil }
      bytes += moved
    }
    return bytes
  }

  private func rewrite(_ load: Int, _ range: Range<Int>, _ middle: [UInt8], _ direct: DirectForm) -> Rewrite {
    let call = code.instructions[branch.position]
    let form = architecture.branchRelocation(call.flow.kind ?? .call)
    let aimed = BranchRelocation(
      offset: direct.opcode + form.field, type: form.type, addend: form.addend, trampoline: branch.callee.trampoline)
    let distance = code.instructions[load].length
    var relocations: [RelocationEdit] = []
    for (number, relocation) in code.relocations(in: code.instructions[load]).enumerated() {
      relocations.append(number == 0 ? .aim(relocation, aimed) : .remove(relocation))
    }
    for instruction in code.instructions[(load + 1)..<branch.position] {
      relocations += code.relocations(in: instruction).map { .move($0, by: -distance) }
    }
    let edit = CodeEdit(
      section: code.section, patches: [CodePatch(offset: range.lowerBound, bytes: middle + direct.bytes)],
      relocations: relocations)
    return Rewrite(
      edit: edit, offset: SectionOffset(direct.opcode), length: range.upperBound - direct.opcode - direct.padding,
      route: branch.callee.isKeyWord ? .key : .register)
  }
}
