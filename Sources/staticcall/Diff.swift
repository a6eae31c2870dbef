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
  var old: String

  @Argument(help: ArgumentHelp("The object or program that is looked at.", valueName: "new"))
  var new: String

  @Option(help: "Format of the differences.")
  var format = Format.text

  @OptionGroup var calls: CallOptions

  func run() throws {
    let options = calls.readingOptions
    var console = Console()
    var comparison: Comparison?
    do throws(Pipeline.Refused) {
      comparison = try Pipeline.compare(old, new, options)
    } catch {
      console.complain(error.refusal, about: error.path)
    }
    if let comparison {
      switch format {
      case .text: console.report(comparison.text)
      case .json: console.report(try comparison.json(old: old, new: new))
      }
      if !comparison.differences.isEmpty { console.note(.findings) }
    }
    try console.end()
  }
}
