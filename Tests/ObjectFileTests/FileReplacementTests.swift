import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// How an edited object takes the place of a file, and what stays behind when it cannot.
@Suite struct FileReplacementTests {
  private func object(in scratch: Scratch, name: String = "test.o") async throws -> String {
    try scratch.write(try await soundObject(.x86_64).bytes, to: name)
  }

  private func status(_ path: String, _ format: String) async throws -> String {
    try await require("stat", ["-c", format, path]).trimmingNewline
  }

  @Test(arguments: ["644", "600", "444", "755", "4711"])
  func theModeIsKept(_ mode: String) async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    try await require("chmod", [mode, path])
    try carryOut(try addition(), on: path, to: path)
    #expect(try await status(path, "%a") == mode)
    try carryOut(try addition(), on: path, to: scratch.file("new.o"))
    #expect(try await status(scratch.file("new.o"), "%a") == mode)
    #expect(scratch.contents == ["new.o", "test.o"])
  }

  @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
  func theOwnerIsKept() async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    try await require("chown", ["1234:4321", path])
    try await require("chmod", ["6755", path])
    try carryOut(try addition(), on: path, to: path)
    #expect(try await status(path, "%u:%g %a") == "1234:4321 6755")
  }

  @Test(
    .enabled("python3 is not installed, or the file system takes no extended attributes") {
      let scratch = try Scratch()
      return try await run("python3", ["-c", "import os; os.setxattr('.', 'user.a', b'')"], in: scratch.path).status
        == 0
    })
  func extendedAttributesAreKept() async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    let set =
      "import os, sys; os.setxattr(sys.argv[1], 'user.origin', b'a\\0b'); os.setxattr(sys.argv[1], 'user.empty', b'')"
    let get =
      "import os, sys; print({name: os.getxattr(sys.argv[1], name) for name in sorted(os.listxattr(sys.argv[1]))})"
    try await require("python3", ["-c", set, path])
    for output in [path, scratch.file("new.o")] {
      try carryOut(try addition(), on: path, to: output)
      #expect(
        try await require("python3", ["-c", get, output]) == "{'user.empty': b'', 'user.origin': b'a\\x00b'}\n")
    }
  }

  /// Access lists are attributes that a directory may add: the new file has those of the old one, and no others.
  @Test(
    .enabled("python3 is not installed, or the file system has no access lists, or these are not root's rights") {
      let scratch = try Scratch()
      return try await run("python3", ["-c", Self.setAccessLists, "."], in: scratch.path).status == 0
    }, arguments: [false, true])
  func accessListsAreKeptAndNoneIsInherited(_ hasList: Bool) async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    try await require("chmod", ["640", path])
    try await require("python3", ["-c", Self.setAccessLists, scratch.path] + (hasList ? [path] : []))
    let show =
      "import os, sys; f = sys.argv[1]; print({n: os.getxattr(f, n) for n in sorted(os.listxattr(f))}, oct(os.stat(f).st_mode))"
    let before = try await require("python3", ["-c", show, path])
    #expect(before.contains("capability") == hasList)
    for output in [path, scratch.file("new.o")] {
      try carryOut(try addition(), on: path, to: output)
      #expect(try await require("python3", ["-c", show, output]) == before)
    }
  }

  /// Gives a directory a default list, and a file a list and a capability (acl(5), capabilities(7)).
  private static let setAccessLists = """
    import os, struct, sys
    def entries(*e): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *x) for x in e)
    nobody = 0xffffffff
    os.setxattr(sys.argv[1], 'system.posix_acl_default',
      entries((1, 7, nobody), (2, 6, 1234), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody)))
    for file in sys.argv[2:]:
      os.setxattr(file, 'system.posix_acl_access',
        entries((1, 6, nobody), (2, 4, 4321), (4, 4, nobody), (16, 4, nobody), (32, 0, nobody)))
      os.setxattr(file, 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 7, 0, 0, 0))
    """

  @Test func anotherNameOfTheFileKeepsTheOldContents() async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    let other = scratch.file("other.o")
    try await require("ln", [path, other])
    let (before, old) = (try Fingerprint(other), try bytes(of: path))
    try carryOut(try addition(), on: path, to: path)
    #expect(try Fingerprint(other) == before)
    #expect(try bytes(of: path) != old)
    #expect(try await status(other, "%h") == "1")
    #expect(scratch.contents == ["other.o", "test.o"])
  }

  @Test func theTargetOfASymbolicLinkIsReplacedAndTheLinkStays() async throws {
    let scratch = try Scratch()
    try await require("mkdir", ["store", "links"], in: scratch.path)
    let path = try await object(in: scratch, name: "store/test.o")
    let before = try bytes(of: path)
    try await require("ln", ["-s", "../store/test.o", "links/first.o"], in: scratch.path)
    try await require("ln", ["-s", "first.o", "links/second.o"], in: scratch.path)
    let link = scratch.file("links/second.o")
    try carryOut(try addition(), on: link, to: link)
    #expect(try await require("readlink", [link]) == "first.o\n")
    #expect(try await require("readlink", [scratch.file("links/first.o")]) == "../store/test.o\n")
    #expect(try await status(path, "%F") == "regular file")
    #expect(try bytes(of: path).count > before.count)
    #expect(
      try await require("ls", ["-A", "store", "links"], in: scratch.path)
        == "links:\nfirst.o\nsecond.o\n\nstore:\ntest.o\n")
  }

  @Test func anotherFileIsReplacedAndTheInputStays() async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    let before = try Fingerprint(path)
    let output = try scratch.write("old".utf8, to: "out.o")
    try await require("ln", [output, scratch.file("kept.o")])
    try carryOut(try addition(), on: path, to: output)
    #expect(try Fingerprint(path) == before)
    #expect(try bytes(of: scratch.file("kept.o")) == Array("old".utf8))
    #expect(readError(at: output) == nil)
    #expect(scratch.contents == ["kept.o", "out.o", "test.o"])
  }

  @Test func aFileIsReplacedInOnePiece() async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    // Whoever has the old file open goes on reading the old file.
    let old = try FileDescriptor.open(FilePath(path), .readOnly)
    defer { try? old.close() }
    try carryOut(try addition(), on: path, to: path)
    let size = try old.seek(offset: 0, from: .end)
    #expect(Int(size) == (try await soundObject(.x86_64)).bytes.count)
  }

  @Test func aCopyWithoutAnEditIsTheSame() async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    try await require("chmod", ["640", path])
    try copyFile(try InputFile(FilePath(path)), to: FilePath(scratch.file("copy.o")))
    #expect(try bytes(of: scratch.file("copy.o")) == bytes(of: path))
    #expect(try await status(scratch.file("copy.o"), "%a") == "640")
    #expect(scratch.contents == ["copy.o", "test.o"])
  }

  @Test(arguments: [200, 240, 255])
  func aNameMayBeAsLongAsTheFileSystemAllows(_ length: Int) async throws {
    let scratch = try Scratch()
    let name = String(repeating: "n", count: length - 2) + ".o"
    let path = try await object(in: scratch, name: name)
    let before = try bytes(of: path)
    try carryOut(try addition(), on: path, to: path)
    #expect(try bytes(of: path).count > before.count)
    #expect(scratch.contents == [name])
  }

  @Test(arguments: [
    ("missing/out.o", ErrorKind.system), ("directory", .unusableOutput), ("pipe", .unusableOutput),
    ("test.o/out.o", .system), ("loop", .system),
  ])
  func aFailureLeavesNothingBehind(_ output: String, _ kind: ErrorKind) async throws {
    let scratch = try Scratch()
    let path = try await object(in: scratch)
    try await require("mkdir", ["directory"], in: scratch.path)
    try await require("mkfifo", ["pipe"], in: scratch.path)
    try await require("ln", ["-s", "loop", "loop"], in: scratch.path)
    let (before, files) = (try Fingerprint(path), scratch.contents)
    let input = try InputFile(FilePath(path))
    let object = try ObjectFile(reading: input)
    let edited = try EditedObject(try addition(), of: object, from: input)
    let error = #expect(throws: ObjectFileError.self) {
      try edited.write(to: FilePath(scratch.file(output)), from: input)
    }
    #expect(error?.kind == kind)
    #expect(try Fingerprint(path) == before)
    #expect(scratch.contents == files)
    #expect(try await require("ls", ["-A", "directory"], in: scratch.path) == "")
  }
}

/// A section to append, with a relocation against the first global symbol.
func addition() throws -> EditPlan {
  var plan = EditPlan()
  plan.globalSymbols = [NewSymbol(name: Array("fresh".utf8), type: .noType, section: nil)]
  plan.addedSections = [addedSection(".added", .x86_64, [(.newGlobal(0), 0)])]
  return plan
}

extension String {
  fileprivate var trimmingNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
