import StaticCalls
import TestSupport
import Testing

/// Which key an entry names.
@Suite struct KeyTests {
  @Test(arguments: Target.allCases)
  func aKeyIsFoundByItsNameWhateverItsBinding(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALL __SCT__undefined
        CALL __SCT__weak
        CALL __SCT__defined
        CALL __SCT__local
        .weak __SCK__weak
        .data
        .p2align 3
        .quad __SCK__undefined, __SCK__weak
        .globl __SCK__defined
        __SCK__defined: .quad 0
        __SCK__local: .quad 0
        """, for: target)
    #expect(annotate(object).annotation?.entries == 4)
    let keys = try table(of: object).map(\.key)
    #expect(keys == ["__SCK__undefined", "__SCK__weak", "__SCK__defined", "__SCK__local (.data+0x18)"])
    #expect(try verify(object) == [])
  }

  /// A source file with a static call of its own: trampoline and key are local.
  private func file(_ letter: String, key: String = "__SCK__x: .quad 0") -> String {
    """
    .file "\(letter).c"
    .globl \(letter)
    \(letter):
    CALL __SCT__x
    .section .static_call.text,"ax",%progbits
    __SCT__x: JUMP target_\(letter)
    .data
    .p2align 3
    \(key)
    """
  }

  static let linkers: [(Target, String)] = [
    (.x86_64, "ld"), (.x86_64, "ld.lld"), (.x86_64, "ld.gold"), (.x86_64, "mold"),
    (.aarch64, "aarch64-linux-gnu-ld"), (.aarch64, "ld.lld"),
  ].filter { tool($0.1) != nil }

  @Test(.enabled(if: !linkers.isEmpty, "no linker is installed"), arguments: linkers)
  func localStaticCallsOfOneNameKeepTheirOwnKeys(_ target: Target, _ linker: String) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(portable: file("a"), for: target, name: "a.o")
    let second = try await scratch.assemble(portable: file("b"), for: target, name: "b.o")
    let object = try await scratch.combine([first, second], with: linker)
    #expect(annotate(object).annotation?.entries == 2)
    let keys = try table(of: object).map(\.key)
    #expect(keys == ["__SCK__x (.data+0x0)", "__SCK__x (.data+0x8)"])
    #expect(try verify(object) == [])
  }

  @Test(arguments: Target.allCases)
  func aSharedKeyServesCallsOfTheSharedTrampoline(_ target: Target) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(portable: file("a"), for: target, name: "a.o")
    let second = try await scratch.assemble(
      portable: """
        .file "b.c"
        CALL __SCT__x
        .data
        .quad __SCK__x
        """, for: target, name: "b.o")
    let object = try await scratch.combine([first, second])
    #expect(annotate(object).annotation?.entries == 2)
    #expect(try table(of: object).map(\.key) == ["__SCK__x (.data+0x0)", "__SCK__x"])
  }

  /// Another file's private key is no stand-in for a key that is not there: an update of it would redirect this call.
  @Test(arguments: Target.allCases)
  func aLocalKeyServesNoOtherFile(_ target: Target) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(portable: file("a"), for: target, name: "a.o")
    let second = try await scratch.assemble(
      portable: ".file \"b.c\"\nCALL __SCT__x", for: target, name: "b.o")
    let object = try await scratch.combine([first, second])
    #expect(annotate(object).codes == [.missingKey])
    #expect(annotate(object) { $0.isModule = true }.annotation?.entries == 2)
    #expect(try table(of: object).map(\.key) == ["__SCK__x (.data+0x0)", "__SCT__x"])
  }

  /// A private key without a trampoline: calls of the shared trampoline are not its calls, whose object alone says nothing of it.
  @Test(arguments: Target.allCases)
  func aPrivateKeyServesNoCallsOfTheSharedTrampoline(_ target: Target) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(
      portable: ".file \"a.c\"\n.data\n.p2align 3\n__SCK__x: .quad 0", for: target, name: "a.o")
    let second = try await scratch.assemble(
      portable: ".file \"b.c\"\nCALL __SCT__x", for: target, name: "b.o")
    let object = try await scratch.combine([first, second])
    #expect(annotate(object).codes == [.missingKey])
    #expect(annotate(object) { $0.isModule = true }.annotation?.entries == 1)
    #expect(try table(of: object).map(\.key) == ["__SCT__x"])
    #expect(try verify(object) == [])
  }

  /// Verification is of the same opinion.
  @Test(arguments: Target.allCases)
  func anEntryThatNamesAPrivateKeyIsWrong(_ target: Target) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(
      portable: """
        .file "a.c"
        .section .static_call_sites,"aw",%progbits
        .long site - ., __SCK__x - .
        .data
        .p2align 3
        __SCK__x: .quad 0
        """, for: target, name: "a.o")
    let second = try await scratch.assemble(
      portable: ".file \"b.c\"\n.globl site\nsite: CALL __SCT__x", for: target, name: "b.o")
    let object = try await scratch.combine([first, second])
    #expect(try verify(object) == [.keyMismatch])
  }

  /// The twin: the trampoline is defined here, so its key is, and somebody made it local after that (`objcopy --localize-symbol`).
  @Test(arguments: Target.allCases)
  func aKeyThatWasMadeLocalServesTheTrampolineBesideIt(_ target: Target) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(
      portable: """
        .file "a.c"
        .section .static_call.text,"ax",%progbits
        .globl __SCT__x
        __SCT__x: JUMP target
        .data
        .p2align 3
        .globl __SCK__x
        __SCK__x: .quad 0
        """, for: target, name: "a.o")
    let second = try await scratch.assemble(
      portable: ".file \"b.c\"\nCALL __SCT__x\n.data\n.quad __SCK__x", for: target, name: "b.o")
    let combined = try await scratch.combine([first, second])
    let object = scratch.file("local.o")
    try await require(
      target.objcopy, ["--localize-symbol=__SCK__x", combined, object])
    #expect(annotate(object).annotation?.entries == 1)
    #expect(try table(of: object).map(\.key) == ["__SCK__x (.data+0x0)"])
    #expect(try verify(object) == [])
  }

  @Test(arguments: Target.allCases)
  func aLocalKeyServesNoOtherFilesLocalTrampoline(_ target: Target) async throws {
    let scratch = try Scratch()
    let first = try await scratch.assemble(portable: file("a"), for: target, name: "a.o")
    let second = try await scratch.assemble(portable: file("b", key: ""), for: target, name: "b.o")
    let object = try await scratch.combine([first, second])
    #expect(annotate(object).codes == [.missingKey])
  }

  @Test(arguments: Target.allCases)
  func withoutFileSymbolsLocalKeysOfOneNameAreAmbiguous(_ target: Target) async throws {
    let scratch = try Scratch()
    func nameless(_ letter: String) -> String {
      file(letter).split(separator: "\n").filter { !$0.contains(".file") }.joined(separator: "\n")
    }
    let first = try await scratch.assemble(portable: nameless("a"), for: target, name: "a.o")
    let second = try await scratch.assemble(portable: nameless("b"), for: target, name: "b.o")
    // Not with the linker of binutils, which puts a file symbol with the object's name before each object's symbols.
    let object = try await scratch.combine([first, second])
    let before = try Fingerprint(object)
    let attempt = annotate(object)
    #expect(attempt.codes == [.ambiguousKey])
    #expect(attempt.messages == ["several symbols __SCK__x, and none is known to belong to this call"])
    #expect(try Fingerprint(object) == before)
  }

  /// No assembler writes that. Which of them an entry named would depend on the order of the symbols, which an edit may change.
  @Test(arguments: Target.allCases)
  func twoGlobalKeysOfOneNameAreAmbiguous(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: "CALL __SCT__x\n.data\n.quad __SCK__x, __SCK__y", for: target)
    var elf = try ElfBytes(file: object)
    elf[symbol: try elf.symbol("__SCK__y"), .name] = elf[symbol: try elf.symbol("__SCK__x"), .name]
    try scratch.write(elf.bytes, to: "test.o")
    #expect(annotate(object).codes == [.ambiguousKey])
  }

  @Test(arguments: Target.allCases)
  func missingKeysAreNamedOnceEach(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALL __SCT__a
        CALL __SCT__b
        CALL __SCT__a
        CALL __SCT__c
        .data
        .quad __SCK__b
        """, for: target)
    let before = try Fingerprint(object)
    let attempt = annotate(object)
    #expect(attempt.codes == [.missingKey, .missingKey])
    #expect(
      attempt.messages == [
        "the object has no symbol __SCK__a, the key of this call",
        "the object has no symbol __SCK__c, the key of this call",
      ])
    #expect(try Fingerprint(object) == before)
  }

  @Test(arguments: Target.allCases)
  func inAModuleTheTrampolineStandsInForAMissingKey(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALL __SCT__a
        JUMP __SCT__b
        .data
        .quad __SCK__b
        """, for: target)
    #expect(annotate(object) { $0.isModule = true }.annotation?.entries == 2)
    let size = String(target.branchSize, radix: 16)
    #expect(
      try table(of: object) == [SiteEntry(".text+0x0", "__SCT__a", 0), SiteEntry(".text+0x\(size)", "__SCK__b", 1)])
    #expect(try verify(object) { $0.isModule = true } == [])
    #expect(annotate(object) { $0.isModule = true }.annotation?.change == .upToDate)
  }

  @Test(arguments: Target.allCases)
  func missingKeysAreAddedOnRequest(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALL __SCT__a
        CALL __SCT__b
        CALL __SCT__a
        """, for: target)
    #expect(annotate(object) { $0.addMissingKeys = true }.annotation?.entries == 3)
    #expect(try table(of: object).map(\.key) == ["__SCK__a", "__SCK__b", "__SCK__a"])
    let symbols = try ElfBytes(file: object)
    for name in ["__SCK__a", "__SCK__b"] {
      let symbol = try symbols.symbol(name)
      #expect(symbols[symbol: symbol, .section] == 0, "\(name) is undefined")
      #expect(symbols[symbol: symbol, .info] == 0x10, "\(name) is global and of no type")
    }
    #expect(try verify(object) == [])
    #expect(annotate(object).annotation?.change == .upToDate)
  }

  @Test(arguments: Target.allCases)
  func prefixesCanBeOthers(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: """
        CALL tramp_a
        CALL __SCT__b
        .data
        .quad key_a
        """, for: target)
    let attempt = annotate(object) {
      $0.families = [Family(trampolinePrefix: Array("tramp_".utf8), keyPrefix: Array("key_".utf8))]
      $0.tableSections = [".sites"]
    }
    #expect(attempt.annotation?.entries == 1)
    #expect(try ElfBytes(file: object).siteTable(".sites") == [SiteEntry(".text+0x0", "key_a", 0)])
  }
}
