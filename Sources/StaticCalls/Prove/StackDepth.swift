import Disassembly
import ObjectFile

/// How far the stack pointer is below its place at the function's start.
enum StackDepth {
  /// Whether a block gives back the whole of the function's frame in front of its last instruction, whatever way led to the block.
  static func isBehindEpilogue(_ position: Int, _ code: FunctionCode, _ object: borrowing ObjectFile) -> Bool {
    object.withContents(of: code.section) { contents in
      let block = code.block(of: position)
      var change = 0
      for instruction in code.instructions[code.blocks[block].range.lowerBound..<position] {
        guard let moved = self.change(by: instruction, contents, object) else { return false }
        // An epilogue takes nothing.
        if moved < 0 { return false }
        change += moved
      }
      return change > 0 && depths(of: code, contents, object)[block] == change
    }
  }

  /// Whether the stack pointer is certainly below its place at the function's start wherever control gets to some places.
  static func isBelowStart(at places: Set<Int>, _ code: FunctionCode, _ object: borrowing ObjectFile) -> Bool {
    object.withContents(of: code.section) { contents in
      let depths = depths(of: code, contents, object)
      return places.allSatisfy { place in
        guard let position = code.position(at: place) else { return false }
        let block = code.block(of: position)
        return code.blocks[block].range.lowerBound == position && depths[block].map { $0 > 0 } == true
      }
    }
  }

  private static func change(
    by instruction: Instruction, _ contents: Span<UInt8>, _ object: borrowing ObjectFile
  ) -> Int? {
    if instruction.effects == .unknown { return nil }
    switch architecture(of: object.machine).stackStep(of: instruction, in: contents) {
    case .moved(let bytes): return bytes
    case .unknown: return nil
    }
  }

  /// The depth at the start of each block, in bytes; `nil` where it is not known, or not the same on every way.
  private static func depths(
    of code: FunctionCode, _ contents: Span<UInt8>, _ object: borrowing ObjectFile
  ) -> [Int?] {
    var depths = [Int?](repeating: nil, count: code.blocks.count)
    var isKnown = [Bool](repeating: false, count: code.blocks.count)
    var work: [Int] = []
    func enter(_ block: Int, _ depth: Int?) {
      if isKnown[block], depths[block] == depth || depths[block] == nil { return }
      depths[block] = isKnown[block] ? nil : depth
      isKnown[block] = true
      work.append(block)
    }
    for (number, block) in code.blocks.enumerated() where block.isEntered || number == 0 {
      enter(number, number == 0 ? 0 : nil)
    }
    for landing in code.landings.values { enter(landing, nil) }
    while let number = work.popLast() {
      var depth = depths[number]
      for instruction in code.instructions[code.blocks[number].range] {
        let moved = change(by: instruction, contents, object)
        depth = depth.flatMap { depth in moved.map { depth - $0 } }
      }
      for successor in code.blocks[number].successors { enter(successor, depth) }
    }
    return depths
  }
}
