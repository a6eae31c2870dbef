import Disassembly
import ObjectFile
import Testing

@testable import StaticCalls

/// Where instructions begin, by the flow of control.
@Suite struct ImageCodeFlowTests {
  private func flow(
    _ code: [UInt8], functions: [Int] = [0], labels: [Int] = [], data: [Range<Int>] = []
  ) throws -> CodeFlow {
    let known = CodeFlow.Known(functions: functions, labels: labels, data: data)
    return CodeFlow(
      0..<code.count, known, in: code.span, Disassembler(.x86_64), StaticCalls.architecture(of: .x86_64))
  }

  private static let call: [UInt8] = [0xe8, 0, 0, 0, 0]

  /// `call 1f`, data that would swallow what follows, `1: pop %rdi`, a call.
  @Test func theTargetOfACallCountsForMoreThanWhatIsBehindIt() throws {
    let flow = try flow([0xe8, 2, 0, 0, 0, 0x48, 0xb8, 0x5f] + Self.call + [0xc3])
    #expect(flow.start(ofInstructionAround: 7) == 7)
    #expect(flow.start(ofInstructionAround: 10) == 8)
    #expect(flow.isCertain(8))
    #expect(flow.start(ofInstructionAround: 5) == nil)
    #expect(flow.targets == [7, 13])
  }

  /// `jmp *%rax` and the cases of a switch that nothing visible leads to.
  @Test func whatNothingLeadsToIsDecodedAndNotProved() throws {
    let flow = try flow([0xff, 0xe0] + Self.call + [0xc3])
    #expect(flow.start(ofInstructionAround: 3) == 2)
    #expect(!flow.isCertain(2))
    #expect(flow.isCertain(0))
  }

  /// A label in the middle of an instruction, and one behind a prefix.
  @Test func aLabelInsideOfAnInstructionMakesItDoubtful() throws {
    let code: [UInt8] = [0x48, 0xb8, 0xe8, 0, 0, 0, 0, 0, 0, 0, 0x2e] + Self.call + [0xc3]
    #expect(try flow(code).isCertain(0))
    #expect(try !flow(code, labels: [2]).isCertain(0))
    #expect(try flow(code, labels: [11]).isCertain(10))
  }

  @Test func knownDataIsNoCode() throws {
    let flow = try flow([0xeb, 5] + Self.call + [0xc3], data: [2..<7])
    #expect(flow.start(ofInstructionAround: 2) == nil)
    #expect(flow.start(ofInstructionAround: 7) == 7)
  }

  /// Entries of PLTs as linkers make them, and what is none.
  @Test func stubsOfX86AreFollowed() {
    let slot = StubTarget.memory(0x1000 + 0x17)
    let samples: [(bytes: [UInt8], target: StubTarget?)] = [
      ([0x4c, 0x8b, 0x1d, 0x10, 0, 0, 0, 0xe9, 0, 0, 0, 0], slot),
      ([0x4c, 0x8b, 0x1d, 0x10, 0, 0, 0, 0xe8, 0, 0, 0, 0], slot),
      ([0x4c, 0x8b, 0x1d, 0x10, 0, 0, 0, 0x41, 0xff, 0xd3, 0, 0], nil),
      ([0xff, 0x25, 0x11, 0, 0, 0], slot), ([0xf2, 0xff, 0x25, 0x10, 0, 0, 0], slot),
      ([0xff, 0x15, 0x11, 0, 0, 0], nil),
    ]
    for (bytes, target) in samples {
      #expect(X86_64.stubTarget(at: 0, in: bytes.span, address: 0x1000) == target, "\(bytes)")
    }
  }

  /// GNU ld's branch over its corrections of errata; the same branch in front of other code is a branch.
  @Test func branchesOverStubsAreTheLinkers() {
    func leads(_ words: [UInt32], isStub: Bool = false) -> Bool {
      let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) } }
      return AArch64.leadsOverStubs(at: 16, in: bytes.span) { _ in isStub }
    }
    let before = [UInt32](repeating: 0xd503_201f, count: 4)
    let (over, nop, load, back, ret) = (
      UInt32(0x1400_0004), before[0], UInt32(0xf940_2823), UInt32(0x17ff_fffa), UInt32(0xd65f_03c0)
    )
    #expect(leads(before + [over, nop, load, back]))
    #expect(leads(before + [over, nop, 0x9b02_7c20, back]))
    #expect(leads(before + [over, nop, ret, ret], isStub: true))
    #expect(!leads(before + [over, nop, ret, ret]))
    #expect(!leads(before + [over, nop, load, ret]))
    #expect(!leads(before + [over, load, load, back]))
    #expect(!leads(before + [0x9400_0004, nop, load, back]))
  }
}
