import TestSupport
import Testing

/// What verify finds: for each rule one object that breaks it and no other.
@Suite struct VerifyTests {
  struct Broken: CustomStringConvertible, Sendable {
    var description: String { code }
    var code: String
    /// The line of standard output, without the object's name and the code.
    var message: String
    var table: String
    /// Code or data that the object has besides.
    var extra = ""
    var targets = Target.allCases
  }

  private static let right = ".long caller - ., __SCK__a - .\n.long tail - ., __SCK__b - . + 1\n"

  private func source(_ table: String, _ extra: String = "") -> String {
    """
    .globl __SCK__a, __SCK__b, __SCK__c, datum
    caller: CALL __SCT__a
    plain: CALL other
    end: ret
    tail: JUMP __SCT__b
    .data
    .p2align 3
    __SCK__a: .quad 0
    __SCK__b: .quad 0
    datum: .quad 0
    \(extra)
    .section .static_call_sites,"aw",%progbits
    .p2align 2
    \(table)
    """
  }

  static let broken = [
    Broken(
      code: "SC101",
      message: "error: .static_call_sites+0x0: the table takes 20 bytes, which is no whole number of 8-byte entries",
      table: right + ".long 0"),
    Broken(
      code: "SC101",
      message:
        "error: .static_call_sites+0x0: the table's section is aligned to 16: linkers leave gaps between such tables",
      table: ".p2align 4\n" + right),
    Broken(
      code: "SC101",
      message: "error: .static_call_sites+0x12: the table's own bytes are not zero; its relocations say everything",
      table: right + ".reloc ., R_X86_64_PC32, third\n.long 0x10000\n.long __SCK__a - .",
      extra: ".text\nthird: CALL __SCT__a", targets: [.x86_64]),
    Broken(
      code: "SC101",
      message: "error: .static_call_sites+0x10: the table's own bytes are not zero; its relocations say everything",
      table: right + ".reloc ., R_AARCH64_PREL32, third\n.long 1\n.long __SCK__a - .",
      extra: ".text\nthird: CALL __SCT__a", targets: [.aarch64]),
    Broken(
      code: "SC102", message: "error: tail+0x0: tail call of b has no table entry",
      table: ".long caller - ., __SCK__a - ."),
    Broken(
      code: "SC103", message: "error: .static_call_sites+0x10: entry 2 is broken: its key has no relocation",
      table: right + ".long plain - ., 0"),
    Broken(
      code: "SC103", message: "error: .static_call_sites+0x10: entry 2 is broken: its address has no relocation",
      table: right + ".long 0, __SCK__a - ."),
    Broken(
      code: "SC103",
      message: "error: .static_call_sites+0x10: entry 2 is broken: its address lies outside section .text",
      table: right + ".long caller + 0x1000 - ., __SCK__a - ."),
    Broken(
      code: "SC104", message: "error: datum+0x0: entry 2 lies in .data, which holds no code",
      table: right + ".long datum - ., __SCK__a - ."),
    Broken(
      code: "SC104", message: "error: zeros+0x0: entry 2 lies in .bss, which holds no code",
      table: right + ".long zeros - ., __SCK__a - .", extra: ".bss\nzeros: .quad 0"),
    Broken(
      code: "SC105", message: "error: end+0x0: entry 2 is at an instruction that is no direct branch",
      table: right + ".long end - ., __SCK__a - ."),
    Broken(
      code: "SC105", message: "error: indirect+0x0: entry 2 is at an instruction that is no direct branch",
      table: right + ".long indirect - ., __SCK__a - .", extra: ".text\nindirect: call *%rax", targets: [.x86_64]),
    Broken(
      code: "SC105", message: "error: indirect+0x0: entry 2 is at an instruction that is no direct branch",
      table: right + ".long indirect - ., __SCK__a - .", extra: ".text\nindirect: blr x8", targets: [.aarch64]),
    Broken(
      code: "SC106", message: "error: tail+0x0: entry 1 is marked as a call, and the branch is a tail call",
      table: ".long caller - ., __SCK__a - .\n.long tail - ., __SCK__b - ."),
    Broken(
      code: "SC106", message: "error: caller+0x0: entry 0 is marked as a tail call, and the branch is a call",
      table: ".long caller - ., __SCK__a - . + 1\n.long tail - ., __SCK__b - . + 1"),
    Broken(
      code: "SC107", message: "error: caller+0x0: entry 0 names __SCK__b, and the branch calls a",
      table: ".long caller - ., __SCK__b - .\n.long tail - ., __SCK__b - . + 1"),
    Broken(
      code: "SC107", message: "error: caller+0x0: entry 0 names datum, and the branch calls a",
      table: ".long caller - ., datum - .\n.long tail - ., __SCK__b - . + 1"),
    Broken(
      code: "SC108", message: "error: caller+0x2: entry 2 is not at an instruction boundary",
      table: right + ".long caller + 2 - ., __SCK__a - ."),
    Broken(
      code: "SC109", message: "error: plain+0x0: entry 2 is at a branch that does not go to a trampoline",
      table: right + ".long plain - ., __SCK__a - ."),
    Broken(
      code: "SC109", message: "error: prefixed+0x1: entry 2 is at a branch that does not go to a trampoline",
      table: right + ".long prefixed + 1 - ., __SCK__a - .", extra: ".text\nprefixed: .byte 0x67\nCALL other",
      targets: [.x86_64]),
    Broken(
      code: "SC110", message: "error: third+0x0: the site shares bytes with the one before it",
      table: right + ".long third - ., __SCK__a - .",
      extra: ".text\nthird: CALL __SCT__a\n.reloc third + 1, R_X86_64_PLT32, __SCT__b - 4", targets: [.x86_64]),
    Broken(
      code: "SC110", message: "error: third+0x0: the site shares bytes with the one before it",
      table: right + ".long third - ., __SCK__a - .",
      extra: ".text\nthird: CALL __SCT__a\n.reloc third, R_AARCH64_CALL26, __SCT__b", targets: [.aarch64]),
    Broken(
      code: "SC110", message: "error: caller+0x0: entry 2 names the same site as entry 0",
      table: right + ".long caller - ., __SCK__a - ."),
    Broken(
      code: "SC111", message: "error: third+0x0: entry 2 names __SCK__c, which is not aligned to 4 bytes",
      table: right + ".long third - ., __SCK__c - .",
      extra: ".byte 0\n__SCK__c: .quad 0\n.text\nthird: CALL __SCT__c"),
    Broken(
      code: "SC111", message: "error: third+0x0: entry 2 names __SCK__c, which is not aligned to 4 bytes",
      table: right + ".long third - ., __SCK__c - .",
      extra: ".section .bytes,\"aw\",%progbits\n__SCK__c: .quad 0\n.text\nthird: CALL __SCT__c"),
    Broken(
      code: "SC112",
      message: "error: gone+0x0: entry 2 lies in .discard.text, which never reaches the program",
      table: right + ".long gone - ., __SCK__a - .",
      extra: ".section .discard.text,\"ax\",%progbits\ngone: CALL __SCT__a"),
    Broken(
      code: "SC113",
      message: "error: weak+0x0: entry 2 names its site through a weak symbol, which may become another object's",
      table: right + ".long weak - ., __SCK__a - .", extra: ".text\n.weak weak\nweak: CALL __SCT__a"),
    Broken(
      code: "SC114", message: "error: caller+0x0: entry 0 has flags 2; in an object only bit 0 may be set",
      table: ".long caller - ., __SCK__a - . + 2\n.long tail - ., __SCK__b - . + 1"),
    Broken(
      code: "SC108", message: "error: prefixed+0x0: entry 2 is at a prefix; the branch itself begins at +1",
      table: right + ".long prefixed - ., __SCK__a - .\n.long prefixed + 1 - ., __SCK__a - .",
      extra: ".text\nprefixed: .byte 0x2e\nCALL __SCT__a", targets: [.x86_64]),
    Broken(
      code: "SC103",
      message: "error: .static_call_sites+0x10: entry 2 is broken: its key has a relocation of type 24, not 2",
      table: right + ".long plain - .\n.reloc ., R_X86_64_PC64, __SCK__a\n.long 0", targets: [.x86_64]),
  ]

  @Test(arguments: broken.flatMap { broken in broken.targets.map { ($0, broken) } })
  func exactlyTheBrokenRuleIsReported(_ target: Target, _ broken: Broken) async throws {
    let scratch = try Scratch()
    try await scratch.make(source(broken.table, broken.extra), for: target)
    let before = try Fingerprint(scratch.file("a.o"))
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.status == 1)
    #expect(run.errors == "")
    let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(lines.first == "a.o: \(broken.message) [\(broken.code)]")
    let reports = lines.filter { $0.hasPrefix("a.o: ") }
    #expect(reports.count == 1, "\(run.output)")
    #expect(run.output.hasSuffix(": 1 error and 0 warnings in 1 object\n"), "\(run.output)")
    #expect(try Fingerprint(scratch.file("a.o")) == before)
  }

  /// A branch that no runtime can retarget.
  @Test(arguments: [
    (Target.x86_64, "jmp __SCT__near"), (.x86_64, "jrcxz __SCT__near"), (.x86_64, "jne __SCT__near"),
    (.aarch64, "b.eq __SCT__near"),
    (.aarch64, "cbz x0, __SCT__near"), (.aarch64, "tbz x0, #1, __SCT__near"), (.x86_64, "jrcxz __SCT__far"),
    (.aarch64, "b.eq __SCT__far"),
  ])
  func aShortBranchIsNoSite(_ target: Target, _ branch: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(
      """
      .section .static_call.text,"ax",%progbits
      __SCT__near: ret
      short: \(branch)
      .section .static_call_sites,"aw",%progbits
      .long short - ., __SCK__near - . + 1
      """, for: target)
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.status == 1)
    #expect(run.output.contains("entry 0 is at a branch that a runtime cannot patch [SC105]\n"), "\(run.output)")
    #expect(run.output.contains(": 1 error and 1 warning in 1 object\n"), "\(run.output)")
  }

  /// A branch goes where the last of its relocations says, which need not be the trampoline.
  @Test(arguments: [
    (Target.x86_64, "third + 1, R_X86_64_PLT32, other - 4"), (.aarch64, "third, R_AARCH64_CALL26, other"),
  ])
  func aBranchWithSeveralRelocationsIsNoSite(_ target: Target, _ second: String) async throws {
    let scratch = try Scratch()
    let extra = ".text\nthird: CALL __SCT__a\n.reloc \(second)"
    try await scratch.make(source(Self.right + ".long third - ., __SCK__a - .", extra), "entry.o", for: target)
    let run = try await staticcall(["verify", "entry.o"], scratch)
    #expect(run.status == 1)
    #expect(
      run.output.contains("third+0x0: entry 2 is at a branch that a runtime cannot patch [SC105]\n"), "\(run.output)")
    #expect(run.output.contains(": 1 error and 1 warning in 1 object\n"), "\(run.output)")
    try await scratch.make(source(Self.right, extra), "none.o", for: target)
    let annotated = try await staticcall(["annotate", "none.o"], scratch)
    #expect(annotated.status == 0)
    #expect(
      annotated.errors.contains("third+0x0: branch with several relocations to a cannot be patched [SC034]\n"),
      "\(annotated.errors)")
  }

  /// Of two trampolines that one branch is said to go to the first counts, however certain the relocations are.
  @Test func ofTwoTrampolinesAtOneBranchTheFirstCounts() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      """
      .reloc call + 1, R_X86_64_PC32, __SCT__a - 4
      .reloc call + 1, R_X86_64_PLT32, __SCT__b - 4
      call: .byte 0xe8
      .long 0
      ret
      .section .static_call_sites,"aw"
      .long call - ., __SCK__a - .
      """)
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.status == 1)
    #expect(!run.output.contains("[SC107]"), "\(run.output)")
    let list = try await staticcall(["list", "a.o"], scratch).output
    let (first, second) = (list.firstRange(of: " a "), list.firstRange(of: " b "))
    #expect(first.map { first in second.map { first.lowerBound < $0.lowerBound } } == true, "\(list)")
  }

  /// So it is where the other relocation stands in another table of the same section.
  @Test(arguments: [
    (Target.x86_64, ".quad 0\n.reloc 1, R_X86_64_PLT32, other - 4"),
    (.aarch64, ".quad 0\n.reloc 0, R_AARCH64_CALL26, other"),
  ])
  func aBranchWithRelocationsInTwoTablesIsNoSite(_ target: Target, _ second: String) async throws {
    let scratch = try Scratch()
    try await scratch.make("call: CALL __SCT__a\n.section .second,\"ax\",%progbits\n\(second)", for: target)
    var elf = try ElfBytes(file: scratch.file("a.o"))
    elf[section: try elf.section(".rela.second"), .info] = UInt64(try elf.section(".text"))
    try scratch.write(elf.bytes, to: "a.o")
    let run = try await staticcall(["annotate", "--add-missing-keys", "a.o"], scratch)
    #expect(run.status == 0)
    #expect(
      run.errors.contains("call+0x0: branch with several relocations to a cannot be patched [SC034]\n"), "\(run.errors)"
    )
  }

  /// Linkers leave such a table out, or put it elsewhere.
  @Test(arguments: Target.allCases, [("e", "SHF_EXCLUDE: linkers leave it out"), ("T", "SHF_TLS")])
  func aFlagMayTakeTheTableAway(_ target: Target, _ flag: (letter: String, name: String)) async throws {
    let scratch = try Scratch()
    let text = source(Self.right).replacing("_sites,\"aw\"", with: "_sites,\"aw\(flag.letter)\"")
    try await scratch.make(text, for: target)
    let before = try Fingerprint(scratch.file("a.o"))
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.status == 1)
    let message = "a.o: error: .static_call_sites+0x0: the table's section has a flag that no table may have"
    #expect(run.output.hasPrefix("\(message) (\(flag.name)) [SC101]\n"), "\(run.output)")
    #expect(run.output.contains(": 1 error and 0 warnings in 1 object\n"), "\(run.output)")
    #expect(try await staticcall(["annotate", "a.o"], scratch).status == 2)
    #expect(try Fingerprint(scratch.file("a.o")) == before)
  }

  struct Sound: CustomStringConvertible, Sendable {
    var description: String
    /// What the table has besides the two entries of the source above.
    var table = ""
    var extra: String
    var targets = Target.allCases
  }

  static let sound = [
    Sound(description: "nothing else", extra: ""),
    Sound(
      description: "a site in another section", table: ".long init - ., __SCK__a - .",
      extra: ".section .init.text,\"ax\"\ninit: CALL __SCT__a"),
    Sound(
      description: "a key that is not here", table: ".long third - ., __SCK__c - .",
      extra: ".text\nthird: CALL __SCT__c"),
    Sound(
      description: "a module's trampoline in the place of its key", table: ".long third - ., __SCT__d - .",
      extra: ".text\nthird: CALL __SCT__d"),
    Sound(
      description: "a replacement", table: ".long replacement - ., __SCK__a - .",
      extra: ".section .altinstr_replacement,\"ax\"\nreplacement: CALL __SCT__a"),
    Sound(
      description: "a replacement that is left out",
      extra: ".section .altinstr_replacement,\"ax\"\nCALL __SCT__a"),
    Sound(description: "a discarded call", extra: ".section .discard.text,\"ax\"\nCALL __SCT__a"),
    Sound(
      description: "a key aligned to 4", table: ".long third - ., __SCK__c - .",
      extra: ".long 0\n__SCK__c: .quad 0\n.text\nthird: CALL __SCT__c"),
    Sound(
      description: "a conditional tail call", table: ".long third - ., __SCK__a - . + 1",
      extra: ".text\nthird: jne __SCT__a", targets: [.x86_64]),
    Sound(
      description: "the opcode behind a prefix", table: ".long third + 1 - ., __SCK__a - .",
      extra: ".text\nthird: .byte 0xf2\nCALL __SCT__a", targets: [.x86_64]),
  ]

  @Test(arguments: sound.flatMap { sample in sample.targets.map { ($0, sample) } })
  func aSoundTableIsSilence(_ target: Target, _ sample: Sound) async throws {
    let scratch = try Scratch()
    try await scratch.make(source(Self.right + sample.table, sample.extra), for: target)
    for options in [[], ["--strict"]] {
      let run = try await staticcall(["verify", "a.o"] + options, scratch)
      #expect((run.status, run.output, run.errors) == (0, "", ""))
    }
  }

  @Test(arguments: Target.allCases)
  func anObjectWithoutStaticCallsIsSound(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make("ret", for: target)
    let run = try await staticcall(["verify", "--strict", "a.o"], scratch)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
  }

  @Test func theSummaryIsPrintedOnRequestOrWhereThereIsSomething() async throws {
    let scratch = try Scratch()
    try await scratch.make(source(Self.right), "good.o")
    let good = try await staticcall(["verify", "-v", "good.o"], scratch)
    #expect((good.status, good.output) == (0, "1 object, 2 table entries: all is well\n"))
    try await scratch.make(source(""), "bad.o")
    let bad = try await staticcall(["verify", "good.o", "bad.o"], scratch)
    #expect(bad.status == 1)
    #expect(
      bad.output == """
        bad.o: error: caller+0x0: call of a has no table entry [SC102]
          Run `staticcall annotate` on the object, before it is linked.
        bad.o: error: tail+0x0: tail call of b has no table entry [SC102]
        To read on: staticcall explain SC102
        2 objects, 2 table entries: 2 errors and 0 warnings in 1 object

        """)
  }

  /// A call that stays indirect is no fault of the table, and with --strict a finding.
  @Test func callsLeftBehindAreWarnings() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.indirect)
    try #require(await staticcall(["annotate", "-q", "--no-rewrite", "a.o"], scratch).status == 0)
    let run = try await staticcall(["verify", "a.o"], scratch)
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("a.o: warning: caller+0x5: call through "))
    #expect(run.output.contains("to a has no table entry; annotate makes it direct [SC102]\n"))
    #expect(run.output.hasSuffix("1 object, 1 table entry: 0 errors and 1 warning in 1 object\n"))
    let strict = try await staticcall(["verify", "--strict", "a.o"], scratch)
    #expect(strict.status == 1)
    #expect(strict.output == run.output.dropLast() + "; with --strict, warnings fail the run\n")
  }

  /// A table that some other tool wrote, and that the verifier must not take for its own.
  @Test func theSectionsNameCanBeAnother() async throws {
    let scratch = try Scratch()
    try await scratch.make(source(Self.right).replacing(".static_call_sites", with: ".sites"))
    #expect(try await staticcall(["verify", "--section", ".sites", "a.o"], scratch).status == 0)
    #expect(try await staticcall(["verify", "a.o"], scratch).output.contains("[SC102]"))
  }
}
