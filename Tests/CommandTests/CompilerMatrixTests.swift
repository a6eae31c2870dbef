import Foundation
import TestSupport
import Testing

/// A compiler for a target with a set of flags, to be tried at each of its levels of optimisation.
struct Build: Sendable, CustomTestStringConvertible {
  enum Compiler: String {
    case gcc
    case clang
  }

  var compiler: Compiler
  var target: Target
  var flags: [String]

  var testDescription: String { "\(compiler) \(target) \(flags.joined(separator: " "))" }

  var levels: [String] { ["-O0", "-O1", "-O2", "-O3", "-Os"] + (compiler == .clang ? ["-Oz"] : []) }

  static let all: [Build] = Target.allCases.flatMap { target in
    [Compiler.gcc, .clang].flatMap { compiler in
      flags(of: compiler, for: target).map { Build(compiler: compiler, target: target, flags: $0) }
    }
  }

  private static func flags(of compiler: Compiler, for target: Target) -> [[String]] {
    let common = [
      [], ["-fPIC"], ["-fPIE"], ["-ffunction-sections"],
      // As the kernel is compiled: few section symbols are left.
      ["-fno-asynchronous-unwind-tables", "-ffunction-sections"],
    ]
    return switch (target, compiler) {
    case (.x86_64, .gcc):
      common + [
        ["-fcf-protection=full"], ["-mcmodel=kernel", "-fno-pie"],
        ["-mindirect-branch=thunk-extern", "-mindirect-branch-register"],
      ]
    case (.x86_64, .clang):
      common + [
        ["-fcf-protection=full"], ["-mcmodel=kernel", "-fno-pie"], ["-mretpoline", "-mretpoline-external-thunk"],
      ]
    case (.aarch64, _):
      common + [["-mbranch-protection=standard"], ["-mcmodel=tiny"], ["-mharden-sls=all"]]
    }
  }

  /// Compiles sources of Fixtures into a directory at one level.
  func compile(_ sources: [String], _ level: String, into directory: String) async throws -> [String] {
    let (program, options) =
      switch compiler {
      case .gcc: (target.gcc, flags)
      case .clang: ("clang", ["--target=\(target.triple)"] + flags)
      }
    try await require(program, [level, "-c"] + options + sources.map { fixture($0) }, in: directory)
    return sources.map { "\(directory)/\($0.dropLast(2)).o" }
  }

  /// The disassembler that comes with the compiler.
  var dumper: ObjectDumper { compiler == .gcc ? .gnu : .llvm }
}

@Suite(
  .enabled(if: Target.allCases.allSatisfy { tool($0.gcc) != nil && tool($0.objdump) != nil }, "no cross compiler"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct CompilerMatrixTests {
  private static let sources = ["calls.c", "calls-main.c"]

  /// Each object at each level, untouched and annotated.
  private func annotate(_ build: Build, in scratch: Scratch) async throws -> [(plain: String, annotated: String)] {
    var pairs: [(plain: String, annotated: String)] = []
    for level in build.levels {
      let directory = scratch.file(level)
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      for object in try await build.compile(Self.sources, level, into: directory) {
        let annotated = object + ".annotated"
        try FileManager.default.copyItem(atPath: object, toPath: annotated)
        pairs.append((object, annotated))
      }
    }
    let result = try await run(staticcallPath, ["annotate"] + pairs.map(\.annotated))
    #expect(result.status == 0)
    #expect(result.output + result.errors == "")
    return pairs
  }

  @Test(arguments: Build.all)
  func theTableHoldsWhatTheDisassemblerShowsAndNothingElseChanges(_ build: Build) async throws {
    let scratch = try Scratch()
    let pairs = try await annotate(build, in: scratch)
    let expected = try await build.dumper.branches(in: pairs.map(\.plain), for: build.target)
    let found = try await tableEntries(of: pairs.map(\.annotated))
    for (plain, annotated) in pairs {
      let branches = try #require(expected[plain], "no branches are seen in \(plain)")
      #expect(found[annotated, default: []].sorted() == branches.map(\.entry).sorted(), "\(plain)")
      if plain.hasSuffix("calls.o") { #expect(branches.count >= 25, "\(plain)") }
      let (old, new) = try await (Inventory(of: plain), Inventory(of: annotated))
      #expect(old.differences(in: new) == [], "\(plain)")
    }
    let check = try await run(staticcallPath, ["verify", "--strict"] + pairs.map(\.annotated))
    #expect(check.status == 0, "\(check.output)\(check.errors)")
  }

  /// The sources are only worth the run while the compilers make every kind of branch of them.
  @Test func theSourcesMakeEveryKindOfBranch() async throws {
    var mnemonics: [Target: Set<String>] = [:]
    for target in Target.allCases {
      let scratch = try Scratch()
      let build = Build(compiler: .clang, target: target, flags: [])
      let objects = try await build.compile(["calls.c"], "-Os", into: scratch.path)
      let branches = try await build.dumper.branches(in: objects, for: target).values.joined()
      mnemonics[target] = Set(branches.map(\.mnemonic))
    }
    #expect(mnemonics[.aarch64] == ["bl", "b"])
    #expect(mnemonics[.x86_64]?.isSuperset(of: ["callq", "jmp"]) == true)
    #expect(mnemonics[.x86_64]?.contains { $0.hasPrefix("j") && $0 != "jmp" } == true)
  }
}
