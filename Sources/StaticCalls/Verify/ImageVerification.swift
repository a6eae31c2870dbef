import Disassembly
import ObjectFile

/// The check of a linked image's tables: each entry leads to a branch of its trampoline and to its key, and each branch to a trampoline
/// has an entry.
///
/// What a linker may do to a call is followed: an entry of a PLT, a veneer for a far target. A branch may go to what the key holds in
/// the file as well, as if it had been patched. The same entry twice is no fault: folding of identical code and weak functions make it.
///
/// What is found where nobody can tell whether an instruction begins there is no finding: a right program must not fail.
struct ImageVerification: ~Copyable {
  private let options: Options
  private let architecture: any Architecture.Type
  private var targets: ImageTargets
  private var code: ImageCode
  private(set) var diagnostics: [Diagnostic] = []
  private(set) var entries = 0
  /// All sites, in order of address.
  private(set) var sites: [ComparedSite] = []
  /// What decides which help is right.
  private var facts: ObjectFacts?
  /// Whether help for a code was given.
  private var helped: Set<Code> = []

  private var symbols: ImageSymbols { targets.symbols }

  /// An entry as it is in the file.
  private struct Entry {
    var number: Int
    var site: UInt64
    var key: UInt64
    var flags: UInt64
  }

  init(of image: borrowing LinkedImage, _ options: Options) throws {
    let symbols = try ImageSymbols(of: image, options)
    let tables = try Self.tables(of: image, symbols, options)
    let isConcerned = !tables.isEmpty || !symbols.trampolines.isEmpty || !symbols.imported.isEmpty
    let relocations = isConcerned ? try image.dynamicRelocations() : []
    let code = ImageCode(of: image, symbols, relocations)
    targets = ImageTargets(symbols, relocations, code, image, options)
    self.code = code
    self.options = options
    architecture = StaticCalls.architecture(of: image.machine)
    guard isConcerned else { return }
    var sites: [UInt64: Entry] = [:]
    var entries: [Entry] = []
    for table in tables { read(table, &entries, image) }
    self.entries = entries.count
    // In order of address, so that each function is decoded once, however many entries lead into it.
    entries.sort { ($0.site, $0.number) < ($1.site, $1.number) }
    for entry in entries { check(entry, &sites, image) }
    checkCalls(sites, hasTable: !tables.isEmpty, image)
    reportIndirectCalls(image)
    self.sites.sort { $0.location.address ?? 0 < $1.location.address ?? 0 }
  }

  // MARK: Tables

  /// The tables' address ranges: sections with a table's name, and what symbols border.
  private static func tables(
    of image: borrowing LinkedImage, _ symbols: ImageSymbols, _ options: Options
  ) throws(ObjectFileError) -> [Range<UInt64>] {
    var tables: [Range<UInt64>] = []
    for section in image.sections where section.flags.contains(.alloc) && section.hasFileContents {
      guard options.tableSections.contains(image.name(of: section)) else { continue }
      guard !section.address.addingReportingOverflow(section.size).overflow else {
        throw .damaged("section \(section.index.rawValue) reaches past the end of all addresses")
      }
      tables.append(section.address..<section.address + section.size)
    }
    tables = (tables + symbols.tables).sorted { $0.lowerBound < $1.lowerBound }
    // What a section holds and symbols border is one table.
    var last: UInt64 = 0
    return tables.filter { table in
      guard table.lowerBound >= last else { return false }
      last = table.upperBound
      return true
    }
  }

  private mutating func read(_ table: Range<UInt64>, _ entries: inout [Entry], _ image: borrowing LinkedImage) {
    let (size, length) = (UInt64(ExistingTable.entrySize), table.upperBound - table.lowerBound)
    if length % size != 0 {
      report(
        .tableSection, table.lowerBound, "the table takes \(length) bytes, which is no whole number of entries",
        image)
    }
    if table.lowerBound % 4 != 0 {
      report(.tableSection, table.lowerBound, "the table is not aligned to 4 bytes", image)
    }
    for number in 0..<Int(clamping: length / size) {
      let field = table.lowerBound + UInt64(number) * size
      guard let distance = image.number(Int32.self, at: field), let second = image.number(Int32.self, at: field + 4)
      else {
        report(.tableSection, field, "the file does not hold the table's contents", image)
        return
      }
      let key = field &+ 4 &+ UInt64(bitPattern: Int64(second))
      entries.append(
        Entry(number: number, site: field &+ UInt64(bitPattern: Int64(distance)), key: key & ~3, flags: key & 3))
    }
  }

  private mutating func check(_ entry: Entry, _ sites: inout [UInt64: Entry], _ image: borrowing LinkedImage) {
    func fail(_ code: Code, _ message: String) { report(code, entry.site, "entry \(entry.number) \(message)", image) }
    if let first = sites[entry.site] {
      if first.key != entry.key || first.flags != entry.flags {
        fail(.duplicateEntry, "names the same site as entry \(first.number), with another key or flag")
      }
      return
    }
    sites[entry.site] = entry
    guard let segment = image.segment(at: entry.site), segment.isExecutable else {
      return fail(.notCode, "has an address that is not in an executable segment")
    }
    if entry.flags & 2 != 0 { fail(.entryFlags, "has flags \(entry.flags); in a file only bit 0 may be set") }
    let judgement = code.judge(entry.site, image)
    if case .place(.prefix(let distance), _) = judgement {
      return fail(.notAnInstruction, "is at a prefix; the branch itself begins at +\(distance)")
    }
    let offset = Int(entry.site - segment.addresses.lowerBound)
    let branch = image.withContents(of: segment) { architecture.patchableBranch(at: offset, in: $0) }
    guard let branch else {
      let isErased = image.withContents(of: segment) { architecture.isErasedBranch(at: offset, in: $0) }
      if isErased, let keys = symbols.keys[entry.key], symbols.mayBeNowhere(keys) { return }
      return fail(.wrongOpcode, "is not at a branch that a runtime can patch")
    }
    let target = segment.addresses.lowerBound &+ UInt64(bitPattern: Int64(branch.target))
    if let (code, fault) = fault(of: judgement, isCallOfItsKey: isCall(of: entry, target, image)) {
      return fail(code, fault)
    }
    if UInt64(branch.kind.flags) != entry.flags & 1 {
      fail(
        .flagMismatch,
        "is marked as a \(entry.flags & 1 == 0 ? "call" : "tail call"), and the branch is a \(branch.kind.noun)")
    }
    checkNames(entry, target, following: entry.site + UInt64(branch.length), image)
    let names = symbols.keys[entry.key] ?? targets.calls(at: target, image)
    self.sites.append(
      ComparedSite(
        location: locate(entry.site, image), kind: branch.kind, callName: list(names), form: "direct, in table"))
  }

  /// What is wrong with an entry's place, whose bytes form a branch.
  ///
  /// Where data and code are mixed the decoder may be mistaken; bytes that form a call of the very trampoline that the entry is for are a
  /// better argument then.
  private func fault(
    of judgement: ImageCode.Judgement, isCallOfItsKey: Bool
  ) -> (code: Code, message: String)? {
    switch judgement {
    case .place(.site, _), .unknown: nil
    case .place(_, isCertain: false) where isCallOfItsKey: nil
    case .data where isCallOfItsKey: nil
    case .place(.unpatchableBranch, _): (.wrongOpcode, "is at a branch that a runtime cannot patch")
    case .place: (.notAnInstruction, "is not at an instruction boundary")
    case .data: (.notCode, "lies in data")
    }
  }

  /// Whether a branch to an address calls the trampoline of an entry's key.
  private mutating func isCall(of entry: Entry, _ target: UInt64, _ image: borrowing LinkedImage) -> Bool {
    let keys = symbols.keys[entry.key] ?? symbols.trampolines[entry.key] ?? []
    return !targets.calls(at: target, image).isDisjoint(with: keys)
  }

  /// Whether key and branch belong together.
  private mutating func checkNames(
    _ entry: Entry, _ target: UInt64, following: UInt64, _ image: borrowing LinkedImage
  ) {
    func fail(_ code: Code, _ message: String) { report(code, entry.site, "entry \(entry.number) \(message)", image) }
    let called = targets.calls(at: target, image)
    // A module's entry may name the trampoline in place of the key.
    let keys = symbols.keys[entry.key] ?? symbols.trampolines[entry.key]
    // An image without these symbols cannot say more.
    guard let keys else {
      if !symbols.keys.isEmpty { fail(.keyMismatch, "names 0x\(String(entry.key, radix: 16)), where no key is") }
      return
    }
    if !called.isEmpty {
      guard called.isDisjoint(with: keys) else { return }
      return fail(.keyMismatch, "names the key of \(list(keys)), and the branch calls \(list(called))")
    }
    if targets.contents(at: entry.key, image) == target { return }
    // Linkers let a call of an undefined weak function lead to address 0, or to the next instruction.
    if symbols.mayBeNowhere(keys), target == following || targets.leadsNowhere(target, image) { return }
    let place = symbols.function(at: target)?.name ?? "0x\(String(target, radix: 16))"
    fail(
      .noTrampoline,
      "is at a branch to \(place), which is neither the trampoline of \(list(keys)) nor what its key holds")
  }

  // MARK: Code

  /// Reports branches to trampolines without an entry.
  private mutating func checkCalls(_ sites: [UInt64: Entry], hasTable: Bool, _ image: borrowing LinkedImage) {
    var missing: [(site: UInt64, kind: CallKind, names: Set<String>)] = []
    for (site, branch, target) in branches(image) {
      guard sites[site] == nil, case .place(.site, _) = code.judge(site, image), !isIgnored(site, image),
        !leadsOverStubs(site, image)
      else { continue }
      let names = targets.calls(at: target, image)
      missing.append((site, branch.kind, names))
      self.sites.append(
        ComparedSite(
          location: locate(site, image), kind: branch.kind, callName: list(names), form: "direct, not in table"))
    }
    if hasTable {
      for (site, kind, names) in missing {
        report(.missingEntry, site, "\(kind.noun) of \(list(names)) has no table entry", image)
      }
    } else if let first = missing.first {
      let count = "\(missing.count) \(missing.count == 1 ? "static call" : "static calls")"
      report(
        .droppedTable, first.site, "\(count), the first of \(list(first.names)), and no table of them", image)
    } else {
      report(.droppedTable, nil, "trampolines of static calls, and no table", image, severity: .warning)
    }
  }

  /// What looks like a direct branch to a trampoline, or to a stub that leads there.
  private func branches(_ image: borrowing LinkedImage) -> [(site: UInt64, branch: PatchableBranch, target: UInt64)] {
    let addresses = targets.addresses
    guard let lowest = addresses.min(), let highest = addresses.max() else { return [] }
    // A call of an undefined weak function leads to the next instruction (AAELF64, "Relocation operations"), which nothing tells from a call
    // of the trampoline there. The x86-64 psABI has no such rule.
    let mayBeUndefined = image.machine == .aarch64
    var found: [(UInt64, PatchableBranch, UInt64)] = []
    code.forEachRange(image) { range, contents in
      let start = range.segment.addresses.lowerBound
      let end = range.offset(of: range.addresses.upperBound)
      var offset = range.offset(of: range.addresses.lowerBound)
      while offset < end {
        if let branch = architecture.patchableBranch(at: offset, in: contents),
          !mayBeUndefined || branch.target != offset + branch.length
        {
          let target = start &+ UInt64(bitPattern: Int64(branch.target))
          if target >= lowest, target <= highest, addresses.contains(target) {
            found.append((start + UInt64(offset), branch, target))
          }
        }
        offset = architecture.resume(after: offset) ?? offset + 1
      }
    }
    return found
  }

  /// Whether a branch is a linker's own, over stubs that it put into the middle of the code: what is behind them may be a trampoline.
  private func leadsOverStubs(_ site: UInt64, _ image: borrowing LinkedImage) -> Bool {
    guard symbols.function(at: site) == nil, let range = code.range(at: site) else { return false }
    return image.withContents(of: range.segment) { contents in
      architecture.leadsOverStubs(at: range.offset(of: site), in: contents) { offset in
        symbols.stubs.contains(range.segment.addresses.lowerBound + UInt64(offset))
      }
    }
  }

  /// Reports calls that no table can hold, because they are not direct.
  private mutating func reportIndirectCalls(_ image: borrowing LinkedImage) {
    for call in IndirectImageCalls(in: image, &targets, &code).calls where !isIgnored(call.site, image) {
      let name = list(call.names)
      report(
        call.code, call.site, call.code.describe(callThrough: call.through, of: name), image, severity: .warning,
        help: ["Run `staticcall annotate` on the object that the call comes from, and link again."])
      sites.append(
        ComparedSite(
          location: locate(call.site, image), kind: call.kind, callName: name,
          form: "through \(call.through == "GOT" ? "the GOT" : call.through), stays indirect", indirect: call))
    }
  }

  private func isIgnored(_ site: UInt64, _ image: borrowing LinkedImage) -> Bool {
    guard let section = image.section(at: site) else { return false }
    let name = image.name(of: section)
    return isProcedureLinkageTable(name) || name == ".altinstr_replacement" && !options.includesAlternatives
  }

  // MARK: Reporting

  private mutating func report(
    _ code: Code, _ address: UInt64?, _ message: String, _ image: borrowing LinkedImage, severity: Severity = .error,
    help: [String]? = nil
  ) {
    let isFirst = helped.insert(code).inserted
    // The symbols were read before: nothing is thrown any more.
    let facts = facts ?? (try? ObjectFacts(of: image)) ?? ObjectFacts()
    self.facts = facts
    diagnostics.append(
      Diagnostic(
        code, severity, at: address.map { locate($0, image) }, message,
        help: isFirst ? help ?? code.help(for: facts) : []))
  }

  private func locate(_ address: UInt64, _ image: borrowing LinkedImage) -> DiagnosticLocation {
    let section = image.section(at: address)
    let function = symbols.function(at: address)
    return DiagnosticLocation(
      section: section.map { image.name(of: $0) }, offset: section.map { Int(clamping: address - $0.address) },
      function: function?.name, functionOffset: function.map { Int(clamping: address - $0.start) }, address: address)
  }

  private func list(_ names: Set<String>) -> String { names.sorted().joined(separator: " or ") }
}
