import Disassembly
import ObjectFile

/// The addresses of a function's own section that its instructions make. With such an address, and a sum, control can get anywhere
/// near it: by a jump, or by a return address that was changed.
struct OwnAddresses {
  /// Section offsets, those of other functions' starts and of data not among them.
  private var places: Set<Int> = []
  /// Whether the function calls into itself, which makes return addresses.
  private var callsInside = false

  init(
    _ stretch: DecodedStretch, _ relocations: ArraySlice<CodeRelocation>, _ evaluator: Evaluator,
    _ object: borrowing ObjectFile
  ) {
    let (section, range, architecture) = (stretch.section, stretch.range, evaluator.architecture)
    var places: Set<Int> = []
    func isRelocated(_ instruction: Instruction) -> Bool {
      let next = relocations.partitionPoint { $0.offset >= instruction.offset }
      return next < relocations.endIndex && relocations[next].offset < instruction.end
    }
    object.withContents(of: section) { code in
      for instruction in stretch.instructions where !isRelocated(instruction) {
        if let place = architecture.placeFormed(by: instruction, in: code) { places.insert(place) }
      }
      for relocation in relocations where architecture.field(of: relocation.relocation, in: code) == .other {
        let end = relocation.offset + architecture.fieldSize(of: relocation.relocation)
        let distance = architecture.targetOffset(of: relocation.relocation, instructionEnd: end)
        let place = Place(distance, from: relocation.relocation.symbol, object)
        if let place, place.section == section { places.insert(place.offset) }
      }
    }
    self.places = places.filter { offset in
      // Another function's address is what a callback needs.
      let isOtherFunction =
        !range.contains(offset) && evaluator.functionStarts.contains(Place(section: section, offset: offset))
      return !isOtherFunction && !stretch.isData(offset)
    }
    callsInside = stretch.instructions.contains { instruction in
      guard instruction.flow.kind == .call, let target = instruction.flow.directTarget, range.contains(target),
        target != range.lowerBound, !evaluator.thunkCalls.contains(instruction.offset)
      else { return false }
      return !isRelocated(instruction)
    }
  }

  /// Those that lie strictly inside of the function.
  func places(inside range: Range<Int>) -> Set<Int> {
    places.filter { range.contains($0) && $0 != range.lowerBound }
  }

  var isEmpty: Bool { places.isEmpty && !callsInside }

  /// Whether an address lies inside of the function that is not one of `bases`.
  func leadInside(_ range: Range<Int>, butTo bases: Set<Int>) -> Bool {
    callsInside || places.contains { range.contains($0) && $0 != range.lowerBound && !bases.contains($0) }
  }
}
