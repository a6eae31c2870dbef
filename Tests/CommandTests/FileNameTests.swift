import Foundation
import TestSupport
import Testing

/// Names of files are bytes: on the command line, in response files, in directories and in archives.
@Suite struct FileNameTests {
  /// Runs a line of shell in which `$0` is staticcall. Swift's strings cannot hold what `printf` makes there.
  private func shell(_ line: String, _ scratch: Scratch) async throws -> Run {
    try await run("sh", ["-c", line, staticcallPath], in: scratch.path)
  }

  /// Objects under names that are no UTF-8, and one whose name is what such a byte is carried as through the parser of arguments.
  private func names() async throws -> Scratch {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let made = try await shell(
      #"for n in 'f\377' 'f\377\376' '\364\217\277\277'; do cp a.o "$(printf "$n.o")"; done"#, scratch)
    try #require(made.status == 0)
    return scratch
  }

  @Test func argumentsAreBytes() async throws {
    let scratch = try await names()
    let list = try await shell(
      #""$0" list --summary "$(printf 'f\377.o')" "$(printf 'f\377\376.o')" "$(printf '\364\217\277\277.o')""#, scratch)
    #expect((list.status, list.errors) == (0, ""))
    let headings = list.output.split(separator: "\n").filter { $0.contains("call sites") }
    #expect(headings.map { $0.prefix { $0 != ":" } } == [#"f\xff.o"#, #"f\xff\xfe.o"#, "\u{10ffff}.o"])
  }

  @Test func outputsAndReplacedObjectsKeepTheirNames() async throws {
    let scratch = try await names()
    let run = try await shell(
      #""$0" annotate "$(printf 'f\377.o')" && "$0" annotate -o "$(printf '\376.o')" a.o && "$0" verify "$(printf '\376.o')" && ln -s "$(printf 'f\377\376.o')" l && "$0" annotate l && test -L l && "$0" verify "$(printf 'f\377\376.o')" && cmp "$(printf '\376.o')" "$(printf 'f\377.o')""#,
      scratch)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
    #expect(!scratch.contents.contains { $0.contains("staticcall") })
  }

  @Test func responseFilesHoldBytes() async throws {
    let scratch = try await names()
    let run = try await shell(#"printf 'f\\\377.o "f\377\376.o"' > args; "$0" list --summary @args"#, scratch)
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.split(separator: "\n").count { $0.contains("2 call sites") } == 2)
  }

  @Test func membersOfThinArchivesAreFound() async throws {
    let scratch = try await names()
    let run = try await shell(#"ar rcT lib.a "$(printf 'f\377.o')" && "$0" verify lib.a"#, scratch)
    #expect((run.status, run.errors) == (1, ""))
    #expect(run.output.hasPrefix("lib.a(f\u{fffd}.o): error: "), "\(run.output)")
  }

  /// In a message as well, and what is no name of a file must be UTF-8.
  @Test func otherArgumentsAreTexts() async throws {
    let scratch = try await names()
    let unknown = try await shell(#""$0" list "$(printf -- '--x\377')" a.o"#, scratch)
    #expect(unknown.status == 64)
    #expect(unknown.errors.hasPrefix(#"Error: Unknown option '--x\xff'"#), "\(unknown.errors)")
    for option in ["--section", "--trampoline-prefix", "-k"] {
      let run = try await shell(#""$0" list \#(option) "$(printf 's\377')" a.o"#, scratch)
      #expect(run.status == 64, "\(option)")
      #expect(run.errors.contains("must be UTF-8"), "\(run.errors)")
    }
    let gone = try await shell(#""$0" verify "$(printf 'gone\377')""#, scratch)
    #expect(gone.errors.hasPrefix(#"gone\xff: error: cannot open the file: No such file or directory [SC001]"#))
  }
}
