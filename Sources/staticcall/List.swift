import ArgumentParser
import Reports
import StaticCalls
import SystemPackage

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    _superCommandName: Staticcall.name,
    abstract: "List every use of a trampoline in objects, archives and linked programs.",
    discussion: """
      One line for each call site and each other use: where it is, in which function, whether it is a call or a tail call, what \
      it goes through, the name of the static call, and whether it is in the table or can be made direct. In an archive, each object \
      is listed; in a linked program, each call site with its address. Nothing is changed.
      """)

  enum Format: String, Choice {
    case text
    case json
  }

  @Argument(help: ArgumentHelp("Objects, archives and linked programs.", valueName: "object"))
  var objects: [FileArgument]

  @OptionGroup var parallel: Jobs

  @Option(help: "Format of the list.")
  var format = Format.text

  @Option(
    name: [.customShort("k", allowingJoined: true), .long],
    help: ArgumentHelp(
      "Only the uses of this static call, named without its prefix; may be repeated.", valueName: "name"))
  var key: [String] = []

  @Flag(help: "Only say what becomes of the references in code, and how many uses there are by key and by shape.")
  var summary = false

  @Flag(inversion: .prefixedNo, help: "Write the names of C++, Swift and Rust functions as their languages do.")
  var demangle = true

  @Flag(help: "Show each change that annotate would make to the code, as disassembly before and after.")
  var disassemble = false

  @OptionGroup var calls: CallOptions

  func validate() throws {
    try checkNames(objects.map(\.path))
    if summary, disassemble { throw ValidationError("--summary and --disassemble exclude each other.") }
    guard key.allSatisfy(isUTF8) else { throw ValidationError("The names of static calls must be UTF-8.") }
  }

  func run() throws {
    let (options, disassemble) = (calls.readingOptions, disassemble)
    // With several families, static calls are called as their trampolines.
    let prefixes = calls.trampolinePrefix.count > 1 ? calls.trampolinePrefix : []
    let wanted = key + key.flatMap { name in prefixes.map { $0 + name } }
    var console = Console()
    var document = ListingDocument()
    func add(_ path: FilePath, _ listed: Pipeline.Listed) {
      let name = displayName(of: path, listed.member)
      switch listed.result {
      case .success(var listing):
        if !key.isEmpty { listing = listing.filtered(toKeys: wanted) }
        switch format {
        case .text:
          console.report(
            listing.sites.isEmpty && !key.isEmpty
              ? "\(name): no use of \(key.joined(separator: " or "))\n"
              : listing.text(for: name, isSummary: summary, demangles: demangle))
        case .json: document.add(path, listed.member, listing, isSummary: summary)
        }
      case .failure(let refusal):
        console.complain(refusal, about: name)
        document.add(path, listed.member, refusal)
      }
    }
    let results = attempt(withoutRepetition(objects.map(\.path)), jobs: parallel.jobs) { path throws(Refusal) in
      try Pipeline.listAll(path, disassembles: disassemble, options)
    }
    for (path, result) in results {
      switch result {
      case .success(let listings):
        if listings.isEmpty, format == .text {
          console.report(printable("\(path.text): an archive without objects") + "\n")
        }
        for listed in listings { add(path, listed) }
      case .failure(let refusal): add(path, Pipeline.Listed(result: .failure(refusal)))
      }
    }
    if format == .json { console.report(try document.text()) }
    try console.end()
  }
}
