import ObjectFile

/// The tables that an object already has, as its relocations describe them.
struct ExistingTable {
  /// Sections with the table's name, in index order.
  private(set) var sections: [SectionIndex] = []
  /// Those of them that are the other layout's, which `--rebuild` empties.
  private(set) var otherLayout: Set<SectionIndex> = []
  /// All entries, by section, then position.
  private(set) var entries: [TableEntry] = []
  /// What is wrong with the sections themselves.
  private(set) var faults: [Finding] = []

  init(in object: borrowing ObjectFile, _ options: Options) throws(ObjectFileError) {
    let names = options.tableSections.map { Array($0.utf8) }
    let architecture = StaticCalls.architecture(of: object.machine)
    let other = options.convertsTable ? options.otherTableSection.map { Array($0.utf8) } : nil
    for section in object.sections.dropFirst() where section.type != .null {
      if let other, section.size != 0, object.name(of: section.index, is: other) {
        otherLayout.insert(section.index)
        sections.append(section.index)
        try read(section, architecture.tableRelocation, isUserLayout: options.layout != .user, object)
        continue
      }
      guard names.contains(where: { object.name(of: section.index, is: $0) }) else { continue }
      sections.append(section.index)
      try read(section, architecture.tableRelocation, isUserLayout: options.layout == .user, object)
    }
  }

  /// Size of an entry and of each of its two fields, in bytes (include/linux/static_call_types.h: `struct static_call_site`).
  static let entrySize = 8
  static let fieldSize = 4

  private mutating func read(
    _ section: Section, _ type: RelocationType, isUserLayout: Bool, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    // A user may give the table another name.
    let isUserTable =
      object.name(of: section.index) == Options.userTable || isUserLayout || section.flags.contains(.linkOrder)
    checkHeader(of: section, isUserTable: isUserTable)
    guard section.type == .progbits, isWorthReading(section, object) else { return }
    checkContents(of: section, object)
    var fields = [Field](repeating: Field(), count: Int(section.size) / Self.fieldSize)
    for table in object.relocationSections(of: section.index) {
      try object.withRelocations(in: table) { relocations in
        for position in relocations.indices {
          let offset = relocations[position].offset.rawValue
          guard relocations[position].type != .none else {
            if offset % Self.fieldSize == 0, offset / Self.fieldSize < fields.count {
              fields[offset / Self.fieldSize].isVoid = true
            }
            continue
          }
          guard offset % Self.fieldSize == 0, offset / Self.fieldSize < fields.count else {
            faults.append(
              Finding(
                .entryRelocation, .error, section: section.index, offset: SectionOffset(offset),
                "a relocation lies between the fields of the table"))
            continue
          }
          fields[offset / Self.fieldSize].relocation = relocations[position]
          fields[offset / Self.fieldSize].count &+= 1
        }
      }
    }
    entries.reserveCapacity(entries.count + fields.count / 2)
    for number in 0..<(fields.count / 2) {
      entries.append(
        TableEntry(
          table: section.index, number: number, site: fields[2 * number], key: fields[2 * number + 1], type, object))
    }
  }

  /// Whether the table has relocations for most of its entries, or few entries: a section may have the name and a million zeros.
  private mutating func isWorthReading(_ section: Section, _ object: borrowing ObjectFile) -> Bool {
    let entries = section.contentSize / Self.entrySize
    let relocations = object.relocationSections(of: section.index).reduce(0) {
      $0 + object[$1].contentSize / Relocation.size
    }
    guard entries > relocations + Self.entriesReadAnyway else { return true }
    faults.append(
      Finding(
        .tableSection, .error, section: section.index,
        "the table has \(entries) entries and \(relocations) relocations, where each entry must have two"))
    return false
  }

  private static let entriesReadAnyway = 10_000

  /// Flags that no table may have, with their names.
  static let foreignFlags: [(flag: SectionFlags, name: String)] = [
    (.exclude, "SHF_EXCLUDE: linkers leave it out"), (.tls, "SHF_TLS"), (.compressed, "SHF_COMPRESSED"),
    (.merge, "SHF_MERGE"),
  ]

  private mutating func checkHeader(of section: Section, isUserTable: Bool) {
    func fault(_ message: String) {
      faults.append(Finding(.tableSection, .error, section: section.index, message))
    }
    if section.type != .progbits { fault("the table's section has type \(section.type.rawValue), not SHT_PROGBITS") }
    if section.size % UInt64(Self.entrySize) != 0 {
      fault("the table takes \(section.size) bytes, which is no whole number of \(Self.entrySize)-byte entries")
    }
    if !section.flags.contains(.alloc) { fault("the table's section is not loaded (no SHF_ALLOC)") }
    // The kernel sorts the table where it is (kernel/static_call_inline.c, static_call_sort_entries).
    if !isUserTable, !section.flags.contains(.write) { fault("the table's section is not writable (no SHF_WRITE)") }
    // objtool's tables are not aligned; linkers align them, and the kernel's linker script does.
    if isUserTable, section.alignment < 4 {
      fault("the table's section is aligned to \(section.alignment), not to 4 bytes")
    }
    // Linkers would leave a gap in front of it, and a runtime takes zeros for an entry.
    if section.alignment > UInt64(Self.entrySize) {
      fault("the table's section is aligned to \(section.alignment): linkers leave gaps between such tables")
    }
    for (flag, name) in Self.foreignFlags where section.flags.contains(flag) {
      fault("the table's section has a flag that no table may have (\(name))")
    }
    // `ld -r` drops the entry size.
    if section.entrySize != 0, section.entrySize != UInt64(Self.entrySize) {
      fault("the table's section says that an entry takes \(section.entrySize) bytes, not \(Self.entrySize)")
    }
  }

  /// The fields come from the relocations alone. The kernel loads no module in which the place of one holds something else
  /// (arch/x86/kernel/module.c, "existing value is nonzero").
  private mutating func checkContents(of section: Section, _ object: borrowing ObjectFile) {
    let stray = object.withContents(of: section.index) { bytes in bytes.indices.first { bytes[$0] != 0 } }
    guard let stray else { return }
    faults.append(
      Finding(
        .tableSection, .error, section: section.index, offset: SectionOffset(stray),
        "the table's own bytes are not zero; its relocations say everything"))
  }

  /// The relocation of one field, and how many there are.
  struct Field {
    var relocation: Relocation?
    var count: UInt32 = 0
    /// Whether there is one that does nothing (`R_*_NONE`), as linkers leave behind where they discarded what it referred to.
    var isVoid = false

    /// Why the field is none of an entry.
    fileprivate func fault(of name: String, expecting type: RelocationType) -> String? {
      guard count == 1, let relocation else {
        let none = isVoid ? "no relocation any more (R_*_NONE): what it named was discarded" : "no relocation"
        return "its \(name) has \(count == 0 ? none : "\(count) relocations")"
      }
      if relocation.type == type { return nil }
      return "its \(name) has a relocation of type \(relocation.type.rawValue), not \(type.rawValue)"
    }
  }
}

/// One entry of an existing table.
struct TableEntry {
  var table: SectionIndex
  /// Position in its section, counted from 0.
  var number: Int
  /// Where the entry says that a call site is.
  var site: SitePosition?
  /// Whether the site is named through a weak symbol: after linking that may be another object's.
  var isReplaceable = false
  /// The symbol that the key slot names.
  var key: SymbolIndex?
  /// The key slot's addend: the flags.
  var flags: Int64 = 0
  /// What is wrong with the entry's own relocations; such an entry names no site or no key.
  var fault: String?

  fileprivate init(
    table: SectionIndex, number: Int, site: ExistingTable.Field, key: ExistingTable.Field, _ type: RelocationType,
    _ object: borrowing ObjectFile
  ) {
    self.table = table
    self.number = number
    fault = key.fault(of: "key", expecting: type) ?? site.fault(of: "address", expecting: type)
    guard fault == nil, let siteRelocation = site.relocation, let keyRelocation = key.relocation else { return }
    self.key = keyRelocation.symbol
    flags = keyRelocation.addend
    let symbol = object.symbol(siteRelocation.symbol)
    isReplaceable = symbol.binding == .weak
    guard case .section(let section) = object.place(of: symbol, at: siteRelocation.symbol) else {
      fault = "its address refers to a symbol that is not defined in this object"
      return
    }
    let offset = Int64(bitPattern: symbol.value) &+ siteRelocation.addend
    guard offset >= 0, offset < Int64(clamping: object[section].size) else {
      fault = "its address lies outside section \(object.name(of: section))"
      return
    }
    self.site = SitePosition(section: section, offset: SectionOffset(Int(offset)))
  }
}

/// Where a site is.
struct SitePosition: Hashable, Comparable, Sendable {
  var section: SectionIndex
  var offset: SectionOffset

  static func < (left: SitePosition, right: SitePosition) -> Bool {
    (left.section, left.offset) < (right.section, right.offset)
  }

  /// One number is hashed in half the time of two.
  func hash(into hasher: inout Hasher) { hasher.combine(section.rawValue &<< 40 ^ offset.rawValue) }
}

extension CallSite {
  var position: SitePosition { SitePosition(section: section, offset: offset) }

  /// Whether it is a direct branch that a runtime could patch, in the table or not.
  var mayHaveEntry: Bool {
    switch status {
    case .direct, .leftOut, .left(.sharedAddress): true
    case .convertible, .left, .noCall: false
    }
  }

  /// Whether only an address says which trampoline is meant, and several are there.
  var isAmbiguous: Bool { if case .left(.sharedAddress) = status { true } else { false } }
}
