import TestSupport
import Testing

/// Several objects in one run, and runs that must agree with one another.
@Suite struct BatchTests {
  @Test(arguments: [[], ["-j", "1"], ["-j", "4"], ["--jobs", "100"]])
  func oneBadObjectDoesNotStopTheOthers(_ jobs: [String]) async throws {
    let scratch = try Scratch()
    let names = (0..<6).map { "o\($0).o" }
    for name in names { try await scratch.make(Sample.direct, name) }
    try scratch.write("text".utf8, to: "o2.o")
    let run = try await staticcall(["annotate", "-v"] + jobs + names + ["gone.o"], scratch)
    #expect(run.status == 2)
    #expect(
      run.errors == """
        o2.o: error: not an ELF file [SC002]
          Give it the object that the compiler wrote (cc -c).
        gone.o: error: cannot open the file: No such file or directory [SC001]

        """)
    let good = names.filter { $0 != "o2.o" }
    #expect(
      run.output == good.map { "\($0): 2 call sites of 2 keys; table of 2 entries written\n" }.joined(),
      "reports are in the order of the arguments")
    #expect(try await staticcall(["verify"] + good, scratch).status == 0)
  }

  @Test func theWorstOutcomeCounts() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, "plain.o")
    try await scratch.make(Sample.direct, "good.o")
    try #require(await staticcall(["annotate", "good.o"], scratch).status == 0)
    #expect(try await staticcall(["verify", "good.o"], scratch).status == 0)
    #expect(try await staticcall(["verify", "good.o", "plain.o"], scratch).status == 1)
    #expect(try await staticcall(["verify", "gone.o", "plain.o"], scratch).status == 2)
    #expect(try await staticcall(["verify", "good.o", "gone.o"], scratch).status == 2)
    #expect(try await staticcall(["list", "good.o", "gone.o"], scratch).status == 2)
  }

  /// Nothing can be well about an object that could not be read.
  @Test func aSummaryDoesNotPraiseWhatWasNotChecked() async throws {
    let scratch = try Scratch()
    let run = try await staticcall(["verify", "-v", "gone.o"], scratch)
    #expect(run.status == 2)
    #expect(!run.output.contains("all is well"), "\(run.output)")
  }

  @Test func anObjectThatIsNamedTwiceIsHandledOnce() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let run = try await staticcall(["annotate", "-v", "a.o", "a.o", "-j", "2"], scratch)
    #expect(run.status == 0)
    #expect(run.output == "a.o: 2 call sites of 2 keys; table of 2 entries written\n")
  }

  @Test func aSecondNameOfAnObjectInOneRunDoesNoHarm() async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct)
    let names = scratch.contents
    _ = try await staticcall(["annotate", "a.o", "./a.o", "-j", "2"], scratch)
    #expect(try await staticcall(["verify", "a.o"], scratch).status == 0)
    #expect(scratch.contents == names)
  }

  @Test(arguments: Target.allCases)
  func aSecondRunTouchesNothing(_ target: Target) async throws {
    let scratch = try Scratch()
    try await scratch.make(Sample.direct, for: target)
    for options in [[], ["-j", "3"], ["--strict"], ["--rebuild"], ["--module"], ["--add-missing-keys"]] {
      try #require(await staticcall(["annotate", "a.o"] + options, scratch).status == 0)
      let before = try Fingerprint(scratch.file("a.o"))
      try #require(await staticcall(["annotate", "a.o"] + options, scratch).status == 0)
      #expect(try Fingerprint(scratch.file("a.o")) == before, "\(options)")
    }
  }

  @Test(arguments: Target.allCases)
  func theSameObjectGivesTheSameBytesEverywhere(_ target: Target) async throws {
    let first = try Scratch()
    let second = try Scratch()
    let names = (0..<4).map { "o\($0).o" }
    for (number, name) in names.enumerated() {
      let extra = (0...number).map { "\n.text\nCALL __SCT__n\($0)" }.joined()
      let object = try await first.make(Sample.direct + extra, name, for: target)
      try second.write(bytes(of: object), to: name)
    }
    try #require(await staticcall(["annotate", "--add-missing-keys", "-j", "1"] + names, first).status == 0)
    try #require(
      await staticcall(["annotate", "--add-missing-keys", "-j", "4"] + names.reversed(), second).status == 0)
    for name in names { #expect(try bytes(of: first.file(name)) == bytes(of: second.file(name)), "\(name)") }
  }

  @Test(arguments: Target.allCases)
  func aCombinedObjectCanBeAnnotatedAgain(_ target: Target) async throws {
    let scratch = try Scratch()
    let source = Sample.direct.split(separator: "\n").filter { !$0.contains(".globl") }.joined(separator: "\n")
    try await scratch.make(source, "a.o", for: target)
    try await scratch.make(source, "b.o", for: target)
    try #require(await staticcall(["annotate", "a.o"], scratch).status == 0)
    _ = try await scratch.combine([scratch.file("a.o"), scratch.file("b.o")], name: "c.o")
    #expect(try await staticcall(["verify", "c.o"], scratch).status == 1)
    let completed = try await staticcall(["annotate", "-v", "c.o"], scratch)
    #expect(completed.status == 0)
    #expect(completed.output.contains("2 of them new"), "\(completed.output)")
    #expect(try await staticcall(["verify", "--strict", "c.o"], scratch).status == 0)
    let before = try Fingerprint(scratch.file("c.o"))
    try #require(await staticcall(["annotate", "c.o"], scratch).status == 0)
    #expect(try Fingerprint(scratch.file("c.o")) == before)
  }

  /// Large objects are copied on another thread while they are examined.
  @Test(arguments: [1, 2, 7])
  func largeObjectsComeOutLikeSmallOnes(_ count: Int) async throws {
    let scratch = try Scratch()
    let names = (0..<count).map { "o\($0).o" }
    for name in names { try await scratch.make(Sample.direct + "\n.space 5 << 20, 7", name) }
    let before = try bytes(of: scratch.file("o0.o"))
    #expect(try await staticcall(["annotate", "-o", "new.o", "o0.o"], scratch).status == 0)
    #expect(try bytes(of: scratch.file("o0.o")) == before)
    #expect(try await staticcall(["annotate", "--in-place", "o0.o"], scratch).status == 0)
    let after = try bytes(of: scratch.file("o0.o"))
    #expect(after.count > before.count && after != before)
    try scratch.write(before, to: "o0.o")
    #expect(try await staticcall(["annotate", "-j", "4"] + names, scratch).status == 0)
    for name in names + ["new.o"] { #expect(try bytes(of: scratch.file(name)) == after, "\(name)") }
    // No change is needed: under another name it is a copy.
    #expect(try await staticcall(["annotate", "-o", "again.o", "o0.o"], scratch).status == 0)
    #expect(try bytes(of: scratch.file("again.o")) == after)
    #expect(scratch.contents.filter { !$0.hasSuffix(".s") } == (names + ["again.o", "new.o"]).sorted())
  }

  @Test func aLargeObjectThatIsRefusedLeavesNothing() async throws {
    let scratch = try Scratch()
    try await scratch.make("CALL __SCT__a\n.space 5 << 20, 7")
    let names = scratch.contents
    for options in [[], ["-o", "b.o"]] {
      #expect(try await staticcall(["annotate"] + options + ["a.o"], scratch).status == 2)
      #expect(scratch.contents == names)
    }
  }
}
