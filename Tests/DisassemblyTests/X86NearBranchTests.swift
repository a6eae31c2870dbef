import Testing

@testable import Disassembly

/// Near branches without prefixes are decoded by themselves, as they would be with all others.
@Suite struct X86NearBranchTests {
  private static let opcodes: [[UInt8]] = [[0xe8], [0xe9]] + (UInt8(0x80)...0x8f).map { [0x0f, $0] }
  private static let displacements: [[UInt8]] = [
    [0, 0, 0, 0], [1, 0, 0, 0], [0xfb, 0xff, 0xff, 0xff], [0, 0, 0, 0x80], [0xff, 0xff, 0xff, 0x7f],
  ]

  @Test(arguments: opcodes, displacements)
  func theShortWayGivesWhatTheLongOneGives(_ opcode: [UInt8], _ displacement: [UInt8]) throws {
    let code = opcode + displacement + [0x90, 0x90]
    for offset in [0, 0x1234] {
      let short = Disassembler.plainNearBranch(code.span, at: offset)
      let long = Disassembler.x86Instruction(code.span, at: offset)
      #expect(short != nil)
      #expect(short == long)
    }
  }

  @Test(arguments: opcodes)
  func aBranchThatIsCutOffIsNone(_ opcode: [UInt8]) throws {
    for length in opcode.count..<(opcode.count + 4) {
      let code = Array((opcode + [0, 0, 0, 0]).prefix(length))
      let branch = Disassembler.plainNearBranch(code.span, at: 0)
      #expect(branch == nil)
      #expect(try decodeBytes(code, .x86_64) == nil)
    }
  }
}
