import TestSupport
import Testing

/// C++ through every linker: inline functions, member functions and templates with static calls, in several objects.
@Suite(
  .enabled(if: Linker.haveAll, "a linker, a cross compiler or qemu-aarch64 is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct InlineCallsTests {
  enum Layout: String, CaseIterable, Sendable {
    case linux
    case user
  }

  /// What is done with the objects on their way into the program.
  enum Way: String, CaseIterable, Sendable {
    case linked
    case collected
    case folded
    case combined
    case combinedAndCollected

    var options: [String] {
      switch self {
      case .linked, .combined: []
      case .collected, .combinedAndCollected: ["-Wl,--gc-sections"]
      case .folded: ["-Wl,--icf=all"]
      }
    }

    var combines: Bool { self == .combined || self == .combinedAndCollected }
    var collects: Bool { self == .collected || self == .combinedAndCollected }
  }

  private static let sources = ["one", "two", "main"]

  /// The program's objects as the compiler writes them, by the name of the source; all of a target with one compiler.
  private struct Objects: Sendable {
    private var contents: [String: [UInt8]] = [:]

    init(_ target: Target, _ layout: Layout) async throws {
      let scratch = try Scratch()
      // Each layout sees one compiler for each machine, and each machine both.
      let usesClang = (target == .x86_64) == (layout == .linux)
      let compiler =
        usesClang ? ["clang++", "--target=\(target.triple)"] : [target.gcc.replacing("gcc", with: "g++")]
      let options = ["-O2", "-fPIE", "-ffunction-sections"] + (layout == .user ? ["-DWITH_TABLE"] : [])
      for source in sources {
        let path = fixture("inline-calls/\(source).cpp")
        try await require(
          compiler[0], compiler.dropFirst() + options + ["-c", path, "-o", scratch.file("\(source).o")])
        contents[source] = try bytes(of: scratch.file("\(source).o"))
      }
    }

    func write(to scratch: Scratch) throws -> [String] {
      try sources.map { source in
        try scratch.write(contents[source] ?? [], to: "\(source).o")
        return scratch.file("\(source).o")
      }
    }
  }

  private struct Build: Hashable {
    var target: Target
    var layout: Layout
  }

  private static let objects = Dictionary(
    uniqueKeysWithValues: Target.allCases.flatMap { target in
      Layout.allCases.map { layout in
        (Build(target: target, layout: layout), Once { try await Objects(target, layout) })
      }
    })

  /// Every way that keeps the table: without a linker script, garbage collection drops the kernel's.
  static let cases = Layout.allCases.flatMap { layout in
    Linker.allCases.flatMap { linker in
      Way.allCases.filter { way in
        !(layout == .linux && way.collects) && !(linker == .bfd && way == .folded)
      }.map { (layout, linker, $0) }
    }
  }

  private func annotate(_ objects: [String], _ layout: Layout) async throws {
    let run = try await run(staticcallPath, ["annotate", "--abi", layout.rawValue] + objects)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
  }

  /// Combines and annotates objects, in the order that the linker needs, and links them.
  private func link(
    _ objects: [String], for target: Target, _ layout: Layout, _ linker: Linker, _ way: Way, _ options: [String],
    in scratch: Scratch
  ) async throws -> String {
    var objects = objects
    // `mold -r` puts tables of several groups into one section, and annotating its output is the way.
    if !(way.combines && linker == .mold) { try await annotate(objects, layout) }
    if way.combines {
      try await linker.combine(objects, for: target, to: scratch.file("combined.o"))
      objects = [scratch.file("combined.o")]
      try await annotate(objects, layout)
      #expect(try await staticcall(["verify", "--strict", "combined.o"], scratch).output == "")
    }
    try await linker.link(objects, cPlusPlus: true, for: target, to: scratch.file("program"), options)
    return scratch.file("program")
  }

  /// The program runs as it did, verifies, and every call that is left in it has an entry.
  private func expectSound(_ program: String, for target: Target, in scratch: Scratch) async throws {
    let run = try await target.run(program)
    #expect(run.status == 0)
    #expect(run.output == Self.output, "\(run.errors)")
    let verification = try await staticcall(["verify", "--strict", program], scratch)
    #expect((verification.status, verification.output, verification.errors) == (0, "", ""))
    let entries = try await linkedEntries(of: program)
    #expect(
      try await Set(entries.map { "\($0.address) \($0.kind) \($0.target)" })
        == Set(linkedBranches(of: program, for: target)))
    #expect(entries.count >= 15)
    for entry in entries { #expect(entry.key == entry.target.replacing("__SCT__", with: "__SCK__")) }
  }

  /// What the untouched program prints.
  private static let output = """
    guard guard -> one guard guard -> two guard 137 237 22 -5
    guard guard -> one guard guard -> two guard -95 -195 2 -7

    """

  @Test(arguments: Target.allCases, cases)
  func noLiveCallLosesItsEntry(_ target: Target, _ sample: (layout: Layout, linker: Linker, way: Way)) async throws {
    let scratch = try Scratch()
    let build = Build(target: target, layout: sample.layout)
    let objects = try await #require(Self.objects[build]).value.write(to: scratch)
    let program = try await link(
      objects, for: target, sample.layout, sample.linker, sample.way, sample.way.options, in: scratch)
    try await expectSound(program, for: target, in: scratch)
  }

  /// The kernel's linker script keeps the table.
  @Test(arguments: Target.allCases, [Linker.bfd, .lld])
  func aLinkerScriptKeepsTheKernelsTable(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    try scratch.write(
      "SECTIONS { .static_call_sites : { KEEP(*(.static_call_sites)) } } INSERT AFTER .data;\n".utf8, to: "keep.ld")
    let objects = try await #require(Self.objects[Build(target: target, layout: .linux)]).value.write(to: scratch)
    let options = ["-Wl,--gc-sections", "-Wl,-T,\(scratch.file("keep.ld"))"]
    let program = try await link(objects, for: target, .linux, linker, .collected, options, in: scratch)
    try await expectSound(program, for: target, in: scratch)
  }

  /// Without one, no linker keeps all of it, and verify says so.
  @Test(arguments: Target.allCases, Linker.allCases)
  func garbageCollectionOfTheKernelsTableIsFound(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let objects = try await #require(Self.objects[Build(target: target, layout: .linux)]).value.write(to: scratch)
    let program = try await link(
      objects, for: target, .linux, linker, .collected, Way.collected.options, in: scratch)
    let run = try await staticcall(["verify", program], scratch)
    #expect(run.status == 1)
    #expect(run.output.contains("[SC102]") || run.output.contains("[SC115]"), "\(run.output)")
  }

  @Test(
    .enabled(if: Objtool.isInstalled, "objtool (Debian: linux-kbuild-6.1 or later) is not installed"),
    arguments: Linker.allCases)
  func objtoolsTablesBreakTheLinkOrTheTable(_ linker: Linker) async throws {
    let scratch = try Scratch()
    let objects = try await #require(Self.objects[Build(target: .x86_64, layout: .linux)]).value.write(to: scratch)
    for object in objects { #expect(try await Objtool.annotate(object).status == 0) }
    let program = scratch.file("program")
    let isLinked = (try? await linker.link(objects, cPlusPlus: true, for: .x86_64, to: program)) != nil
    // mold links, and leaves entries of the copies that it discards.
    #expect(isLinked == (linker == .mold))
    if isLinked { #expect(try await staticcall(["verify", program], scratch).status == 1) }
    let combined = try await run(linker.program(for: .x86_64) ?? "", ["-r", "-o", scratch.file("r.o")] + objects)
    #expect((combined.status == 0) == (linker != .bfd))
    if combined.status == 0 { #expect(try await staticcall(["verify", "r.o"], scratch).status != 0) }
  }
}
