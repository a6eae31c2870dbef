import Testing

@testable import Disassembly

/// A `nop` is decoded without Capstone, which has the last word here.
@Suite struct AArch64PaddingTests {
  private static let padding: [UInt8] = [0x1f, 0x20, 0x03, 0xd5]

  @Test(arguments: [0, 64])
  func theShortWayGivesWhatCapstoneGives(_ offset: Int) throws {
    let disassembler = try Disassembler(.aarch64)
    let short = Disassembler.plainNoOperation(Self.padding.span, at: offset)
    let long = disassembler.decodeThroughCapstone(Self.padding.span, at: offset)
    #expect(short != nil)
    #expect(short == long)
  }

  @Test func otherHintsAndCutOffOnesAreNone() {
    for position in Self.padding.indices {
      var other = Self.padding
      other[position] ^= 0x20
      let decoded = Disassembler.plainNoOperation(other.span, at: 0)
      #expect(decoded == nil)
    }
    let cutOff = Array(Self.padding.dropLast())
    let decoded = Disassembler.plainNoOperation(cutOff.span, at: 0)
    #expect(decoded == nil)
  }
}
