/// libFuzzer's own mutation, which knows nothing of formats.
@_silgen_name("LLVMFuzzerMutate")
private func mutateBytes(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int) -> Int

/// Changes one thing, or a few, of an ELF file as a hostile mind would: fields of headers, symbols and relocations get values that are
/// nearly right, code gets other branches, sections other names. A quarter of the changes are libFuzzer's own.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: UInt32) -> Int {
  var mutator = Mutator(UnsafeMutableBufferPointer(start: data, count: size), seed)
  if mutator.oneIn(4) { return mutateBytes(data, size, limit) }
  var isChanged = false
  for _ in 0...mutator.below(4) where mutator.change() { isChanged = true }
  return isChanged ? size : mutateBytes(data, size, limit)
}

private struct Mutator {
  private let bytes: UnsafeMutableBufferPointer<UInt8>
  private var state: UInt64
  /// Where the ELF file begins: not at 0 in an archive.
  private var base = 0
  private var table = 0
  private var sectionCount = 0

  init(_ bytes: UnsafeMutableBufferPointer<UInt8>, _ seed: UInt32) {
    self.bytes = bytes
    state = UInt64(seed)
  }

  // MARK: Chance

  /// splitmix64 (Steele, Lea and Flood 2014).
  private mutating func random() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }

  mutating func below(_ bound: Int) -> Int { bound <= 0 ? 0 : Int(random() % UInt64(bound)) }
  mutating func oneIn(_ number: Int) -> Bool { below(number) == 0 }
  private mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  // MARK: Bytes

  private func number(_ offset: Int, _ width: Int) -> UInt64 {
    guard offset >= 0, offset <= bytes.count - width else { return 0 }
    return (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
  }

  private func set(_ offset: Int, _ width: Int, _ value: UInt64) -> Bool {
    guard offset >= 0, offset <= bytes.count - width else { return false }
    for position in 0..<width { bytes[offset + position] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(position))) }
    return true
  }

  /// A value that is nearly `old`, or at a border, or anything.
  private mutating func value(near old: UInt64) -> UInt64 {
    switch below(9) {
    case 0:
      return pick([
        0, 1, 2, 4, 8, 0x7f, 0x80, 0xff, 0xff00, 0xffff, 0x7fff_ffff, 0xffff_ffff, .max, .max - 7, 1 << 63,
        (1 << 63) - 1,
      ])
    case 1: return 1 << random() % 64
    case 2: return UInt64(below(sectionCount + 2))
    case 3: return UInt64(bytes.count - base) &- UInt64(below(9))
    case 4: return random() % 0x200
    case 5: return old ^ (1 << random() % 16)
    case 6: return 0 &- old
    default: return old &+ pick([1, 2, 4, 8, 24, 64]) &* (oneIn(2) ? 1 : .max)
    }
  }

  // MARK: Sections

  private struct Place {
    var start: Int
    var size: Int
  }

  private func header(_ section: Int) -> Int { table + 64 * section }

  /// The contents of a section, as far as they lie in the input.
  private func contents(_ section: Int) -> Place? {
    let (offset, size) = (number(header(section) + 24, 8), number(header(section) + 32, 8))
    guard offset < UInt64(bytes.count), size > 0, size <= UInt64(bytes.count), base + Int(offset) < bytes.count else {
      return nil
    }
    return Place(start: base + Int(offset), size: min(Int(size), bytes.count - base - Int(offset)))
  }

  /// A section of one of these types, or with code.
  private mutating func section(_ types: [UInt64] = [], isCode: Bool = false) -> (index: Int, place: Place)? {
    let first = below(sectionCount)
    for distance in 0..<sectionCount {
      let index = (first + distance) % sectionCount
      let isWanted =
        isCode ? number(header(index) + 8, 8) & 4 != 0 : types.isEmpty || types.contains(number(header(index) + 4, 4))
      if isWanted, let place = contents(index) { return (index, place) }
    }
    return nil
  }

  /// Looks for an ELF file in the input and for its section headers.
  private mutating func locate() -> Bool {
    var starts: [Int] = []
    var position = 0
    while position + 64 <= bytes.count {
      if bytes[position] == 0x7f, number(position, 4) == 0x464c_457f { starts.append(position) }
      position += position == 0 && starts.count == 1 ? bytes.count : 2
    }
    guard !starts.isEmpty else { return false }
    base = pick(starts)
    let offset = number(base + 0x28, 8)
    guard offset < UInt64(bytes.count - base) else { return false }
    table = base + Int(offset)
    sectionCount = min(Int(number(base + 0x3c, 2)), (bytes.count - table) / 64)
    return sectionCount > 0
  }

  // MARK: Changes

  /// Makes a change; `false` where the input has nothing of the kind.
  mutating func change() -> Bool {
    if oneIn(12), let last = bytes.indices.last {
      bytes[last] = UInt8(truncatingIfNeeded: random())
      return true
    }
    guard locate() else { return false }
    switch below(16) {
    case 0: return changeHeader()
    case 1, 2: return changeSection()
    case 3: return changeName()
    case 4, 5, 6: return changeRecord([2, 11], size: 24, [(0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 8)])
    case 7, 8, 9: return changeRelocation()
    case 10: return copyRecord()
    case 11, 12, 13: return changeCode()
    default: return changeContents()
    }
  }

  private mutating func changeHeader() -> Bool {
    let (offset, width) = pick([(0x10, 2), (0x12, 2), (0x28, 8), (0x3a, 2), (0x3c, 2), (0x3e, 2), (0x20, 8), (0x38, 2)])
    return set(base + offset, width, value(near: number(base + offset, width)))
  }

  private mutating func changeSection() -> Bool {
    let start = header(below(sectionCount))
    let (offset, width) = pick([(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 4), (44, 4), (48, 8), (56, 8)])
    let new: UInt64 =
      switch offset {
      case 4: pick([0, 1, 2, 3, 4, 7, 8, 9, 11, 14, 17, 18, 0x6fff_4c03, 0x6fff_4c09, 0x4000_0014, 0x7000_0001])
      case 8: number(start + 8, 8) ^ pick([1, 2, 4, 0x20, 0x40, 0x80, 0x200, 0x400, 0x800, 0x8000_0000])
      default: value(near: number(start + offset, width))
      }
    return set(start + offset, width, new)
  }

  /// Gives a section the name of another, or a letter of a name another value.
  private mutating func changeName() -> Bool {
    if oneIn(2) { return set(header(below(sectionCount)), 4, number(header(below(sectionCount)), 4)) }
    guard let names = section([3]) else { return false }
    return set(names.place.start + below(names.place.size), 1, pick([0, 0x2e, 0x5f, 0x1b, 0x0a, 0xff, random() % 128]))
  }

  private mutating func changeRecord(_ types: [UInt64], size: Int, _ fields: [(Int, Int)]) -> Bool {
    guard let records = section(types), records.place.size >= size else { return false }
    let count = records.place.size / size
    let start = records.place.start + size * below(count)
    let (offset, width) = pick(fields)
    // What another record says is often worse than what none does.
    let other = records.place.start + size * below(count)
    let new = oneIn(2) ? number(other + offset, width) : value(near: number(start + offset, width))
    return set(start + offset, width, new)
  }

  private mutating func changeRelocation() -> Bool {
    guard oneIn(3), let records = section([4]), records.place.size >= 24 else {
      return changeRecord([4], size: 24, [(0, 8), (8, 4), (12, 4), (16, 8)])
    }
    let start = records.place.start + 24 * below(records.place.size / 24)
    // The types that mean something to staticcall, and some that do not.
    let types: [UInt64] =
      number(base + 0x12, 2) == 62
      ? [0, 1, 2, 4, 9, 10, 11, 24, 26, 29, 38, 41, 42] : [0, 257, 258, 261, 274, 275, 277, 280, 282, 283, 311, 312]
    return set(start + 8, 4, pick(types))
  }

  /// Copies a record of a table over another one of it.
  private mutating func copyRecord() -> Bool {
    guard let records = section([2, 4]), records.place.size >= 48 else { return false }
    let count = records.place.size / 24
    let (from, to) = (records.place.start + 24 * below(count), records.place.start + 24 * below(count))
    for position in 0..<24 { bytes[to + position] = bytes[from + position] }
    return from != to
  }

  private mutating func changeCode() -> Bool {
    guard let code = section(isCode: true) else { return false }
    if number(base + 0x12, 2) == 62 {
      let opcodes: [[UInt8]] = [
        [0xe8], [0xe9], [0x0f, 0x84], [0xff, 0x15], [0xff, 0x25], [0x67, 0xe8], [0x66], [0xff, 0xd0], [0xff, 0xe0],
        [0xc3],
        [0xcc], [0xeb, 0], [0x74, 2], [0xe2, 0xfe], [0x90], [0x48, 0x8b], [0x48, 0x8d], [0x49, 0xba], [0xb8], [0x41],
        [0x62],
      ]
      let opcode = pick(opcodes)
      let start = code.place.start + below(code.place.size)
      guard start + opcode.count <= code.place.start + code.place.size else { return false }
      for (position, byte) in opcode.enumerated() { bytes[start + position] = byte }
      return true
    }
    let words: [UInt64] = [
      0x9400_0000, 0x1400_0000, 0xd63f_0100, 0xd61f_0100, 0xd65f_03c0, 0x9000_0008, 0xf940_0108, 0x5800_0048,
      0xd503_201f,
      0x9100_0108, 0xd280_0008, 0x5400_0040, 0xb400_0040, 0xaa08_03e9, 0xa9bf_7bfd, 0,
    ]
    let word = pick(words)
    return set(
      code.place.start + 4 * below(code.place.size / 4), 4,
      oneIn(3) ? word | random() % 64 : oneIn(3) ? word | random() % 32 << 5 : word)
  }

  /// Changes a number of any section: unwind tables, alternatives, addresses, entries of tables.
  private mutating func changeContents() -> Bool {
    guard let chosen = section() else { return false }
    let width = pick([1, 2, 4, 4, 8])
    let start = chosen.place.start + (oneIn(3) ? below(chosen.place.size) : below(chosen.place.size / width) * width)
    return set(start, width, value(near: number(start, width)))
  }
}
