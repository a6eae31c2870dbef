import ObjectFile

/// The labels of an object's code: what people call a place, and where decoding can start.
struct Functions {
  fileprivate struct Label {
    var start: Int
    var size: Int
    /// An ELF file cannot have more symbols than this holds.
    var storedSymbol: UInt32
    /// The position, among the labels of the section, of the last function at or before this label; -1 where there is none.
    var storedLastFunction: Int32 = -1
    var isFunction: Bool

    var symbol: SymbolIndex { SymbolIndex(Int(storedSymbol)) }
    var lastFunction: Int? { storedLastFunction < 0 ? nil : Int(storedLastFunction) }
  }

  /// Labels by the number of their section, in ascending order, the one that counts at each place; none for sections that were not asked
  /// for.
  private var labels: [[Label]]
  /// Where the others of these places end, by section.
  private var otherEnds: [SectionIndex: Set<Int>] = [:]
  /// Data objects in code, by section, in ascending order of their start.
  private var objects: [SectionIndex: [Range<Int>]] = [:]
  /// Where data begins and ends in AArch64 code, by section, in ascending order: `$d` and `$x` (AAELF64, "Mapping symbols").
  private var mapping: [SectionIndex: [(start: Int, isData: Bool)]] = [:]
  /// Where the labels are that were asked for; `nil` where it is all of them.
  private var reaches: Reaches?

  /// Collects the labels of `sections`.
  init(of sections: Set<SectionIndex>, in object: borrowing ObjectFile) {
    labels = [[Label]](repeating: [], count: object.sections.count)
    let wanted = WantedSections(sections, object)
    // Counted first: arrays that grow take twice the room.
    var counts = [Int](repeating: 0, count: object.sections.count)
    object.withSymbols { symbols, _ in
      for index in symbols.indices {
        if let place = wanted.place(of: symbols[index], at: index, object) { counts[place.section.rawValue] += 1 }
      }
    }
    for section in sections {
      labels[section.rawValue].reserveCapacity(
        min(counts[section.rawValue], Self.mostLabels(in: object[section].contentSize)))
    }
    collect(wanted, object) { _ in true }
  }

  /// Collects what ``stretch(around:in:size:)`` and ``isData(_:in:)`` look at for some offsets of a section, which are in ascending order,
  /// and the stretches around them: for each the labels from the last function at or before it to the first one behind it. Two passes
  /// over the symbols, and no sorting of what is far away: much faster than all labels.
  init(around offsets: [Int], in section: SectionIndex, of object: borrowing ObjectFile) {
    labels = [[Label]](repeating: [], count: object.sections.count)
    let wanted = WantedSections([section], object)
    let reaches = Reaches(of: offsets, wanted, object)
    collect(wanted, object) { reaches.containLabel(at: $0) }
    self.reaches = reaches
  }

  /// Whether ``stretch(around:in:size:)`` and ``isData(_:in:)`` have all they need for an offset.
  func cover(_ offset: Int) -> Bool { reaches?.contain(offset) != false }

  /// Collects the labels of sections at offsets of interest, and all that tells code and data apart.
  private mutating func collect(
    _ wanted: WantedSections, _ object: borrowing ObjectFile, where isOfInterest: (Int) -> Bool
  ) {
    object.withSymbols { symbols, names in
      for index in symbols.indices {
        let symbol = symbols[index]
        guard let (section, start, room) = wanted.place(of: symbol, at: index, object) else { continue }
        let length = Int(clamping: min(symbol.size, UInt64(room)))
        if symbol.type == .object, length > 0 {
          objects[section, default: []].append(start..<(start + length))
        }
        if let isData = symbol.marksData(names, on: object.machine) {
          mapping[section, default: []].append((start, isData))
        } else if isOfInterest(start), !isAlias(start, length, symbol.type, of: labels[section.rawValue].last) {
          if labels[section.rawValue].count == Self.mostLabels(in: start + room) { sortLabels(of: section) }
          labels[section.rawValue].append(
            Label(
              start: start, size: length, storedSymbol: UInt32(truncatingIfNeeded: index),
              isFunction: symbol.type == .function))
        }
      }
    }
    for section in labels.indices where !labels[section].isEmpty { sortLabels(of: SectionIndex(section)) }
    for section in objects.keys { objects[section]?.sort { $0.lowerBound < $1.lowerBound } }
    // Where data of no length begins and ends, the code has it.
    for section in mapping.keys {
      mapping[section]?.sort { ($0.start, $0.isData ? 0 : 1) < ($1.start, $1.isData ? 0 : 1) }
    }
  }

  /// Whether a label says nothing that the one noted last does not say: another name of the same function.
  private func isAlias(_ start: Int, _ size: Int, _ type: SymbolType, of last: Label?) -> Bool {
    guard let last else { return false }
    return last.start == start && last.size == size && last.isFunction && type == .function
  }

  /// With more labels than this, most share their places with others: real code has an instruction or more between two labels.
  private static func mostLabels(in size: Int) -> Int { 2 * size + 1024 }

  /// Puts a section's labels into ascending order, keeps the one that counts at each place, and at each notes the last function at or
  /// before it.
  private mutating func sortLabels(of section: SectionIndex) {
    let ends = labels[section.rawValue].sortAndThinOut()
    if !ends.isEmpty { otherEnds[section, default: []].formUnion(ends) }
    var lastFunction: Int32 = -1
    for position in labels[section.rawValue].indices {
      if labels[section.rawValue][position].isFunction { lastFunction = Int32(truncatingIfNeeded: position) }
      labels[section.rawValue][position].storedLastFunction = lastFunction
    }
  }

  /// The function that holds an offset, or else the last label before it; with its position among the section's labels.
  private func position(before offset: Int, in labels: [Label]) -> Int? {
    let behind = labels.partitionPoint { $0.start > offset }
    guard behind > 0 else { return nil }
    // A function that reaches this far beats a label inside it.
    if let function = labels[behind - 1].lastFunction, offset - labels[function].start < labels[function].size {
      return function
    }
    return behind - 1
  }

  /// The symbol that names the code at an offset, and the distance from it in bytes.
  func name(of offset: Int, in section: SectionIndex) -> (symbol: SymbolIndex, distance: Int)? {
    let labels = labels[section.rawValue]
    guard let position = position(before: offset, in: labels) else { return nil }
    return (labels[position].symbol, offset - labels[position].start)
  }

  /// A stretch of code around an offset that begins at an instruction: a function, or what lies between two labels or ends of
  /// functions. Stretches do not share code, whatever sizes the symbols claim.
  func stretch(around offset: Int, in section: SectionIndex, size: Int) -> Range<Int> {
    let labels = labels[section.rawValue]
    let behind = labels.partitionPoint { $0.start > offset }
    guard behind > 0 else { return 0..<(labels.first?.start ?? size) }
    var start = labels[behind - 1].start
    var next = behind < labels.count ? labels[behind].start : size
    if let function = labels[behind - 1].lastFunction {
      let end = labels[function].start + labels[function].size
      if offset < end {
        let nextFunction = labels[behind...].first { $0.isFunction }?.start ?? size
        (start, next) = (labels[function].start, min(end, nextFunction))
      } else {
        start = max(start, end)
      }
    }
    return start..<next
  }

  /// All stretches of a section from one label, or end of a function, to the next, in ascending order.
  func stretches(of section: SectionIndex, size: Int) -> [Range<Int>] {
    let labels = labels[section.rawValue]
    let ends = labels.filter { $0.size > 0 }.map { $0.start + $0.size }
    let borders = ([0] + labels.map(\.start) + ends + (otherEnds[section] ?? []) + [size]).sorted()
    return zip(borders, borders.dropFirst()).filter { $0 < $1 }.map { $0..<$1 }
  }

  /// Whether an offset lies in data: in an object, or where the mapping symbols say so.
  func isData(_ offset: Int, in section: SectionIndex) -> Bool {
    if let objects = objects[section] {
      let behind = objects.partitionPoint { $0.lowerBound > offset }
      if behind > 0, objects[behind - 1].contains(offset) { return true }
    }
    guard let mapping = mapping[section] else { return false }
    let behind = mapping.partitionPoint { $0.start > offset }
    return behind > 0 && mapping[behind - 1].isData
  }
}

/// The sections whose labels are collected.
private struct WantedSections {
  /// The sizes of the sections in bytes; -1 for those that are not wanted.
  private var sizes: [Int]

  init(_ sections: Set<SectionIndex>, _ object: borrowing ObjectFile) {
    sizes = [Int](repeating: -1, count: object.sections.count)
    for section in sections { sizes[section.rawValue] = object[section].contentSize }
  }

  /// Where a symbol stands that is a label of one of the sections, and how many bytes of the section are behind it.
  func place(
    of symbol: Symbol, at index: Int, _ object: borrowing ObjectFile
  ) -> (section: SectionIndex, start: Int, room: Int)? {
    let stored = Int(symbol.storedSection)
    // Nearly all symbols are answered for by these two lines.
    if stored < sizes.count, sizes[stored] < 0, stored != 0xffff { return nil }
    guard symbol.nameOffset != 0, symbol.type == .function || symbol.type == .noType || symbol.type == .object,
      case .section(let section) = object.place(of: symbol, at: SymbolIndex(index))
    else { return nil }
    let size = sizes[section.rawValue]
    guard size >= 0, symbol.value <= UInt64(size) else { return nil }
    return (section, Int(symbol.value), size - Int(symbol.value))
  }
}

/// For some offsets of a section, in ascending order, how far the code reaches that may belong to the same functions: from the last
/// function at or before each to the first one behind it.
private struct Reaches {
  private var firsts: [Int]
  private var lasts: [Int]

  init(of offsets: [Int], _ wanted: WantedSections, _ object: borrowing ObjectFile) {
    firsts = [Int](repeating: 0, count: offsets.count)
    lasts = [Int](repeating: .max, count: offsets.count)
    object.withSymbols { symbols, _ in
      for index in symbols.indices {
        let symbol = symbols[index]
        guard symbol.type == .function, let (_, start, _) = wanted.place(of: symbol, at: index, object) else {
          continue
        }
        // For the nearest offset on either side, and through that for those behind it.
        let behind = offsets.partitionPoint { $0 >= start }
        if behind < offsets.count { firsts[behind] = max(firsts[behind], start) }
        if behind > 0 { lasts[behind - 1] = min(lasts[behind - 1], start) }
      }
    }
    for number in offsets.indices.dropFirst() { firsts[number] = max(firsts[number], firsts[number - 1]) }
    for number in offsets.indices.dropLast().reversed() { lasts[number] = min(lasts[number], lasts[number + 1]) }
  }

  /// Whether a label there is the first, the last or between them.
  func containLabel(at start: Int) -> Bool {
    let number = lasts.partitionPoint { $0 >= start }
    return number < firsts.count && firsts[number] <= start
  }

  /// Whether the code there is in reach. No function begins between the first and the last label of a reach.
  func contain(_ offset: Int) -> Bool {
    let number = lasts.partitionPoint { $0 > offset }
    return number < firsts.count && firsts[number] <= offset
  }
}

extension [Functions.Label] {
  /// Puts labels into ascending order and keeps one of each place: the first function there, else the first label. Returns where the
  /// others end.
  fileprivate mutating func sortAndThinOut() -> Set<Int> {
    sort { left, right in
      if left.start != right.start { return left.start < right.start }
      if left.isFunction != right.isFunction { return right.isFunction }
      return left.storedSymbol > right.storedSymbol
    }
    var ends: Set<Int> = []
    var kept = startIndex
    for position in indices {
      if kept > 0, self[kept - 1].start == self[position].start {
        if self[kept - 1].size > 0 { ends.insert(self[kept - 1].start + self[kept - 1].size) }
        kept -= 1
      }
      self[kept] = self[position]
      kept += 1
    }
    removeSubrange(kept...)
    return ends
  }
}

extension Symbol {
  /// For AArch64's mapping symbols, whether data begins there and not code: `$d` and `$x`, with anything behind a dot (AAELF64,
  /// "Mapping symbols"); `nil` for all other symbols.
  func marksData(_ names: Span<UInt8>, on machine: Machine) -> Bool? {
    let name = Int(nameOffset)
    guard machine == .aarch64, binding == .local, type == .noType, name + 2 < names.count,
      names[name] == UInt8(ascii: "$"), [0, UInt8(ascii: ".")].contains(names[name + 2])
    else { return nil }
    switch names[name + 1] {
    case UInt8(ascii: "d"): return true
    case UInt8(ascii: "x"): return false
    default: return nil
    }
  }
}

extension RandomAccessCollection where Index == Int {
  /// The first index from which on `belongsBehind` holds; it must not hold for any element before that.
  func partitionPoint(_ belongsBehind: (Element) -> Bool) -> Int {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = (low + high) / 2
      if belongsBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
