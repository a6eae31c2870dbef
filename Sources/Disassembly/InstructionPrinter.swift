import CCapstone

/// Instructions as people read them: AT&T's syntax for x86-64, Arm's for AArch64.
///
/// Capstone finds the words; how long an instruction is says ``Disassembler``. Nothing else in the project calls Capstone.
@safe public struct InstructionPrinter: ~Copyable {
  private let disassembler: Disassembler
  private var handle: csh
  private let buffer: UnsafeMutablePointer<cs_insn>

  /// Throws ``DisassemblyError`` where Capstone was built without `instructionSet`.
  public init(_ instructionSet: InstructionSet) throws(DisassemblyError) {
    let (architecture, mode) =
      switch instructionSet {
      case .x86_64: (CS_ARCH_X86, CS_MODE_64)
      case .aarch64: (capstone_aarch64, CS_MODE_ARM)
      }
    var handle: csh = 0
    // SAFETY: the handle is a local variable that Capstone fills in; `deinit` gives it and the buffer back.
    let status = unsafe cs_open(architecture, mode, &handle)
    guard status == CS_ERR_OK, let buffer = unsafe cs_malloc(handle) else {
      throw DisassemblyError(capstoneStatus: status.rawValue)
    }
    if instructionSet == .x86_64 { _ = cs_option(handle, CS_OPT_SYNTAX, Int(CS_OPT_SYNTAX_ATT.rawValue)) }
    disassembler = Disassembler(instructionSet)
    unsafe (self.handle, self.buffer) = (handle, buffer)
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
    let mnemonic = unsafe Self.string(buffer.pointee.mnemonic)
    let operands = unsafe Self.string(buffer.pointee.op_str)
    return Text(
      length: instruction.length, mnemonic: mnemonic == "movz" && !operands.contains("lsl") ? "mov" : mnemonic,
      operands: Self.withPlainDigits(operands), isDirectBranch: instruction.flow.isDirect)
  }

  /// The operands with numbers of one digit in decimal. Version 4 writes some of them as `0x0`, later ones as `0`; and of AArch64's
  /// `movz` they make `mov` where nothing is shifted.
  private static func withPlainDigits(_ operands: String) -> String {
    let characters = Array(operands)
    var text = ""
    var position = 0
    while position < characters.count {
      let rest = characters[position...]
      if rest.starts(with: ["0", "x"]), rest.count > 2, rest.count == 3 || !rest[position + 3].isHexDigit,
        rest[position + 2].isWholeNumber
      {
        position += 2
      }
      text.append(characters[position])
      position += 1
    }
    return text
  }

  /// The NUL-terminated string in a C array, which imports as a tuple.
  private static func string<Characters>(_ characters: Characters) -> String {
    // SAFETY: the tuple's own bytes are read.
    unsafe withUnsafeBytes(of: characters) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

/// Capstone refuses to work; its status number (`cs_err`) says why.
public struct DisassemblyError: Error, Equatable, Sendable {
  public var capstoneStatus: UInt32

  public var message: String { "the Capstone library cannot decode this machine (status \(capstoneStatus))" }
}

extension ControlFlow {
  fileprivate var isDirect: Bool {
    switch self {
    case .call(.direct), .jump(.direct), .conditionalJump(.direct): true
    default: false
    }
  }
}
