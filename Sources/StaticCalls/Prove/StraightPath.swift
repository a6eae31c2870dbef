import Disassembly

extension FunctionCode {
  /// An instruction on the way to another, and whether it is a conditional branch that was taken.
  struct Step {
    var instruction: Instruction
    var isTaken = false
  }

  /// The instructions that are certainly executed in front of an instruction, the last first: those of its block, and of the blocks
  /// before it as long as there is only one way.
  func path(to position: Int) -> [Step] {
    var number = block(of: position)
    var path = instructions[blocks[number].range.lowerBound..<position].reversed().map { Step(instruction: $0) }
    // More is not needed to find the comparison in front of a jump table.
    for _ in 0..<4 {
      let predecessors = blocks.indices.filter { blocks[$0].successors.contains(number) }
      let start = blocks[number].range.lowerBound
      guard !blocks[number].isEntered, predecessors.count == 1, predecessors[0] != number,
        !landings.values.contains(number), let last = blocks[predecessors[0]].range.last
      else { break }
      let isTaken = target(of: instructions[last]) == instructions[start].offset
      // A branch to the very next instruction says nothing.
      guard !isTaken || last + 1 != start else { break }
      path.append(Step(instruction: instructions[last], isTaken: isTaken))
      path += instructions[blocks[predecessors[0]].range.lowerBound..<last].reversed().map { Step(instruction: $0) }
      number = predecessors[0]
    }
    return path
  }
}
