import TestSupport
import Testing

/// static_call.h, by itself and as it is installed.
@Suite(.enabled(if: Linker.haveAll, "a linker, a cross compiler or qemu-aarch64 is not installed"))
struct RuntimeHeaderTests {
  struct Dialect: CustomTestStringConvertible, Sendable {
    var compiler: [String]
    var standard: String
    var testDescription: String { "\(compiler[0]) \(standard)" }
    var isCPlusPlus: Bool { standard.contains("++") }
  }

  static let dialects: [Dialect] = ["c11", "c17", "gnu2x", "c++17", "c++20"].flatMap { standard in
    let isCPlusPlus = standard.contains("++")
    let suffix = isCPlusPlus ? "++" : ""
    return [
      Dialect(compiler: [isCPlusPlus ? "g++" : "gcc"], standard: standard),
      Dialect(compiler: ["aarch64-linux-gnu-" + (isCPlusPlus ? "g++" : "gcc")], standard: standard),
      Dialect(compiler: ["clang\(suffix)"], standard: standard),
      Dialect(compiler: ["clang\(suffix)", "--target=aarch64-linux-gnu"], standard: standard),
    ]
  }

  private func compile(_ source: String, _ dialect: Dialect, in scratch: Scratch) async throws -> Run {
    let file = dialect.isCPlusPlus ? "a.cpp" : "a.c"
    try scratch.write(source.utf8, to: file)
    return try await run(
      dialect.compiler[0],
      dialect.compiler.dropFirst() + [
        "-std=\(dialect.standard)", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", RuntimeBuild.includes, "-c",
        scratch.file(file), "-o", scratch.file("a.o"),
      ])
  }

  private static let definitions = """
    #include <static_call.h>
    int one(int x);
    static int two(int x) { return x + 2; }
    DECLARE_STATIC_CALL(declared, one);
    DEFINE_STATIC_CALL(defined, two);
    DEFINE_STATIC_CALL_NULL(nothing, void(const char *));
    DEFINE_STATIC_CALL_RET0(zero, int *(int));

    """

  @Test(arguments: dialects)
  func itCompilesWithoutAWarning(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    let source =
      Self.definitions + """
        void use(int (*other)(int)) {
          static_call(nothing)("text");
          (void)static_call(zero)(static_call(declared)(1) + static_call(defined)(2));
          (void)static_call_update(defined, other);
          (void)static_call_update(defined, one);
          (void)static_call_update(declared, two);
          (void)static_call_update(zero, STATIC_CALL_RET0(zero));
          if (static_call_query(defined) != two) (void)static_call_update(defined, static_call_query(declared));
        }

        """
    let run = try await compile(source, dialect, in: scratch)
    #expect((run.status, run.errors) == (0, ""))
    // The first target is there before any code has run.
    let keys = try await require("readelf", ["-Wr", scratch.file("a.o")])
    #expect(!keys.contains(".init_array"), "\(keys)")
  }

  @Test(arguments: dialects)
  func aFunctionOfAnotherTypeIsAnError(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    let source =
      Self.definitions + """
        long wide(long x);
        int use(void) { return static_call_update(defined, wide); }

        """
    let run = try await compile(source, dialect, in: scratch)
    #expect(run.status == 1)
    #expect(run.errors.contains("error:"), "\(run.errors)")
  }

  /// It would be a variable whose value is the trampoline's code.
  @Test(arguments: dialects, ["DEFINE_STATIC_CALL(pointer, &two)", "DECLARE_STATIC_CALL(pointer, int (*)(int))"])
  func aPointerToAFunctionIsAnError(_ dialect: Dialect, _ definition: String) async throws {
    let scratch = try Scratch()
    let run = try await compile(Self.definitions + definition + ";\n", dialect, in: scratch)
    #expect(run.status == 1)
    #expect(run.errors.contains("a static call needs a function, not a pointer to one"), "\(run.errors)")
  }

  @Test(arguments: dialects.filter(\.isCPlusPlus))
  func argumentsMayHaveCommas(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    let source =
      Self.definitions + """
        template <int A, int B> int sum(int x) { return A + B + x; }
        namespace inner {
        DEFINE_STATIC_CALL_RET0(of_inner, int(int));
        }
        int use(void) {
          (void)static_call_update(defined, sum<3, 4>);
          return static_call_update(defined, [](int x) { int a = 1, b = 2; return a + b + x; });
        }

        """
    let run = try await compile(source, dialect, in: scratch)
    #expect((run.status, run.errors) == (0, ""))
  }

  /// The program in the README, as it stands there.
  @Test func theFirstProgramDoesWhatIsPromised() async throws {
    let text = String(decoding: try bytes(of: "\(packageRoot)/README.md"), as: UTF8.self)
    let blocks = text.split(separator: "\n", omittingEmptySubsequences: false)
      .split { !$0.hasPrefix("    ") && !$0.isEmpty }
      .map { $0.map { $0.dropFirst(4) }.joined(separator: "\n") }
    let source = try #require(blocks.first { $0.contains("#include <static_call.h>") })
    let promised = try #require(blocks.first { $0.contains("STATIC_CALL_STATS=1 ./hello") })
      .split(separator: "\n").drop { !$0.contains("./hello") }.dropFirst().joined(separator: "\n")
    let scratch = try Scratch()
    try scratch.write(source.utf8, to: "hello.c")
    try await require("make", ["-C", packageRoot, "runtime", "RUNTIME_BUILD=\(scratch.path)"])
    try await require("cc", ["-O2", "-I", RuntimeBuild.includes, "-c", "hello.c"], in: scratch.path)
    try await require(staticcallPath, ["annotate", "--abi", "user", "hello.o"], in: scratch.path)
    try await require("cc", ["hello.o", "-L.", "-lstaticcall", "-o", "hello"], in: scratch.path)
    let run = try await run(
      scratch.file("hello"), [], in: scratch.path, environment: ["STATIC_CALL_STATS": "1"])
    #expect(run.status == 0)
    #expect(run.output + run.errors == promised + "\n")
  }

  /// The examples, built against the installed files with their own makefiles and with CMake.
  @Test(
    .enabled(if: tool("cmake") != nil && tool("pkg-config") != nil, "cmake or pkg-config is not installed"),
    arguments: ["tracepoint", "plugins", "cpu-features"])
  func examplesBuildAndRun(_ example: String) async throws {
    let scratch = try Scratch()
    let prefix = scratch.file("prefix")
    try await require(
      "make", ["-C", packageRoot, "install-runtime", "PREFIX=\(prefix)", "RUNTIME_BUILD=\(scratch.file("build"))"])
    try await require("cp", ["-r", "\(packageRoot)/Examples/\(example)", scratch.file("source")])
    let paths = ["PKG_CONFIG_PATH": "\(prefix)/lib/pkgconfig"]
    let made = try await run(
      "make", ["-C", scratch.file("source"), "STATICCALL=\(staticcallPath)"], environment: paths)
    #expect((made.status, made.errors) == (0, ""))
    try await require(
      "cmake",
      [
        "-S", scratch.file("source"), "-B", scratch.file("cmake"), "-DCMAKE_PREFIX_PATH=\(prefix)",
        "-DSTATICCALL_EXECUTABLE=\(staticcallPath)",
      ])
    try await require("cmake", ["--build", scratch.file("cmake")])
    let expected = [
      "tracepoint": "off: 0 more seen\n", "plugins": "none: Hello, world -> Hello, world -> Hello, world\n",
      "cpu-features": "the same, and faster\n",
    ]
    for directory in ["source", "cmake"] {
      let run = try await run(
        scratch.file("\(directory)/\(example)"), example == "plugins" ? ["./rot13.so", "./reverse.so"] : [],
        in: scratch.file(directory), environment: ["STATIC_CALL_STATS": "1"])
      #expect(run.status == 0)
      #expect(run.output.hasSuffix(expected[example] ?? "?"), "\(run.output)")
      #expect(run.errors.contains("0 failed") && !run.errors.contains(" 0 sites"), "\(run.errors)")
    }
  }
}
