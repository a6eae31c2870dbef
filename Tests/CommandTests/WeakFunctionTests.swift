import TestSupport
import Testing

/// A weak function with a static call that another object overrides. Its code stays in the image, and so does the entry.
@Suite(
  .enabled(if: Linker.haveAll, "a linker, a cross compiler or qemu-aarch64 is not installed"),
  .enabled(if: havePython, "python3-pyelftools is not installed"))
struct WeakFunctionTests {
  /// No section symbol and no local symbol: nothing but the weak symbol is there to name the place by.
  private static let flags = ["-O2", "-fPIE", "-ffunction-sections", "-fno-asynchronous-unwind-tables"]

  private static let weak = """
    #include "calls.h"
    __attribute__((weak)) int choose(int a) { __SCT__tick(); return a + 1; }
    """

  private static let strong = """
    int choose(int a) { \(String(repeating: "__asm__(\"nop\"); ", count: 40)) return a + 2; }
    """

  private static let program = """
    #include "calls.h"
    int choose(int);
    static void nothing(void) {}
    DEFINE_STATIC_CALL(tick, nothing);
    DEFINE_STATIC_CALL(add, 0);
    DEFINE_STATIC_CALL(report, 0);
    DEFINE_STATIC_CALL(grow, 0);
    DEFINE_STATIC_CALL(fail, 0);
    int main(void) { __SCT__tick(); return choose(5); }
    """

  private func compile(_ source: String, for target: Target, _ name: String, in scratch: Scratch) async throws -> String
  {
    try scratch.write(source.utf8, to: "\(name).c")
    try await require(
      target.gcc, Self.flags + ["-I", fixture(""), "-c", "-o", scratch.file("\(name).o"), scratch.file("\(name).c")])
    return scratch.file("\(name).o")
  }

  /// Links the program, strong function first, and returns its entries and where the strong function is.
  private func link(
    _ weak: String, for target: Target, _ linker: Linker, in scratch: Scratch
  ) async throws -> (image: String, strong: Range<Int>) {
    let objects = [
      try await compile(Self.strong, for: target, "strong", in: scratch), weak,
      try await compile(Self.program, for: target, "program", in: scratch),
    ]
    try await require(staticcallPath, ["annotate", objects[2]])
    let image = scratch.file("image")
    try await linker.link(objects, for: target, to: image)
    let line = try await require("nm", ["-S", image]).split(separator: "\n").first { $0.hasSuffix(" choose") }
    let words = try #require(line).split(separator: " ")
    let start = try #require(Int(words[0], radix: 16))
    return (image, start..<(start + (try #require(Int(words[1], radix: 16)))))
  }

  @Test(arguments: Target.allCases, Linker.allCases)
  func theEntryStaysWithTheBodyThatItWasMadeFor(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let weak = try await compile(Self.weak, for: target, "weak", in: scratch)
    try await require(staticcallPath, ["annotate", weak])
    let (image, strong) = try await link(weak, for: target, linker, in: scratch)
    let entries = try await linkedEntries(of: image)
    #expect(entries.map(\.target) == ["__SCT__tick", "__SCT__tick"])
    for entry in entries {
      let address = try #require(Int(entry.address.dropFirst(2), radix: 16))
      #expect(!strong.contains(address), "an entry points into the strong function")
    }
    #expect(try await target.run(image).status == 7)
  }

  /// An annotated object whose entry names the weak function itself, as a careless tool would write it.
  private func carelessObject(for target: Target, in scratch: Scratch) async throws -> String {
    let object = try await compile(Self.weak, for: target, "weak", in: scratch)
    try await require(staticcallPath, ["annotate", object])
    var elf = try ElfBytes(file: object)
    let relocations = try elf.section(".rela.static_call_sites")
    elf[relocation: 0, of: relocations, .symbol] = UInt64(try elf.symbol("choose"))
    return try scratch.write(elf.bytes, to: "weak.o")
  }

  /// Why entries name their sites by section symbols and never by the function's.
  @Test(arguments: Target.allCases, Linker.allCases)
  func anEntryThroughTheWeakSymbolPointsIntoTheOtherBody(_ target: Target, _ linker: Linker) async throws {
    let scratch = try Scratch()
    let weak = try await carelessObject(for: target, in: scratch)
    let (image, _) = try await link(weak, for: target, linker, in: scratch)
    await #expect(throws: ToolFailure.self) { try await linkedEntries(of: image) }
  }

  @Test(arguments: Target.allCases)
  func anEntryThroughTheWeakSymbolIsFoundAndCanBeReplaced(_ target: Target) async throws {
    let scratch = try Scratch()
    let weak = try await carelessObject(for: target, in: scratch)
    let check = try await staticcall("verify", weak)
    #expect(check.status == 1)
    #expect(check.output.contains("[SC113]"))

    let refused = try await staticcall("annotate", weak)
    #expect(refused.status == 2, "an entry that verify rejects is none that annotate would make")
    #expect(refused.errors.contains("[SC016]"))

    let rebuilt = try await staticcall("annotate", "--rebuild", weak)
    #expect(rebuilt.status == 0)
    #expect(try await staticcall("verify", weak).status == 0)
  }
}
