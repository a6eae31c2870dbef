import TestSupport

/// Small objects that the tests of the command line start from.
enum Sample {
  /// A call and a tail call of two static calls.
  static let direct = """
    .globl caller
    caller: CALL __SCT__a
    JUMP __SCT__b
    .data
    .p2align 3
    .quad __SCK__a, __SCK__b
    """

  /// A call, and one through the global offset table, which stays indirect; for x86-64.
  static let indirect = """
    caller: CALL __SCT__a
    call *__SCT__a@GOTPCREL(%rip)
    .data
    .p2align 3
    .quad __SCK__a
    """

  /// A call in a function that the linker may discard, by the convention from before section groups.
  static let linkOnce = """
    .section .gnu.linkonce.t.inline,"ax",%progbits
    .weak inline
    .type inline, %function
    inline: CALL __SCT__a
    .data
    .quad __SCK__a
    """
}

extension Scratch {
  /// Assembles one of the samples.
  @discardableResult
  func make(_ source: String, _ name: String = "a.o", for target: Target = .x86_64) async throws -> String {
    try await assemble(portable: source, for: target, name: name)
  }
}

/// Runs `staticcall` in a scratch directory, where files go by their relative names.
func staticcall(_ arguments: [String], _ scratch: Scratch) async throws -> Run {
  try await run(staticcallPath, arguments, in: scratch.path)
}
