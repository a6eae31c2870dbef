/// The parts of an x86-64 instruction in 64-bit mode, which add up to its length. No table of instructions is asked: prefixes, map,
/// opcode and operand bytes say it all (Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3, chapter 1).
struct X86Encoding {
  enum Form { case legacy, vex, evex, xop }

  /// What a mandatory prefix selects: in the order of the two bits that VEX and EVEX have for it.
  enum Selector: UInt8 { case none, operandSize, repeated, repeatedNot }

  private(set) var form = Form.legacy
  /// 0 for the one-byte map, 1 for 0f, 2 for 0f38, 3 for 0f3a, and so on, as VEX, EVEX and XOP number them.
  private(set) var map: UInt8 = 0
  private(set) var opcode: UInt8 = 0
  private(set) var modRM: UInt8 = 0
  private(set) var hasModRM = false
  private(set) var length = 0

  private(set) var hasOperandSizePrefix = false
  private(set) var hasAddressSizePrefix = false
  private(set) var hasLock = false
  /// Whether the address counts from the base of FS or GS. The other segments' prefixes mean nothing.
  private(set) var hasSegment = false
  private(set) var hasREX = false
  private(set) var isWide = false
  /// The prefix f2 or f3 that counts: the last one.
  private(set) var repetition: UInt8 = 0
  private var selectorBits: UInt8 = 0
  private var registerBits = 0
  private var indexBits = 0
  private var baseBits = 0
  /// The register that VEX and XOP name besides those of ModRM.
  private(set) var vectorRegister = 0

  private(set) var base: Int?
  private(set) var index: Int?
  private(set) var scale = 1
  private(set) var displacement = 0
  private(set) var isProgramCounterRelative = false
  /// The immediate, extended by its sign; of two immediates the first.
  private(set) var immediate = 0

  /// The longest instruction that a processor takes, in bytes.
  static let longest = 15

  /// `nil` where the bytes are no instruction of 64-bit mode, one that APX added, or cut off.
  init?(_ bytes: Span<UInt8>) {
    guard takePrefixes(bytes), takeOpcode(bytes) else { return nil }
    let operands = operandBytes
    guard operands != .invalid, !operands.hasModRM || takeModRM(bytes) else { return nil }
    guard takeImmediate(operands, bytes), length <= Self.longest else { return nil }
  }

  // MARK: What the parts say

  var selector: Selector {
    guard form == .legacy else { return Selector(rawValue: selectorBits) ?? .none }
    switch repetition {
    case 0xf3: return .repeated
    case 0xf2: return .repeatedNot
    default: return hasOperandSizePrefix ? .operandSize : .none
    }
  }

  /// In bytes, where it is not 1.
  var operandSize: Int { isWide ? 8 : hasOperandSizePrefix ? 2 : 4 }

  /// Whether ModRM names a place in memory.
  var hasMemory: Bool { hasModRM && modRM < 0xc0 && !isMoveOfControlRegister }

  /// The three bits of ModRM that are a register or part of the opcode.
  var extensionOfOpcode: UInt8 { modRM >> 3 & 7 }

  /// The general-purpose register of those three bits.
  var register: Int { registerBits | Int(modRM >> 3 & 7) }

  /// The general-purpose register that ModRM names in the place of memory.
  var registerInPlaceOfMemory: Int { baseBits | Int(modRM & 7) }

  /// The register in the last three bits of an opcode.
  var registerOfOpcode: Int { baseBits | Int(opcode & 7) }

  /// `mov` from and to control and debug registers takes any ModRM for one with registers.
  private var isMoveOfControlRegister: Bool { form == .legacy && map == 1 && opcode & 0xfc == 0x20 }

  // MARK: Prefixes and opcode

  private mutating func takePrefixes(_ bytes: Span<UInt8>) -> Bool {
    while length < bytes.count {
      let byte = bytes[length]
      switch byte {
      case 0x66: hasOperandSizePrefix = true
      case 0x67: hasAddressSizePrefix = true
      case 0xf0: hasLock = true
      case 0xf2, 0xf3: repetition = byte
      case 0x64, 0x65: hasSegment = true
      case 0x26, 0x2e, 0x36, 0x3e: break
      case 0x40...0x4f:
        takeREX(byte)
        length += 1
        continue
      default: return true
      }
      // A REX prefix counts only directly in front of the opcode.
      takeREX(0)
      length += 1
    }
    return false
  }

  private mutating func takeREX(_ byte: UInt8) {
    hasREX = byte != 0
    isWide = byte & 8 != 0
    registerBits = Int(byte & 4) << 1
    indexBits = Int(byte & 2) << 2
    baseBits = Int(byte & 1) << 3
  }

  private mutating func takeOpcode(_ bytes: Span<UInt8>) -> Bool {
    guard let first = take(bytes) else { return false }
    opcode = first
    switch first {
    case 0x0f:
      guard let second = take(bytes) else { return false }
      (map, opcode) = (1, second)
      guard second == 0x38 || second == 0x3a else { return true }
      guard let third = take(bytes) else { return false }
      (map, opcode) = (second == 0x38 ? 2 : 3, third)
      return true
    case 0xc5:
      guard let payload = take(bytes) else { return false }
      return takeVectorPrefix(.vex, payload | 0x7f, payload & 0x7f, map: 1, bytes)
    case 0xc4:
      guard let payload = take(bytes), let second = take(bytes) else { return false }
      let map = payload & 0x1f
      return (1...3).contains(map) && takeVectorPrefix(.vex, payload, second, map: map, bytes)
    case 0x8f:
      // With a smaller map it is `pop`, and this byte its ModRM.
      guard length < bytes.count, bytes[length] & 0x1f >= 8 else { return true }
      guard let payload = take(bytes), let second = take(bytes) else { return false }
      let map = payload & 0x1f
      return (8...10).contains(map) && takeVectorPrefix(.xop, payload, second, map: map, bytes)
    case 0x62:
      guard let payload = take(bytes), let second = take(bytes), take(bytes) != nil else { return false }
      // What is fixed here, and the maps 4 and 7, belongs to APX.
      guard payload & 0x08 == 0, second & 0x04 != 0 else { return false }
      let map = payload & 7
      return [1, 2, 3, 5, 6].contains(map) && takeVectorPrefix(.evex, payload, second, map: map, bytes)
    default: return true
    }
  }

  /// The bits that VEX, EVEX and XOP share: R, X and B inverted, then W, vvvv inverted, and the selector.
  private mutating func takeVectorPrefix(
    _ form: Form, _ payload: UInt8, _ second: UInt8, map: UInt8, _ bytes: Span<UInt8>
  ) -> Bool {
    guard !hasREX, !hasLock, !hasOperandSizePrefix, repetition == 0, let opcode = take(bytes) else { return false }
    (self.form, self.map, self.opcode) = (form, map, opcode)
    registerBits = payload & 0x80 == 0 ? 8 : 0
    indexBits = payload & 0x40 == 0 ? 8 : 0
    baseBits = payload & 0x20 == 0 ? 8 : 0
    isWide = second & 0x80 != 0
    vectorRegister = Int(~second >> 3 & 0xf)
    selectorBits = second & 3
    return true
  }

  private mutating func take(_ bytes: Span<UInt8>) -> UInt8? {
    guard length < bytes.count else { return nil }
    length += 1
    return bytes[length - 1]
  }

  // MARK: ModRM, SIB and displacement

  private mutating func takeModRM(_ bytes: Span<UInt8>) -> Bool {
    guard let byte = take(bytes) else { return false }
    (modRM, hasModRM) = (byte, true)
    guard hasMemory else { return true }
    let mode = byte >> 6
    var hasDisplacement32 = mode == 2
    if byte & 7 == 4 {
      guard let sib = take(bytes) else { return false }
      let number = indexBits | Int(sib >> 3 & 7)
      // Vector registers as indexes have no such exception; none of them is a general-purpose register.
      if number != 4 {
        index = number
        scale = 1 << Int(sib >> 6)
      }
      if sib & 7 == 5, mode == 0 { hasDisplacement32 = true } else { base = baseBits | Int(sib & 7) }
    } else if byte & 7 == 5, mode == 0 {
      (hasDisplacement32, isProgramCounterRelative) = (true, true)
    } else {
      base = baseBits | Int(byte & 7)
    }
    guard hasDisplacement32 || mode == 1 else { return true }
    guard let number = takeNumber(hasDisplacement32 ? 4 : 1, bytes) else { return false }
    displacement = number
    return true
  }

  /// A number of some bytes, extended by its sign.
  private mutating func takeNumber(_ size: Int, _ bytes: Span<UInt8>) -> Int? {
    guard length + size <= bytes.count else { return nil }
    var bits: UInt64 = 0
    for position in 0..<size { bits |= UInt64(bytes[length + position]) << UInt64(8 * position) }
    length += size
    let unused = Int64(64 - 8 * size)
    return Int((Int64(bitPattern: bits) << unused) >> unused)
  }

  // MARK: Immediates

  private mutating func takeImmediate(_ operands: OperandBytes, _ bytes: Span<UInt8>) -> Bool {
    let size = immediateSize(operands)
    guard size > 0 else { return true }
    guard let number = takeNumber(size, bytes) else { return false }
    if operands == .address { displacement = number } else { immediate = number }
    // Behind the first of two there is one of a byte.
    return operands != .enter && operands != .twoImmediates || take(bytes) != nil
  }

  private func immediateSize(_ operands: OperandBytes) -> Int {
    switch operands {
    case .invalid, .none, .modRM: 0
    case .immediate8, .modRMImmediate8: 1
    case .immediate16: 2
    case .immediate32, .modRMImmediate32: 4
    case .immediate, .modRMImmediate: hasOperandSizePrefix && !isWide ? 2 : 4
    case .immediate64: isWide ? 8 : hasOperandSizePrefix ? 2 : 4
    case .address: hasAddressSizePrefix ? 4 : 8
    case .enter: 2
    // Of this group, `test` alone has an immediate.
    case .group3 where extensionOfOpcode > 1: 0
    case .group3: opcode & 1 == 0 ? 1 : hasOperandSizePrefix && !isWide ? 2 : 4
    case .twoImmediates: 1
    }
  }
}
