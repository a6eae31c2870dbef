import TestSupport
import Testing

/// Rules about what holds tables and code together: groups, order, and the numbers of symbols.
@Suite struct VerifySectionTests {
  private static let code = """
    .globl __SCK__a, __SCK__b
    .text
    caller: CALL __SCT__a
    tail: JUMP __SCT__b
    .section .text.inline,"axG",%progbits,inline,comdat
    .weak inline
    .type inline, %function
    inline:
    .Linline: CALL __SCT__a
    .data
    .p2align 3
    __SCK__a: .quad 0
    __SCK__b: .quad 0

    """

  private static let both = ".long caller - ., __SCK__a - .\n.long tail - ., __SCK__b - . + 1"
  private static let inline = ".long .Linline - ., __SCK__a - ."

  struct Sample: CustomStringConvertible, Sendable {
    var description: String
    /// The code and the message of what is found; empty where nothing is.
    var code = ""
    var message = ""
    var tables: String
  }

  static let samples = [
    Sample(
      description: "a table in the group",
      tables: """
        .section .static_call_sites,"aw",%progbits
        \(both)
        .section .static_call_sites,"awG",%progbits,inline,comdat
        \(inline)
        """),
    Sample(
      description: "a table beside the group", code: "SC117",
      message: "inline+0x0: entry 2 is not in the group of its site's section .text.inline",
      tables: ".section .static_call_sites,\"aw\",%progbits\n\(both)\n\(inline)"),
    Sample(
      description: "a table in a group, and its site outside", code: "SC117",
      message: "caller+0x0: entry 0 is in a section group, and its site in .text is not",
      tables: """
        .section .static_call_sites,"awG",%progbits,inline,comdat
        \(inline)
        .section .static_call_sites,"awG",%progbits,other,comdat
        .long caller - ., __SCK__a - .
        .section .static_call_sites,"aw",%progbits
        .long tail - ., __SCK__b - . + 1
        """),
    Sample(
      description: "user tables",
      tables: """
        .section static_call_sites,"ao",%progbits,.text
        .p2align 2
        \(both)
        .section static_call_sites,"aoG",%progbits,.text.inline,inline,comdat
        .p2align 2
        \(inline)
        """),
    Sample(
      description: "a table that is tied to other code", code: "SC117",
      message: "tail+0x0: entry 1 is in a table that is tied to another section than .text",
      tables: """
        .section .text.other,"ax",%progbits
        other: CALL __SCT__a
        .section static_call_sites,"ao",%progbits,.text.other,unique,1
        .p2align 2
        .long other - ., __SCK__a - .
        .long tail - ., __SCK__b - . + 1
        .section static_call_sites,"ao",%progbits,.text,unique,2
        .p2align 2
        .long caller - ., __SCK__a - .
        .section static_call_sites,"aoG",%progbits,.text.inline,inline,comdat,unique,3
        .p2align 2
        \(inline)
        """),
    Sample(
      description: "mixed tables", code: "SC116",
      message: "static_call_sites+0x0: the table is ordered (SHF_LINK_ORDER), unlike another of this name",
      tables: """
        .section static_call_sites,"a",%progbits,unique,1
        .p2align 2
        .long caller - ., __SCK__a - .
        .section static_call_sites,"ao",%progbits,.text,unique,2
        .p2align 2
        .long tail - ., __SCK__b - . + 1
        .section static_call_sites,"aoG",%progbits,.text.inline,inline,comdat,unique,3
        .p2align 2
        \(inline)
        """),
    Sample(
      description: "a user table that is not aligned", code: "SC101",
      message: "static_call_sites+0x0: the table's section is aligned to 1, not to 4 bytes",
      tables: """
        .section static_call_sites,"ao",%progbits,.text
        \(both)
        .section static_call_sites,"aoG",%progbits,.text.inline,inline,comdat
        .p2align 2
        \(inline)
        """),
  ]

  @Test(arguments: samples.flatMap { sample in Target.allCases.map { ($0, sample) } })
  func tablesBelongToTheirCode(_ target: Target, _ sample: Sample) async throws {
    let scratch = try Scratch()
    try await scratch.make(Self.code + sample.tables, for: target)
    let run = try await staticcall(["verify", "a.o"], scratch)
    let reports = run.output.split(separator: "\n").filter { $0.hasPrefix("a.o: ") }
    #expect(reports == (sample.code.isEmpty ? [] : ["a.o: error: \(sample.message) [\(sample.code)]"]), "\(run.output)")
    #expect(run.status == (sample.code.isEmpty ? 0 : 1))
    #expect(run.errors == "")
  }

  /// A symbol of another section, as an inserted symbol makes it; the number of none; a symbol that is not here.
  @Test(arguments: [
    ("nothing", "no symbol"), ("section", "which is not in the group"), ("file", "the file symbol a.c"),
  ])
  func aGroupNeedsItsOwnSignature(_ kind: String, _ message: String) async throws {
    let scratch = try Scratch()
    let table = ".section .static_call_sites,\"awG\",%progbits,inline,comdat\n\(Self.inline)\n"
    let rest = ".section .static_call_sites,\"aw\",%progbits\n\(Self.both)\n.data\n.long .text - .\n"
    let object = try await scratch.make(".file \"a.c\"\n" + Self.code + table + rest)
    var elf = try ElfBytes(file: object)
    let text = try elf.section(".text")
    let signature = try #require(
      kind == "nothing"
        ? 0
        : (1..<elf.symbolCount).first { symbol in
          kind == "file"
            ? elf[symbol: symbol, .info] & 0xf == 4
            : elf[symbol: symbol, .info] & 0xf == 3 && Int(elf[symbol: symbol, .section]) == text
        })
    elf[section: try elf.section(".group"), .info] = UInt64(signature)
    try scratch.write(elf.bytes, to: "a.o")
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.status == 1)
    #expect(run.output.contains("\(message) [SC118]\n"), "\(run.output)")
  }

  /// Such a group is odd, and a compiler may mean it.
  @Test func aSignatureBesideTheGroupIsAWarning() async throws {
    let scratch = try Scratch()
    let code = Self.code.replacing("%progbits,inline,comdat", with: "%progbits,caller,comdat")
    try await scratch.make(code + ".section .static_call_sites,\"aw\",%progbits\n\(Self.both)\n")
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(
      run.output.contains(
        "a.o: warning: .group+0x0: the group's signature is caller, which is not in the group [SC118]\n"))
  }

  @Test(arguments: [(0x00, true), (0x01, false), (0x7f, true), (0xff, false)])
  func symbolNumbersAreThoseOfThisObject(_ number: Int, isStale: Bool) async throws {
    let scratch = try Scratch()
    let object = try await scratch.make(
      "caller: CALL __SCT__a\n.data\n.quad __SCK__a\n.globl datum\ndatum: .quad 0\n.addrsig\n.addrsig_sym datum\n")
    try #require(await staticcall(["annotate", "a.o"], scratch).status == 0)
    var elf = try ElfBytes(file: object)
    elf.setNumber(UInt64(number), at: elf.offset(ofSection: try elf.section(".llvm_addrsig")), 1)
    try scratch.write(elf.bytes, to: "a.o")
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.output.contains("[SC119]") == isStale, "\(run.output)")
    #expect(run.status == (isStale ? 1 : 0))
  }

  /// What `ld -r` leaves behind of an entry whose site it discarded.
  @Test func aRelocationThatDoesNothingIsNamed() async throws {
    let scratch = try Scratch()
    let object = try await scratch.make(Self.code + ".section .static_call_sites,\"aw\",%progbits\n\(Self.both)\n")
    var elf = try ElfBytes(file: object)
    elf[relocation: 0, of: try elf.section(".rela.static_call_sites"), .type] = 0
    try scratch.write(elf.bytes, to: "a.o")
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(
      run.output.contains(
        "entry 0 is broken: its address has no relocation any more (R_*_NONE): what it named was discarded [SC103]"),
      "\(run.output)")
  }
}
