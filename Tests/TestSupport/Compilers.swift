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
