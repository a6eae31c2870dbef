import Disassembly
import ObjectFile

/// The check of a linked image's tables: each entry leads to a branch of its trampoline and to its key, and each branch to a trampoline
/// has an entry.
///
/// What a linker may do to a call is followed: an entry of a PLT, a veneer for a far target. A branch may go to what the key holds in
/// the file as well, as if it had been patched. The same entry twice is no fault: folding of identical code and weak functions make it.
struct ImageVerification: ~Copyable {
  private let symbols: ImageSymbols
  private let options: Options
  private let architecture: any Architecture.Type
  /// What the dynamic linker puts where.
  private let relocations: [UInt64: LinkedImage.DynamicRelocation]
  private var disassembler: Disassembler
  /// What branches to an address call, once that was worked out.
  private var known: [UInt64: Set<String>] = [:]
  private(set) var diagnostics: [Diagnostic] = []
  private(set) var entries = 0
  /// All sites, in order of address.
  private(set) var sites: [ComparedSite] = []

  /// The function that was decoded last, as far as it was: addresses come mostly in order.
  private var decoded = Decoded(start: .max)
  /// What decides which help is right.
  private var facts: ObjectFacts?
  /// Whether help for a code was given.
  private var helped: Set<Code> = []

  /// Where the instructions of a function begin, as distances from its start.
  private struct Decoded {
    var start: UInt64
    var starts = [0]
    /// How far it was decoded.
    var end = 0
    /// Whether an instruction stands there that the decoder does not know.
    var isStuck = false
  }

  /// An entry as it is in the file.
  private struct Entry {
    var number: Int
    var site: UInt64
    var key: UInt64
    var flags: UInt64
  }

  init(of image: borrowing LinkedImage, _ options: Options) throws {
    let architecture = StaticCalls.architecture(of: image.machine)
    let symbols = try ImageSymbols(of: image, options)
    let tables = try Self.tables(of: image, symbols, options)
    let isConcerned = !tables.isEmpty || !symbols.trampolines.isEmpty || !symbols.imported.isEmpty
    let relocations = isConcerned ? try image.dynamicRelocations() : []
    let disassembler = Disassembler(architecture.instructionSet)
    self.options = options
    self.architecture = architecture
    self.symbols = symbols
    self.relocations = Dictionary(relocations.map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    self.disassembler = disassembler
    guard isConcerned else { return }
    var sites: [UInt64: Entry] = [:]
    var entries: [Entry] = []
    for table in tables { read(table, &entries, image) }
    self.entries = entries.count
    // In order of address, so that each function is decoded once, however many entries lead into it.
    entries.sort { ($0.site, $0.number) < ($1.site, $1.number) }
    for entry in entries { check(entry, &sites, image) }
    checkCalls(sites, hasTable: !tables.isEmpty, image)
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
    let offset = Int(entry.site - segment.addresses.lowerBound)
    let branch = image.withContents(of: segment) { architecture.patchableBranch(at: offset, in: $0) }
    guard let branch else { return fail(.wrongOpcode, "is not at a branch that a runtime can patch") }
    guard beginsInstruction(entry.site, segment, image) ?? true else {
      return fail(.notAnInstruction, "is not at an instruction boundary")
    }
    if UInt64(branch.kind.flags) != entry.flags & 1 {
      fail(
        .flagMismatch,
        "is marked as a \(entry.flags & 1 == 0 ? "call" : "tail call"), and the branch is a \(branch.kind.noun)")
    }
    let target = segment.addresses.lowerBound &+ UInt64(bitPattern: Int64(branch.target))
    checkNames(entry, target, image)
    let names = symbols.keys[entry.key] ?? calls(at: target, image)
    self.sites.append(
      ComparedSite(
        location: locate(entry.site, image), kind: branch.kind, callName: list(names), form: "direct, in table"))
  }

  /// Whether key and branch belong together.
  private mutating func checkNames(_ entry: Entry, _ target: UInt64, _ image: borrowing LinkedImage) {
    func fail(_ code: Code, _ message: String) { report(code, entry.site, "entry \(entry.number) \(message)", image) }
    let called = calls(at: target, image)
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
    if initialTarget(ofKeyAt: entry.key, image) == target { return }
    let place = symbols.function(at: target)?.name ?? "0x\(String(target, radix: 16))"
    fail(
      .noTrampoline,
      "is at a branch to \(place), which is neither the trampoline of \(list(keys)) nor what its key holds")
  }

  /// The address in a key's first word, as the file or the dynamic linker gives it.
  private func initialTarget(ofKeyAt address: UInt64, _ image: borrowing LinkedImage) -> UInt64? {
    if let relocation = relocations[address], relocation.symbolName == nil {
      return UInt64(bitPattern: relocation.addend)
    }
    return image.number(UInt64.self, at: address)
  }

  // MARK: Code

  /// The static calls that a branch to an address makes: directly, or through stubs of the linker.
  private mutating func calls(at address: UInt64, _ image: borrowing LinkedImage) -> Set<String> {
    if let found = known[address] { return found }
    var (place, found) = (address, Set<String>())
    // A veneer may lead to the entry of a PLT; there are no longer chains.
    for _ in 0..<3 {
      if let names = symbols.trampolines[place] {
        found = names
        break
      }
      guard let segment = image.segment(at: place), segment.isExecutable else { break }
      let (start, offset) = (segment.addresses.lowerBound, Int(place - segment.addresses.lowerBound))
      let target = image.withContents(of: segment) { architecture.stubTarget(at: offset, in: $0, address: start) }
      switch target {
      case .address(let next): place = next
      case .memory(let slot):
        if let name = relocations[slot]?.symbolName {
          if let call = options.callName(ofTrampoline: name) { found = [call] }
          known[address] = found
          return found
        }
        guard let next = initialTarget(ofKeyAt: slot, image) else { return [] }
        place = next
      case nil:
        known[address] = found
        return found
      }
    }
    known[address] = found
    return found
  }

  /// Whether an instruction begins at an address; `nil` where no function symbol says from where to decode, or an instruction in front
  /// of it is not known.
  private mutating func beginsInstruction(
    _ address: UInt64, _ segment: LinkedImage.Segment, _ image: borrowing LinkedImage
  ) -> Bool? {
    guard let function = symbols.function(at: address), segment.addresses.contains(function.start) else { return nil }
    if decoded.start != function.start { decoded = Decoded(start: function.start) }
    let wanted = Int(address - function.start)
    image.withContents(of: segment) { code in
      let start = Int(function.start - segment.addresses.lowerBound)
      while decoded.end < wanted, !decoded.isStuck {
        let here = start + decoded.end
        guard let next = disassembler.decode(code, at: here)?.end ?? architecture.resume(after: here) else {
          decoded.isStuck = true
          return
        }
        decoded.end = next - start
        decoded.starts.append(decoded.end)
      }
    }
    if decoded.end < wanted { return nil }
    let position = decoded.starts.partitionPoint { $0 >= wanted }
    return position < decoded.starts.count && decoded.starts[position] == wanted
  }

  /// Reports branches to trampolines without an entry.
  private mutating func checkCalls(_ sites: [UInt64: Entry], hasTable: Bool, _ image: borrowing LinkedImage) {
    var missing: [(site: UInt64, kind: CallKind, names: Set<String>)] = []
    let targets = wantedTargets(image)
    for segment in image.segments where segment.isExecutable {
      let start = segment.addresses.lowerBound
      for (offset, branch) in branches(to: targets, in: segment, image) {
        let site = start + UInt64(offset)
        guard sites[site] == nil, beginsInstruction(site, segment, image) ?? true, !isIgnored(site, image) else {
          continue
        }
        let names = calls(at: start &+ UInt64(bitPattern: Int64(branch.target)), image)
        missing.append((site, branch.kind, names))
        self.sites.append(
          ComparedSite(
            location: locate(site, image), kind: branch.kind, callName: list(names), form: "direct, not in table"))
      }
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

  /// The addresses that direct branches to trampolines may have as their target: the trampolines, and stubs that lead to them.
  private mutating func wantedTargets(_ image: borrowing LinkedImage) -> Set<UInt64> {
    var targets = Set(symbols.trampolines.keys)
    for section in image.sections where section.flags.contains(.execInstr) && section.hasFileContents {
      guard image.name(of: section).hasPrefix(".plt") else { continue }
      // Entries of a PLT have 8, 16 or 24 bytes, and its first one another number.
      for offset in stride(from: 0, to: section.contentSize, by: 4) {
        let address = section.address &+ UInt64(offset)
        if !calls(at: address, image).isEmpty { targets.insert(address) }
      }
    }
    for address in symbols.veneers where !calls(at: address, image).isEmpty { targets.insert(address) }
    return targets
  }

  /// What looks like a direct branch to one of `targets` in a segment, and at which offset.
  private func branches(
    to targets: Set<UInt64>, in segment: LinkedImage.Segment, _ image: borrowing LinkedImage
  ) -> [(offset: Int, branch: PatchableBranch)] {
    guard let lowest = targets.min(), let highest = targets.max() else { return [] }
    let start = segment.addresses.lowerBound
    // A call of an undefined weak function leads to the next instruction (AAELF64, "Relocation operations"), which nothing tells from a call
    // of the trampoline there. The x86-64 psABI has no such rule.
    let mayBeUndefined = image.machine == .aarch64
    var found: [(Int, PatchableBranch)] = []
    image.withContents(of: segment) { code in
      var offset = 0
      while offset < code.count {
        if let branch = architecture.patchableBranch(at: offset, in: code),
          !mayBeUndefined || branch.target != offset + branch.length
        {
          let target = start &+ UInt64(bitPattern: Int64(branch.target))
          if target >= lowest, target <= highest, targets.contains(target) { found.append((offset, branch)) }
        }
        offset = architecture.resume(after: offset) ?? offset + 1
      }
    }
    return found
  }

  private func isIgnored(_ site: UInt64, _ image: borrowing LinkedImage) -> Bool {
    guard let section = image.section(at: site) else { return false }
    let name = image.name(of: section)
    return name.hasPrefix(".plt") || name == ".altinstr_replacement" && !options.includesAlternatives
  }

  // MARK: Reporting

  private mutating func report(
    _ code: Code, _ address: UInt64?, _ message: String, _ image: borrowing LinkedImage, severity: Severity = .error
  ) {
    let isFirst = helped.insert(code).inserted
    // The symbols were read before: nothing is thrown any more.
    let facts = facts ?? (try? ObjectFacts(of: image)) ?? ObjectFacts()
    self.facts = facts
    diagnostics.append(
      Diagnostic(
        code, severity, at: address.map { locate($0, image) }, message, help: isFirst ? code.help(for: facts) : []))
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
