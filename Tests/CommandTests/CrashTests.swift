import Foundation
import TestSupport
import Testing

/// Writing under adverse conditions, through the real executable. `Scripts/kill-test.py` has the kills and the failing disks.
@Suite struct CrashTests {
  private func sample() async throws -> (scratch: Scratch, old: [UInt8], new: [UInt8]) {
    let scratch = try Scratch()
    // With a table that is larger than a page, and a local symbol for it to go by.
    let object = try await scratch.make("start: .rept 200\nCALL __SCT__a\n.endr\n" + Sample.direct)
    try #require(await staticcall("annotate", "-o", "new.o", "a.o", in: scratch.path).status == 0)
    let new = try bytes(of: scratch.file("new.o"))
    try await require("rm", ["new.o", "a.o.s"], in: scratch.path)
    return (scratch, try bytes(of: object), new)
  }

  private func shell(_ script: String, _ scratch: Scratch) async throws -> Run {
    try await run(
      "sh", ["-c", script.replacingOccurrences(of: "staticcall ", with: "\"$TOOL\" ")], in: scratch.path,
      environment: ["TOOL": staticcallPath])
  }

  @Test(arguments: [["--in-place"], ["--fsync"], ["--in-place", "--fsync"]])
  func theOutcomeIsTheSameHoweverItIsWritten(_ arguments: [String]) async throws {
    let (scratch, _, new) = try await sample()
    let inode = try await shell("stat -c %i a.o", scratch).output
    let run = try await staticcall(["annotate"] + arguments + ["a.o"], scratch)
    #expect(run.status == 0 && run.output == "" && run.errors == "")
    let isSameFile = try await shell("stat -c %i a.o", scratch).output == inode
    #expect(isSameFile == arguments.contains("--in-place"))
    #expect(try bytes(of: scratch.file("a.o")) == new)
    let again = try Fingerprint(scratch.file("a.o"))
    _ = try await staticcall(["annotate"] + arguments + ["a.o"], scratch)
    #expect(try Fingerprint(scratch.file("a.o")) == again)
    #expect(scratch.contents == ["a.o"])
  }

  @Test func aCopyMayWaitForTheDiskToo() async throws {
    let (scratch, _, new) = try await sample()
    #expect(try await staticcall("annotate", "--fsync", "-o", "out.o", "a.o", in: scratch.path).status == 0)
    #expect(try bytes(of: scratch.file("out.o")) == new)
  }

  @Test func aRunThatHasNothingToDoTidiesUpAllTheSame() async throws {
    let (scratch, _, new) = try await sample()
    try scratch.write(new, to: "a.o")
    try scratch.write("half".utf8, to: ".a.o.staticcall")
    try scratch.write("half".utf8, to: ".out.o.staticcall")
    #expect(try await staticcall("annotate", "--dry-run", "a.o", in: scratch.path).status == 0)
    #expect(try await staticcall("list", "a.o", in: scratch.path).status == 0)
    #expect(scratch.contents == [".a.o.staticcall", ".out.o.staticcall", "a.o"])
    let before = try Fingerprint(scratch.file("a.o"))
    #expect(try await staticcall("annotate", "a.o", in: scratch.path).status == 0)
    #expect(scratch.contents == [".out.o.staticcall", "a.o"])
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    #expect(try await staticcall("annotate", "-o", "out.o", "a.o", in: scratch.path).status == 0)
    #expect(scratch.contents == ["a.o", "out.o"])
  }

  /// Runs a script in the directory `files` as a user without privileges.
  private func asAnotherUser(_ script: String, _ scratch: Scratch) async throws -> Run {
    // The build may lie where that user cannot look.
    let run = try await shell(
      """
      cp "$TOOL" tool; chmod 755 . tool; cd files
      TOOL=../tool exec setpriv --reuid 1234 --clear-groups --inh-caps=-all sh -c '\(script)'
      """, scratch)
    if run.errors.contains("shared libraries") {
      try Test.cancel("another user cannot run the executable of this build")
    }
    return run
  }

  @Test(.enabled(if: getuid() == 0 && tool("setpriv") != nil, "takes root and setpriv to become another user"))
  func inADirectoryThatMayNotBeWrittenOnlyInPlaceWorks() async throws {
    let (scratch, old, new) = try await sample()
    _ = try await shell("mkdir files; cp a.o files; chown 1234 files/a.o; chmod 555 files", scratch)
    let refused = try await asAnotherUser("staticcall annotate a.o", scratch)
    #expect(refused.status == 2)
    #expect(refused.errors.hasPrefix("a.o: error: cannot make a file in "), "\(refused.errors)")
    #expect(refused.errors.contains("--in-place"), "\(refused.errors)")
    #expect(try bytes(of: scratch.file("files/a.o")) == old)
    let done = try await asAnotherUser("staticcall annotate --in-place a.o", scratch)
    #expect(done.status == 0, "\(done.errors)")
    #expect(try bytes(of: scratch.file("files/a.o")) == new)
  }

  /// A file that was to run as its owner must not run as whoever replaced it.
  @Test(.enabled(if: getuid() == 0 && tool("setpriv") != nil, "takes root and setpriv to become another user"))
  func anotherOwnerDoesNotGetTheSetUserIDBit() async throws {
    let (scratch, _, new) = try await sample()
    _ = try await shell("mkdir files; cp a.o files; chmod 777 files; chmod 6755 files/a.o", scratch)
    let run = try await asAnotherUser("staticcall annotate a.o", scratch)
    #expect(run.status == 0, "\(run.errors)")
    let status = try await shell("stat -c \"%u %a\" files/a.o", scratch)
    // The group stays where that user is in it.
    #expect(["1234 755\n", "1234 2755\n"].contains(status.output), "\(status.output)")
    #expect(try bytes(of: scratch.file("files/a.o")) == new)
  }

  /// Runs a script that may mount file systems, which are gone at its end.
  private func mounting(_ script: String, _ scratch: Scratch) async throws -> Run {
    let run = try await shell("unshare -m sh -c '\(script)'", scratch)
    if run.status == 77 { try Test.cancel("no file system may be mounted here") }
    return run
  }

  @Test(.enabled(if: getuid() == 0, "takes root to mount a file system"), arguments: ["", "--in-place"])
  func aFullAndAReadOnlyDiskLeaveEverythingAsItIs(_ option: String) async throws {
    let (scratch, _, _) = try await sample()
    let run = try await mounting(
      """
      mkdir disk; mount -t tmpfs -o size=32k none disk || exit 77
      cp a.o disk; head -c 32k /dev/zero > disk/filler 2> /dev/null
      staticcall annotate \(option) disk/a.o; echo $?
      mount -o remount,ro disk
      staticcall annotate \(option) disk/a.o; echo $?
      cmp a.o disk/a.o && ls -A disk
      """, scratch)
    #expect(run.output == "2\n2\na.o\nfiller\n")
    #expect(run.errors.contains("No space left on device"), "\(run.errors)")
    #expect(run.errors.contains("Read-only file system"), "\(run.errors)")
  }

  @Test(.enabled(if: getuid() == 0, "takes root to mount a file"))
  func aFileThatIsMountedCanOnlyBeWrittenInPlace() async throws {
    let (scratch, old, new) = try await sample()
    try scratch.write(old, to: "old.o")
    let run = try await mounting(
      """
      touch mounted.o; mount --bind a.o mounted.o || exit 77
      staticcall annotate mounted.o; echo $?
      cmp a.o old.o && staticcall annotate --in-place mounted.o; echo $?
      """, scratch)
    #expect(run.output == "2\n0\n")
    #expect(run.errors.contains("Device or resource busy"), "\(run.errors)")
    #expect(try bytes(of: scratch.file("a.o")) == new)
    #expect(scratch.contents == ["a.o", "mounted.o", "old.o"])
  }

  /// Layers of which only the upper one can be written, as in a container.
  @Test(.enabled(if: getuid() == 0, "takes root to mount a file system"), arguments: ["", "--in-place"])
  func anObjectInALowerLayerIsCopiedUp(_ option: String) async throws {
    let (scratch, old, new) = try await sample()
    try scratch.write(new, to: "new.o")
    let run = try await mounting(
      """
      mkdir lower merged upper; mount -t tmpfs none upper || exit 77
      mkdir upper/files upper/work; cp a.o lower
      mount -t overlay -o lowerdir=lower,upperdir=upper/files,workdir=upper/work none merged || exit 77
      staticcall annotate \(option) merged/a.o; echo $?
      cmp merged/a.o new.o && ls -A merged upper/files
      """, scratch)
    #expect(run.output == "0\nmerged:\na.o\n\nupper/files:\na.o\n", "\(run.errors)")
    #expect(try bytes(of: scratch.file("lower/a.o")) == old)
  }

  @Test(.enabled(if: getuid() == 0, "takes root to make a file immutable"))
  func anImmutableFileIsAnError() async throws {
    let (scratch, old, _) = try await sample()
    guard try await shell("chattr +i a.o", scratch).status == 0 else {
      try Test.cancel("this file system has no immutable files")
    }
    let runs = [
      try await staticcall(["annotate", "a.o"], scratch),
      try await staticcall(["annotate", "--in-place", "a.o"], scratch),
    ]
    _ = try await shell("chattr -i a.o", scratch)
    for run in runs {
      #expect(run.status == 2)
      #expect(run.errors.contains("Operation not permitted [SC010]"), "\(run.errors)")
    }
    #expect(try bytes(of: scratch.file("a.o")) == old)
    #expect(scratch.contents == ["a.o"])
  }

  @Test func linksToNothingAreFollowedToTheirEnd() async throws {
    let (scratch, _, new) = try await sample()
    _ = try await shell("mkdir d; ln -s d/second first; ln -s ../third d/second", scratch)
    #expect(try await staticcall("annotate", "-o", "first", "a.o", in: scratch.path).status == 0)
    #expect(try bytes(of: scratch.file("third")) == new)
    #expect(try await shell("readlink first d/second", scratch).output == "d/second\n../third\n")
    #expect(scratch.contents == ["a.o", "d", "first", "third"])
  }

  @Test func standardOutputThatIsAFileIsAFile() async throws {
    let (scratch, _, new) = try await sample()
    #expect(try await shell("staticcall annotate -o /dev/stdout a.o > out.o", scratch).status == 0)
    #expect(try bytes(of: scratch.file("out.o")) == new)
    let pipe = try await shell("staticcall annotate -o /dev/stdout a.o | cat", scratch)
    #expect(pipe.errors == "a.o: error: cannot write: /dev/stdout is a pipe, not a regular file [SC010]\n")
    #expect(scratch.contents == ["a.o", "out.o"])
  }

  /// Many runs at once: each does its work or says why not, and the object is whole. Whoever reads it finds the old one or the new one.
  @Test(arguments: [["", ""], ["--in-place", "--in-place"], ["", "--in-place"]])
  func manyRunsOnOneObjectDoNotHarmIt(_ options: [String]) async throws {
    let (scratch, old, new) = try await sample()
    let script = """
      for i in 1 2 3 4; do
        for option in '\(options[0])' '\(options[1])'; do (staticcall annotate $option a.o 2>&1; echo "code $?") & done
        (staticcall verify a.o; staticcall list a.o) 2>&1 | grep -o '\\[SC[0-9]*\\]' | sort -u &
      done; wait
      """
    for _ in 0..<5 {
      try scratch.write(old, to: "a.o")
      let run = try await shell(script, scratch)
      for line in run.output.split(separator: "\n") {
        // The old object has no table: SC102 says so.
        let isExpected =
          ["code 0", "code 2", "[SC102]"].contains(line) || line.contains("[SC009]") || line.hasPrefix("  ")
        #expect(isExpected, "\(line)")
      }
      #expect(scratch.contents == ["a.o"])
      #expect(try await staticcall("annotate", "a.o", in: scratch.path).status == 0)
      #expect(try bytes(of: scratch.file("a.o")) == new)
    }
  }

  /// Whoever reads only the beginning ends the run, but does not silence it.
  @Test func aClosedPipeDoesNotSwallowComplaints() async throws {
    let (scratch, _, _) = try await sample()
    try scratch.write("text".utf8, to: "b.o")
    let run = try await shell("(sleep 0.3; staticcall list a.o b.o; echo code $? >&2) | exec true", scratch)
    #expect(run.errors.hasPrefix("b.o: error: not an ELF file [SC002]\n"), "\(run.errors)")
    #expect(run.errors.hasSuffix("\ncode 141\n") && !run.errors.contains("standard output"), "\(run.errors)")
    let ignoring = try await shell(
      "trap '' PIPE; (sleep 0.3; staticcall list a.o; echo code $? >&2) | exec true", scratch)
    #expect(ignoring.errors == "staticcall: error: cannot write to standard output: Broken pipe\ncode 2\n")
  }

  @Test func theTwoWaysExcludeEachOther() async throws {
    let (scratch, _, _) = try await sample()
    let run = try await staticcall("annotate", "--in-place", "-o", "out.o", "a.o", in: scratch.path)
    #expect(run.status == 64)
    #expect(run.errors.hasPrefix("Error: -o and --in-place exclude each other."))
  }
}
