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
  /// Whether a symbol has the name of a trampoline's key.
  func isKey(_ symbol: SymbolIndex, of number: Int) -> Bool {
    // Keys were collected in the order of their symbols.
    guard let named = keys[trampolines[number].callName] else { return false }
    let position = named.partitionPoint { $0.symbol >= symbol }
    return position < named.count && named[position].symbol == symbol
  }

  /// The key of each trampoline, in the order of ``trampolines``: the symbol of the same name after its own prefix.
  ///
  /// A local trampoline, such as a `static` one, belongs to the local key of the same source file; after `ld -r` an object may
  /// hold several of one name. Another file's local key is never a stand-in: an update of it would redirect this call. A trampoline that is
  /// not local takes a local key only where nobody else's can be meant: where the object defines the trampoline, so that its
  /// key is here as well and was made local after it was compiled (`objcopy --localize-symbol`); or where all is from one source file, in
  /// which the name means this key.
  func keyChoices(_ options: Options) -> [KeyChoice] {
    let candidates = KeyCandidates(self)
    let isOneFile = sourceFiles < 2
    return trampolines.map { trampoline in
      if trampoline.binding == .local {
        let own = LocalCall(name: trampoline.callName, file: trampoline.file)
        // Two of one name in what looks like one file: the file symbol between them is gone.
        if let local = candidates.local[own] {
          return candidates.localTrampolines[own] == 1 ? local.choice : .ambiguous
        }
      }
      // Two global symbols of one name are damage; which of them comes first may change with an edit.
      if let shared = candidates.shared[trampoline.callName] { return shared.choice }
      let isLocalKeyOwn = trampoline.binding != .local && (isOneFile || trampoline.place != .undefined)
      if isLocalKeyOwn, let unclaimed = candidates.unclaimed[trampoline.callName] {
        return unclaimed.choice
      }
      return options.isModule ? .trampoline : .missing
    }
  }
}

/// A local static call: its name and the source file that it stands in.
private struct LocalCall: Hashable {
  var name: SymbolName
  var file: Int
}

/// The keys of an object by the trampolines that may choose them, so that each choice is one look.
private struct KeyCandidates {
  /// One key, and how many others there are with it.
  struct Found {
    var key: SymbolIndex
    var count = 0

    var choice: KeyChoice { count == 1 ? .symbol(key) : .ambiguous }
  }

  /// How many local trampolines each local static call has.
  var localTrampolines: [LocalCall: Int] = [:]
  var local: [LocalCall: Found] = [:]
  /// Keys that are not local, by name.
  var shared: [SymbolName: Found] = [:]
  /// Local keys without a local trampoline beside them, by name: made local after they were compiled.
  var unclaimed: [SymbolName: Found] = [:]

  init(_ index: TrampolineIndex) {
    for trampoline in index.trampolines where trampoline.binding == .local {
      localTrampolines[LocalCall(name: trampoline.callName, file: trampoline.file), default: 0] += 1
    }
    for (name, keys) in index.keys {
      for key in keys {
        guard key.binding == .local else {
          shared[name, default: Found(key: key.symbol)].count += 1
          continue
        }
        let call = LocalCall(name: name, file: key.file)
        local[call, default: Found(key: key.symbol)].count += 1
        if localTrampolines[call] == nil { unclaimed[name, default: Found(key: key.symbol)].count += 1 }
      }
    }
  }
}
