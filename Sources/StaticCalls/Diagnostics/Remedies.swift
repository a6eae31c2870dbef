/// What to do about a finding, as it is right for the file: the one place where that is decided. A remedy that is the same for all files stands
/// beside the explanation of its code.
extension Code {
  /// What to do about it, for a file that nothing is known of.
  public var help: [String] { help(for: ObjectFacts()) }

  /// What to do about it, a sentence each; empty where the message says it, or where nothing can be done.
  func help(for facts: ObjectFacts) -> [String] { compilerHelp(facts) ?? tableHelp(facts) ?? commonHelp }

  // MARK: Commands

  private func tableHelp(_ facts: ObjectFacts) -> [String]? {
    let annotate = facts.isOfUserSpace ? "staticcall annotate --abi user" : "staticcall annotate"
    let abi = facts.isOfUserSpace ? "--abi user" : "the same --abi"
    return switch self {
    case .tableSection, .entryRelocation, .notCode, .wrongOpcode, .flagMismatch, .keyMismatch, .notAnInstruction,
      .noTrampoline, .duplicateEntry, .discardedSection, .replaceableSite, .entryFlags:
      ["`\(annotate) --rebuild` on the object makes the table anew; then link again."]
    case .staleTable: ["`\(annotate) --rebuild` throws the table away and makes it anew."]
    case .unreadTable:
      ["`staticcall annotate --abi user --rebuild` on the objects converts the table; then link again."]
    case .foreignTable:
      [
        facts.isOfUserSpace
          ? "Annotate with --abi user; with --rebuild besides, a table of the kernel's layout becomes one of user space."
          : "Annotate the object that the compiler wrote, without this table; use one --abi for all objects."
      ]
    case .missingEntry: ["Run `\(annotate)` on the object, before it is linked."]
    case .missingKey where facts.isOfUserSpace: ["Annotate with --abi user, which adds the key for the linker to find."]
    case .mixedTables: ["Annotate all objects with \(abi)."]
    case .separateEntry:
      ["Run `\(annotate)` on this object" + (facts.isOfUserSpace ? "." : ", with the same --abi as before.")]
    case .droppedTable where facts.isOfUserSpace:
      ["Run `staticcall verify` on the objects, `\(annotate)` on those that it names, and link again."]
    default: nil
    }
  }

  // MARK: Options of compilers

  private static let plainCall = "call __SCT__name(...), not a pointer to it"

  private func compilerHelp(_ facts: ObjectFacts) -> [String]? {
    // The others are in C, or in what nobody knows.
    let compilers = facts.compilers.isEmpty ? [Compiler.c] : Compiler.allCases.filter(facts.compilers.contains)
    func compile(_ way: (Compiler) -> String?) -> String? {
      let ways = compilers.compactMap { compiler in way(compiler).map { (compiler, $0) } }
      guard ways.count > 1 else { return ways.first.map { "compile \($0.1)" } }
      return "compile " + ways.map { "\($0.0.language) \($0.1)" }.joined(separator: ", ")
    }
    /// A sentence of those parts that there are.
    func sentence(_ parts: String?..., joinedBy joint: String) -> [String] {
      let text = parts.compactMap { $0 }.joined(separator: joint)
      return [text.prefix(1).uppercased() + text.dropFirst() + "."]
    }
    let plain = compile(\.plainCalls)
    return switch self {
    case .throughTable: sentence("leave out --no-rewrite", compile(\.directCalls), joinedBy: ", or ")
    case .throughThunk:
      sentence(
        "leave out --no-rewrite", compile(\.directCalls).map { "\($0) and \(Self.plainCall)" } ?? Self.plainCall,
        joinedBy: ", or ")
    case .noRoom, .registerInUse, .entered, .unwindInfo, .unboundedJump, .undecodedFunction, .unreadableTables,
      .notFollowed:
      sentence(plain, Self.plainCall, joinedBy: ", and ")
    case .unknownInstruction: sentence(plain, Self.plainCall, joinedBy: ", and ") + commonHelp
    case .notOnEveryPath: sentence("call __SCT__name(...) in each branch of the code", plain, joinedBy: ", and ")
    case .largePositionIndependent: compile(\.smallModel).map { sentence($0, joinedBy: "") } ?? []
    case .unpatchableBranch:
      (compilers.contains(.c) ? ["In C, compile with -ffunction-sections."] : [])
        + ["In assembly, put the trampoline into another section, and reach it by a plain `jmp` or `b`."]
    default: nil
    }
  }
}
