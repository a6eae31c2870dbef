import Testing

/// What a reader of this tree may rely on.
@Suite struct StyleTests {
  /// Longer than this, a file is more than one thing. The catalogue of codes is one list that is read by its entries.
  private static let longestFile = 400
  private static let catalogue = "Sources/StaticCalls/Diagnostics/Code.swift"

  @Test(arguments: SourceFile.all.filter { $0.path != catalogue })
  func filesStaySmall(_ file: SourceFile) {
    #expect(file.lines.count <= Self.longestFile, "\(file.path) has \(file.lines.count) lines")
  }

  /// Malformed input is an error, never a trap.
  @Test(arguments: SourceFile.all)
  func nothingTraps(_ file: SourceFile) {
    for line in file.code {
      for trap in ["try!", "as!", "fatalError(", "preconditionFailure(", "assertionFailure("] {
        #expect(!line.text.contains(trap), "\(file.path):\(line.number) has \(trap)")
      }
    }
  }

  @Test(arguments: SourceFile.all)
  func publicDeclarationsAreDocumented(_ file: SourceFile) {
    let kinds: Set<String> = ["func", "struct", "enum", "protocol", "class"]
    for line in file.code {
      let words = line.text.split(separator: " ").map(String.init)
      guard words.contains("public"), let kind = words.first(where: { kinds.contains($0) }),
        words.firstIndex(of: "public") ?? 0 < words.firstIndex(of: kind) ?? 0
      else { continue }
      var above = line.number - 2
      while above >= 0, file.lines[above].trimmed.hasPrefix("@") { above -= 1 }
      let isDocumented = above >= 0 && file.lines[above].trimmed.hasPrefix("///")
      #expect(isDocumented || Self.isSelfExplaining(line.text), "\(file.path):\(line.number) has no doc comment")
    }
  }

  /// The operators and properties that protocols of the standard library prescribe.
  private static func isSelfExplaining(_ line: String) -> Bool { line.contains("func <") }

  @Test(arguments: SourceFile.all)
  func workLeftToDoSaysWhy(_ file: SourceFile) {
    for (number, line) in file.lines.enumerated() {
      #expect(!line.contains("TODO") && !line.contains("FIXME"), "\(file.path):\(number + 1)")
    }
  }
}

extension String {
  fileprivate var trimmed: Substring { drop { $0 == " " } }
}
