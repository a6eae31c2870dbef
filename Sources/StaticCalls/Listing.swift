import DebugInfo
public import ObjectFile

/// Every use of a trampoline in one object or linked image, independent of the file itself.
public struct Listing: Sendable {
  public var machine: Machine
  public var sites: [Site]
  var isImage = false
  /// The changes that make calls direct, where they were asked for.
  public var changes: [Change] = []
  public var table: TableState
  /// What became of the references in code, by static call; empty in a linked image, where they are not to be seen any more.
  var accounts: [String: Account] = [:]
  /// Entries that are not as annotate would make them, in words.
  public var staleEntries: [String]

  /// How the table compares with the sites.
  public enum TableState: String, Sendable {
    case none
    case complete
    case incomplete
    case stale
  }

  /// One use of a trampoline.
  public struct Site: Sendable {
    public var section: String
    /// Section offset, in bytes.
    public var offset: Int
    /// In a linked image, the address.
    public var address: UInt64?
    public var function: String?
    /// The function's name as its language writes it.
    public var functionDisplayName: String? { function.map(demangled) }
    /// Distance from the function's start, in bytes.
    public var functionOffset: Int?
    public var kind: CallKind?
    public var shape: Shape
    public var through: String
    /// The name of the static call: that of the trampoline and the key without their prefixes.
    public var callName: String
    public var state: SiteState
    /// Why the use is not in the table, where it cannot be.
    public var code: Code?
    /// What the code does with an address that it does not call.
    public var use: NonCall?
    /// The source line of the call, where the object has debugging information.
    public var source: SourceLine?
  }

  /// A line of a source file, as the compiler wrote its name; counted from 1.
  public struct SourceLine: Sendable {
    public var file: String
    public var line: Int
  }

  /// How a use of a trampoline relates to the table.
  public enum SiteState: String, Sendable {
    case inTable = "in table"
    case notInTable = "not in table"
    case leftOut = "left out"
    case convertible = "can be made direct"
    case staysIndirect = "stays indirect"
    case notPatchable = "not patchable"
    case addressTaken = "address taken"
  }

  /// What became of all references in code; `nil` in a linked image.
  public var account: Account? {
    guard !isImage else { return nil }
    return accounts.values.reduce(into: Account()) { $0.add($1) }
  }

  /// Only the uses of certain static calls, by name.
  public func filtered(toKeys names: [String]) -> Listing {
    var listing = self
    listing.sites = sites.filter { names.contains($0.callName) }
    listing.accounts = accounts.filter { names.contains($0.key) }
    listing.changes = changes.filter { $0.callName.map(names.contains) ?? false }
    return listing
  }

  init(_ survey: Survey, _ object: borrowing ObjectFile, _ lines: borrowing SourceLines?, _ options: Options) {
    let plan = TablePlan(survey, object, options)
    let present = Set(survey.table.entries.compactMap(\.site))
    let places = survey.places(in: object)
    machine = object.machine
    staleEntries = plan.stale.prefix(Places.listedFindings).map { "entry \($0.entry.number): \($0.reason)" }
    if plan.stale.count > staleEntries.count {
      staleEntries.append("and \(plan.stale.count - staleEntries.count) more")
    }
    let isUnread = !survey.unreadTables(in: object).isEmpty
    if isUnread {
      staleEntries.append("the program's runtime reads \(Options.userTable), and not \(Options.kernelTable)")
    }
    table =
      if survey.table.sections.isEmpty {
        .none
      } else if isUnread || !plan.stale.isEmpty || !survey.table.faults.isEmpty {
        .stale
      } else {
        plan.missing == 0 ? .complete : .incomplete
      }
    sites = []
    func source(of site: CallSite) -> SourceLine? {
      lines?.line(section: site.section.rawValue, offset: site.offset.rawValue)
        .map { SourceLine(file: $0.file, line: $0.number) }
    }
    for site in survey.sites {
      let function = places.function(at: site.offset, of: site.section, object)
      let isInTable = present.contains(site.position)
      let (state, code) = Self.state(of: site, isInTable: isInTable)
      let callName = survey.trampoline(of: site).displayName
      if site.isReference {
        accounts[callName, default: Account()].count(site.status, isInTable: isInTable, isRelocated: site.isRelocated)
      }
      let use: NonCall? = if case .noCall(let use) = site.status { use } else { nil }
      sites.append(
        Site(
          section: object.name(of: site.section), offset: site.offset.rawValue, function: function?.name,
          functionOffset: function?.distance, kind: site.kind, shape: site.shape, through: site.through,
          callName: survey.callName(of: site), state: state, code: code, use: use,
          source: source(of: site)))
    }
    for load in survey.records.loads {
      let callName = survey.index.trampolines[load.trampoline].displayName
      accounts[callName, default: Account()].count(load.status, isInTable: false, isRelocated: load.isRelocated)
    }
  }

  private static func state(of site: CallSite, isInTable: Bool) -> (SiteState, Code?) {
    switch site.status {
    case .direct: (isInTable ? .inTable : .notInTable, nil)
    case .leftOut: (isInTable ? .inTable : .leftOut, nil)
    case .convertible: (.convertible, nil)
    case .noCall(let use): (.addressTaken, use.code)
    case .left(let code): (code.isAboutIndirectCall ? .staysIndirect : .notPatchable, code)
    }
  }
}
