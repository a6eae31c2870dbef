import Disassembly
import ObjectFile

/// What a place is that a table names, by the instruction whose bytes include it: one judgement for objects and for linked images.
///
/// A site is the opcode of a direct branch. Prefixes in front of it that do nothing (x86-64: `2e`, `3e`, `67`, `f2`, REX and others) stay
/// outside of it; with 66 the branch is none that a runtime may change, because Intel's processors ignore that prefix and AMD's do not.
enum EntryPlace: Equatable {
  case site(CallKind, length: Int)
  /// A prefix of a branch whose site begins `distance` bytes further on.
  case prefix(distance: Int)
  /// The start or opcode of a direct branch that a runtime cannot retarget.
  case unpatchableBranch
  /// The start of an instruction that is no direct branch.
  case otherInstruction
  case middle
}

extension Architecture {
  /// Judges the place at `offset`, which must lie in the bytes of `instruction`, in the section or segment that holds `code`.
  static func place(_ offset: Int, in instruction: Instruction, _ code: Span<UInt8>) -> EntryPlace {
    let isStart = offset == instruction.offset
    guard instruction.flow.isDirectBranch, let kind = instruction.flow.kind else {
      return isStart ? .otherInstruction : .middle
    }
    guard let bytes = patchableBytes(of: instruction, in: code) else { return isStart ? .unpatchableBranch : .middle }
    if offset > bytes.lowerBound { return .middle }
    if instruction.hasOperandSizePrefix { return .unpatchableBranch }
    return offset == bytes.lowerBound
      ? .site(kind, length: bytes.count) : .prefix(distance: bytes.lowerBound - offset)
  }
}
