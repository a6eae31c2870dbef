import TestSupport
import Testing

/// What diff finds between two files.
@Suite struct DiffTests {
  private let old = """
    .type f, %function
    f: CALL __SCT__a
    CALL __SCT__b
    JUMP __SCT__a
    .size f, . - f
    .type g, %function
    g: CALL __SCT__b
    ret
    .size g, . - g
    .data
    .p2align 3
    .quad __SCK__a, __SCK__b, __SCK__c
    """

  @Test(arguments: Target.allCases)
  func sitesAreMatchedInTheirFunctions(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(old, "old.o", for: target)
    let new = old.replacing("f: CALL __SCT__a\nCALL __SCT__b", with: "f: nop\nCALL __SCT__a\nCALL __SCT__c")
      .replacing("ret", with: "CALL __SCT__b\nret")
    try await scratch.make(new, "new.o", for: target)
    let run = try await staticcall(["diff", "old.o", "new.o"], scratch)
    #expect(run.status == 1)
    let lines = run.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    let (nop, branch) = target == .x86_64 ? (1, 5) : (4, 4)
    func hex(_ number: Int) -> String { String(number, radix: 16) }
    #expect(
      lines == [
        "- f+0x\(hex(branch)) call b direct, not in table", "+ f+0x\(hex(nop + branch)) call c direct, not in table",
        "+ g+0x\(hex(branch)) call b direct, not in table",
      ])
    #expect(run.errors == "")
  }

  @Test(arguments: Target.allCases)
  func anotherFormIsAChange(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(old, "old.o", for: target)
    try #require(await staticcall(["annotate", "-o", "new.o", "old.o"], scratch).status == 0)
    let run = try await staticcall(["diff", "old.o", "new.o"], scratch)
    #expect(run.status == 1)
    #expect(run.output.hasPrefix("~  f+0x0"))
    #expect(run.output.split(separator: "\n").count == 4)
    #expect(
      run.output.split(separator: "\n").allSatisfy { $0.hasSuffix("was direct, not in table; now direct, in table") })
    let same = try await staticcall(["diff", "new.o", "new.o"], scratch)
    #expect((same.status, same.output, same.errors) == (0, "", ""))
  }

  @Test(.enabled(if: tool("ld.lld") != nil, "ld.lld is not installed"), arguments: Target.allCases)
  func aLinkedImageIsComparedWithItsObject(_ target: Target) async throws {
    let scratch = try Scratch()
    let whole =
      old
      + "\n.globl _start\n_start:\n__SCK__a: .quad 0\n__SCK__b: .quad 0\n__SCK__c: .quad 0\n.section .static_call.text, \"ax\"\n__SCT__a: ret\n.p2align 3\n__SCT__b: ret"
    try await scratch.make(whole, "a.o", for: target)
    try #require(await staticcall(["annotate", "a.o"], scratch).status == 0)
    try await require("ld.lld", ["-o", "image", "a.o"], in: scratch.path)
    let same = try await staticcall(["diff", "a.o", "image"], scratch)
    #expect((same.status, same.output, same.errors) == (0, "", ""))
  }

  @Test func aFileThatCannotBeReadIsNamed() async throws {
    let scratch = try Scratch()
    try await scratch.make(old, "old.o")
    let run = try await staticcall(["diff", "old.o", "new.o"], scratch)
    #expect((run.status, run.output) == (2, ""))
    #expect(run.errors.hasPrefix("new.o: error: cannot open the file: "))
  }
}
