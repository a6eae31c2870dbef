import CLinux
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// What stands under the temporary name of an object when a run begins.
@Suite struct LeftoverTests {
  private func sample() async throws -> (scratch: Scratch, path: String) {
    let scratch = try Scratch()
    return (scratch, try scratch.write(try await soundObject(.x86_64).bytes, to: "test.o"))
  }

  @Test(arguments: ["", "half of an obj"])
  func anAbandonedFileIsRemoved(_ contents: String) async throws {
    let (scratch, path) = try await sample()
    try scratch.write(contents.utf8, to: ".test.o.staticcall")
    removeLeftovers(of: FilePath(path))
    #expect(scratch.contents == ["test.o"])
  }

  @Test func itIsFoundThroughALink() async throws {
    let (scratch, _) = try await sample()
    try await require("sh", ["-c", "mkdir links; ln -s ../test.o links/test.o"], in: scratch.path)
    try scratch.write([], to: ".test.o.staticcall")
    removeLeftovers(of: FilePath(scratch.file("links/test.o")))
    #expect(scratch.contents == ["links", "test.o"])
  }

  @Test func anAbandonedFileIsNotInTheWay() async throws {
    let (scratch, path) = try await sample()
    try scratch.write([], to: ".test.o.staticcall")
    try carryOut(try addition(), on: path, to: path)
    #expect(scratch.contents == ["test.o"])
  }

  @Test func aFileThatAnotherRunWritesIsLeftAlone() async throws {
    let (scratch, path) = try await sample()
    let before = try Fingerprint(path)
    let waiting = FilePath(try scratch.write([], to: ".test.o.staticcall"))
    let other = try FileDescriptor.open(waiting, .readWrite, options: .closeOnExec)
    #expect(tryLock(other))
    removeLeftovers(of: FilePath(path))
    let error = #expect(throws: ObjectFileError.self) { try carryOut(try addition(), on: path, to: path) }
    #expect(error == .inUse(waiting))
    #expect(try Fingerprint(path) == before)
    #expect(scratch.contents == [".test.o.staticcall", "test.o"])
    // Closing is not enough: a process that another test starts at this moment has the descriptor, too, until its exec.
    #expect(staticcall_flock(other.rawValue, LOCK_UN) == 0)
    try other.close()
    try carryOut(try addition(), on: path, to: path)
    #expect(scratch.contents == ["test.o"])
  }

  /// In a directory that others may write to, anything may stand there. Nothing is done to it.
  @Test(arguments: ["mkfifo .test.o.staticcall", "ln -s victim .test.o.staticcall", "mkdir .test.o.staticcall"])
  func whatIsNoFileIsAnError(_ command: String) async throws {
    let (scratch, path) = try await sample()
    try scratch.write("precious".utf8, to: "victim")
    try await require("sh", ["-c", command], in: scratch.path)
    let (before, names) = (try Fingerprint(path), scratch.contents)
    removeLeftovers(of: FilePath(path))
    let error = #expect(throws: ObjectFileError.self) { try carryOut(try addition(), on: path, to: path) }
    #expect(error?.message.contains("in the way") == true)
    #expect(try Fingerprint(path) == before)
    #expect(try bytes(of: scratch.file("victim")) == Array("precious".utf8))
    #expect(scratch.contents == names)
  }

  @Test(arguments: ["n.o", String(repeating: "n", count: 243), String(repeating: "ü", count: 127)])
  func theNameFitsAndIsTheObjectsOwn(_ name: String) {
    func temporaryName(_ name: String) -> String {
      String(decoding: Destination.temporaryName(for: Array(name.utf8)), as: UTF8.self)
    }
    let temporary = temporaryName(name)
    #expect(temporary.utf8.count <= 255)
    #expect(temporary.hasPrefix(".\(name.first ?? "?")") && temporary.hasSuffix(".staticcall"))
    #expect(temporary != temporaryName(name + "x"))
    #expect(temporary != temporaryName("x" + name))
  }

  /// Where files without a name are not supported, everything happens under the temporary name.
  @Test func aFileIsMadeWithANameWhereItMust() async throws {
    let (scratch, path) = try await sample()
    let input = try InputFile(FilePath(path))
    try scratch.write([1, 2, 3], to: ".test.o.staticcall")
    var output = try OutputFile(for: try Destination(FilePath(path)), isNameless: false)
    try output.copyContents(of: input)
    #expect(scratch.contents == [".test.o.staticcall", "test.o"])
    #expect(try output.takeTemporaryName())
    #expect(throws: ObjectFileError.inUse(FilePath(scratch.file(".test.o.staticcall")))) {
      _ = try OutputFile(for: try Destination(FilePath(path)), isNameless: false)
    }
    try output.takeName()
    #expect(scratch.contents == ["test.o"])
    #expect(try !FilePath(path).stat().isSameFile(as: input.status))
  }

  /// Someone writes the object between the last look at it and the exchange: what was displaced goes back.
  @Test func whatWasDisplacedAndIsNotTheOldObjectGoesBack() async throws {
    let (scratch, path) = try await sample()
    let input = try InputFile(FilePath(path))
    var output = try OutputFile(for: try Destination(FilePath(path)), isNameless: true)
    try output.copyContents(of: input)
    #expect(try output.takeTemporaryName())
    try await require("sh", ["-c", "sleep 0.02; echo more >> test.o"], in: scratch.path)
    let changed = try Fingerprint(path)
    #expect(throws: ObjectFileError.changedMeanwhile) { try output.takeName() }
    output.removeTemporaryName()
    #expect(try Fingerprint(path) == changed)
    #expect(scratch.contents == ["test.o"])
  }
}
