import TestSupport
import Testing

/// What verify finds in linked images: for each rule one that breaks it and no other.
@Suite(.enabled(if: tool("ld.lld") != nil, "ld.lld is not installed")) struct VerifyImageTests {
  struct Broken: CustomStringConvertible, Sendable {
    var description: String { "\(code) \(message)" }
    var code: String
    /// What the message holds.
    var message: String
    var table: String
    var extra = ""
    var options: [String] = []
    var targets = Target.allCases
  }

  private static let right = ".long caller - ., __SCK__a - .\n.long tail - ., __SCK__b - . + 1\n"

  private func source(_ table: String, _ extra: String = "") -> String {
    """
    .globl _start, __SCT__a, __SCT__b, __SCK__a, __SCK__b
    .type _start, %function
    _start: nop
    caller: CALL __SCT__a
    plain: CALL other
    end: ret
    tail: JUMP __SCT__b
    .type other, %function
    other: ret
    .size _start, other - _start
    .size other, . - other
    .section .static_call.text,"ax",%progbits
    .type __SCT__a, %function
    __SCT__a: ret
    .p2align 3
    .type __SCT__b, %function
    __SCT__b: ret
    .data
    .p2align 3
    __SCK__a: .quad other
    __SCK__b: .quad 0
    datum: .quad 0
    .text
    \(extra)
    .section .static_call_sites,"aw",%progbits
    .p2align 2
    \(table)
    """
  }

  static let broken = [
    Broken(
      code: "SC101", message: "the table takes 20 bytes, which is no whole number of entries", table: right + ".long 0"),
    Broken(
      code: "SC101", message: "the table is not aligned to 4 bytes", table: ".balign 1\n" + right,
      extra: ".section .odd,\"aw\",%progbits\n.byte 0", options: ["-T", "odd.ld"]),
    Broken(code: "SC102", message: "tail call of b has no table entry", table: ".long caller - ., __SCK__a - ."),
    // The trampoline is the next instruction, as if nothing were called.
    Broken(
      code: "SC102", message: "tail call of c has no table entry", table: right,
      extra: ".byte 0xe9\n.long 0\n.globl __SCT__c\n.type __SCT__c, %function\n__SCT__c: ret", targets: [.x86_64]),
    Broken(
      code: "SC104", message: "entry 2 has an address that is not in an executable segment",
      table: right + ".long datum - ., __SCK__a - ."),
    Broken(
      code: "SC105", message: "entry 2 is not at a branch that a runtime can patch",
      table: right + ".long end - ., __SCK__a - ."),
    Broken(
      code: "SC106", message: "entry 1 is marked as a call, and the branch is a tail call",
      table: ".long caller - ., __SCK__a - .\n.long tail - ., __SCK__b - ."),
    Broken(
      code: "SC107", message: "entry 0 names the key of b, and the branch calls a",
      table: ".long caller - ., __SCK__b - .\n.long tail - ., __SCK__b - . + 1"),
    Broken(
      code: "SC107", message: "where no key is",
      table: ".long caller - ., datum - .\n.long tail - ., __SCK__b - . + 1"),
    Broken(
      code: "SC108", message: "entry 2 is not at an instruction boundary",
      table: right + ".long hidden + 2 - ., __SCK__a - .",
      extra: ".type hidden, %function\nhidden: movabs $0xe8e8e8e8, %rax\nret\n.size hidden, . - hidden",
      targets: [.x86_64]),
    Broken(
      code: "SC109", message: "is at a branch to end, which is neither the trampoline of b nor what its key holds",
      table: right + ".long stray - ., __SCK__b - .", extra: "stray: CALL end\n.type end, %function"),
    Broken(
      code: "SC110", message: "entry 2 names the same site as entry 0, with another key or flag",
      table: right + ".long caller - ., __SCK__b - ."),
    Broken(
      code: "SC114", message: "entry 0 has flags 2; in a file only bit 0 may be set",
      table: ".long caller - ., __SCK__a - . + 2\n.long tail - ., __SCK__b - . + 1"),
    Broken(code: "SC115", message: "2 static calls, the first of a, and no table of them", table: ""),
  ]

  @Test(arguments: broken.flatMap { broken in broken.targets.map { ($0, broken) } })
  func exactlyTheBrokenRuleIsReported(_ target: Target, _ broken: Broken) async throws {
    let scratch = try Scratch()
    try await link(source(broken.table, broken.extra), for: target, in: scratch, broken.options)
    let before = try Fingerprint(scratch.file("image"))
    let run = try await staticcall(["verify", "image"], scratch)
    #expect(run.status == 1)
    let reports = run.output.split(separator: "\n").filter { $0.hasPrefix("image: ") }
    #expect(reports.count == 1, "\(run.output)")
    #expect(reports.first?.hasPrefix("image: error: ") == true && reports.first?.hasSuffix("[\(broken.code)]") == true)
    #expect(reports.first?.contains(broken.message) == true, "\(run.output)")
    #expect(try Fingerprint(scratch.file("image")) == before)
  }

  struct Sound: CustomStringConvertible, Sendable {
    var description: String
    var table = ""
    var extra = ""
    var options: [String] = []
    var targets = Target.allCases
  }

  static let sound = [
    Sound(description: "nothing else"),
    Sound(description: "the same entry twice", table: ".long caller - ., __SCK__a - ."),
    Sound(
      description: "a site that was patched", table: ".long patched - ., __SCK__a - .", extra: "patched: CALL other"),
    Sound(
      description: "a module's trampoline for the key", table: ".long third - ., __SCT__a - .",
      extra: "third: CALL __SCT__a"),
    Sound(description: "position-independent", options: ["-pie"]),
    Sound(
      description: "a conditional jump", table: ".long third - ., __SCK__a - . + 1", extra: "third: jne __SCT__a",
      targets: [.x86_64]),
    Sound(
      description: "static rounding in front of a call", table: ".long third - ., __SCK__a - .",
      extra: ".type more, %function\nmore: vaddpd {rz-sae}, %zmm1, %zmm0, %zmm0\nthird: CALL __SCT__a\nret",
      targets: [.x86_64]),
    Sound(description: "a shared object", extra: ".hidden __SCK__a, __SCK__b", options: ["-shared"]),
    Sound(
      description: "a veneer", table: ".long distant - ., __SCK__a - .",
      extra: ".section .distant,\"ax\",%progbits\ndistant: CALL __SCT__a",
      options: ["--section-start=.distant=0x40000000"],
      targets: [.aarch64]),
    Sound(
      description: "a veneer in position-independent code", table: ".long distant - ., __SCK__a - .",
      extra: ".section .distant,\"ax\",%progbits\ndistant: CALL __SCT__a",
      options: ["-pie", "--section-start=.distant=0x40000000"], targets: [.aarch64]),
  ]

  @Test(arguments: sound.flatMap { sample in sample.targets.map { ($0, sample) } })
  func aSoundTableIsSilence(_ target: Target, _ sample: Sound) async throws {
    let scratch = try Scratch()
    try await link(source(Self.right + sample.table, sample.extra), for: target, in: scratch, sample.options)
    let run = try await staticcall(["verify", "--strict", "image"], scratch)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
  }

  /// Trampolines that nobody calls directly may be there for other programs, or their calls may never have been found.
  @Test(arguments: Target.allCases)
  func trampolinesWithoutCallsAreAWarning(_ target: Target) async throws {
    let scratch = try Scratch()
    try await link(".globl __SCT__a, _start\n_start: ret\n__SCT__a: ret", for: target, in: scratch)
    let run = try await staticcall(["verify", "image"], scratch)
    #expect(run.status == 0)
    #expect(
      run.output.hasPrefix("image: warning: trampolines of static calls, and no table [SC115]\n"), "\(run.output)")
    #expect(try await staticcall(["verify", "--strict", "image"], scratch).status == 1)
  }

  /// The table of user space, whose borders linkers mark, and one that only a linker script marks, as the kernel's.
  @Test(arguments: Target.allCases)
  func tablesAreFoundByNameOrBySymbols(_ target: Target) async throws {
    let scratch = try Scratch()
    let wrong = Self.right.replacing("__SCK__b", with: "__SCK__a")
    let user = source(wrong).replacing(".static_call_sites", with: "static_call_sites")
    try await link(user, for: target, in: scratch)
    #expect(try await staticcall(["verify", "image"], scratch).output.contains("[SC107]"))
    let kernel = source("__start_static_call_sites:\n\(wrong)__stop_static_call_sites:")
      .replacing(".static_call_sites,", with: ".data.ro_after_init,")
    try await link(".globl __start_static_call_sites, __stop_static_call_sites\n" + kernel, for: target, in: scratch)
    #expect(try await staticcall(["verify", "image"], scratch).output.contains("[SC107]"))
  }

  /// Images of which a part is missing, or with one to eight other bytes, half of them in the headers: each is read or refused.
  @Test(arguments: Target.allCases)
  func damageIsSurvived(_ target: Target) async throws {
    let scratch = try Scratch()
    try await link(source(Self.right), for: target, in: scratch)
    let image = try bytes(of: scratch.file("image"))
    let headers = Array(0..<0x200) + Array(image.count - 0x600..<image.count)
    var files: [(name: String, bytes: [UInt8])] = stride(from: 0, to: image.count, by: image.count / 300).map {
      ("first-\($0)", Array(image[..<$0]))
    }
    for seed in UInt64(0)..<1500 {
      var generator = SeededGenerator(seed: seed)
      var damaged = image
      for _ in 0..<Int.random(in: 1...8, using: &generator) {
        let isHeader = Bool.random(using: &generator)
        let place = isHeader ? headers.randomElement(using: &generator) : image.indices.randomElement(using: &generator)
        damaged[try #require(place)] =
          [0, 1, 0x7f, 0xff, UInt8.random(in: 0...255, using: &generator)]
          .randomElement(using: &generator) ?? 0
      }
      files.append(("seed-\(seed)", damaged))
    }
    for batch in stride(from: 0, to: files.count, by: 300) {
      let scratch = try Scratch()
      let names = try files[batch..<min(batch + 300, files.count)].map { name, bytes in
        try scratch.write(bytes, to: name)
        return name
      }
      let run = try await staticcallGuarded(["verify"], names, in: scratch)
      #expect((0...2).contains(run.status), "\(names.first ?? "") and on: \(run.status) \(run.errors.suffix(500))")
    }
  }

  private func link(
    _ source: String, for target: Target, in scratch: Scratch, _ options: [String] = []
  ) async throws {
    // A script that puts the table at an odd address.
    let script =
      "SECTIONS { . = 0x400000; .text : { *(.text .static_call.text) } .data : { *(.data) } . = ALIGN(16) + 2; "
      + ".static_call_sites . : SUBALIGN(1) { *(.static_call_sites) } }"
    try scratch.write(script.utf8, to: "odd.ld")
    let object = try await scratch.make(source, for: target)
    try await require("ld.lld", ["-o", "image"] + options + [object], in: scratch.path)
  }
}
