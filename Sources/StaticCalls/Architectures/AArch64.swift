import Disassembly
import ObjectFile

/// AArch64, after "ELF for the Arm 64-bit Architecture" (AAELF64, section 5.7) and the Arm ARM (C6.2, B and BL).
///
/// Odd here:
/// - Every instruction is one aligned word, little-endian even in a big-endian object, so a word and its relocation type are
///   proof enough of a branch. Text may hold data all the same: literal pools and jump tables, between the mapping symbols
///   `$d` and `$x`.
/// - A displacement counts from the branch itself: a branch to a symbol has the addend 0.
/// - An address takes two or more instructions (`adrp` and `ldr` or `add`; `movz` and three `movk`), each with a relocation of
///   its own; the one that completes it speaks for all.
/// - `b.cond`, `cbz` and `tbz` reach 1 MiB or less and are no sites; compilers do not aim them at other sections.
enum AArch64: Architecture {
  static let instructionSet = InstructionSet.aarch64

  static let tableRelocation = RelocationType(261)  // R_AARCH64_PREL32

  static let addressRelocation = abs64

  private static let abs64 = RelocationType(257)  // R_AARCH64_ABS64
  private static let adrPrelLo21 = RelocationType(274)  // R_AARCH64_ADR_PREL_LO21
  private static let adrPrelPgHi21 = RelocationType(275)  // R_AARCH64_ADR_PREL_PG_HI21
  private static let adrPrelPgHi21NC = RelocationType(276)  // R_AARCH64_ADR_PREL_PG_HI21_NC
  private static let addAbsLo12NC = RelocationType(277)  // R_AARCH64_ADD_ABS_LO12_NC
  private static let tstBr14 = RelocationType(279)  // R_AARCH64_TSTBR14
  private static let condBr19 = RelocationType(280)  // R_AARCH64_CONDBR19
  private static let jump26 = RelocationType(282)  // R_AARCH64_JUMP26
  private static let call26 = RelocationType(283)  // R_AARCH64_CALL26
  private static let gotLdPrel19 = RelocationType(309)  // R_AARCH64_GOT_LD_PREL19
  private static let ld64GotOffLo15 = RelocationType(310)  // R_AARCH64_LD64_GOTOFF_LO15
  private static let adrGotPage = RelocationType(311)  // R_AARCH64_ADR_GOT_PAGE
  private static let ld64GotLo12NC = RelocationType(312)  // R_AARCH64_LD64_GOT_LO12_NC
  private static let ld64GotPageLo15 = RelocationType(313)  // R_AARCH64_LD64_GOTPAGE_LO15
  private static let movwUabsG3 = RelocationType(269)  // R_AARCH64_MOVW_UABS_G3
  private static let movwUabs = UInt32(263)...269  // R_AARCH64_MOVW_UABS_G0 to _G3
  private static let ldPrelLo19 = RelocationType(273)  // R_AARCH64_LD_PREL_LO19
  private static let ldst64AbsLo12NC = RelocationType(286)  // R_AARCH64_LDST64_ABS_LO12_NC

  /// R_AARCH64_PREL64, PREL32, PREL16 and PLT32.
  static func isDistance(_ relocation: Relocation) -> Bool { [260, 261, 262, 314].contains(relocation.type.rawValue) }

  static func isOnlyInBranches(_ relocation: Relocation) -> Bool { false }

  static func namesAccessedMemory(
    _ relocation: Relocation, by instruction: Instruction, in code: Span<UInt8>
  ) -> Bool {
    let isTableEntry = [gotLdPrel19, ld64GotOffLo15, ld64GotLo12NC, ld64GotPageLo15].contains(relocation.type)
    return !isTableEntry && !memoryAccesses(by: instruction, in: code).isEmpty
  }

  /// R_AARCH64_ABS64, PREL64 and GOTREL64 (AAELF64, "Relocation codes").
  private static let eightByteFields: Set<UInt32> = [257, 260, 307]

  static func fieldSize(of relocation: Relocation) -> Int { eightByteFields.contains(relocation.type.rawValue) ? 8 : 4 }

  /// Instructions have other relocations.
  static func formsAddress(_ relocation: Relocation, in code: Span<UInt8>) -> Bool { false }

  static func field(of relocation: Relocation, in code: Span<UInt8>) -> RelocatedField {
    let offset = relocation.offset.rawValue
    switch relocation.type {
    case tstBr14, condBr19: return .unpatchableBranch
    case call26, jump26: break
    default: return .other
    }
    guard offset % 4 == 0, let word = branchWord(at: offset, in: code) else { return .other }
    return .branch(start: offset, length: 4, kind: word >> 31 == 1 ? .call : .tail, certainty: .certain)
  }

  /// The word at an offset where it is `b` or `bl`: bits 30 to 26 are 00101, bit 31 tells the two apart.
  static func branchWord(at offset: Int, in code: Span<UInt8>) -> UInt32? {
    code.littleEndian(UInt32.self, at: offset).flatMap { $0 & 0x7c00_0000 == 0x1400_0000 ? $0 : nil }
  }

  static func targetOffset(of relocation: Relocation, instructionEnd end: Int) -> Int64 { relocation.addend }

  static func definition(
    by instruction: Instruction, _ relocation: Relocation?, in code: Span<UInt8>
  ) -> Definition? {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset), let register = register(word, at: 0),
      let made = source(word, relocation, at: instruction.offset)
    else { return nil }
    return Definition(register: register, source: made.source, shape: made.shape)
  }

  /// What an instruction word makes of its first register: Arm ARM C4.1, "A64 instruction set encoding".
  private static func source(
    _ word: UInt32, _ relocation: Relocation?, at offset: Int
  ) -> (source: Source, shape: Shape)? {
    let type = relocation?.type
    // Imm19 of a literal load, and immhi:immlo of adr, both signed.
    let immediate19 = Int(Int32(bitPattern: word << 8) >> 13)
    if word & 0x1f00_0000 == 0x1000_0000 {  // adr, adrp
      switch (word >> 31, type) {
      case (1, adrGotPage): return (.pageOfTableEntry, .m7)
      case (1, adrPrelPgHi21), (1, adrPrelPgHi21NC): return (.page, .m8)
      case (0, adrPrelLo21): return (.symbol, .m9)
      case (0, nil): return (.place(offset + immediate19 * 4 + Int(word >> 29 & 3)), .c)
      default: return nil
      }
    }
    if word & 0xff00_0000 == 0x5800_0000 {  // ldr Xt, literal
      switch type {
      case gotLdPrel19: return (.symbol, .m9)
      case ldPrelLo19: return (.memoryAtSymbol, .m11)
      case nil: return (.memoryAtPlace(offset + immediate19 * 4), .m11)
      default: return nil
      }
    }
    // ldar and ldapr, which order what is read behind them.
    if word & 0xffff_fc00 == 0xc8df_fc00 || word & 0xffff_fc00 == 0xf8bf_c000 {
      return type == nil ? register(word, at: 5).map { (.memory(base: $0, displacement: 0), .m11) } : nil
    }
    if word & 0xff80_03e0 == 0x9100_03e0 { return type == nil ? (.stackPointer, .c) : nil }  // add Xd, sp, #imm
    if let base = register(word, at: 5) {
      if word & 0xffc0_0000 == 0x9100_0000 {  // add Xd, Xn, #imm
        if type == addAbsLo12NC { return (.addressOnPage(base), .m8) }
        guard type == nil else { return nil }
        return (word & 0x3f_fc00 == 0 ? .register(base) : .registerPlusConstant(base), .c)
      }
      if word & 0xffc0_0000 == 0xf940_0000 {  // ldr Xt, [Xn, #imm]
        switch type {
        case ld64GotLo12NC: return (.tableEntryOnPage(base), .m7)
        case ld64GotPageLo15: return (.tableEntryOnTablePage(base), .m7)
        case ldst64AbsLo12NC: return (.memoryOnPage(base), .m11)
        case nil: return (.memory(base: base, displacement: Int(word >> 10 & 0xfff) * 8), .m11)
        default: return nil
        }
      }
    }
    if word & 0xdf80_0000 == 0xd280_0000, let type, movwUabs.contains(type.rawValue) {  // movz, movk
      let part = Int(word >> 21 & 3)
      guard Int(type.rawValue - movwUabs.lowerBound) / 2 == part else { return nil }
      return (.part(part, isFirst: word & 0x2000_0000 == 0), .m10)
    }
    return relocation == nil ? tableSource(word).map { ($0, .c) } : nil
  }

  /// Copies, and the steps to the target of a jump table.
  private static func tableSource(_ word: UInt32) -> Source? {
    guard let second = register(word, at: 16) else { return nil }
    if word & 0xffe0_ffe0 == 0xaa00_03e0 { return .register(second) }  // mov Xd, Xm
    guard let base = register(word, at: 5) else { return nil }
    // ldr, ldrb, ldrh, ldrsb, ldrsh, ldrsw with a register's offset: bit 12 scales it by the size.
    if word & 0x3f20_0c00 == 0x3820_0800, word >> 22 & 3 != 0 {
      let size = 1 << Int(word >> 30)
      let isSigned = word >> 23 & 1 == 1
      // With eight bytes that is prfm.
      guard size == 1 || word >> 12 & 1 == 1, size < 8 || !isSigned else { return nil }
      return .element(base: base, Element(size: size, isSigned: isSigned))
    }
    if word & 0xffe0_0000 == 0x8b00_0000 {  // add Xd, Xn, Xm, lsl #n
      return .sumWithElement(base: base, element: second, shift: Int(word >> 10 & 0x3f), .whole)
    }
    if word & 0xffe0_0000 == 0x8b20_0000 {  // add Xd, Xn, Rm, extend #n
      let bytes = 1 << Int(word >> 13 & 3)
      let isSigned = word >> 15 & 1 == 1
      return .sumWithElement(
        base: base, element: second, shift: Int(word >> 10 & 7),
        bytes == 8 ? .whole : isSigned ? .signed(bytes: bytes) : .unsigned(bytes: bytes))
    }
    return nil
  }

  /// Looks for `cmp index, #n` and the branch that is taken for greater ones (`b.hi`, `b.hs`) or not (`b.ls`, `b.lo`), or a mask.
  static func entries(loadedBy load: Instruction, after path: [FunctionCode.Step], in code: Span<UInt8>) -> Int? {
    func word(_ instruction: Instruction) -> UInt32 { code.littleEndian(UInt32.self, at: instruction.offset) ?? 0 }
    guard var index = register(word(load), at: 16) else { return nil }
    for (number, step) in path.enumerated() {
      // Behind a call the registers are others.
      if step.instruction.flow.kind == .call { return nil }
      let this = word(step.instruction)
      if this & 0xff00_0010 == 0x5400_0000 {  // b.cond
        guard let compare = path[(number + 1)...].first(where: { !keepsFlags(word($0.instruction)) }) else {
          return nil
        }
        let (compared, passed) = (
          word(compare.instruction), path[(number + 1)...].prefix { keepsFlags(word($0.instruction)) }
        )
        let isChanged = passed.contains { $0.instruction.effects.writes.contains(index) }
        // subs wzr, index, #imm
        guard compared & 0x7f80_001f == 0x7100_001f, register(compared, at: 5) == index, !isChanged else { continue }
        let limit = Int(compared >> 10 & 0xfff) << (compared >> 22 & 1 == 1 ? 12 : 0)
        switch (this & 0xf, step.isTaken) {
        case (8, false), (9, true): return limit + 1  // hi, ls
        case (2, false), (3, true): return limit  // hs, lo
        default: continue
        }
      }
      guard step.instruction.effects.writes.contains(index) else { continue }
      if this & 0x7fe0_ffe0 == 0x2a00_03e0, let source = register(this, at: 16) {  // mov
        index = source
      } else if this & 0x7fff_8000 == 0x1200_0000 {  // and index, source, #mask of the lowest bits
        return 1 << (Int(this >> 10 & 0x1f) + 1)
      } else {
        return nil
      }
    }
    return nil
  }

  static let nop: UInt32 = 0xd503_201f

  /// `nop` and `b`.
  static func isPlaceholder(_ instruction: Instruction, in code: Span<UInt8>) -> Bool {
    if case .jump(.direct) = instruction.flow { return true }
    return code.littleEndian(UInt32.self, at: instruction.offset) == nop
  }

  static func mayReadMemory(_ instruction: Instruction, in code: Span<UInt8>) -> Bool {
    guard instruction.effects != .unknown, let word = code.littleEndian(UInt32.self, at: instruction.offset) else {
      return true
    }
    // SVE has its loads and stores where the first bit is 1 (Arm ARM C4.1).
    if word & 0x9e00_0000 == 0x8400_0000 { return true }
    return word & 0x0a00_0000 == 0x0800_0000 && word >> 5 & 31 != 31
  }

  /// Whether an instruction is one of the few that stand between a comparison and its branch: `mov`, `adrp`, `adr`, `add`, `movz`.
  private static func keepsFlags(_ word: UInt32) -> Bool {
    word & 0x7fe0_ffe0 == 0x2a00_03e0 || word & 0x1f00_0000 == 0x1000_0000 || word & 0x7f80_0000 == 0x1100_0000
      || word & 0x7f80_0000 == 0x5280_0000
  }

  /// The register whose number is in five bits of a word; `nil` for `xzr` and `sp`.
  static func register(_ word: UInt32, at bit: Int) -> Register? {
    let number = Int(word >> UInt32(bit) & 31)
    return number == 31 ? nil : Register(number)
  }

  static func placeFormed(by instruction: Instruction, in code: Span<UInt8>) -> Int? {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset),
      case .place(let offset)? = source(word, nil, at: instruction.offset)?.source
    else { return nil }
    return offset
  }

  /// Loads and stores have their base in one place (Arm ARM C4.1.66).
  static func baseOfStore(_ instruction: Instruction, in code: Span<UInt8>) -> Register? {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset), word & 0x0a00_0000 == 0x0800_0000 else {
      return nil
    }
    return register(word, at: 5)
  }

  /// Arm ARM C6.2: `b` and `bl`; `b.cond`, `cbz` and `cbnz`; `tbz` and `tbnz`.
  static func possibleBranchTarget(at offset: Int, in code: Span<UInt8>) -> Int? {
    guard offset % 4 == 0, let word = code.littleEndian(UInt32.self, at: offset) else { return nil }
    if word & 0x7c00_0000 == 0x1400_0000 { return offset + Int(Int32(bitPattern: word << 6) >> 6) * 4 }
    if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
      return offset + Int(Int32(bitPattern: word << 8) >> 13) * 4
    }
    return word & 0x7e00_0000 == 0x3600_0000 ? offset + Int(Int32(bitPattern: word << 13) >> 18) * 4 : nil
  }

  /// Branches, exceptions and system instructions have bits 28 to 26 in common (Arm ARM C4.1); of these, `retaa` and `retab`, which may be
  /// written as data, end a function as `ret` does.
  static func mayBranch(undecodedAt offset: Int, in code: Span<UInt8>) -> Bool {
    guard let word = code.littleEndian(UInt32.self, at: offset) else { return true }
    return word >> 26 & 7 == 0b101 && word != 0xd65f_0bff && word != 0xd65f_0fff
  }

  static func target(of branch: Instruction, _ relocation: Relocation?) -> (source: Source, shape: Shape)? { nil }

  static func use(of instruction: Instruction, _ relocation: Relocation) -> AddressUse {
    switch relocation.type {
    case adrGotPage, adrPrelPgHi21, adrPrelPgHi21NC: .part
    case _ where movwUabs.contains(relocation.type.rawValue) && relocation.type != movwUabsG3: .part
    case ld64GotLo12NC, ld64GotPageLo15, ld64GotOffLo15: .other(.m7)
    case addAbsLo12NC: .other(.m8)
    case gotLdPrel19, adrPrelLo21: .other(.m9)
    case movwUabsG3: .other(.m10)
    case abs64: .other(.m11)
    default: .other(.c)
    }
  }

  /// The thunks of gcc (`__call_indirect_x8`) and of clang (`__llvm_slsblr_thunk_x8`) for `-mharden-sls`.
  static func thunkRegister(_ symbolName: String) -> Register? {
    for prefix in ["__call_indirect_x", "__llvm_slsblr_thunk_x"] where symbolName.hasPrefix(prefix) {
      return Int(symbolName.dropFirst(prefix.count)).flatMap { (0...30).contains($0) ? Register($0) : nil }
    }
    return nil
  }

  /// `mov x16, xN` and `br x16`: gcc puts such a thunk without a symbol behind each function that needs it.
  static func thunkRegister(at offset: Int, in code: Span<UInt8>) -> Register? {
    guard let move = code.littleEndian(UInt32.self, at: offset), move & 0xffe0_ffff == 0xaa00_03f0,
      code.littleEndian(UInt32.self, at: offset + 4) == 0xd61f_0200
    else { return nil }
    return register(move, at: 16)
  }

  static func isThunk(_ symbolName: String) -> Bool { thunkRegister(symbolName) != nil }

  static func returnsToPushed(_ symbolName: String) -> Bool { false }

  /// A return through another register than `x30`, or through an `x30` that was not loaded from the stack.
  static func isComputedReturn(_ block: ArraySlice<Instruction>) -> Bool {
    let link = Register(30)
    guard let last = block.last, last.effects.reads.contains(link) else { return true }
    for instruction in block.dropLast().reversed() where instruction.effects.writes.contains(link) {
      if instruction.operation == .move || instruction.flow.kind == .call { return false }
      // Authentication gives the return address back as it was.
      let isAuthentication = instruction.operation == .other && instruction.effects.reads == RegisterSet(link)
      if !isAuthentication { return true }
    }
    return false
  }

  /// AAPCS64, section 6.1.1: `x19` to `x29`.
  static let calleeSaved = RegisterSet(numbers: 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29)

  /// AAPCS64, section 6.1.1: `x0` to `x7`. The address of a result in `x8` is no address of code.
  static let arguments = RegisterSet(numbers: 0, 1, 2, 3, 4, 5, 6, 7)

  /// AAPCS64, section 6.1.1: `x0` to `x7`.
  static let results = arguments

  static func name(of register: Register) -> String { "x\(register.number)" }

  static func resume(after offset: Int) -> Int? { offset + 4 }

  static func patchableBytes(of branch: Instruction, in code: Span<UInt8>) -> Range<Int>? {
    branchWord(at: branch.offset, in: code) == nil ? nil : branch.offset..<branch.end
  }

  static func directForm(of branch: Instruction, in code: Span<UInt8>, room: Int) -> DirectForm? {
    let word: UInt32
    switch branch.flow {
    case .call: word = 0x9400_0000  // bl
    case .jump: word = 0x1400_0000  // b
    case .conditionalJump, .next, .trap, .stop: return nil
    }
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    return DirectForm(bytes: bytes, opcode: branch.offset, padding: 0)
  }

  static func branchRelocation(_ kind: CallKind) -> (field: Int, type: RelocationType, addend: Int64) {
    (0, kind == .call ? call26 : jump26, 0)
  }

  static func nops(_ count: Int) -> [UInt8] { (0..<count / 4).flatMap { _ in [0x1f, 0x20, 0x03, 0xd5] as [UInt8] } }

  /// Every branch has room for a direct one: nothing has to move.
  static func moved(
    _ instruction: Instruction, down distance: Int, _ relocations: ArraySlice<CodeRelocation>, in code: Span<UInt8>
  ) -> [UInt8]? { nil }

  /// `ldur Wt, [Xn, #-imm]`.
  static func readsTypeHash(_ instruction: Instruction, of register: Register, in code: Span<UInt8>) -> Bool {
    guard let word = code.littleEndian(UInt32.self, at: instruction.offset) else { return false }
    return word & 0xfff0_0c00 == 0xb850_0000 && AArch64.register(word, at: 5) == register
  }

  static func directShape(_ kind: CallKind) -> Shape { kind == .call ? .a1 : .a2 }

  static func shapeInData(_ relocation: Relocation) -> Shape { relocation.type == abs64 ? .m11 : .c }

  static let thunkShape = Shape.t3
}
