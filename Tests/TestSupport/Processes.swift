import Foundation
import Subprocess
import SystemPackage

/// What a program did.
public struct Run: Sendable {
  /// The exit code, or the negative signal number of a program that was killed.
  public var status: Int
  public var output: String
  public var errors: String
}

/// A program that a test needs and that failed or is missing.
public struct ToolFailure: Error, CustomStringConvertible {
  public var description: String

  public init(description: String) { self.description = description }
}

/// Runs a program and collects what it writes. `program` is a path, or a name to look up in `PATH`.
public func run(
  _ program: String, _ arguments: [String], in directory: String? = nil, environment: [String: String] = [:]
) async throws -> Run {
  var updates: [Environment.Key: String?] = [:]
  for (name, value) in environment { updates[Environment.Key(stringLiteral: name)] = value }
  let result = try await Subprocess.run(
    program.contains("/") ? .path(FilePath(program)) : .name(program), arguments: Arguments(arguments),
    environment: .inherit.updating(updates), workingDirectory: directory.map { FilePath($0) },
    output: .string(limit: 64 << 20), error: .string(limit: 64 << 20))
  let status =
    switch result.terminationStatus {
    case .exited(let code): Int(code)
    case .signaled(let signal): -Int(signal)
    }
  return Run(status: status, output: result.standardOutput, errors: result.standardError)
}

/// Runs a program that must succeed, and returns its standard output.
@discardableResult
public func require(_ program: String, _ arguments: [String], in directory: String? = nil) async throws -> String {
  let result = try await run(program, arguments, in: directory)
  guard result.status == 0 else {
    throw ToolFailure(
      description: "\(program) \(arguments.joined(separator: " ")) ended with \(result.status): \(result.errors)")
  }
  return result.output
}

/// Runs the `staticcall` that was built together with the tests.
public func staticcall(_ arguments: String..., in directory: String? = nil) async throws -> Run {
  try await run(staticcallPath, arguments, in: directory)
}

/// The `staticcall` beside the test program, in the same build directory.
public let staticcallPath: String = {
  let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
  return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("staticcall").path
}()

/// Where a program is, or `nil`: for tests that are skipped without it.
public func tool(_ name: String) -> String? {
  if name.contains("/") { return FileManager.default.isExecutableFile(atPath: name) ? name : nil }
  let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
  return directories.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
}
