import TestSupport
import Testing

@testable import ObjectFile

@Suite struct SymbolCheckTests {
  static let tables = [
    Damage("symbols of 0 bytes", .damaged, "symbol") { $0[section: $0.symbolTable, .entrySize] = 0 },
    Damage("symbols of 16 bytes", .damaged, "16 bytes, not 24") { $0[section: $0.symbolTable, .entrySize] = 16 },
    Damage("half a symbol at the end", .damaged, "whole symbols") { $0[section: $0.symbolTable, .length] -= 12 },
    Damage("no symbols", .damaged, "first global symbol") { $0[section: $0.symbolTable, .length] = 0 },
    Damage("compressed symbols", .damaged, "whole symbols") { $0[section: $0.symbolTable, .flags] |= 0x800 },
    Damage("first global at 0", .damaged, "first global symbol") { $0[section: $0.symbolTable, .info] = 0 },
    Damage("first global too far", .damaged, "first global symbol") {
      $0[section: $0.symbolTable, .info] = UInt64($0.symbolCount + 1)
    },
    Damage("first global at 2^32 - 1", .damaged, "first global symbol") {
      $0[section: $0.symbolTable, .info] = 0xffff_ffff
    },
    Damage("first global one too late", .damaged, "border") { $0[section: $0.symbolTable, .info] += 1 },
    Damage("first global one too early", .damaged, "border") { $0[section: $0.symbolTable, .info] -= 1 },
    Damage("no globals", .damaged, "border") { $0[section: $0.symbolTable, .info] = UInt64($0.symbolCount) },
    Damage("names in the symbol table itself", .damaged, "used as a string table") {
      $0[section: $0.symbolTable, .link] = UInt64($0.symbolTable)
    },
    Damage("names in code", .damaged, "used as a string table") {
      $0[section: $0.symbolTable, .link] = UInt64(try $0.section(".text"))
    },
    Damage("names in section 0", .damaged, "used as a string table") { $0[section: $0.symbolTable, .link] = 0 },
    Damage("two symbol tables", .damaged, "both symbol tables") {
      let (table, data) = ($0.symbolTable, try $0.section(".data"))
      $0[section: data, .link] = $0[section: table, .link]
      $0[section: data, .type] = 2
    },
    Damage("too few extended section indexes", .damaged, "one entry for each symbol") {
      let data = try $0.section(".data")
      $0[section: data, .type] = 18  // SHT_SYMTAB_SHNDX
      $0[section: data, .link] = UInt64($0.symbolTable)
    },
  ]

  static let symbols = [
    Damage("a name too far", .damaged, "lies outside the string table") {
      $0[symbol: try $0.symbol("f"), .name] = $0[section: try $0.section(".strtab"), .length]
    },
    Damage("a name at 2^32 - 1", .damaged, "lies outside the string table") {
      $0[symbol: try $0.symbol("g"), .name] = 0xffff_ffff
    },
    Damage("a section too far", .damaged, "is defined in section") {
      $0[symbol: try $0.symbol("f"), .section] = $0[.sectionCount]
    },
    Damage("section 0xfeff", .damaged, "is defined in section") { $0[symbol: try $0.symbol("f"), .section] = 0xfeff },
    Damage("an extended index without a table", .damaged, "there is no table") {
      $0[symbol: try $0.symbol("f"), .section] = 0xffff
    },
    Damage("a local symbol behind the globals", .damaged, "border") {
      $0[symbol: try $0.symbol("f"), .info] = 0x02
    },
    Damage("a global symbol among the locals", .damaged, "border") {
      $0[symbol: try $0.symbol("inner"), .info] = 0x11
    },
  ]

  static let relocations = [
    Damage("relocations of 0 bytes", .damaged, "relocation") {
      $0[section: try $0.section(".rela.text"), .entrySize] = 0
    },
    Damage("relocations of 48 bytes", .damaged, "48 bytes, not 24") {
      $0[section: try $0.section(".rela.text"), .entrySize] = 48
    },
    Damage("half a relocation at the end", .damaged, "whole relocations") {
      $0[section: try $0.section(".rela.text"), .length] -= 12
    },
    Damage("relocations of no section", .damaged, "applies to section 0") {
      $0[section: try $0.section(".rela.text"), .info] = 0
    },
    Damage("relocations of a section too far", .damaged, "applies to section") {
      $0[section: try $0.section(".rela.text"), .info] = $0[.sectionCount]
    },
    Damage("relocations of themselves", .damaged, "applies to section") {
      let relocations = try $0.section(".rela.text")
      $0[section: relocations, .info] = UInt64(relocations)
    },
    Damage("relocations without a symbol table", .damaged, "as its symbol table") {
      $0[section: try $0.section(".rela.text"), .link] = 0
    },
    Damage("relocations with code as symbol table", .damaged, "as its symbol table") {
      $0[section: try $0.section(".rela.text"), .link] = UInt64(try $0.section(".text"))
    },
    Damage("relocations of data without a symbol table", .damaged, "as its symbol table") {
      $0[section: try $0.section(".rela.data"), .link] = 1
    },
    Damage("relocations of code without addends", .unsupportedConstruct, "SHT_REL") {
      let relocations = try $0.section(".rela.text")
      $0[section: relocations, .type] = 9
      $0[section: relocations, .entrySize] = 16
    },
    Damage("compact relocations of code", .unsupportedConstruct, "CREL") {
      $0[section: try $0.section(".rela.text"), .type] = 0x4000_0014
    },
    Damage("a symbol too far", .damaged, "names symbol") {
      $0[relocation: 1, of: try $0.section(".rela.text"), .symbol] = UInt64($0.symbolCount)
    },
    Damage("symbol 2^32 - 1", .damaged, "names symbol") {
      $0[relocation: 0, of: try $0.section(".rela.data"), .symbol] = 0xffff_ffff
    },
    Damage("a place at the end of the section", .damaged, "past the end of its section") {
      let size = $0[section: try $0.section(".text"), .length]
      $0[relocation: 0, of: try $0.section(".rela.text"), .offset] = size
    },
    Damage("a place at 2^63", .damaged, "past the end of its section") {
      $0[relocation: 0, of: try $0.section(".rela.text"), .offset] = 1 << 63
    },
  ]

  @Test(arguments: tables + symbols, Target.allCases)
  func aBrokenSymbolTableIsRefused(_ damage: Damage, _ target: Target) async throws {
    try await damage.expectRefusal(target)
  }

  @Test(arguments: relocations, Target.allCases)
  func brokenRelocationsAreRefused(_ damage: Damage, _ target: Target) async throws {
    try await damage.expectRefusal(target)
  }

  @Test(arguments: Target.allCases)
  func aRelocationOfTypeNoneMayLieAnywhere(_ target: Target) async throws {
    var elf = try await soundObject(target)
    let relocations = try elf.section(".rela.text")
    elf[relocation: 0, of: relocations, .type] = 0
    elf[relocation: 0, of: relocations, .offset] = 1 << 63
    #expect(try readError(elf.bytes) == nil)
  }

  @Test(arguments: Target.allCases)
  func reservedSectionNumbersAreCarriedAlong(_ target: Target) async throws {
    var elf = try await soundObject(target)
    let symbol = try elf.symbol("g")
    for number in [0xff00, 0xfff1, 0xfff2] as [UInt64] {
      elf[symbol: symbol, .section] = number
      #expect(try readError(elf.bytes) == nil, "\(number)")
    }
  }

  @Test(arguments: Target.allCases)
  func compactRelocationsOfTheCompilerAreRefused(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.compile(
      "void g(void); void f(void) { g(); }", for: target, "-Wa,--crel,--allow-experimental-crel")
    #expect(readError(at: object)?.kind == .unsupportedConstruct)
  }

  @Test(arguments: Target.allCases)
  func anObjectWithoutSymbolsIsAccepted(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(".text\n.long 0\n", for: target)
    try await require(tool("llvm-objcopy") ?? target.objcopy, ["--strip-all", object])
    #expect(readError(at: object) == nil)
  }
}
