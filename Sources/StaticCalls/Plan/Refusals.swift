import ObjectFile

extension TablePlan {
  /// How many stale entries a message lists before it only counts.
  private static let listedEntries = 10

  /// Throws ``Refusal`` where the table cannot be made as it must be. Never a half-filled table.
  func refuseImpossible(_ survey: Survey, _ object: borrowing ObjectFile, _ options: Options) throws(Refusal) {
    var problems = overlaps() + sitesInLinkOnceSections(object) + foreignTables(survey, object, options)
    problems += sharedAddresses(survey) + keyProblems(survey, object, options)
    if problems.isEmpty, !options.rebuildsTable { problems = survey.table.faults + staleEntries() }
    guard problems.isEmpty else { throw Refusal(Places.diagnostics(problems, in: object)) }
  }

  /// No two sites may own the same byte.
  private func overlaps() -> [Finding] {
    entries.indices.dropFirst().compactMap { number in
      let (section, offset) = (entries[number].site.section, entries[number].site.offset)
      guard entries[number - 1].site.section == section, entries[number - 1].site.end > offset.rawValue else {
        return nil
      }
      return Finding(
        .overlappingSites, .error, section: section, offset: offset, "two relocated branches share bytes")
    }
  }

  /// The first site in each section that the linker may discard by its name, which is what compilers did before there were section
  /// groups: no table can be discarded along with it.
  private func sitesInLinkOnceSections(_ object: borrowing ObjectFile) -> [Finding] {
    let linkOnce = Array(".gnu.linkonce.".utf8)
    var sections: Set<SectionIndex> = []
    var last: SectionIndex?
    for entry in entries where entry.site.section != last {
      last = entry.site.section
      if object.name(of: entry.site.section, hasPrefix: linkOnce) { sections.insert(entry.site.section) }
    }
    if sections.isEmpty { return [] }
    return entries.compactMap { entry in
      guard sections.remove(entry.site.section) != nil else { return nil }
      return Finding(
        .comdatSite, .error, section: entry.site.section, offset: entry.site.offset,
        "the call is in \(object.name(of: entry.site.section)), which the linker may discard for another object's copy")
    }
  }

  private func foreignTables(_ survey: Survey, _ object: borrowing ObjectFile, _ options: Options) -> [Finding] {
    var findings: [Finding] = []
    if !options.convertsTable, !entries.isEmpty || survey.index.isOfUserSpace, let other = otherTable(object, options) {
      findings.append(
        Finding(
          .foreignTable, .error, section: other,
          "the object already has a table for \(options.layout == .user ? "the kernel" : "user space")"))
    }
    if !survey.table.sections.isEmpty, !isUpToDate, let symbol = symbolInside(survey.table.sections, object) {
      findings.append(
        Finding(
          .foreignTable, .error, section: nil,
          "the existing table would be replaced, and it defines the symbol \(object.name(of: symbol))"))
    }
    for table in survey.table.sections {
      let isOrdinary =
        otherLayout.contains(table) || options.layout == .user || !object[table].flags.contains(.linkOrder)
      let hasOtherRelocations = object.sections.contains {
        [.rel, .crel].contains($0.type) && Int($0.info) == table.rawValue
      }
      if !isOrdinary || hasOtherRelocations || object.relocationSections(of: table).count > 1 {
        findings.append(
          Finding(.foreignTable, .error, section: table, "the existing table is of a kind that is not handled"))
      }
    }
    return findings
  }

  /// The table of the other layout, by its usual name.
  private func otherTable(_ object: borrowing ObjectFile, _ options: Options) -> SectionIndex? {
    guard let name = options.otherTableSection else { return nil }
    return object.sections.first { object.name(of: $0.index, is: Array(name.utf8)) && $0.size != 0 }?.index
  }

  /// A symbol that somebody defined in one of the tables: what is there is more than a table.
  private func symbolInside(_ tables: [SectionIndex], _ object: borrowing ObjectFile) -> SymbolIndex? {
    object.withSymbols { symbols, names in
      symbols.indices.map { SymbolIndex($0) }.first { index in
        let symbol = symbols[index.rawValue]
        // AArch64's assemblers mark every piece of data with `$d`.
        guard symbol.type != .section, symbol.nameOffset != 0, names[Int(symbol.nameOffset)] != UInt8(ascii: "$"),
          case .section(let section) = object.place(of: symbol, at: index)
        else { return false }
        return tables.contains(section)
      }
    }
  }

  /// Calls by an address that several trampolines have.
  private func sharedAddresses(_ survey: Survey) -> [Finding] {
    let calls = survey.sites.filter(\.isAmbiguous)
    var findings = calls.prefix(Self.listedEntries).map { site in
      Finding(
        .sharedAddress, .error, section: site.section, offset: site.offset,
        survey.describeCallOfSharedAddress(site))
    }
    if calls.count > findings.count {
      findings.append(
        Finding(.sharedAddress, .error, section: nil, "and \(calls.count - findings.count) calls more"))
    }
    return findings
  }

  /// The first call of each static call whose key is not there, not known for certain, or not fit to hold flags.
  private func keyProblems(
    _ survey: Survey, _ object: borrowing ObjectFile, _ options: Options
  ) -> [Finding] {
    var findings: [Finding] = []
    var reported: Set<SymbolName> = []
    for entry in entries {
      var name: String {
        String(decoding: options.keyName(of: survey.trampoline(of: entry.site).callName).bytes, as: UTF8.self)
      }
      let problem: (code: Code, message: String)
      switch entry.key {
      case .missing where !options.addMissingKeys:
        problem = (.missingKey, "the object has no symbol \(name), the key of this call")
      case .missing
      where !options.canAdd(options.keyName(of: survey.trampoline(of: entry.site).callName), asTrampoline: false):
        problem = (
          .missingKey, "the key of this call would be \(name), which is no key by its name: a longer prefix fits"
        )
      case .ambiguous:
        problem = (.ambiguousKey, "several symbols \(name), and none is known to belong to this call")
      case .symbol(let key) where !isAlignedKey(key, in: object):
        problem = (.keyAlignment, "the key \(name) of this call is not aligned to 4 bytes")
      default: continue
      }
      guard reported.insert(survey.trampoline(of: entry.site).callName).inserted else { continue }
      findings.append(
        Finding(problem.code, .error, section: entry.site.section, offset: entry.site.offset, problem.message))
    }
    return findings
  }

  private func staleEntries() -> [Finding] {
    var findings = stale.prefix(Self.listedEntries).map { stale in
      Finding(
        .staleTable, .error, section: stale.entry.site?.section,
        offset: stale.entry.site?.offset ?? SectionOffset(0),
        "entry \(stale.entry.number) of the existing table does not fit the code: \(stale.reason)")
    }
    if stale.count > findings.count {
      findings.append(
        Finding(.staleTable, .error, section: nil, "and \(stale.count - findings.count) entries more"))
    }
    return findings
  }
}
