import Disassembly
import Testing

/// The words for people, which are the same with every version of Capstone.
@Suite struct InstructionTextTests {
  @Test(arguments: [
    (Sample("movabs", 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0), "movabsq", "$0, %rax"),
    (Sample("movabs", 0x48, 0xb8, 0x10, 0, 0, 0, 0, 0, 0, 0), "movabsq", "$0x10, %rax"),
    (Sample("call", 0xff, 0x15, 0, 0, 0, 0), "callq", "*(%rip)"),
    (Sample("mov", 0x48, 0x8b, 0x98, 0x0a, 0, 0, 0), "movq", "0xa(%rax), %rbx"),
  ])
  func x86(_ sample: Sample, _ mnemonic: String, _ operands: String) throws {
    let text = try InstructionPrinter(.x86_64).text(sample.bytes.span, at: 0, address: 0)
    #expect(text?.mnemonic == mnemonic)
    #expect(text?.operands == operands)
    #expect(text?.length == sample.bytes.count)
  }

  @Test(arguments: [
    (Sample("movz", word: 0xd280_0008), "mov", "x8, #0"),
    (Sample("movz", word: 0xd2e0_0008), "movz", "x8, #0, lsl #48"),
    (Sample("movk", word: 0xf2a0_0028), "movk", "x8, #1, lsl #16"),
    (Sample("adrp", word: 0x9000_0008), "adrp", "x8, #0"),
  ])
  func arm(_ sample: Sample, _ mnemonic: String, _ operands: String) throws {
    let text = try InstructionPrinter(.aarch64).text(sample.bytes.span, at: 0, address: 0)
    #expect(text?.mnemonic == mnemonic)
    #expect(text?.operands == operands)
  }
}
