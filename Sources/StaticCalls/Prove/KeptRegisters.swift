import Disassembly
import ObjectFile

/// Which registers the functions of the object leave alone, of those that a callee need not preserve. A compiler that knows a function
/// may keep an address in such a register over a call of it (`-fipa-ra`); over any other call it does not.
struct KeptRegisters {
  private let architecture: any Architecture.Type
  /// What the functions that start at these places change of them.
  private var known: [Place: RegisterSet] = [:]

  /// No function is longer that a compiler keeps registers over.
  private static let mostInstructions = 1 << 12
  private static let mostCallers = 64

  init(_ architecture: any Architecture.Type) { self.architecture = architecture }

  private var volatile: RegisterSet { RegisterSet.all.subtracting(architecture.calleeSaved) }

  /// The registers that a call leaves alone, of those that a callee need not preserve. `relocation` is that of the call.
  mutating func kept(
    by call: Instruction, _ relocation: Relocation?, in section: SectionIndex, _ reader: inout CodeReader,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> RegisterSet {
    volatile.subtracting(try changed(by: call, relocation, in: section, depth: 0, &reader, object))
  }

  private mutating func changed(
    by call: Instruction, _ relocation: Relocation?, in section: SectionIndex, depth: Int,
    _ reader: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> RegisterSet {
    guard let target = call.flow.directTarget, depth < Self.mostCallers else { return volatile }
    guard let relocation else {
      return try changed(
        byFunctionAt: Place(section: section, offset: target), size: nil, depth, &reader, object)
    }
    let distance = architecture.targetOffset(of: relocation, instructionEnd: call.end)
    guard let place = Place(distance, from: relocation.symbol, object) else { return volatile }
    let symbol = object.symbol(relocation.symbol)
    let size = symbol.type == .function && distance == 0 && symbol.size > 0 ? Int(clamping: symbol.size) : nil
    return try changed(byFunctionAt: place, size: size, depth, &reader, object)
  }

  /// Without a size the function goes on to the next label, or else to its first return.
  private mutating func changed(
    byFunctionAt place: Place, size: Int?, _ depth: Int, _ reader: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> RegisterSet {
    if let changed = known[place] { return changed }
    // A function that calls itself changes what it changes elsewhere.
    known[place] = []
    let found = try changes(from: place, size, depth, &reader, object)
    known[place] = found
    return found
  }

  private mutating func changes(
    from place: Place, _ size: Int?, _ depth: Int, _ reader: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> RegisterSet {
    let volatile = volatile
    guard place.offset >= 0, place.offset < object[place.section].contentSize else { return volatile }
    let end =
      if let size { place.offset &+ size } else { try reader.end(ofCodeAt: place.offset, in: place.section, object) }
    var offset = place.offset
    var written: RegisterSet = []
    for _ in 0..<Self.mostInstructions {
      if let end, offset >= end { return written }
      guard let instruction = reader.instruction(at: offset, in: place.section, object) else { return written }
      // The author of an instruction that is not known here has told the compiler what it changes.
      if instruction.effects != .unknown { written.formUnion(instruction.effects.writes.intersection(volatile)) }
      switch instruction.flow {
      case .next, .trap, .conditionalJump(.direct): break
      case .call:
        let relocation = try reader.relocation(in: instruction, place.section, object)
        written.formUnion(
          try changed(by: instruction, relocation, in: place.section, depth: depth + 1, &reader, object))
      case .jump(.direct(let target)):
        let relocation = try reader.relocation(in: instruction, place.section, object)
        let isInside = relocation == nil && target >= place.offset && end.map { target < $0 } ?? true
        if isInside { break }
        written.formUnion(
          try changed(by: instruction, relocation, in: place.section, depth: depth + 1, &reader, object))
      case .stop where end == nil: return written
      case .stop: break
      case .jump, .conditionalJump: return volatile
      }
      if written.isSuperset(of: volatile) { return volatile }
      offset = instruction.end
    }
    return volatile
  }
}
