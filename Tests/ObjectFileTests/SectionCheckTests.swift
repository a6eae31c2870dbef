import TestSupport
import Testing

@testable import ObjectFile

/// The fields of section headers that libelf takes as they come.
@Suite struct SectionCheckTests {
  static let bounds = [
    Damage("contents behind the end", .truncated, "past the end of the file") {
      $0[section: try $0.section(".data"), .offset] = UInt64($0.bytes.count)
    },
    Damage("contents at 2^63", .truncated, "past the end of the file") {
      $0[section: try $0.section(".data"), .offset] = 1 << 63
    },
    Damage("one byte too long", .truncated, "past the end of the file") {
      let data = try $0.section(".data")
      $0[section: data, .length] = UInt64($0.bytes.count - $0.offset(ofSection: data) + 1)
    },
    Damage("2^60 bytes long", .truncated, "past the end of the file") {
      $0[section: try $0.section(".data"), .length] = 1 << 60
    },
    Damage("an end that wraps around", .truncated, "past the end of the file") {
      let data = try $0.section(".data")
      $0[section: data, .length] = 0 &- $0[section: data, .offset] &+ 8
    },
    Damage("a symbol table of 2^60 records", .truncated, "past the end of the file") {
      $0[section: $0.symbolTable, .length] = 24 << 55
    },
  ]

  static let overlaps = [
    Damage("contents in the ELF header", .damaged, "overlaps the ELF header") {
      $0[section: try $0.section(".data"), .offset] = 0
    },
    Damage("contents at the end of the ELF header", .damaged, "overlaps the ELF header") {
      $0[section: try $0.section(".text"), .offset] = 63
    },
    Damage("contents in the section header table", .damaged, "the section header table overlaps") {
      let data = try $0.section(".data")
      $0[section: data, .offset] = $0[.sectionTable] - 1
    },
    Damage("code in the symbol table", .damaged, "overlaps") {
      $0[section: try $0.section(".text"), .offset] = $0[section: $0.symbolTable, .offset] + 1
    },
    Damage("two relocation sections in one place", .damaged, "overlaps") {
      let first = $0[section: try $0.section(".rela.text"), .offset]
      $0[section: try $0.section(".rela.data"), .offset] = first
    },
    Damage("one byte shared", .damaged, "overlaps") { $0[section: try $0.section(".text"), .length] += 1 },
  ]

  static let numbers = [
    Damage("an alignment of 3", .damaged, "not a power of two") {
      $0[section: try $0.section(".data"), .alignment] = 3
    },
    Damage("contents of section 0 behind the end", .damaged, "section 0 is not the empty one") {
      $0[section: 0, .type] = 1
      $0[section: 0, .length] = 1 << 20
    },
    Damage("an alignment of 2^64 - 1", .damaged, "not a power of two") {
      $0[section: try $0.section(".data"), .alignment] = .max
    },
    Damage("a link too far", .damaged, "is linked to section") {
      $0[section: try $0.section(".data"), .link] = $0[.sectionCount]
    },
    Damage("a link of 2^32 - 1", .damaged, "is linked to section") {
      $0[section: try $0.section(".data"), .link] = 0xffff_ffff
    },
    Damage("to be placed behind itself", .damaged, "behind itself") {
      let data = try $0.section(".data")
      $0[section: data, .flags] |= 0x80  // SHF_LINK_ORDER
      $0[section: data, .link] = UInt64(data)
    },
    Damage("compressed code", .unsupportedConstruct, "is compressed") {
      $0[section: try $0.section(".text"), .flags] |= 0x800  // SHF_COMPRESSED
    },
  ]

  static let strings = [
    Damage("a name too far", .damaged, "lies outside the name table") {
      let size = $0[section: try $0.section(".strtab"), .length]
      $0[section: try $0.section(".data"), .name] = size
    },
    Damage("no NUL at the end of the names", .damaged, "does not end in NUL") {
      let strings = try $0.section(".strtab")
      $0.bytes[$0.contents(ofSection: strings).endIndex - 1] = 0x78
    },
    Damage("no names", .damaged, "does not end in NUL") { $0[section: try $0.section(".strtab"), .length] = 0 },
    Damage("compressed names", .damaged, "used as a string table") {
      $0[section: try $0.section(".strtab"), .flags] |= 0x800
    },
  ]

  static let groups = [
    Damage("a group of no size", .damaged, "section group") { $0[section: try $0.section(".group"), .length] = 0 },
    Damage("a group of half a flag", .damaged, "section group") { $0[section: try $0.section(".group"), .length] = 2 },
    Damage("a group of half a member", .damaged, "section group") {
      $0[section: try $0.section(".group"), .length] = 10
    },
    Damage("a group with another symbol table", .damaged, "section group") {
      $0[section: try $0.section(".group"), .link] = 0
    },
    Damage("a signature too far", .damaged, "section group") {
      $0[section: try $0.section(".group"), .info] = UInt64($0.symbolCount)
    },
    Damage("a member too far", .damaged, "cannot be a member") { try $0.setMember(0, to: Int($0[.sectionCount])) },
    Damage("section 0 as a member", .damaged, "cannot be a member") { try $0.setMember(0, to: 0) },
    Damage("a group as its own member", .damaged, "cannot be a member") {
      try $0.setMember(0, to: $0.section(".group"))
    },
    Damage("a member twice", .damaged, "twice") { try $0.setMember(1, to: $0.section(".text.shared")) },
    Damage("code that no group lists", .damaged, "no group lists it") {
      $0[section: try $0.section(".text"), .flags] |= 0x200  // SHF_GROUP
    },
  ]

  @Test(arguments: bounds + overlaps + numbers + strings + groups, Target.allCases)
  func aBrokenSectionIsRefused(_ damage: Damage, _ target: Target) async throws {
    try await damage.expectRefusal(target)
  }

  @Test(arguments: Target.allCases)
  func aSectionWithoutContentsMayHaveAnySizeAndPlace(_ target: Target) async throws {
    var elf = try await soundObject(target)
    let bss = try elf.section(".bss")
    elf[section: bss, .length] = 1 << 60
    elf[section: bss, .offset] = 1 << 62
    #expect(try readError(elf.bytes) == nil)
  }

  @Test(arguments: [0, 1, 1 << 63] as [UInt64], Target.allCases)
  func anyPowerOfTwoIsAnAlignment(_ alignment: UInt64, _ target: Target) async throws {
    var elf = try await soundObject(target)
    elf[section: try elf.section(".data"), .alignment] = alignment
    #expect(try readError(elf.bytes) == nil)
  }

  @Test(arguments: Target.allCases)
  func sectionsOfUnknownTypesAndFlagsAreCarriedAlong(_ target: Target) async throws {
    var elf = try await soundObject(target)
    let data = try elf.section(".data")
    elf[section: data, .type] = 0x6fff_1234
    elf[section: data, .flags] |= 0x0ff0_0000
    #expect(try readError(elf.bytes) == nil)
  }
}

extension ElfBytes {
  /// Sets a member of the object's one section group, by its position.
  mutating func setMember(_ position: Int, to section: Int) throws {
    setNumber(UInt64(section), at: offset(ofSection: try self.section(".group")) + 4 + 4 * position, 4)
  }
}
