import Foundation
import TestSupport
import Testing

/// What compilers make of calls that cannot be made direct: none is left behind without a word, and nothing else is taken for one.
@Suite struct LeftBehindTests {
  struct Program: CustomStringConvertible, Sendable {
    var description: String
    var compiler: [String]
    var source: String

    init(_ description: String, _ compiler: String, _ source: String) {
      self.description = "\(description): \(compiler)"
      self.compiler = compiler.split(separator: " ").map(String.init)
      self.source = source
    }
  }

  private static let keys = "extern char __SCK__f[], __SCK__g[]; void *keys[] = {__SCK__f, __SCK__g};\n"

  private static let selected = """
    extern int __SCT__f(int), __SCT__g(int);
    int select(int c, int a) { return (c ? __SCT__f : __SCT__g)(a) + 1; }
    """

  private static let kept = """
    extern void __SCT__f(int *);
    static __attribute__((noinline)) int leaf(int *p) { return *p += 1; }
    void over(int *p) { void (*q)(int *) = __SCT__f; asm("" : "+r"(q)); leaf(p); q(p); }
    """

  private static let cleared = """
    extern void __SCT__f(void *);
    struct large { long a[97]; void *next; };
    void query(struct large *);
    void loop(struct large *p) {
      struct large s = {0};
      s.next = p->next;
      __SCT__f(p);
      for (struct large *i = s.next; i; i = i->next) { asm volatile("vmcall"); __SCT__f(i); }
      query(&s);
      __SCT__f(&s);
    }
    """

  private static let local = """
    extern int __SCT__f(int), __SCT__g(int);
    int through(int c, int a) { int (*p)(int) = __SCT__f; if (c) p = __SCT__g; return p(a); }
    """

  private static let left = [
    Program("a selection", "aarch64-linux-gnu-gcc -O2", selected),
    Program("a selection", "clang --target=aarch64-linux-gnu -O2", selected),
    Program("a selection", "gcc -Os", selected), Program("a selection", "clang -O2", selected),
    Program("over a call", "gcc -O2", kept), Program("over a call", "gcc -O2 -ffunction-sections", kept),
    Program("over a call", "clang --target=aarch64-linux-gnu -O2", kept),
    Program("an unknown instruction", "gcc -O2 -mcmodel=large -fno-pic", cleared),
    Program("an unknown instruction", "gcc -O2 -fPIC -fno-plt -mindirect-branch=thunk", cleared),
    Program("thunks in line", "gcc -O2 -fPIC -fno-plt -mindirect-branch=thunk-inline", selected),
    Program("thunks in line", "gcc -O2 -fPIC -fno-plt -mindirect-branch=thunk-inline", kept),
    Program("a local variable", "gcc -O0", local), Program("a local variable", "clang -O0", local),
    Program("a local variable", "aarch64-linux-gnu-gcc -O0", local),
    Program("a local variable", "clang --target=aarch64-linux-gnu -O0", local),
  ]

  @Test(.enabled(if: Target.haveAllTools, "a compiler is not installed"), arguments: left)
  func aCallThatIsLeftBehindIsSaid(_ program: Program) async throws {
    let scratch = try Scratch()
    try await compile(program, in: scratch)
    let before = try Fingerprint(scratch.file("a.o"))
    let run = try await staticcall(["annotate", "--strict", "a.o"], scratch)
    #expect(run.status == 1, "\(run.errors)")
    #expect(run.errors.contains("a.o: warning: "), "\(run.errors)")
    #expect(try Fingerprint(scratch.file("a.o")) == before)
    _ = try await staticcall(["annotate", "-q", "a.o"], scratch)
    #expect(try await staticcall(["verify", "a.o"], scratch).status == 0)
    let strict = try await staticcall(["verify", "--strict", "a.o"], scratch)
    #expect(strict.status == 1, "\(strict.output)")
    try await checkAccount(in: scratch) { $0.left != 0 }
  }

  /// Callbacks beside calls through other pointers.
  private static let callbacks = """
    extern int __SCT__f(int), __SCT__g(int);
    typedef int (*fn)(int);
    struct ops { fn a, b; };
    void use(const void *), seven(int, int, int, int, int, int, fn);
    int argument(fn cb, int x) { use(__SCT__f); return cb(x); }
    int store(struct ops *o, int x) { o->a = __SCT__f; return o->b(x); }
    int aggregate(struct ops *o, int x) { struct ops s = {__SCT__f, __SCT__g}; use(&s); return o->b(x) + o->a(2); }
    int compare(struct ops *o, int x) { if (o->a == __SCT__f) x++; return o->b(x) + o->a(x); }
    fn result(struct ops *o, int x) { o->b(x); return __SCT__f; }
    void stacked(void) { seven(1, 2, 3, 4, 5, 6, __SCT__f); }
    int cases(struct ops *o, int x) {
      switch (x) {
      case 0: use(__SCT__f); break;
      case 1: o->a(4); break;
      case 2: o->b(2); use(o); break;
      case 3: seven(1, 2, 3, 4, 5, 6, __SCT__g); break;
      case 4: return o->b(7);
      case 5: use(0);
      }
      return o->a(1);
    }
    """

  @Test(
    .enabled(if: Target.haveAllTools, "a compiler is not installed"),
    arguments: [
      "gcc -O0", "gcc -O2", "gcc -Os -fPIC", "gcc -O2 -fPIC -fno-plt -mindirect-branch=thunk",
      "gcc -O2 -mcmodel=large -fno-pic",
      "clang -O0", "clang -O2", "clang -O2 -mretpoline", "aarch64-linux-gnu-gcc -O0", "aarch64-linux-gnu-gcc -O2",
      "clang --target=aarch64-linux-gnu -O0", "clang --target=aarch64-linux-gnu -O2",
    ].map { Program("callbacks", $0, callbacks) })
  func anAddressThatIsHandedOnIsNoWarning(_ program: Program) async throws {
    let scratch = try Scratch()
    try await compile(program, in: scratch)
    let run = try await staticcall(["annotate", "--strict", "a.o"], scratch)
    #expect((run.status, run.output, run.errors) == (0, "", ""))
    let strict = try await staticcall(["verify", "--strict", "a.o"], scratch)
    #expect((strict.status, strict.output) == (0, ""))
    try await checkAccount(in: scratch) { $0.left == 0 && $0.noCall == $0.references }
  }

  /// `data16 rex.W call *T@GOTPCREL(%rip)`, as code for thread-local storage calls `__tls_get_addr`.
  @Test func aCallWithThePrefixesOfThreadLocalStorageIsListed() async throws {
    let scratch = try Scratch()
    try await scratch.make("caller: .byte 0x66, 0x48\ncall *__SCT__a@GOTPCREL(%rip)\nret\n.data\n.quad __SCK__a")
    let run = try await staticcall(["annotate", "--strict", "a.o"], scratch)
    #expect(run.status == 1)
    #expect(run.errors.contains("[SC036]"), "\(run.errors)")
  }

  /// One line says it all.
  @Test func theSummaryAddsUp() async throws {
    let scratch = try Scratch()
    try await scratch.make(
      """
      caller: call __SCT__a
      call *__SCT__a@GOTPCREL(%rip)
      mov __SCT__b@GOTPCREL(%rip), %rbx
      vmcall
      call *%rbx
      cmp __SCT__b@GOTPCREL(%rip), %rax
      jrcxz __SCT__a
      ret
      .data
      .p2align 3
      .quad __SCK__a, __SCK__b
      """)
    let expected =
      "\n  5 references in code: 1 is not in the table yet, 1 can be made direct, 1 stays behind (SC034), "
      + "1 stays behind (SC055), 1 is no call (1 compared)\n"
    let before = try await staticcall("list", "--summary", "a.o", in: scratch.path)
    #expect(before.output.contains(expected), "\(before.output)")
    _ = try await staticcall(["annotate", "-q", "a.o"], scratch)
    let after = try await staticcall("list", "--summary", "a.o", in: scratch.path)
    #expect(
      after.output.contains("\n  5 references in code: 2 are in the table, 1 stays behind (SC034)"), "\(after.output)")
    try await checkAccount(in: scratch) { $0.references == 5 }
    let key = try await staticcall("list", "--summary", "-k", "b", "a.o", in: scratch.path)
    #expect(key.output.contains("\n  2 references in code: "), "\(key.output)")
  }

  private func compile(_ program: Program, in scratch: Scratch) async throws {
    try scratch.write((Self.keys + program.source).utf8, to: "a.c")
    try await require(program.compiler[0], program.compiler.dropFirst() + ["-c", "a.c"], in: scratch.path)
  }

  private struct Numbers {
    var references = 0
    var left = 0
    var noCall = 0
  }

  private func checkAccount(in scratch: Scratch, _ isRight: (Numbers) -> Bool) async throws {
    let listed = try await staticcall("list", "--format", "json", "a.o", in: scratch.path)
    let document = try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [String: Any]
    let object = (document?["objects"] as? [[String: Any]])?.first
    let account = try #require(object?["account"] as? [String: Any])
    func number(_ name: String) -> Int { account[name] as? Int ?? -1 }
    func sum(_ name: String) -> Int { (account[name] as? [String: Int])?.values.reduce(0, +) ?? -1 }
    let others = ["inTable", "notInTable", "leftOut", "convertible"].map(number).reduce(0, +)
    #expect(number("references") == others + sum("left") + sum("noCall"), "\(account)")
    #expect(
      isRight(Numbers(references: number("references"), left: sum("left"), noCall: sum("noCall"))), "\(account)")
  }
}
