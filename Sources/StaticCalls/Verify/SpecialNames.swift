import ObjectFile

/// What the name of a symbol says in a linked image.
struct SpecialNames {
  private let options: Options
  private let matcher: NameMatcher
  /// The names of tables as symbols of their borders have them.
  private let tables: [[UInt8]]
  private let machine: Machine

  private static let (start, stop) = (Array("__start_".utf8), Array("__stop_".utf8))
  /// How compilers call the routines that branch to a register, or to an address on the stack.
  private static let thunks = ["__x86_indirect_", "__llvm_", "__call_indirect_x"].map { Array($0.utf8) }
  /// GNU ld's veneers are called `__x_veneer`, its corrections of errata `e843419@` and a number; lld's `__AArch64ADRPThunk_x` and the like.
  private static let veneerSuffix = Array("_veneer".utf8)
  private static let stubs = ["__AArch64", "e843419@", "__CortexA53843419_"].map { Array($0.utf8) }

  enum Role: Equatable {
    /// Of the static call of this name, or of a stub that leads there.
    case trampoline(String)
    case key(String)
    /// The border of a table.
    case start(String)
    case stop(String)
    case stub
    case thunk(String)
    /// Data, or code, begins here.
    case mark(isData: Bool)
  }

  init(_ options: Options, _ machine: Machine) {
    self.options = options
    matcher = NameMatcher(options.families)
    tables = options.tableSections.map { name in
      Array((name.hasPrefix(".") ? String(name.dropFirst()) : name).utf8) + [0]
    }
    self.machine = machine
  }

  /// What the name at an offset of a table of strings says; `nil` for one that says nothing.
  func role(of name: Int, in strings: Span<UInt8>) -> Role? {
    guard name < strings.count else { return nil }
    if let match = matcher.match(strings, at: name), match.kind != .runtime {
      let call = options.callName(of: SymbolName(strings.bytes(at: name + match.length)), match)
      let text = String(decoding: call.bytes, as: UTF8.self)
      return match.kind == .trampoline ? .trampoline(text) : .key(text)
    }
    switch strings[name] {
    case UInt8(ascii: "_"), UInt8(ascii: "e"): return reservedRole(of: name, in: strings)
    case UInt8(ascii: "$") where machine == .aarch64: return mark(name, strings)
    default: return nil
    }
  }

  private func reservedRole(of name: Int, in strings: Span<UInt8>) -> Role? {
    func isTable(_ offset: Int) -> Bool { tables.contains { strings.hasBytes($0, at: offset) } }
    if strings.hasBytes(Self.start, at: name), isTable(name + Self.start.count) {
      return .start(strings.string(at: name + Self.start.count))
    }
    if strings.hasBytes(Self.stop, at: name), isTable(name + Self.stop.count) {
      return .stop(strings.string(at: name + Self.stop.count))
    }
    if Self.thunks.contains(where: { strings.hasBytes($0, at: name) }) { return .thunk(strings.string(at: name)) }
    guard machine == .aarch64 else { return nil }
    let isStub = Self.stubs.contains { strings.hasBytes($0, at: name) } || hasVeneerSuffix(name, strings)
    return isStub ? .stub : nil
  }

  /// `__x_veneer`, `__erratum_835769_veneer_0`.
  private func hasVeneerSuffix(_ name: Int, _ strings: Span<UInt8>) -> Bool {
    guard strings.hasBytes([UInt8(ascii: "_"), UInt8(ascii: "_")], at: name) else { return false }
    var position = name + 2
    while position < strings.count, strings[position] != 0 {
      if strings[position] == Self.veneerSuffix[0], strings.hasBytes(Self.veneerSuffix, at: position) { return true }
      position += 1
    }
    return false
  }

  /// `$d` or `$x`, and perhaps more behind a dot.
  private func mark(_ name: Int, _ strings: Span<UInt8>) -> Role? {
    guard name + 2 < strings.count, [0, UInt8(ascii: ".")].contains(strings[name + 2]) else { return nil }
    switch strings[name + 1] {
    case UInt8(ascii: "d"): return .mark(isData: true)
    case UInt8(ascii: "x"): return .mark(isData: false)
    default: return nil
    }
  }

  /// Whether what stands behind a trampoline's prefix is mold's name for something that leads to it: an entry of a PLT, or a thunk for
  /// a far target.
  static func isStub(_ call: String) -> Bool { ["$plt", "$pltgot", "$thunk"].contains { call.hasSuffix($0) } }

  /// The name of a static call in `name@VERSION` or `name@@VERSION`, as linkers write it.
  static func withoutVersion(_ call: String) -> String {
    call.contains("@") ? String(call.prefix { $0 != "@" }) : call
  }
}
