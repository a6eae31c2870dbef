import ObjectFile

/// What branches in a linked image call: trampolines, directly or through what linkers put in between.
struct ImageTargets {
  let symbols: ImageSymbols
  private let names: SpecialNames
  private let architecture: any Architecture.Type
  /// What the dynamic linker puts where.
  private let relocations: [UInt64: LinkedImage.DynamicRelocation]
  /// The addresses that direct branches to trampolines may have as their target: the trampolines, and stubs that lead to them.
  private(set) var addresses: Set<UInt64> = []
  /// The memory that holds the address of a trampoline, eight bytes each, where nobody changes it once the program runs; and the static
  /// calls that a branch through it makes.
  private(set) var slots: [UInt64: Set<String>] = [:]
  /// What branches to an address call, once that was worked out.
  private var known: [UInt64: Set<String>] = [:]

  init(
    _ symbols: ImageSymbols, _ relocations: [LinkedImage.DynamicRelocation], _ code: borrowing ImageCode,
    _ image: borrowing LinkedImage, _ options: Options
  ) {
    self.symbols = symbols
    names = SpecialNames(options, image.machine)
    architecture = StaticCalls.architecture(of: image.machine)
    self.relocations = Dictionary(relocations.map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    addresses = findAddresses(image, code)
    slots = findSlots(image)
  }

  /// The static calls that a branch to an address makes: directly, or through stubs of the linker.
  mutating func calls(at address: UInt64, _ image: borrowing LinkedImage) -> Set<String> {
    if let found = known[address] { return found }
    let found = findCalls(at: address, image)
    known[address] = found
    return found
  }

  private func findCalls(at address: UInt64, _ image: borrowing LinkedImage) -> Set<String> {
    var place = address
    // A veneer may lead to the entry of a PLT; there are no longer chains.
    for _ in 0..<4 {
      if let names = symbols.trampolines[place] { return names }
      guard let segment = image.segment(at: place), segment.isExecutable else { return [] }
      let (start, offset) = (segment.addresses.lowerBound, Int(place - segment.addresses.lowerBound))
      let target = image.withContents(of: segment) { architecture.stubTarget(at: offset, in: $0, address: start) }
      switch target {
      case .address(let next): place = next
      case .memory(let slot):
        if let name = name(inSlotAt: slot) { return name }
        guard let next = contents(at: slot, image) else { return [] }
        place = next
      case nil: return []
      }
    }
    return []
  }

  /// Whether a branch to an address leads to no function: to address 0, or to an entry of a PLT that nobody fills in. (GNU ld 2.40 aims the
  /// latter, in a static-pie program, one byte beside its slot; it is never called.)
  func leadsNowhere(_ address: UInt64, _ image: borrowing LinkedImage) -> Bool {
    if address == 0 { return true }
    guard let segment = image.segment(at: address), segment.isExecutable else { return false }
    let start = segment.addresses.lowerBound
    let target = image.withContents(of: segment) {
      architecture.stubTarget(at: Int(address - start), in: $0, address: start)
    }
    guard case .memory(let slot) = target else { return false }
    return relocations[slot] == nil
      && image.section(at: address).map { isProcedureLinkageTable(image.name(of: $0)) } ?? false
  }

  private mutating func findSlots(_ image: borrowing LinkedImage) -> [UInt64: Set<String>] {
    var found: [UInt64: Set<String>] = [:]
    for (address, relocation) in relocations {
      let target = UInt64(bitPattern: relocation.addend)
      let names = name(inSlotAt: address) ?? (addresses.contains(target) ? calls(at: target, image) : [])
      if !names.isEmpty, isConstant(address, image) { found[address] = names }
    }
    guard let lowest = addresses.min(), let highest = addresses.max() else { return found }
    // What the file holds counts where no relocation changes it; or where one adds to it (DT_RELR).
    for section in image.sections where section.flags.contains(.alloc) && section.hasFileContents {
      guard let segment = image.segment(at: section.address), isConstant(section.address, image) else { continue }
      let start = Int(section.address - segment.addresses.lowerBound)
      let words: [(address: UInt64, target: UInt64)] = image.withContents(of: segment) { bytes in
        let end = min(bytes.count, start + section.contentSize)
        return stride(from: (start + 7) & ~7, to: max(start, end - 7), by: 8).compactMap { offset in
          guard let target = bytes.littleEndian(UInt64.self, at: offset), target >= lowest, target <= highest,
            addresses.contains(target)
          else { return nil }
          return (segment.addresses.lowerBound + UInt64(offset), target)
        }
      }
      for (address, target) in words where relocations[address] == nil && isConstant(address, image) {
        found[address] = calls(at: target, image)
      }
    }
    return found
  }

  /// Whether memory is part of the GOT, read-only, or written by the dynamic linker alone.
  private func isConstant(_ address: UInt64, _ image: borrowing LinkedImage) -> Bool {
    if image.relocatedOnce?.contains(address) == true { return true }
    guard let section = image.section(at: address) else { return false }
    return !section.flags.contains(.write) || image.name(of: section).hasPrefix(".got")
  }

  /// The static call whose trampoline's address the dynamic linker puts into memory; no name where it puts something else there by name,
  /// `nil` where it puts nothing there by name.
  private func name(inSlotAt slot: UInt64) -> Set<String>? {
    guard let name = relocations[slot]?.symbolName else { return nil }
    let bytes = Array(name.utf8) + [0]
    guard case .trampoline(let call) = names.role(of: 0, in: bytes.span) else { return [] }
    return [SpecialNames.withoutVersion(call)]
  }

  /// The address in eight bytes of memory, as the file or the dynamic linker gives it.
  func contents(at address: UInt64, _ image: borrowing LinkedImage) -> UInt64? {
    if let relocation = relocations[address], relocation.symbolName == nil {
      return UInt64(bitPattern: relocation.addend)
    }
    return image.number(UInt64.self, at: address)
  }

  private mutating func findAddresses(_ image: borrowing LinkedImage, _ code: borrowing ImageCode) -> Set<UInt64> {
    guard !symbols.trampolines.isEmpty || !symbols.imported.isEmpty else { return [] }
    var targets = Set(symbols.trampolines.keys)
    var stubs = symbols.stubs
    for section in image.sections where section.flags.contains(.execInstr) && section.hasFileContents {
      guard isProcedureLinkageTable(image.name(of: section)) else { continue }
      // Entries of a PLT have 8, 16, 24 or 32 bytes, and its first one another number.
      for offset in stride(from: 0, to: section.contentSize, by: 4) {
        stubs.insert(section.address &+ UInt64(offset))
      }
    }
    // gold's veneers have no names: outside of functions, code of their form is one.
    var nameless: [UInt64] = []
    code.forEachRange(image) { range, contents in
      guard architecture.resume(after: 0) != nil else { return }
      let (first, end) = (range.offset(of: range.addresses.lowerBound), range.offset(of: range.addresses.upperBound))
      for offset in stride(from: first, to: end, by: 4) where architecture.mayBeNamelessStub(at: offset, in: contents) {
        nameless.append(range.segment.addresses.lowerBound + UInt64(offset))
      }
    }
    stubs.formUnion(nameless.filter { symbols.function(at: $0) == nil })
    for address in stubs where !calls(at: address, image).isEmpty { targets.insert(address) }
    return targets
  }
}

/// Whether a section of a linked image holds what linkers make to reach other images, or functions that are chosen at the start.
func isProcedureLinkageTable(_ name: String) -> Bool { name.hasPrefix(".plt") || name == ".iplt" }
