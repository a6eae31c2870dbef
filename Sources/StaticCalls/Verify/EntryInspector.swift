import Disassembly
import ObjectFile

/// Finds out why an entry's address is no site.
struct EntryInspector: ~Copyable {
  private var code: CodeReader
  private let architecture: any Architecture.Type
  private let uses: [SitePosition: CallSite]
  private let options: Options

  init(_ survey: Survey, _ object: borrowing ObjectFile, _ options: Options) {
    self.options = options
    architecture = StaticCalls.architecture(of: object.machine)
    code = CodeReader(architecture, sections: survey.sections)
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
    let place = object.withContents(of: position.section) { architecture.place(offset, in: instruction, $0) }
    switch place {
    case .site: return (.noTrampoline, "is at a branch that does not go to a trampoline")
    case .prefix(let distance):
      // Of a branch that goes elsewhere, the opcode would be no better.
      guard uses[SitePosition(section: position.section, offset: SectionOffset(offset + distance))] != nil else {
        return (.noTrampoline, "is at a branch that does not go to a trampoline")
      }
      return (.notAnInstruction, "is at a prefix; the branch itself begins at +\(distance)")
    case .unpatchableBranch: return (.wrongOpcode, "is at a branch that a runtime cannot patch")
    case .otherInstruction: return (.wrongOpcode, "is at an instruction that is no direct branch")
    case .middle: return (.notAnInstruction, "is not at an instruction boundary")
    }
  }
}
