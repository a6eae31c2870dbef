import Disassembly
import ObjectFile

/// Finds out why an entry's address is no site.
struct EntryInspector: ~Copyable {
  private var code: CodeReader
  private let uses: [SitePosition: CallSite]
  private let options: Options

  init(_ survey: Survey, _ object: borrowing ObjectFile, _ options: Options) throws(DisassemblyError) {
    self.options = options
    code = try CodeReader(architecture(of: object.machine), sections: survey.sections)
    uses = Dictionary(survey.sites.map { ($0.position, $0) }, uniquingKeysWith: { first, _ in first })
  }

  mutating func inspect(
    _ position: SitePosition, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (Code, String) {
    let section = object[position.section]
    guard section.flags.contains(.execInstr), section.hasFileContents else {
      return (.notCode, "lies in \(object.name(of: section.index)), which holds no code")
    }
    if uses[position] != nil { return (.wrongOpcode, "is at a branch that a runtime cannot patch") }
    if SectionRole(section.index, object, options) == .ignored {
      return (.discardedSection, "lies in \(object.name(of: section.index)), which never reaches the program")
    }
    let offset = position.offset.rawValue
    guard let instruction = try code.instruction(around: offset, in: position.section, object) else {
      return (.notAnInstruction, "is not at an instruction")
    }
    if let opcode = opcodeBehindPrefixes(of: instruction, position) {
      return (.notAnInstruction, "is at a prefix; the branch itself begins at +\(opcode - offset)")
    }
    // A site begins at the opcode, behind prefixes that do nothing.
    guard instruction.offset == offset || isBranchBehindPrefixes(of: instruction, position, object) else {
      return (.notAnInstruction, "is not at an instruction boundary")
    }
    guard instruction.flow.isDirectBranch else {
      return (.wrongOpcode, "is at an instruction that is no direct branch")
    }
    return (.noTrampoline, "is at a branch that does not go to a trampoline")
  }

  /// Whether what begins at a position inside of a direct branch is the same branch without its prefixes.
  private func isBranchBehindPrefixes(
    of instruction: Instruction, _ position: SitePosition, _ object: borrowing ObjectFile
  ) -> Bool {
    guard instruction.flow.isDirectBranch,
      let inner = code.instruction(at: position.offset.rawValue, in: position.section, object)
    else { return false }
    return inner.end == instruction.end && inner.flow.isDirectBranch
      && inner.flow.directTarget == instruction.flow.directTarget
  }

  /// Where a site begins in the instruction that an entry names by one of its prefixes.
  private func opcodeBehindPrefixes(of instruction: Instruction, _ position: SitePosition) -> Int? {
    let offset = position.offset.rawValue
    guard instruction.offset <= offset else { return nil }
    return (offset + 1..<max(offset + 1, instruction.end)).first {
      let site = uses[SitePosition(section: position.section, offset: SectionOffset($0))]
      return site.map { $0.offset.rawValue + $0.length == instruction.end } ?? false
    }
  }
}
