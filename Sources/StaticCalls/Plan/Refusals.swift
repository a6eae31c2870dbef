import ObjectFile

extension TablePlan {
  /// How many places a message lists before it only counts.
  private static let listedPlaces = 10

  /// Throws ``Refusal`` where the table cannot be made as it must be. Never a half-filled table.
  func refuseImpossible(_ survey: Survey, _ object: borrowing ObjectFile, _ options: Options) throws(Refusal) {
    let places = survey.places(in: object)
    func describe(_ site: CallSite) -> String { places.describe(site.offset, of: site.section, object) }

    var diagnostics = overlaps(describe)
    if let grouped = siteInDiscardableGroup(object) {
      diagnostics.append(
        Diagnostic(
          .comdatSite, .error, at: describe(grouped),
          "the call is in a section that the linker may discard for another object's copy (COMDAT)",
          help: Code.comdatSite.remedy.map { [$0] } ?? []))
    }
    if let table = survey.table.sections.first(where: { !isOrdinary($0, object) }) {
      diagnostics.append(
        Diagnostic(
          .foreignTable, .error, "section \(object.name(of: table)) belongs to a group or to one code section",
          help: Code.foreignTable.remedy.map { [$0] } ?? []))
    }
    diagnostics += keyProblems(survey, describe, options)
    if diagnostics.isEmpty, !stale.isEmpty || !survey.table.faults.isEmpty, !options.rebuildsTable {
      diagnostics.append(staleTable(survey, places, object))
    }
    guard diagnostics.isEmpty else { throw Refusal(diagnostics) }
  }

  /// No two sites may own the same byte.
  private func overlaps(_ describe: (CallSite) -> String) -> [Diagnostic] {
    for (first, second) in zip(entries, entries.dropFirst())
    where first.site.section == second.site.section
      && second.site.offset.rawValue < first.site.offset.rawValue + first.site.length
    {
      return [
        Diagnostic(.overlappingSites, .error, at: describe(second.site), "two relocated branches share bytes")
      ]
    }
    return []
  }

  private func siteInDiscardableGroup(_ object: borrowing ObjectFile) -> CallSite? {
    let members = Set(object.groups.filter(\.isComdat).flatMap(\.members))
    return entries.first { members.contains($0.site.section) }?.site
  }

  private func isOrdinary(_ table: SectionIndex, _ object: borrowing ObjectFile) -> Bool {
    object[table].flags.isDisjoint(with: [.group, .linkOrder]) && object.relocationSections(of: table).count <= 1
  }

  private func keyProblems(
    _ survey: Survey, _ describe: (CallSite) -> String, _ options: Options
  ) -> [Diagnostic] {
    var diagnostics: [Diagnostic] = []
    var reported: Set<[UInt8]> = []
    for entry in entries {
      let trampoline = survey.trampoline(of: entry.site)
      let name = String(decoding: options.keyPrefix + trampoline.callName, as: UTF8.self)
      switch entry.key {
      case .missing where !options.addMissingKeys && reported.insert(trampoline.callName).inserted:
        diagnostics.append(
          Diagnostic(
            .missingKey, .error, "no key symbol \(name) for the call at \(describe(entry.site))",
            help: [
              "In a module that calls a static call it may not update, use --module.",
              "Otherwise declare the key where the call is compiled, or add it here with --add-missing-keys.",
            ]))
      case .ambiguous where reported.insert(trampoline.callName).inserted:
        diagnostics.append(
          Diagnostic(
            .ambiguousKey, .error,
            "several local symbols \(name), and none is known to belong to the call at \(describe(entry.site))",
            help: Code.ambiguousKey.remedy.map { [$0] } ?? []))
      default: break
      }
    }
    return diagnostics
  }

  private func staleTable(_ survey: Survey, _ places: Places, _ object: borrowing ObjectFile) -> Diagnostic {
    var lines = survey.table.faults.map(\.message)
    lines += stale.map { stale in
      let place = stale.entry.site.map { " (\(places.describe($0.offset, of: $0.section, object)))" } ?? ""
      return "entry \(stale.entry.number)\(place): \(stale.reason)"
    }
    let hidden = lines.count - Self.listedPlaces
    if hidden > 0 { lines = lines.prefix(Self.listedPlaces) + ["and \(hidden) more"] }
    return Diagnostic(
      .staleTable, .error,
      "the existing table is not one that annotate would make (\(stale.count) of \(survey.table.entries.count) entries)",
      help: lines + (Code.staleTable.remedy.map { [$0] } ?? []))
  }
}
