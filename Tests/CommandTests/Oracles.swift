import Foundation
import TestSupport

// Readers of objects that share nothing with the product: the text of objdump and readelf, and a table reader in Python.

/// A direct branch to a trampoline, as a disassembler prints it.
struct PrintedBranch {
  var site: String
  var key: String
  var mnemonic: String

  /// The line that the table reader prints for the branch's entry.
  var entry: String { "\(site)\t\(key)\t\(Self.calls.contains(mnemonic) ? 0 : 1)" }

  private static let calls: Set = ["call", "callq", "bl"]
}

/// A disassembler, by the name of a program that knows the target.
enum ObjectDumper {
  case gnu
  case llvm

  func program(for target: Target) -> String {
    switch self {
    case .gnu: target.objdump
    case .llvm: besideClang("llvm-objdump")
    }
  }

  /// The branches that call trampolines in each of several objects.
  func branches(in objects: [String], for target: Target) async throws -> [String: [PrintedBranch]] {
    let text = try await require(program(for: target), ["-dr", "--no-show-raw-insn"] + objects)
    var branches: [String: [PrintedBranch]] = [:]
    var (object, section, instruction) = ("", "", (offset: 0, mnemonic: ""))
    for line in text.split(separator: "\n") {
      if let end = line.range(of: ":", options: .backwards), line[end.upperBound...].contains("file format") {
        object = String(line[..<end.lowerBound])
      } else if let format = line.range(of: ":\tfile format") ?? line.range(of: ":     file format") {
        object = String(line[..<format.lowerBound])
      } else if line.hasPrefix("Disassembly of section ") {
        section = String(line.dropFirst("Disassembly of section ".count).dropLast())
      } else if let (_, type, symbol) = relocation(in: line) {
        guard symbol.hasPrefix("__SCT__"), Self.branchTypes.contains(type),
          Self.isDirectBranch(instruction.mnemonic)
        else { continue }
        let name = symbol.dropFirst("__SCT__".count).prefix { $0 != "-" && $0 != "+" }
        branches[object, default: []].append(
          PrintedBranch(
            site: "\(section)+0x\(String(instruction.offset, radix: 16))", key: "__SCK__\(name)",
            mnemonic: instruction.mnemonic))
      } else if let colon = line.firstIndex(of: ":"), let offset = Int(line[..<colon].trimmed, radix: 16) {
        instruction = (offset, line[line.index(after: colon)...].split { $0.isWhitespace }.first.map(String.init) ?? "")
      }
    }
    return branches
  }

  /// The place, type and symbol of a line such as `3b: R_X86_64_PLT32 __SCT__report-0x4`.
  private func relocation(in line: Substring) -> (place: Substring, type: String, symbol: Substring)? {
    let words = line.split { $0.isWhitespace }
    guard words.count == 3, words[0].hasSuffix(":"), words[1].hasPrefix("R_") else { return nil }
    return (words[0].dropLast(), String(words[1]), words[2])
  }

  private static let branchTypes: Set = [
    "R_X86_64_PLT32", "R_X86_64_PC32", "R_AARCH64_CALL26", "R_AARCH64_JUMP26",
  ]

  private static func isDirectBranch(_ mnemonic: String) -> Bool {
    mnemonic.hasPrefix("j") || ["call", "callq", "bl", "b"].contains(mnemonic)
  }
}

/// The entries of the tables of several objects, in order, as `section+offset`, key and flags set apart by tabs.
func tableEntries(of objects: [String]) async throws -> [String: [String]] {
  let text = try await require(python, [tableReader] + objects)
  var entries: [String: [String]] = [:]
  for line in text.split(separator: "\n") {
    guard let tab = line.firstIndex(of: "\t") else { continue }
    entries[String(line[..<tab]), default: []].append(String(line[line.index(after: tab)...]))
  }
  return entries
}

/// The entry of a linked image's table, worked out from its contents.
struct LinkedEntry {
  var address: String
  /// What is there: `call`, `tail` or `cond-tail`.
  var kind: String
  /// The symbols at the branch's target, or its address.
  var target: String
  /// The symbols at the key's address, or the address.
  var key: String
  var flags: String
}

func linkedEntries(of image: String) async throws -> [LinkedEntry] {
  try await require(python, [tableReader, "--linked", image]).split(separator: "\n").map { line in
    let fields = line.split(separator: "\t").map(String.init)
    guard fields.count == 5 else { throw ToolFailure(description: "no table entry: \(line)") }
    return LinkedEntry(address: fields[0], kind: fields[1], target: fields[2], key: fields[3], flags: fields[4])
  }
}

private let tableReader = "\(packageRoot)/Scripts/read-table.py"
let python = "/usr/bin/python3"

/// Whether the table reader can run.
let havePython = pythonHas("elftools")

/// Whether Python is there, with a module.
func pythonHas(_ module: String) -> Bool {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: python)
  process.arguments = ["-c", "import \(module)"]
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}

/// A program of the toolchain, which may be there in another version too.
func besideClang(_ name: String) -> String {
  let clang = URL(fileURLWithPath: tool("clang") ?? "").resolvingSymlinksInPath()
  return clang.deletingLastPathComponent().appendingPathComponent(name).path
}

extension StringProtocol {
  var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
