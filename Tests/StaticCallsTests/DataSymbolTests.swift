import StaticCalls
import SystemPackage
import TestSupport
import Testing

/// Data that has to do with static calls without being a way into the code.
@Suite struct DataSymbolTests {
  /// A function with a jump table in `.rodata`, and an indirect call in one of its branches.
  private static let function = """
    .globl f
    .type f, %function
    f: cmp $3, %edi
    ja .Lend
    mov %edi, %edi
    notrack jmp *.Ltable(,%rdi,8)
    .Lone: lea __SCT__a(%rip), %rax
    nop
    nop
    call *%rax
    .Lend: ret
    .size f, . - f
    .data
    .p2align 3
    .quad __SCK__a
    .section .rodata
    .p2align 3
    .Ltable: .quad .Lone, .Lend, .Lone, .Lend

    """

  static let symbols = [
    ".type __SCT__version, %object\n__SCT__version: .asciz \"1\"\n.size __SCT__version, 2",
    ".globl __SCT__version\n.type __SCT__version, %object\n__SCT__version: .asciz \"1\"\n.size __SCT__version, 2",
    "__SCT__version: .asciz \"1\"",
    ".section .tdata,\"awT\",%progbits\n.type __SCT__version, %tls_object\n__SCT__version: .quad 1",
    ".comm __SCT__version, 8", "",
  ]

  @Test(arguments: symbols)
  func aDataSymbolWithThePrefixMakesNoCodeOfData(_ symbol: String) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: Self.function + symbol, for: .x86_64)
    let annotation = annotate(object).annotation
    #expect(annotation?.entries == 1 && annotation?.left.isEmpty == true, "\(annotation?.left.map(\.message) ?? [])")
    #expect(try verify(object) == [])
  }

  /// A function with a call of another system, whose site is behind a prefix as annotate leaves it, and one that can be made direct.
  private static func twoSystems(_ table: String) -> String {
    """
    .globl f
    .type f, %function
    f: .byte 0x67
    .Lsite: call other_x
    lea __SCT__a(%rip), %rax
    nop
    nop
    call *%rax
    ret
    .size f, . - f
    .data
    .p2align 3
    .quad __SCK__a, otherkey_x
    .section sites_of_others,"aw",%progbits
    \(table)
    """
  }

  private func state(_ table: String) async throws -> (state: Listing.SiteState, code: Code?) {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: Self.twoSystems(table), for: .x86_64)
    let calls = try Pipeline.list(FilePath(object), Options()).sites.filter { $0.kind != nil }
    let call = try #require(calls.first)
    return (call.state, call.code)
  }

  @Test func aTableOfAnotherSystemIsNoWayIn() async throws {
    #expect(try await state(".long .Lsite - ., otherkey_x - .") == (.convertible, nil))
    // A module's entry names the trampoline.
    #expect(try await state(".long .Lsite - ., other_x - .") == (.convertible, nil))
  }

  /// What only looks like such a table may be one of labels: where it leads is not known then.
  @Test(arguments: [
    "a place that is no branch": ".long .Lsite + 1 - ., otherkey_x - .",
    "another name": ".long .Lsite - ., other_label - .",
    "other flags": ".long .Lsite - ., otherkey_x + 1 - .",
    "code": ".long .Lsite - ., .Lsite - .",
    "half an entry": ".long .Lsite - ., otherkey_x - ., .Lsite - .",
    "something else beside it": ".long .Lsite - ., otherkey_x - ., 0, 0",
  ])
  func aTableOfLabelsIsAWayIn(_ name: String, _ table: String) async throws {
    #expect(try await state(table) == (.staysIndirect, .unreadableTables), "\(name)")
  }
}
