import Disassembly
import Testing

/// The bytes of one instruction, with the text that says what they are.
struct Sample: Sendable, CustomTestStringConvertible {
  var text: String
  var bytes: [UInt8]

  init(_ text: String, _ bytes: UInt8...) {
    self.text = text
    self.bytes = bytes
  }

  init(_ text: String, _ bytes: [UInt8]) {
    self.text = text
    self.bytes = bytes
  }

  /// An instruction of AArch64, by its encoding.
  init(_ text: String, word: UInt32) {
    self.init(text, (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) })
  }

  var testDescription: String { text }

  /// Decodes the sample behind `distance` bytes of `nop` and in front of many more: a length that is too small must not
  /// come from the end of the code.
  func decode(_ instructionSet: InstructionSet, behind distance: Int = 0) throws -> Instruction? {
    let nop: [UInt8] = instructionSet == .x86_64 ? [0x90, 0x90, 0x90, 0x90] : [0x1f, 0x20, 0x03, 0xd5]
    let before = (0..<distance / 4).flatMap { _ in nop }
    let after = (0..<8).flatMap { _ in nop }
    return try decodeBytes(before + bytes + after, instructionSet, at: distance)
  }
}

func decodeBytes(_ bytes: [UInt8], _ instructionSet: InstructionSet, at offset: Int = 0) throws -> Instruction? {
  let disassembler = Disassembler(instructionSet)
  return disassembler.decode(bytes.span, at: offset)
}

/// A set of registers by their numbers.
func registers(_ numbers: Int...) -> RegisterSet {
  numbers.reduce(into: []) { $0.insert(RegisterSet(Register($1))) }
}
