import Disassembly
import ObjectFile

extension PossibleAddresses {
  /// Whether the register of a branch may hold something else by instructions that are known, and not only because something is not
  /// known. `sources` are all instructions that make the address; `isInVector` says whether a vector register may hold it.
  mutating func mayDiffer(at branch: Int, _ sources: Set<Source>, isInVector: Bool) -> Bool {
    guard case .register(let register)? = branches[branch] else { return false }
    let followsPointers = sources.contains(where: \.isPointer)
    let isSource = Dictionary(sources.map { ($0.position, $0) }) { first, _ in first }
    let unseen = Set(unseen)
    var entry = [RegisterSet](repeating: [], count: code.blocks.count)
    if !entry.isEmpty { entry[0] = .all }
    var work = Array(code.blocks.indices.reversed())
    var isWaiting = [Bool](repeating: true, count: entry.count)
    var found = false
    func flow(_ others: RegisterSet, into block: Int) {
      guard !unseen.contains(block), !entry[block].isSuperset(of: others) else { return }
      entry[block].formUnion(others)
      guard !isWaiting[block] else { return }
      isWaiting[block] = true
      work.append(block)
    }
    while let number = work.popLast(), !found {
      isWaiting[number] = false
      guard budget > 0 else { return false }
      budget -= code.blocks[number].range.count
      var others = entry[number]
      for position in code.blocks[number].range {
        if position == branch, others.contains(register) { found = true }
        let instruction = code.instructions[position]
        // The unwinder restores what a callee preserves; the rest is something else.
        if let landing = code.landings[position] {
          flow(others.union(RegisterSet.all.subtracting(architecture.calleeSaved)), into: landing)
        }
        if instruction.flow.kind == .call { others.formUnion(results(of: position)) }
        guard instruction.effects != .unknown else { continue }
        let accesses = memoryAccesses(at: position)
        let passesOn = accesses.isEmpty && !instruction.effects.reads.isEmpty
        // A copy is what its source is, a selection any of its operands.
        // What comes from a vector register, or from memory that the address leads to, may be the address itself.
        let mayBeSame =
          accesses.isEmpty
          ? instruction.mayMoveVector || isInVector && instruction.mayReadVector
          : followsPointers && !others.isSuperset(of: instruction.effects.reads)
        if mayBeSame { others.subtract(instruction.effects.writes) }
        let isOther =
          if mayBeSame { false } else if passesOn { !instruction.effects.reads.isDisjoint(with: others) } else {
            accesses.allSatisfy { !isOnStack($0, at: position) }
          }
        others.subtract(instruction.effects.overwrites.union(replaced(by: instruction, accesses)))
        if let source = isSource[position] {
          if !source.isSelection { others.subtract(instruction.effects.writes) }
        } else if isOther {
          others.formUnion(instruction.effects.writes)
        }
      }
      for successor in code.blocks[number].successors { flow(others, into: successor) }
    }
    return found
  }
}
