import Disassembly

/// The values that occur in one function, each with a number: registers are compared and copied by these. Number 0 is the unknown value.
final class ValueTable {
  private var values: [Value] = [.unknown]
  private var numbers: [Value: UInt32] = [:]

  subscript(number: UInt32) -> Value { values[Int(number)] }

  /// The number of a value, which gets one if it has none.
  func number(of value: Value) -> UInt32 {
    if value == .unknown { return 0 }
    if let number = numbers[value] { return number }
    let number = UInt32(truncatingIfNeeded: values.count)
    values.append(value)
    numbers[value] = number
    return number
  }
}

/// What the registers hold at one place of a function.
struct Registers {
  private let table: ValueTable
  private var numbers: [UInt32]
  /// The registers of which something is known.
  private(set) var held: RegisterSet = []

  static let count = 32

  /// Registers of which nothing is known.
  init(_ table: ValueTable) {
    self.table = table
    numbers = [UInt32](repeating: 0, count: Self.count)
  }

  subscript(register: Register) -> Value {
    get { table[numbers[register.number]] }
    set { set(register, to: table.number(of: newValue)) }
  }

  private mutating func set(_ register: Register, to number: UInt32) {
    numbers[register.number] = number
    if number == 0 { held.remove(RegisterSet(register)) } else { held.insert(RegisterSet(register)) }
  }

  /// Forgets what some registers hold.
  mutating func forget(_ registers: RegisterSet) {
    for register in held.intersection(registers).members { set(register, to: 0) }
  }

  /// Changes each value that is known.
  mutating func update(_ change: (Value) -> Value) {
    for register in held.members {
      let value = self[register]
      let changed = change(value)
      if changed != value { self[register] = changed }
    }
  }

  /// Makes of this what is known where two ways meet. Returns whether that is something else.
  mutating func join(_ other: Registers) -> Bool {
    var isChanged = false
    for register in held.union(other.held).members where numbers[register.number] != other.numbers[register.number] {
      let joined = table.number(of: self[register].joined(with: other[register]))
      if joined != numbers[register.number] {
        set(register, to: joined)
        isChanged = true
      }
    }
    return isChanged
  }
}
