import ArgumentParser
import Reports
import StaticCalls

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check the table of an object against its code.",
    discussion: """
      Checks both directions: each entry is a call site that a runtime may patch, with the right key and flag, and each call site \
      has exactly one entry. Nothing is changed. Silent, with exit code 0, when all is well; exit code 1 when something is found.
      """)

  @OptionGroup var arguments: ObjectArguments

  @Flag(help: "Fail as well when a call stays indirect or cannot be in the table.")
  var strict = false

  @Flag(name: .shortAndLong, help: "Print a summary also when all is well.")
  var verbose = false

  @OptionGroup var rewriting: RewritingOptions

  @OptionGroup var naming: NamingOptions

  func run() throws {
    let options = rewriting.apply(to: naming.options)
    var console = Console()
    var (objects, unchecked, entries, errors, warnings, faulty) = (0, 0, 0, 0, 0, 0)
    for (path, result) in arguments.forEach({ path throws(Refusal) in try Pipeline.verify(path, options) }) {
      switch result {
      case .success(let verification):
        for diagnostic in verification.diagnostics { console.report(diagnostic.text(for: path)) }
        let found = verification.diagnostics.count { $0.severity == .error }
        objects += 1
        entries += verification.entries
        errors += found
        warnings += verification.diagnostics.count - found
        faulty += verification.diagnostics.isEmpty ? 0 : 1
      case .failure(let refusal):
        unchecked += 1
        console.complain(refusal, about: path)
      }
    }
    if errors > 0 || strict && warnings > 0 { console.note(.findings) }
    if errors + warnings > 0 || verbose {
      var found =
        errors + warnings > 0
        ? "\(count(errors, "error")) and \(count(warnings, "warning")) in \(count(faulty, "object"))"
        : unchecked == 0 ? "all is well" : "nothing found"
      if unchecked > 0 { found += "; \(count(unchecked, "object")) could not be checked" }
      console.report(
        "\(count(objects, "object")), \(count(entries, "table entry", plural: "table entries")): \(found)\n")
    }
    try console.end()
  }
}
