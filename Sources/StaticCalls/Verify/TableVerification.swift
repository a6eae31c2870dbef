import ObjectFile

/// The check of an object's table in both directions: each entry is a valid site with the right key and flags, and each site
/// has exactly one entry. The rules are those of a runtime that patches the sites (arch/x86/kernel/static_call.c stops the
/// machine at a site it does not expect).
struct TableVerification {
  private(set) var findings: [Finding] = []

  init(of survey: Survey, in object: borrowing ObjectFile, _ options: Options) throws {
    findings = survey.table.faults
    // The sites are in order: a search takes less than a dictionary of them.
    let sites = survey.sites.indices.filter {
      survey.sites[$0].status == .direct || survey.sites[$0].status == .leftOut
    }
    func site(at position: SitePosition) -> Int? {
      let next = sites.partitionPoint { survey.sites[$0].position >= position }
      return next < sites.count && survey.sites[sites[next]].position == position ? sites[next] : nil
    }
    var occupied = [SitePosition: Int](minimumCapacity: survey.table.entries.count)
    let keys = survey.index.keys(options)
    var strangers: [(entry: TableEntry, position: SitePosition)] = []
    for entry in survey.table.entries {
      if let fault = entry.fault {
        report(.entryRelocation, entry, fault)
        continue
      }
      guard let position = entry.site else { continue }
      if let first = occupied[position] {
        report(.duplicateEntry, entry, "names the same site as entry \(first)", at: position)
        continue
      }
      occupied[position] = entry.number
      if entry.isReplaceable {
        report(
          .replaceableSite, entry,
          "names its site through a weak symbol, which may become another object's",
          at: position)
      }
      guard let site = site(at: position) else {
        strangers.append((entry, position))
        continue
      }
      check(entry, survey.sites[site], survey, keys, object)
    }
    try explain(strangers, survey, object, options)
    for site in survey.sites where site.status == .direct && occupied[site.position] == nil {
      findings.append(
        Finding(
          .missingEntry, .error, section: site.section, offset: site.offset,
          "\(site.kind?.noun ?? "use") of \(survey.trampoline(of: site).displayName) has no table entry"))
    }
    reportOverlaps(of: sites.lazy.map { survey.sites[$0] }.filter { occupied[$0.position] != nil })
  }

  /// Reports entries that name no site, each with the reason.
  private mutating func explain(
    _ strangers: [(entry: TableEntry, position: SitePosition)], _ survey: Survey, _ object: borrowing ObjectFile,
    _ options: Options
  ) throws {
    guard !strangers.isEmpty else { return }
    var inspector = try EntryInspector(survey, object, options)
    // In the order of the code, so that each stretch of it is decoded once however many entries are wrong.
    for stranger in strangers.sorted(by: { $0.position < $1.position }) {
      let (code, reason) = try inspector.inspect(stranger.position, object)
      report(code, stranger.entry, reason, at: stranger.position)
    }
  }

  private mutating func check(
    _ entry: TableEntry, _ site: CallSite, _ survey: Survey, _ keys: [KeyChoice], _ object: borrowing ObjectFile
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
      switch keys[site.trampoline] {
      case .symbol(let symbol): symbol
      case .trampoline, .missing: trampoline.symbol
      case .ambiguous: nil
      }
    let isRight = expected.map { key == $0 } ?? survey.index.isKey(key, of: site.trampoline)
    guard isRight else {
      report(
        .keyMismatch, entry, "names \(object.name(of: key)), and the branch calls \(trampoline.displayName)",
        at: site.position)
      return
    }
    if key != trampoline.symbol, !isAlignedKey(key, in: object) {
      report(.keyAlignment, entry, "names \(object.name(of: key)), which is not aligned to 4 bytes", at: site.position)
    }
  }

  /// Reports sites, which are in order, that share bytes; of several at one place the first counts.
  private mutating func reportOverlaps(of sites: some Sequence<CallSite>) {
    var previous: (position: SitePosition, end: Int)?
    for site in sites {
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
