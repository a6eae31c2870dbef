import StaticCalls
import SystemPackage
import TestSupport
import Testing

/// Trampolines of several names at one address: a call that names one of them is a call of that one.
@Suite struct AliasTests {
  private static let keys = "\n.data\n.p2align 3\n.quad __SCK__a, __SCK__b, __SCK__c"

  /// Compilers make such names: constructors, symbol versions, merged functions.
  private static func trampolines(_ declaration: String) -> String {
    """

    .section .static_call.text,"ax",%progbits
    \(declaration)
    __SCT__a:
    __SCT__b: JUMP target
    """
  }

  @Test(arguments: Target.allCases, [".globl __SCT__a, __SCT__b", ".weak __SCT__a\n.globl __SCT__b"])
  func callsThatNameTheirTrampolineAreSound(_ target: Target, _ declaration: String) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: "CALL __SCT__a\nCALL __SCT__b" + Self.trampolines(declaration) + Self.keys, for: target)
    #expect(annotate(object).annotation?.entries == 2)
    #expect(try table(of: object).map(\.key) == ["__SCK__a", "__SCK__b"])
    #expect(try verify(object) == [])
  }

  /// The assembler names the section in place of a local symbol.
  @Test(arguments: Target.allCases)
  func aCallByTheSharedAddressIsRefused(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: "f: CALL __SCT__c\nCALL __SCT__b" + Self.trampolines("") + Self.keys, for: target)
    let before = try Fingerprint(object)
    let attempt = annotate(object)
    #expect(attempt.codes == [.sharedAddress])
    #expect(attempt.messages == ["call by address, of a or b: their trampolines are at one address"])
    #expect(try Fingerprint(object) == before)
    #expect(try Pipeline.list(FilePath(object), Options()).sites.map(\.callName) == ["c", "a or b"])
  }

  @Test(arguments: Target.allCases)
  func aCallWithoutRelocationIsRefused(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: "f: CALL __SCT__b\n__SCT__a:\n__SCT__b: JUMP target" + Self.keys, for: target)
    #expect(annotate(object).codes == [.sharedAddress])
  }

  /// Nothing calls them by their address: nothing is in doubt.
  @Test(arguments: Target.allCases)
  func aliasesThatNobodyCallsAreNoReasonToRefuse(_ target: Target) async throws {
    let scratch = try Scratch()
    for declaration in ["", ".globl __SCT__a, __SCT__b"] {
      let object = try await scratch.assemble(
        portable: "CALL __SCT__c" + Self.trampolines(declaration) + Self.keys, for: target)
      #expect(annotate(object).annotation?.entries == 1)
      #expect(try table(of: object).map(\.key) == ["__SCK__c"])
    }
  }

  /// Two symbols of one name are one static call.
  @Test(arguments: Target.allCases)
  func aNameThatIsThereTwiceIsNoAlias(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: "CALL __SCT__a\nCALL __SCT__b" + Self.trampolines("") + Self.keys, for: target)
    var elf = try ElfBytes(file: object)
    elf[symbol: try elf.symbol("__SCT__b"), .name] = elf[symbol: try elf.symbol("__SCT__a"), .name]
    try scratch.write(elf.bytes, to: "test.o")
    #expect(annotate(object).annotation?.entries == 2)
    #expect(try table(of: object).map(\.key) == ["__SCK__a", "__SCK__a"])
  }

  /// A register that gets the shared address by the section's name: nobody guesses which of them it is.
  @Test(arguments: [("__SCT__b", false), ("__SCT__c", true)])
  func anIndirectCallByTheSharedAddressStays(_ callee: String, _ isDirect: Bool) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        .globl f
        .type f, %function
        f: lea \(callee)(%rip), %rax
        nop
        nop
        call *%rax
        ret
        .size f, . - f
        .section .static_call.text,"ax",%progbits
        __SCT__a:
        __SCT__b: jmp target
        __SCT__c: jmp target
        """ + Self.keys, for: .x86_64)
    #expect(annotate(object).annotation?.entries == (isDirect ? 1 : 0))
  }

  /// Many calls are named once each up to a number.
  @Test func manyCallsAreCounted() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: String(repeating: "CALL __SCT__b\n", count: 40) + Self.trampolines("") + Self.keys, for: .x86_64)
    let attempt = annotate(object)
    #expect(attempt.messages.count == 11)
    #expect(attempt.messages.last == "and 30 calls more")
  }
}
