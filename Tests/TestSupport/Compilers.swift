/// The two architectures as the compilers and linkers name them.
public enum Target: String, CaseIterable, Sendable {
  case x86_64
  case aarch64

  /// The option of clang.
  public var triple: String { "\(rawValue)-linux-gnu" }

  /// gcc for the target.
  public var gcc: String { self == .x86_64 ? "gcc" : "aarch64-linux-gnu-gcc" }
  public var objcopy: String { self == .x86_64 ? "objcopy" : "aarch64-linux-gnu-objcopy" }
  public var objdump: String { self == .x86_64 ? "objdump" : "aarch64-linux-gnu-objdump" }
  public var readelf: String { self == .x86_64 ? "readelf" : "aarch64-linux-gnu-readelf" }
}

extension Scratch {
  /// Assembles text with the toolchain's clang and returns the path of the object.
  public func assemble(_ source: String, for target: Target, name: String = "test.o") async throws -> String {
    try write(source.utf8, to: "\(name).s")
    try await require("clang", ["--target=\(target.triple)", "-c", "-o", file(name), file("\(name).s")])
    return file(name)
  }

  /// Assembles a file of Fixtures.
  public func assemble(fixture name: String, for target: Target) async throws -> String {
    let object = file("\(name).o")
    try await require("clang", ["--target=\(target.triple)", "-c", "-o", object, fixture(name)])
    return object
  }

  /// Compiles C with the toolchain's clang and returns the path of the object.
  public func compile(
    _ source: String, for target: Target, _ options: String..., name: String = "test.o"
  ) async throws -> String {
    try write(source.utf8, to: "\(name).c")
    try await require(
      "clang", ["--target=\(target.triple)", "-c", "-O2"] + options + ["-o", file(name), file("\(name).c")])
    return file(name)
  }
}

/// The assemblers: clang's puts all names into one string table, GNU's has one for sections and one for symbols.
public enum Assembler: String, CaseIterable, Sendable {
  case clang
  case gnu
}

extension Target {
  /// GNU ld for the target.
  public var linker: String { self == .x86_64 ? "ld" : "aarch64-linux-gnu-ld" }

  /// Whether GNU's compiler, assembler, linker and object tools for all targets are there, and LLVM's linker.
  public static var haveAllTools: Bool {
    allCases.allSatisfy { target in
      [target.gcc, target.linker, target.objcopy, target.readelf].allSatisfy { tool($0) != nil }
    } && tool("ld.lld") != nil
  }
}

extension Scratch {
  /// Assembles text with one of the assemblers and returns the path of the object.
  public func assemble(
    _ source: String, for target: Target, with assembler: Assembler, name: String = "test.o"
  ) async throws -> String {
    guard assembler == .gnu else { return try await assemble(source, for: target, name: name) }
    try write(source.utf8, to: "\(name).s")
    try await require(target.gcc, ["-c", "-o", file(name), file("\(name).s")])
    return file(name)
  }
}

/// The text of a file under Fixtures.
public func fixtureText(_ name: String) throws -> String {
  String(decoding: try bytes(of: fixture(name)), as: UTF8.self)
}
