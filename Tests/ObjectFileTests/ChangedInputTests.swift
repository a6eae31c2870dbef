import Glibc
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

  enum Change: CaseIterable { case append, rewrite, cutOff }

  private func carryOut(_ change: Change, on path: String) throws {
    // So that the time of a change differs even on coarse clocks.
    usleep(20_000)
    let file = try FileDescriptor.open(FilePath(path), .readWrite)
    try file.closeAfter {
      switch change {
      case .append: try file.writeAll(toAbsoluteOffset: try file.seek(offset: 0, from: .end), Array("x".utf8))
      case .rewrite: try file.writeAll(toAbsoluteOffset: 0, Array("\u{7f}ELF".utf8))
      case .cutOff: try file.resize(to: 100)
      }
    }
  }

  /// What is found in a file that changes is not true of it, be it good or bad.
  @Test(arguments: Change.allCases, [false, true])
  func nothingIsSaidOfAChangedInput(_ change: Change, _ isFoundDamaged: Bool) async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let error = #expect(throws: ObjectFileError.self) {
      try InputFile.reading(FilePath(path)) { input in
        try carryOut(change, on: path)
        if isFoundDamaged { throw ObjectFileError.damaged("by the change") }
      }
    }
    #expect(error == .changedMeanwhile)
  }

  /// What is written was made of what was there; whatever happens to that afterwards.
  @Test(arguments: [false, true])
  func whatIsWrittenStays(_ isCopy: Bool) async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let output = isCopy ? scratch.file("out.o") : path
    try InputFile.reading(FilePath(path)) { input in
      let object = try ObjectFile(reading: input)
      let edited = try EditedObject(try addition(), of: object, from: input)
      let old = try FileDescriptor.open(FilePath(path), .readWrite)
      try edited.write(to: FilePath(output), from: input)
      // As in `carryOut`.
      usleep(20_000)
      try old.closeAfter { _ = try old.writeAll(toAbsoluteOffset: 0, Array("x".utf8)) }
      let isChanged = #expect(throws: ObjectFileError.self) { try input.checkUnchanged() }
      #expect(isChanged == .changedMeanwhile)
    }
    #expect(readError(at: output) == nil)
  }

  @Test func whatIsFoundInAnUnchangedInputIsSaid() async throws {
    let scratch = try Scratch()
    let path = try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o")
    let copy = try scratch.write("something else".utf8, to: "copy")
    let size = try InputFile.reading(FilePath(path)) { input in
      // The file that is read is still there, without a name.
      // SAFETY: both names are strings of the caller.
      unsafe rename(copy, path)
      return try ObjectFile(reading: input).image.count
    }
    #expect(try await soundObject(.x86_64).bytes.count == size)
    let error = #expect(throws: ObjectFileError.self) {
      try InputFile.reading(FilePath(path)) { _ in throw ObjectFileError.notElf }
    }
    #expect(error == .notElf)
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
