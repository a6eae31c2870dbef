import Disassembly
import ObjectFile

/// What verification found in an object.
public struct Verification: Sendable {
  /// Entries of the table.
  public var entries: Int
  public var diagnostics: [Diagnostic]
}

/// The check of an object's table in both directions: each entry is a valid site with the right key and flags, and each site
/// has exactly one entry. The rules are those of a runtime that patches the sites (arch/x86/kernel/static_call.c stops the
/// machine at a site it does not expect).
struct TableVerification {
  private(set) var findings: [Finding] = []

  init(of survey: Survey, in object: borrowing ObjectFile, _ options: Options) throws {
    findings = survey.table.faults
    let sites = Dictionary(
      survey.sites.filter { $0.status == .direct || $0.status == .leftOut }.map { ($0.position, $0) },
      uniquingKeysWith: { first, _ in first })
    var occupied: [SitePosition: TableEntry] = [:]
    let keys = survey.index.keys(options)
    var inspector = try EntryInspector(survey, object, options)

    // In the order of the code, so that each stretch of it is decoded once however many entries are wrong.
    for entry in survey.table.entries.sorted(by: Self.isEarlier) {
      if let fault = entry.fault {
        report(.entryRelocation, entry, fault)
        continue
      }
      guard let position = entry.site else { continue }
      if let first = occupied[position] {
        report(.duplicateEntry, entry, "names the same site as entry \(first.number)", at: position)
        continue
      }
      occupied[position] = entry
      if let symbol = entry.siteSymbol, object.symbol(symbol).binding == .weak {
        report(
          .replaceableSite, entry, "names its site through a weak symbol, which may become another object's",
          at: position)
      }
      guard let site = sites[position] else {
        let (code, reason) = try inspector.inspect(position, object)
        report(code, entry, reason, at: position)
        continue
      }
      check(entry, site, survey, keys, object)
    }
    for site in survey.sites where site.status == .direct && occupied[site.position] == nil {
      findings.append(
        Finding(
          .missingEntry, .error, section: site.section, offset: site.offset,
          "\(site.kind?.rawValue ?? "use") of \(survey.trampoline(of: site).displayName) has no table entry"))
    }
    reportOverlaps(of: sites.values.filter { occupied[$0.position] != nil })
  }

  private static func isEarlier(_ left: TableEntry, _ right: TableEntry) -> Bool {
    guard let leftSite = left.site, let rightSite = right.site, leftSite != rightSite else {
      // Entries without a site come first; two entries of one site keep their order.
      return left.site == nil && right.site != nil || left.site == right.site && left.number < right.number
    }
    return leftSite < rightSite
  }

  private mutating func check(
    _ entry: TableEntry, _ site: CallSite, _ survey: Survey, _ keys: [KeyChoice], _ object: borrowing ObjectFile
  ) {
    let trampoline = survey.trampoline(of: site)
    if entry.flags & ~1 != 0 {
      report(.entryFlags, entry, "has flags \(entry.flags); in an object only bit 0 may be set", at: site.position)
    } else if let kind = site.kind, entry.flags != kind.flags {
      let said = entry.flags == 0 ? "a call" : "a tail call"
      report(.flagMismatch, entry, "is marked as \(said), and the branch is a \(kind.rawValue)", at: site.position)
    }
    guard let key = entry.key else { return }
    let expected: SymbolIndex? =
      switch keys[site.trampoline] {
      case .symbol(let symbol): symbol
      case .trampoline, .missing: trampoline.symbol
      case .ambiguous: nil
      }
    guard expected == nil || key == expected else {
      report(
        .keyMismatch, entry, "names \(object.name(of: key)), and the branch calls \(trampoline.displayName)",
        at: site.position)
      return
    }
    let symbol = object.symbol(key)
    // The flags live in the low bits of the key's address.
    if key != trampoline.symbol, case .section(let section) = object.place(of: symbol, at: key),
      symbol.value % 4 != 0 || object[section].alignment < 4
    {
      report(.keyAlignment, entry, "names \(object.name(of: key)), which is not aligned to 4 bytes", at: site.position)
    }
  }

  private mutating func reportOverlaps(of sites: [CallSite]) {
    let sites = sites.sorted { $0.position < $1.position }
    for (first, second) in zip(sites, sites.dropFirst())
    where first.section == second.section && second.offset.rawValue < first.offset.rawValue + first.length {
      findings.append(
        Finding(
          .duplicateEntry, .error, section: second.section, offset: second.offset,
          "the site shares bytes with the one before it"))
    }
  }

  private mutating func report(_ code: Code, _ entry: TableEntry, _ message: String, at position: SitePosition? = nil) {
    findings.append(
      Finding(
        code, .error, section: position?.section ?? entry.table,
        offset: position?.offset ?? SectionOffset(entry.number * ExistingTable.entrySize),
        "entry \(entry.number) \(entry.fault == nil ? "" : "is broken: ")\(message)"))
  }
}

/// Finds out why an entry's address is no site.
private struct EntryInspector: ~Copyable {
  private var code: CodeReader
  private let uses: [SitePosition: CallSite]

  private let options: Options

  init(_ survey: Survey, _ object: borrowing ObjectFile, _ options: Options) throws(DisassemblyError) {
    self.options = options
    code = try CodeReader(architecture(of: object.machine), sections: survey.sections)
    uses = Dictionary(survey.sites.map { ($0.position, $0) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func inspect(
    _ position: SitePosition, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (Code, String) {
    let section = object[position.section]
    guard section.flags.contains(.execInstr) else {
      return (.notCode, "lies in \(object.name(of: section.index)), which holds no code")
    }
    if uses[position] != nil { return (.wrongOpcode, "is at a branch that a runtime cannot patch") }
    if SectionRole(section.index, object, options) == .ignored {
      return (.discardedSection, "lies in \(object.name(of: section.index)), which never reaches the program")
    }
    let offset = position.offset.rawValue
    guard let instruction = try code.instruction(around: offset, in: position.section, object) else {
      return (.notAnInstruction, "is not at an instruction")
    }
    if let opcode = opcodeBehindPrefixes(of: instruction, position) {
      return (.notAnInstruction, "is at a prefix; the branch itself begins at +\(opcode - offset)")
    }
    guard instruction.offset == offset else { return (.notAnInstruction, "is not at an instruction boundary") }
    guard instruction.flow.isDirectBranch else {
      return (.wrongOpcode, "is at an instruction that is no direct branch")
    }
    return (.noTrampoline, "is at a branch that does not go to a trampoline")
  }

  /// Where a site begins in the instruction that an entry names by one of its prefixes.
  private func opcodeBehindPrefixes(of instruction: Instruction, _ position: SitePosition) -> Int? {
    let offset = position.offset.rawValue
    guard instruction.offset <= offset else { return nil }
    return (offset + 1..<max(offset + 1, instruction.end)).first {
      let site = uses[SitePosition(section: position.section, offset: SectionOffset($0))]
      return site.map { $0.offset.rawValue + $0.length == instruction.end } ?? false
    }
  }
}
