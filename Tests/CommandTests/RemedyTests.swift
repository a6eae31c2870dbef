import TestSupport
import Testing

/// What a message says is to be done: right for the object that it is about.
@Suite struct RemedyTests {
  /// A call that stays indirect: of two functions, on one path.
  private static let stays = """
    .globl caller
    .type caller, %function
    caller: mov __SCT__a@GOTPCREL(%rip), %rax
    test %edi, %edi
    je 1f
    mov other@GOTPCREL(%rip), %rax
    1: call *%rax
    ret
    .size caller, . - caller
    .data
    .p2align 3
    .quad __SCK__a
    """

  private static let plain = "Call __SCT__name(...) in each branch of the code"

  @Test(arguments: [
    ("GCC: (Debian 12.2.0-14) 12.2.0", ", and compile without -fno-plt and -mcmodel=large."),
    ("clang version 21.0.0", ", and compile without -fno-plt and -mcmodel=large."),
    (
      "rustc version 1.79.0 (129f3b996 2024-06-10)",
      ", and compile with -Crelocation-model=static or -Zplt=yes, without -Ccode-model=large."
    ),
    (
      "clang LLVM (rustc version 1.70.0)",
      ", and compile with -Crelocation-model=static or -Zplt=yes, without -Ccode-model=large."
    ),
    ("ldc version 1.30.0", ", and compile without -fno-plt and --code-model=large."),
    ("GHC 9.0.2", "."),
    ("", ", and compile without -fno-plt and -mcmodel=large."),
    ("Linker: LLD 19", ", and compile without -fno-plt and -mcmodel=large."),
  ])
  func optionsAreThoseOfTheCompiler(_ comment: String, _ advice: String) async throws {
    let scratch = try Scratch()
    let ident = comment.isEmpty ? "" : "\n.section .comment,\"MS\",@progbits,1\n.asciz \"\(comment)\"\n"
    try await scratch.make(Self.stays + ident)
    let run = try await staticcall("annotate", "a.o", in: scratch.path)
    #expect(run.status == 0)
    #expect(run.errors.contains("[SC041]\n  \(Self.plain)\(advice)\n"), "\(run.errors)")
    let verified = try await staticcall("verify", "--strict", "a.o", in: scratch.path)
    #expect(verified.output.contains("  \(Self.plain)\(advice)\n"), "\(verified.output)")
  }

  /// Objects of several languages that `ld -r` combined.
  @Test func severalCompilersHaveTheirOptionsNamed() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      Self.stays + "\n.section .comment,\"MS\",@progbits,1\n.asciz \"GCC: (GNU) 14\"\n.asciz \"rustc version 1.79.0\"\n"
    )
    let run = try await staticcall("annotate", "a.o", in: scratch.path)
    #expect(run.errors.contains("compile C without -fno-plt and -mcmodel=large, Rust with "), "\(run.errors)")
  }

  @Test(.enabled(if: tool("rustc") != nil, "rustc is not installed"))
  func rustSaysThatItIsRust() async throws {
    let scratch = try Scratch()
    try scratch.write(
      """
      #[no_mangle] pub extern "C" fn caller(x: i32, f: extern "C" fn(i32) -> i32) -> i32 {
        extern "C" { fn __SCT__a(x: i32) -> i32; static __SCK__a: i64; }
        let g: unsafe extern "C" fn(i32) -> i32 = if x > 1 { __SCT__a } else { f };
        unsafe { g(x) + __SCK__a as i32 }
      }
      """.utf8, to: "a.rs")
    try await require("rustc", ["-O", "--crate-type=lib", "--emit=obj", "-o", "a.o", "a.rs"], in: scratch.path)
    let run = try await staticcall("annotate", "a.o", in: scratch.path)
    #expect(run.errors.contains("-Crelocation-model=static"), "\(run.errors)")
    #expect(!run.errors.contains("-fno-plt") && !run.errors.contains("-mcmodel"), "\(run.errors)")
  }

  /// The command is that of the object's own layout.
  @Test(arguments: [
    ([], "`staticcall annotate --rebuild`"), (["--abi", "user"], "`staticcall annotate --abi user --rebuild`"),
  ])
  func commandsNameTheLayout(_ options: [String], _ command: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try await require(staticcallPath, ["annotate", scratch.file("a.o")] + options)
    var elf = try ElfBytes(file: scratch.file("a.o"))
    // The first entry's flag: a call becomes a tail call.
    let relocations = try elf.section(options.isEmpty ? ".rela.static_call_sites" : ".relastatic_call_sites")
    elf[relocation: 1, of: relocations, .addend] = 1
    try scratch.write(elf.bytes, to: "a.o")
    let run = try await staticcall("verify", "a.o", in: scratch.path)
    #expect(
      run.output.contains("[SC106]\n  \(command) on the object makes the table anew; then link again.\n"),
      "\(run.output)")
    let refused = try await self.annotate(scratch, options)
    #expect(refused.contains("[SC016]\n  \(command) throws the table away and makes it anew.\n"), "\(refused)")
  }

  private func annotate(_ scratch: Scratch, _ options: [String]) async throws -> String {
    try await run(staticcallPath, ["annotate", "a.o"] + options, in: scratch.path).errors
  }
}
