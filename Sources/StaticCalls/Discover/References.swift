import ObjectFile

/// What a relocation refers to.
enum ReferenceTarget: Sendable {
  /// A trampoline symbol, by its number.
  case trampoline(Int)
  /// A trampoline's key, where calls through keys are followed.
  case key(Int)
  /// A section that holds trampolines; the addend tells whether one of them is meant.
  case section(SectionIndex)
}

/// A relocation in code, or in data, that may lead to a trampoline.
struct Reference: Sendable {
  var section: SectionIndex
  var relocation: Relocation
  var target: ReferenceTarget
  /// Whether a relocation that does not lead to a trampoline changes the same field.
  var isShared = false
}

/// How the code of a section takes part.
enum SectionRole {
  case included
  /// Its sites are listed and stay out of the table.
  case leftOut
  case ignored

  /// Sections that the kernel discards, or copies over other code, are no place for a site. objtool up to Linux 6.14 leaves out
  /// `.altinstr_replacement` (tools/objtool/check.c, annotate_call_site); the `.discard` sections never reach the image.
  init(_ section: SectionIndex, _ object: borrowing ObjectFile, _ options: Options) {
    let flags = object[section].flags
    if !flags.contains(.alloc) || flags.contains(.exclude) || object.name(of: section, hasPrefix: Self.discarded)
      || object.name(of: section, is: Self.auxiliary)
    {
      self = .ignored
    } else if object.name(of: section, is: Self.replacements) {
      self = options.includesAlternatives ? .included : .leftOut
    } else {
      self = .included
    }
  }

  private static let discarded = Array(".discard.".utf8)
  private static let auxiliary = Array(".altinstr_aux".utf8)
  private static let replacements = Array(".altinstr_replacement".utf8)
}

/// All references of an object to its trampolines, found by a scan of the relocations.
struct References {
  /// References in code, by section index, then offset.
  private(set) var inCode: [Reference] = []
  /// References in data that a program can load and call through, by section index, then offset.
  private(set) var inData: [Reference] = []
  /// The sections that hold code, in index order, without the ignored ones.
  private(set) var code: [(section: SectionIndex, role: SectionRole)] = []
  /// Those of them that have references.
  private(set) var referring: Set<SectionIndex> = []
  /// The tables of relocations of code in which each relocation lies behind the one before it.
  private(set) var ascending: Set<SectionIndex> = []

  init(
    to index: TrampolineIndex, in object: borrowing ObjectFile, _ options: Options
  ) throws(ObjectFileError) {
    var isCode = [Bool](repeating: false, count: object.sections.count)
    for section in object.sections where section.flags.contains(.execInstr) {
      let role = SectionRole(section.index, object, options)
      guard role != .ignored else { continue }
      code.append((section.index, role))
      isCode[section.index.rawValue] = true
    }
    for table in object.sections where table.type == .rela && table.size != 0 {
      let target = object[SectionIndex(Int(table.info))]
      if isCode[target.index.rawValue] {
        let count = inCode.count
        if try Self.scan(table.index, of: target.index, index, object, into: &inCode) { ascending.insert(table.index) }
        if inCode.count > count { referring.insert(target.index) }
      } else if isLoadableData(target, object) {
        _ = try Self.scan(table.index, of: target.index, index, object, into: &inData)
      }
    }
    inCode.sortByPlace()
    inData.sortByPlace()
    for section in referring { try markShared(in: section, index, object) }
  }

  /// Returns whether the relocations are in order.
  private static func scan(
    _ table: SectionIndex, of section: SectionIndex, _ index: TrampolineIndex, _ object: borrowing ObjectFile,
    into references: inout [Reference]
  ) throws(ObjectFileError) -> Bool {
    var found: [Reference] = []
    // There are not more places than bytes.
    let limit = 2 * object[section].contentSize + 65536
    let isCode = object[section].flags.contains(.execInstr)
    let isAscending = try object.forEachRelocation(in: table, naming: index.isTarget) { relocation in
      guard let target = index.target(of: relocation.symbol), relocation.type != .none else { return }
      // A key in data is no use of the trampoline.
      if case .key = target, !isCode { return }
      let reference = Reference(section: section, relocation: relocation, target: target)
      if found.count == limit { found.sortByPlace() }
      if !reference.isSurplus(in: found, at: found.count) { found.append(reference) }
    }
    if !isAscending { found.sortByPlace() }
    if references.isEmpty { references = found } else { references += found }
    return isAscending
  }

  /// Marks those references in the code of a section whose field is changed by a relocation that is none of them.
  private mutating func markShared(
    in section: SectionIndex, _ index: TrampolineIndex, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let tables = object.relocationSections(of: section)
    // Compilers write one table for a section, in ascending order, with one relocation for each place.
    if tables.count == 1, ascending.contains(tables[0]) { return }
    let range = inCode.partitionPoint { $0.section >= section }..<inCode.partitionPoint { $0.section > section }
    for table in tables {
      try object.withRelocations(in: table) { Self.markShared(&inCode[range], index, among: $0) }
    }
  }

  /// Marks those references, which are in order, whose field is changed by one of the relocations.
  private static func markShared(
    _ references: inout ArraySlice<Reference>, _ index: TrampolineIndex, among relocations: Span<Relocation>
  ) {
    for position in relocations.indices {
      let relocation = relocations[position]
      guard relocation.type != .none, index.target(of: relocation.symbol) == nil else { continue }
      var next = references.partitionPoint { $0.relocation.offset >= relocation.offset }
      while next < references.endIndex, references[next].relocation.offset == relocation.offset,
        !references[next].isShared
      {
        references[next].isShared = true
        next += 1
      }
    }
  }
}

extension Reference {
  /// Whether the two references in front of a position are of the same place as this one. A place holds one address: a second one is a
  /// fault that has to be reported, and a millionth says nothing new.
  fileprivate func isSurplus(in references: [Reference], at position: Int) -> Bool {
    position >= 2 && hasPlace(of: references[position - 1]) && hasPlace(of: references[position - 2])
  }

  private func hasPlace(of other: Reference) -> Bool {
    other.section == section && other.relocation.offset == relocation.offset
  }
}

extension [Reference] {
  /// Puts references in order of section, then offset, with no more than two of one place.
  fileprivate mutating func sortByPlace() {
    sort { ($0.section, $0.relocation.offset) < ($1.section, $1.relocation.offset) }
    var kept = startIndex
    for position in indices where !self[position].isSurplus(in: self, at: kept) {
      self[kept] = self[position]
      kept += 1
    }
    removeSubrange(kept...)
  }
}

/// Whether a program can load a pointer from the section: data of the program, not a table that describes it.
private func isLoadableData(_ section: Section, _ object: borrowing ObjectFile) -> Bool {
  guard section.flags.contains(.alloc), !section.flags.contains(.execInstr), section.type == .progbits else {
    return false
  }
  return dataPrefixes.contains { object.name(of: section.index, hasPrefix: $0) }
}

private let dataPrefixes = [
  ".data", ".rodata", ".ldata", ".lrodata", ".init.data", ".init.rodata", ".sdata", ".tdata",
].map { Array($0.utf8) }
