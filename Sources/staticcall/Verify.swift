import ArgumentParser
import ObjectFile
import Reports
import StaticCalls

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    _superCommandName: Staticcall.name,
    abstract: "Check tables against the code: objects, archives, linked programs, whole directories.",
    discussion: """
      Checks both directions: each entry is a call site that a runtime may patch, with the right key and flag, and each call site \
      has exactly one entry. In a linked program the addresses are checked as they are there, and a table that the linker dropped \
      is found. A directory is searched; what is no ELF file or archive there is skipped. Nothing is changed.

      Silent, with exit code 0, when all is well; exit code 1 when something is found; 2 when something cannot be checked.
      """)

  enum Format: String, Choice {
    case text
    case json
    case sarif
    case junit
    case github
  }

  @OptionGroup var arguments: FileArguments

  @OptionGroup var parallel: Jobs

  @Option(help: "Format of the report: for people, or for a CI system.")
  var format = Format.text

  @Flag(help: "Fail as well when a call stays indirect or cannot be in the table.")
  var strict = false

  @Flag(name: .shortAndLong, help: "Print a summary also when all is well.")
  var verbose = false

  @Flag(name: .shortAndLong, help: "Do not print warnings, but those that --strict fails for.")
  var quiet = false

  @OptionGroup var calls: CallOptions

  func validate() throws {
    if verbose, quiet { throw ValidationError("--verbose and --quiet exclude each other.") }
    if quiet, format != .text { throw ValidationError("--quiet is for text: other formats say everything.") }
  }

  func run() throws {
    let options = calls.readingOptions
    var console = Console()
    var report = VerificationReport(isStrict: strict)
    let (inputs, unreadable) = arguments.inputs()
    for directory in unreadable { report.add(directory.path, .failure(directory.refusal)) }
    // Thin archives name objects that may be in the same directories.
    let files = Set(inputs.compactMap { FileIdentity(of: $0.path) })
    let progress = Progress(of: inputs.count, "files")
    let results = attempt(inputs, jobs: parallel.jobs) { input throws(Refusal) in
      defer { progress.advance() }
      return input.isNamed
        ? try Pipeline.verify(input.path, besides: files, options)
        : try Pipeline.verifyIfHandled(input.path, besides: files, options)
    }
    progress.end()
    for (input, result) in results { report.add(input.path, result) }
    // A mistyped path must not pass for a clean build.
    if report.isEmpty, let directory = arguments.files.first?.path { report.add(directory, .failure(nothingFound)) }
    try print(report, &console)
    console.note(Outcome(rawValue: Int32(report.exitCode)) ?? .failure)
    try console.end()
  }

  private var nothingFound: Refusal {
    Refusal([
      Diagnostic(
        .cannotRead, .error, "nothing to verify: there is no object, archive or linked program in it",
        help: ["Check the path, and whether the build ran before."])
    ])
  }

  private func print(_ report: VerificationReport, _ console: inout Console) throws {
    switch format {
    case .text: console.report(report.text(alwaysWithSummary: verbose, isQuiet: quiet))
    case .json: console.report(try report.json())
    case .sarif: console.report(try report.sarif(version: Staticcall.version))
    case .junit: console.report(report.junit())
    case .github: console.report(report.github())
    }
    // What could not be checked is said aloud in every format.
    for (name, diagnostic) in report.complaints { console.complain(diagnostic, about: name) }
  }
}
