import ObjectFile

/// The check of what holds an object's tables together with its code: section groups, the order of sections, tables of symbol numbers.
struct SectionVerification {
  private(set) var findings: [Finding] = []

  init(of survey: Survey, in object: borrowing ObjectFile) {
    for section in survey.unreadTables(in: object) {
      report(
        .unreadTable, section,
        "the table is the kernel's, and the object is of a program whose runtime reads \(Options.userTable)")
    }
    checkOrder(of: survey.table, object)
    checkGroups(of: survey.table, object)
    for group in object.groups where group.isComdat { checkSignature(of: group, object) }
    for section in object.sections where section.type == .llvmAddrsig { checkSymbolNumbers(in: section, object) }
  }

  private mutating func checkOrder(of table: ExistingTable, _ object: borrowing ObjectFile) {
    for (number, section) in table.sections.enumerated() {
      let isOrdered = object[section].flags.contains(.linkOrder)
      let name = object.name(of: section)
      let isMixed = table.sections[..<number].contains { other in
        object.name(of: other) == name && object[other].flags.contains(.linkOrder) != isOrdered
      }
      guard isMixed else { continue }
      report(
        .mixedTables, section,
        "the table is \(isOrdered ? "" : "not ")ordered (SHF_LINK_ORDER), unlike another of this name")
      return
    }
  }

  /// Each entry must live and die with its site.
  private mutating func checkGroups(of table: ExistingTable, _ object: borrowing ObjectFile) {
    var groups: [SectionIndex: SectionIndex] = [:]
    for group in object.groups {
      for member in group.members { groups[member] = group.section }
    }
    for entry in table.entries {
      guard let site = entry.site else { continue }
      let tableSection = object[entry.table]
      // Made only where something is reported.
      var place: String { object.name(of: site.section) }
      if groups[entry.table] != groups[site.section] {
        let problem =
          groups[site.section] == nil
          ? "is in a section group, and its site in \(place) is not"
          : "is not in the group of its site's section \(place)"
        report(.separateEntry, site.section, at: site.offset, "entry \(entry.number) \(problem)")
      } else if tableSection.flags.contains(.linkOrder), Int(tableSection.link) != site.section.rawValue {
        report(
          .separateEntry, site.section, at: site.offset,
          "entry \(entry.number) is in a table that is tied to another section than \(place)")
      }
    }
  }

  /// A group's signature is a symbol of one of its sections, or one that is defined nowhere here.
  private mutating func checkSignature(of group: SectionGroup, _ object: borrowing ObjectFile) {
    let index = SymbolIndex(Int(object[group.section].info))
    let symbol = object.symbol(index)
    let name = object.name(of: index)
    if index.rawValue == 0 || symbol.type == .file {
      report(
        .staleSignature, group.section,
        "the group's signature is \(index.rawValue == 0 ? "no symbol" : "the file symbol \(name)")")
      return
    }
    guard case .section(let section) = object.place(of: symbol, at: index), section != group.section,
      !group.members.contains(section)
    else { return }
    // A compiler may name a group by a symbol beside it; by a section beside it, none does.
    report(
      .staleSignature, group.section, severity: symbol.type == .section ? .error : .warning,
      "the group's signature is \(name), which is not in the group")
  }

  private mutating func checkSymbolNumbers(in section: Section, _ object: borrowing ObjectFile) {
    // Without a symbol table linkers ignore it.
    guard let symbols = object.symbolTable, Int(section.link) == symbols.section.rawValue else { return }
    let stray = object.withContents(of: section.index) { bytes -> Int? in
      var (number, shift) = (0, 0)
      for position in bytes.indices {
        guard shift < 32 else { return -1 }
        number |= Int(bytes[position] & 0x7f) << shift
        shift += 7
        if bytes[position] & 0x80 != 0 { continue }
        if number == 0 || number >= symbols.count || object.symbol(SymbolIndex(number)).type == .file { return number }
        (number, shift) = (0, 0)
      }
      return nil
    }
    guard let stray else { return }
    report(
      .staleAddressTable, section.index,
      stray < 0 ? "a number in the table is too long" : "symbol \(stray) of the table is none that has an address")
  }

  private mutating func report(
    _ code: Code, _ section: SectionIndex, at offset: SectionOffset = SectionOffset(0), severity: Severity = .error,
    _ message: String
  ) {
    findings.append(Finding(code, severity, section: section, offset: offset, message))
  }
}
