import TestSupport
import Testing

/// What annotate and linkers make of calls, as verify finds it in linked images.
@Suite(.enabled(if: Linker.haveAll, "not all linkers and compilers for both machines are installed"))
struct ImageFormTests {
  /// A program that defines its trampoline, as static_call.h does.
  private static let trampolines: [Target: String] = [
    .x86_64: "jmp *__SCK__a(%rip)",
    .aarch64: "adrp x16, __SCK__a\n ldr x16, [x16, :lo12:__SCK__a]\n br x16",
  ]

  private func definitions(for target: Target) -> String {
    """
    .section .text.static_call.a,"ax",%progbits
    .p2align 4
    .globl __SCT__a
    .type __SCT__a, %function
    __SCT__a: \(Self.trampolines[target] ?? "")
    .size __SCT__a, . - __SCT__a
    .data
    .p2align 3
    .globl __SCK__a
    __SCK__a: .quad f, 0
    .text
    f: ret
    .section .note.GNU-stack,"",%progbits
    """
  }

  /// Compiles a program with gcc and links it, annotated or not: what verify says.
  private func verify(
    _ source: String, _ suffix: String = "c", isAnnotated: Bool, with linker: Linker, for target: Target,
    compiling flags: [String] = [], linking options: [String] = [], in scratch: Scratch
  ) async throws -> Run {
    try scratch.write(source.utf8, to: "calls.\(suffix)")
    try scratch.write(definitions(for: target).utf8, to: "definitions.s")
    try await require(target.gcc, ["-O2", "-c"] + flags + ["calls.\(suffix)", "definitions.s"], in: scratch.path)
    if isAnnotated {
      try await require(staticcallPath, ["annotate", "--abi", "user", "--strict", "calls.o"], in: scratch.path)
    }
    try await linker.link(
      ["calls.o", "definitions.o"].map(scratch.file), for: target, to: scratch.file("image"), options)
    return try await staticcall(["verify", "--strict", "image"], scratch)
  }

  private static let combinations = Target.allCases.flatMap { target in Linker.allCases.map { (target, $0) } }

  /// Each prefix that does nothing: the site begins behind it. That of a call through the GOT which annotate or the linker made direct is
  /// one of them.
  @Test(arguments: Linker.allCases, [true, false])
  func prefixesStayOutsideOfTheSite(_ linker: Linker, _ isAnnotated: Bool) async throws {
    let scratch = try Scratch()
    let prefixes = ["0x2e", "0x3e", "0x26", "0x36", "0x64", "0x65", "0x67", "0xf2", "0x40", "0x4f", "0x2e, 0x67"]
    let calls = prefixes.map { ".byte \($0)\n call __SCT__a\n" }.joined()
    let source = """
      .globl main
      .type main, @function
      main: sub $8, %rsp
      \(calls)
      .byte 0x2e
      jne __SCT__a
      add $8, %rsp
      .byte 0xf2
      jmp __SCT__a
      .size main, . - main
      .data
      .quad __SCK__a
      .section .note.GNU-stack,"",@progbits
      """
    let run = try await verify(
      source, "s", isAnnotated: isAnnotated, with: linker, for: .x86_64, linking: ["-no-pie"], in: scratch)
    if isAnnotated {
      #expect((run.status, run.output) == (0, ""))
    } else {
      #expect(run.output.contains("\(prefixes.count + 2) static calls, the first of a, and no table"), "\(run.output)")
    }
  }

  /// A table may name the prefix, as objtool does, or a branch that no runtime may change.
  @Test func aPrefixIsNoSite() async throws {
    for (prefix, entry, message) in [
      ("0x2e", "main", "entry 0 is at a prefix; the branch itself begins at +1 [SC108]"),
      ("0x66", "main + 1", "entry 0 is at a branch that a runtime cannot patch [SC105]"),
    ] {
      let scratch = try Scratch()
      let source = """
        .globl main
        .type main, @function
        main: .byte \(prefix)
        call __SCT__a
        ret
        .size main, . - main
        .section .static_call_sites, "aw"
        .p2align 2
        .long \(entry) - ., __SCK__a - .
        .section .note.GNU-stack,"",@progbits
        """
      let run = try await verify(source, "s", isAnnotated: false, with: .lld, for: .x86_64, in: scratch)
      #expect(run.output.contains(message), "\(run.output)")
    }
  }

  /// Calls through the GOT, annotated and not: what linkers make direct has no entry, what they leave is indirect.
  @Test(arguments: combinations)
  func callsThroughTheGOTAreSeen(_ target: Target, _ linker: Linker) async throws {
    let source = """
      extern int __SCT__a(int); extern long __SCK__a; long *key(void) { return &__SCK__a; }
      int first(int x) { return __SCT__a(x) + 1; }
      int main(void) { return first(1) + __SCT__a(2); }
      """
    for isAnnotated in [true, false] {
      let scratch = try Scratch()
      let run = try await verify(
        source, isAnnotated: isAnnotated, with: linker, for: target, compiling: ["-fPIC", "-fno-plt", "-fno-inline"],
        linking: ["-pie"], in: scratch)
      if isAnnotated {
        #expect((run.status, run.output) == (0, ""))
      } else if target == .x86_64 {
        #expect(run.output.contains("2 static calls, the first of a, and no table of them [SC115]"), "\(run.output)")
      } else {
        #expect(
          run.output.matches(of: /call through x[0-9]+ to a stays indirect \[SC031\]/).count == 2, "\(run.output)")
        #expect(run.status == 1)
      }
    }
  }

  /// A trampoline in another shared object whose address is taken as well: linkers have several names for the entry of the PLT.
  @Test(arguments: combinations)
  func importedTrampolinesAreReachedThroughAnyStub(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    try scratch.write("int __SCT__a(int x) { return x + 1; }".utf8, to: "library.c")
    let source = """
      extern int __SCT__a(int); __attribute__((visibility("hidden"))) long __SCK__a; int (*volatile pointer)(int);
      int main(int count, char **names) { pointer = __SCT__a; return __SCT__a(count) + pointer(1); }
      """
    try scratch.write(source.utf8, to: "calls.c")
    try await require(target.gcc, ["-O2", "-fPIC", "-c", "calls.c"], in: scratch.path)
    try await require(target.gcc, ["-shared", "-fPIC", "-o", "library.so", "library.c"], in: scratch.path)
    let variants: [[String]] =
      switch (target, linker) {
      case (.x86_64, .lld): [[], ["-Wl,-z,retpolineplt"], ["-Wl,-z,retpolineplt,-z,now"]]
      case (.x86_64, .bfd), (.x86_64, .mold): [[], ["-Wl,-z,ibtplt"]]
      case (.aarch64, .bfd), (.aarch64, .lld): [[], ["-Wl,-z,force-bti"], ["-Wl,-z,pac-plt"]]
      default: [[]]
      }
    for isAnnotated in [false, true] {
      if isAnnotated { try await require(staticcallPath, ["annotate", "--abi", "user", "calls.o"], in: scratch.path) }
      for options in variants {
        try await linker.link(
          ["calls.o", "library.so"].map(scratch.file), for: target, to: scratch.file("image"), options)
        let run = try await staticcall(["verify", "--strict", "image"], scratch)
        if isAnnotated {
          #expect((run.status, run.output) == (0, ""), "\(options)")
        } else {
          #expect(run.output.contains("1 static call, the first of a, and no table"), "\(options): \(run.output)")
        }
      }
    }
  }

  /// A weak trampoline that is nowhere: what linkers leave of its calls is no fault.
  @Test(arguments: combinations)
  func aWeakTrampolineMayBeNowhere(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let source = """
      extern int __SCT__f(int) __attribute__((weak)); long __SCK__f;
      int checked(int x) { return __SCT__f ? __SCT__f(x) + 1 : 0; }
      int main(int count, char **names) { return count > 1 ? checked(count) : __SCT__f(3); }
      """
    for (flags, options) in [
      (["-fno-pic"], ["-static", "-no-pie"]), (["-fPIC"], ["-pie"]), (["-fPIC", "-fno-plt"], ["-static", "-no-pie"]),
    ] {
      let run = try await verify(
        source, isAnnotated: true, with: linker, for: target, compiling: flags, linking: options, in: scratch)
      #expect((run.status, run.output) == (0, ""), "\(flags) \(options)")
    }
  }

  /// Calls that nobody made direct: in a register, through a thunk; each is named once, and annotated each is in the table.
  @Test(arguments: Linker.allCases)
  func callsThroughRegistersAndThunksAreNamed(_ linker: Linker) async throws {
    let source = """
      extern int __SCT__a(int); extern long __SCK__a; long *key(void) { return &__SCK__a; }
      #ifdef __x86_64__
      #define ANY "+a" // a register that carries no argument
      #else
      #define ANY "+r"
      #endif
      #define ADDRESS(f) ({ int (*p)(int) = f; __asm__("" : ANY(p)); p; })
      int first(int x) { return ADDRESS(__SCT__a)(x) + 1; }
      int main(void) { int r = first(1); return ADDRESS(__SCT__a)(r) - 1; }
      """
    let forms: [(Target, [String], String)] = [
      (.x86_64, ["-fno-pic"], "SC031"), (.x86_64, ["-fPIE"], "SC031"),
      (.x86_64, ["-fPIE", "-mindirect-branch=thunk", "-mindirect-branch-register"], "SC032"),
      (.x86_64, ["-fPIC", "-fno-plt", "-mindirect-branch=thunk"], "SC032"),
      (.aarch64, ["-fPIE"], "SC031"), (.aarch64, ["-fPIE", "-mharden-sls=blr"], "SC032"),
      (.aarch64, ["-fno-pic", "-mcmodel=large"], "SC031"),
    ]
    for (target, flags, code) in forms {
      // The pools of the large model are made direct in some forms only.
      for isAnnotated in flags.contains("-mcmodel=large") ? [false] : [false, true] {
        let scratch = try Scratch()
        let run = try await verify(
          source, isAnnotated: isAnnotated, with: linker, for: target, compiling: flags + ["-fno-inline"],
          linking: flags.contains("-fno-pic") ? ["-no-pie"] : ["-pie"], in: scratch)
        let found = run.output.split(separator: "\n").count { $0.hasSuffix("to a stays indirect [\(code)]") }
        if isAnnotated {
          #expect((run.status, run.output) == (0, ""), "\(target) \(flags)")
        } else {
          #expect(found == 2, "\(target) \(flags): \(run.output)")
          #expect(run.output.contains("Run `staticcall annotate` on the object that the call comes from"))
          let list = try await staticcall(["list", "image"], scratch)
          #expect(list.output.split(separator: "\n").count { $0.contains("stays indirect") } == 2, "\(list.output)")
        }
      }
    }
  }

  /// A pointer that the program may change is no call of what it holds at the start.
  @Test(arguments: combinations)
  func aVariableIsNoTableOfAddresses(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let source = """
      extern int __SCT__a(int); extern long __SCK__a; long *key(void) { return &__SCK__a; }
      int (*pointer)(int) = __SCT__a; void set(int (*p)(int)) { pointer = p; }
      int main(void) { return pointer(1) + __SCT__a(2); }
      """
    let run = try await verify(source, isAnnotated: true, with: linker, for: target, in: scratch)
    #expect((run.status, run.output) == (0, ""))
  }
}
