public import StaticCalls

extension Annotation {
  /// What became of the object, in one line for `-v`, with the plan below it for a dry run. Ends in a newline.
  public func text(for path: String) -> String {
    let path = printable(path)
    let sites = "\(count(entries, "call site")) of \(count(keys, "key"))"
    let direct = directText
    let behind = left.isEmpty ? "" : "; \(count(left.count, "warning"))"
    switch change {
    case .noStaticCalls:
      return left.isEmpty ? "\(path): no static calls\n" : "\(path): no call site for a table\(behind)\n"
    case .upToDate: return "\(path): up to date (\(sites))\(behind)\n"
    case .heldBack: return "\(path): nothing written, because calls stay behind (--strict)\n"
    case .written: return "\(path): \(sites)\(direct); \(changes) written\(behind)\n"
    case .wouldWrite:
      return "\(path): \(sites)\(direct); \(changes) would be written\(behind)\n"
        + table(additions.map { ["  +", $0.place, $0.kind.rawValue, $0.callName] })
    }
  }

  /// `: 11 were direct, 3 made direct (2 through the GOT, 1 through a thunk)`, where there are such.
  private var directText: String {
    let made = madeDirect.reduce(0) { $0 + $1.calls }
    guard made > 0 else { return "" }
    let routes = madeDirect.map { "\(grouped($0.calls)) through \($0.route)" }.joined(separator: ", ")
    let were = made == entries ? "" : "\(grouped(entries - made)) were direct, "
    return ": \(were)\(grouped(made)) made direct (\(routes))"
  }

  private var changes: String {
    let new = added == entries || added == 0 ? "" : ", \(count(added, "of them new", plural: "of them new"))"
    let gone = removed == 0 ? "" : ", \(count(removed, "old one")) removed"
    let elsewhere = moved == 0 ? "" : ", \(count(moved, "of them moved", plural: "of them moved"))"
    return "table of \(count(entries, "entry", plural: "entries"))\(new)\(elsewhere)\(gone)"
  }
}

/// A number with its noun: `1 call site`, `15,906 call sites`.
public func count(_ number: Int, _ noun: String, plural: String? = nil) -> String {
  "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
}

/// A number with its thousands set apart.
public func grouped(_ number: Int) -> String {
  var digits = String(number)
  var position = digits.count - 3
  while position > 0 {
    digits.insert(",", at: digits.index(digits.startIndex, offsetBy: position))
    position -= 3
  }
  return digits
}

/// Wider than this, a cell does not widen its column: one long name would fill every line with spaces.
private let widestColumn = 200

/// Rows as aligned columns, two spaces apart. Ends in a newline.
func table(_ rows: [[String]]) -> String {
  let rows = rows.map { $0.map(printable) }
  var widths: [Int] = []
  for row in rows {
    for (column, cell) in row.enumerated() {
      if column == widths.count { widths.append(0) }
      widths[column] = min(max(widths[column], cell.count), widestColumn)
    }
  }
  return rows.map { row in
    var line = ""
    for (column, cell) in row.enumerated() {
      line += cell
      if column < row.count - 1 { line += String(repeating: " ", count: max(widths[column] - cell.count, 0) + 2) }
    }
    return line + "\n"
  }.joined()
}
