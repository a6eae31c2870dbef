import ObjectFile

/// The sites that may have an entry in a table, in order, and the entries that they have.
private struct TableSites {
  private let all: [CallSite]
  /// The positions of the sites among all.
  private let positions: [Int]
  /// The number of the entry that names the site; of several sites at one place, the first has it.
  var entries: [Int?]
  private var next = 0

  init(of survey: Survey) {
    all = survey.sites
    positions = all.indices.filter { [all] in all[$0].mayHaveEntry }
    entries = [Int?](repeating: nil, count: positions.count)
  }

  var indices: Range<Int> { positions.indices }

  subscript(number: Int) -> CallSite { all[positions[number]] }

  /// The first site at a position.
  mutating func number(at position: SitePosition) -> Int? {
    // Tables are nearly always in the order of their sites: one look is enough.
    if next >= positions.count || self[next].position != position || isRepeated(next) {
      next = positions.partitionPoint { all[$0].position >= position }
    }
    guard next < positions.count, self[next].position == position else { return nil }
    defer { next += 1 }
    return next
  }

  /// Whether an entry names the site.
  func hasEntry(_ number: Int) -> Bool {
    var first = number
    while isRepeated(first) { first -= 1 }
    return entries[first] != nil
  }

  /// Whether the site is at the same place as the one before it.
  private func isRepeated(_ number: Int) -> Bool {
    number > 0 && self[number - 1].position == self[number].position
  }
}

/// The check of an object's table in both directions: each entry is a valid site with the right key and flags, and each site
/// has exactly one entry. The rules are those of a runtime that patches the sites (arch/x86/kernel/static_call.c stops the
/// machine at a site it does not expect).
struct TableVerification {
  private(set) var findings: [Finding] = []

  init(of survey: Survey, in object: borrowing ObjectFile, _ options: Options) throws {
    findings = survey.table.faults
    var sites = TableSites(of: survey)
    var strangers: [(entry: TableEntry, position: SitePosition)] = []
    var entriesOfStrangers: [SitePosition: Int] = [:]
    for entry in survey.table.entries {
      if let fault = entry.fault {
        report(.entryRelocation, entry, fault)
        continue
      }
      guard let position = entry.site else { continue }
      let site = sites.number(at: position)
      if let first = site.map({ sites.entries[$0] }) ?? entriesOfStrangers[position] {
        report(.duplicateEntry, entry, "names the same site as entry \(first)", at: position)
        continue
      }
      if let site {
        sites.entries[site] = entry.number
      } else {
        entriesOfStrangers[position] = entry.number
      }
      if entry.isReplaceable {
        report(
          .replaceableSite, entry,
          "names its site through a weak symbol, which may become another object's",
          at: position)
      }
      guard let site else {
        strangers.append((entry, position))
        continue
      }
      check(entry, sites[site], survey, object)
    }
    try explain(strangers, survey, object, options)
    reportMissing(sites, survey)
    reportOverlaps(of: sites)
  }

  private mutating func reportMissing(_ sites: TableSites, _ survey: Survey) {
    for number in sites.indices where sites[number].status == .direct && !sites.hasEntry(number) {
      let site = sites[number]
      findings.append(
        Finding(
          .missingEntry, .error, section: site.section, offset: site.offset,
          "\(site.kind?.noun ?? "use") of \(survey.trampoline(of: site).displayName) has no table entry"))
    }
  }

  /// Reports entries that name no site, each with the reason.
  private mutating func explain(
    _ strangers: [(entry: TableEntry, position: SitePosition)], _ survey: Survey, _ object: borrowing ObjectFile,
    _ options: Options
  ) throws {
    guard !strangers.isEmpty else { return }
    var inspector = EntryInspector(survey, object, options)
    // In the order of the code, so that each stretch of it is decoded once however many entries are wrong.
    for stranger in strangers.sorted(by: { $0.position < $1.position }) {
      let (code, reason) = try inspector.inspect(stranger.position, object)
      report(code, stranger.entry, reason, at: stranger.position)
    }
  }

  private mutating func check(
    _ entry: TableEntry, _ site: CallSite, _ survey: Survey, _ object: borrowing ObjectFile
  ) {
    let trampoline = survey.trampoline(of: site)
    if entry.flags & ~1 != 0 {
      report(.entryFlags, entry, "has flags \(entry.flags); in an object only bit 0 may be set", at: site.position)
    } else if let kind = site.kind, entry.flags != kind.flags {
      let said = entry.flags == 0 ? "a call" : "a tail call"
      report(.flagMismatch, entry, "is marked as \(said), and the branch is a \(kind.noun)", at: site.position)
    }
    guard let key = entry.key else { return }
    let expected: SymbolIndex? =
      switch survey.keys[site.trampoline] {
      case .symbol(let symbol): symbol
      case .trampoline, .missing: trampoline.symbol
      case .ambiguous: nil
      }
    // A call by address may be one of any trampoline that is there.
    let isRight =
      site.isAmbiguous
      ? survey.index.trampolines(at: site.trampoline).contains { survey.index.isKey(key, of: $0) }
      : expected.map { key == $0 } ?? survey.index.isKey(key, of: site.trampoline)
    guard isRight else {
      report(
        .keyMismatch, entry, "names \(object.name(of: key)), and the branch calls \(survey.callName(of: site))",
        at: site.position)
      return
    }
    if key != trampoline.symbol, !isAlignedKey(key, in: object) {
      report(.keyAlignment, entry, "names \(object.name(of: key)), which is not aligned to 4 bytes", at: site.position)
    }
  }

  /// Reports sites with entries, which are in order, that share bytes; of several at one place the first counts.
  private mutating func reportOverlaps(of sites: TableSites) {
    var previous: (position: SitePosition, end: Int)?
    for number in sites.indices where sites.hasEntry(number) {
      let site = sites[number]
      if let previous, previous.position.section == site.section, site.offset.rawValue < previous.end {
        findings.append(
          Finding(
            .duplicateEntry, .error, section: site.section, offset: site.offset,
            "the site shares bytes with the one before it"))
      }
      previous = (site.position, site.offset.rawValue + site.length)
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
