import Foundation
import TestSupport
import Testing

/// Where annotate writes, and how: one complete file under the name that was asked for, or nothing.
@Suite struct OutputTests {
  private func attributes(_ path: String) throws -> (mode: Int?, type: FileAttributeType?) {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return ((attributes[.posixPermissions] as? NSNumber)?.intValue, attributes[.type] as? FileAttributeType)
  }

  @Test(arguments: Target.allCases)
  func aCopyIsAsGoodAsTheObjectInPlace(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, for: target)
    let before = try Fingerprint(scratch.file("a.o"))
    let run = try await staticcall("annotate", "-o", "out.o", "a.o", in: scratch.path)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(scratch.contents == ["a.o", "a.o.s", "out.o"])
    try #require(await staticcall("annotate", "a.o", in: scratch.path).status == 0)
    #expect(try bytes(of: scratch.file("out.o")) == bytes(of: scratch.file("a.o")))
  }

  /// A build that names the output goes on with it, whether or not there was something to do.
  @Test(arguments: ["ret", Sample.direct])
  func anObjectThatNeedsNoChangeIsCopied(_ source: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(source)
    try #require(await staticcall("annotate", "a.o", in: scratch.path).status == 0)
    try await require("chmod", ["750", scratch.file("a.o")])
    let run = try await staticcall("annotate", "-o", "out.o", "a.o", in: scratch.path)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
    #expect(try bytes(of: scratch.file("out.o")) == bytes(of: scratch.file("a.o")))
    #expect(try attributes(scratch.file("out.o")).mode == 0o750)
  }

  @Test func theInputsOwnNameMeansInPlace() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try await scratch.make(Sample.direct, "b.o")
    try #require(await staticcall("annotate", "-o", "a.o", "a.o", in: scratch.path).status == 0)
    try #require(await staticcall("annotate", "b.o", in: scratch.path).status == 0)
    #expect(try bytes(of: scratch.file("a.o")) == bytes(of: scratch.file("b.o")))
    let before = try Fingerprint(scratch.file("a.o"))
    try #require(await staticcall("annotate", "-o", "./a.o", "a.o", in: scratch.path).status == 0)
    #expect(try Fingerprint(scratch.file("a.o")) == before)
  }

  @Test func anExistingOutputIsReplaced() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try scratch.write("something longer than the object".utf8, to: "out.o")
    let run = try await staticcall("annotate", "-o", "out.o", "a.o", in: scratch.path)
    #expect(run.status == 0)
    #expect(try await staticcall("verify", "--strict", "out.o", in: scratch.path).status == 0)
    #expect(scratch.contents == ["a.o", "a.o.s", "out.o"])
  }

  @Test(arguments: ["annotate a.o", "annotate -o link.o b.o"])
  func aSymbolicLinkStaysAndItsTargetChanges(_ command: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, "b.o")
    try await require("mkdir", ["elsewhere"], in: scratch.path)
    try await require("cp", ["b.o", "elsewhere/target.o"], in: scratch.path)
    try await require("ln", ["-s", "elsewhere/target.o", "a.o"], in: scratch.path)
    try await require("ln", ["-s", "elsewhere/target.o", "link.o"], in: scratch.path)
    let run = try await run(staticcallPath, command.split(separator: " ").map(String.init), in: scratch.path)
    #expect(run.status == 0)
    #expect(try attributes(scratch.file("a.o")).type == .typeSymbolicLink)
    #expect(try attributes(scratch.file("link.o")).type == .typeSymbolicLink)
    #expect(try await staticcall("verify", "elsewhere/target.o", in: scratch.path).status == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.file("elsewhere"))
    #expect(names == ["target.o"])
  }

  @Test func aLinkToNothingStaysALink() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try await require("ln", ["-s", "target.o", "link.o"], in: scratch.path)
    _ = try await staticcall("annotate", "-o", "link.o", "a.o", in: scratch.path)
    #expect(try attributes(scratch.file("link.o")).type == .typeSymbolicLink)
  }

  @Test func otherNamesOfAHardLinkKeepTheOldObject() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let before = try bytes(of: scratch.file("a.o"))
    try await require("ln", ["a.o", "other.o"], in: scratch.path)
    try #require(await staticcall("annotate", "a.o", in: scratch.path).status == 0)
    #expect(try bytes(of: scratch.file("other.o")) == before)
    #expect(try await staticcall("verify", "a.o", in: scratch.path).status == 0)
  }

  @Test(arguments: [0o644, 0o600, 0o755, 0o440])
  func theModeIsKept(_ mode: Int) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try await require("chmod", [String(mode, radix: 8), "a.o"], in: scratch.path)
    try #require(await staticcall("annotate", "a.o", in: scratch.path).status == 0)
    #expect(try attributes(scratch.file("a.o")).mode == mode)
  }

  struct BadOutput: CustomStringConvertible, Sendable {
    var description: String
    var message: String
  }

  @Test(arguments: [
    BadOutput(
      description: "/dev/null", message: "a.o: error: cannot write: /dev/null is a device, not a regular file [SC010]\n"
    ),
    BadOutput(
      description: "/dev/full", message: "a.o: error: cannot write: /dev/full is a device, not a regular file [SC010]\n"
    ),
    BadOutput(
      description: "directory",
      message: "a.o: error: cannot write: directory is a directory, not a regular file [SC010]\n"),
    BadOutput(description: "pipe", message: "a.o: error: cannot write: pipe is a pipe, not a regular file [SC010]\n"),
  ])
  func onlyARegularFileIsReplaced(_ output: BadOutput) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    try await require("mkdir", ["directory"], in: scratch.path)
    try await require("mkfifo", ["pipe"], in: scratch.path)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    let run = try await staticcall("annotate", "-o", output.description, "a.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors == output.message)
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(scratch.contents == names)
    #expect(try attributes("/dev/null").type == .typeCharacterSpecial)
  }

  @Test(arguments: ["nowhere/out.o", "a.o/out.o", "/proc/out.o"])
  func aDirectoryThatCannotBeWrittenIsAnError(_ output: String) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    let run = try await staticcall("annotate", "-o", output, "a.o", in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors.hasPrefix("a.o: error: cannot ") && run.errors.hasSuffix(" [SC010]\n"), "\(run.errors)")
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(scratch.contents == names)
  }

  @Test(.enabled(if: getuid() != 0, "root may write everywhere"), arguments: [["a.o"], ["-o", "out.o", "../a.o"]])
  func aDirectoryThatMayNotBeWrittenIsAnError(_ arguments: [String]) async throws {
    let scratch = try Scratch()
    try await require("mkdir", [scratch.file("locked")])
    try await scratch.make(Sample.direct)
    try await require("cp", ["a.o", "locked/a.o"], in: scratch.path)
    try await require("chmod", ["555", scratch.file("locked")])
    let run = try await run(staticcallPath, ["annotate"] + arguments, in: scratch.file("locked"))
    try await require("chmod", ["755", scratch.file("locked")])
    #expect(run.status == 2)
    #expect(run.errors.contains("Permission denied [SC010]"), "\(run.errors)")
    #expect(try bytes(of: scratch.file("locked/a.o")) == bytes(of: scratch.file("a.o")))
  }

  /// A limit on the size of files stands in for a full disk.
  @Test(arguments: [["a.o"], ["-o", "out.o", "a.o"]])
  func aFullDiskIsAnErrorThatLeavesNothingBehind(_ arguments: [String]) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct + "\n.zero 4096")
    let before = try Fingerprint(scratch.file("a.o"))
    let names = scratch.contents
    let script = "ulimit -f 1; trap '' XFSZ; exec '\(staticcallPath)' annotate \(arguments.joined(separator: " "))"
    let run = try await run("sh", ["-c", script], in: scratch.path)
    #expect(run.status == 2)
    #expect(run.errors.contains("File too large [SC010]"), "\(run.errors)")
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(scratch.contents == names)
  }
}
