import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// Edits that are written into the object's own file, and what the next run makes of one that was cut short.
@Suite struct InPlaceTests {
  /// Edits an object in place, or as always where that cannot be done, and returns whether the file is still the same one.
  private func edit(_ path: String, _ plan: EditPlan? = nil) throws -> Bool {
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let edited = try EditedObject(try plan ?? addition(), of: object, from: input)
    try edited.write(to: FilePath(path), from: input, WritingOptions(isInPlace: true, isDurable: true))
    return try FilePath(path).stat().isSameFile(as: input.status)
  }

  /// An object before and after an edit.
  private func objects(_ scratch: Scratch) async throws -> (old: [UInt8], new: [UInt8]) {
    let old = try await soundObject(.x86_64).bytes
    let path = try scratch.write(old, to: "sound.o")
    try carryOut(try addition(), on: path, to: scratch.file("expected.o"))
    return (old, try bytes(of: scratch.file("expected.o")))
  }

  @Test func theOutcomeIsThatOfAReplacement() async throws {
    let scratch = try Scratch()
    let (_, new) = try await objects(scratch)
    #expect(try edit(scratch.file("sound.o")))
    #expect(try bytes(of: scratch.file("sound.o")) == new)
    #expect(scratch.contents == ["expected.o", "sound.o"])
  }

  @Test(arguments: [
    "a second name": "ln sound.o other.o", "a link": "mv sound.o other.o; ln -s other.o sound.o",
    "read-only": "chmod 444 sound.o", "set-user-ID": "chmod 4755 sound.o",
  ])
  func elseItIsReplaced(_ name: String, _ change: String) async throws {
    let scratch = try Scratch()
    let (_, new) = try await objects(scratch)
    try await require("sh", ["-c", change], in: scratch.path)
    #expect(try !edit(scratch.file("sound.o")))
    #expect(try bytes(of: scratch.file("sound.o")) == new)
    #expect(!scratch.contents.contains { $0.hasPrefix(".") })
  }

  @Test func codeIsNotPatchedInPlace() async throws {
    let scratch = try Scratch()
    _ = try await objects(scratch)
    let object = try ObjectFile(reading: InputFile(FilePath(scratch.file("sound.o"))))
    let text = try #require(object.sections.first { object.name(of: $0.index) == ".text" })
    var plan = try addition()
    plan.contentPatches = [ContentPatch(section: text.index, offset: SectionOffset(0), bytes: [0x90])]
    #expect(try !edit(scratch.file("sound.o"), plan))
  }

  /// The file as a killed edit leaves it: old or new in front, so much of the tail, a mark.
  private func killed(_ old: [UInt8], _ new: [UInt8], isCommitted: Bool, tail: Int) -> [UInt8] {
    let mark = EditMark(
      oldSize: old.count, newSize: new.count, oldHeader: Array(old[..<64]), newHeader: Array(new[..<64]),
      modified: timespec(tv_sec: 1_000_000_000, tv_nsec: 500))
    var bytes = isCommitted ? new : old + new[old.count..<old.count + tail]
    bytes += [UInt8](repeating: 0, count: EditMark.offset(behind: new.count) - bytes.count)
    return bytes + mark.bytes
  }

  @Test(arguments: [(false, 0), (false, 100), (true, 0)])
  func aKilledEditIsReadAsWhatItIs(_ isCommitted: Bool, _ tail: Int) async throws {
    let scratch = try Scratch()
    let (old, new) = try await objects(scratch)
    let path = try scratch.write(killed(old, new, isCommitted: isCommitted, tail: tail), to: "killed.o")
    let before = try Fingerprint(path)
    let input = try InputFile(FilePath(path))
    #expect(input.size == (isCommitted ? new.count : old.count))
    _ = try ObjectFile(reading: input)
    #expect(try Fingerprint(path) == before)
    // A copy is a copy of the object.
    try copyFile(input, to: FilePath(scratch.file("copy.o")))
    #expect(try bytes(of: scratch.file("copy.o")) == (isCommitted ? new : old))

    removeLeftovers(of: FilePath(path))
    #expect(try bytes(of: path) == (isCommitted ? new : old))
    let isOldTime = try FilePath(path).stat().st_mtim.tv_sec == 1_000_000_000
    #expect(isOldTime == !isCommitted, "the old object has its old time")
  }

  /// The new header changes neither the size nor, within a tick of the clock, the time.
  @Test func theEndOfAnEditIsNoticed() async throws {
    let scratch = try Scratch()
    let (old, new) = try await objects(scratch)
    let path = try scratch.write(
      killed(old, new, isCommitted: false, tail: new.count - old.count), to: "edited.o")
    let error = #expect(throws: ObjectFileError.self) {
      try InputFile.reading(FilePath(path)) { input in
        let file = try FileDescriptor.open(FilePath(path), .readWrite)
        try file.closeAfter {
          try file.writeAll(toAbsoluteOffset: 0, new[..<Header.size])
          setModificationTime(of: file, input.status.st_mtim)
        }
        _ = try ObjectFile(reading: input)
      }
    }
    #expect(error == .changedMeanwhile)
  }

  /// What only looks like a mark, or belongs to another object, is left alone.
  @Test(arguments: [0, 24, 40, 79])
  func aDamagedMarkIsNone(_ position: Int) async throws {
    let scratch = try Scratch()
    let (old, new) = try await objects(scratch)
    var bytes = killed(old, new, isCommitted: false, tail: 0)
    bytes[bytes.count - EditMark.size + position] ^= 1
    let path = try scratch.write(bytes, to: "killed.o")
    let before = try Fingerprint(path)
    #expect(try InputFile(FilePath(path)).size == bytes.count)
    removeLeftovers(of: FilePath(path))
    #expect(try Fingerprint(path) == before)
  }

  @Test func aMarkBehindAnotherObjectIsNone() async throws {
    let scratch = try Scratch()
    let (old, new) = try await objects(scratch)
    var bytes = killed(old, new, isCommitted: false, tail: 0)
    bytes[0x30] ^= 1
    let path = try scratch.write(bytes, to: "killed.o")
    let before = try Fingerprint(path)
    removeLeftovers(of: FilePath(path))
    #expect(try Fingerprint(path) == before)
  }

  @Test func whatAnotherRunIsWritingIsLeftAlone() async throws {
    let scratch = try Scratch()
    let (old, new) = try await objects(scratch)
    let path = try scratch.write(killed(old, new, isCommitted: false, tail: 9), to: "killed.o")
    let other = try FileDescriptor.open(FilePath(path), .readWrite, options: .closeOnExec)
    defer { try? other.close() }
    #expect(tryLock(other))
    let before = try Fingerprint(path)
    removeLeftovers(of: FilePath(path))
    #expect(try Fingerprint(path) == before)
    // The outcome of this run is right all the same.
    #expect(try !edit(path))
    #expect(try bytes(of: path) == new)
  }
}
