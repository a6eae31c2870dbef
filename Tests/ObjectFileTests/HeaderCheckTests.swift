import TestSupport
import Testing

@testable import ObjectFile

@Suite struct HeaderCheckTests {
  @Test(arguments: Target.allCases)
  func theObjectThatIsDamagedElsewhereIsSound(_ target: Target) async throws {
    #expect(try readError(await soundObject(target).bytes) == nil)
  }

  static let identification =
    [
      Damage("no mark", .notElf, "not an ELF file") { $0.bytes[0] = 0 },
      Damage("half a mark", .notElf, "not an ELF file") { $0.bytes[3] = 0 },
      Damage("class 0", .damaged, "class is 0") { $0[.fileClass] = 0 },
      Damage("class 9", .damaged, "class is 9") { $0[.fileClass] = 9 },
      Damage("32 bits", .unsupportedKind, "32-bit") { $0[.fileClass] = 1 },
      Damage("encoding 0", .damaged, "encoding is 0") { $0[.dataEncoding] = 0 },
      Damage("encoding 3", .damaged, "encoding is 3") { $0[.dataEncoding] = 3 },
      Damage("big-endian", .unsupportedKind, "big-endian") { $0[.dataEncoding] = 2 },
      Damage("identification of version 0", .damaged, "version") { $0[.identVersion] = 0 },
      Damage("version 0", .damaged, "version") { $0[.version] = 0 },
      Damage("version 0x101", .damaged, "version") { $0[.version] = 0x101 },
      Damage("no type", .unsupportedKind, "without a type") { $0[.type] = 0 },
      Damage("executable", .unsupportedKind, "ET_EXEC") { $0[.type] = 2 },
      Damage("shared object", .unsupportedKind, "ET_DYN") { $0[.type] = 3 },
      Damage("core file", .unsupportedKind, "core file") { $0[.type] = 4 },
      Damage("type 0xbeef", .unsupportedKind, "type \(0xbeef)") { $0[.type] = 0xbeef },
    ]
    + [0: "machine 0", 3: "80386", 40: "32-bit Arm", 243: "RISC-V", 0xffff: "machine 65535"].map { number, name in
      Damage("machine \(number)", .unsupportedKind, name) { $0[.machine] = UInt64(number) }
    }

  static let sectionTable = [
    Damage("no table", .damaged, "no section header table") { $0[.sectionTable] = 0 },
    Damage("table in the ELF header", .truncated, "outside the file") { $0[.sectionTable] = 63 },
    Damage("table at the end", .truncated, "ends inside") { $0[.sectionTable] = UInt64($0.bytes.count) },
    Damage("table behind the end", .truncated, "outside the file") { $0[.sectionTable] = UInt64($0.bytes.count + 1) },
    Damage("less than one header", .truncated, "ends inside") { $0[.sectionTable] = UInt64($0.bytes.count - 63) },
    Damage("one header less", .truncated, "reach past") { $0[.sectionTable] += 64 },
    Damage("table at 2^63", .truncated, "outside the file") { $0[.sectionTable] = 1 << 63 },
    Damage("table that wraps around", .truncated, "outside the file") { $0[.sectionTable] = .max - 63 },
    Damage("headers of 0 bytes", .damaged, "0 bytes, not 64") { $0[.sectionHeaderSize] = 0 },
    Damage("headers of 40 bytes", .damaged, "40 bytes, not 64") { $0[.sectionHeaderSize] = 40 },
    Damage("headers of 128 bytes", .damaged, "128 bytes, not 64") { $0[.sectionHeaderSize] = 128 },
    Damage("no headers", .damaged, "is empty") { $0[.sectionCount] = 0 },
    Damage("one header more", .truncated, "reach past") { $0[.sectionCount] += 1 },
    Damage("0xffff headers", .truncated, "65535 section headers") { $0[.sectionCount] = 0xffff },
    Damage("one header only", .damaged, "of 1") { $0[.sectionCount] = 1 },
    Damage("last header left out", .damaged, "is linked to section") { $0[.sectionCount] -= 1 },
  ]

  /// With `e_shnum` 0 the count stands in the first header's `sh_size`.
  static let extendedCount = [1 << 32, 1 << 58, (1 << 58) + 12, UInt64.max].map { count in
    Damage("\(count) headers by extended numbering", .truncated, "\(count) section headers") {
      $0[section: 0, .length] = count
      $0[.sectionCount] = 0
    }
  }

  static let sectionNames = [
    Damage("names in section 0", .damaged, "index 0 of") { $0[.sectionNames] = 0 },
    Damage("names in a section too far", .damaged, "name table has index") { $0[.sectionNames] = $0[.sectionCount] },
    Damage("names in a reserved section", .damaged, "index 65280") { $0[.sectionNames] = 0xff00 },
    Damage("names by extended numbering, in section 0", .damaged, "index 0 of") { $0[.sectionNames] = 0xffff },
    Damage("names by extended numbering, too far", .damaged, "index 4294967295") {
      $0[section: 0, .link] = 0xffff_ffff
      $0[.sectionNames] = 0xffff
    },
    Damage("names in code", .damaged, "used as a string table") { $0[.sectionNames] = UInt64(try $0.section(".text")) },
    Damage("names in the symbol table", .damaged, "used as a string table") {
      $0[.sectionNames] = UInt64($0.symbolTable)
    },
  ]

  @Test(arguments: identification + sectionTable + extendedCount + sectionNames, Target.allCases)
  func aBrokenHeaderIsRefused(_ damage: Damage, _ target: Target) async throws {
    try await damage.expectRefusal(target)
  }

  @Test(arguments: Target.allCases)
  func extendedNumberingIsAcceptedWhereItIsNotNeeded(_ target: Target) async throws {
    var elf = try await soundObject(target)
    elf[section: 0, .length] = elf[.sectionCount]
    elf[section: 0, .link] = elf[.sectionNames]
    elf[.sectionNames] = 0xffff
    elf[.sectionCount] = 0
    #expect(try readError(elf.bytes) == nil)
  }

  @Test(arguments: Target.allCases)
  func bytesBehindTheLastHeaderAreAccepted(_ target: Target) async throws {
    #expect(try readError(await soundObject(target).bytes + [1, 2, 3]) == nil)
  }

  @Test(arguments: Target.allCases)
  func aFileThatEndsInsideTheHeaderIsTruncated(_ target: Target) async throws {
    let bytes = try await soundObject(target).bytes
    for length in 0..<64 {
      let kind = try readError(Array(bytes[..<length]))?.kind
      let expected: ErrorKind = length == 0 ? .empty : length < 4 ? .notElf : .truncated
      #expect(kind == expected, "\(length) bytes")
    }
  }
}
