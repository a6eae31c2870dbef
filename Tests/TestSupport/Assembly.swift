extension Target {
  fileprivate var branches: (call: String, jump: String) { self == .x86_64 ? ("call", "jmp") : ("bl", "b") }

  /// Macros that let one text serve both machines: `CALL f` and `JUMP f`.
  fileprivate var macros: String {
    let (call, jump) = branches
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
  public func assemble(
    portable source: String, for target: Target, with assembler: Assembler = .clang, name: String = "test.o"
  ) async throws -> String {
    // GNU as knows no difference between CALL and call.
    let (call, jump) = target.branches
    let expanded = source.replacing("CALL ", with: "\(call) ").replacing("JUMP ", with: "\(jump) ")
    let text = assembler == .gnu ? expanded : target.macros + source
    return try await assemble(text + "\n", for: target, with: assembler, name: name)
  }

  /// Combines objects with `ld -r`, with the toolchain's linker or another one.
  public func combine(
    _ objects: [String], with linker: String = "ld.lld", name: String = "combined.o"
  ) async throws -> String {
    try await require(linker, ["-r", "-o", file(name)] + objects)
    return file(name)
  }
}
