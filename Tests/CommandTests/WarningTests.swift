import Foundation
import TestSupport
import Testing

/// Calls that stay behind: annotate does the rest of its work and says which call, why, and what to do.
@Suite struct WarningTests {
  struct Left: CustomStringConvertible, Sendable {
    var description: String
    var target: Target
    /// What the function `caller` does.
    var code: String
    /// The place and the code of each warning.
    var warnings: [(place: String, code: String)]

    init(_ description: String, _ target: Target, _ code: String, _ warnings: (String, String)...) {
      self.description = description
      self.target = target
      self.code = code
      self.warnings = warnings.map { (place: $0.0, code: $0.1) }
    }
  }

  static let left = [
    Left("a call through the table", .x86_64, "call *__SCT__a@GOTPCREL(%rip)", ("caller+0x0", "SC030")),
    Left("a tail call through the table", .x86_64, "jmp *__SCT__a@GOTPCREL(%rip)", ("caller+0x0", "SC030")),
    Left(
      "two calls through a register", .x86_64, "movabs $__SCT__a, %rbx\ncall *%rbx\ncall *%rbx",
      ("caller+0xa", "SC031"), ("caller+0xc", "SC031")),
    Left(
      "a call through a register", .aarch64, "adrp x8, :got:__SCT__a\nldr x8, [x8, :got_lo12:__SCT__a]\nblr x8",
      ("caller+0x8", "SC031")),
    Left(
      "a call through a thunk", .x86_64, "lea __SCT__a(%rip), %rax\ncall __x86_indirect_thunk_rax",
      ("caller+0x7", "SC032")),
    Left(
      "a call through a thunk", .aarch64,
      "adrp x8, __SCT__a\nadd x8, x8, :lo12:__SCT__a\nbl __llvm_slsblr_thunk_x8", ("caller+0x8", "SC032")),
    Left("a jump that is too short", .x86_64, "jrcxz __SCT__a", ("caller+0x0", "SC034")),
    Left("a conditional branch", .aarch64, "b.eq __SCT__a", ("caller+0x0", "SC034")),
    Left("the prefix 66", .x86_64, ".byte 0x66\ncall __SCT__a", ("caller+0x0", "SC036")),
    Left("a branch beside the trampoline", .x86_64, "call __SCT__a + 1", ("caller+0x0", "SC037")),
    Left("a branch beside the trampoline", .aarch64, "bl __SCT__a - 4", ("caller+0x0", "SC037")),
    Left(
      "several reasons", .x86_64, "call *__SCT__a@GOTPCREL(%rip)\njrcxz __SCT__a",
      ("caller+0x0", "SC030"), ("caller+0x6", "SC034")),
  ]

  @Test(arguments: left)
  func theRestIsWrittenAndTheCallIsNamed(_ left: Left) async throws {
    let scratch = try Scratch()
    try await scratch.make(
      """
      caller: \(left.code)
      .globl other
      other: CALL __SCT__b
      .data
      .p2align 3
      .quad __SCK__a, __SCK__b
      """, for: left.target)
    let run = try await staticcall(["annotate", "--no-rewrite", "a.o"], scratch)
    #expect(run.status == 0)
    #expect(run.output == "")
    let warnings = run.errors.split(separator: "\n").filter { !$0.hasPrefix("  ") }
    #expect(warnings.count == left.warnings.count, "\(run.errors)")
    for (line, expected) in zip(warnings, left.warnings) {
      #expect(line.hasPrefix("a.o: warning: \(expected.place): "), "\(line)")
      #expect(line.hasSuffix(" [\(expected.code)]"), "\(line)")
    }
    #expect(try ElfBytes(file: scratch.file("a.o")).siteTable().map(\.key) == ["__SCK__b"])
    let strict = try await staticcall(["verify", "--strict", "a.o"], scratch)
    #expect(strict.status == 1)
  }

  /// What to do is said once for each reason, below the first call.
  @Test func helpIsNotRepeated() async throws {
    let scratch = try Scratch()
    try await scratch.make("caller: " + String(repeating: "call *__SCT__a@GOTPCREL(%rip)\n", count: 3))
    let lines = try await staticcall(["annotate", "--no-rewrite", "a.o"], scratch).errors.split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("a.o: warning: ") } == 3)
    #expect(
      lines.filter { $0.hasPrefix("  ") } == [
        "  Leave out --no-rewrite, or compile without -fno-plt."
      ])
  }

  /// An address that is only stored or compared is no call: nothing to warn of.
  @Test func addressesAreNoWarnings() async throws {
    let scratch = try Scratch()
    try await scratch.make("cmp __SCT__a@GOTPCREL(%rip), %rdi\n.data\n.quad __SCT__a")
    let run = try await staticcall(["annotate", "--strict", "a.o"], scratch)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
  }

  /// A call without a label before it is named by its section.
  @Test func aPlaceOutsideFunctionsIsASectionsOffset() async throws {
    let scratch = try Scratch()
    try await scratch.make(".section .init.text,\"ax\"\nret\ncall *__SCT__a@GOTPCREL(%rip)")
    let run = try await staticcall(["annotate", "--no-rewrite", "a.o"], scratch)
    #expect(run.errors.hasPrefix("a.o: warning: .init.text+0x1: "), "\(run.errors)")
  }

  /// Runs the command on a terminal of its own.
  private func onTerminal(_ scratch: Scratch, _ environment: [String: String]) async throws -> Run {
    try await run(
      "python3",
      ["-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)", staticcallPath, "annotate", "gone.o"],
      in: scratch.path, environment: environment)
  }

  @Test(.enabled(if: tool("python3") != nil, "python3 is not installed"))
  func colourIsForTerminalsOnly() async throws {
    let scratch = try Scratch()
    let colored = try await onTerminal(scratch, ["NO_COLOR": ""])
    #expect(colored.status == 2)
    #expect(colored.output.contains("gone.o: \u{1b}[1;31merror\u{1b}[0m: cannot open the file"), "\(colored.output)")
    let plain = try await onTerminal(scratch, ["NO_COLOR": "1"])
    #expect(plain.output.contains("gone.o: error: cannot open the file"), "\(plain.output)")
    let piped = try await staticcall(["annotate", "gone.o"], scratch)
    #expect(!piped.errors.contains("\u{1b}"))
  }
}
