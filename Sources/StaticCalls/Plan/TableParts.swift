import ObjectFile

/// What a part of the table lives and dies with. An entry that outlives its site, or the other way round, is a broken link or a call
/// that is never patched.
struct TableHome: Hashable {
  /// The section group of the sites: where a linker discards one copy of an inline function, the entries must go with it.
  var group: SectionIndex?
  /// In the layout of user space, the sites' section, which the part is ordered behind (`SHF_LINK_ORDER`): where a linker collects it
  /// as garbage, the part goes with it.
  var code: SectionIndex?

  /// Where entries for sites in `section` belong.
  init(ofSitesIn section: SectionIndex, _ options: Options, _ object: borrowing ObjectFile) {
    group = object.group(of: section)
    code = options.layout == .user ? section : nil
  }

  /// Where an existing table is.
  init(ofTable section: SectionIndex, _ object: borrowing ObjectFile) {
    let header = object[section]
    group = object.group(of: section)
    code = header.flags.contains(.linkOrder) ? SectionIndex(Int(header.link)) : nil
  }
}

/// A section of the table, as it must be.
struct TablePart {
  var home: TableHome
  /// The existing section that becomes it, or `nil` where one has to be added.
  var section: SectionIndex?
  /// The positions of its entries in ``TablePlan/entries``, in that order.
  var entries: [Int]

  /// The parts that hold `entries`, in the order of their first entries, each with an existing table where there is one for it.
  static func parts(
    of entries: [TablePlan.PlannedEntry], _ table: ExistingTable, _ options: Options, _ object: borrowing ObjectFile
  ) -> (parts: [TablePart], unused: [SectionIndex]) {
    var parts: [TablePart] = []
    var positions: [TableHome: Int] = [:]
    var homes: [SectionIndex: TableHome] = [:]
    var last: (section: SectionIndex, position: Int)?
    for number in entries.indices {
      let section = entries[number].site.section
      if let last, last.section == section {
        parts[last.position].entries.append(number)
        continue
      }
      let home = homes[section] ?? TableHome(ofSitesIn: section, options, object)
      homes[section] = home
      if let position = positions[home] {
        parts[position].entries.append(number)
      } else {
        positions[home] = parts.count
        parts.append(TablePart(home: home, section: nil, entries: [number]))
      }
      last = positions[home].map { (section, $0) }
    }
    var unused: [SectionIndex] = []
    for section in table.sections {
      if !table.otherLayout.contains(section), let position = positions[TableHome(ofTable: section, object)],
        parts[position].section == nil
      {
        parts[position].section = section
      } else {
        unused.append(section)
      }
    }
    // `ld -r` ties merged tables to the first of their sections, or to none. Such a section can serve any part that stays in its
    // group.
    var waiting: [SectionIndex?: [Int]] = [:]
    for position in parts.indices.reversed() where parts[position].section == nil {
      waiting[parts[position].home.group, default: []].append(position)
    }
    unused.removeAll { section in
      guard !table.otherLayout.contains(section), let position = waiting[object.group(of: section)]?.popLast() else {
        return false
      }
      parts[position].section = section
      return true
    }
    return (parts, unused)
  }
}
