/// How symbol indexes change when local symbols are inserted.
///
/// Local symbols must stand before all others, so the first globals give up their places to the new ones and move to the
/// end of the table (in a table with fewer globals than new locals, all of them move up). Every other symbol keeps its index.
struct SymbolRenumbering: Equatable {
  /// The old indexes of the symbols that move.
  let moved: Range<Int>
  /// By how much they move.
  let distance: Int

  init(_ table: SymbolTable, insertedLocals: Int) {
    let globals = table.count - table.firstGlobal
    moved = table.firstGlobal..<(table.firstGlobal + min(insertedLocals, globals))
    distance = insertedLocals == 0 ? 0 : max(insertedLocals, globals)
  }

  var isIdentity: Bool { moved.isEmpty }

  func newIndex(of old: Int) -> Int { moved.contains(old) ? old + distance : old }
}

extension ObjectFile {
  /// Refuses an object with a table of symbol indexes that the renumbering does not reach.
  func checkCanRenumber() throws(ObjectFileError) {
    guard let symbolTable else { return }
    let known: Set<SectionType> = [.rela, .rel, .group, .symtabShndx, .llvmAddrsig, .llvmCallGraphProfile]
    for section in sections where Int(section.link) == symbolTable.section.rawValue && !known.contains(section.type) {
      throw .cannotRenumber(
        "section \(name(of: section.index)) of type \(hex(section.type.rawValue)) may hold symbol indexes in a form that is not known"
      )
    }
  }

  /// The contents of an `SHT_LLVM_ADDRSIG` section after the renumbering, or `nil` where nothing in it changes.
  func renumberedAddrsig(_ section: SectionIndex, _ renumbering: SymbolRenumbering) throws(ObjectFileError) -> [UInt8]?
  {
    try withContents(of: section) { bytes throws(ObjectFileError) in
      var result: [UInt8] = []
      var changed = false
      var position = 0
      while position < bytes.count {
        guard let old = bytes.uleb128(at: &position), old < UInt64(symbolTable?.count ?? 0) else {
          throw .damaged("\(name(of: section)) does not hold symbol indexes")
        }
        let new = renumbering.newIndex(of: Int(old))
        changed = changed || new != Int(old)
        result.append(uleb128: UInt64(new))
      }
      return changed ? result : nil
    }
  }
}

extension Span where Element == UInt8 {
  /// Reads an unsigned LEB128 number and moves `position` behind it; `nil` where it is cut off or too large.
  fileprivate func uleb128(at position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < count, shift < 63 {
      let byte = self[position]
      position += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    return nil
  }
}

extension Array where Element == UInt8 {
  fileprivate mutating func append(uleb128 number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }
}
