import ObjectFile

/// Static calls whose trampolines begin with one prefix and whose keys begin with another.
public struct Family: Hashable, Sendable {
  public var trampolinePrefix: [UInt8]
  public var keyPrefix: [UInt8]

  public init(trampolinePrefix: [UInt8], keyPrefix: [UInt8]) {
    self.trampolinePrefix = trampolinePrefix
    self.keyPrefix = keyPrefix
  }

  /// The kernel's (include/linux/static_call_types.h: `STATIC_CALL_TRAMP_PREFIX`, `STATIC_CALL_KEY_PREFIX`), and those of static_call.h.
  public static let usual = Family(trampolinePrefix: Array("__SCT__".utf8), keyPrefix: Array("__SCK__".utf8))
}

/// What the name of a symbol says: the one place where names are matched with prefixes.
///
/// Of several prefixes that fit, the longest counts: with `sc_` for trampolines and `sc_key_` for keys, `sc_key_send` is a key.
struct NameMatcher {
  enum Kind {
    case trampoline
    case key
    /// The function of the runtime that objects of user space refer to.
    case runtime
  }

  struct Match {
    var kind: Kind
    var family: Int
    /// Length of the prefix, in bytes.
    var length: Int
  }

  private struct Prefix {
    var first: UInt8
    var bytes: [UInt8]
    var match: Match

    init(_ bytes: [UInt8], _ kind: Kind, family: Int) {
      first = bytes.first ?? 0
      self.bytes = bytes
      match = Match(kind: kind, family: family, length: bytes.count)
    }
  }

  /// The longest first.
  private let prefixes: [Prefix]
  /// A bit for each first byte of a prefix, by its low six bits: one look is enough for most symbols.
  private let firstBytes: UInt64

  init(_ families: [Family]) {
    // In a string table, a NUL is behind the whole name.
    var prefixes = [Prefix(UserSpace.updateFunction + [0], .runtime, family: 0)]
    for (number, family) in families.enumerated() {
      prefixes.append(Prefix(family.trampolinePrefix, .trampoline, family: number))
      prefixes.append(Prefix(family.keyPrefix, .key, family: number))
    }
    prefixes.sort { $0.bytes.count > $1.bytes.count }
    self.prefixes = prefixes
    firstBytes = prefixes.reduce(0) { $0 | Self.bit(of: $1.first) }
  }

  @inline(__always)
  private static func bit(of byte: UInt8) -> UInt64 { 1 &<< UInt64(byte & 63) }

  /// What the name at an offset of a string table is; `nil` where it has none of the prefixes.
  @inline(__always)
  func match(_ names: Span<UInt8>, at offset: Int) -> Match? {
    // In a linked image nobody has checked where the name is.
    guard offset < names.count, Self.bit(of: names[offset]) & firstBytes != 0 else { return nil }
    return longestMatch(names, at: offset)
  }

  private func longestMatch(_ names: Span<UInt8>, at offset: Int) -> Match? {
    let first = names[offset]
    for number in prefixes.indices
    where prefixes[number].first == first && names.hasBytes(prefixes[number].bytes, at: offset) {
      return prefixes[number].match
    }
    return nil
  }

  /// What a name is.
  func match(_ name: [UInt8]) -> Match? { prefixes.first { name.starts(with: $0.bytes) }?.match }
}

/// Names of static calls. With one family, that is what trampoline and key have in common; with several, the name of the trampoline, so that
/// `a_send` and `b_send` are two static calls.
extension Options {
  private var hasOneFamily: Bool { families.count == 1 }

  /// The name of the static call of a symbol whose name fits with `match` and goes on with `rest`.
  func callName(of rest: SymbolName, _ match: NameMatcher.Match) -> SymbolName {
    hasOneFamily ? rest : SymbolName(families[match.family].trampolinePrefix + rest.bytes)
  }

  /// The name of the static call whose trampoline is called `name`, as people read it; `nil` where it is no trampoline's name.
  func callName(ofTrampoline name: String) -> String? {
    guard let match = NameMatcher(families).match(Array(name.utf8)), match.kind == .trampoline else { return nil }
    return hasOneFamily ? String(decoding: name.utf8.dropFirst(match.length), as: UTF8.self) : name
  }

  func trampolineName(of call: SymbolName) -> SymbolName {
    hasOneFamily ? SymbolName(families[0].trampolinePrefix + call.bytes) : call
  }

  func keyName(of call: SymbolName) -> SymbolName {
    let name = trampolineName(of: call).bytes
    guard let match = NameMatcher(families).match(name) else { return call }
    return SymbolName(families[match.family].keyPrefix + name.dropFirst(match.length))
  }

  /// Whether the symbol that would be added as a call's trampoline, or as its key, is one by its name. With `sc_` for trampolines and
  /// `sc_key_` for keys, no static call can be called `key_x`.
  func canAdd(_ name: SymbolName, asTrampoline isTrampoline: Bool) -> Bool {
    NameMatcher(families).match(name.bytes)?.kind == (isTrampoline ? .trampoline : .key)
  }

  /// Whether an object's symbols can name static calls at all: one search answers for most objects.
  func namesOccur(in object: borrowing ObjectFile) -> Bool {
    families.contains { family in
      object.symbolNamesContain(family.trampolinePrefix)
        || callsThroughKeys && object.symbolNamesContain(family.keyPrefix)
    }
  }

  /// The prefixes of trampolines, for a message.
  public var trampolinePrefixes: String {
    families.map { String(decoding: $0.trampolinePrefix, as: UTF8.self) }.joined(separator: " or ")
  }
}
