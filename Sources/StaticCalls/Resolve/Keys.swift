import ObjectFile

/// What an entry's key slot names.
enum KeyChoice: Equatable {
  case symbol(SymbolIndex)
  /// The trampoline itself: a module's calls of a static call whose key is not exported (`EXPORT_STATIC_CALL_TRAMP`).
  case trampoline
  /// A key symbol that has to be added.
  case missing
  /// Several local symbols have the name, and nothing tells which one belongs to the trampoline.
  case ambiguous
}

/// Whether a key can hold the flags, which live in the low two bits of its address. A key that is defined elsewhere is the
/// linker's business.
func isAlignedKey(_ key: SymbolIndex, in object: borrowing ObjectFile) -> Bool {
  let symbol = object.symbol(key)
  guard case .section(let section) = object.place(of: symbol, at: key) else { return true }
  return symbol.value % 4 == 0 && object[section].alignment >= 4
}

extension TrampolineIndex {
  /// A local static call: its name and the source file that it stands in.
  private struct LocalCall: Hashable {
    var name: [UInt8]
    var file: Int
  }

  /// Whether a symbol has the name of a trampoline's key.
  func isKey(_ symbol: SymbolIndex, of number: Int) -> Bool {
    keys[trampolines[number].callName]?.contains { $0.symbol == symbol } ?? false
  }

  /// The key of each trampoline, in the order of ``trampolines``.
  func keys(_ options: Options) -> [KeyChoice] {
    var localCalls: [LocalCall: Int] = [:]
    for trampoline in trampolines where trampoline.binding == .local {
      localCalls[LocalCall(name: trampoline.callName, file: trampoline.file), default: 0] += 1
    }
    return trampolines.map { key(of: $0, localCalls, options) }
  }

  /// The key of a trampoline: the symbol of the same name after its own prefix.
  ///
  /// A local trampoline, such as a `static` one, belongs to the local key of the same source file; after `ld -r` an object may
  /// hold several of one name. Another file's local key is never a stand-in: an update of it would redirect this call.
  private func key(of trampoline: Trampoline, _ localCalls: [LocalCall: Int], _ options: Options) -> KeyChoice {
    let candidates = keys[trampoline.callName] ?? []
    var locals = candidates.filter { $0.binding == .local }
    if trampoline.binding == .local {
      locals = locals.filter { $0.file == trampoline.file }
      // Two of one name in what looks like one file: the file symbol between them is gone.
      let rivals = localCalls[LocalCall(name: trampoline.callName, file: trampoline.file)] ?? 0
      if rivals > 1, !locals.isEmpty { return .ambiguous }
      if let own = locals.first { return locals.count == 1 ? .symbol(own.symbol) : .ambiguous }
    }
    if let shared = candidates.first(where: { $0.binding != .local }) { return .symbol(shared.symbol) }
    // A key that was made local after it was compiled, unless a local trampoline beside it claims it.
    locals = locals.filter { localCalls[LocalCall(name: trampoline.callName, file: $0.file)] == nil }
    switch locals.count {
    case 0: return options.isModule ? .trampoline : .missing
    case 1: return .symbol(locals[0].symbol)
    default: return .ambiguous
    }
  }
}
