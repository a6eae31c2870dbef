import Disassembly
import ObjectFile

extension FunctionProof {
  /// In instructions.
  private static var longestPrologue: Int { 16 }

  /// The registers that may hold an address on the stack, in front of each instruction; `entered` are blocks that control may
  /// enter from where it is not seen.
  func stackAddresses(_ slots: StackSlots, entered: [Int], _ object: borrowing ObjectFile) -> [RegisterSet] {
    let architecture = evaluator.architecture
    let frame = RegisterSet(architecture.framePointer)
    return object.withContents(of: code.section) { bytes in
      // A function that saves its caller's frame pointer has none of its own in it before it makes one; a part of a function may.
      let savesFrame = code.instructions.prefix(Self.longestPrologue).contains { instruction in
        architecture.memoryAccesses(by: instruction, in: bytes).contains {
          $0.base == .stackPointer && $0.stored.isSuperset(of: frame)
        }
      }
      var before = [RegisterSet](repeating: [], count: code.instructions.count)
      // Where such an address is itself kept on the stack.
      var kept = StackPlaces()
      while true {
        let keptBefore = kept
        var entry = [RegisterSet](repeating: [], count: code.blocks.count)
        var everywhere: RegisterSet = []
        var work = Array(code.blocks.indices.reversed())
        var isWaiting = [Bool](repeating: true, count: entry.count)
        func flow(_ registers: RegisterSet, into block: Int) {
          guard !entry[block].isSuperset(of: registers) else { return }
          entry[block].formUnion(registers)
          guard !isWaiting[block] else { return }
          isWaiting[block] = true
          work.append(block)
        }
        if !entry.isEmpty, !savesFrame { entry[0] = frame }
        while let number = work.popLast() {
          isWaiting[number] = false
          var registers = entry[number]
          for position in code.blocks[number].range {
            before[position] = registers
            let instruction = code.instructions[position]
            let effects = instruction.effects
            if instruction.flow.kind == .call { registers.subtract(architecture.results) }
            if let landing = code.landings[position] {
              flow(registers.intersection(architecture.calleeSaved), into: landing)
            }
            if let formed = architecture.stackAddress(formedBy: instruction, in: bytes) {
              registers.insert(RegisterSet(formed.register))
              everywhere.formUnion(registers)
              continue
            }
            guard effects != .unknown else { continue }
            let isDerived = !effects.reads.isDisjoint(with: registers)
            let mayAccess = !kept.isEmpty || isDerived
            let accesses = mayAccess ? architecture.memoryAccesses(by: instruction, in: bytes) : []
            var loaded: RegisterSet = []
            for access in accesses where access.base == .stackPointer || access.isBased(on: registers) {
              let slot = slots.slot(of: access, at: position)
              if !access.stored.subtracting(frame).isDisjoint(with: registers) { kept.insert(slot) }
              if access.isRead, kept.overlap(slot) { loaded.formUnion(access.loaded) }
            }
            registers.subtract(effects.overwrites)
            if isDerived, accesses.isEmpty { registers.formUnion(effects.writes) }
            registers.formUnion(loaded)
            everywhere.formUnion(registers)
          }
          for successor in code.blocks[number].successors { flow(registers, into: successor) }
          for block in entered { flow(everywhere, into: block) }
        }
        if kept == keptBefore { return before }
      }
    }
  }
}

extension MemoryAccess {
  fileprivate func isBased(on registers: RegisterSet) -> Bool {
    if case .register(let register) = base { registers.contains(register) } else { false }
  }
}
