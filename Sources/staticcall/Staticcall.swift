import ArgumentParser
import Glibc
import ObjectFile

@main
struct Staticcall: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: name,
    abstract: "Find the static calls of an object and write the table that a runtime patcher needs.",
    discussion: """
      A static call is a call whose target can change at run time and which still costs a direct call: code calls a trampoline \
      (__SCT__name), and a patcher aims every call site at the current target. staticcall runs after the compiler, finds the \
      call sites in an x86-64 or AArch64 object, and writes them into the section .static_call_sites.

        cc -c net.c                  compile as always
        staticcall annotate net.o    write the table
        staticcall list net.o        see every call site, and why one is not in the table
        staticcall verify net.o      check the table, in CI
        staticcall explain SC102     what the code of a message means

      An argument @FILE stands for the arguments in FILE, separated by white space.

      Exit codes: 0 done, nothing found; 1 findings; 2 it could not be done; 64 wrong usage.
      """,
    version: "staticcall \(version)",
    subcommands: [Annotate.self, List.self, Verify.self, Diff.self, Explain.self])

  /// The subcommands are told it as well: a command that belongs to another one is not asked for completion scripts, which would take
  /// two more passes over the arguments.
  static let name = "staticcall"

  static let version = "0.1.0"

  /// ArgumentParser would call both the name and all that follows it unexpected.
  private static func checkCommand(_ name: String?) throws {
    let commands = configuration.subcommands.compactMap { $0.configuration.commandName }
    guard let name, !name.hasPrefix("-"), name != "help", !commands.contains(name) else { return }
    throw ValidationError("There is no command \(name); there are \(commands.joined(separator: ", ")).")
  }

  /// ArgumentParser's own `main` prints in a way that takes a full disk for a success.
  static func main() {
    Signals.handle()
    do {
      let arguments = try expandResponseFiles(in: Array(commandLineArguments().dropFirst())).map(carried)
      var command = try parse(arguments)
      try command.run()
    } catch {
      // A file that cannot be read is a failure, not wrong usage.
      let status = error is ResponseFileError ? ExitCode(Outcome.failure.rawValue) : exitCode(for: error)
      let message = readable(fullMessage(for: error))
      var console = Console()
      if !message.isEmpty {
        if status == .success { console.report(message + "\n") } else { console.complain(message + "\n") }
      }
      Glibc.exit(console.finish(status.rawValue))
    }
  }

  private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
    if let plain = parse(arguments, as: PlainAnnotate.self) { return plain }
    try checkCommand(arguments.first)
    return try parseSubcommand(arguments) ?? parseAsRoot(arguments)
  }

  /// The command that the first argument names, read on its own: the way through the whole tree takes three times as long, and most
  /// runs are a command and the name of an object. `nil` for all else, errors and calls for help included: these are the
  /// tree's to tell.
  private static func parseSubcommand(_ arguments: [String]) -> (any ParsableCommand)? {
    for command in configuration.subcommands {
      if let parsed = parse(arguments, as: command) { return parsed }
    }
    return nil
  }

  private static func parse(_ arguments: [String], as command: any ParsableCommand.Type) -> (any ParsableCommand)? {
    guard command.configuration.commandName == arguments.first,
      let parsed = try? command.parseAsRoot(Array(arguments.dropFirst()))
    else { return nil }
    // What is no such command is a call for help.
    return type(of: parsed) == command ? parsed : nil
  }
}
