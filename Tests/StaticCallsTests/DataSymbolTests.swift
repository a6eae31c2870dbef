import StaticCalls
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
    "__SCT__version: .asciz \"1\"", ".section .tdata,\"awT\",%progbits\n.type __SCT__version, %tls_object\n__SCT__version: .quad 1",
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

  /// The first of two systems of static calls was annotated before.
  private static func twoSystems(_ table: String) -> String {
    """
    .globl f
    .type f, %function
    f: lea __SCT__a(%rip), %rax
    nop
    nop
    .Lsite: call other_x
    call *%rax
    ret
    .size f, . - f
    .data
    .p2align 3
    .quad __SCK__a, otherkey_x
    .section sites_of_others,"aw",%progbits
    \(table)
    """.replacing("f: lea __SCT__a(%rip), %rax", with: "f: lea __SCT__a(%rip), %rbx").replacing(
      "call *%rax", with: "call *%rbx")
  }

  @Test func aTableOfAnotherSystemIsNoWayIn() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: Self.twoSystems(".long .Lsite - ., otherkey_x - ."), for: .x86_64)
    let sites = try Pipeline.list(.init(object), Options()).sites
    #expect(sites.map(\.code) != [.entered], "\(sites)")
    #expect(!sites.contains { $0.code == .entered })
  }

  /// What only looks like such a table may be one of labels, and is a way in.
  @Test(arguments: [
    "a place that is no branch": ".long .Lsite - 1 - ., otherkey_x - .",
    "another name": ".long .Lsite - ., other_label - .",
    "other flags": ".long .Lsite - ., otherkey_x + 1 - .",
    "code": ".long .Lsite - ., .Lsite - .",
    "an entry too few": ".long .Lsite - ., otherkey_x - ., .Lsite - .",
    "something else beside it": ".long .Lsite - ., otherkey_x - ., 0, 0",
  ])
  func aTableOfLabelsIsAWayIn(_ name: String, _ table: String) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: Self.twoSystems(table), for: .x86_64)
    let sites = try Pipeline.list(.init(object), Options()).sites.filter { $0.kind != nil }
    #expect(sites.allSatisfy { $0.state != .convertible }, "\(name): \(sites)")
  }
}
