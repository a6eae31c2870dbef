import ObjectFile

/// The symbols of a linked image that matter: trampolines and keys by address, and functions to name places by.
struct ImageSymbols {
  /// Names of static calls, without their prefixes, by the address of a trampoline; by that of a key.
  private(set) var trampolines: [UInt64: Set<String>] = [:]
  private(set) var keys: [UInt64: Set<String>] = [:]
  /// Names of static calls whose trampolines another image has.
  private(set) var imported: Set<String> = []
  /// Veneers and entries of a PLT that a linker named after a trampoline, by address.
  private(set) var veneers: Set<UInt64> = []
  /// The table's borders, as a linker script or the linker itself names them: `__start_` and `__stop_` and the section's name.
  private(set) var tables: [Range<UInt64>] = []
  /// Functions and labels in order of address, each with the address behind it; names by their place in a string table.
  private var labels: [Label] = []

  private struct Label {
    var start: UInt64
    var end: UInt64
    var name: String
  }

  private init() {}

  init(of image: borrowing LinkedImage, _ options: Options) throws(ObjectFileError) {
    var starts: [String: UInt64] = [:]
    var stops: [String: UInt64] = [:]
    let borders = options.tableSections.map { name in
      Array((name.hasPrefix(".") ? String(name.dropFirst()) : name).utf8) + [0]
    }
    let (startPrefix, stopPrefix) = (Array("__start_".utf8), Array("__stop_".utf8))
    // GNU ld's veneers are called ____SCT__x_veneer, those of lld __AArch64ADRPThunk___SCT__x.
    let veneerPrefixes =
      options.families.map { Array("__".utf8) + $0.trampolinePrefix } + [Array("__AArch64".utf8)]
    let matcher = NameMatcher(options.families)
    var found = ImageSymbols()
    try image.forEachSymbolTable { symbols, names throws(ObjectFileError) in
      for position in symbols.indices where symbols[position].nameOffset != 0 {
        let symbol = symbols[position]
        let name = Int(symbol.nameOffset)
        let isDefined = symbol.storedSection != 0
        let match = matcher.match(names, at: name)
        let call = match.map { match in
          String(
            decoding: options.callName(of: SymbolName(names.bytes(at: name + match.length)), match).bytes, as: UTF8.self
          )
        }
        if let match, let call, match.kind == .trampoline {
          if call.hasSuffix("$plt") {
            // mold's name for an entry of the PLT.
            found.veneers.insert(symbol.value)
          } else if isDefined {
            found.trampolines[symbol.value, default: []].insert(call)
          } else {
            found.imported.insert(call)
          }
        } else if isDefined, let match, let call, match.kind == .key {
          found.keys[symbol.value, default: []].insert(call)
        } else if names.hasBytes(startPrefix, at: name), borders.contains(where: { names.hasBytes($0, at: name + 8) }) {
          starts[names.string(at: name + 8)] = symbol.value
        } else if names.hasBytes(stopPrefix, at: name), borders.contains(where: { names.hasBytes($0, at: name + 7) }) {
          stops[names.string(at: name + 7)] = symbol.value
        } else if isDefined, veneerPrefixes.contains(where: { names.hasBytes($0, at: name) }) {
          found.veneers.insert(symbol.value)
        }
        if isDefined, symbol.type == .function {
          let end = symbol.value &+ max(symbol.size, 1)
          found.labels.append(Label(start: symbol.value, end: end, name: names.string(at: name)))
        }
      }
    }
    found.labels.sort { ($0.start, $0.name) < ($1.start, $1.name) }
    found.tables = starts.compactMap { name, start in
      stops[name].flatMap { stop in start < stop ? start..<stop : nil }
    }
    self = found
  }

  /// The function that begins at or before an address and reaches it.
  func function(at address: UInt64) -> (name: String, start: UInt64)? {
    let behind = labels.partitionPoint { $0.start > address }
    guard behind > 0, labels[behind - 1].start == address || address < labels[behind - 1].end else { return nil }
    return (labels[behind - 1].name, labels[behind - 1].start)
  }
}
