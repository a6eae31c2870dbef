import Disassembly
import ObjectFile

/// Everything that staticcall knows about an object before it decides anything.
struct Survey {
  var index: TrampolineIndex
  /// Every use of a trampoline, by section, then offset.
  var sites: [CallSite]
  /// The key of each trampoline, in the order of ``TrampolineIndex/trampolines``; none in an object without uses of one.
  var keys: [KeyChoice] = []
  /// References in code that no site of their own stands for.
  var records = ReferenceRecords()
  /// Branches that addresses may get to, by the places of the sites that stand for the addresses.
  var reached: [SitePosition: SectionOffset] = [:]
  /// Changes that go along with the calls that are going to be direct.
  var deadLoads: [CodeEdit] = []
  /// What was noticed on the way, in no particular order.
  var findings: [Finding]
  /// The tables that are there already.
  var table: ExistingTable

  var isEmpty: Bool { sites.isEmpty && table.sections.isEmpty && findings.isEmpty }

  /// The sections that diagnostics and listings may name places of.
  var sections: Set<SectionIndex> {
    Set(sites.map(\.section)).union(findings.compactMap(\.section)).union(table.entries.compactMap { $0.site?.section })
  }

  /// Tables of the kernel's layout in an object of user space, whose runtime does not read them.
  func unreadTables(in object: borrowing ObjectFile) -> [SectionIndex] {
    guard index.isOfUserSpace else { return [] }
    return table.sections.filter { object[$0].size > 0 && object.name(of: $0) == Options.kernelTable }
  }

  func places(in object: borrowing ObjectFile) -> Places { Places(of: sections, in: object) }

  func trampoline(of site: CallSite) -> Trampoline { index.trampolines[site.trampoline] }

  /// The name of the static call that a site belongs to, or the names that it may be.
  func callName(of site: CallSite) -> String {
    guard site.isAmbiguous else { return trampoline(of: site).displayName }
    let names = index.trampolines(at: site.trampoline).prefix(Self.listedNames).map {
      index.trampolines[$0].displayName
    }
    return Set(names).sorted().joined(separator: " or ")
  }

  /// Of more names at one address nobody reads all.
  private static let listedNames = 8

  /// The message for a call by an address that several trampolines have.
  func describeCallOfSharedAddress(_ site: CallSite) -> String {
    "\(site.kind?.noun ?? "use") by address, of \(callName(of: site)): their trampolines are at one address"
  }
}

/// Whether an object that was only just opened looks as if it were to get a table: it names trampolines and has none.
func promisesTable(_ object: borrowing ObjectFile, _ options: Options) -> Bool {
  guard options.families.contains(where: { object.symbolNamesContain($0.trampolinePrefix) }) else { return false }
  let names = [options.tableSection, Options.kernelTable, Options.userTable].map { Array($0.utf8) }
  return !object.sections.contains { section in names.contains { object.name(of: section.index, is: $0) } }
}

/// Makes the survey of an object: trampolines, then references, then call sites, then the table. Without `followsAddresses`, of the call
/// sites there are only those that are direct.
func surveyObject(
  _ object: borrowing ObjectFile, _ options: Options, includingData: Bool = false, followsAddresses: Bool = true
) throws -> Survey {
  try surveyObject(
    object, TrampolineIndex(object, options), options, includingData: includingData, followsAddresses: followsAddresses)
}

/// Makes the survey of an object with these trampolines: the table, then references, then call sites.
func surveyObject(
  _ object: borrowing ObjectFile, _ index: TrampolineIndex, _ options: Options, includingData: Bool = false,
  followsAddresses: Bool = true
) throws -> Survey {
  let table = try ExistingTable(in: object, options)
  // Most objects have no static calls: one search through the symbols' names answers for them.
  guard !index.isEmpty else { return Survey(index: index, sites: [], findings: [], table: table) }

  let references = try References(to: index, in: object, options)
  let withTrampolines = Set(index.sections)
  guard !references.inCode.isEmpty || !references.inData.isEmpty || !withTrampolines.isEmpty else {
    return Survey(index: index, sites: [], findings: [], table: table)
  }

  // From here on something may have to be decoded.
  let involved = references.referring.union(withTrampolines)
  var resolver = CallSiteResolver(
    index, references, in: involved,
    keepsAddressesInData: !references.inData.isEmpty || options.callsThroughKeys,
    followsAddresses: followsAddresses, options, object)
  var next = references.inCode.startIndex
  for (section, role) in references.code where involved.contains(section) {
    let start = next
    while next < references.inCode.endIndex, references.inCode[next].section == section { next += 1 }
    try resolver.resolve(references.inCode[start..<next], in: section, role: role, object)
    // Beside a trampoline, the assembler may have resolved branches to it by itself.
    if withTrampolines.contains(section) { try resolver.resolveUnrelocated(in: section, role: role, object) }
  }
  if includingData {
    for reference in references.inData { resolver.resolveData(reference) }
  }
  var findings = resolver.findings
  if object.intermediateCode == .besidesMachineCode, resolver.sites.contains(where: { $0.status == .direct }) {
    findings.append(
      Finding(.fatObject, .warning, section: nil, "the object also holds intermediate code for link-time optimisation"))
  }
  let sites = resolver.sites.inOrder(of: \.position)
  let unaccounted = followsAddresses ? resolver.records.unaccounted(references.inCode, sites) : []
  findings += unaccounted.map { reference in
    Finding(
      .selfCheck, .warning, section: reference.section, offset: reference.relocation.offset,
      "a reference to a trampoline is not accounted for (a bug in staticcall)")
  }
  return Survey(
    index: index, sites: sites, keys: index.keyChoices(options), records: resolver.records, reached: resolver.reached,
    deadLoads: resolver.deadLoads,
    findings: findings, table: table)
}
