import CCapstone

/// Decodes one instruction at a time through Capstone. Nothing else in the project calls Capstone.
///
/// The layout of Capstone's detail records differs between its major versions; whatever reads them is in this folder.
@safe public struct Disassembler: ~Copyable {
  public let instructionSet: InstructionSet
  private var handle: csh
  private let buffer: UnsafeMutablePointer<cs_insn>

  /// Throws ``DisassemblyError`` where Capstone cannot decode `instructionSet`.
  public init(_ instructionSet: InstructionSet) throws(DisassemblyError) {
    // SAFETY: `open` hands over a handle and a buffer that nothing else uses; `deinit` gives them back.
    unsafe (handle, buffer) = try Self.open(instructionSet)
    self.instructionSet = instructionSet
  }

  /// Makes Capstone sort its table of instructions with an implicit register, which it does when the first of them is decoded and
  /// without a lock: another thread would meanwhile find registers missing.
  private static let tablesAreSorted = Result { () throws(DisassemblyError) in
    // SAFETY: as in `init`, `deinit` and `decode`.
    var (handle, buffer) = unsafe try openUnprepared(.x86_64)
    let exchange = [0x48, 0x91] as [UInt8]  // xchg %rax, %rcx
    unsafe exchange.withUnsafeBufferPointer { code in
      var cursor = code.baseAddress
      var (size, address) = (code.count, UInt64(0))
      _ = unsafe cs_disasm_iter(handle, &cursor, &size, &address, buffer)
    }
    unsafe cs_free(buffer, 1)
    _ = unsafe cs_close(&handle)
  }

  static func open(
    _ instructionSet: InstructionSet
  ) throws(DisassemblyError) -> (csh, UnsafeMutablePointer<cs_insn>) {
    if instructionSet == .x86_64 { try tablesAreSorted.get() }
    return unsafe try openUnprepared(instructionSet)
  }

  private static func openUnprepared(
    _ instructionSet: InstructionSet
  ) throws(DisassemblyError) -> (csh, UnsafeMutablePointer<cs_insn>) {
    let (architecture, mode) =
      switch instructionSet {
      case .x86_64: (CS_ARCH_X86, CS_MODE_64)
      case .aarch64: (CS_ARCH_ARM64, CS_MODE_ARM)
      }
    var handle: csh = 0
    // SAFETY: the handle is a local variable that Capstone fills in.
    let status = unsafe cs_open(architecture, mode, &handle)
    guard status == CS_ERR_OK, cs_option(handle, CS_OPT_DETAIL, Int(CS_OPT_ON.rawValue)) == CS_ERR_OK,
      let buffer = unsafe cs_malloc(handle)
    else { throw DisassemblyError(capstoneStatus: status.rawValue) }
    return unsafe (handle, buffer)
  }

  deinit {
    // SAFETY: both were made in `init` and are given back once.
    unsafe cs_free(buffer, 1)
    var handle = handle
    _ = unsafe cs_close(&handle)
  }

  /// The longest instruction of either instruction set, in bytes.
  private static let longestInstruction = 15

  /// Decodes the instruction at `offset` of a section that holds `code`; `nil` where the bytes are no known instruction or
  /// `offset` is out of range.
  public func decode(_ code: Span<UInt8>, at offset: Int) -> Instruction? {
    guard offset >= 0, offset < code.count else { return nil }
    let window = code.extracting(offset..<min(offset + Self.longestInstruction, code.count))
    // What is decoded most, by far: where a relocation says that there is a call.
    if instructionSet == .x86_64, let branch = Self.plainNearBranch(window, at: offset) { return branch }
    if instructionSet == .aarch64, let padding = Self.plainNoOperation(window, at: offset) { return padding }
    return decodeThroughCapstone(window, at: offset)
  }

  func decodeThroughCapstone(_ window: Span<UInt8>, at offset: Int) -> Instruction? {
    // SAFETY: Capstone reads at most `size` bytes at `bytes` and writes the one record of `buffer`, detail included.
    let decoded = unsafe window.withUnsafeBufferPointer { bytes in
      var cursor = bytes.baseAddress
      var size = bytes.count
      var address = UInt64(offset)
      return unsafe cs_disasm_iter(handle, &cursor, &size, &address, buffer)
    }
    guard decoded, let detail = unsafe buffer.pointee.detail else { return nil }
    // SAFETY: with detail switched on, each decoded instruction has a record of its own architecture.
    switch instructionSet {
    case .x86_64: return unsafe Self.x86Instruction(buffer.pointee, detail.pointee, written(), window, at: offset)
    case .aarch64: return unsafe Self.arm64Instruction(buffer.pointee, detail.pointee, at: offset)
    }
  }

  /// The general-purpose registers that Capstone says the x86 instruction in the buffer writes.
  private func written() -> RegisterSet {
    // SAFETY: cs_regs is an array of 64 numbers; Capstone says how many of them it filled in.
    unsafe withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 128) { registers in
      guard let read = registers.baseAddress else { return [] }
      let written = unsafe read + 64
      var readCount: UInt8 = 0
      var writtenCount: UInt8 = 0
      guard unsafe cs_regs_access(handle, buffer, read, &readCount, written, &writtenCount) == CS_ERR_OK else {
        return []
      }
      var set: RegisterSet = []
      for position in 0..<Int(writtenCount) {
        if let register = Self.x86Register(UInt32(unsafe written[position])) { set.insert(RegisterSet(register)) }
      }
      return set
    }
  }
}

/// Capstone refuses to work; its status number (`cs_err`) says why.
public struct DisassemblyError: Error, Equatable, Sendable {
  public var capstoneStatus: UInt32

  public var message: String { "the Capstone library cannot decode this machine (status \(capstoneStatus))" }
}
