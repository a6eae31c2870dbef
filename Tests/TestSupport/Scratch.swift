import Foundation

/// A directory of its own for a test, removed when the test is done with it.
public final class Scratch: Sendable {
  public let path: String

  public init() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "staticcall-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    path = directory.resolvingSymlinksInPath().path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in the directory.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file and returns its path.
  @discardableResult
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  /// The names of all files in the directory, hidden ones included, in order.
  public var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
  }
}

/// The bytes of a file.
public func bytes(of path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

/// What tells whether a file was touched: its inode, its times, its size and its contents.
public struct Fingerprint: Equatable, Sendable {
  var inode: UInt64
  var modified: Date
  var contents: [UInt8]

  public init(_ path: String) throws {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    inode = (attributes[.systemFileNumber] as? NSNumber)?.uint64Value ?? 0
    modified = attributes[.modificationDate] as? Date ?? .distantPast
    contents = try bytes(of: path)
  }
}

/// The root of the package.
public let packageRoot: String = {
  // Tests/TestSupport/Scratch.swift
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .path
}()

/// The path of a file under Fixtures.
public func fixture(_ name: String) -> String { "\(packageRoot)/Fixtures/\(name)" }
