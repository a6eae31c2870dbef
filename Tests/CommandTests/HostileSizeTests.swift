import TestSupport
import Testing

/// Objects that are valid, or nearly, and made to cost far more than they weigh. What staticcall says about them is a matter of
/// the case; it must say it soon and not run out of memory.
@Suite struct HostileSizeTests {
  /// The base object with its table, changed by `change`; expects an ordinary end of every command.
  private func expectOrdinaryEnd(
    _ target: Target, isAnnotated: Bool = true, _ change: (inout ElfBytes) throws -> Void
  ) async throws -> [Int] {
    let scratch = try Scratch()
    var elf = ElfBytes(try await SmallObject.bytes(target, isAnnotated: isAnnotated))
    try change(&elf)
    try scratch.write(elf.bytes, to: "hostile.o")
    var statuses: [Int] = []
    let commands = ["list --format json", "verify", "annotate -o 1.o", "annotate --rebuild -o 2.o"]
    for command in commands.map({ $0.split(separator: " ").map(String.init) }) {
      let run = try await staticcallGuarded(command, ["hostile.o"], in: scratch)
      #expect((0...2).contains(run.status), "\(command): \(run.errors.suffix(300))")
      statuses.append(run.status)
    }
    return statuses
  }

  @Test(arguments: [1 << 40, 1 << 60, 1 << 63, .max - 7] as [UInt64], Target.allCases)
  func dataWithoutContentsMayHaveAnySize(_ size: UInt64, _ target: Target) async throws {
    let statuses = try await expectOrdinaryEnd(target) { elf in
      elf.append([], [[.type: 8, .flags: 3, .length: size, .alignment: 1]])
    }
    #expect(statuses == [0, 0, 0, 0])
  }

  @Test(arguments: [1 << 40, 1 << 60, 1 << 63, .max - 7] as [UInt64], Target.allCases)
  func codeWithoutContentsIsNotWalkedThrough(_ size: UInt64, _ target: Target) async throws {
    _ = try await expectOrdinaryEnd(target) { elf in
      let text = try elf.section(".text.other")
      elf[section: text, .type] = 8
      elf[section: text, .length] = size
    }
    _ = try await expectOrdinaryEnd(target) { elf in
      elf[section: try elf.section(".static_call.text"), .type] = 8
      elf[section: try elf.section(".static_call.text"), .length] = size
    }
  }

  /// An entry that lies as far out as a number goes, in code that has no contents and claims to reach there.
  @Test(arguments: [.max, .max - 4, 1 << 62] as [Int64], Target.allCases)
  func anEntryMayNotReachPastAllNumbers(_ offset: Int64, _ target: Target) async throws {
    _ = try await expectOrdinaryEnd(target) { elf in
      let relocations = try elf.section(".rela.static_call_sites")
      let code = elf.sectionCount
      elf.append([], [[.type: 8, .flags: 6, .length: .max, .alignment: 1]])
      // The entry's symbol, moved into the new section.
      let symbol = Int(elf[relocation: 0, of: relocations, .symbol])
      elf[symbol: symbol, .section] = UInt64(code)
      elf[symbol: symbol, .value] = 0
      elf[relocation: 0, of: relocations, .addend] = UInt64(bitPattern: offset)
    }
  }

  /// Addresses as far out as a number goes, of a table of distances: what counts from there must not end in an overflow.
  @Test(arguments: [1 << 32, 1 << 62, 1 << 63, (1 << 63) - 1] as [UInt64], Target.allCases)
  func addendsMayReachPastAllNumbers(_ addend: UInt64, _ target: Target) async throws {
    let address = target == .x86_64 ? "lea table(%rip), %rax" : "adrp x9, table\nadd x9, x9, :lo12:table"
    let source =
      SmallObject.source(target)
      + "\n.text\n\(address)\n.section .rodata,\"a\"\n.p2align 2\n.word 0\ntable:\n.long other - ., caller - .\n"
    let scratch = try Scratch()
    var elf = try ElfBytes(file: await scratch.assemble(portable: source, for: target))
    let relocations = try elf.section(".rela.text")
    for number in 0..<(elf.contents(ofSection: relocations).count / 24) {
      elf[relocation: number, of: relocations, .addend] = addend
    }
    try scratch.write(elf.bytes, to: "hostile.o")
    for command in ["list", "verify", "annotate"] {
      let run = try await staticcallGuarded([command], ["hostile.o"], in: scratch)
      #expect((0...1).contains(run.status), "\(command): \(run.errors.suffix(300))")
    }
  }

  @Test(arguments: [1 << 32, 1 << 40, 1 << 62, 1 << 63] as [UInt64], Target.allCases)
  func aHugeAlignmentOfTheTableIsNotFilledWithZeros(_ alignment: UInt64, _ target: Target) async throws {
    _ = try await expectOrdinaryEnd(target) { elf in
      elf[section: try elf.section(".static_call_sites"), .alignment] = alignment
    }
  }

  /// A gigabyte of debugging information, or what says it is, in a few bytes: nobody needs it.
  @Test(arguments: [".debug_info", ".zdebug_info"], Target.allCases)
  func debuggingInformationIsNotUnpackedAtAnyPrice(_ name: String, _ target: Target) async throws {
    let scratch = try Scratch()
    let source = SmallObject.source(target) + "\n.section \(name),\"\",%progbits\n.zero 64\n"
    var elf = try ElfBytes(file: await scratch.assemble(portable: source, for: target))
    let section = try elf.section(name)
    let packed = [UInt8](repeating: 0, count: 1 << 20)
    if name.hasPrefix(".z") {
      elf.replace(section, with: Array("ZLIB".utf8) + [0, 0, 1, 0, 0, 0, 0, 0, 0x78, 0x9c] + packed)
    } else {
      let header: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
      elf.replace(section, with: header + [0x78, 0x9c] + packed)
      elf[section: section, .flags] |= 0x800
    }
    try scratch.write(elf.bytes, to: "hostile.o")
    let run = try await staticcallGuarded(["list"], ["hostile.o"], in: scratch)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test(arguments: Target.allCases)
  func relocationsInOnePlaceAreNotComparedWithEachOther(_ target: Target) async throws {
    let statuses = try await expectOrdinaryEnd(target, isAnnotated: false) { elf in
      let relocations = try elf.section(".rela.text")
      elf.replace(relocations, with: repeated(Array(elf.contents(ofSection: relocations).prefix(24)), 20_000))
    }
    #expect(statuses == [0, 1, 2, 2])
  }

  @Test(arguments: Target.allCases)
  func manyRelocationSectionsOfOneSectionAreRead(_ target: Target) async throws {
    let statuses = try await expectOrdinaryEnd(target, isAnnotated: false) { elf in
      let relocations = try elf.section(".rela.text")
      let first = Array(elf.contents(ofSection: relocations).prefix(24))
      let none = first[..<8] + [0, 0, 0, 0] + first[12...]
      let headers = (0..<60_000).map { number -> ElfBytes.Header in
        [
          .type: 4, .offset: UInt64(24 * number), .length: 24, .link: UInt64(elf.symbolTable),
          .info: elf[section: relocations, .info], .alignment: 8, .entrySize: 24,
        ]
      }
      elf.append(repeated(Array(none), headers.count), headers)
    }
    #expect(statuses == [0, 1, 0, 0])
  }

  @Test(arguments: Target.allCases)
  func entriesInAnyOrderAreLookedAtOnceEach(_ target: Target) async throws {
    let size = 200_000
    let nops = target == .x86_64 ? ".skip \(size), 0x90" : ".rept \(size / 4)\nnop\n.endr"
    let functions = ["first", "second"].map { name in
      ".section .\(name),\"ax\"\n.type \(name), %function\n\(name):\n\(nops)\n.size \(name), . - \(name)\n"
    }
    // Entries that are no call sites, by turns in one function and in the other.
    let relocation = target == .x86_64 ? "R_X86_64_PC32" : "R_AARCH64_PREL32"
    let entries = (0..<400).map { number in
      """
      .reloc \(8 * number), \(relocation), \(number % 2 == 0 ? "first" : "second")+\(size / 2 + 4 * number)
      .reloc \(8 * number + 4), \(relocation), __SCK__one
      .quad 0

      """
    }
    let source =
      functions.joined() + ".text\nCALL __SCT__one\n.section .static_call_sites,\"aw\"\n.p2align 2\n" + entries.joined()
    let scratch = try Scratch()
    _ = try await scratch.assemble(portable: source, for: target, name: "hostile.o")
    let verifying = try await staticcallGuarded(["verify"], ["hostile.o"], in: scratch)
    #expect(verifying.status == 1)
    #expect(verifying.output.hasSuffix("401 errors and 0 warnings in 1 object\n"), "\(verifying.output.suffix(300))")
    let annotating = try await staticcallGuarded(["annotate"], ["hostile.o"], in: scratch)
    #expect(annotating.status == 2)
  }

  @Test(arguments: Target.allCases)
  func namesThatAreTailsOfOneLongNameDoNotExhaustMemory(_ target: Target) async throws {
    let scratch = try Scratch()
    let prefix = "__SCT__"
    let long = String(repeating: prefix, count: 8000)
    let source = (0..<3000).map { "CALL n\($0)\n" }.joined() + "CALL \(long)\n"
    let object = try await scratch.assemble(portable: source, for: target, name: "hostile.o")
    var elf = try ElfBytes(file: object)
    let start = elf[symbol: try elf.symbol(long), .name]
    let short = (1..<elf.symbolCount).filter { elf.name(ofSymbol: $0).hasPrefix("n") }
    for (number, symbol) in short.enumerated() {
      elf[symbol: symbol, .name] = start + UInt64(prefix.utf8.count * number)
    }
    try scratch.write(elf.bytes, to: "hostile.o")
    let run = try await staticcallGuarded(["annotate"], ["hostile.o"], in: scratch)
    #expect(run.status == 2)
    #expect(run.errors.contains("the names of its static calls overlap beyond measure [SC003]"), "\(run.errors)")
  }

  /// After `ld -r` an object may hold local static calls of one name from any number of files.
  @Test(arguments: Target.allCases)
  func manyLocalStaticCallsOfOneNameAreToldApart(_ target: Target) async throws {
    let scratch = try Scratch()
    let source = """
      .file "one.c"
      .text
      CALL __SCT__x
      .section .static_call.text,"ax"
      .p2align 3
      __SCT__x: JUMP target
      .p2align 3
      .data
      .p2align 3
      __SCK__x: .quad 0
      """
    var object = try await scratch.assemble(portable: source, for: target, name: "1.o")
    // Each step joins an object with itself: 32,768 files in the end.
    for step in 1...15 { object = try await scratch.combine([object, object], name: "\(1 << step).o") }
    let run = try await staticcallGuarded(["annotate"], [object], in: scratch, seconds: 30)
    #expect(run.status == 0, "\(run.errors.suffix(300))")
    #expect(try ElfBytes(file: object).siteTable().count == 1 << 15)
  }
}

/// `bytes`, many times over.
private func repeated(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
  var result: [UInt8] = []
  result.reserveCapacity(bytes.count * count)
  for _ in 0..<count { result += bytes }
  return result
}
