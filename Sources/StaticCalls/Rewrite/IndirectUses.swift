import Disassembly
import ObjectFile

/// Follows the trampolines' addresses that code brings into registers, function by function.
struct IndirectUses: ~Copyable {
  private let locations: Locations
  private let options: Options
  /// The sections with code that takes part.
  private let sections: Set<SectionIndex>
  /// Whether a program can load a trampoline's address from data.
  private let keepsAddressesInData: Bool
  /// Collected when first needed: most objects have only direct calls.
  private var named: NamedPlaces?
  private var entrances: Entrances?
  private var kept: KeptRegisters

  /// What is known of the trampolines' addresses in a function.
  enum Finding {
    /// No branch of the function is given one; what becomes of each, by the position of the instruction that makes it.
    case handedOn([Int: NonCall])
    case followed(Rewriter)
  }

  init(
    _ index: TrampolineIndex, _ sections: Set<SectionIndex>, keepsAddressesInData: Bool, _ options: Options,
    _ object: borrowing ObjectFile
  ) {
    self.keepsAddressesInData = keepsAddressesInData
    locations = Locations(architecture(of: object.machine), index)
    kept = KeptRegisters(locations.architecture)
    self.options = options
    self.sections = sections
  }

  /// Decides on the indirect branches of the function that takes `stretch`. `readsPool` says that it may load addresses which no relocation of
  /// its own names.
  mutating func examine(
    _ stretch: DecodedStretch, role: SectionRole, readsPool: Bool, _ code: inout CodeReader,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Finding {
    let all = try code.relocations(of: stretch.section, in: stretch.range, object)
    let first = all.partitionPoint { $0.offset >= stretch.range.lowerBound }
    let end = all.partitionPoint { $0.offset >= stretch.range.upperBound }
    // The entrances take decoding all code there is, many times what the rest takes.
    if !keepsAddressesInData, !readsPool, entrances == nil,
      let uses = try CarriedAddresses(in: stretch, all[first..<end], locations, &kept, &code, object).uses
    {
      return .handedOn(uses)
    }
    let entrances = try collectEntrances(&code, object)
    let evaluator = Evaluator(
      architecture: locations.architecture, locations: locations,
      functionStarts: entrances.named.functionStarts)
    let proof = try FunctionProof(stretch, all[first..<end], entrances, evaluator, object)
    return .followed(try Rewriter(proof, entrances, role: role, options, object))
  }

  /// Says what may become of addresses in a function that was examined.
  mutating func follow(
    _ loads: [FollowedAddresses.Load], _ rewriter: Rewriter, _ code: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> FollowedAddresses {
    try FollowedAddresses(loads, rewriter, &kept, &code, object)
  }

  private mutating func collectEntrances(
    _ code: inout CodeReader, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Entrances {
    if let entrances { return entrances }
    let new = try Entrances(to: sections, namedPlaces(object), in: object, &code)
    entrances = new
    return new
  }

  /// What symbols and data name in the code.
  mutating func namedPlaces(_ object: borrowing ObjectFile) throws(ObjectFileError) -> NamedPlaces {
    if let named { return named }
    let new = try NamedPlaces(in: sections, of: object, options)
    named = new
    return new
  }
}
