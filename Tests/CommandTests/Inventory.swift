import TestSupport

/// What `readelf` prints of an object, and the bytes of its sections: enough to tell whether anything but the table changed.
struct Inventory {
  struct Section: Equatable {
    var name: String
    var type: String
    var offset: Int
    var size: Int
    /// Address, entry size, flags, link and alignment, as printed.
    var fields: [String]
    var bytes: ArraySlice<UInt8>
  }

  var sections: [Section] = []
  /// Each symbol without its number.
  var symbols: [String] = []
  /// Each relocation without the symbol's number, below the name of its section.
  var relocations: [String] = []
  /// What `.llvm_addrsig` names.
  var significant: [String] = []

  init(of object: String) async throws {
    let bytes = try TestSupport.bytes(of: object)
    let text = try await require("readelf", ["-SsrW", object])
    var source = ""
    for line in text.split(separator: "\n") {
      let words = line.split { $0.isWhitespace }.map(String.init)
      if line.hasPrefix("Relocation section '") {
        source = String(words[2])
      } else if let header = Self.header(line) {
        try sections.append(Self.section(header, bytes))
      } else if words.count >= 7, words[0].hasSuffix(":"), Int(words[0].dropLast()) != nil {
        symbols.append(words.dropFirst().joined(separator: " "))
      } else if words.count >= 3, words[0].count == 16, words[2].hasPrefix("R_"), source != Self.tableRelocations {
        relocations.append("\(source) \(words[0]) \(words.dropFirst(2).joined(separator: " "))")
      }
    }
    if sections.contains(where: { $0.name == ".llvm_addrsig" }) {
      significant = try ElfBytes(file: object).addressSignificant()
    }
    guard !sections.isEmpty, !symbols.isEmpty else {
      throw ToolFailure(description: "readelf's text is not understood:\n\(text)")
    }
  }

  private static let tableRelocations = "'.rela.static_call_sites'"

  /// The words of a line such as `[ 1] .text PROGBITS ...` behind the number.
  private static func header(_ line: Substring) -> [String]? {
    guard line.hasPrefix("  ["), let end = line.firstIndex(of: "]"), Int(line[..<end].dropFirst(3).trimmed) != nil
    else { return nil }
    return line[line.index(after: end)...].split { $0.isWhitespace }.map(String.init)
  }

  private static func section(_ words: [String], _ bytes: [UInt8]) throws -> Section {
    if words.first == "NULL" { return Section(name: "", type: "NULL", offset: 0, size: 0, fields: [], bytes: []) }
    guard words.count >= 9, let offset = Int(words[3], radix: 16), let size = Int(words[4], radix: 16) else {
      throw ToolFailure(description: "not a section header: \(words)")
    }
    // The last but one is `sh_info`, which for the symbol table and for groups changes with the symbols' numbers.
    let fields = [words[2], words[5]] + words[6...].dropLast(2) + words.suffix(1)
    return Section(
      name: words[0], type: words[1], offset: offset, size: size, fields: Array(fields),
      bytes: words[1] == "NOBITS" ? [] : bytes[offset..<(offset + size)])
  }

  /// What differs in `other`, apart from a table and from section symbols that were inserted for it; nothing, where nothing
  /// was harmed.
  func differences(in other: Inventory) -> [String] {
    var differences: [String] = []
    for (number, (old, new)) in zip(sections, other.sections).enumerated() {
      if (old.name, old.type) != (new.name, new.type) || old.fields != new.fields {
        differences.append("section \(number): \(old.name) \(old.type) \(old.fields) is now \(new.name) \(new.fields)")
      } else if !Self.indexed.contains(old.type),
        (old.offset, old.size) != (new.offset, new.size) || old.bytes != new.bytes
      {
        differences.append("section \(number), \(old.name): the contents changed")
      }
    }
    let added = other.sections.dropFirst(sections.count).map(\.name)
    if added != [".static_call_sites", ".rela.static_call_sites"] { differences.append("new sections: \(added)") }
    let (lost, new) = (symbols.without(other.symbols), other.symbols.without(symbols))
    let strangers = new.filter { !$0.contains(" SECTION LOCAL DEFAULT ") }
    differences += lost.map { "lost symbol: \($0)" } + strangers.map { "new symbol: \($0)" }
    if relocations != other.relocations {
      differences += relocations.without(other.relocations).map { "lost relocation: \($0)" }
      differences += other.relocations.without(relocations).map { "new relocation: \($0)" }
      differences.append("the relocations changed")
    }
    if significant != other.significant { differences.append("\(significant) are now \(other.significant)") }
    return differences
  }

  /// Sections that hold symbols' numbers or names; what they say is compared as text. binutils 2.44 has a name for the last.
  private static let indexed: Set = ["SYMTAB", "STRTAB", "RELA", "LOOS+0xfff4c03", "LLVM_ADDRSIG"]
}

extension [String] {
  /// The elements that are left when each of `others` has taken away one that equals it.
  fileprivate func without(_ others: [String]) -> [String] {
    var counts = Dictionary(others.map { ($0, 1) }, uniquingKeysWith: +)
    return filter { element in
      guard let count = counts[element], count > 0 else { return true }
      counts[element] = count - 1
      return false
    }
  }
}
