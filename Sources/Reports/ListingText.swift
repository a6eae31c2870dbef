public import StaticCalls
public import ObjectFile

extension Listing {
  /// The listing for people: a heading, a line for each use of a trampoline, and where to read on. Ends in a newline.
  public func text(for path: String) -> String {
    let calls = sites.filter { $0.kind != nil }
    let keys = Set(sites.map(\.callName)).count
    guard !sites.isEmpty || table != .none else { return "\(path): \(machine.displayName), no static calls\n" }
    var text =
      "\(path): \(machine.displayName), \(count(calls.count, "call site")) of \(count(keys, "key")), \(tableText)\n"
    if !sites.isEmpty {
      let heading = ["  SITE", "IN", "KIND", "THROUGH", "KEY", "STATE"]
      text += Reports.table(
        [heading] + sites.map { ["  " + $0.siteText, $0.inText, $0.kindText, $0.through, $0.callName, $0.stateText] })
    }
    for change in changes { text += change.text }
    for stale in staleEntries { text += "  \(stale)\n" }
    let codes = Set(sites.compactMap(\.code)).sorted { $0.rawValue < $1.rawValue }
    if !codes.isEmpty {
      text += "To read on: \(codes.map { "staticcall explain \($0.rawValue)" }.joined(separator: ", "))\n"
    }
    return text
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

extension Listing.Change {
  /// The instructions before and after, in the manner of diff.
  fileprivate var text: String {
    let place = function.map { "\($0)+0x\(String(functionOffset ?? 0, radix: 16))" }
    let title = place ?? "\(section)+0x\(String(offset, radix: 16))"
    let rows = before.map { ["    -", $0.bytes, $0.text] } + after.map { ["    +", $0.bytes, $0.text] }
    return "  \(title)  \(callName ?? "a load that nobody needs any more")\n" + Reports.table(rows)
  }
}

extension Listing.Site {
  fileprivate var siteText: String { "\(section)+0x\(String(offset, radix: 16))" }
  fileprivate var inText: String {
    guard let function, let functionOffset else { return "-" }
    return "\(function)+0x\(String(functionOffset, radix: 16))"
  }
  fileprivate var kindText: String { kind?.rawValue ?? "-" }
  fileprivate var stateText: String { state.rawValue + (code.map { " [\($0.rawValue)]" } ?? "") }
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
