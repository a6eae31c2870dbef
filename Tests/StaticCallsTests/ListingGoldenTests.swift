import Foundation
import TestSupport
import Testing

/// What `staticcall list` says of each assembly file under Fixtures whose name ends in `.x86_64.s` or `.aarch64.s`, compared with
/// the file of the same name that ends in `.list`: the text, and below it the shapes, which only the JSON document has.
///
/// With STATICCALL_BLESS=1 in the environment the tests write these files instead, and fail: look at the difference, then run
/// them again.
@Suite struct ListingGoldenTests {
  struct Fixture: CustomStringConvertible, Sendable {
    var name: String
    var target: Target

    var description: String { name }
    var golden: String { fixture("\(name).list") }

    static let all: [Fixture] = files(endingIn: ".s").compactMap { name in
      Target.allCases.first { name.hasSuffix(".\($0.rawValue)") }.map { Fixture(name: name, target: $0) }
    }

    /// The names of the files under Fixtures with an ending, without it.
    static func files(endingIn ending: String) -> [String] {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: fixture(""))) ?? []
      return names.filter { $0.hasSuffix(ending) }.map { String($0.dropLast(ending.count)) }.sorted()
    }
  }

  private static let isBlessing = ProcessInfo.processInfo.environment["STATICCALL_BLESS"] == "1"

  @Test(arguments: Fixture.all)
  func listingIsTheGolden(_ fixture: Fixture) async throws {
    let scratch = try Scratch()
    _ = try await scratch.assemble(fixture: "\(fixture.name).s", for: fixture.target)
    let text = try await staticcall("list", "\(fixture.name).s.o", in: scratch.path)
    let document = try await staticcall("list", "--format", "json", "\(fixture.name).s.o", in: scratch.path)
    try #require(text.status == 0 && document.status == 0)
    #expect(text.errors == "" && document.errors == "")
    let shapes = try JSONDecoder().decode(Document.self, from: Data(document.output.utf8)).objects.flatMap(\.sites)
    let listing = text.output + "Shapes: \(shapes.map(\.shape).joined(separator: " "))\n"
    if Self.isBlessing {
      try Data(listing.utf8).write(to: URL(fileURLWithPath: fixture.golden))
      Issue.record("wrote \(fixture.golden)")
    } else {
      let golden = String(decoding: try bytes(of: fixture.golden), as: UTF8.self)
      #expect(listing == golden)
    }
  }

  @Test func everyGoldenHasItsFixture() {
    #expect(Fixture.files(endingIn: ".list") == Fixture.all.map(\.name))
  }

  /// A shape that nobody lists any more was lost on the way.
  @Test(.enabled(if: !isBlessing, "the goldens are being written"))
  func theGoldensCoverEveryShape() throws {
    let shapes = try Fixture.all.flatMap { fixture in
      let lines = String(decoding: try bytes(of: fixture.golden), as: UTF8.self).split(separator: "\n")
      return lines.last?.split(separator: " ").dropFirst().map(String.init) ?? []
    }
    let catalogue = [
      "X1", "X2", "X3", "X4", "X5", "X6", "A1", "A2", "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10",
      "M11",
      "T1", "T3", "N", "E", "D", "C",
    ]
    #expect(Set(shapes) == Set(catalogue))
  }

  private struct Document: Decodable {
    struct Object: Decodable { var sites: [Site] }
    struct Site: Decodable { var shape: String }
    var objects: [Object]
  }
}
