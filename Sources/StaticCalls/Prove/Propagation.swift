import Disassembly
import ObjectFile

/// What the registers of a function hold, by forward propagation of addresses over its blocks.
///
/// A register holds a known address at a place only if every way there leaves that address in it. What comes from memory that a
/// program can change is unknown; a call leaves only what its callee must preserve (the machine's psABI); where control may come
/// from unseen, nothing is known.
struct Propagation {
  /// The registers at the start of each block; `nil` for a block that nothing leads to.
  private var entry: [Registers?]
  private let nothingKnown: Registers
  private let evaluator: Evaluator

  init(_ code: FunctionCode, _ evaluator: Evaluator, _ object: borrowing ObjectFile) throws(ObjectFileError) {
    self.evaluator = evaluator
    let nothingKnown = Registers(ValueTable())
    self.nothingKnown = nothingKnown
    entry = code.blocks.map { $0.isEntered ? nothingKnown : nil }
    var entry = entry
    var work = Array(code.blocks.indices.filter { code.blocks[$0].isEntered }.reversed())
    var isWaiting = code.blocks.map(\.isEntered)
    func flow(_ registers: Registers, into successor: Int) {
      if entry[successor] == nil {
        entry[successor] = registers
      } else if entry[successor]?.join(registers) != true {
        return
      }
      guard !isWaiting[successor] else { return }
      isWaiting[successor] = true
      work.append(successor)
    }
    while let number = work.popLast() {
      isWaiting[number] = false
      guard var registers = entry[number] else { continue }
      for position in code.blocks[number].range {
        guard let landing = code.landings[position] else {
          _ = try step(code, position, &registers, object)
          continue
        }
        let before = registers
        let made = try step(code, position, &registers, object)
        // A load of an address that only a call needs goes away with the call's becoming direct: it leads nowhere.
        if made?.belongsToCall != true, evaluator.mayThrow(code.instructions[position], code, object) {
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
    var kept = registers
    kept.forget(RegisterSet.all.subtracting(evaluator.architecture.calleeSaved))
    kept.update(\.afterAccess)
    return kept
  }

  /// Whether something leads to a block.
  func reaches(block: Int) -> Bool { entry[block] != nil }

  /// Whether code that does something is led to by nothing: there are ways into it that are not seen.
  func missesCode(of code: FunctionCode) -> Bool {
    code.blocks.indices.contains { entry[$0] == nil && code.doesAnything(inBlock: $0) }
  }

  /// Goes through the instructions in order, each with what is known of the registers in front of it. In code that nothing is
  /// seen to lead to, that is nothing.
  func forEach(
    _ code: FunctionCode, _ object: borrowing ObjectFile,
    _ body: (_ position: Int, _ registers: Registers) throws(ObjectFileError) -> Void
  ) throws(ObjectFileError) {
    for number in code.blocks.indices { try forEach(inBlock: number, code, object, body) }
  }

  /// The same for the instructions of one block.
  func forEach(
    inBlock number: Int, _ code: FunctionCode, _ object: borrowing ObjectFile,
    _ body: (_ position: Int, _ registers: Registers) throws(ObjectFileError) -> Void
  ) throws(ObjectFileError) {
    var registers = entry[number] ?? nothingKnown
    for position in code.blocks[number].range {
      try body(position, registers)
      _ = try step(code, position, &registers, object)
    }
  }

  /// Carries the registers over one instruction, and returns the value that it makes of known ones.
  private func step(
    _ code: FunctionCode, _ position: Int, _ registers: inout Registers, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value? {
    let instruction = code.instructions[position]
    let made = try evaluator.value(madeBy: position, code, registers, object)
    let isCall = instruction.flow.kind == .call
    if isCall || registers.holdKeyWord && evaluator.mayOutdateKey(position, code, registers, object) {
      registers.update(\.afterAccess)
    }
    if isCall {
      let kept = evaluator.isOwnSubroutine(instruction, code, object) ? [] : evaluator.architecture.calleeSaved
      registers.forget(RegisterSet.all.subtracting(kept))
    }
    registers.forget(instruction.effects.writes)
    if let made { registers[made.register] = made.value }
    return made?.value
  }
}

extension Registers {
  /// Whether a register holds the word of a key, which other accesses to memory make an old one.
  fileprivate var holdKeyWord: Bool { held.members.contains { self[$0].possibleCallee?.isKeyWord == true } }
}
