/// Which bytes follow an opcode.
enum OperandBytes {
  case invalid, none, modRM
  case immediate8, immediate16, immediate32
  /// Of the operand's size, but at most 32 bits.
  case immediate
  /// Of the operand's size.
  case immediate64
  case modRMImmediate8, modRMImmediate32, modRMImmediate
  /// An offset of the address' size.
  case address
  case enter
  /// ModRM, and an immediate for `test`.
  case group3
  /// ModRM and two bytes.
  case twoImmediates

  var hasModRM: Bool {
    switch self {
    case .modRM, .modRMImmediate8, .modRMImmediate32, .modRMImmediate, .group3, .twoImmediates: true
    default: false
    }
  }
}

extension X86Encoding {
  /// What follows the opcode (SDM volume 2, tables; APM volume 3, appendix A for XOP and 3DNow!).
  var operandBytes: OperandBytes {
    switch (form, map) {
    case (.legacy, 0): return Self.oneByteMap[Int(opcode)]
    case (.legacy, 1):
      // Of `vmread`'s opcode SSE4a uses the other selectors.
      if opcode == 0x78, selector == .operandSize || selector == .repeatedNot { return .twoImmediates }
      return Self.twoByteMap[Int(opcode)]
    case (.legacy, 2): return .modRM
    case (.legacy, _): return .modRMImmediate8
    case (.vex, 1) where opcode == 0x77: return .none
    case (.vex, 1), (.evex, 1):
      switch opcode {
      case 0x70...0x73, 0xc2, 0xc4, 0xc5, 0xc6: return .modRMImmediate8
      default: return .modRM
      }
    case (.vex, 3), (.evex, 3), (.xop, 8): return .modRMImmediate8
    case (.xop, 10): return .modRMImmediate32
    default: return .modRM
    }
  }

  /// One character for each opcode: see `operandBytes(_:)`. Prefixes and what 64-bit mode does not have are `x`.
  private static let oneByteMap = operandBytes(
    "mmmmbzxxmmmmbzxx", "mmmmbzxxmmmmbzxx", "mmmmbzxxmmmmbzxx", "mmmmbzxxmmmmbzxx",
    "xxxxxxxxxxxxxxxx", "................", "xxxmxxxxzZbM....", "bbbbbbbbbbbbbbbb",
    "MZxMmmmmmmmmmmmm", "..........x.....", "aaaa....bz......", "bbbbbbbbvvvvvvvv",
    "MMw.xxMZe.w..bx.", "mmmmxxx.mmmmmmmm", "bbbbbbbbjjxb....", "x.xx..gg......mm")

  private static let twoByteMap = operandBytes(
    "mmmmx.....x.xm.M", "mmmmmmmmmmmmmmmm", "mmmmxxxxmmmmmmmm", "......x.xxxxxxxx",
    "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm", "MMMMmmm.mmxxmmmm",
    "jjjjjjjjjjjjjjjj", "mmmmmmmmmmmmmmmm", "...mMmxx...mMmmm", "mmmmmmmmmmMmmmmm",
    "mmMmMMMm........", "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm", "mmmmmmmmmmmmmmmm")

  private static func operandBytes(_ rows: String...) -> [OperandBytes] {
    rows.joined().utf8.map { character in
      switch character {
      case UInt8(ascii: "."): .none
      case UInt8(ascii: "m"): .modRM
      case UInt8(ascii: "b"): .immediate8
      case UInt8(ascii: "w"): .immediate16
      case UInt8(ascii: "j"): .immediate32
      case UInt8(ascii: "z"): .immediate
      case UInt8(ascii: "v"): .immediate64
      case UInt8(ascii: "M"): .modRMImmediate8
      case UInt8(ascii: "Z"): .modRMImmediate
      case UInt8(ascii: "a"): .address
      case UInt8(ascii: "e"): .enter
      case UInt8(ascii: "g"): .group3
      default: .invalid
      }
    }
  }
}
