import Disassembly
import ObjectFile

extension Listing {
  /// A change of code that annotate makes, as disassembly.
  public struct Change: Sendable {
    public var section: String
    /// Section offset, in bytes.
    public var offset: Int
    public var function: String?
    /// Distance from the function's start, in bytes.
    public var functionOffset: Int?
    /// The static call that becomes direct; `nil` for a load that nobody needs any more.
    public var callName: String?
    public var before: [Line]
    public var after: [Line]
  }

  /// One instruction.
  public struct Line: Sendable {
    /// Its bytes in hexadecimal, separated by spaces.
    public var bytes: String
    public var text: String
  }
}

/// Shows the planned changes of an object's code.
struct ChangeLister: ~Copyable {
  private let printer: InstructionPrinter
  private let survey: Survey
  private let places: Places

  init(_ survey: Survey, _ object: borrowing ObjectFile) throws(DisassemblyError) {
    printer = try InstructionPrinter(architecture(of: object.machine).instructionSet)
    self.survey = survey
    places = survey.places(in: object)
  }

  /// All changes, by section, then offset.
  func changes(_ object: borrowing ObjectFile) throws(ObjectFileError) -> [Listing.Change] {
    var changes: [(position: SitePosition, change: Listing.Change)] = []
    for site in survey.sites {
      guard let rewrite = site.rewrite else { continue }
      let bytes = site.offset.rawValue..<(site.offset.rawValue + site.length)
      changes.append(
        try change(rewrite.edit, of: bytes, callName: survey.trampoline(of: site).displayName, object))
    }
    if !changes.isEmpty {
      for edit in survey.deadLoads {
        guard let patch = edit.patches.first else { continue }
        changes.append(try change(edit, of: patch.range, callName: nil, object))
      }
    }
    return changes.sorted { $0.position < $1.position }.map(\.change)
  }

  private func change(
    _ edit: CodeEdit, of branch: Range<Int>, callName: String?, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (SitePosition, Listing.Change) {
    let patch = edit.patches.first
    let range = patch?.range ?? branch
    let (old, new) = object.withContents(of: edit.section) { code in
      let old = range.map { code[$0] }
      return (old, patch?.bytes ?? old)
    }
    let relocations = try relocations(in: range, of: edit, object)
    let position = SitePosition(section: edit.section, offset: SectionOffset(range.lowerBound))
    let function = places.function(at: position.offset, of: edit.section, object)
    return (
      position,
      Listing.Change(
        section: object.name(of: edit.section), offset: range.lowerBound, function: function?.name,
        functionOffset: function?.distance, callName: callName,
        before: lines(old, at: range.lowerBound, relocations.before),
        after: lines(new, at: range.lowerBound, relocations.after))
    )
  }

  /// The names that relocations put into a range of code, by the offset of the field: as it is, and after an edit.
  private func relocations(
    in range: Range<Int>, of edit: CodeEdit, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (before: [Int: String], after: [Int: String]) {
    var before: [Int: String] = [:]
    for table in object.relocationSections(of: edit.section) {
      try object.withRelocations(in: table) { relocations in
        for position in relocations.indices where relocations[position].type != .none {
          let relocation = relocations[position]
          if range.contains(relocation.offset.rawValue) {
            before[relocation.offset.rawValue] = object.name(of: relocation.symbol)
          }
        }
      }
    }
    var after = before
    for change in edit.relocations {
      switch change {
      case .aim(let old, _), .remove(let old), .move(let old, _): after[old.offset] = nil
      case .add: break
      }
    }
    for change in edit.relocations {
      switch change {
      case .aim(_, let new), .add(let new, _): after[new.offset] = name(ofTrampoline: new.trampoline, object)
      case .move(let old, let distance): after[old.offset + distance] = object.name(of: old.relocation.symbol)
      case .remove: break
      }
    }
    return (before, after)
  }

  private func name(ofTrampoline number: Int, _ object: borrowing ObjectFile) -> String {
    let trampoline = survey.index.trampolines[number]
    return trampoline.symbol.map { object.name(of: $0) } ?? "the trampoline of \(trampoline.displayName)"
  }

  private func lines(_ bytes: [UInt8], at address: Int, _ names: [Int: String]) -> [Listing.Line] {
    var lines: [Listing.Line] = []
    var position = 0
    while position < bytes.count {
      let text = printer.text(bytes.span, at: position, address: address)
      let end = min(position + (text?.length ?? 1), bytes.count)
      let name = names.first { ($0.key - address) >= position && ($0.key - address) < end }?.value
      let operand =
        switch (text, name) {
        case (let text?, let name?) where text.isDirectBranch: name
        case (let text?, let name?): "\(text.operands)  # \(name)"
        case (let text?, nil): text.operands
        case (nil, _): ""
        }
      lines.append(
        Listing.Line(
          bytes: bytes[position..<end].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " "),
          text: "\(text?.mnemonic ?? "?")\(operand.isEmpty ? "" : " ")\(operand)"))
      position = end
    }
    return lines
  }
}
