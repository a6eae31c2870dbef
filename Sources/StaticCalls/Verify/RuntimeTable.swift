import ObjectFile

extension LinkedImage {
  /// The error of a program that has the runtime of static_call.h and a table that the runtime does not read: no call is ever patched then.
  func unreadTable() throws(ObjectFileError) -> Diagnostic? {
    let table = sections.first { section in
      section.flags.contains(.alloc) && section.size > 0 && name(of: section) == Options.kernelTable
    }
    guard let table, try hasRuntime() else { return nil }
    let entries = Int(clamping: table.size) / ExistingTable.entrySize
    return Diagnostic(
      .unreadTable, .error,
      at: DiagnosticLocation(section: Options.kernelTable, offset: 0, address: table.address),
      "\(entries) \(entries == 1 ? "entry" : "entries") in \(Options.kernelTable), and the program's runtime reads \(Options.userTable)",
      help: Code.unreadTable.help)
  }

  /// Whether the runtime of static_call.h is part of the image.
  func hasRuntime() throws(ObjectFileError) -> Bool {
    // Link-time optimisation may leave one of them only.
    let runtime = [UserSpace.updateFunction + [0], UserSpace.anchor + [0]]
    var isDefined = false
    try forEachSymbolTable { symbols, names in
      for position in symbols.indices where symbols[position].storedSection != 0 {
        let name = Int(symbols[position].nameOffset)
        if runtime.contains(where: { names.hasBytes($0, at: name) }) { isDefined = true }
      }
    }
    if sections.contains(where: { $0.type == .symtab }) { return isDefined }
    return segments.contains { holds(UserSpace.variable, in: $0) }
  }
}
