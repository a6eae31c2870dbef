extension Target {
  /// Macros that let one text serve both machines: `CALL f` and `JUMP f`.
  fileprivate var macros: String {
    let (call, jump) = self == .x86_64 ? ("call", "jmp") : ("bl", "b")
    return """
        .macro CALL f
        \(call) \\f
        .endm
        .macro JUMP f
        \(jump) \\f
        .endm

      """
  }

  /// Size of an instruction that `CALL` or `JUMP` makes, in bytes.
  public var branchSize: Int { self == .x86_64 ? 5 : 4 }
}

extension Scratch {
  /// Assembles a text that calls with `CALL f` and jumps with `JUMP f`.
  public func assemble(portable source: String, for target: Target, name: String = "test.o") async throws -> String {
    try await assemble(target.macros + source + "\n", for: target, name: name)
  }

  /// Combines objects with `ld -r`, with the toolchain's linker or another one.
  public func combine(
    _ objects: [String], with linker: String = "ld.lld", name: String = "combined.o"
  ) async throws -> String {
    try await require(linker, ["-r", "-o", file(name)] + objects)
    return file(name)
  }
}
