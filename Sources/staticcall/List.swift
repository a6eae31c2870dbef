import ArgumentParser
import Reports
import StaticCalls

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List every use of a trampoline in an object.",
    discussion: """
      One line for each call site and each other use: where it is, in which function, whether it is a call or a tail call, what \
      it goes through, the name of the static call, and whether it is in the table or can be made direct. Nothing is changed.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
  }

  @OptionGroup var arguments: ObjectArguments

  @Option(help: "Format of the list.")
  var format = Format.text

  @Option(
    name: [.customShort("k"), .long],
    help: ArgumentHelp(
      "Only the uses of this static call, named without its prefix; may be repeated.", valueName: "name"))
  var key: [String] = []

  @Flag(help: "Only say how many uses there are, by key and by shape.")
  var summary = false

  @Flag(inversion: .prefixedNo, help: "Write the names of C++, Swift and Rust functions as their languages do.")
  var demangle = true

  @Flag(help: "Show each change that annotate would make to the code, as disassembly before and after.")
  var disassemble = false

  @OptionGroup var rewriting: RewritingOptions

  @OptionGroup var naming: NamingOptions

  func validate() throws {
    if summary, disassemble { throw ValidationError("--summary and --disassemble exclude each other.") }
    if summary, format == .json { throw ValidationError("--summary is a text; JSON holds every use.") }
  }

  func run() throws {
    let (options, disassemble) = (rewriting.apply(to: naming.readingOptions), disassemble)
    var console = Console()
    var listings: [(path: String, listing: Listing)] = []
    for (path, result) in arguments.forEach({ path throws(Refusal) in
      try Pipeline.list(path, disassembles: disassemble, options)
    }) {
      switch result {
      case .success(let listing): listings.append((path, key.isEmpty ? listing : listing.filtered(toKeys: key)))
      case .failure(let refusal): console.complain(refusal, about: path)
      }
    }
    switch format {
    case .text:
      for (path, listing) in listings {
        console.report(
          listing.sites.isEmpty && !key.isEmpty
            ? "\(path): no use of \(key.joined(separator: " or "))\n"
            : listing.text(for: path, isSummary: summary, demangles: demangle))
      }
    case .json: console.report(try ListingDocument(listings).text())
    }
    try console.end()
  }
}
