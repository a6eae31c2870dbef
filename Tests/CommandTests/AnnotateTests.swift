import TestSupport
import Testing

@Suite struct AnnotateTests {
  private let source = """
    void __SCT__log(int); extern long __SCK__log; void *use = &__SCK__log;
    void caller(void) { __SCT__log(1); __SCT__log(2); }
    """

  @Test(arguments: Target.allCases)
  func writesTheTableAndSaysNothing(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.compile(source, for: target)
    let run = try await staticcall("annotate", object)
    #expect(run.status == 0)
    #expect(run.output == "")
    #expect(run.errors == "")
    #expect(try await staticcall("verify", object).status == 0)
    #expect(scratch.contents == ["test.o", "test.o.c"])
  }

  @Test(arguments: Target.allCases)
  func aSecondRunTouchesNothing(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await scratch.compile(source, for: target)
    _ = try await staticcall("annotate", object)
    let before = try Fingerprint(object)
    let run = try await staticcall("annotate", "-v", object)
    #expect(run.status == 0)
    #expect(run.output == "\(object): up to date (2 call sites of 1 key)\n")
    #expect(try Fingerprint(object) == before)
  }
}
