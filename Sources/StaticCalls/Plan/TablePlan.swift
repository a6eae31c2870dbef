import ObjectFile

/// What has to happen to an object's table.
struct TablePlan {
  /// The sites that belong into the table, in the table's order.
  var entries: [PlannedEntry] = []
  /// The sections that hold them.
  var parts: [TablePart] = []
  /// Existing sections of the table that no entry belongs into any more.
  var unused: [SectionIndex] = []
  /// Those of them that are the other layout's.
  var otherLayout: Set<SectionIndex>
  /// How many entries are not in the table yet.
  var missing = 0
  /// How many are in a section that does not live and die with their site.
  var misplaced = 0
  /// The changes that make indirect branches direct.
  var edits: [CodeEdit] = []
  /// What is in the table and does not belong there.
  var stale: [StaleEntry] = []
  /// Whether the table's sections themselves are not as they must be.
  var isMalformed: Bool

  /// An entry that belongs into the table.
  struct PlannedEntry {
    var site: CallSite
    var key: KeyChoice
  }

  /// An entry that annotate would not make, and why.
  struct StaleEntry {
    var entry: TableEntry
    var reason: String
  }

  /// Compares what the table must hold with what it holds.
  init(_ survey: borrowing Survey, _ object: borrowing ObjectFile, _ options: Options) {
    otherLayout = survey.table.otherLayout
    isMalformed = !survey.table.faults.isEmpty
    entries.reserveCapacity(survey.sites.count)
    for site in survey.sites {
      if let site = site.inTable { entries.append(PlannedEntry(site: site, key: survey.keys[site.trampoline])) }
    }
    // The order of the table: by section index, then offset.
    entries = entries.inOrder(of: \.site.position)
    edits = entries.compactMap { $0.site.rewrite?.edit }
    if !edits.isEmpty { edits += survey.deadLoads }
    let expected =
      survey.table.entries.isEmpty
      ? [:] : Dictionary(entries.map { ($0.site.position, $0) }, uniquingKeysWith: { first, _ in first })
    var found: Set<SitePosition> = []
    for entry in survey.table.entries {
      if survey.table.otherLayout.contains(entry.table) {
        stale.append(StaleEntry(entry: entry, reason: "it is in a table of the other layout"))
      } else if let reason = Self.reasonAgainst(entry, expected, &found, survey) {
        stale.append(StaleEntry(entry: entry, reason: reason))
      } else if let site = entry.site,
        TableHome(ofTable: entry.table, object) != TableHome(ofSitesIn: site.section, options, object)
      {
        misplaced += 1
      }
    }
    (parts, unused) = TablePart.parts(of: entries, survey.table, options, object)
    missing = found.isEmpty ? entries.count : entries.count { !found.contains($0.site.position) }
  }

  /// Whether the table already is as it must be.
  var isUpToDate: Bool { missing == 0 && misplaced == 0 && stale.isEmpty && edits.isEmpty && !isMalformed }

  private static func reasonAgainst(
    _ entry: TableEntry, _ expected: [SitePosition: PlannedEntry], _ found: inout Set<SitePosition>,
    _ survey: borrowing Survey
  ) -> String? {
    if let fault = entry.fault { return fault }
    guard let position = entry.site, let planned = expected[position] else {
      return "no direct call of a trampoline is there"
    }
    if entry.isReplaceable {
      return "it names its site through a weak symbol, which may become another object's"
    }
    guard entry.flags == planned.site.kind?.flags else {
      return "its flags are \(entry.flags), and the branch is a \(planned.site.kind?.noun ?? "use")"
    }
    let key: SymbolIndex? =
      switch planned.key {
      case .symbol(let symbol): symbol
      case .trampoline: survey.index.trampolines[planned.site.trampoline].symbol
      case .missing, .ambiguous: nil
      }
    guard entry.key == key else { return "it names another key than the branch's trampoline has" }
    return found.insert(position).inserted ? nil : "the same site has an entry before it"
  }
}
