import CCapstone

/// Instructions as people read them: AT&T's syntax for x86-64, Arm's for AArch64.
///
/// It has a Capstone of its own, because the syntax also turns around the operands that ``Disassembler`` looks at.
@safe public struct InstructionPrinter: ~Copyable {
  private let disassembler: Disassembler
  private var handle: csh
  private let buffer: UnsafeMutablePointer<cs_insn>

  /// Throws ``DisassemblyError`` where Capstone cannot decode `instructionSet`.
  public init(_ instructionSet: InstructionSet) throws(DisassemblyError) {
    let disassembler = try Disassembler(instructionSet)
    // SAFETY: `open` hands over a handle and a buffer that nothing else uses; `deinit` gives them back.
    let opened = unsafe try Disassembler.open(instructionSet)
    self.disassembler = disassembler
    unsafe (handle, buffer) = opened
    if instructionSet == .x86_64 { _ = cs_option(handle, CS_OPT_SYNTAX, Int(CS_OPT_SYNTAX_ATT.rawValue)) }
  }

  deinit {
    // SAFETY: both were made in `init` and are given back once.
    unsafe cs_free(buffer, 1)
    var handle = handle
    _ = unsafe cs_close(&handle)
  }

  /// One instruction's text.
  public struct Text: Sendable {
    /// Length in bytes.
    public var length: Int
    public var mnemonic: String
    public var operands: String
    /// Whether it is a direct branch, whose operand is its target.
    public var isDirectBranch: Bool
  }

  /// The text of the instruction at `offset` of `code`; targets count as if `code` began at `address`. `nil` where the bytes are
  /// no known instruction.
  public func text(_ code: Span<UInt8>, at offset: Int, address: Int) -> Text? {
    guard let instruction = disassembler.decode(code, at: offset) else { return nil }
    let window = code.extracting(offset..<min(offset + instruction.length, code.count))
    // SAFETY: Capstone reads at most `size` bytes at `bytes` and writes the one record of `buffer`.
    let decoded = unsafe window.withUnsafeBufferPointer { bytes in
      var cursor = bytes.baseAddress
      var size = bytes.count
      var address = UInt64(address + offset)
      return unsafe cs_disasm_iter(handle, &cursor, &size, &address, buffer)
    }
    guard decoded else { return nil }
    return Text(
      length: instruction.length, mnemonic: unsafe Self.string(buffer.pointee.mnemonic),
      operands: unsafe Self.string(buffer.pointee.op_str), isDirectBranch: instruction.flow.isDirect)
  }

  /// The NUL-terminated string in a C array, which imports as a tuple.
  private static func string<Characters>(_ characters: Characters) -> String {
    // SAFETY: the tuple's own bytes are read.
    unsafe withUnsafeBytes(of: characters) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

extension ControlFlow {
  fileprivate var isDirect: Bool {
    switch self {
    case .call(.direct), .jump(.direct), .conditionalJump(.direct): true
    default: false
    }
  }
}
