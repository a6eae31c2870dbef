import StaticCalls
import TestSupport
import Testing

/// Wrong usage, help, and the catalogue of codes.
@Suite struct UsageTests {
  struct Misuse: CustomStringConvertible, Sendable {
    var arguments: [String]
    var message: String

    init(_ arguments: String..., message: String) {
      self.arguments = arguments
      self.message = message
    }

    var description: String { arguments.joined(separator: " ") }
  }

  @Test(arguments: [
    Misuse("annotate", message: "Error: Missing expected argument '<object> ...'"),
    Misuse("list", message: "Error: Missing expected argument '<object> ...'"),
    Misuse("verify", message: "Error: Missing expected argument '<file> ...'"),
    Misuse("verify", "--format", "yaml", "a.o", message: "Error: The value 'yaml' is invalid for '--format <format>'"),
    Misuse("diff", "a.o", message: "Error: Missing expected argument '<new>'"),
    Misuse(
      "list", "--summary", "--disassemble", "a.o", message: "Error: --summary and --disassemble exclude each other."),
    Misuse("diff", "a.o", "-", message: "Error: An object cannot be read from standard input: name a file."),
    Misuse(
      "polish", "a.o",
      message: "Error: There is no command polish; there are annotate, list, verify, diff, explain."),
    Misuse("a.o", message: "Error: There is no command a.o; there are annotate, list, verify, diff, explain."),
    Misuse("annotate", "--wrong", "a.o", message: "Error: Unknown option '--wrong'"),
    Misuse("annotate", "-x", "a.o", message: "Error: Unknown option '-x'"),
    Misuse("annotate", "-", message: "Error: An object cannot be read from standard input: name a file."),
    Misuse("list", "a.o", "-", message: "Error: An object cannot be read from standard input: name a file."),
    Misuse("verify", "-", message: "Error: An object cannot be read from standard input: name a file."),
    Misuse("annotate", "", message: "Error: The name of an object must not be empty."),
    Misuse("annotate", "-o", "b.o", "a.o", "c.o", message: "Error: -o takes one object, not several."),
    Misuse(
      "annotate", "-o", "-", "a.o", message: "Error: An object cannot be written to standard output: name a file."),
    Misuse("annotate", "-o", "", "a.o", message: "Error: The name of the output must not be empty."),
    Misuse("annotate", "a.o", "-o", message: "Error: Missing value for '-o'"),
    Misuse(
      "annotate", "--module", "--add-missing-keys", "a.o",
      message: "Error: --module and --add-missing-keys exclude each other."),
    Misuse("annotate", "-v", "-q", "a.o", message: "Error: --verbose and --quiet exclude each other."),
    Misuse("annotate", "-j", "0", "a.o", message: "Error: The number of jobs must be 1 or more."),
    Misuse("annotate", "-j", "-1", "a.o", message: "Error: "),
    Misuse("annotate", "-j", "many", "a.o", message: "Error: The value 'many' is invalid for '-j <n>'"),
    Misuse("annotate", "--abi", "other", "a.o", message: "Error: The value 'other' is invalid for '--abi <abi>'"),
    Misuse("annotate", "--key-prefix", "", "a.o", message: "Error: A prefix must not be empty."),
    Misuse(
      "list", "--key-prefix", "p", "--trampoline-prefix", "p", "a.o",
      message: "Error: Trampolines and keys must have different prefixes."),
    Misuse("verify", "-v", "-q", "a.o", message: "Error: --verbose and --quiet exclude each other."),
    Misuse(
      "verify", "-q", "--format", "json", "a.o",
      message: "Error: --quiet is for text: other formats say everything."),
    Misuse("verify", "--section", "", "a.o", message: "Error: The name of the table's section must not be empty."),
    Misuse("list", "--format", "xml", "a.o", message: "Error: The value 'xml' is invalid for '--format <format>'"),
    Misuse("list", "--strict", "a.o", message: "Error: Unknown option '--strict'"),
    Misuse("verify", "-o", "b.o", "a.o", message: "Error: "),
    Misuse("explain", "SC999", message: "Error: There is no code SC999."),
    Misuse("explain", "31", message: "Error: There is no code 31."),
    Misuse("explain", "SC031", "SC032", message: "Error: Unexpected argument 'SC032'"),
  ])
  func wrongUsageEndsWithCode64(_ misuse: Misuse) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    let run = try await run(staticcallPath, misuse.arguments, in: scratch.path)
    #expect(run.status == 64)
    #expect(run.output == "")
    #expect(run.errors.hasPrefix(misuse.message), "\(run.errors)")
    #expect(run.errors.contains("\nUsage: staticcall"), "\(run.errors)")
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(scratch.contents == names)
  }

  @Test(arguments: [["--version"], ["annotate", "--version"], ["explain", "--version"]])
  func theVersionIsALine(_ arguments: [String]) async throws {
    let run = try await run(staticcallPath, arguments)
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(try /staticcall \d+\.\d+\.\d+\n/.wholeMatch(in: run.output) != nil, "\(run.output)")
  }

  @Test(arguments: ["annotate", "list", "verify", "explain"])
  func everyCommandHasHelp(_ command: String) async throws {
    let overview = try await staticcall("--help")
    #expect(overview.status == 0)
    #expect(overview.output.contains("\n  \(command) "), "\(overview.output)")
    for arguments in [[command, "--help"], [command, "-h"], ["help", command]] {
      let help = try await run(staticcallPath, arguments)
      #expect(help.status == 0)
      #expect(help.errors == "")
      #expect(help.output.hasPrefix("OVERVIEW: "))
      #expect(help.output.contains("USAGE: staticcall \(command) "), "\(help.output)")
    }
  }

  @Test func helpNamesTheExitCodes() async throws {
    let help = try await staticcall("--help").output.split { $0.isWhitespace }.joined(separator: " ")
    #expect(help.contains("Exit codes: 0 done, nothing found; 1 findings; 2 it could not be done; 64 wrong usage."))
  }

  @Test(arguments: Code.allCases)
  func explainPrintsThePageOfEveryCode(_ code: Code) async throws {
    let run = try await staticcall("explain", code.rawValue)
    #expect(run.status == 0)
    #expect(run.errors == "")
    #expect(run.output.hasPrefix("\(code.rawValue)  \(code.title)\n\n\(code.explanation)\n"))
    for line in code.help { #expect(run.output.contains("\n  \(line)\n"), "\(line)") }
    #expect(run.output.contains("\nA static call is a call of a trampoline (__SCT__name)"))
  }

  @Test func explainTakesLowerCaseAndListsAllCodes() async throws {
    #expect(try await staticcall("explain", "sc001").output.hasPrefix("SC001  the file cannot be read\n"))
    let index = try await staticcall("explain")
    #expect(index.status == 0)
    #expect(index.output == Code.allCases.map { "\($0.rawValue)  \($0.title)\n" }.joined())
  }

  /// A pipe to a pager or to `head` is all the same; a disk that is full is an error.
  @Test(arguments: [
    "--help", "--version", "explain", "explain SC001", "annotate --help", "annotate -v a.o", "annotate -n a.o",
    "list a.o", "list --format json a.o", "verify -v a.o",
  ])
  func standardOutputThatCannotBeWrittenIsAFailure(_ arguments: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let run = try await run("sh", ["-c", "exec '\(staticcallPath)' \(arguments) > /dev/full"], in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors.hasSuffix("staticcall: error: cannot write to standard output: No space left on device\n"))
  }
}
