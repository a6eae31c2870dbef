import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Someone else writes the object between reading and writing. What was read is no longer true then, and nothing may be
/// written over, or made of, what is there now.
@Suite struct ChangedInputTests {
  /// What happens to the file `test.o` meanwhile; `sleep` lets the time of a change differ even on coarse clocks.
  static let changes = [
    "a byte appended": "sleep 0.02; printf x >> test.o",
    "the same bytes written again": "sleep 0.02; cat test.o > copy; cat copy > test.o; rm copy",
    "cut off": "truncate -s 100 test.o",
    "a new file under the name": "cp test.o copy; printf x >> copy; mv copy test.o",
    "an equal file under the name": "cp -p test.o copy; mv copy test.o",
  ]

  @Test(arguments: changes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
  func aChangedInputIsNotReplaced(_ name: String, _ change: String) async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let edited = try EditedObject(try addition(), of: object, from: input)
    try await require("sh", ["-c", change], in: scratch.path)
    let changed = try Fingerprint(path)
    let error = #expect(throws: ObjectFileError.self) { try edited.write(to: FilePath(path), from: input) }
    #expect(error == .changedMeanwhile)
    #expect(try Fingerprint(path) == changed)
    #expect(scratch.contents == ["test.o"])
  }

  /// A file that is replaced, not changed, is still there for whoever has it open: only the first three concern a copy.
  @Test(arguments: ["a byte appended", "the same bytes written again", "cut off"])
  func nothingIsMadeOfAChangedInput(_ name: String) async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let edited = try EditedObject(try addition(), of: object, from: input)
    try await require("sh", ["-c", try #require(Self.changes[name])], in: scratch.path)
    let error = #expect(throws: ObjectFileError.self) {
      try edited.write(to: FilePath(scratch.file("out.o")), from: input)
    }
    #expect(error == .changedMeanwhile)
    #expect(scratch.contents == ["test.o"])
  }

  @Test func aReplacedInputStillGivesItsCopy() async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let edited = try EditedObject(try addition(), of: object, from: input)
    try scratch.write("something else".utf8, to: "copy")
    try await require("mv", ["copy", "test.o"], in: scratch.path)
    try edited.write(to: FilePath(scratch.file("out.o")), from: input)
    #expect(readError(at: scratch.file("out.o")) == nil)
    #expect(try bytes(of: path) == Array("something else".utf8))
  }

  @Test func anUnchangedInputIsReplacedAfterAnyTime() async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let edited = try EditedObject(try addition(), of: object, from: input)
    try await require(
      "sh", ["-c", "cat test.o > /dev/null; touch -a test.o; ln test.o other; rm other"], in: scratch.path)
    try edited.write(to: FilePath(path), from: input)
    #expect(readError(at: path) == nil)
    #expect(scratch.contents == ["test.o"])
  }
}
