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

  private var known: Code? { code.flatMap { Code(rawValue: $0.uppercased()) } }

  func validate() throws {
    if let code, known == nil {
      throw ValidationError("There is no code \(code). `staticcall explain` lists all codes.")
    }
  }

  func run() throws {
    var console = Console()
    console.report(known?.page ?? Code.index)
    try console.end()
  }
}
