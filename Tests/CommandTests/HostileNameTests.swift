import TestSupport
import Testing

/// Names that speak to the terminal, make lines of their own, or do not end.
@Suite struct HostileNameTests {
  /// An object whose calls, functions and sections have `text` in their names.
  private func make(_ text: [UInt8], _ target: Target, in scratch: Scratch) async throws {
    let source = """
      .text
      .globl function_name
      .type function_name, %function
      function_name:
      CALL __SCT__call_name
      .size function_name, . - function_name
      .section .section_name,"ax"
      CALL __SCT__call_name
      """
    var elf = try ElfBytes(file: await scratch.assemble(portable: source, for: target))
    let strings = try elf.section(".strtab")
    var names = Array(elf.contents(ofSection: strings))
    let section = try elf.section(".section_name")
    let symbols = try ["function_name", "__SCT__call_name"].map { try elf.symbol($0) }
    func add(_ name: [UInt8]) -> UInt64 {
      names += name + [0]
      return UInt64(names.count - name.count - 1)
    }
    elf[symbol: symbols[0], .name] = add(Array("f".utf8) + text)
    elf[symbol: symbols[1], .name] = add(Array("__SCT__".utf8) + text)
    elf[section: section, .name] = add(Array(".s".utf8) + text)
    elf.replace(strings, with: names)
    try scratch.write(elf.bytes, to: "hostile.o")
  }

  private static let commands = [
    ["list"], ["list", "--disassemble"], ["list", "--summary"], ["verify"], ["annotate"],
    ["annotate", "--dry-run", "--module"],
    ["annotate", "-v", "--module", "-o", "out.o"], ["diff", "out.o"],
  ]

  @Test(arguments: Target.allCases)
  func controlCharactersAreEscaped(_ target: Target) async throws {
    let scratch = try Scratch()
    let text = Array("\u{1b}[2J\u{1b}]0;x\u{7}\r\u{9b}31m".utf8) + [0xff] + Array("\nhostile.o: error: forged".utf8)
    try await make(text, target, in: scratch)
    for command in Self.commands {
      let run = try await staticcallGuarded(command, ["hostile.o"], in: scratch)
      #expect((0...2).contains(run.status), "\(command)")
      let printed = run.output + run.errors
      #expect(
        !printed.unicodeScalars.contains { $0 != "\n" && $0.properties.generalCategory == .control },
        "\(command): \(printed.debugDescription)")
      #expect(!printed.split(separator: "\n").contains { $0.hasPrefix("hostile.o: error: forged") }, "\(command)")
    }
  }

  @Test(arguments: Target.allCases)
  func aLongNameIsShortened(_ target: Target) async throws {
    let scratch = try Scratch()
    try await make([UInt8](repeating: UInt8(ascii: "n"), count: 1 << 20), target, in: scratch)
    for command in Self.commands {
      let run = try await staticcallGuarded(command, ["hostile.o"], in: scratch)
      #expect((0...2).contains(run.status), "\(command)")
      #expect((run.output + run.errors).utf8.count < 100_000, "\(command): \(run.output.utf8.count)")
    }
  }

  /// BSD's way to write names: behind the header, as many bytes as it says.
  @Test(arguments: ["#1/999999", "#1/-4"])
  func aNameLongerThanItsMemberIsDamage(_ field: String) async throws {
    let scratch = try Scratch()
    let object = try await SmallObject.bytes(.x86_64, isAnnotated: false)
    func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: width - text.count) }
    let header =
      padded(field, 16) + padded("0", 12) + padded("0", 6) + padded("0", 6) + padded("644", 8)
      + padded(String(object.count), 10) + "`\n"
    try scratch.write(Array("!<arch>\n".utf8) + Array(header.utf8) + object, to: "hostile.a")
    let run = try await staticcallGuarded(["verify"], ["hostile.a"], in: scratch)
    #expect(run.status == 2)
    #expect(run.errors.contains("[SC003]"), "\(run.errors)")
  }
}
