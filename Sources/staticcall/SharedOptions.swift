import ArgumentParser
import Glibc
import StaticCalls
import SystemPackage

/// The names that make a symbol a trampoline or a key, and a section the table.
struct NamingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Prefix of trampoline symbols.", valueName: "prefix"))
  var trampolinePrefix = "__SCT__"

  @Option(help: ArgumentHelp("Prefix of key symbols.", valueName: "prefix"))
  var keyPrefix = "__SCK__"

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
    if trampolinePrefix.isEmpty || keyPrefix.isEmpty { throw ValidationError("A prefix must not be empty.") }
    if trampolinePrefix == keyPrefix { throw ValidationError("Trampolines and keys must have different prefixes.") }
    if section?.isEmpty == true { throw ValidationError("The name of the table's section must not be empty.") }
  }

  var options: Options {
    var options = Options()
    options.trampolinePrefix = Array(trampolinePrefix.utf8)
    options.keyPrefix = Array(keyPrefix.utf8)
    if let section { options.tableSections = [section] }
    options.includesAlternatives = includesAlternatives
    return options
  }

  /// For commands that only read: the tables of every ABI, unless one was named.
  var readingOptions: Options {
    var options = options
    if section == nil { options.tableSections = [Options.kernelTable, Options.userTable] }
    return options
  }
}

/// What may become of indirect calls.
struct RewritingOptions: ParsableArguments {
  @Flag(help: "Leave indirect calls to trampolines as they are.")
  var noRewrite = false

  @Flag(
    help: ArgumentHelp(
      "Make a call through a key's first word (__SCK__name.func) a direct call of its trampoline.",
      discussion: "The program must then provide the trampolines."))
  var throughKeys = false

  func validate() throws {
    if noRewrite, throughKeys { throw ValidationError("--no-rewrite and --through-keys exclude each other.") }
  }

  func apply(to options: Options) -> Options {
    var options = options
    options.rewritesCalls = !noRewrite
    options.callsThroughKeys = throughKeys
    return options
  }
}

/// On how many threads to work.
struct JobOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Number of files to work on at a time (default: the number of processors).", valueName: "n"))
  var jobs: Int?

  func validate() throws {
    if let jobs, jobs < 1 { throw ValidationError("The number of jobs must be 1 or more.") }
  }

  /// Runs `work` for each item and returns its results in order.
  func forEach<Item: Sendable, Success: Sendable>(
    _ items: [Item], _ work: @escaping @Sendable (Item) throws(Refusal) -> Success
  ) -> [(item: Item, result: Result<Success, Refusal>)] {
    let threads = jobs ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let results = inParallel(items, jobs: threads) { item in
      Result { () throws(Refusal) in try work(item) }
    }
    return Array(zip(items, results))
  }
}

/// The objects to work on.
struct ObjectArguments: ParsableArguments {
  @Argument(help: ArgumentHelp("The objects, each a relocatable ELF file.", valueName: "object"))
  var objects: [String]

  @OptionGroup var jobs: JobOptions

  func validate() throws { try checkNames(objects) }

  /// The objects in order, each file once whatever names it goes by.
  var paths: [String] { withoutRepetition(objects) }

  /// Runs `work` for each object and returns its results in order.
  func forEach<Success: Sendable>(
    _ work: @escaping @Sendable (String) throws(Refusal) -> Success
  ) -> [(path: String, result: Result<Success, Refusal>)] {
    jobs.forEach(paths, work).map { ($0.item, $0.result) }
  }
}

/// Files and directories to look at.
struct FileArguments: ParsableArguments {
  @Argument(
    help: ArgumentHelp("Objects, archives, linked programs, and directories with such files.", valueName: "file"))
  var files: [String]

  @OptionGroup var jobs: JobOptions

  struct Input: Sendable {
    var path: String
    /// Whether the user named it; else it was found in a directory.
    var isNamed: Bool
  }

  func validate() throws { try checkNames(files) }

  /// What to look at, in order, each file once; and the directories that cannot be read.
  func inputs() -> (inputs: [Input], unreadable: [Pipeline.Refused]) {
    var inputs: [Input] = []
    var unreadable: [Pipeline.Refused] = []
    for path in withoutRepetition(files) {
      guard (try? FilePath(path).stat().type) == .directory else {
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
    var seen: Set<String> = []
    return (inputs.filter { once.contains($0.path) && seen.insert($0.path).inserted }, unreadable)
  }
}

private func checkNames(_ names: [String]) throws {
  if names.contains("-") { throw ValidationError("An object cannot be read from standard input: name a file.") }
  if names.contains("") { throw ValidationError("The name of an object must not be empty.") }
}

/// The paths in order, each file once whatever names it goes by.
private func withoutRepetition(_ paths: [String]) -> [String] {
  guard paths.count > 1 else { return paths }
  var seen: Set<FileIdentity> = []
  return paths.filter { path in
    guard let status = try? FilePath(path).stat() else { return true }
    return seen.insert(FileIdentity(device: UInt64(status.deviceID.rawValue), inode: UInt64(status.inode.rawValue)))
      .inserted
  }
}

private struct FileIdentity: Hashable {
  var device: UInt64
  var inode: UInt64
}
