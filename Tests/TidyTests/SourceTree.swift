import Foundation
import TestSupport

/// One source file of the package, by its path below the root.
struct SourceFile: CustomTestStringConvertibleByPath {
  var path: String
  var lines: [String]

  /// The target that the file belongs to: the folder below Sources.
  var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

  /// The lines without comments, each with its number counted from 1.
  var code: [(number: Int, text: String)] {
    lines.enumerated().map { ($0 + 1, $1) }.filter { !$1.trimmingCharacters(in: .whitespaces).hasPrefix("//") }
  }

  /// All Swift files under Sources.
  static let all: [SourceFile] = {
    let root = URL(fileURLWithPath: packageRoot)
    let files = FileManager.default.enumerator(
      at: root.appendingPathComponent("Sources"), includingPropertiesForKeys: nil)
    return (files?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "swift" }.compactMap { url in
      guard let text = try? String(contentsOf: url, encoding: .utf8) else { return nil }
      return SourceFile(
        path: String(url.path.dropFirst(packageRoot.count + 1)), lines: text.components(separatedBy: "\n"))
    }.sorted { $0.path < $1.path }
  }()
}

/// Names a source file by its path in test output.
protocol CustomTestStringConvertibleByPath: CustomStringConvertible, Sendable {
  var path: String { get }
}

extension CustomTestStringConvertibleByPath {
  var description: String { path }
}
