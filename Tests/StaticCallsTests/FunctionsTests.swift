import ObjectFile
import SystemPackage
import TestSupport
import Testing

@testable import StaticCalls

/// Labels, and the stretches of code between them.
@Suite struct FunctionsTests {
  /// Functions with and without a size, one in another, one that claims more than there is; labels in and between them, several at one
  /// place; data of both kinds.
  private static let labels = """
      .zero 8
    early:
      .zero 8
      .type f,%function
    f:
      .zero 8
    inside:
    inside_too:
      .zero 8
      .type g,%function
    g:
      .zero 8
      .size g, . - g
      .zero 8
      .size f, . - f
    between:
      .zero 8
      .type unsized,%function
    unsized:
    same:
      .zero 8
      .type d,%object
    d:
      .quad 1
      .size d, . - d
      .zero 8
      .type long,%function
    long:
      .zero 8
      .size long, 1000
      .type last,%function
    last:
      .zero 8
      .size last, . - last
      .zero 8
    end:
      .section .text.other,"ax",%progbits
      .type other,%function
    other:
      .zero 24
      .size other, 8
    """

  @Test(arguments: Target.allCases)
  func labelsAroundOnePlaceTellTheSameAsAllLabels(_ target: Target) async throws {
    let scratch = try Scratch()
    let path = try await scratch.assemble(Self.labels, for: target)
    let object = try ObjectFile(reading: InputFile(FilePath(path)))
    let sections = object.sections.filter { $0.flags.contains(.execInstr) }
    #expect(sections.count == 2)
    let all = Functions(of: Set(sections.map(\.index)), in: object)
    var stretches: Set<Range<Int>> = []
    for section in sections {
      let size = Int(section.size)
      for offset in 0..<size {
        let stretch = all.stretch(around: offset, in: section.index, size: size)
        // By itself, and together with others.
        for offsets in [
          [offset], [0, offset / 2, offset], [offset, size - 1], Array(stride(from: offset, to: size, by: 40)),
        ] {
          let near = Functions(around: offsets, in: section.index, of: object)
          #expect(near.cover(offset))
          #expect(near.stretch(around: offset, in: section.index, size: size) == stretch)
          for inside in stretch {
            #expect(near.cover(inside))
            #expect(near.stretch(around: inside, in: section.index, size: size) == stretch)
            #expect(near.isData(inside, in: section.index) == all.isData(inside, in: section.index))
          }
        }
        stretches.insert(stretch)
      }
    }
    #expect(stretches.count == 12)
  }
}
