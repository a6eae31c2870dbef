import Disassembly
import Testing

/// The instruction at the start of `bytes`.
func decode(_ bytes: [UInt8], as instructionSet: InstructionSet) throws -> Instruction {
  let disassembler = Disassembler(instructionSet)
  let instruction = disassembler.decode(bytes.span, at: 0)
  return try #require(instruction)
}
