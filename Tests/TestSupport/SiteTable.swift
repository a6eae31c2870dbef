/// One entry of a table of call sites, as its two relocations describe it.
public struct SiteEntry: Equatable, Sendable, CustomStringConvertible {
  /// `section+0x1c`, worked out from the symbol that the first relocation names.
  public var site: String
  /// The symbol that the second relocation names; a local one with its place, `name (section+0x8)`.
  public var key: String
  /// Its addend.
  public var flags: Int

  public init(_ site: String, _ key: String, _ flags: Int) {
    self.site = site
    self.key = key
    self.flags = flags
  }

  public var description: String { "\(site) \(key) \(flags)" }
}

extension ElfBytes {
  /// The entries of all sections called `name`, in order: a reader of the table that shares nothing with the product. An entry
  /// without exactly two relocations where they belong is an error.
  public func siteTable(_ name: String = ".static_call_sites") throws -> [SiteEntry] {
    var entries: [SiteEntry] = []
    for table in 1..<sectionCount where self.name(ofSection: table) == name {
      var fields: [Int: Int] = [:]
      var source = 0
      for section in 1..<sectionCount
      where self[section: section, .type] == 4 && Int(self[section: section, .info]) == table {
        source = section
        for number in 0..<(Int(self[section: section, .length]) / 24) {
          fields[Int(self[relocation: number, of: section, .offset])] = number
        }
      }
      let count = Int(self[section: table, .length]) / 8
      guard fields.count == 2 * count else {
        throw ToolFailure(description: "\(fields.count) relocations for \(count) entries")
      }
      for number in 0..<count {
        guard let site = fields[8 * number], let key = fields[8 * number + 4] else {
          throw ToolFailure(description: "entry \(number) lacks a relocation")
        }
        entries.append(entry(relocations: (site, key), of: source))
      }
    }
    return entries
  }

  private func entry(relocations: (site: Int, key: Int), of section: Int) -> SiteEntry {
    let symbol = Int(self[relocation: relocations.site, of: section, .symbol])
    let offset = self[symbol: symbol, .value] &+ self[relocation: relocations.site, of: section, .addend]
    let key = Int(self[relocation: relocations.key, of: section, .symbol])
    let keyPlace = self[symbol: key, .info] >> 4 == 0 ? " (\(place(key, self[symbol: key, .value])))" : ""
    return SiteEntry(
      place(symbol, offset), name(ofSymbol: key) + keyPlace,
      Int(truncatingIfNeeded: self[relocation: relocations.key, of: section, .addend]))
  }

  private func place(_ symbol: Int, _ offset: UInt64) -> String {
    "\(name(ofSection: Int(self[symbol: symbol, .section])))+0x\(String(offset, radix: 16))"
  }
}
