import StaticCalls
import Testing

/// The catalogue of codes: scripts and searches rely on them.
@Suite struct CatalogueTests {
  @Test(arguments: Code.allCases)
  func everyCodeIsExplained(_ code: Code) {
    #expect(!code.title.isEmpty && code.title != code.rawValue)
    #expect(code.title.first?.isUppercase == false && code.title.last != ".", "\(code.title)")
    #expect(code.explanation.count > code.title.count)
    #expect(code.explanation.hasSuffix("."), "\(code.explanation.suffix(20))")
    for line in code.help { #expect(line.hasSuffix("."), "\(line)") }
  }

  @Test(arguments: Code.allCases)
  func everyCodeIsWellFormed(_ code: Code) {
    #expect(code.rawValue.count == 5)
    #expect(code.rawValue.hasPrefix("SC"))
    #expect(code.rawValue.dropFirst(2).allSatisfy { $0.isASCII && $0.isNumber })
  }

  @Test func codesAreInOrderAndTitlesTheirOwn() {
    let codes = Code.allCases.map(\.rawValue)
    #expect(codes == codes.sorted())
    #expect(Set(Code.allCases.map(\.title)).count == codes.count)
    #expect(Set(Code.allCases.map(\.explanation)).count == codes.count)
  }

  /// A number that was given out is not given to anything else, and does not go away.
  @Test func noCodeChangesItsMeaning() {
    let known: [Code: String] = [
      .cannotRead: "SC001", .notElf: "SC002", .damaged: "SC003", .unsupportedKind: "SC004", .noMachineCode: "SC005",
      .archive: "SC006", .unsupportedConstruct: "SC007", .signedModule: "SC008", .changedMeanwhile: "SC009",
      .systemFailure: "SC010", .cannotRenumber: "SC011", .missingKey: "SC012", .ambiguousKey: "SC013",
      .comdatSite: "SC014", .foreignTable: "SC015", .staleTable: "SC016", .overlappingSites: "SC017",
      .selfCheck: "SC018", .sharedAddress: "SC019", .contradictedLayout: "SC020", .unreadTable: "SC120",
      .throughTable: "SC030", .throughRegister: "SC031", .throughThunk: "SC032",
      .addressTaken: "SC033", .unpatchableBranch: "SC034", .undecoded: "SC035", .operandSizePrefix: "SC036",
      .besideTrampoline: "SC037", .fatObject: "SC038", .unknownInstruction: "SC055", .keptOnStack: "SC056",
      .notFollowed: "SC057", .tableSection: "SC101", .missingEntry: "SC102",
      .entryRelocation: "SC103", .notCode: "SC104", .wrongOpcode: "SC105", .flagMismatch: "SC106",
      .keyMismatch: "SC107", .notAnInstruction: "SC108", .noTrampoline: "SC109", .duplicateEntry: "SC110",
      .keyAlignment: "SC111", .discardedSection: "SC112", .replaceableSite: "SC113", .entryFlags: "SC114",
    ]
    for (code, number) in known { #expect(code.rawValue == number) }
  }
}
