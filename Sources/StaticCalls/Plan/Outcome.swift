import ObjectFile

/// What became of an object.
public struct Annotation: Sendable {
  /// What was done, or why nothing was.
  public enum Change: Sendable {
    /// The object uses no trampolines and has no table.
    case noStaticCalls
    /// The table was complete and right.
    case upToDate
    case written
    /// The table is not as it must be, and a dry run leaves it so.
    case wouldWrite
    /// Calls stay behind, and `--strict` lets nothing be written then.
    case heldBack
  }

  public var change: Change
  /// Entries of the complete table.
  public var entries: Int
  /// Static calls that these entries belong to.
  public var keys: Int
  /// Entries that were not there before.
  public var added: Int
  /// Entries that go because `--rebuild` asks for it.
  public var removed: Int
  /// Entries that move to a section that lives and dies with their site.
  public var moved: Int
  /// How many indirect calls become direct, by what they go through today.
  public var madeDirect: [(route: String, calls: Int)]
  /// Calls that reach a trampoline and cannot be in the table, as warnings.
  public var left: [Diagnostic]
  /// The new entries in the order of the table: place, kind and name of the static call.
  public var additions: [Addition]

  /// An entry that was not in the table before.
  public struct Addition: Sendable {
    public var place: String
    public var kind: CallKind
    public var callName: String
  }

  /// Whether the object is as it must be.
  public var needsNoChange: Bool { change == .noStaticCalls || change == .upToDate }

  init(
    _ plan: TablePlan, _ survey: Survey, _ object: borrowing ObjectFile, _ options: Options, isDryRun: Bool
  ) {
    left = survey.callsLeft(in: object) + plan.warningOfEmptiedTable(survey, options)
    let routes = survey.sites.compactMap { $0.rewrite?.route }
    madeDirect = Rewrite.Route.allCases.compactMap { route in
      let calls = routes.count { $0 == route }
      return calls == 0 ? nil : (route.rawValue, calls)
    }
    entries = plan.entries.count
    keys = Set(plan.trampolines(of: survey).map { survey.index.trampolines[$0].callName }).count
    added = plan.missing
    removed = plan.stale.count
    moved = plan.misplaced
    additions = []
    if survey.isEmpty {
      change = .noStaticCalls
    } else if options.isStrict, left.contains(where: { $0.code != .fatObject }) {
      change = .heldBack
    } else if plan.isUpToDate {
      change = plan.entries.isEmpty && survey.table.sections.isEmpty ? .noStaticCalls : .upToDate
    } else {
      change = isDryRun ? .wouldWrite : .written
    }
    guard isDryRun else { return }
    let places = survey.places(in: object)
    let present = Set(survey.table.entries.compactMap(\.site))
    additions = plan.entries.filter { !present.contains($0.site.position) }.map { entry in
      Addition(
        place: places.locate(entry.site.offset, of: entry.site.section, object).description,
        kind: entry.site.kind ?? .call,
        callName: survey.trampoline(of: entry.site).displayName)
    }
  }
}

extension TablePlan {
  /// The numbers of the trampolines that entries belong to, each once.
  fileprivate func trampolines(of survey: Survey) -> [Int] {
    var isCalled = [Bool](repeating: false, count: survey.index.trampolines.count)
    for entry in entries.indices { isCalled[entries[entry].site.trampoline] = true }
    return isCalled.indices.filter { isCalled[$0] }
  }

  /// A mistyped prefix must not throw a good table away without a word.
  fileprivate func warningOfEmptiedTable(_ survey: Survey, _ options: Options) -> [Diagnostic] {
    guard entries.isEmpty, !stale.isEmpty, survey.index.isEmpty else { return [] }
    return [
      Diagnostic(
        .staleTable, .warning,
        "nothing is left of the existing table's entries: no symbol begins with \(options.trampolinePrefixes)",
        help: ["If that is not meant, compile the object again, and check --trampoline-prefix."])
    ]
  }
}

extension Survey {
  /// The calls that reach a trampoline and cannot be in the table, as warnings in the order of their places; on request with those
  /// that could be made direct.
  func callsLeft(in object: borrowing ObjectFile, includingConvertible: Bool = false) -> [Diagnostic] {
    var all = findings
    let places = reached.isEmpty ? nil : places(in: object)
    for site in sites {
      // Made only for those that are reported: a name may be long.
      var name: String { trampoline(of: site).displayName }
      let (code, message): (Code, String)
      switch site.status {
      case .direct, .leftOut, .noCall: continue
      case .left(.sharedAddress): (code, message) = (.sharedAddress, describeCallOfSharedAddress(site))
      case .left(let reason) where site.kind == nil && reason != .undecoded:
        let branch = reached[site.position].flatMap { places?.locate($0, of: site.section, object).description }
        (code, message) = (reason, reason.describe(addressIn: site.through, of: name, reaching: branch))
      case .left(let reason): (code, message) = (reason, reason.describe(callThrough: site.through, of: name))
      case .convertible:
        guard includingConvertible else { continue }
        let through = site.through == "GOT" ? "the GOT" : site.through
        (code, message) = (
          .missingEntry, "call through \(through) to \(name) has no table entry; annotate makes it direct"
        )
      }
      all.append(Finding(code, .warning, section: site.section, offset: site.offset, message))
    }
    all.sort { ($0.section ?? SectionIndex(0), $0.offset) < ($1.section ?? SectionIndex(0), $1.offset) }
    return Places.diagnostics(all, in: object)
  }
}
