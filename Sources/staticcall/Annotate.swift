import ArgumentParser
import Reports
import StaticCalls

struct Annotate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "annotate",
    abstract: "Write the table of an object's static calls.",
    discussion: """
      Finds every call and tail call to a trampoline (__SCT__name) and writes the section .static_call_sites, in place or to another file. A \
      call through the global offset table, a register or a thunk becomes a direct call where that is proved to be the same, in \
      its place and with the same return address; nothing else in the object changes. An object whose table is complete and \
      right is not touched; one with a part of it gets the rest. Calls that cannot be in the table are reported as warnings.

      The object is replaced in one step: it is the old one or the complete new one. On an error (exit code 2) it is as it was.
      """)

  enum ABI: String, ExpressibleByArgument, CaseIterable {
    case linux
  }

  @OptionGroup var arguments: ObjectArguments

  @Option(name: .shortAndLong, help: ArgumentHelp("Write the annotated object here instead.", valueName: "file"))
  var output: String?

  @Option(help: "Layout of the table: that of the Linux kernel.")
  var abi = ABI.linux

  @Flag(help: "The object is (part of) a kernel module: a call without a key names its trampoline instead.")
  var module = false

  @Flag(help: "Add a missing key as an undefined symbol, for the linker to find.")
  var addMissingKeys = false

  @Flag(help: "Replace an existing table, whatever it holds.")
  var rebuild = false

  @Flag(help: "Write nothing, and fail (exit code 1), when a call cannot be in the table.")
  var strict = false

  @Flag(name: [.customShort("n"), .long], help: "Write nothing; print what would be written.")
  var dryRun = false

  @Flag(name: .shortAndLong, help: "Say what became of each object.")
  var verbose = false

  @Flag(name: .shortAndLong, help: "Do not print warnings.")
  var quiet = false

  @OptionGroup var rewriting: RewritingOptions

  @OptionGroup var naming: NamingOptions

  func validate() throws {
    if output != nil, arguments.paths.count > 1 { throw ValidationError("-o takes one object, not several.") }
    if output == "-" { throw ValidationError("An object cannot be written to standard output: name a file.") }
    if output == "" { throw ValidationError("The name of the output must not be empty.") }
    if module, addMissingKeys { throw ValidationError("--module and --add-missing-keys exclude each other.") }
    if verbose, quiet { throw ValidationError("--verbose and --quiet exclude each other.") }
  }

  func run() throws {
    var options = rewriting.apply(to: naming.options)
    options.isModule = module
    options.addMissingKeys = addMissingKeys
    options.rebuildsTable = rebuild
    options.isStrict = strict
    let (output, dryRun, request) = (output, dryRun, options)
    let results = arguments.forEach { path throws(Refusal) in
      try Pipeline.annotate(path, output: output, isDryRun: dryRun, request)
    }
    var console = Console()
    for (path, result) in results {
      switch result {
      case .success(let annotation): report(annotation, path, &console)
      case .failure(let refusal): console.complain(refusal, about: path)
      }
    }
    try console.end()
  }

  private func report(_ annotation: Annotation, _ path: String, _ console: inout Console) {
    let isHeldBack = annotation.change == .heldBack
    // Never a failure without a word.
    if !quiet || isHeldBack {
      for warning in annotation.left { console.complain(warning, about: path) }
    }
    if verbose || dryRun { console.report(annotation.text(for: path)) }
    if isHeldBack {
      // The warnings alone would not say why the run failed.
      if !verbose, !dryRun { console.complain(annotation.text(for: path)) }
      console.note(.findings)
    }
  }
}
