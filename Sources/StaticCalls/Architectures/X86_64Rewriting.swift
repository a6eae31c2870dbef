import Disassembly
import ObjectFile

/// How x86-64 code is changed.
extension X86_64 {
  /// A call ends where the old one ended, so that its return address stays; linkers put the same `67` in front of it. A jump
  /// begins where the old one began, and `int3` behind it ends what a processor might run ahead into.
  static func directForm(of branch: Instruction, in code: Span<UInt8>, room: Int) -> DirectForm? {
    let spare = room - 5
    guard spare >= 0, branch.end >= room else { return nil }
    switch branch.flow {
    case .call:
      let filler = spare == 1 ? [0x67] : nops(spare)
      return DirectForm(bytes: filler + [0xe8, 0, 0, 0, 0], opcode: branch.end - 5, padding: 0)
    case .jump where room == branch.length:
      return DirectForm(
        bytes: [0xe9, 0, 0, 0, 0] + [UInt8](repeating: 0xcc, count: spare), opcode: branch.offset, padding: spare)
    case .jump:
      return DirectForm(bytes: nops(spare) + [0xe9, 0, 0, 0, 0], opcode: branch.end - 5, padding: 0)
    case .conditionalJump, .next, .trap, .stop: return nil
    }
  }

  static func branchRelocation(_ kind: CallKind) -> (field: Int, type: RelocationType, addend: Int64) {
    (kind == .conditionalTail ? 2 : 1, plt32, -4)
  }

  /// The nops that Intel recommends (SDM volume 2, NOP), the longest first.
  static func nops(_ count: Int) -> [UInt8] {
    let longest = recommendedNops.count
    guard count > 0 else { return [] }
    return recommendedNops[min(count, longest) - 1] + nops(count - min(count, longest))
  }

  private static let recommendedNops: [[UInt8]] = [
    [0x90],
    [0x66, 0x90],
    [0x0f, 0x1f, 0x00],
    [0x0f, 0x1f, 0x40, 0x00],
    [0x0f, 0x1f, 0x44, 0x00, 0x00],
    [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    [0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  ]

  static func moved(
    _ instruction: Instruction, down distance: Int, _ relocations: ArraySlice<CodeRelocation>, in code: Span<UInt8>
  ) -> [UInt8]? {
    // The linker works out a displacement from the instruction's end anew. A distance in an immediate counts from somewhere
    // else, and one that the assembler worked out would have to change.
    let fromEnd = [pc32, plt32, gotPCRel, gotPCRelX, rexGotPCRelX]
    let absolute = [abs64, abs32, abs32S]
    if instruction.memory?.isProgramCounterRelative == true {
      guard relocations.count == 1, relocations.allSatisfy({ fromEnd.contains($0.relocation.type) }) else { return nil }
    } else {
      guard relocations.allSatisfy({ absolute.contains($0.relocation.type) }) else { return nil }
    }
    return (instruction.offset..<instruction.end).map { code[$0] }
  }
}
