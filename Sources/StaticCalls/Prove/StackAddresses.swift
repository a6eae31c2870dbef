import Disassembly
import ObjectFile

extension FunctionProof {
  /// The registers that may hold an address on the stack, in front of each instruction; `entered` are blocks that control may
  /// enter from where it is not seen.
  func stackAddresses(entered: [Int], _ object: borrowing ObjectFile) -> [RegisterSet] {
    let architecture = evaluator.architecture
    let frame = RegisterSet(architecture.framePointer)
    return object.withContents(of: code.section) { bytes in
      var before = [RegisterSet](repeating: [], count: code.instructions.count)
      // Whether such an address is itself kept on the stack.
      var areKept = false
      while true {
        let wereKept = areKept
        var entry = [RegisterSet](repeating: [], count: code.blocks.count)
        var everywhere = frame
        var work = Array(code.blocks.indices.reversed())
        var isWaiting = [Bool](repeating: true, count: entry.count)
        func flow(_ registers: RegisterSet, into block: Int) {
          guard !entry[block].isSuperset(of: registers) else { return }
          entry[block].formUnion(registers)
          guard !isWaiting[block] else { return }
          isWaiting[block] = true
          work.append(block)
        }
        if !entry.isEmpty { entry[0] = frame }
        while let number = work.popLast() {
          isWaiting[number] = false
          var registers = entry[number]
          for position in code.blocks[number].range {
            before[position] = registers
            let instruction = code.instructions[position]
            let effects = instruction.effects
            if instruction.flow.kind == .call { registers.subtract(architecture.results) }
            if let formed = architecture.stackAddress(formedBy: instruction, in: bytes) {
              registers.insert(RegisterSet(formed.register))
              everywhere.formUnion(registers)
              continue
            }
            guard effects != .unknown else { continue }
            let isDerived = !effects.reads.isDisjoint(with: registers)
            let mayAccess = areKept || isDerived
            let accesses = mayAccess ? architecture.memoryAccesses(by: instruction, in: bytes) : []
            if accesses.contains(where: { !$0.stored.subtracting(frame).isDisjoint(with: registers) }) {
              areKept = true
            }
            let loaded = accesses.reduce(into: RegisterSet()) { loaded, access in
              let isOnStack = access.base == .stackPointer || access.isBased(on: registers)
              if areKept, access.isRead, isOnStack { loaded.formUnion(access.loaded) }
            }
            registers.subtract(effects.overwrites)
            if isDerived, accesses.isEmpty { registers.formUnion(effects.writes) }
            registers.formUnion(loaded)
            everywhere.formUnion(registers)
          }
          for successor in code.blocks[number].successors { flow(registers, into: successor) }
          for block in entered { flow(everywhere, into: block) }
        }
        if areKept == wereKept { return before }
      }
    }
  }
}

extension MemoryAccess {
  fileprivate func isBased(on registers: RegisterSet) -> Bool {
    if case .register(let register) = base { registers.contains(register) } else { false }
  }
}
