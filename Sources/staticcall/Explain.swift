import ArgumentParser
import Reports
import StaticCalls

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    _superCommandName: Staticcall.name,
    abstract: "Explain a code such as SC031: what it means at run time, and what to do about it.",
    discussion: "Without a code, lists all codes.")

  @Argument(help: ArgumentHelp("The code, as it stands in brackets at the end of a message.", valueName: "code"))
  var code: String?

  func run() throws {
    var console = Console()
    if let code {
      guard let known = Code(rawValue: code.uppercased()) else {
        throw ValidationError("There is no code \(code). `staticcall explain` lists all codes.")
      }
      console.report(known.page)
    } else {
      console.report(Code.index)
    }
    try console.end()
  }
}
