import ArgumentParser
import Reports
import StaticCalls
import SystemPackage

struct Annotate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "annotate",
    _superCommandName: Staticcall.name,
    abstract: "Write the table of an object's static calls; in an archive, that of each object.",
    discussion: """
      Finds every call and tail call to a trampoline (__SCT__name) and writes the section .static_call_sites, in place or to another file. A \
      call through the global offset table, a register or a thunk becomes a direct call where that is proved to be the same, in \
      its place and with the same return address; nothing else in the object changes. An object whose table is complete and \
      right is not touched; one with a part of it gets the rest. Calls that cannot be in the table are reported as warnings.

      The object is replaced in one step: it is the old one or the complete new one. On an error (exit code 2) it is as it was. So it \
      is with an archive: all its members are handled, or none. The members of a thin archive are annotated where they are.
      """)

  @OptionGroup var plain: PlainAnnotate

  @OptionGroup var parallel: Jobs

  @Flag(help: "Wait until each object is on disk.")
  var fsync = false

  @Flag(help: "Add a missing key as an undefined symbol, for the linker to find.")
  var addMissingKeys = false

  @Flag(help: "Replace an existing table, whatever it holds, and one of the other layout.")
  var rebuild = false

  @Flag(help: "Write nothing, and fail (exit code 1), when a call cannot be in the table.")
  var strict = false

  @Flag(name: [.customShort("n"), .long], help: "Write nothing; print what would be written.")
  var dryRun = false

  @OptionGroup var calls: CallOptions

  func validate() throws {
    if plain.module, addMissingKeys { throw ValidationError("--module and --add-missing-keys exclude each other.") }
  }

  func run() throws {
    var options = calls.options
    options.addMissingKeys = addMissingKeys
    options.rebuildsTable = rebuild
    options.isStrict = strict
    options.waitsForDisk = fsync
    try plain.annotate(options, isDryRun: dryRun, jobs: parallel.jobs)
  }
}

/// `annotate` with the options that most runs make do with.
///
/// ArgumentParser takes a command apart by reflection in each run, and every option costs as much as a good part of reading a small object.
/// So a call of `annotate` is read as this first, and where that fails as ``Annotate``, of which this is a part.
struct PlainAnnotate: ParsableCommand {
  /// Without names for help, of which ArgumentParser makes one by reflection as well: who asks for help is answered by ``Annotate``.
  static let configuration = CommandConfiguration(
    commandName: Annotate.configuration.commandName, _superCommandName: Staticcall.name, helpNames: [])

  enum ABI: String, Choice {
    case linux
    case user

    var layout: TableLayout {
      switch self {
      case .linux: .kernel
      case .user: .user
      }
    }
  }

  @Argument(help: ArgumentHelp("Objects (relocatable ELF files), and archives of them.", valueName: "object"))
  var objects: [FileArgument]

  @Option(
    name: [.customShort("o", allowingJoined: true), .long],
    help: ArgumentHelp("Write the annotated object here instead.", valueName: "file"))
  var output: FileArgument?

  @Flag(
    help: ArgumentHelp(
      "Write into the object's own file where that is as safe, which is faster and needs no writable directory.",
      discussion:
        "Where more changes than the end of the file and its header, and where the file has several names or may not be written, it is replaced as always."
    ))
  var inPlace = false

  @Option(
    help: ArgumentHelp(
      "Layout of the table: the Linux kernel's, or that of user space. By default user for an object that uses static_call.h, else linux.",
      discussion:
        "user: \(Options.userTable), a part for each section with calls, which linkers keep or drop along with it. Missing keys are added."
    ))
  var abi: ABI?

  @Flag(help: "The object is (part of) a kernel module: a call without a key names its trampoline instead.")
  var module = false

  @Flag(name: .shortAndLong, help: "Say what became of each object.")
  var verbose = false

  @Flag(name: .shortAndLong, help: "Do not print warnings.")
  var quiet = false

  func validate() throws {
    try checkNames(objects.map(\.path))
    if output != nil, paths.count > 1 { throw ValidationError("-o takes one object, not several.") }
    if output?.path == "-" { throw ValidationError("An object cannot be written to standard output: name a file.") }
    if output?.path.isEmpty == true { throw ValidationError("The name of the output must not be empty.") }
    if output != nil, inPlace { throw ValidationError("-o and --in-place exclude each other.") }
    if module, abi == .user { throw ValidationError("--module is for the kernel, and --abi user is not.") }
    if verbose, quiet { throw ValidationError("--verbose and --quiet exclude each other.") }
  }

  private var paths: [FilePath] { withoutRepetition(objects.map(\.path)) }

  func run() throws { try annotate(Options(), isDryRun: false, jobs: nil) }

  /// Annotates the objects with `options` and what this command itself was told.
  func annotate(_ options: Options, isDryRun: Bool, jobs: Int?) throws {
    var options = options
    options.layout = abi?.layout
    options.isModule = module
    options.writesInPlace = inPlace
    let (output, request) = (output?.path, options)
    let results = attempt(paths, jobs: jobs) { path throws(Refusal) in
      try Pipeline.annotate(path, output: output, isDryRun: isDryRun, request)
    }
    var console = Console()
    for (path, result) in results {
      switch result {
      case .success(let outcomes): report(outcomes, path, &console, isDryRun)
      case .failure(let refusal): console.complain(refusal, about: path.text)
      }
    }
    if verbose, results.allSatisfy({ $0.result.foundNothing }),
      results.count > 1 || results.first?.result.isEmpty == true
    {
      // Said for each file as well; for all of them it is most often a mistake.
      console.report(
        "No static calls in any of them: no symbol begins with \(request.trampolinePrefixes) (--trampoline-prefix).\n")
    }
    try console.end()
  }

  private func report(
    _ outcomes: [Pipeline.Annotated], _ path: FilePath, _ console: inout Console, _ isDryRun: Bool
  ) {
    let isTalkative = verbose || isDryRun
    var isSilent = true
    var limit = WarningLimit()
    for outcome in outcomes {
      let name = displayName(of: path, outcome.member)
      switch outcome.result {
      case .success(let annotation):
        // Most members of most archives have no static calls.
        if outcome.member != nil, annotation.change == .noStaticCalls, annotation.left.isEmpty { continue }
        report(annotation, name, &console, isTalkative, &limit)
      case .failure(let refusal): console.complain(refusal, about: name)
      }
      isSilent = false
    }
    if outcomes.isEmpty, !quiet, let members = Pipeline.membersWithoutObject(inArchiveAt: path) {
      let which = members == 1 ? "its member is no object" : "none of its \(members) members is an object"
      console.complain(printable("\(path.text): note: \(which)") + "\n")
    }
    for warning in limit.rest { console.complain(warning, about: path.text) }
    if isSilent, isTalkative { console.report("\(path.text): no static calls\n") }
  }

  private func report(
    _ annotation: Annotation, _ name: String, _ console: inout Console, _ isTalkative: Bool, _ limit: inout WarningLimit
  ) {
    let isHeldBack = annotation.change == .heldBack
    // Never a failure without a word.
    if !quiet || isHeldBack {
      for warning in annotation.left where limit.admits(warning) { console.complain(warning, about: name) }
    }
    if isTalkative { console.report(annotation.text(for: name)) }
    if isHeldBack {
      // The warnings alone would not say why the run failed.
      if !isTalkative { console.complain(annotation.text(for: name)) }
      console.note(.findings)
    }
  }
}

extension PlainAnnotate: CustomReflectable {
  /// The properties as ArgumentParser looks for them. The mirror that Swift makes by itself is the same, and takes a fifth of a run that
  /// finds no static calls: the runtime looks up the protocols of each type that it is made of. Without one of them no command line can be
  /// read.
  var customMirror: Mirror {
    let children: [Mirror.Child] = [
      ("_objects", _objects), ("_output", _output), ("_inPlace", _inPlace), ("_abi", _abi), ("_module", _module),
      ("_verbose", _verbose), ("_quiet", _quiet),
    ]
    return Mirror(self, children: children)
  }
}

extension Result<[Pipeline.Annotated], Refusal> {
  /// Whether there are no static calls.
  fileprivate var foundNothing: Bool {
    guard case .success(let outcomes) = self else { return false }
    return outcomes.allSatisfy { outcome in
      if case .success(let annotation) = outcome.result { annotation.change == .noStaticCalls } else { false }
    }
  }

  /// Whether it is an archive in which no object was looked at.
  fileprivate var isEmpty: Bool { if case .success(let outcomes) = self { outcomes.isEmpty } else { false } }
}
