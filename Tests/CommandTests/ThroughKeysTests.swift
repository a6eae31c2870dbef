import Foundation
import TestSupport
import Testing

/// Code that calls through keys, as the portable macro has it, and that is given trampolines afterwards (`--through-keys`).
@Suite(
  .enabled(if: Linker.haveAll, "a linker, a cross compiler or qemu-aarch64 is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct ThroughKeysTests {
  /// All that the program is compiled with: for the addresses of keys, and for the calls through their contents.
  private static let builds: [Build] = Target.allCases.flatMap { target in
    [Build.Compiler.gcc, .clang].flatMap { compiler in
      let calls =
        switch (target, compiler) {
        case (.x86_64, .gcc): [["-fPIE", "-mindirect-branch=thunk", "-mindirect-branch-register"]]
        case (.x86_64, .clang): [["-fPIE", "-mretpoline"]]
        case (.aarch64, _): [["-fPIE", "-mbranch-protection=standard"], ["-fPIE", "-mharden-sls=all"]]
        }
      return (addresses + calls).map { Build(compiler: compiler, target: target, flags: $0) }
    }
  }

  private static let addresses = [["-fno-pie"], ["-fPIE"], ["-fPIC"]] + [hidden]

  /// Of what is only declared, `-fvisibility` says nothing: the header does.
  private static let hidden = ["-fvisibility=hidden", "-DHIDDEN_KEYS", "-fPIC"]

  /// Builds in which the code reaches the keys by itself, so that nothing stands between a call and its key.
  private static let plainBuilds = builds.filter { [["-fno-pie"], hidden].contains($0.flags) }

  @Test(arguments: builds)
  func theProgramDoesThroughTrampolinesWhatItDidThroughKeys(_ build: Build) async throws {
    let scratch = try Scratch()
    let program = try await Program(build, in: scratch)
    for level in build.levels {
      let plain = try await build.compileCallers(level, to: scratch.file("\(level).o"))
      let annotated = scratch.file("\(level).annotated.o")
      let run = try await staticcall("annotate", "--quiet", "--through-keys", "-o", annotated, plain)
      try #require((run.status, run.output, run.errors) == (0, "", ""), "\(level)")
      let check = try await staticcall("verify", "--through-keys", annotated)
      #expect(check.status == 0, "\(level): \(check.output)\(check.errors)")

      let (before, after) = (scratch.file("\(level).plain"), scratch.file("\(level).annotated"))
      try await program.link(plain, to: before)
      try await program.link(annotated, to: after, withTrampolines: true)
      let (old, new) = try await (build.target.run(before), build.target.run(after))
      #expect(old.status == 3 && old.output.hasPrefix("sums\n"), "\(level): \(old.errors)")
      #expect((new.status, new.output) == (old.status, old.output), "\(level): \(new.errors)")
      try await expectSoundTable(of: after, for: build.target, level)
    }
  }

  @Test(arguments: plainBuilds)
  func everyOrdinaryCallThatHasRoomBecomesDirect(_ build: Build) async throws {
    let scratch = try Scratch()
    let object = try await build.compileCallers("-O2", to: scratch.file("callers.o"))
    let functions = try await Set(functionNames(of: object, for: build.target).filter(isOrdinary))
    #expect(functions.count > 15)
    let before = try await sites(of: object).filter { isOrdinary($0.function) }
    #expect(Set(before.compactMap(\.function)) == functions)
    #expect(before.filter { $0.state != "can be made direct" && !build.leaves($0) } == [])

    let run = try await staticcall("annotate", "--quiet", "--through-keys", object)
    try #require((run.status, run.output, run.errors) == (0, "", ""))
    let after = try await sites(of: object)
    let ordinary = after.filter { isOrdinary($0.function) }
    #expect(ordinary.filter { $0.state != "in table" && !build.leaves($0) } == [])
    #expect(ordinary.count == before.count)
    let direct = ordinary.filter { $0.state == "in table" }
    #expect(functions.subtracting(direct.compactMap(\.function)).subtracting(build.left.keys) == [])
    #expect(after.filter { $0.function?.hasPrefix("other") == true && $0.state == "in table" } == [])
    let indirect = try await indirectBranches(in: object, for: build.target).filter { isOrdinary($0.function) }
    #expect(indirect.filter { build.left[$0.function] == nil } == [])
  }

  /// The linker must ask for the trampolines that the calls now name, and for no others.
  @Test(arguments: plainBuilds)
  func missingTrampolinesBecomeUndefinedSymbols(_ build: Build) async throws {
    let scratch = try Scratch()
    let object = try await build.compileCallers("-O2", to: scratch.file("callers.o"))
    #expect(try await trampolineSymbols(of: object, for: build.target) == [])
    try #require(await staticcall("annotate", "--quiet", "--through-keys", object).status == 0)
    let keys = try await Set(sites(of: object).filter { $0.state == "in table" }.map(\.key))
    #expect(keys.isSuperset(of: ["add", "take", "report", "grow", "scale", "fold", "tick"]))
    #expect(
      try await trampolineSymbols(of: object, for: build.target)
        == keys.sorted().map { "NOTYPE GLOBAL DEFAULT UND __SCT__\($0)" })
    let again = try Fingerprint(object)
    try #require(await staticcall("annotate", "--quiet", "--through-keys", object).status == 0)
    #expect(try Fingerprint(object) == again)
  }

  @Test(arguments: plainBuilds)
  func withoutTheOptionCallsThroughKeysAreNoStaticCalls(_ build: Build) async throws {
    let scratch = try Scratch()
    let object = try await build.compileCallers("-O2", to: scratch.file("callers.o"))
    let before = try Fingerprint(object)
    let annotated = try await staticcall("annotate", "-v", object)
    #expect((annotated.status, annotated.output, annotated.errors) == (0, "\(object): no static calls\n", ""))
    let listed = try await staticcall("list", object)
    #expect(listed.output.hasSuffix(", no static calls\n"), "\(listed.output)")
    #expect(try await staticcall("verify", object).status == 0)
    #expect(try Fingerprint(object) == before)
  }

  /// Every branch of the image that goes to a trampoline has one entry, and there is no other entry.
  private func expectSoundTable(of image: String, for target: Target, _ level: String) async throws {
    let entries = try await linkedEntries(of: image)
    let places = entries.map { "\($0.address) \($0.kind) \($0.target)" }.sorted()
    #expect(try await places == branchesToTrampolines(in: image, for: target), "\(level)")
    for entry in entries {
      #expect(entry.key == entry.target.replacing("__SCT__", with: "__SCK__"), "\(level)")
      #expect(entry.flags == (entry.kind == "call" ? "0" : "1"), "\(level)")
    }
  }
}

/// What stands beside callers.c in the program.
private struct Program {
  private var build: Build
  private var main: String
  private var trampolines: String

  init(_ build: Build, in scratch: Scratch) async throws {
    self.build = build
    main = scratch.file("main.o")
    trampolines = scratch.file("trampolines.o")
    let flags = build.flags.filter { !$0.hasPrefix("-m") }
    try await require(build.target.gcc, ["-O2", "-c", fixture("through-keys/main.c"), "-o", main] + flags)
    try await require(build.target.gcc, ["-c", fixture("through-keys/trampolines.S"), "-o", trampolines])
  }

  func link(_ callers: String, to image: String, withTrampolines: Bool = false) async throws {
    let objects = [main, callers] + (withTrampolines ? [trampolines] : [])
    let position = build.flags.contains("-fno-pie") ? "-no-pie" : "-pie"
    try await Linker.bfd.link(objects, for: build.target, to: image, [position])
  }
}

extension Build {
  fileprivate func compileCallers(_ level: String, to object: String) async throws -> String {
    let (program, options) = compiler == .gcc ? (target.gcc, []) : ("clang", ["--target=\(target.triple)"])
    try await require(
      program, options + flags + [level, "-c", fixture("through-keys/callers.c"), "-o", object])
    return object
  }
}

extension Build {
  /// What compilers make of some ordinary calls at -O2 leaves no room for a direct one: the functions, and why.
  fileprivate var left: [String: Set<String>] {
    switch (target, compiler) {
    case (.x86_64, .gcc):
      // With position-independent code, the address of the key is taken out of loops: `call *(%r15)`.
      flags == ["-fno-pie"] ? [:] : ["looped": ["SC039"], "in_array": ["SC039"]]
    case (.x86_64, .clang):
      // Tail calls load the key before they restore registers, and into registers that may be arguments.
      [
        "nested_loops": ["SC043"], "cold": ["SC043"], "switched": ["SC040", "SC043"],
        "one_of_two_tails": ["SC040"], "varargs": ["SC040"], "tail_with_result": ["SC052"],
      ]
    // Between the load of the key's word and the call, other memory is read, or written through a pointer from the caller.
    case (.aarch64, .gcc): ["grown": ["SC052"], "tail": ["SC052"]]
    // Tail calls of different keys are merged.
    case (.aarch64, .clang): ["switched": ["SC041", "SC052"]]
    }
  }

  fileprivate func leaves(_ site: Site) -> Bool {
    guard site.state == "stays indirect", let function = site.function, let code = site.code else { return false }
    return left[function]?.contains(code) == true
  }
}

/// Whether a function of callers.c has ordinary static calls and nothing else; the names say so.
private func isOrdinary(_ function: String?) -> Bool {
  !["tested", "kept", "other"].contains { function?.hasPrefix($0) == true }
}

private struct Site: Decodable, Equatable {
  var function: String?
  var functionOffset: Int?
  var key: String
  var state: String
  var code: String?
}

private func sites(of object: String) async throws -> [Site] {
  struct Document: Decodable {
    struct Object: Decodable {
      var sites: [Site]
    }
    var objects: [Object]
  }
  let text = try await require(staticcallPath, ["list", "--through-keys", "--format", "json", object])
  return try JSONDecoder().decode(Document.self, from: Data(text.utf8)).objects.flatMap(\.sites)
}

/// The lines of readelf's symbol table behind number, value and size.
private func symbols(of object: String, for target: Target) async throws -> [String] {
  try await require(target.readelf, ["-sW", object]).split(separator: "\n").compactMap { line in
    let words = line.split { $0.isWhitespace }
    guard words.count == 8, words[0].hasSuffix(":"), Int(words[0].dropLast()) != nil else { return nil }
    return words.dropFirst(3).joined(separator: " ")
  }
}

private func functionNames(of object: String, for target: Target) async throws -> [String] {
  try await symbols(of: object, for: target).filter { $0.hasPrefix("FUNC GLOBAL ") }.compactMap { symbol in
    symbol.split(separator: " ").last.map(String.init)
  }
}

/// The trampolines' symbols, as readelf prints them.
private func trampolineSymbols(of object: String, for target: Target) async throws -> [String] {
  try await symbols(of: object, for: target).filter { $0.contains(" __SCT__") }.sorted()
}

/// An instruction as objdump prints it.
private struct PrintedInstruction {
  var function: String
  var address: Int
  /// Prefixes, mnemonic and operands.
  var words: [String]
}

private func disassembly(of file: String, for target: Target) async throws -> [PrintedInstruction] {
  var function = ""
  var instructions: [PrintedInstruction] = []
  for line in try await require(target.objdump, ["-d", "--no-show-raw-insn", file]).split(separator: "\n") {
    let words = line.split { $0.isWhitespace }.map(String.init)
    guard let place = words.first else { continue }
    if words.count == 2, words[1].hasPrefix("<"), words[1].hasSuffix(">:") {
      function = String(words[1].dropFirst().dropLast(2))
    } else if words.count > 1, place.hasSuffix(":"), let address = Int(place.dropLast(), radix: 16) {
      instructions.append(PrintedInstruction(function: function, address: address, words: Array(words.dropFirst())))
    }
  }
  return instructions
}

private struct IndirectBranch: Equatable {
  var function: String
  var text: String
}

/// The indirect calls and jumps of an object, without those through the jump table in `switched`.
private func indirectBranches(in object: String, for target: Target) async throws -> [IndirectBranch] {
  try await disassembly(of: object, for: target).compactMap { instruction in
    let text = instruction.words.joined(separator: " ")
    let isCall = text.contains("call *") || text.hasPrefix("blr ")
    let isJump = text.contains("jmp *") || text.hasPrefix("br ")
    guard isCall || isJump && instruction.function != "switched" else { return nil }
    return IndirectBranch(function: instruction.function, text: text)
  }
}

/// The direct branches to trampolines in a linked image, as `address kind trampoline`.
private func branchesToTrampolines(in image: String, for target: Target) async throws -> [String] {
  try await disassembly(of: image, for: target).compactMap { instruction -> String? in
    var (address, words) = (instruction.address, instruction.words)
    // The byte that fills an instruction up where an indirect call was longer. A runtime writes behind it.
    if words.first == "addr32" {
      address += 1
      words.removeFirst()
    }
    guard let name = words.last, name.hasPrefix("<__SCT__"), !name.contains("+"), let mnemonic = words.first else {
      return nil
    }
    let kind: String
    switch mnemonic {
    case "call", "bl": kind = "call"
    case "jmp", "b": kind = "tail"
    case let other where other.hasPrefix("j"): kind = "cond-tail"
    default: return nil
    }
    return "0x\(String(address, radix: 16)) \(kind) \(name.dropFirst().dropLast())"
  }.sorted()
}
