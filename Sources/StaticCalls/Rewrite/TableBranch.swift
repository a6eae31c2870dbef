import Disassembly
import ObjectFile

/// A call or jump through the global offset table in one instruction, by the proof that linkers go by (``RelocatedField/tableBranch``).
/// No other instruction has a say in where it goes.
struct TableBranch {
  let section: SectionIndex
  let instruction: Instruction
  let relocation: CodeRelocation
  let trampoline: Int

  /// How many bytes before an instruction a replacement of code may begin that reaches it: its length has one byte (the kernel's
  /// asm/alternative.h, `struct alt_instr`).
  private static let longestReplacement = 255

  /// What becomes of it.
  func status(
    _ named: NamedPlaces, role: SectionRole, _ options: Options, _ architecture: any Architecture.Type,
    _ object: borrowing ObjectFile
  ) -> CallSite.Status {
    let bytes = instruction.offset..<instruction.end
    if role == .leftOut || !options.rewritesCalls { return .left(.throughTable) }
    let mayBeReplaced = named.replaceCode(
      in: max(0, bytes.lowerBound - Self.longestReplacement)..<bytes.upperBound, of: section)
    if mayBeReplaced || named.nameInstruction(in: bytes, of: section) { return .left(.namedInstruction) }
    if named.nameInside(bytes, of: section) { return .left(.entered) }
    let direct = object.withContents(of: section) { architecture.directForm(of: instruction, in: $0) }
    guard let direct, let kind = instruction.flow.kind else { return .left(.throughTable) }
    let form = architecture.branchRelocation(kind)
    let aimed = BranchRelocation(
      offset: direct.opcode + form.field, type: form.type, addend: form.addend, trampoline: trampoline)
    let edit = CodeEdit(
      section: section, patches: [CodePatch(offset: instruction.offset, bytes: direct.bytes)],
      relocations: [.aim(relocation, aimed)])
    return .convertible(
      Rewrite(
        edit: edit, offset: SectionOffset(direct.opcode), length: instruction.end - direct.opcode - direct.padding,
        route: .table))
  }
}
