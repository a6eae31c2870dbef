public import StaticCalls
public import ObjectFile

extension Listing {
  /// The listing for people: a heading, a line for each use of a trampoline, and where to read on; or only how many there are of each
  /// kind. Ends in a newline.
  public func text(for path: String, isSummary: Bool = false, demangles: Bool = true) -> String {
    let path = printable(path)
    let calls = sites.filter { $0.kind != nil }
    let keys = Set(sites.map(\.callName)).count
    guard !sites.isEmpty || table != .none else { return "\(path): \(machine.displayName), no static calls\n" }
    var text =
      "\(path): \(machine.displayName), \(count(calls.count, "call site")) of \(count(keys, "key")), \(tableText)\n"
    if isSummary { return text + (account.map { $0.text } ?? "") + summary }
    if !sites.isEmpty {
      let hasSource = sites.contains { $0.source != nil }
      let heading = ["  SITE", "IN", "KIND", "THROUGH", "KEY", "STATE"] + (hasSource ? ["SOURCE"] : [])
      text += Reports.table(
        [heading]
          + sites.map { site in
            let cells = [
              "  " + site.siteText, site.inText(demangles), site.kindText, site.through, site.callName, site.stateText,
            ]
            return cells + (hasSource ? [site.source.map { "\($0.file):\($0.line)" } ?? "-"] : [])
          })
    }
    for change in changes { text += change.text }
    for stale in staleEntries { text += "  \(printable(stale))\n" }
    let codes = Set(sites.compactMap(\.code)).sorted { $0.rawValue < $1.rawValue }
    if !codes.isEmpty {
      text += "To read on: \(codes.map { "staticcall explain \($0.rawValue)" }.joined(separator: ", "))\n"
    }
    return text
  }

  /// The uses of one static call, or of one shape, by what becomes of them.
  struct Group {
    var name: String
    var uses: Int
    var inTable: Int
    var notInTable: Int
    var convertible: Int
    /// Calls that stay as they are, out of a patcher's reach.
    var stay: Int
    /// Uses that need no entry.
    var noSite: Int
  }

  /// How many uses of each kind there are, in the order of the names.
  func groups(by name: (Site) -> String) -> [Group] {
    Dictionary(grouping: sites, by: name).sorted { $0.key < $1.key }.map { name, sites in
      func amount(_ states: SiteState...) -> Int { sites.count { states.contains($0.state) } }
      return Group(
        name: name, uses: sites.count, inTable: amount(.inTable), notInTable: amount(.notInTable),
        convertible: amount(.convertible), stay: amount(.staysIndirect, .notPatchable),
        noSite: amount(.leftOut, .addressTaken))
    }
  }

  /// The numbers by key, then by shape.
  private var summary: String {
    func rows(_ title: String, _ name: (Site) -> String) -> [[String]] {
      groups(by: name).enumerated().map { number, group in
        let amounts = [group.uses, group.inTable, group.notInTable, group.convertible, group.stay, group.noSite]
        return [number == 0 ? "  \(title)" : "  ", group.name] + amounts.map(grouped)
      }
    }
    guard !sites.isEmpty else { return "" }
    let heading = ["  ", "", "USES", "IN TABLE", "NOT YET", "CAN BE MADE DIRECT", "STAY", "NO SITE"]
    return Reports.table([heading] + rows("KEY", \.callName) + rows("SHAPE", \.shape.rawValue))
  }

  private var tableText: String {
    switch table {
    case .none: "no table"
    case .complete: "table complete"
    case .incomplete: "table incomplete"
    case .stale: "table does not fit the code"
    }
  }
}

extension Account {
  /// What became of the references, in a line.
  fileprivate var text: String {
    func verb(_ amount: Int) -> String { amount == 1 ? "is" : "are" }
    func clause(_ amount: Int, _ one: String, _ many: String) -> String? {
      amount == 0 ? nil : "\(grouped(amount)) \(amount == 1 ? one : many)"
    }
    let stay = left.sorted { $0.key.rawValue < $1.key.rawValue }
    let uses = NonCall.allCases.compactMap { use in noCall[use].map { "\(grouped($0)) \(use.rawValue)" } }
    let others = noCall.values.reduce(0, +)
    let clauses =
      [
        clause(inTable, "is in the table", "are in the table"),
        clause(notInTable, "is not in the table yet", "are not in the table yet"),
        clause(convertible, "can be made direct", "can be made direct"),
        clause(leftOut, "is left out", "are left out"),
      ].compactMap { $0 }
      + stay.compactMap { code, amount in
        clause(amount, "stays behind (\(code.rawValue))", "stay behind (\(code.rawValue))")
      }
      + [
        others == 0
          ? nil : clause(others, "is no call", "are no calls").map { "\($0) (\(uses.joined(separator: ", ")))" }
      ]
      .compactMap { $0 }
    guard !clauses.isEmpty else { return "" }
    return "  \(count(references, "reference")) in code: \(clauses.joined(separator: ", "))\n"
  }
}

extension Listing.Change {
  /// The instructions before and after, in the manner of diff.
  fileprivate var text: String {
    let place = function.map { "\($0)+0x\(String(functionOffset ?? 0, radix: 16))" }
    let title = place ?? "\(section)+0x\(String(offset, radix: 16))"
    let rows = before.map { ["    -", $0.bytes, $0.text] } + after.map { ["    +", $0.bytes, $0.text] }
    return "  \(printable(title))  \(printable(callName ?? "a load that nobody needs any more"))\n"
      + Reports.table(rows)
  }
}

extension Listing.Site {
  fileprivate var siteText: String {
    address.map { "0x\(String($0, radix: 16))" } ?? "\(section)+0x\(String(offset, radix: 16))"
  }
  fileprivate func inText(_ demangles: Bool) -> String {
    guard let function, let functionOffset else { return "-" }
    return "\(demangles ? functionDisplayName ?? function : function)+0x\(String(functionOffset, radix: 16))"
  }
  fileprivate var kindText: String { kind?.rawValue ?? "-" }
  fileprivate var stateText: String {
    state.rawValue + (use.map { ", \($0.rawValue)" } ?? "") + (code.map { " [\($0.rawValue)]" } ?? "")
  }
}

extension Machine {
  /// The machine's usual name.
  public var displayName: String {
    switch self {
    case .x86_64: "x86-64"
    case .aarch64: "AArch64"
    }
  }
}
