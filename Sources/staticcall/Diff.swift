import ArgumentParser
import Reports
import StaticCalls

struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    _superCommandName: Staticcall.name,
    abstract: "Compare the call sites of two objects or linked programs.",
    discussion: """
      One line for each site that is new (+), gone (-), or calls in another way than before (~). Sites are matched within their \
      functions; that code moved is no difference. Silent, with exit code 0, where there is none; else exit code 1.
      """)

  enum Format: String, Choice {
    case text
    case json
  }

  @Argument(help: ArgumentHelp("The object or program to compare with.", valueName: "old"))
  var old: FileArgument

  @Argument(help: ArgumentHelp("The object or program that is looked at.", valueName: "new"))
  var new: FileArgument

  @Option(help: "Format of the differences.")
  var format = Format.text

  @OptionGroup var calls: CallOptions

  func validate() throws { try checkNames([old.path, new.path]) }

  func run() throws {
    let options = calls.readingOptions
    var console = Console()
    let result = Pipeline.compare(old.path, new.path, options)
    if format == .json { console.report(try comparisonJSON(old: old.path, new: new.path, result)) }
    switch result {
    case .success(let comparison):
      if format == .text { console.report(comparison.text) }
      if !comparison.differences.isEmpty { console.note(.findings) }
    case .failure(let refused):
      for file in refused.files { console.complain(file.refusal, about: file.path.text) }
    }
    try console.end()
  }
}
