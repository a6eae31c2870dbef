/// Decodes one instruction at a time.
///
/// What an instruction is, how long it is and what it does is worked out from its encoding, here. Capstone only writes instructions
/// out for people (``InstructionPrinter``): it takes some instructions for longer than they are, and its versions do not know the same.
public struct Disassembler {
  public let instructionSet: InstructionSet

  public init(_ instructionSet: InstructionSet) { self.instructionSet = instructionSet }

  /// Decodes the instruction at `offset` of a section that holds `code`; `nil` where the bytes are no known instruction or
  /// `offset` is out of range.
  public func decode(_ code: Span<UInt8>, at offset: Int) -> Instruction? {
    guard offset >= 0, offset < code.count else { return nil }
    switch instructionSet {
    case .x86_64:
      let window = code.extracting(offset..<min(offset + X86Encoding.longest, code.count))
      return Self.plainNearBranch(window, at: offset) ?? Self.x86Instruction(window, at: offset)
    case .aarch64: return Self.arm64Instruction(code, at: offset)
    }
  }
}
