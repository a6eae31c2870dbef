import TestSupport
import Testing

/// Headers that have crashed, hung or fooled other tools. staticcall refuses each in a moment, and leaves the file alone.
@Suite struct HostileHeaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var apply: @Sendable (inout ElfBytes) throws -> Void

    init(_ name: String, _ apply: @escaping @Sendable (inout ElfBytes) throws -> Void) {
      testDescription = name
      self.apply = apply
    }
  }

  static let headers = [
    Case("a section header table that wraps around") { $0[.sectionTable] = .max - 63 },
    Case("a section header table at 2^63") { $0[.sectionTable] = 1 << 63 },
    Case("2^32 sections") { $0.setExtendedCount(1 << 32) },
    Case("2^58 sections") { $0.setExtendedCount(1 << 58) },
    Case("a number of sections whose size wraps around") { $0.setExtendedCount((1 << 58) + UInt64($0.sectionCount)) },
    Case("0xffff sections") { $0[.sectionCount] = 0xffff },
    Case("section names in section 2^32 - 1") {
      $0[section: 0, .link] = 0xffff_ffff
      $0[.sectionNames] = 0xffff
    },
    Case("code at the ELF header") { $0[section: try $0.section(".text"), .offset] = 0 },
    Case("code at the section header table") { $0[section: try $0.section(".text"), .offset] = $0[.sectionTable] },
    Case("code of 2^60 bytes") { $0[section: try $0.section(".text"), .length] = 1 << 60 },
    Case("code whose end wraps around") {
      let text = try $0.section(".text")
      $0[section: text, .length] = 0 &- $0[section: text, .offset]
    },
    Case("code that is said to unpack to 2^40 bytes") {
      let text = try $0.section(".text")
      $0.replace(text, with: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0] + [0x78, 0x9c])
      $0[section: text, .flags] |= 0x800
    },
    Case("an alignment of 3") { $0[section: try $0.section(".text"), .alignment] = 3 },
    Case("a section behind itself") {
      let data = try $0.section(".data")
      $0[section: data, .flags] |= 0x80
      $0[section: data, .link] = UInt64(data)
    },
  ]

  static let tables = [
    Case("relocations of 2^60 bytes") { $0[section: try $0.section(".rela.text"), .length] = 24 << 55 },
    Case("relocations of 0 bytes each") { $0[section: try $0.section(".rela.text"), .entrySize] = 0 },
    Case("relocations of the symbol table") {
      $0[section: try $0.section(".rela.text"), .info] = UInt64($0.symbolTable)
    },
    Case("a relocation of symbol 2^32 - 1") {
      $0[relocation: 0, of: try $0.section(".rela.text"), .symbol] = 0xffff_ffff
    },
    Case("a relocation at 2^63") { $0[relocation: 0, of: try $0.section(".rela.text"), .offset] = 1 << 63 },
    Case("symbols of 2^60 bytes") { $0[section: $0.symbolTable, .length] = 24 << 55 },
    Case("symbols of 0 bytes each") { $0[section: $0.symbolTable, .entrySize] = 0 },
    Case("a first global symbol of 2^32 - 1") { $0[section: $0.symbolTable, .info] = 0xffff_ffff },
    Case("two symbol tables") {
      let (table, data) = ($0.symbolTable, try $0.section(".data"))
      $0[section: data, .type] = 2
      $0[section: data, .link] = $0[section: table, .link]
    },
    Case("a symbol with an extended section index and no table of them") {
      $0[symbol: try $0.symbol("caller"), .section] = 0xffff
    },
    Case("a name at 2^32 - 1") { $0[symbol: try $0.symbol("caller"), .name] = 0xffff_ffff },
    Case("a group with a signature of 2^32 - 1") { $0[section: try $0.section(".group"), .info] = 0xffff_ffff },
    Case("a group that is its own member") {
      let group = try $0.section(".group")
      $0.setNumber(UInt64(group), at: $0.offset(ofSection: group) + 4, 4)
    },
  ]

  static let masses = [
    Case("20,000 relocation sections in one place") { elf in
      let relocations = [UInt8](repeating: 0, count: 24 * 1000)
      let header: ElfBytes.Header = [
        .type: 4, .offset: 0, .length: UInt64(relocations.count), .link: UInt64(elf.symbolTable),
        .info: UInt64(try elf.section(".text")), .alignment: 8, .entrySize: 24,
      ]
      elf.append(relocations, [ElfBytes.Header](repeating: header, count: 20_000))
    },
    Case("200,000 symbols with one name of eight megabytes that does not end") { elf in
      let symbols = Array(elf.contents(ofSection: elf.symbolTable))
      let name = UInt64(elf.contents(ofSection: try elf.section(".strtab")).count)
      let field = (0..<4).map { UInt8(truncatingIfNeeded: name >> (8 * $0)) }
      let symbol = field + [0x10] + [UInt8](repeating: 0, count: 19)
      var repeated = symbol
      while repeated.count < 24 * 200_000 { repeated += repeated }
      elf.replace(elf.symbolTable, with: symbols + repeated[..<(24 * 200_000)])
      let strings = try elf.section(".strtab")
      elf.replace(strings, with: Array(elf.contents(ofSection: strings)) + [UInt8](repeating: 0x78, count: 8 << 20))
    },
    Case("a group that lists one section a million times") { elf in
      let group = try elf.section(".group")
      var members = Array(elf.contents(ofSection: group))
      while members.count < 4 << 20 { members += members[4...] }
      elf.replace(group, with: members)
    },
  ]

  @Test(arguments: headers + tables + masses, Target.allCases)
  func aHostileHeaderIsRefused(_ hostile: Case, _ target: Target) async throws {
    let scratch = try Scratch()
    var elf = ElfBytes(try await SmallObject.bytes(target, isAnnotated: false))
    try hostile.apply(&elf)
    let before = try Fingerprint(try scratch.write(elf.bytes, to: "hostile.o"))
    for command in [["list"], ["verify"], ["annotate"], ["annotate", "-o", "out.o"]] {
      let run = try await staticcallGuarded(command, ["hostile.o"], in: scratch)
      #expect(run.status == 2, "\(command)")
      #expect(run.output == "", "\(command)")
      #expect(run.errors.hasPrefix("hostile.o: error: "), "\(command)")
    }
    #expect(try Fingerprint(scratch.file("hostile.o")) == before)
    #expect(scratch.contents == ["hostile.o"])
  }
}

extension ElfBytes {
  /// Gives the number of sections by extended numbering.
  fileprivate mutating func setExtendedCount(_ count: UInt64) {
    self[section: 0, .length] = count
    self[.sectionCount] = 0
  }
}
