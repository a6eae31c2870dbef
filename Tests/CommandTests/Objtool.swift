import Foundation
import TestSupport

/// The Linux kernel's own tool for static calls, as Debian packages it.
enum Objtool {
  /// That of Linux 6.1 (Debian 12), or else of the newest kernel. There `objtool` itself is a script for the kernel's makefiles.
  static let program: String = {
    let oldest = "linux-kbuild-6.1"
    let directories = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
    let found = directories.filter { $0.hasPrefix("linux-kbuild-") }.sorted { $0 == oldest || $1 != oldest && $0 > $1 }
    let programs = (found.isEmpty ? [oldest] : found).flatMap { directory in
      ["objtool.real-x86", "objtool"].map { "/usr/lib/\(directory)/tools/objtool/\($0)" }
    }
    return programs.first { tool($0) != nil } ?? programs[0]
  }()

  static let isInstalled = tool(program) != nil

  /// Annotates an object in place.
  static func annotate(_ object: String, isModule: Bool = true) async throws -> Run {
    try await run(program, ["--static-call", "--link"] + (isModule ? ["--module"] : []) + [object])
  }
}

/// What one of the two tools made of an object.
struct Treatment: Equatable, Sendable, CustomStringConvertible {
  var status: Int
  /// What it said: the part that matters of its warnings, or nothing.
  var says: String
  /// The entries as `site key flags`, in the order of their places; `nil` where the object has no table.
  var table: [String]?

  init(_ status: Int, says: String = "", table: [String]?) {
    self.status = status
    self.says = says
    self.table = table
  }

  /// What was observed, with what it said cut down to what was expected.
  init(_ run: Run, _ object: String, expecting expected: Treatment) async throws {
    let text = run.output + run.errors
    status = run.status
    says = !expected.says.isEmpty && text.contains(expected.says) ? expected.says : text
    table = try await tableEntries(of: [object])[object].map {
      $0.map { $0.replacing("\t", with: " ") }.sorted()
    }
  }

  var description: String {
    "exit \(status), \(says.isEmpty ? "silent" : says), \(table.map { "\($0)" } ?? "no table")"
  }
}

/// An object in assembly for x86-64 with a key, its trampoline in a section of its own, and the function `f`.
func objectSource(function: String, rest: String = "") -> String {
  """
    .text
    .globl f
    .type f, @function
  f:
    \(function)
    ret
    .size f, . - f
    .section .static_call.text, "ax"
    .globl __SCT__key
    .type __SCT__key, @function
  __SCT__key:
    ret; int3; nop; nop; nop; .byte 0x0f, 0xb9, 0xcc
    .size __SCT__key, . - __SCT__key
    .data
    .balign 8
    .globl __SCK__key
  __SCK__key:
    .quad 0, 0
    \(rest)

  """
}

extension Scratch {
  /// Copies a file of this directory beside itself.
  func copy(_ file: String, to name: String) throws -> String {
    try write(bytes(of: file), to: name)
  }
}
