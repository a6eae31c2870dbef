import TestSupport
import Testing

/// Small objects with one of everything that staticcall looks at: calls and tail calls of static calls that are defined
/// elsewhere and here, of a local one, through the global offset table, an address in data, a section group.
enum SmallObject {
  static func source(_ target: Target) -> String {
    let indirect =
      target == .x86_64
      ? """
      call *__SCT__one@GOTPCREL(%rip)
      mov __SCT__two@GOTPCREL(%rip), %rbx
      call *%rbx
      """
      : """
      adrp x8, :got:__SCT__one
      ldr x8, [x8, :got_lo12:__SCT__one]
      blr x8
      """
    return """
      .text
      .globl caller
      .type caller, %function
      caller:
      CALL __SCT__one
      CALL __SCT__here
      \(indirect)
      JUMP __SCT__two
      .size caller, . - caller

      .section .text.other,"ax"
      .globl other
      .type other, %function
      other:
      CALL __SCT__local
      JUMP __SCT__one
      .size other, . - other

      .section .static_call.text,"ax"
      .p2align 3
      .globl __SCT__here
      .type __SCT__here, %function
      __SCT__here:
      JUMP target
      .p2align 3
      .type __SCT__local, %function
      __SCT__local:
      JUMP other

      .section .text.shared,"axG",%progbits,shared,comdat
      .weak shared
      .type shared, %function
      shared:
      CALL other

      .data
      .p2align 3
      .quad __SCT__two
      .quad __SCK__one
      .quad __SCK__two
      .globl __SCK__here
      __SCK__here:
      .quad target
      __SCK__local:
      .quad other
      .section .note.GNU-stack,"",%progbits
      """
  }

  /// The bytes of the object, as it comes from the assembler or with its table.
  static func bytes(_ target: Target, isAnnotated: Bool) async throws -> [UInt8] {
    let scratch = try Scratch()
    let object = try await scratch.assemble(portable: source(target), for: target)
    if isAnnotated {
      let annotated = try await staticcall("annotate", "--quiet", object)
      try #require(annotated.status == 0, "\(annotated.errors)")
    }
    return try TestSupport.bytes(of: object)
  }
}

/// Runs staticcall on files that it may well not survive: with a limit for the time, so that a hang is a failure with a name
/// and not the end of all tests, and one for the memory. What counts is the time of the processor, as tests compete for it. A signal
/// shows as a status above 128.
func staticcallGuarded(
  _ command: [String], _ files: [String], in scratch: Scratch, seconds: Int = 60
) async throws -> Run {
  let limits =
    "ulimit -c 0; ulimit -v 8000000; ulimit -t \(seconds); exec timeout --kill-after=5 \(10 * seconds) \"$@\""
  // A crash report takes longer than all the rest.
  return try await run(
    "sh", ["-c", limits, "sh", staticcallPath] + command + files, in: scratch.path,
    environment: ["SWIFT_BACKTRACE": "enable=no"])
}

/// Random numbers from a seed (splitmix64, Steele, Lea and Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }
}

extension ElfBytes {
  /// A section header to append: the fields that are not zero.
  typealias Header = [SectionField: UInt64]

  /// Appends contents, and behind them a section header table that is the old one and `headers`; where extended numbering is
  /// needed, it is used. Each header stands for a part of `contents` that begins at its `.offset`.
  mutating func append(_ contents: [UInt8], _ headers: [Header]) {
    let old = Int(self[.sectionTable])
    let table = Array(bytes[old..<old + 64 * sectionCount])
    let count = sectionCount + headers.count
    let start = (bytes.count + 7) / 8 * 8
    bytes += [UInt8](repeating: 0, count: start - bytes.count) + contents
    bytes += [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    let first = sectionCount
    self[.sectionTable] = UInt64(bytes.count)
    bytes += table + [UInt8](repeating: 0, count: 64 * headers.count)
    self[.sectionCount] = count < 0xff00 ? UInt64(count) : 0
    if count >= 0xff00 { self[section: 0, .length] = UInt64(count) }
    for (number, header) in headers.enumerated() {
      for (field, value) in header {
        self[section: first + number, field] = field == .offset ? value + UInt64(start) : value
      }
    }
  }

  /// Moves a section to the end of the file, with other contents.
  mutating func replace(_ section: Int, with contents: [UInt8]) {
    let start = (bytes.count + 7) / 8 * 8
    bytes += [UInt8](repeating: 0, count: start - bytes.count) + contents
    self[section: section, .offset] = UInt64(start)
    self[section: section, .length] = UInt64(contents.count)
  }
}
