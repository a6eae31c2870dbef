import Disassembly
import ObjectFile

/// gcc's way to combine retpolines with `-fno-plt`: the trampoline's address is pushed, and a thunk returns to it.
///
///     jmp 1f                                push T@GOTPCREL(%rip)
///     2: push T@GOTPCREL(%rip)              jmp __x86_indirect_thunk
///     jmp __x86_indirect_thunk
///     1: call 2b
///
/// The call on the left becomes a call of T with nops in front of it; the tail call on the right a nop and a jump to T.
struct PushIdiom {
  /// Position of the instruction that pushes.
  let push: Int
  let isCall: Bool
  private let proof: FunctionProof

  private var code: FunctionCode { proof.code }

  /// Recognises the idiom around the instruction at `push`; `nil` where a part of it is missing, or where something else leads
  /// into it.
  init?(at push: Int, _ proof: FunctionProof, _ entrances: Entrances, _ object: borrowing ObjectFile) {
    let code = proof.code
    let jump = push + 1
    guard jump < code.instructions.count, code.instructions[jump].offset == code.instructions[push].end,
      code.instructions[jump].flow.kind == .tail, case .some(.none) = proof.thunks[jump],
      let thunk = code.relocation(in: code.instructions[jump]),
      object.name(of: thunk.relocation.symbol) == "__x86_indirect_thunk",
      let memory = code.instructions[push].memory, memory.size == 8, !memory.isSegmented,
      code.relocations(in: code.instructions[push]).count == 1,
      code.block(of: push) == code.block(of: jump)
    else { return nil }
    self.push = push
    self.proof = proof
    let start = code.instructions[push].offset
    let callers = code.instructions.indices.filter {
      code.instructions[$0].flow.kind == .call && code.target(of: code.instructions[$0]) == start
    }
    isCall = !callers.isEmpty
    guard isCall else { return }

    // Both branches around it, and nothing else, make the call.
    let call = jump + 1
    guard push > 0, callers == [call], code.instructions[call].flow.kind == .call,
      code.instructions[push - 1].flow.kind == .tail,
      code.target(of: code.instructions[push - 1]) == code.instructions[call].offset,
      code.instructions[push - 1].end == start, code.instructions[jump].end == code.instructions[call].offset
    else { return nil }
    let inside = (code.instructions[push - 1].offset + 1)..<code.instructions[call].offset
    let isJumpedTo = code.instructions.contains {
      $0.flow.kind != .call && (code.target(of: $0).map { inside.contains($0) } ?? false)
    }
    guard !isJumpedTo, !entrances.leadInside((inside.lowerBound - 1)..<inside.upperBound, of: code.section),
      proof.tableTargets.allSatisfy({ !inside.contains($0) })
    else { return nil }
  }

  /// The bytes that change.
  var range: Range<Int> {
    let (first, last) = isCall ? (push - 1, push + 2) : (push, push + 1)
    return code.instructions[first].offset..<code.instructions[last].end
  }

  /// The change that makes it a direct branch to `trampoline`.
  func rewrite(to trampoline: Int) -> Rewrite? {
    let architecture = proof.evaluator.architecture
    let last = code.instructions[isCall ? push + 2 : push + 1]
    let form = architecture.branchRelocation(isCall ? .call : .tail)
    guard let pushed = code.relocation(in: code.instructions[push]),
      let thunk = code.relocation(in: code.instructions[push + 1]), last.length == 5
    else { return nil }
    let aimed = BranchRelocation(
      offset: last.offset + form.field, type: form.type, addend: form.addend, trampoline: trampoline)
    // The call was resolved by the assembler; the jump has a relocation, and zero for a displacement.
    let opcode: UInt8 = isCall ? 0xe8 : 0xe9
    let bytes = architecture.nops(range.count - last.length) + [opcode, 0, 0, 0, 0]
    return Rewrite(
      edit: CodeEdit(
        section: code.section, patches: [CodePatch(offset: range.lowerBound, bytes: bytes)],
        relocations: [.remove(pushed), .aim(thunk, aimed)]),
      offset: SectionOffset(last.offset), length: last.length, route: .thunk)
  }
}
