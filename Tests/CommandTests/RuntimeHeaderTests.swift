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
    /// gcc 12 has none in C.
    var hasNullptr: Bool { isCPlusPlus || standard == "gnu2x" && compiler[0] == "clang" }
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

  private func compile(
    _ source: String, _ dialect: Dialect, _ options: [String] = [], in scratch: Scratch
  ) async throws -> Run {
    let file = dialect.isCPlusPlus ? "a.cpp" : "a.c"
    try scratch.write(source.utf8, to: file)
    return try await run(
      dialect.compiler[0],
      dialect.compiler.dropFirst() + [
        "-std=\(dialect.standard)", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", RuntimeBuild.includes, "-c",
        scratch.file(file), "-o", scratch.file("a.o"),
      ] + options)
  }

  /// A header that declares, and the file that defines.
  private static let definitions = """
    #include <static_call.h>
    int one(int x);
    DECLARE_STATIC_CALL(declared, one);
    DECLARE_STATIC_CALL(defined, one);
    static int two(int x) { return x + 2; }
    DEFINE_STATIC_CALL(defined, two);
    DEFINE_STATIC_CALL_NULL(nothing, void(const char *));
    DEFINE_STATIC_CALL_RET0(zero, int *(int));

    """

  /// Warnings that careful programs are compiled with, beside -Wall and -Wextra.
  private static func warnings(for dialect: Dialect) -> [String] {
    let isClang = dialect.compiler[0].hasPrefix("clang")
    return ["-Wredundant-decls", "-Wshadow", "-Wundef", "-Wmissing-declarations", "-Wcast-function-type"]
      + (dialect.isCPlusPlus ? ["-Wold-style-cast"] : ["-Wstrict-prototypes", "-Wmissing-prototypes"])
      + (isClang ? ["-Wcast-function-type-strict", "-Wmissing-variable-declarations"] : [])
      + (dialect.isCPlusPlus ? isClang ? ["-Wreturn-type-c-linkage"] : ["-Wuseless-cast"] : [])
  }

  @Test(arguments: dialects)
  func itCompilesWithoutAWarning(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    let source =
      Self.definitions + """
        void use(int (*other)(int));
        void use(int (*other)(int)) {
          static_call(nothing)("text");
          (void)static_call(zero)(static_call(declared)(1) + static_call(defined)(2));
          (void)static_call_update(defined, other);
          (void)static_call_update(defined, one);
          (void)static_call_update(declared, two);
          (void)static_call_update(zero, STATIC_CALL_RET0(zero));
          (void)static_call_update(nothing, \(dialect.hasNullptr ? "nullptr" : "(void *)0"));
          if (static_call_query(defined) != two) (void)static_call_update(defined, static_call_query(declared));
        }

        """
    let run = try await compile(source, dialect, Self.warnings(for: dialect), in: scratch)
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

  /// Compiles `use` for each type, in one file, and expects the message at each.
  private func expectRefusals(
    _ types: [String], _ use: String, message: String, _ dialect: Dialect, location: SourceLocation = #_sourceLocation
  ) async throws {
    let scratch = try Scratch()
    let head =
      Self.definitions + """
        struct structure { int member; };
        typedef int vector __attribute__((vector_size(8)));
        \(dialect.isCPlusPlus ? "struct number { operator int() const; };" : "")

        """
    let uses = types.enumerated().map { index, type in
      use.replacing("TYPE", with: type).replacing("NAME", with: "bad\(index)") + ";\n"
    }
    let run = try await compile(head + uses.joined(), dialect, ["-Wno-pedantic"], in: scratch)
    #expect(run.status == 1, sourceLocation: location)
    #expect(run.errors.contains(message), "\(run.errors)", sourceLocation: location)
    let first = head.count { $0 == "\n" } + 1
    for index in types.indices {
      #expect(
        run.errors.contains("a.\(dialect.isCPlusPlus ? "cpp" : "c"):\(first + index):"),
        "\(types[index])\n\(run.errors)",
        sourceLocation: location)
    }
  }

  /// Both ways to ask for 0.
  private func expectNoZero(_ types: [String], _ dialect: Dialect) async throws {
    let message = "a static call that returns 0 needs functions that return an integer of at most 64 bits"
    try await expectRefusals(types, "DEFINE_STATIC_CALL_RET0(NAME, TYPE)", message: message, dialect)
    try await expectRefusals(
      types, "DECLARE_STATIC_CALL(NAME, TYPE); void *NAME = (void *)STATIC_CALL_RET0(NAME)", message: message, dialect)
  }

  @Test(arguments: dialects.filter(\.isCPlusPlus))
  func aTypeThatCannotBeZeroIsAnError(_ dialect: Dialect) async throws {
    try await expectNoZero(
      [
        "double(double)", "float(int)", "long double(float)", "unsigned __int128(const char *, ...)",
        "double _Complex(int)", "structure(int)", "number(int)", "vector(int)", "int &(int)", "int structure::*(int)",
        "double(int) noexcept",
      ], dialect)
  }

  /// In C before C23, where no parameter is promoted.
  @Test(arguments: dialects.filter { ["c11", "c17"].contains($0.standard) })
  func aTypeThatCSeesCannotBeZeroIsAnError(_ dialect: Dialect) async throws {
    try await expectNoZero(
      [
        "double(double)", "float(int)", "long double(const char *, long)", "__int128(long, long, long)",
        "unsigned __int128(void)", "double _Complex(int)",
      ], dialect)
  }

  @Test(arguments: dialects)
  func whatCanBeZeroIsTaken(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    var types = [
      "void(int)", "char(int)", "unsigned char(float, ...)", "unsigned short(char)", "int(void)",
      "unsigned long long(int)",
      "enum color(int)", "void *(double)", "const struct unknown *(const char *, ...)", "double (*(int))(double)",
    ]
    types += dialect.isCPlusPlus ? ["bool(int)", "char16_t(int)", "scoped(int) noexcept"] : ["_Bool(float)"]
    let source =
      Self.definitions + "struct unknown;\nenum color { red };\n"
      + (dialect.isCPlusPlus ? "enum class scoped : char { one };\n" : "")
      + types.enumerated().map { "DEFINE_STATIC_CALL_RET0(zero\($0), \($1));\n" }.joined()
      + types.indices.map { "void use\($0)(void) { static_call_update(zero\($0), STATIC_CALL_RET0(zero\($0))); }\n" }
      .joined()
    let run = try await compile(source, dialect, in: scratch)
    #expect((run.status, run.errors) == (0, ""))
  }

  @Test(arguments: dialects.filter { $0.standard != "gnu2x" })
  func whatDoesNothingReturnsNothing(_ dialect: Dialect) async throws {
    try await expectRefusals(
      ["int(int)", "void *(void)", "double(double)"], "DEFINE_STATIC_CALL_NULL(NAME, TYPE)",
      message: "a static call that does nothing needs functions that return void", dialect)
  }

  @Test(arguments: dialects)
  func aNameMayBeAMacro(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    let source =
      Self.definitions + """
        #define step 3
        DECLARE_STATIC_CALL(step, one);
        DEFINE_STATIC_CALL(step, one);
        int use(int x);
        int use(int x) {
          if (static_call_query(step) == one) (void)static_call_update(step, STATIC_CALL_RET0(step));
          return static_call(step)(x);
        }

        """
    let run = try await compile(source, dialect, in: scratch)
    #expect((run.status, run.errors) == (0, ""))
    let symbols = try await require("readelf", ["-Ws", scratch.file("a.o")])
    #expect(symbols.contains(" __SCT__step\n") && symbols.contains(" __SCK__step\n"), "\(symbols)")
    #expect(!symbols.contains("__3\n") && !symbols.contains("UND __SC"), "\(symbols)")
  }

  /// g++ itself does not see it.
  @Test(arguments: dialects.filter(\.isCPlusPlus))
  func oneNameInTwoNamespacesIsAnErrorAtItsLine(_ dialect: Dialect) async throws {
    let scratch = try Scratch()
    let source = """
      #include <static_call.h>
      int one(int x);
      namespace first { DEFINE_STATIC_CALL(step, one); }
      namespace second { DEFINE_STATIC_CALL(step, one); }

      """
    let run = try await compile(source, dialect, in: scratch)
    #expect(run.status == 1)
    let message =
      dialect.compiler[0].hasPrefix("clang")
      ? "a.cpp:4:20: error: redefinition of '__SCK__step'" : "a.cpp:4: Error: the static call step is defined twice"
    #expect(run.errors.contains(message), "\(run.errors)")
    let other = source.replacing("second { DEFINE_STATIC_CALL(step", with: "second { DEFINE_STATIC_CALL(other")
    let sound = try await compile(other, dialect, in: scratch)
    #expect((sound.status, sound.errors) == (0, ""))
  }

  /// The line of the message has the name of the file in it.
  @Test(arguments: ["quote\".cpp", "back\\slash.cpp"])
  func theFileMayHaveAnyName(_ name: String) async throws {
    let scratch = try Scratch()
    try scratch.write(Self.definitions.utf8, to: name)
    let run = try await run("g++", ["-I", RuntimeBuild.includes, "-c", name, "-o", "a.o"], in: scratch.path)
    #expect((run.status, run.errors) == (0, ""))
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
        struct text { text(); ~text(); };
        text write_text(int);
        DEFINE_STATIC_CALL(writer, write_text);
        int use();
        int use() {
          (void)static_call_update(defined, sum<3, 4>);
          return static_call_update(
              defined, [](int x) { return static_call_update(declared, [](int y) { int a = 1, b = 2; return a + b + y; }) + x; });
        }

        """
    let run = try await compile(source, dialect, Self.warnings(for: dialect), in: scratch)
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
