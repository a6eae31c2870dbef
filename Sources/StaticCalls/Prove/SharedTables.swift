import Disassembly
import ObjectFile

/// The jump tables of a function that somebody else may jump through: its own jumps do not tell then how control gets to the targets.
struct SharedTables {
  /// Where these tables lead in the function, as section offsets.
  private(set) var targets: Set<Int> = []

  init(
    _ tables: [(table: JumpTable, contents: TableContents)], _ code: FunctionCode, _ propagation: Propagation,
    _ evaluator: Evaluator, _ entrances: Entrances, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    if tables.isEmpty { return }
    var isShared = tables.map { table, contents in
      object[table.table.section].flags.contains(.execInstr)
        || entrances.isNamed(contents.range, of: table.table.section, butBy: code.range, in: code.section)
    }
    try propagation.forEach(code, object) { position, registers throws(ObjectFileError) in
      guard !registers.held.isEmpty else { return }
      let handedOn = try Self.handedOn(at: position, code, registers, evaluator, object)
      for register in registers.held.intersection(handedOn).members {
        guard let place = registers[register].placeOfTable else { continue }
        for number in tables.indices
        where tables[number].table.table.section == place.section
          && tables[number].contents.range.contains(place.offset)
        {
          isShared[number] = true
        }
      }
    }
    for number in tables.indices where isShared[number] { targets.formUnion(tables[number].contents.targets.places) }
  }

  /// The registers whose contents an instruction brings to where they are not followed.
  private static func handedOn(
    at position: Int, _ code: FunctionCode, _ registers: Registers, _ evaluator: Evaluator,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> RegisterSet {
    let instruction = code.instructions[position]
    if code.jumps[position] != nil { return [] }
    switch instruction.flow {
    case .call: return code.argumentsWritten(before: position, evaluator.architecture).union(instruction.effects.reads)
    case .jump, .conditionalJump:
      if code.target(of: instruction) != nil { return instruction.effects.reads }
      let relocation = code.relocations(inInstructionAt: position).first?.relocation
      // Another part of the function goes on with whatever is there.
      let isPart = instruction.flow.isDirectBranch && relocation.map { leadsToPart($0, object) } != false
      if isPart { return .all }
      return code.argumentsWritten(before: position, evaluator.architecture).union(instruction.effects.reads)
    case .stop, .trap: return []
    case .next:
      if instruction.operation == .compare { return [] }
      let made = try evaluator.value(madeBy: position, code, registers, object)
      return made?.value.placeOfTable == nil ? instruction.effects.reads : []
    }
  }
}

extension FunctionCode {
  /// The argument registers that the block of a call writes in front of it. What is in the others stands there from before, such as the
  /// base of a table that was jumped through.
  fileprivate func argumentsWritten(before position: Int, _ architecture: any Architecture.Type) -> RegisterSet {
    let start = blocks[block(of: position)].range.lowerBound
    let written = instructions[start..<position].reduce(into: RegisterSet()) { $0.formUnion($1.effects.writes) }
    return architecture.arguments.intersection(written)
  }
}

extension Value {
  /// Where the table begins, or may begin, that the value leads to or was loaded from.
  fileprivate var placeOfTable: Place? {
    switch self {
    case .location(.place(let place), _), .inside(let place), .element(let place, _, _): place
    case .jumpTarget(let table): table.table
    default: nil
    }
  }
}
