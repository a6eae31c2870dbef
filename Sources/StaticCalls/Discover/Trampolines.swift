import ObjectFile

/// A trampoline symbol: by its name, whatever its binding and wherever it is defined.
struct Trampoline: Sendable {
  /// 0 for none. An ELF file cannot have more symbols than this holds.
  private let storedSymbol: UInt32
  private let storedFile: UInt32
  /// The name of the static call.
  var callName: SymbolName
  // In this order the three take eight bytes less.
  var place: SymbolPlace
  var binding: SymbolBinding
  /// Offset in its section, in bytes, where it is defined in one.
  var value: UInt64

  init(
    symbol: SymbolIndex?, callName: SymbolName, place: SymbolPlace, value: UInt64, binding: SymbolBinding, file: Int
  ) {
    storedSymbol = UInt32(clamping: symbol?.rawValue ?? 0)
    storedFile = UInt32(clamping: file)
    self.callName = callName
    self.place = place
    self.value = value
    self.binding = binding
  }

  /// `nil` where the object names only the key, and the trampoline has to be added.
  var symbol: SymbolIndex? { storedSymbol == 0 ? nil : SymbolIndex(Int(storedSymbol)) }

  /// Which source file's part of the symbol table a local symbol stands in; see ``KeySymbol/file``.
  var file: Int { Int(storedFile) }

  var displayName: String { String(decoding: callName.bytes, as: UTF8.self) }
}

extension SymbolType {
  /// Whether a symbol of this type can be a trampoline: compilers give functions their type, hand-written code often none. A string that
  /// is called `__SCT__version` is no trampoline.
  var mayBeTrampoline: Bool { self == .function || self == .noType || self == .indirectFunction }
}

/// A key symbol, found by its name.
struct KeySymbol: Sendable {
  var symbol: SymbolIndex
  var binding: SymbolBinding
  /// How many `STT_FILE` symbols stand before it. After `ld -r`, local symbols of one name from several source files are told
  /// apart by it.
  var file: Int
}

/// Every trampoline and key of an object, and what a relocation may name to reach a trampoline.
struct TrampolineIndex {
  private(set) var trampolines: [Trampoline] = []
  private(set) var keys: [SymbolName: [KeySymbol]] = [:]
  /// Trampolines by section and offset: gas and clang refer to a local one by its section.
  private var positions: [SectionIndex: [UInt64: Int]] = [:]
  /// The sections that keys are defined in, where calls through keys are followed.
  private(set) var keySections: Set<SectionIndex> = []
  /// Trampolines of different names at one address, by the last of them, which ``trampoline(in:at:)`` gives for it. An address alone does
  /// not tell which of them is meant.
  private var sharing: [Int: [Int]] = [:]
  /// What symbols are for a relocation that names them, in the order of the symbols, without those that are nothing.
  private var roles: [(symbol: UInt32, role: Role)] = []
  /// Whether the object is of a program that uses static_call.h; not known of an object without trampolines.
  private(set) var isOfUserSpace = false
  /// How many source files the object is made of, as far as symbols say (`STT_FILE`).
  private(set) var sourceFiles = 0
  /// For each symbol whether it has a role.
  private(set) var isTarget: [Bool] = []

  /// A ``ReferenceTarget`` in half the room: there may be as many as symbols.
  private enum Role {
    case trampoline(Int32)
    case key(Int32)
    case section(Int32)
  }

  /// Looks through the symbols of `object`. An object whose symbol names do not contain the prefix has no trampolines.
  init(_ object: borrowing ObjectFile, _ options: Options) throws(ObjectFileError) {
    guard options.namesOccur(in: object) else { return }
    try object.withSymbols { symbols, names throws(ObjectFileError) in
      try collectSymbols(symbols, names, object, options)
      let followed = options.callsThroughKeys ? followKeys(options) : []
      guard !trampolines.isEmpty else { return }
      if UserSpace.hasMark(object) { isOfUserSpace = true }
      assignRoles(symbols, followed, object)
    }
  }

  var isEmpty: Bool { trampolines.isEmpty }

  /// Whether the object defines a trampoline of the same name.
  func isDefined(_ number: Int) -> Bool {
    trampolines.contains { other in
      other.callName == trampolines[number].callName && other.symbol != nil && other.place != .undefined
    }
  }

  /// The sections that hold a trampoline.
  var sections: [SectionIndex] { positions.keys.sorted() }

  /// The trampoline at an offset of a section.
  func trampoline(in section: SectionIndex, at offset: Int) -> Int? {
    UInt64(exactly: offset).flatMap { positions[section]?[$0] }
  }

  /// The trampolines that a branch may mean that reaches trampoline `number` by its address alone; one, but for aliases.
  func trampolines(at number: Int) -> [Int] { sharing[number] ?? [number] }

  /// Whether the address of trampoline `number` is that of another static call's trampoline as well.
  func hasSharedAddress(_ number: Int) -> Bool { sharing[number] != nil }

  /// What a relocation against `symbol` may refer to: `nil` where it is neither a trampoline nor a way to one.
  func target(of symbol: SymbolIndex) -> ReferenceTarget? {
    let position = roles.partitionPoint { $0.symbol >= symbol.rawValue }
    guard position < roles.count, roles[position].symbol == symbol.rawValue else { return nil }
    switch roles[position].role {
    case .trampoline(let number): return .trampoline(Int(number))
    case .key(let number): return .key(Int(number))
    case .section(let section): return .section(SectionIndex(Int(section)))
    }
  }

  private mutating func collectSymbols(
    _ symbols: Span<Symbol>, _ names: Span<UInt8>, _ object: borrowing ObjectFile, _ options: Options
  ) throws(ObjectFileError) {
    var reader = NameReader(names)
    let matcher = NameMatcher(options.families)
    for index in symbols.indices {
      let symbol = symbols[index]
      if symbol.type == .file {
        sourceFiles += 1
        continue
      }
      // A section symbol has no name.
      guard symbol.type != .section, symbol.nameOffset != 0 else { continue }
      guard let match = matcher.match(names, at: Int(symbol.nameOffset)) else { continue }
      if match.kind == .runtime {
        isOfUserSpace = true
        continue
      }
      let name = try callName(at: Int(symbol.nameOffset), match, &reader, names, options)
      if match.kind == .key {
        keys[name, default: []].append(
          KeySymbol(symbol: SymbolIndex(index), binding: symbol.binding, file: sourceFiles))
        continue
      }
      guard symbol.type.mayBeTrampoline else { continue }
      let place = object.place(of: symbol, at: SymbolIndex(index))
      trampolines.append(
        Trampoline(
          symbol: SymbolIndex(index), callName: name, place: place, value: symbol.value, binding: symbol.binding,
          file: sourceFiles))
      // A label in data may have the prefix; that makes no code of the data around it.
      if case .section(let section) = place, object[section].flags.contains(.execInstr) {
        addPosition(section, symbol.value)
      }
    }
  }

  /// The name of the static call that the symbol belongs to whose name is at an offset of the string table.
  private func callName(
    at offset: Int, _ match: NameMatcher.Match, _ reader: inout NameReader, _ names: Span<UInt8>, _ options: Options
  ) throws(ObjectFileError) -> SymbolName {
    let rest = try reader.name(at: offset + match.length, of: names)
    return options.callName(of: rest, match)
  }

  /// Notes where the last trampoline is, and which others are there.
  private mutating func addPosition(_ section: SectionIndex, _ value: UInt64) {
    let number = trampolines.count - 1
    let other = positions[section, default: [:]].updateValue(number, forKey: value)
    guard let other else { return }
    var all = sharing.removeValue(forKey: other) ?? [other]
    all.append(number)
    if all.count > 2 || trampolines[other].callName != trampolines[number].callName { sharing[number] = all }
  }

  /// The keys whose calls are to be followed, each with its trampoline, which is added where only the key is there. A local key
  /// without a trampoline beside it is left alone: a trampoline in another object could not reach it.
  private mutating func followKeys(_ options: Options) -> [(key: SymbolIndex, trampoline: Int)] {
    var numbers: [SymbolName: Int] = [:]
    for (number, trampoline) in trampolines.enumerated() where trampoline.binding != .local {
      numbers[trampoline.callName] = number
    }
    var followed: [(key: SymbolIndex, trampoline: Int)] = []
    for (name, named) in keys.sorted(by: { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }) {
      for key in named where key.binding != .local {
        if numbers[name] == nil {
          guard options.canAdd(options.trampolineName(of: name), asTrampoline: true) else { break }
          numbers[name] = trampolines.count
          trampolines.append(
            Trampoline(symbol: nil, callName: name, place: .undefined, value: 0, binding: .global, file: 0))
        }
        if let number = numbers[name] { followed.append((key.symbol, number)) }
      }
    }
    return followed
  }

  private mutating func assignRoles(
    _ symbols: Span<Symbol>, _ followed: [(key: SymbolIndex, trampoline: Int)], _ object: borrowing ObjectFile
  ) {
    roles.reserveCapacity(trampolines.count + followed.count)
    func add(_ symbol: SymbolIndex, _ role: Role) { roles.append((UInt32(symbol.rawValue), role)) }
    for (number, trampoline) in trampolines.enumerated() {
      if let symbol = trampoline.symbol { add(symbol, .trampoline(Int32(number))) }
    }
    for (key, trampoline) in followed {
      add(key, .key(Int32(trampoline)))
      if case .section(let section) = object.place(of: symbols[key.rawValue], at: key) { keySections.insert(section) }
    }
    for index in 0..<(object.symbolTable?.firstGlobal ?? 0) where symbols[index].type == .section {
      if case .section(let section) = object.place(of: symbols[index], at: SymbolIndex(index)),
        positions[section] != nil
      {
        add(SymbolIndex(index), .section(Int32(section.rawValue)))
      }
    }
    roles.sort { $0.symbol < $1.symbol }
    isTarget = [Bool](repeating: false, count: symbols.count)
    for role in roles { isTarget[Int(role.symbol)] = true }
  }
}

/// Copies names out of a string table: a long one once, and not more of them than a sound table can hold.
private struct NameReader {
  /// A name no longer than this, in bytes, takes less than its symbol and what is kept of that.
  private static let shortName = 64

  private var known: [UInt32: SymbolName] = [:]
  private var budget: Int

  init(_ table: Span<UInt8>) {
    // Strings may be the tails of others, which linkers make use of; but a name that has the prefix a second time inside is rare. Many
    // long tails of one string are made to exhaust memory.
    budget = (table.count + 4096) * 2
  }

  mutating func name(at offset: Int, of table: Span<UInt8>) throws(ObjectFileError) -> SymbolName {
    let key = UInt32(clamping: offset)
    if let name = known[key] { return name }
    let name = SymbolName(table.bytes(at: offset))
    if name.bytes.count <= Self.shortName { return name }
    budget -= name.bytes.count
    guard budget >= 0 else { throw .damaged("the names of its static calls overlap beyond measure") }
    known[key] = name
    return name
  }
}
