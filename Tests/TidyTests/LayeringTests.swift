import Testing

/// Rules of the tree that the package manager does not enforce: it lets a target import whatever its dependencies import.
@Suite struct LayeringTests {
  /// What each target may import. An arrow that is not here is a change of the architecture, and DESIGN.md's to explain.
  private static let allowedImports: [String: Set<String>] = [
    "ObjectFile": ["CLibelf", "CLinux", "Dispatch", "Glibc", "Synchronization", "SystemPackage"],
    "Disassembly": ["CCapstone"],
    "DebugInfo": ["CDebugInfo", "Glibc"],
    "StaticCalls": ["DebugInfo", "Disassembly", "ObjectFile", "SystemPackage"],
    "Reports": ["FoundationEssentials", "ObjectFile", "StaticCalls", "SystemPackage"],
    "staticcall": [
      "ArgumentParser", "Dispatch", "FoundationEssentials", "Glibc", "ObjectFile", "Reports", "StaticCalls",
      "Synchronization", "SystemPackage",
    ],
  ]

  /// The targets that stand between a C library and the rest.
  private static let unsafeTargets = ["ObjectFile", "Disassembly", "DebugInfo"]

  @Test func theTreeIsFound() {
    #expect(Set(SourceFile.all.map(\.target)) == Set(Self.allowedImports.keys))
  }

  @Test(arguments: SourceFile.all)
  func importsFollowTheTable(_ file: SourceFile) {
    for line in file.code {
      let words = line.text.split(separator: " ").map(String.init)
      guard let keyword = words.firstIndex(of: "import"), keyword <= 1, words.count > keyword + 1 else { continue }
      #expect(
        Self.allowedImports[file.target]?.contains(words[keyword + 1]) == true,
        "\(file.path):\(line.number) imports \(words[keyword + 1])")
    }
  }

  @Test(arguments: SourceFile.all)
  func onlyOneFolderCallsEachLibrary(_ file: SourceFile) {
    let libraries = ["import CLibelf", "import CCapstone", "import CDebugInfo"]
    let importers = file.code.filter { line in libraries.contains { line.text.hasSuffix($0) } }
    #expect(importers.isEmpty || Self.unsafeTargets.contains(file.target), "\(file.path)")
  }

  @Test(arguments: SourceFile.all)
  func unsafeCodeStaysAtTheBoundary(_ file: SourceFile) {
    guard !Self.unsafeTargets.contains(file.target) else { return }
    for line in file.code {
      #expect(!line.text.containsWord("unsafe") && !line.text.contains("Unsafe"), "\(file.path):\(line.number)")
    }
  }

  /// Every use of `unsafe` stands below the line that says what makes it safe.
  @Test(arguments: SourceFile.all)
  func unsafeCodeSaysWhyItIsSafe(_ file: SourceFile) {
    let reach = 30
    for line in file.code where line.text.containsWord("unsafe") {
      let above = file.lines[max(0, line.number - 1 - reach)..<line.number]
      #expect(above.contains { $0.contains("// SAFETY:") }, "\(file.path):\(line.number) has no SAFETY comment")
    }
  }
}

extension String {
  /// Whether the word occurs by itself, not as a part of another.
  func containsWord(_ word: String) -> Bool {
    split { !$0.isLetter && !$0.isNumber && $0 != "_" }.contains { $0 == word }
  }
}
