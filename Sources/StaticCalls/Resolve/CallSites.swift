import Disassembly
import ObjectFile

/// One place where an object uses a trampoline.
struct CallSite: Sendable {
  var section: SectionIndex
  /// The branch's opcode; for a use without a branch, the instruction or the data that holds the address.
  var offset: SectionOffset
  /// How many bytes the site owns.
  var length: Int
  /// `nil` for a use that is no branch.
  var kind: CallKind?
  var shape: Shape
  /// Number of the trampoline in ``Survey/trampolines``.
  var trampoline: Int
  var status: Status
  /// What the branch goes through, for people: `direct`, `GOT`, `%rbx`, a thunk's name.
  var through: String
  /// Whether it counts as a reference in the ``Account``: not data, and not a branch whose address an instruction loads that counts
  /// itself.
  var isReference = true
  /// Whether a relocation of it leads to the trampoline.
  var isRelocated = true

  enum Status: Equatable, Sendable {
    /// A direct branch that belongs into the table.
    case direct
    /// A direct branch in a section whose sites stay out of the table.
    case leftOut
    /// An indirect branch that is going to be direct. Most sites are direct, and have no room for one.
    indirect case convertible(Rewrite)
    /// A branch that reaches the trampoline and is none that a runtime could patch, or an address that may be called; with the reason.
    case left(Code)
    /// A use of the address that is no call.
    case noCall(NonCall)
  }
}

extension CallSite {
  /// The site as it is once its branch is direct, or `nil` for one that has no place in the table.
  var inTable: CallSite? {
    switch status {
    case .direct: return self
    case .convertible(let rewrite):
      var site = self
      site.offset = rewrite.offset
      site.length = rewrite.length
      return site
    case .leftOut, .left, .noCall: return nil
    }
  }

  /// The section offset behind the site's bytes.
  var end: Int { offset.rawValue + length }

  var rewrite: Rewrite? {
    guard case .convertible(let rewrite) = status else { return nil }
    return rewrite
  }
}

extension Array {
  /// The elements in the order of their places, which they nearly always have already.
  func inOrder(of position: (Element) -> SitePosition) -> [Element] {
    let isInOrder = indices.dropFirst().allSatisfy { position(self[$0 - 1]) <= position(self[$0]) }
    return isInOrder ? self : sorted { position($0) < position($1) }
  }
}

/// Turns the references of an object into call sites, decoding no more than each reference needs.
struct CallSiteResolver: ~Copyable {
  let architecture: any Architecture.Type
  private let index: TrampolineIndex
  var code: CodeReader
  var sites: [CallSite] = []
  /// References that no site of their own stands for.
  var records = ReferenceRecords()
  /// Branches that addresses may get to, by the places of the sites that stand for the addresses.
  var reached: [SitePosition: SectionOffset] = [:]
  /// Addresses that are no trampoline's start: branches beside one.
  private(set) var findings: [Finding] = []
  /// Loads that are dead once the convertible branches are direct.
  var deadLoads: [CodeEdit] = []
  var indirect: IndirectUses
  private let options: Options
  /// Whether addresses are followed; else direct branches are all that is wanted.
  let followsAddresses: Bool
  /// The calls and jumps through the global offset table in one instruction that were decided on, as offsets in the section at hand.
  private(set) var tableBranches: Set<Int> = []
  /// Uses of addresses by something else than a direct branch, in the section at hand, by the start of their stretch of code.
  var uses: [Int: [Use]] = [:]

  /// Addresses that stand among the code of the section at hand, as offsets.
  var pool: Set<Int> = []

  /// Prepares to resolve references in `sections`.
  init(
    _ index: TrampolineIndex, _ references: References, in sections: Set<SectionIndex>, keepsAddressesInData: Bool,
    followsAddresses: Bool, _ options: Options, _ object: borrowing ObjectFile
  ) {
    self.options = options
    self.followsAddresses = followsAddresses
    sites.reserveCapacity(references.inCode.count)
    architecture = StaticCalls.architecture(of: object.machine)
    self.index = index
    code = CodeReader(architecture, sections: sections, ascending: references.ascending)
    indirect = IndirectUses(index, sections, keepsAddressesInData: keepsAddressesInData, options, object)
  }

  /// For more places of a section than this the labels of all its code are needed, in all likelihood.
  private static let fewPlaces = 1024

  /// Resolves the references in one section's code.
  mutating func resolve(
    _ references: ArraySlice<Reference>, in section: SectionIndex, role: SectionRole, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let first = sites.count
    // Nearly all branches are known by their own bytes. For the others, code is decoded from a label on.
    let doubtful = references.filter { reference in
      switch field(of: reference, object) {
      case .branch(_, _, _, .certain), .tableBranch: false
      case .branch: true
      case .unpatchableBranch, .other: followsAddresses
      }
    }
    if !doubtful.isEmpty, doubtful.count <= Self.fewPlaces {
      code.expectPlaces(doubtful.map(\.relocation.offset.rawValue), in: section, object)
    }
    tableBranches = []
    for reference in references { try resolve(reference, role, object) }
    try resolveUses(in: section, role: role, object)
    guard role == .leftOut else { return }
    for position in sites[first...].indices where sites[position].mayHaveEntry {
      sites[position].status = .leftOut
    }
  }

  /// Lists an address in data.
  mutating func resolveData(_ reference: Reference) {
    guard let trampoline = trampoline(reference, targetOffset: reference.relocation.addend) else { return }
    add(
      reference.section, reference.relocation.offset.rawValue, 8, nil, .d, trampoline, .noCall(.data),
      through: "data")
    sites[sites.count - 1].isReference = false
  }

  private func field(of reference: Reference, _ object: borrowing ObjectFile) -> RelocatedField {
    object.withContents(of: reference.section) { architecture.field(of: reference.relocation, in: $0) }
  }

  private mutating func resolve(
    _ reference: Reference, _ role: SectionRole, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let relocation = reference.relocation
    let section = reference.section
    switch field(of: reference, object) {
    case .branch(let start, let length, let kind, let certainty):
      try resolveBranch(reference, start..<(start + length), kind, certainty, object)
    case .tableBranch(let start, let length):
      guard followsAddresses else { return }
      guard let branch = try tableBranch(reference, start..<(start + length), object) else {
        return try resolveUse(reference, object)
      }
      tableBranches.insert(start)
      let status = branch.status(
        try indirect.namedPlaces(object), role: role, options, architecture, object)
      let kind = branch.instruction.flow.kind
      add(
        section, start, length, kind, kind == .call ? .x4 : .x5, branch.trampoline, status, through: "GOT")
    case .unpatchableBranch:
      let instruction = try code.instruction(around: relocation.offset.rawValue, in: section, object)
      let end = instruction?.end ?? relocation.offset.rawValue + 1
      guard
        let trampoline = trampoline(
          reference, targetOffset: architecture.targetOffset(of: relocation, instructionEnd: end))
      else { return records.pass(over: reference) }
      addUnpatchable(
        section, instruction?.offset ?? relocation.offset.rawValue, end, instruction?.flow.kind, trampoline)
    case .other: try resolveUse(reference, object)
    }
  }

  /// The call or jump through the reference's own entry of the global offset table; `nil` where it is not certain to be one.
  private mutating func tableBranch(
    _ reference: Reference, _ bytes: Range<Int>, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> TableBranch? {
    guard case .trampoline(let trampoline) = reference.target, !reference.isShared,
      directTarget(reference, branchEnd: bytes.upperBound) == trampoline,
      let instruction = code.instruction(at: bytes.lowerBound, in: reference.section, object),
      instruction.end == bytes.upperBound, instruction.flow == .call(.memory) || instruction.flow == .jump(.memory)
    else { return nil }
    let around = try code.relocations(of: reference.section, in: bytes, object)
    let first = around.partitionPoint { $0.offset >= bytes.lowerBound }
    guard first < around.count, around[first].relocation == reference.relocation,
      first + 1 == around.count || around[first + 1].offset >= bytes.upperBound
    else { return nil }
    return TableBranch(
      section: reference.section, instruction: instruction, relocation: around[first], trampoline: trampoline)
  }

  // MARK: Direct branches

  private mutating func resolveBranch(
    _ reference: Reference, _ bytes: Range<Int>, _ kind: CallKind, _ certainty: BranchCertainty,
    _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let section = reference.section
    if certainty != .certain {
      guard let around = try code.instruction(around: reference.relocation.offset.rawValue, in: section, object) else {
        return try resolveUse(reference, object)
      }
      if around.hasOperandSizePrefix {
        guard let trampoline = directTarget(reference, branchEnd: bytes.upperBound) else {
          return records.pass(over: reference)
        }
        add(
          section, around.offset, around.length, kind, .e, trampoline, .left(.operandSizePrefix),
          through: "66-prefixed branch")
        return
      }
      if certainty == .needsInstructionStart, around.end != bytes.upperBound || !around.flow.isDirectBranch {
        return try resolveUse(reference, object)
      }
    }
    // A branch's own relocation is proof of the call, not of the bytes: the decoder has the last word on those.
    guard let decoded = code.instruction(at: bytes.lowerBound, in: section, object), decoded.end == bytes.upperBound,
      decoded.flow.isDirectBranch
    else { return try resolveUse(reference, object) }
    guard let trampoline = directTarget(reference, branchEnd: bytes.upperBound) else {
      reportMiss(reference, bytes)
      return
    }
    if reference.isShared {
      add(
        section, bytes.lowerBound, bytes.count, kind, .e, trampoline, .left(.unpatchableBranch),
        through: "branch with several relocations")
      return
    }
    let isByAddress = if case .section = reference.target { true } else { false }
    add(
      section, bytes.lowerBound, bytes.count, kind, architecture.directShape(kind), trampoline,
      isByAddress ? statusByAddress(of: trampoline) : .direct, through: "direct")
  }

  /// What becomes of a direct branch that does not name the trampoline it reaches.
  private func statusByAddress(of trampoline: Int) -> CallSite.Status {
    index.hasSharedAddress(trampoline) ? .left(.sharedAddress) : .direct
  }

  private func directTarget(_ reference: Reference, branchEnd: Int) -> Int? {
    trampoline(
      reference, targetOffset: architecture.targetOffset(of: reference.relocation, instructionEnd: branchEnd))
  }

  /// A branch that names a trampoline's symbol and lands beside it is no call of it, whatever else it is.
  private mutating func reportMiss(_ reference: Reference, _ branch: Range<Int>) {
    guard case .trampoline(let number) = reference.target else { return records.pass(over: reference) }
    records.add(
      ReferenceRecords.Load(
        section: reference.section, bytes: branch, trampoline: number, status: .left(.besideTrampoline)))
    findings.append(
      Finding(
        .besideTrampoline, .warning, section: reference.section, offset: SectionOffset(branch.lowerBound),
        "branch to an address beside \(index.trampolines[number].displayName)'s trampoline is no call of it"))
  }

  /// The trampoline at a distance from what the relocation names.
  func trampoline(_ reference: Reference, targetOffset: Int64) -> Int? {
    switch reference.target {
    case .trampoline(let number), .key(let number): targetOffset == 0 ? number : nil
    case .section(let section): index.trampoline(in: section, at: Int(targetOffset))
    }
  }

  /// The trampoline that a reference most likely means, where the instruction around it is not known and with it not how far
  /// the addend is off.
  func trampolineMeant(_ reference: Reference) -> Int? {
    switch reference.target {
    case .trampoline(let number), .key(let number): number
    case .section:
      trampoline(reference, targetOffset: reference.relocation.addend)
        ?? trampoline(reference, targetOffset: reference.relocation.addend &+ 4)
    }
  }

  private mutating func addUnpatchable(
    _ section: SectionIndex, _ start: Int, _ end: Int, _ kind: CallKind?, _ trampoline: Int
  ) {
    add(section, start, end - start, kind ?? .tail, .e, trampoline, .left(.unpatchableBranch), through: "short branch")
  }

  // MARK: Branches without relocation

  /// Finds the branches that the assembler resolved itself, because the trampoline stands in the same section.
  mutating func resolveUnrelocated(
    in section: SectionIndex, role: SectionRole, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let index = index
    let branches = try code.unrelocatedBranches(
      in: section, to: { index.trampoline(in: section, at: $0) != nil }, object)
    for branch in branches.found {
      guard let trampoline = index.trampoline(in: section, at: branch.target) else { continue }
      let instruction = branch.instruction
      let bytes = object.withContents(of: section) { architecture.patchableBytes(of: instruction, in: $0) }
      if instruction.hasOperandSizePrefix {
        add(
          section, instruction.offset, instruction.length, instruction.flow.kind, .e, trampoline,
          .left(.operandSizePrefix), through: "66-prefixed branch")
      } else if let bytes, let kind = instruction.flow.kind {
        add(
          section, bytes.lowerBound, bytes.count, kind, .n, trampoline,
          role == .leftOut ? .leftOut : statusByAddress(of: trampoline), through: "direct")
      } else {
        addUnpatchable(section, instruction.offset, instruction.end, instruction.flow.kind, trampoline)
      }
      markUnrelocated()
    }
    for offset in branches.undecoded {
      findings.append(
        Finding(
          .undecoded, .warning, section: section, offset: SectionOffset(offset),
          "code cannot be decoded from here to the next label; a call without relocation would be missed"))
    }
  }

  mutating func add(
    _ section: SectionIndex, _ offset: Int, _ length: Int, _ kind: CallKind?, _ shape: Shape, _ trampoline: Int,
    _ status: CallSite.Status, through: String
  ) {
    sites.append(
      CallSite(
        section: section, offset: SectionOffset(offset), length: length, kind: kind, shape: shape,
        trampoline: trampoline, status: status, through: through))
  }

  /// Marks the last site as one whose branch the assembler resolved.
  private mutating func markUnrelocated() { sites[sites.count - 1].isRelocated = false }
}

extension ControlFlow {
  /// The section offset that a direct branch leads to.
  var directTarget: Int? {
    switch self {
    case .call(.direct(let target)), .jump(.direct(let target)), .conditionalJump(.direct(let target)): target
    default: nil
    }
  }

  var isDirectBranch: Bool { directTarget != nil }

  var kind: CallKind? {
    switch self {
    case .call: .call
    case .jump: .tail
    case .conditionalJump: .conditionalTail
    case .next, .trap, .stop: nil
    }
  }
}
