import Disassembly
import ObjectFile

/// x86-64, after the System V psABI for AMD64 (chapter 4.4, relocation types) and Intel's SDM (volume 2, CALL, JMP, Jcc).
///
/// Odd here:
/// - Instructions have no alignment and no fixed length: the bytes before a relocated field tell the opcode only where the
///   relocation type or the decoder vouches for them. `81 e8 imm32` ends like a call and is a subtraction.
/// - A displacement counts from the end of the instruction, so a branch to a symbol has the addend -4.
/// - A site is the opcode byte. Prefixes in front of it (`2e`, `f2`, REX and others) do nothing and stay outside the site;
///   66 shortens the branch on AMD's processors and not on Intel's, so such a branch is no site.
/// - `66`, short (`eb`, `7x`) and counting (`e0` to `e3`) forms reach a trampoline only in hand-written code.
enum X86_64: Architecture {
  static let instructionSet = InstructionSet.x86_64

  static let tableRelocation = pc32

  static let addressRelocation = abs64

  static let abs64 = RelocationType(1)  // R_X86_64_64
  static let pc32 = RelocationType(2)  // R_X86_64_PC32
  static let plt32 = RelocationType(4)  // R_X86_64_PLT32
  static let gotPCRel = RelocationType(9)  // R_X86_64_GOTPCREL
  static let abs32 = RelocationType(10)  // R_X86_64_32
  static let abs32S = RelocationType(11)  // R_X86_64_32S
  private static let pc16 = RelocationType(13)  // R_X86_64_PC16
  private static let pc8 = RelocationType(15)  // R_X86_64_PC8
  private static let pc64 = RelocationType(24)  // R_X86_64_PC64
  private static let gotOff64 = RelocationType(25)  // R_X86_64_GOTOFF64
  private static let got64 = RelocationType(27)  // R_X86_64_GOT64
  private static let gotPCRel64 = RelocationType(28)  // R_X86_64_GOTPCREL64
  private static let pltOff64 = RelocationType(31)  // R_X86_64_PLTOFF64
  static let gotPCRelX = RelocationType(41)  // R_X86_64_GOTPCRELX
  static let rexGotPCRelX = RelocationType(42)  // R_X86_64_REX_GOTPCRELX

  static func isDistance(_ relocation: Relocation) -> Bool {
    [pc8, pc16, pc32, pc64, plt32].contains(relocation.type)
  }

  static func namesAccessedMemory(
    _ relocation: Relocation, by instruction: Instruction, in code: Span<UInt8>
  ) -> Bool {
    guard let memory = instruction.memory, instruction.operation != .loadAddress,
      ![gotPCRel, gotPCRelX, rexGotPCRelX].contains(relocation.type)
    else { return false }
    // In these an absolute address may as well be the other operand.
    return memory.isProgramCounterRelative || ![.store, .push, .compare].contains(instruction.operation)
  }

  /// `ff 15` and `ff 25` before the field of R_X86_64_GOTPCRELX are a call and a jump: linkers rewrite them for less (psABI, B.2).
  static func isOnlyInBranches(_ relocation: Relocation) -> Bool { relocation.type == gotPCRelX }

  /// R_X86_64_64, DTPMOD64 to TPOFF64, PC64, GOTOFF64, GOT64 to PLTOFF64, SIZE64 (psABI, "Relocation Types").
  private static let eightByteFields: Set<UInt32> = [1, 16, 17, 18, 24, 25, 27, 28, 29, 30, 31, 33]

  static func fieldSize(of relocation: Relocation) -> Int {
    switch relocation.type {
    case pc8: 1
    case pc16: 2
    case let type where eightByteFields.contains(type.rawValue): 8
    default: 4
    }
  }

  static func formsAddress(_ relocation: Relocation, in code: Span<UInt8>) -> Bool {
    if field(of: relocation, in: code) != .other { return true }
    let offset = relocation.offset.rawValue
    // A ModRM byte for a displacement from the instruction's end.
    return relocation.type == pc32 && offset >= 1 && code[offset - 1] & 0xc7 == 0x05
  }

  static func field(of relocation: Relocation, in code: Span<UInt8>) -> RelocatedField {
    let offset = relocation.offset.rawValue
    switch relocation.type {
    case pc8, pc16: return .unpatchableBranch
    case plt32, pc32: break
    case gotPCRelX: return isTableBranch(relocation, code) ? .tableBranch(start: offset - 2, length: 6) : .other
    default: return .other
    }
    guard offset >= 1, offset <= code.count - 4 else { return .other }
    // Assemblers give PLT32 to branches only; PC32 stands on any PC-relative operand.
    let vouchedFor = relocation.type == plt32
    for start in [offset - 1, offset - 2] {
      guard let (kind, field) = nearBranch(at: start, in: code), field == offset else { continue }
      return branch(from: start, length: offset + 4 - start, kind, vouchedFor, code)
    }
    return .other
  }

  /// `ff 15` and `ff 25` before the field of R_X86_64_GOTPCRELX (psABI, B.2), where no byte in front may be a prefix that changes the
  /// operand or its address.
  private static func isTableBranch(_ relocation: Relocation, _ code: Span<UInt8>) -> Bool {
    let offset = relocation.offset.rawValue
    guard offset >= 2, offset <= code.count - 4, code[offset - 2] == 0xff,
      code[offset - 1] == 0x15 || code[offset - 1] == 0x25
    else { return false }
    return !mayHavePrefix(before: offset - 2, code) { [0x64, 0x65, 0x66, 0x67, 0xf0, 0xf3].contains($0) }
  }

  private static func branch(
    from start: Int, length: Int, _ kind: CallKind, _ vouchedFor: Bool, _ code: Span<UInt8>
  ) -> RelocatedField {
    let certainty: BranchCertainty =
      if !vouchedFor {
        .needsInstructionStart
      } else if mayHavePrefix(before: start, code, where: { $0 == 0x66 }) {
        .mayHavePrefix
      } else {
        .certain
      }
    return .branch(start: start, length: length, kind: kind, certainty: certainty)
  }

  /// Whether one that is wanted is among the bytes before an opcode that look like prefixes. It may also end another instruction.
  private static func mayHavePrefix(
    before opcode: Int, _ code: Span<UInt8>, where isWanted: (UInt8) -> Bool
  ) -> Bool {
    var position = opcode - 1
    while position >= 0 {
      switch code[position] {
      case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40...0x4f: break
      default: return false
      }
      if isWanted(code[position]) { return true }
      position -= 1
    }
    return false
  }

  static func targetOffset(of relocation: Relocation, instructionEnd end: Int) -> Int64 {
    switch relocation.type {
    case pc32, plt32, pc8, pc16, gotPCRel, gotPCRelX, rexGotPCRelX:
      relocation.addend &+ Int64(end - relocation.offset.rawValue)
    default: relocation.addend
    }
  }

  static func definition(
    by instruction: Instruction, _ relocation: Relocation?, in code: Span<UInt8>
  ) -> Definition? {
    guard let register = instruction.destination, instruction.memory?.isSegmented != true else { return nil }
    func definition(_ source: Source, _ shape: Shape = .c) -> Definition {
      Definition(register: register, source: source, shape: shape)
    }
    switch (instruction.operation, instruction.memory) {
    case (.move, let memory?):
      guard instruction.destinationSize == 8, memory.size == 8 else { return nil }
      if let relocation { return load(relocation, memory).map { definition($0, shapeOfLoad(relocation)) } }
      return element(memory, isSigned: false).map { definition($0) } ?? plainLoad(memory).map { definition($0, .g2) }
    case (.moveSigned, let memory?):
      guard memory.size == 4, relocation == nil else { return nil }
      return element(memory, isSigned: true).map { definition($0) }
    case (.move, nil):
      guard let relocation else { return instruction.source.map { definition(.register($0)) } }
      return immediate(relocation, instruction, code).map { definition($0.source, $0.shape) }
    case (.loadAddress, let memory?):
      guard instruction.destinationSize == 8 else { return nil }
      if let relocation {
        guard relocation.type == pc32 || relocation.type == plt32, memory.isProgramCounterRelative else { return nil }
        return definition(.symbol, .m2)
      }
      guard let (base, index) = plainSum(memory) else { return nil }
      return definition(.sum(base, index))
    case (.add, nil):
      guard relocation == nil, instruction.destinationSize == 8, let other = instruction.source else { return nil }
      return definition(.sum(register, other))
    default: return nil
    }
  }

  /// A load of eight bytes from a place that a relocation names.
  private static func load(_ relocation: Relocation, _ memory: MemoryOperand) -> Source? {
    switch relocation.type {
    case gotPCRel, gotPCRelX, rexGotPCRelX: memory.isProgramCounterRelative ? .symbol : nil
    case pc32: memory.isProgramCounterRelative ? .memoryAtSymbol : nil
    case abs32S, abs64:
      if memory.base != nil {
        nil
      } else if memory.index == nil {
        .memoryAtSymbol
      } else {
        memory.scale == 8 ? .element(base: nil, Element(size: 8, isSigned: false)) : nil
      }
    default: nil
    }
  }

  private static func shapeOfLoad(_ relocation: Relocation) -> Shape {
    [gotPCRel, gotPCRelX, rexGotPCRelX].contains(relocation.type) ? .m1 : .g2
  }

  private static func plainLoad(_ memory: MemoryOperand) -> Source? {
    guard !memory.isProgramCounterRelative else { return nil }
    if let (base, index) = plainSum(memory) { return .memoryAtSum(base, index) }
    guard let base = memory.base, memory.index == nil else { return nil }
    return .memory(base: base, displacement: memory.displacement)
  }

  private static func plainSum(_ memory: MemoryOperand) -> (Register, Register)? {
    guard let base = memory.base, let index = memory.index, memory.scale == 1, memory.displacement == 0 else {
      return nil
    }
    return (base, index)
  }

  private static func element(_ memory: MemoryOperand, isSigned: Bool) -> Source? {
    guard let base = memory.base, memory.index != nil, memory.scale == memory.size, memory.displacement == 0 else {
      return nil
    }
    return .element(base: base, Element(size: memory.size, isSigned: isSigned))
  }

  /// A relocated immediate. One of 32 bits is the whole address only as the instruction widens it in the relocation's way.
  private static func immediate(
    _ relocation: Relocation, _ instruction: Instruction, _ code: Span<UInt8>
  ) -> (source: Source, shape: Shape)? {
    let field = relocation.offset.rawValue
    switch relocation.type {
    case abs64: return instruction.end == field + 8 ? (.symbol, .m4) : nil
    case abs32: return isZeroExtended(instruction, field, code) ? (.symbol, .m3) : nil
    case abs32S: return instruction.destinationSize == 8 && instruction.end == field + 4 ? (.symbol, .m3) : nil
    case pltOff64, gotOff64, gotPCRel64, pc64: return (.distanceFromTable, .m5)
    case got64: return (.distanceFromTable, .m6)
    default: return nil
    }
  }

  /// `mov $imm32, %r32`, the form b8+r.
  private static func isZeroExtended(_ instruction: Instruction, _ field: Int, _ code: Span<UInt8>) -> Bool {
    instruction.destinationSize == 4 && instruction.end == field + 4 && field >= 1 && code[field - 1] & 0xf8 == 0xb8
  }

  static func possibleBranchTarget(at offset: Int, in code: Span<UInt8>) -> Int? {
    switch code[offset] {
    case 0xe8, 0xe9, 0x80...0x8f: code.littleEndian(Int32.self, at: offset + 1).map { offset + 5 + Int($0) }
    case 0x70...0x7f, 0xe0...0xe3, 0xeb: code.littleEndian(Int8.self, at: offset + 1).map { offset + 2 + Int($0) }
    case 0xc7 where offset + 1 < code.count && code[offset + 1] == 0xf8:  // xbegin
      code.littleEndian(Int32.self, at: offset + 2).map { offset + 6 + Int($0) }
    default: nil
    }
  }

  static func mayBranch(undecodedAt offset: Int, in code: Span<UInt8>) -> Bool { true }

  static func target(of branch: Instruction, _ relocation: Relocation?) -> (source: Source, shape: Shape)? {
    guard let memory = branch.memory, !memory.isSegmented, !branch.hasOperandSizePrefix else { return nil }
    guard let relocation else {
      return plainLoad(memory).map { ($0, .g2) } ?? element(memory, isSigned: false).map { ($0, .c) }
    }
    guard let source = load(relocation, memory) else { return nil }
    guard source == .symbol else { return (source, .g1) }
    return (source, branch.flow.kind == .call ? .x4 : .x5)
  }

  static func use(of instruction: Instruction, _ relocation: Relocation) -> AddressUse {
    switch relocation.type {
    case gotPCRel where instruction.operation == .push: return .push(.x6)
    case gotPCRel, gotPCRelX, rexGotPCRelX, pc32, plt32, abs32, abs32S, abs64: return .other(.c)
    case pltOff64, gotOff64, gotPCRel64, pc64: return .other(.m5)
    case got64: return .other(.m6)
    default: return .other(.c)
    }
  }

  /// The thunks of gcc and the kernel (`__x86_indirect_thunk_rax`) and of clang (`__llvm_retpoline_r11`).
  static func thunkRegister(_ symbolName: String) -> Register? {
    for prefix in ["__x86_indirect_thunk_", "__llvm_retpoline_", "__llvm_lvi_thunk_"] where symbolName.hasPrefix(prefix)
    {
      return names.firstIndex(of: String(symbolName.dropFirst(prefix.count))).map { Register($0) }
    }
    return nil
  }

  static func thunkRegister(at offset: Int, in code: Span<UInt8>) -> Register? { nil }

  static func isThunk(_ symbolName: String) -> Bool {
    ["__x86_indirect_", "__llvm_retpoline_", "__llvm_external_retpoline_", "__llvm_lvi_thunk_"].contains {
      symbolName.hasPrefix($0)
    }
  }

  static func returnsToPushed(_ symbolName: String) -> Bool { symbolName == "__x86_indirect_thunk" }

  /// The last instruction before a return that has to do with the top of the stack gives it back. One that writes there, or
  /// moves the stack pointer to a computed place, makes the return a jump.
  static func isComputedReturn(_ block: ArraySlice<Instruction>) -> Bool {
    for instruction in block.dropLast().reversed() {
      if instruction.operation == .push { return true }
      if let memory = instruction.memory, memory.base == stackPointer, instruction.operation != .loadAddress {
        // A load, a comparison and a spill further up leave the return address as it is.
        let isOnTop = memory.displacement == 0 || memory.index != nil
        if isOnTop, instruction.operation == .store || !instruction.isPlainRead { return true }
        continue
      }
      if instruction.operation == .loadAddress, instruction.destination == stackPointer { return true }
      if instruction.effects == .unknown { return true }
      if instruction.effects.writes.contains(stackPointer) { return false }
    }
    return false
  }

  /// psABI, figure 3.4: `rbx`, `rsp`, `rbp`, `r12` to `r15`.
  static let calleeSaved = RegisterSet(numbers: 3, 4, 5, 12, 13, 14, 15)

  /// psABI, figure 3.4: `rdi`, `rsi`, `rdx`, `rcx`, `r8`, `r9`. The count of vector registers in `al` and the static chain in
  /// `r10` are no addresses of code that is called at the same time.
  static let arguments = RegisterSet(numbers: 1, 2, 6, 7, 8, 9)

  /// psABI, figure 3.4: `rax`, `rdx`.
  static let results = RegisterSet(numbers: 0, 2)

  static func name(of register: Register) -> String { "%" + names[register.number] }

  private static let names = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
  ]

  static func resume(after offset: Int) -> Int? { nil }

  /// SDM, NOP: 90, 66 90, 0f 1f /0.
  static func isPlaceholder(_ instruction: Instruction, in code: Span<UInt8>) -> Bool {
    if case .jump(.direct) = instruction.flow { return true }
    let first =
      (instruction.offset..<instruction.end).first { code[$0] != 0x66 && code[$0] != 0x2e } ?? instruction.offset
    return code[first] == 0x90 && first + 1 == instruction.end
      || code[first] == 0x0f && first + 1 < instruction.end && code[first + 1] == 0x1f
  }

  static func mayReadMemory(_ instruction: Instruction, in code: Span<UInt8>) -> Bool {
    if instruction.effects == .unknown || stringOpcode(of: instruction, in: code) != nil { return true }
    guard let memory = instruction.memory, instruction.operation != .loadAddress else { return false }
    return memory.base != stackPointer
  }

  static func patchableBytes(of branch: Instruction, in code: Span<UInt8>) -> Range<Int>? {
    for length in [5, 6] where length <= branch.length {
      let start = branch.end - length
      guard let (kind, field) = nearBranch(at: start, in: code), kind == branch.flow.kind, field + 4 == branch.end
      else {
        continue
      }
      return start..<branch.end
    }
    return nil
  }

  static func readsTypeHash(_ instruction: Instruction, of register: Register, in code: Span<UInt8>) -> Bool {
    guard let memory = instruction.memory, memory.base == register, memory.index == nil else { return false }
    return memory.size == 4 && memory.displacement < 0
  }

  static func directShape(_ kind: CallKind) -> Shape {
    switch kind {
    case .call: .x1
    case .tail: .x2
    case .conditionalTail: .x3
    }
  }

  static func shapeInData(_ relocation: Relocation) -> Shape { .c }

  static let thunkShape = Shape.t1
}

extension Instruction {
  /// Whether an instruction with an operand in memory reads it, as far as that is seen from its kind.
  fileprivate var isPlainRead: Bool {
    [.move, .moveSigned, .compare].contains(operation) || destination != nil && operation != .add
  }
}
