import Disassembly
import ObjectFile

/// Follows the trampolines' addresses that code brings into registers, function by function.
struct IndirectUses: ~Copyable {
  private let locations: Locations
  private let options: Options
  /// The sections with code that takes part.
  private let sections: Set<SectionIndex>
  /// Collected when first needed: most objects have only direct calls.
  private var entrances: Entrances?

  init(_ index: TrampolineIndex, _ sections: Set<SectionIndex>, _ options: Options, _ object: borrowing ObjectFile) {
    locations = Locations(architecture: architecture(of: object.machine), index: index)
    self.options = options
    self.sections = sections
  }

  /// Decides on the indirect branches of the function that takes `stretch`.
  mutating func rewriter(
    for stretch: DecodedStretch, role: SectionRole, _ code: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Rewriter {
    let entrances = try collectEntrances(&code, object)
    let all = try code.relocations(of: stretch.section, object)
    let first = all.partitionPoint { $0.offset >= stretch.range.lowerBound }
    let end = all.partitionPoint { $0.offset >= stretch.range.upperBound }
    let evaluator = Evaluator(
      architecture: locations.architecture, locations: locations,
      functionStarts: entrances.functionStarts)
    let proof = try FunctionProof(stretch, all[first..<end], entrances, evaluator, object)
    return try Rewriter(proof, entrances, role: role, options, object)
  }

  private mutating func collectEntrances(
    _ code: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Entrances {
    if let entrances { return entrances }
    let new = try Entrances(to: sections, in: object, &code, options)
    entrances = new
    return new
  }
}
