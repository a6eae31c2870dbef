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
  /// The key of each trampoline, in the order of ``trampolines``.
  func keys(_ options: Options) -> [KeyChoice] { trampolines.indices.map { key(of: $0, options) } }

  /// The key of a trampoline: the symbol of the same name after its own prefix.
  ///
  /// A local trampoline, such as a `static` one, belongs to the local key of the same source file; after `ld -r` an object may
  /// hold several of one name. A key without a local rival serves whatever its binding.
  private func key(of number: Int, _ options: Options) -> KeyChoice {
    let trampoline = trampolines[number]
    let candidates = keys[trampoline.callName] ?? []
    let locals = candidates.filter { $0.binding == .local }
    let shared = candidates.first { $0.binding != .local }
    if trampoline.binding == .local {
      let siblings = locals.filter { $0.file == trampoline.file }
      if siblings.count == 1 { return .symbol(siblings[0].symbol) }
      if siblings.count > 1 { return .ambiguous }
    }
    if let shared { return .symbol(shared.symbol) }
    switch locals.count {
    case 0: return options.isModule ? .trampoline : .missing
    case 1: return .symbol(locals[0].symbol)
    default: return .ambiguous
    }
  }
}
