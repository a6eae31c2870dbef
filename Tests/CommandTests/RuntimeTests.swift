import TestSupport
import Testing

/// The whole chain: programs are compiled, annotated, linked with the runtime, run, and their calls updated.
@Suite(.enabled(if: Linker.haveAll, "a linker, a cross compiler or qemu-aarch64 is not installed"))
struct RuntimeTests {
  /// A kind of program.
  enum Kind: String, CaseIterable, Sendable {
    case pie
    case noPIE
    case fixed
    case collected
    case cPlusPlus
    case cPlusPlusCollected

    func build(_ target: Target, _ linker: Linker) -> RuntimeBuild {
      // Each linker sees one compiler for each machine, and each machine both.
      let usesClang = [.gold, .lld].contains(linker) == (target == .x86_64)
      var build = RuntimeBuild(target: target, usesClang: usesClang, linker: linker)
      switch self {
      case .pie: build.options = ["-fPIE"]
      case .noPIE: (build.options, build.linkOptions) = (["-fno-pie"], ["-no-pie"])
      case .fixed: build.linkOptions = ["-static"]
      case .cPlusPlus: build.isCPlusPlus = true
      case .collected, .cPlusPlusCollected:
        build.isCPlusPlus = self == .cPlusPlusCollected
        (build.options, build.linkOptions) = (["-ffunction-sections", "-fdata-sections"], ["-Wl,--gc-sections"])
      }
      return build
    }
  }

  static let kinds = Kind.allCases.flatMap { kind in Linker.allCases.map { (kind, $0) } }

  /// Each patched site, read back from memory, is a direct branch to the current target; the others are whole all the same.
  private func expectDirect(_ output: String, count: Int, for target: Target, in scratch: Scratch) async throws {
    let sites = output.split(separator: "\n").compactMap { PrintedSite($0) }
    #expect(sites.count >= count, "\(output)")
    for site in sites {
      #expect(site.state == "patched" || site.state == "crossing", "\(site)")
      let (name, branchTarget) = try await site.decoded(for: target, in: scratch)
      switch target {
      case .x86_64: #expect(site.isTail ? name.hasPrefix("j") : name == "call", "\(site): \(name)")
      case .aarch64: #expect(name == (site.isTail ? "b" : "bl"), "\(site): \(name)")
      }
      #expect((branchTarget == "0x\(String(site.target, radix: 16))") == (site.state == "patched"), "\(site)")
    }
    #expect(sites.count { $0.state == "patched" } > sites.count / 2, "\(output)")
  }

  @Test(arguments: Target.allCases, kinds)
  func callsAreDirectAndFollowUpdates(_ target: Target, _ kind: (kind: Kind, linker: Linker)) async throws {
    let scratch = try Scratch()
    let program = try await kind.kind.build(target, kind.linker).build(["program.c", "elsewhere.c"], in: scratch)
    let run = try await target.run(program, ["sites"])
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.hasSuffix("others 0\n"), "\(run.output)")
    try await expectDirect(run.output, count: 8, for: target, in: scratch)
    let verification = try await staticcall("verify", program)
    #expect((verification.status, verification.output, verification.errors) == (0, "", ""))
  }

  @Test(arguments: Target.allCases, Linker.allCases)
  func sharedObjectsAreLoadedAndUnloaded(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let library = RuntimeBuild(
      target: target, usesClang: linker == .lld, options: ["-fPIC"], linker: linker, linkOptions: ["-shared"])
    let object = try await library.build(["library.c"], in: scratch, to: "library.so")
    let loader = try await RuntimeBuild(target: target, linker: linker).build(["loader.c"], in: scratch)
    let run = try await target.run(loader, [object])
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.hasSuffix("loaded 50 times\n"), "\(run.output)")
    try await expectDirect(run.output, count: 2, for: target, in: scratch)
  }

  /// Everything a user may compile with.
  static let flags: [[String]] = [
    ["-O0"], ["-O1"], ["-Os"], ["-O3"], ["-fno-plt"], ["-fPIC"], ["-g"], ["-ffunction-sections"], ["-fno-inline"],
    ["-fsanitize=undefined"],
  ]
  static let machineFlags: [Target: [[String]]] = [
    .x86_64: [
      ["-fcf-protection=full"], ["-mcmodel=medium"], ["-DSTATIC_CALL_RETPOLINE"], ["-mharden-sls=all"],
    ],
    .aarch64: [["-mbranch-protection=standard"], ["-mcmodel=tiny"], ["-mharden-sls=all"]],
  ]

  /// Without sanitizers of clang's: gcc links, and has no library for them.
  static let builds = Target.allCases.flatMap { target in
    (flags + (machineFlags[target] ?? [])).flatMap { flags in
      (flags.contains { $0.hasPrefix("-fsanitize") } ? [false] : [false, true]).map { (target, flags, $0) }
    }
  }

  @Test(arguments: builds)
  func noFlagIsNeededAndNoneIsInTheWay(
    _ build: (target: Target, flags: [String], usesClang: Bool)
  ) async throws {
    let scratch = try Scratch()
    var runtimeBuild = RuntimeBuild(target: build.target, usesClang: build.usesClang, options: build.flags)
    runtimeBuild.linkOptions = build.flags.filter { $0.hasPrefix("-fsanitize") }
    let program = try await runtimeBuild.build(["program.c", "elsewhere.c"], in: scratch)
    let run = try await build.target.run(program)
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.hasSuffix("others 0\n"), "\(run.output)")
  }

  /// A program whose patching is switched off calls through the trampolines, as do objects that were not annotated.
  @Test(arguments: Target.allCases)
  func callsThatAreNotPatchedAreRight(_ target: Target) async throws {
    let scratch = try Scratch()
    for flags in [[], ["-DSTATIC_CALL_RETPOLINE"]] {
      let program = try await RuntimeBuild(target: target, options: flags).build(
        ["program.c", "elsewhere.c"], in: scratch)
      let run = try await target.run(
        program, environment: ["STATIC_CALL_PATCH": "0", "STATIC_CALL_STATS": "1"])
      #expect(run.status == 0)
      #expect(run.output.contains("patched 0 crossing"), "\(run.output)")
      #expect(run.errors.contains("through the trampoline: STATIC_CALL_PATCH=0\n"), "\(run.errors)")
    }
  }

  @Test(arguments: Target.allCases)
  func aMissingTableIsNotPassedOver(_ target: Target) async throws {
    let scratch = try Scratch()
    let build = RuntimeBuild(target: target)
    let objects = try await build.compile(["program.c", "elsewhere.c"], in: scratch)
    let program = try await build.link(objects, in: scratch)
    let run = try await target.run(program, environment: ["STATIC_CALL_STATS": "1"])
    #expect((run.status, run.output) == (0, "keys 0 sites 0 patched 0 crossing 0 others 0\n"))
    #expect(
      run.errors == """
        static_call: program: 0 sites of 0 static calls, 0 direct; 1006 updates, 0 failed
        static_call: program: no table: run `staticcall annotate --abi user` on the objects, and link them again

        """)
  }

  @Test(arguments: Target.allCases)
  func theReportCountsSites(_ target: Target) async throws {
    let scratch = try Scratch()
    let program = try await RuntimeBuild(target: target).build(["program.c", "elsewhere.c"], in: scratch)
    let quiet = try await target.run(program)
    #expect((quiet.status, quiet.errors) == (0, ""))
    let summary = try await target.run(program, environment: ["STATIC_CALL_STATS": "1"])
    #expect(summary.output == quiet.output)
    #expect(summary.errors.hasPrefix("static_call: program: 9 sites of 3 static calls, "), "\(summary.errors)")
    #expect(summary.errors.contains(" direct; 1006 updates, 0 failed\n"), "\(summary.errors)")
    let sites = try await target.run(program, environment: ["STATIC_CALL_STATS": "sites"])
    let lines = sites.errors.split(separator: "\n").filter { $0.hasPrefix("static_call: program+0x") }
    // Their addresses are those of the table in the file.
    let listed = try await require(staticcallPath, ["list", "--format", "json", program])
    #expect(lines.count == 9)
    for line in lines {
      let address = line.dropFirst("static_call: program+".count).prefix { $0 != ":" }
      #expect(listed.contains("\"\(address)\"") || listed.contains(String(Int(address.dropFirst(2), radix: 16) ?? 0)))
    }
  }

  enum Denial: String, CaseIterable, Sendable {
    case prctl
    case seccomp
    case fake
  }

  @Test(
    arguments: [
      (Target.x86_64, Denial.prctl), (.x86_64, .seccomp), (.x86_64, .fake), (.aarch64, .fake),
    ], ["before", "after"])
  func aSystemThatForbidsChangesOfCodeIsObeyed(_ denial: (target: Target, way: Denial), _ time: String) async throws {
    let scratch = try Scratch()
    let program = try await RuntimeBuild(target: denial.target).build(["denied.c"], in: scratch)
    // Emulated programs cannot execute themselves.
    let isFaked = denial.way == .fake && time == "before"
    let run = try await denial.target.run(
      program, [denial.way.rawValue, isFaked ? "denied" : time], environment: isFaked ? ["FAKE_DENIAL": "1"] : [:])
    if run.status == 77 {
      withKnownIssue("SKIPPED: the kernel has no PR_SET_MDWE") { Issue.record("\(run.output)") }
      return
    }
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.hasPrefix("denied "), "\(run.output)")
  }

  @Test(arguments: Target.allCases)
  func updatesWorkToTheVeryEnd(_ target: Target) async throws {
    let scratch = try Scratch()
    // gcc takes the number of the destructor for its own.
    let options = ["-Wno-prio-ctor-dtor"]
    let program = try await RuntimeBuild(target: target, options: options).build(["ending.c"], in: scratch)
    let run = try await target.run(program)
    #expect((run.status, run.output, run.errors) == (0, "ended\n", ""))
    var shared = RuntimeBuild(target: target, options: options + ["-fPIC", "-DSHARED"])
    shared.linkOptions = ["-shared"]
    let object = try await shared.build(["ending.c"], in: scratch, to: "ending.so")
    let caller = try await RuntimeBuild(target: target).build(["call-check.c"], in: scratch, to: "caller")
    let unloaded = try await target.run(caller, [object])
    #expect((unloaded.status, unloaded.output, unloaded.errors) == (0, "ended\n", ""))
  }

  /// Tools of Valgrind.
  static let valgrindTools = ["memcheck", "helgrind", "drd", "none", "callgrind"]

  /// It executes translations, and keeps them until it is told to make them anew.
  @Test(.enabled(if: tool("valgrind") != nil, "valgrind is not installed"), arguments: valgrindTools)
  func updatesTakeEffectUnderValgrind(_ valgrindTool: String) async throws {
    let scratch = try Scratch()
    let program = try await RuntimeBuild(target: .x86_64).build(["program.c", "elsewhere.c"], in: scratch)
    let valgrind = ["-q", "--tool=\(valgrindTool)", "--error-exitcode=9"]
    let run = try await run("valgrind", valgrind + [program], in: scratch.path)
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.hasSuffix("others 0\n") && !run.output.contains("patched 0"), "\(run.output)")
  }

  @Test(.enabled(if: tool("valgrind") != nil, "valgrind is not installed"), arguments: ["memcheck", "none"])
  func sharedObjectsComeAndGoUnderValgrind(_ valgrindTool: String) async throws {
    let scratch = try Scratch()
    var library = RuntimeBuild(target: .x86_64, options: ["-fPIC"])
    library.linkOptions = ["-shared"]
    let object = try await library.build(["library.c"], in: scratch, to: "library.so")
    let loader = try await RuntimeBuild(target: .x86_64).build(["loader.c"], in: scratch, to: "loader")
    library.options = ["-Wno-prio-ctor-dtor", "-fPIC", "-DSHARED"]
    let ending = try await library.build(["ending.c"], in: scratch, to: "ending.so")
    let caller = try await RuntimeBuild(target: .x86_64).build(["call-check.c"], in: scratch, to: "caller")
    let valgrind = ["-q", "--tool=\(valgrindTool)", "--error-exitcode=9"]
    let loaded = try await run("valgrind", valgrind + [loader, object], in: scratch.path)
    #expect((loaded.status, loaded.errors) == (0, ""))
    #expect(loaded.output.hasSuffix("loaded 50 times\n"), "\(loaded.output)")
    let unloaded = try await run("valgrind", valgrind + [caller, ending], in: scratch.path)
    #expect((unloaded.status, unloaded.output, unloaded.errors) == (0, "ended\n", ""))
  }

  /// The instructions by which Valgrind is told are those of its own header.
  @Test(
    .enabled(if: tool("/usr/bin/valgrind") != nil, "valgrind is not installed"),
    arguments: [(Target.x86_64, "xchg"), (.aarch64, "orr")])
  func valgrindIsToldInItsOwnWords(_ target: Target, _ last: String) async throws {
    let scratch = try Scratch()
    let source = """
      #include <valgrind/valgrind.h>
      void discard(void *start, unsigned long size) { VALGRIND_DISCARD_TRANSLATIONS(start, size); }

      """
    try scratch.write(source.utf8, to: "told.c")
    let file = "\(packageRoot)/Sources/StaticCallRuntime/\(target.rawValue).c"
    try await require(
      target.gcc, ["-O2", "-idirafter", "/usr/include", "-c", scratch.file("told.c"), "-o", scratch.file("told.o")])
    try await require(target.gcc, ["-O2", "-c", file, "-o", scratch.file("runtime.o")])
    var sequences: [[String]] = []
    for object in ["told.o", "runtime.o"] {
      let text = try await require(target.objdump, ["-d", "--no-show-raw-insn", scratch.file(object)])
      let instructions = text.split(separator: "\n").compactMap {
        $0.contains(":\t") ? $0.split(separator: "\t").dropFirst().joined(separator: " ") : nil
      }
      let first = try #require(instructions.firstIndex { $0.hasPrefix("ro") })
      sequences.append(Array(instructions[first..<first + 5]))
    }
    #expect(sequences[0] == sequences[1])
    #expect(sequences[0].last?.hasPrefix(last) == true, "\(sequences)")
  }

  /// Whatever registers a result comes in: what C does not see is no less 0.
  @Test(arguments: Target.allCases)
  func registersOfResultsAreZero(_ target: Target) async throws {
    let scratch = try Scratch()
    let program = try await RuntimeBuild(target: target).build(["zeros.c"], in: scratch)
    let run = try await target.run(program)
    #expect((run.status, run.output, run.errors) == (0, "all 0\n", ""))
  }

  @Test func guardedCodeStaysGuarded() async throws {
    let scratch = try Scratch()
    var build = RuntimeBuild(target: .aarch64, options: ["-fPIC", "-mbranch-protection=standard"])
    build.linkOptions = ["-shared", "-nostartfiles", "-Wl,-z,force-bti", "-Wl,--no-warnings"]
    let object = try await build.build(["guarded.c"], in: scratch, to: "guarded.so")
    let caller = try await RuntimeBuild(target: .aarch64).build(["call-check.c"], in: scratch)
    let run = try await Target.aarch64.run(caller, [object])
    #expect((run.status, run.output, run.errors) == (0, "guarded\n", ""))
  }

  @Test(arguments: Target.allCases)
  func childrenGoOnByThemselves(_ target: Target) async throws {
    let scratch = try Scratch()
    let program = try await RuntimeBuild(target: target).build(["forks.c"], in: scratch)
    let run = try await target.run(program)
    #expect((run.status, run.output, run.errors) == (0, "forked 200 times\n", ""))
  }

  /// `make stress` does the same for a minute each.
  @Test(arguments: [(Target.x86_64, []), (.x86_64, ["-DCROSSING"]), (.aarch64, [])] as [(Target, [String])])
  func threadsCallCurrentFunctionsOnly(_ target: Target, _ options: [String]) async throws {
    let scratch = try Scratch()
    let program = try await RuntimeBuild(target: target, options: options).build(["stress.c"], in: scratch)
    let run = try await target.run(program, ["1", "2"])
    #expect((run.status, run.errors) == (0, ""))
    #expect(run.output.contains("200 sites, \(options.isEmpty ? "" : "0 direct, 200 crossing")"), "\(run.output)")
  }
}
