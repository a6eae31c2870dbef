import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Copies that are made before it is known whether they are wanted.
@Suite struct EarlyCopyTests {
  private let scratch: Scratch
  private let path: FilePath

  init() throws {
    scratch = try Scratch()
    path = FilePath(scratch.file("large.o"))
  }

  /// The files in the scratch directory that this process has open.
  private func openFiles() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { descriptor in
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
    }.filter { $0.hasPrefix(scratch.path) }
  }

  @Test func aCopyIsHandedOverOnce() throws {
    let contents = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    try scratch.write(contents, to: "large.o")
    do {
      let input = try InputFile(path)
      let copy = EarlyCopy(of: input, to: path)
      let (own, other) = (try Destination(path), try Destination("/large.o"))
      #expect(copy?.take(for: other) == nil, "that is another directory")
      let taken = try #require(copy?.take(for: own))
      #expect(copy?.take(for: own) == nil)
      #expect(try bytes(of: "/proc/self/fd/\(taken.rawValue)") == contents)
      try taken.close()
    }
    #expect(try openFiles() == [])
    #expect(scratch.contents == ["large.o"])
  }

  /// Copying the whole of this file would take minutes, and more room than there is.
  @Test func aCopyThatNobodyWantsIsGivenUp() throws {
    try scratch.write([], to: "large.o")
    try FileHandle(forWritingTo: URL(fileURLWithPath: path.string)).truncate(atOffset: 1 << 40)
    do {
      let input = try InputFile(path)
      #expect(try openFiles().count == 1)
      let copy = EarlyCopy(of: input, to: path)
      #expect(try openFiles().count == 3)
      withExtendedLifetime(copy) {}
    }
    #expect(try openFiles() == [])
  }

  @Test func aSmallFileIsNotCopiedEarly() throws {
    try scratch.write([1, 2, 3], to: "large.o")
    let input = try InputFile(path)
    let copy = EarlyCopy(of: input, to: path)
    #expect(copy == nil)
  }
}
