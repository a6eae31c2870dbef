import Disassembly
import ObjectFile

/// What the registers of a function hold, by forward propagation of addresses over its blocks.
///
/// A register holds a known address at a place only if every way there leaves that address in it. What comes from memory that a
/// program can change is unknown; a call leaves only what its callee must preserve (the machine's psABI); where control may come
/// from unseen, nothing is known.
struct Propagation {
  /// Values by register number, at the start of each block; `nil` for a block that nothing leads to.
  private(set) var entry: [Registers?]
  private let evaluator: Evaluator

  typealias Registers = [Value]

  static let nothingKnown = Registers(repeating: .unknown, count: 32)

  init(_ code: FunctionCode, _ evaluator: Evaluator, _ object: borrowing ObjectFile) throws(ObjectFileError) {
    self.evaluator = evaluator
    entry = code.blocks.map { $0.isEntered ? Self.nothingKnown : nil }
    var work = Array(code.blocks.indices.filter { code.blocks[$0].isEntered }.reversed())
    var isWaiting = code.blocks.map(\.isEntered)
    var entry = entry
    func flow(_ registers: Registers, into successor: Int) {
      let joined = entry[successor].map { zip($0, registers).map { $0.joined(with: $1) } } ?? registers
      guard joined != entry[successor] else { return }
      entry[successor] = joined
      guard !isWaiting[successor] else { return }
      isWaiting[successor] = true
      work.append(successor)
    }
    while let number = work.popLast() {
      isWaiting[number] = false
      guard var registers = entry[number] else { continue }
      for position in code.blocks[number].range {
        let before = registers
        let made = try step(code, position, &registers, object)
        // A load of an address that only a call needs goes away with the call's becoming direct: it leads nowhere.
        if let landing = code.landings[position], made?.belongsToCall != true,
          evaluator.mayThrow(code.instructions[position], code, object)
        {
          flow(keptByUnwinding(before), into: landing)
          flow(keptByUnwinding(registers), into: landing)
        }
      }
      for successor in code.blocks[number].successors { flow(registers, into: successor) }
    }
    self.entry = entry
  }

  /// What is still known at a landing pad: the unwinder restores the registers that a function preserves, and nothing else.
  private func keptByUnwinding(_ registers: Registers) -> Registers {
    registers.enumerated().map { number, value in
      evaluator.architecture.calleeSaved.contains(Register(number)) ? value.afterWrite : .unknown
    }
  }

  /// Whether code that does something is led to by nothing: there are ways into it that are not seen.
  func missesCode(of code: FunctionCode) -> Bool {
    zip(code.blocks, entry).contains { block, registers in
      registers == nil
        && code.instructions[block.range].contains {
          $0.flow != .next && $0.flow != .trap || $0.effects != RegisterEffects(reads: [], writes: [])
        }
    }
  }

  /// Goes through the instructions in order, each with what is known of the registers in front of it. In code that nothing is
  /// seen to lead to, that is nothing.
  func forEach(
    _ code: FunctionCode, _ object: borrowing ObjectFile,
    _ body: (_ position: Int, _ registers: Registers) throws(ObjectFileError) -> Void
  ) throws(ObjectFileError) {
    for (number, block) in code.blocks.enumerated() {
      var registers = entry[number] ?? Self.nothingKnown
      for position in block.range {
        try body(position, registers)
        _ = try step(code, position, &registers, object)
      }
    }
  }

  /// Carries the registers over one instruction, and returns the value that it makes of known ones.
  private func step(
    _ code: FunctionCode, _ position: Int, _ registers: inout Registers, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value? {
    let instruction = code.instructions[position]
    let before = registers
    let made = try evaluator.value(madeBy: instruction, code, registers, object)
    if instruction.flow.kind == .call {
      let kept = evaluator.isOwnSubroutine(instruction, code, object) ? [] : evaluator.architecture.calleeSaved
      for number in registers.indices where !kept.contains(Register(number)) { registers[number] = .unknown }
    }
    if instruction.flow.kind == .call || evaluator.mayWriteKey(instruction, code, before, object) {
      for number in registers.indices { registers[number] = registers[number].afterWrite }
    }
    for number in registers.indices where instruction.effects.writes.contains(Register(number)) {
      registers[number] = .unknown
    }
    if let made { registers[made.register.number] = made.value }
    return made?.value
  }
}
