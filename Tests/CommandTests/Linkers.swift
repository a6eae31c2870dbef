import Foundation
import TestSupport

enum Linker: String, CaseIterable, Sendable {
  case bfd
  case gold
  case lld
  case mold

  func program(for target: Target) -> String? {
    switch self {
    case .bfd, .gold: tool((target == .x86_64 ? "" : "aarch64-linux-gnu-") + "ld.\(self)")
    case .lld: tool("ld.lld")
    case .mold: tool("mold")
    }
  }

  /// Whether every linker is there for every target, and what runs the programs.
  static let haveAll =
    tool("qemu-aarch64") != nil
    && Target.allCases.allSatisfy { target in
      tool(target.gcc) != nil && allCases.allSatisfy { $0.program(for: target) != nil }
    }

  /// Links objects into a program with the C or the C++ library, as the target's gcc does it.
  func link(
    _ objects: [String], cPlusPlus: Bool = false, for target: Target, to image: String, _ options: [String] = []
  ) async throws {
    // The one way to choose a linker that every gcc understands: a directory in which it finds no other.
    let directory = image + ".linker"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try? FileManager.default.createSymbolicLink(
      atPath: "\(directory)/ld", withDestinationPath: program(for: target) ?? "")
    let compiler = cPlusPlus ? target.gcc.replacing("gcc", with: "g++") : target.gcc
    try await require(compiler, ["-B", directory, "-o", image] + options + objects)
  }

  /// Combines objects into one object.
  func combine(_ objects: [String], for target: Target, to object: String, _ options: [String] = []) async throws {
    try await require(program(for: target) ?? "", ["-r", "-o", object] + options + objects)
  }
}

extension Target {
  /// Runs a program that was linked for the target.
  func run(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:]
  ) async throws -> Run {
    switch self {
    case .x86_64: try await TestSupport.run(program, arguments, environment: environment)
    case .aarch64:
      try await TestSupport.run(
        "qemu-aarch64", ["-L", "/usr/aarch64-linux-gnu", program] + arguments, environment: environment)
    }
  }
}

/// The branches to trampolines that a disassembler prints of a linked image, as `address kind trampoline`.
func linkedBranches(of image: String, for target: Target) async throws -> [String] {
  let text = try await require(target.objdump, ["-d", "--no-show-raw-insn", image])
  return text.split(separator: "\n").compactMap { line in
    let words = line.split { $0.isWhitespace }.map(String.init)
    guard words.count >= 3, words[0].hasSuffix(":"), let name = words.last, name.hasPrefix("<__SCT__"),
      !name.contains("+")
    else { return nil }
    let kind: String
    switch words[1] {
    case "call", "bl": kind = "call"
    case "jmp", "b": kind = "tail"
    case let other where other.hasPrefix("j"): kind = "cond-tail"
    default: return nil
    }
    return "0x\(words[0].dropLast()) \(kind) \(name.dropFirst().dropLast())"
  }.sorted()
}
