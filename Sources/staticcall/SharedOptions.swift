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

  @Option(help: ArgumentHelp("Name of the table's section.", valueName: "name"))
  var section = ".static_call_sites"

  @Flag(
    name: .customLong("include-altinstr"),
    help: "Count call sites in .altinstr_replacement, as Linux 6.15 and later do.")
  var includesAlternatives = false

  func validate() throws {
    if trampolinePrefix.isEmpty || keyPrefix.isEmpty { throw ValidationError("A prefix must not be empty.") }
    if trampolinePrefix == keyPrefix { throw ValidationError("Trampolines and keys must have different prefixes.") }
    if section.isEmpty { throw ValidationError("The name of the table's section must not be empty.") }
  }

  var options: Options {
    var options = Options()
    options.trampolinePrefix = Array(trampolinePrefix.utf8)
    options.keyPrefix = Array(keyPrefix.utf8)
    options.tableSection = section
    options.includesAlternatives = includesAlternatives
    return options
  }
}

/// What may become of indirect calls.
struct RewritingOptions: ParsableArguments {
  @Flag(help: "Leave indirect calls to trampolines as they are.")
  var noRewrite = false

  @Flag(
    help: ArgumentHelp(
      "Take a call through a key's first word for a call of its trampoline, and make it direct.",
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

/// The objects to work on, and on how many threads.
struct ObjectArguments: ParsableArguments {
  @Argument(help: ArgumentHelp("The objects, each a relocatable ELF file.", valueName: "object"))
  var objects: [String]

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Number of objects to work on at a time (default: the number of processors).", valueName: "n"))
  var jobs: Int?

  func validate() throws {
    if let jobs, jobs < 1 { throw ValidationError("The number of jobs must be 1 or more.") }
    if objects.contains("-") { throw ValidationError("An object cannot be read from standard input: name a file.") }
    if objects.contains("") { throw ValidationError("The name of an object must not be empty.") }
  }

  /// The objects in order, each file once whatever names it goes by.
  var paths: [String] {
    guard objects.count > 1 else { return objects }
    var seen: Set<FileIdentity> = []
    return objects.filter { path in
      guard let status = try? FilePath(path).stat() else { return true }
      return seen.insert(FileIdentity(device: UInt64(status.deviceID.rawValue), inode: UInt64(status.inode.rawValue)))
        .inserted
    }
  }

  private struct FileIdentity: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  /// Runs `work` for each object and returns its results in order.
  func forEach<Success: Sendable>(
    _ work: @escaping @Sendable (String) throws(Refusal) -> Success
  ) -> [(path: String, result: Result<Success, Refusal>)] {
    let threads = jobs ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let results = inParallel(paths, jobs: threads) { path in
      Result { () throws(Refusal) in try work(path) }
    }
    return Array(zip(paths, results))
  }
}
