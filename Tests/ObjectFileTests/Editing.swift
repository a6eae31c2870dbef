import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Carries out `plan` on the object at `path` and writes the outcome to `output`.
func carryOut(_ plan: EditPlan, on path: String, to output: String) throws(ObjectFileError) {
  let input = try InputFile(FilePath(path))
  let object = try ObjectFile(reading: input)
  let edited = try EditedObject(plan, of: object, from: input)
  let difference = try edited.difference(from: object)
  #expect(difference == nil)
  try edited.write(to: FilePath(output), from: input)
}

/// The error that an edit leads to.
func editError(_ plan: EditPlan, on path: String) -> ObjectFileError? {
  do throws(ObjectFileError) {
    try carryOut(plan, on: path, to: "\(path).edited")
    return nil
  } catch {
    return error
  }
}

/// An object before and after an edit.
struct EditedFile {
  var before: ElfBytes
  var after: ElfBytes
  var beforePath: String
  var afterPath: String
  var target: Target

  init(_ plan: EditPlan, of path: String, _ target: Target) throws {
    (beforePath, afterPath, self.target) = (path, "\(path).edited", target)
    try carryOut(plan, on: path, to: afterPath)
    before = try ElfBytes(file: path)
    after = try ElfBytes(file: afterPath)
  }

  /// Expects that everything of the old object is in the new one, under the same names, and that all tools take it.
  func expectSound(newSymbols: Int = 0) async throws {
    expectKeptSections(symbolsAdded: newSymbols != 0)
    try await expectKeptSymbols(added: newSymbols)
    try await expectKeptRelocations()
    let groups = try await require(target.readelf, ["-gW", afterPath])
    #expect(groups == (try await require(target.readelf, ["-gW", beforePath])))
    try await expectAccepted()
  }

  func expectKeptSymbols(added newSymbols: Int) async throws {
    let (old, new) = (try await symbols(beforePath), try await symbols(afterPath))
    #expect(old.count == before.symbolCount)
    #expect(new.count == old.count + newSymbols)
    var rest = new.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    for symbol in old { rest[symbol, default: 0] -= 1 }
    #expect(rest.filter { $0.value < 0 }.isEmpty)
  }

  private func expectKeptRelocations() async throws {
    let (oldRelocations, newRelocations) = (try await relocations(beforePath), try await relocations(afterPath))
    let recordSizes: [UInt64: UInt64] = [4: 24, 9: 16]
    let records = (1..<before.sectionCount).reduce(0) { sum, section in
      sum + (recordSizes[before[section: section, .type]].map { before[section: section, .length] / $0 } ?? 0)
    }
    #expect(oldRelocations.values.reduce(0) { $0 + UInt64($1.count) } == records)
    for (section, lines) in oldRelocations { #expect(newRelocations[section] == lines, "\(section)") }
  }

  /// Sections keep their place and contents, unless names or symbols are added to them.
  func expectKeptSections(symbolsAdded: Bool) {
    let names = Int(before[.sectionNames] == 0xffff ? before[section: 0, .link] : before[.sectionNames])
    var rewritten: Set<Int> = [names]
    let (addrsig, extended) = (0x6fff_4c03 as UInt64, 18 as UInt64)
    for index in 1..<before.sectionCount where symbolsAdded {
      let type = before[section: index, .type]
      if index == before.symbolTable || type == addrsig || type == extended { rewritten.insert(index) }
    }
    if symbolsAdded { rewritten.insert(Int(before[section: before.symbolTable, .link])) }
    for index in 1..<before.sectionCount {
      let type = before[section: index, .type]
      let holdsSymbolIndexes = symbolsAdded && [4, 9, 17].contains(type)
      if !rewritten.contains(index), !(symbolsAdded && type == 17) {
        #expect(header(index, before) == header(index, after), "the header of section \(index)")
      }
      guard !rewritten.contains(index) else { continue }
      let (old, new) = (before.contents(ofSection: index), after.contents(ofSection: index))
      #expect(holdsSymbolIndexes ? old.count == new.count : old == new, "the contents of section \(index)")
    }
  }

  private func header(_ index: Int, _ elf: ElfBytes) -> ArraySlice<UInt8> {
    let start = Int(elf[.sectionTable]) + 64 * index
    return ArraySlice(Array(elf.bytes[start..<start + 64]))
  }

  /// One line for each symbol, without its number.
  private func symbols(_ path: String) async throws -> [String] {
    try await largeOutput(target.readelf, ["-sW", path]).split(separator: "\n").compactMap { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      return parts.count == 2 && Int(parts[0].drop { $0 == " " }) != nil ? String(parts[1]) : nil
    }
  }

  /// By section, a line for each relocation, without the number that holds the symbol's index.
  private func relocations(_ path: String) async throws -> [String: [String]] {
    var result: [String: [String]] = [:]
    var section = ""
    for line in try await largeOutput(target.readelf, ["-rW", path]).split(separator: "\n") {
      if line.hasPrefix("Relocation section") {
        section = String(line.split(separator: "'")[1])
      } else if line.first?.isHexDigit == true {
        var columns = line.split(separator: " ")
        columns.remove(at: 1)
        result[section, default: []].append(columns.joined(separator: " "))
      }
    }
    return result
  }

  /// What a program that must succeed writes, by way of a file: megabytes through a pipe take long in a debug build.
  private func largeOutput(_ program: String, _ arguments: [String]) async throws -> String {
    let file = "\(afterPath).output"
    try await require("sh", ["-c", "exec \"$@\" >\(file)", "sh", program] + arguments)
    return String(decoding: try bytes(of: file), as: UTF8.self)
  }

  /// Expects that readelf, both linkers and objcopy take the outcome. What readelf shows may be limited: its time for the
  /// relocations of very many sections grows with the square of their number.
  func expectAccepted(showing option: String = "-aW") async throws {
    for (program, arguments) in [
      (target.readelf, [option, afterPath]),
      (target.linker, ["-r", "-o", "\(afterPath).ld", afterPath]),
      ("ld.lld", ["-r", "-o", "\(afterPath).lld", afterPath]),
      (target.objcopy, [afterPath, "\(afterPath).copy"]),
    ] {
      let taken = try await run("sh", ["-c", "exec \"$@\" >/dev/null", "sh", program] + arguments)
      #expect(taken.status == 0, "\(program)")
      #expect(taken.errors == "", "\(program)")
    }
  }

  /// The relocations of a section of the outcome, as `offset symbol addend`.
  func newRelocations(in name: String) throws -> [String] {
    let section = try after.section(name)
    return (0..<Int(after[section: section, .length]) / 24).map { index in
      let symbol = Int(after[relocation: index, of: section, .symbol])
      let (info, name) = (after[symbol: symbol, .info], after.name(ofSymbol: symbol))
      let shown = info & 0xf == 3 ? after.name(ofSection: Int(after[symbol: symbol, .section])) : name
      let addend = Int64(bitPattern: after[relocation: index, of: section, .addend])
      return "\(after[relocation: index, of: section, .offset]) \(shown) \(addend)"
    }
  }
}

/// The 64-bit absolute relocation of each machine.
func absolute(_ target: Target) -> RelocationType { RelocationType(target == .x86_64 ? 1 : 257) }

/// A writable section of eight bytes for each relocation.
func addedSection(_ name: String, _ target: Target, _ relocations: [(SymbolReference, Int64)]) -> AddedSection {
  AddedSection(
    name: name, type: .progbits, flags: [.write, .alloc], alignment: 8, entrySize: 8,
    contents: [UInt8](repeating: 0, count: 8 * max(1, relocations.count)),
    relocations: relocations.enumerated().map { number, relocation in
      PlannedRelocation(
        offset: SectionOffset(8 * number), type: absolute(target), symbol: relocation.0, addend: relocation.1)
    })
}

extension ElfBytes {
  /// A section symbol for a section, to be inserted.
  func newSectionSymbol(_ section: String) throws -> NewSymbol {
    NewSymbol(name: [], type: .section, section: SectionIndex(try self.section(section)))
  }

  func reference(_ symbol: String) throws -> SymbolReference { .existing(SymbolIndex(try self.symbol(symbol))) }
}
