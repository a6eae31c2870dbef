import ArgumentParser
import ObjectFile
import StaticCalls
import SystemPackage

/// What counts as a static call, and what may become of it.
///
/// One group, because ArgumentParser takes a group apart by reflection in each run: each costs as much as reading a small object.
struct CallOptions: ParsableArguments {
  @Flag(help: "Leave indirect calls to trampolines as they are.")
  var noRewrite = false

  @Flag(
    help: ArgumentHelp(
      "Make a call through a key's first word (__SCK__name.func) a direct call of its trampoline.",
      discussion: "The program must then provide the trampolines."))
  var throughKeys = false

  @Option(
    help: ArgumentHelp(
      "Prefix of trampoline symbols (default: __SCT__). Several, each with its --key-prefix, for several families of static calls.",
      discussion:
        "Where several prefixes fit a name, the longest counts. With several families, a static call is called as its trampoline.",
      valueName: "prefix"))
  var trampolinePrefix: [String] = []

  @Option(help: ArgumentHelp("Prefix of key symbols (default: __SCK__).", valueName: "prefix"))
  var keyPrefix: [String] = []

  @Option(
    help: ArgumentHelp(
      "Name of the table's section (default: \(Options.kernelTable); to read, \(Options.userTable) as well).",
      valueName: "name"))
  var section: String?

  @Flag(
    name: .customLong("include-altinstr"),
    help: "Count call sites in .altinstr_replacement, as Linux 6.15 and later do.")
  var includesAlternatives = false

  func validate() throws {
    if noRewrite, throughKeys { throw ValidationError("--no-rewrite and --through-keys exclude each other.") }
    let families = families
    let prefixes = families.trampolines + families.keys
    if prefixes.contains("") { throw ValidationError("A prefix must not be empty.") }
    guard families.trampolines.count == families.keys.count else {
      throw ValidationError(
        "--trampoline-prefix and --key-prefix go in pairs: there are \(families.trampolines.count) and \(families.keys.count) of them."
      )
    }
    guard Set(prefixes).count == prefixes.count else {
      throw ValidationError(
        prefixes.count == 2
          ? "Trampolines and keys must have different prefixes."
          : "All prefixes of trampolines and keys must be different.")
    }
    guard (prefixes + [section ?? ""]).allSatisfy(isUTF8) else {
      throw ValidationError("The names of symbols and sections must be UTF-8.")
    }
    if section?.isEmpty == true { throw ValidationError("The name of the table's section must not be empty.") }
  }

  /// The prefixes as they were given; where none was, the usual one.
  private var families: (trampolines: [String], keys: [String]) {
    (trampolinePrefix.isEmpty ? ["__SCT__"] : trampolinePrefix, keyPrefix.isEmpty ? ["__SCK__"] : keyPrefix)
  }

  var options: Options {
    var options = Options()
    options.families = zip(families.trampolines, families.keys).map { trampoline, key in
      Family(trampolinePrefix: Array(trampoline.utf8), keyPrefix: Array(key.utf8))
    }
    if let section { (options.tableSections, options.namesTable) = ([section], true) }
    options.includesAlternatives = includesAlternatives
    options.rewritesCalls = !noRewrite
    options.callsThroughKeys = throughKeys
    return options
  }

  /// For commands that only read: the tables of every ABI, unless one was named.
  var readingOptions: Options {
    var options = options
    if section == nil { options.tableSections = [Options.kernelTable, Options.userTable] }
    return options
  }
}

/// A choice of one of a few words. By itself ArgumentParser finds the words through reflection.
protocol Choice: ExpressibleByArgument, CaseIterable, RawRepresentable where RawValue == String {}

extension Choice {
  static var allValueStrings: [String] { allCases.map { $0.rawValue } }

  static var allValueDescriptions: [String: String] { [:] }

  var defaultValueDescription: String { rawValue }
}

/// On how many threads to work.
struct Jobs: ParsableArguments {
  @Option(
    name: [.customShort("j", allowingJoined: true), .long],
    help: ArgumentHelp(
      "Number of files to work on at a time (default: the number of processors).", valueName: "n"))
  var jobs: Int?

  func validate() throws {
    if let jobs, jobs < 1 { throw ValidationError("The number of jobs must be 1 or more.") }
  }
}

/// Runs `work` for each item, on `jobs` threads, and returns its results in order.
func attempt<Item: Sendable, Success: Sendable>(
  _ items: [Item], jobs: Int?, _ work: @escaping @Sendable (Item) throws(Refusal) -> Success
) -> [(item: Item, result: Result<Success, Refusal>)] {
  let results = inParallel(items, jobs: jobs) { item in Result { () throws(Refusal) in try work(item) } }
  return Array(zip(items, results))
}

/// Files and directories to look at.
struct FileArguments: ParsableArguments {
  @Argument(
    help: ArgumentHelp("Objects, archives, linked programs, and directories with such files.", valueName: "file"))
  var files: [FileArgument]

  struct Input: Sendable {
    var path: FilePath
    /// Whether the user named it; else it was found in a directory.
    var isNamed: Bool
  }

  func validate() throws { try checkNames(files.map(\.path)) }

  /// What to look at, in order, each file once; and the directories that cannot be read.
  func inputs() -> (inputs: [Input], unreadable: [Pipeline.Refused]) {
    var inputs: [Input] = []
    var unreadable: [Pipeline.Refused] = []
    for path in withoutRepetition(files.map(\.path)) {
      guard (try? path.stat().type) == .directory else {
        inputs.append(Input(path: path, isNamed: true))
        continue
      }
      let found = Pipeline.files(below: path)
      inputs += found.files.map { Input(path: $0, isNamed: false) }
      unreadable += found.unreadable
    }
    guard files.count > 1 else { return (inputs, unreadable) }
    // A file may lie in several of the directories, and be named besides.
    let once = Set(withoutRepetition(inputs.map(\.path)))
    var seen: Set<FilePath> = []
    return (inputs.filter { once.contains($0.path) && seen.insert($0.path).inserted }, unreadable)
  }
}

func checkNames(_ names: [FilePath]) throws {
  if names.contains("-") { throw ValidationError("An object cannot be read from standard input: name a file.") }
  if names.contains(where: \.isEmpty) { throw ValidationError("The name of an object must not be empty.") }
}

/// The paths in order, each file once whatever names it goes by.
func withoutRepetition(_ paths: [FilePath]) -> [FilePath] {
  guard paths.count > 1 else { return paths }
  var seen: Set<FileIdentity> = []
  return paths.filter { path in
    guard let file = FileIdentity(of: path) else { return true }
    return seen.insert(file).inserted
  }
}
