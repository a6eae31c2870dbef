import Disassembly
import ObjectFile

/// Finds the branches to thunks. What the symbols are that branches name is looked up once for each.
final class Thunks {
  private let architecture: any Architecture.Type
  /// For each symbol that was asked for: nothing if it is no thunk, else the register that it goes through, or `nil` if the name does not
  /// tell.
  private var known: [SymbolIndex: Register??] = [:]

  init(_ architecture: any Architecture.Type) { self.architecture = architecture }

  private func thunk(_ symbol: SymbolIndex, _ object: borrowing ObjectFile) -> Register?? {
    if let known = known[symbol] { return known }
    let name = object.name(of: symbol)
    let thunk: Register?? = architecture.isThunk(name) ? .some(architecture.thunkRegister(name)) : nil
    known[symbol] = .some(thunk)
    return thunk
  }

  /// The branches to thunks in a stretch of code, by position: the register that each goes through, or `nil` where the name does not tell.
  func thunks(
    in stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ object: borrowing ObjectFile
  ) -> [Int: Register?] {
    var thunks: [Int: Register?] = [:]
    for relocation in relocations {
      guard case .some(let register) = thunk(relocation.relocation.symbol, object) else { continue }
      let behind = stretch.instructions.partitionPoint { $0.offset > relocation.offset }
      guard behind > 0, stretch.instructions[behind - 1].flow.isDirectBranch else { continue }
      let branch = stretch.instructions[behind - 1]
      // Beside its start a thunk is something else.
      guard architecture.targetOffset(of: relocation.relocation, instructionEnd: branch.end) == 0 else { continue }
      thunks[behind - 1] = .some(register)
    }
    object.withContents(of: stretch.section) { contents in
      // Such code is as well what a tail call is made of, so a jump there is a jump inside of the function.
      for (position, instruction) in stretch.instructions.enumerated() where instruction.flow.kind == .call {
        guard let target = instruction.flow.directTarget, stretch.range.contains(target), thunks[position] == nil,
          let register = architecture.thunkRegister(at: target, in: contents)
        else { continue }
        let next = relocations.partitionPoint { $0.offset >= instruction.offset }
        if next < relocations.endIndex, relocations[next].offset < instruction.end { continue }
        thunks[position] = .some(register)
      }
    }
    return thunks
  }
}
