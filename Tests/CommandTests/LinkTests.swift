import TestSupport
import Testing

/// What becomes of tables in the hands of linkers.
@Suite(
  .enabled(if: Linker.haveAll, "a linker, a cross compiler or qemu-aarch64 is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct LinkTests {
  /// The objects of the program of Fixtures, before and after annotation, by their names. Two compilers make them.
  private struct Objects: Sendable {
    private var contents: [String: [UInt8]] = [:]

    init(_ target: Target) async throws {
      let scratch = try Scratch()
      // For size: x86-64 gets conditional tail calls. Without unwind tables: no section symbols.
      let options = ["-Os", "-fPIE", "-ffunction-sections", "-fno-asynchronous-unwind-tables"]
      try await require(
        "clang", ["--target=\(target.triple)", "-c"] + options + [fixture("calls.c")], in: scratch.path)
      try await require(target.gcc, ["-O2", "-fPIE", "-c", fixture("calls-main.c")], in: scratch.path)
      for (plain, annotated) in zip(Self.plain, Self.annotated) {
        try await require(staticcallPath, ["annotate", scratch.file(plain), "-o", scratch.file(annotated)])
      }
      for name in Self.plain + Self.annotated { contents[name] = try bytes(of: scratch.file(name)) }
    }

    private static let plain = ["calls.o", "calls-main.o"]
    private static let annotated = ["calls.annotated.o", "calls-main.annotated.o"]

    /// Writes the objects into a test's directory and returns their paths.
    func write(to scratch: Scratch) throws -> (plain: [String], annotated: [String]) {
      for (name, bytes) in contents { try scratch.write(bytes, to: name) }
      return (Self.plain.map { scratch.file($0) }, Self.annotated.map { scratch.file($0) })
    }
  }

  private static let objects = Dictionary(
    uniqueKeysWithValues: Target.allCases.map { target in (target, Once { try await Objects(target) }) })

  private func objects(
    for target: Target, in scratch: Scratch
  ) async throws -> (plain: [String], annotated: [String]) {
    try await #require(Self.objects[target]).value.write(to: scratch)
  }

  /// Every branch of the image that goes to a trampoline has one entry, and there is no other entry.
  private func expectSoundTable(of image: String, for target: Target) async throws {
    let entries = try await linkedEntries(of: image)
    let places = entries.map { "\($0.address) \($0.kind) \($0.target)" }.sorted()
    let branches = try await linkedBranches(of: image, for: target)
    #expect(places == branches)
    #expect(entries.count > 25)
    for entry in entries {
      #expect(entry.key == entry.target.replacing("__SCT__", with: "__SCK__"))
      #expect(entry.flags == (entry.kind == "call" ? "0" : "1"))
    }
  }

  @Test(arguments: Target.allCases, Linker.allCases)
  func entriesLeadToTheBranchesOfTheProgramWhichRunsAsBefore(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let objects = try await objects(for: target, in: scratch)
    try await linker.link(objects.plain, for: target, to: scratch.file("plain"))
    try await linker.link(objects.annotated, for: target, to: scratch.file("annotated"))
    try await expectSoundTable(of: scratch.file("annotated"), for: target)

    let (before, after) = try await (target.run(scratch.file("plain")), target.run(scratch.file("annotated")))
    #expect(before.status == 3)
    #expect(before.output.hasSuffix("about to fail\nfailed: negative, 29 ticks\n"), "\(before.errors)")
    #expect((after.status, after.output) == (before.status, before.output), "\(after.errors)")
  }

  @Test(arguments: Target.allCases, Linker.allCases)
  func linkedImagesVerifyAndADroppedTableIsFound(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let objects = try await objects(for: target, in: scratch)
    for (name, options) in [("program", []), ("static", ["-static"])] {
      try await linker.link(objects.annotated, for: target, to: scratch.file(name), options)
      let run = try await staticcall(["verify", "--strict", name], scratch)
      #expect((run.status, run.output, run.errors) == (0, "", ""), "\(name)")
    }
    try await linker.link(objects.plain, for: target, to: scratch.file("plain"))
    try await linker.link(objects.annotated, for: target, to: scratch.file("collected"), ["-Wl,--gc-sections"])
    for name in ["plain", "collected"] {
      let run = try await staticcall(["verify", name], scratch)
      #expect(run.status == 1)
      #expect(run.output.contains(" static calls, the first of "), "\(run.output)")
    }
  }

  /// In a shared object a call may go through the PLT, or be bound to the trampoline beside it.
  @Test(arguments: Target.allCases, Linker.allCases)
  func sharedObjectsVerify(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let hidden = [".hidden __SCK__a, __SCK__b", ".hidden __SCK__a, __SCK__b, __SCT__a, __SCT__b"]
    for (number, visibility) in hidden.enumerated() {
      let object = try await scratch.make(
        Sample.direct + """

          __SCK__a: .quad 0
          __SCK__b: .quad 0
          .globl __SCK__a, __SCK__b, __SCT__a, __SCT__b
          \(visibility)
          .section .static_call.text,"ax",%progbits
          .type __SCT__a, %function
          __SCT__a: ret
          .type __SCT__b, %function
          __SCT__b: ret
          """, for: target)
      try #require(await staticcall(["annotate", "a.o"], scratch).status == 0)
      let options = ["-shared", "-nostdlib"]
      try await linker.link([object], for: target, to: scratch.file("lib\(number).so"), options)
      let run = try await staticcall(["verify", "-v", "--strict", "lib\(number).so"], scratch)
      #expect((run.status, run.output) == (0, "1 linked image, 2 table entries: all is well\n"), "\(run.errors)")
      try await linker.link([object], for: target, to: scratch.file("gone.so"), options + ["-Wl,--gc-sections"])
      #expect(try await staticcall(["verify", "gone.so"], scratch).output.contains("[SC115]"))
    }
  }

  @Test(arguments: Target.allCases, Linker.allCases)
  func combinedTablesAreUpToDate(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let combined = scratch.file("combined.o")
    try await linker.combine(objects(for: target, in: scratch).annotated, for: target, to: combined)
    let before = try Fingerprint(combined)
    let run = try await staticcall("annotate", "-v", combined)
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("\(combined): up to date ("), "\(run.output)\(run.errors)")
    #expect(try Fingerprint(combined) == before)
    #expect(try await staticcall("verify", "--strict", combined).status == 0)
  }

  @Test(arguments: Target.allCases, Linker.allCases)
  func aTableThatIsCombinedWithAPlainObjectIsCompleted(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let objects = try await objects(for: target, in: scratch)
    let combined = scratch.file("combined.o")
    try await linker.combine([objects.plain[0], objects.annotated[1]], for: target, to: combined)
    let run = try await staticcall("annotate", "-v", combined)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("of them new"))
    let expected = try await ObjectDumper.gnu.branches(in: [combined], for: target)[combined] ?? []
    let found = try await tableEntries(of: [combined])[combined]
    #expect(found?.sorted() == expected.map(\.entry).sorted())

    try await linker.link([combined], for: target, to: scratch.file("program"))
    try await expectSoundTable(of: scratch.file("program"), for: target)
    #expect(try await target.run(scratch.file("program")).status == 3)
  }

  /// A branch of AArch64 reaches 128 MiB; beyond that GNU ld aims it at a veneer. The site stays the branch.
  @Test func aTrampolineOutOfReachIsCalledThroughAVeneer() async throws {
    let scratch = try Scratch()
    let objects = try await objects(for: .aarch64, in: scratch)
    let image = scratch.file("far")
    try await Linker.bfd.link(
      objects.annotated, for: .aarch64, to: image, ["-no-pie", "-Wl,--section-start=.static_call.text=0x20000000"])
    let entries = try await linkedEntries(of: image)
    #expect(entries.count > 25)
    for entry in entries {
      let name = entry.key.dropFirst("__SCK__".count)
      #expect(entry.target == "____SCT__\(name)_veneer")
      #expect(entry.flags == (entry.kind == "call" ? "0" : "1"))
    }
    #expect(try await Target.aarch64.run(image).status == 3)
  }
}
