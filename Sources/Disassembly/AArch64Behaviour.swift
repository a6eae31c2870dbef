/// What one AArch64 instruction does, worked out from its word (Arm ARM, chapter C4). Words that are in no class here are refused: they
/// may do anything.
struct AArch64Behaviour {
  let word: UInt32
  var flow = ControlFlow.next
  var operation = Operation.other
  var effects = RegisterEffects(reads: [], writes: [])
  /// Whether the effects are certain.
  var isKnown = true
  var destination: Register?
  private(set) var writesMemory = false

  /// `nil` where the word is in no known class.
  init?(_ word: UInt32) {
    self.word = word
    guard decode() else { return nil }
    // A register that is also a source is read before it is replaced.
    effects.overwrites.subtract(effects.reads)
    if !isKnown {
      effects = .unknown
      writesMemory = true
    }
  }

  private mutating func decode() -> Bool {
    switch bits(25, 4) {
    case 0b0010: vectorLength()
    case 0b1000, 0b1001: immediate()
    case 0b1010, 0b1011: branchOrSystem()
    case 0b0101, 0b1101: registers()
    case 0b0111, 0b1111: vector()
    case 0b0100, 0b0110, 0b1100, 0b1110: loadOrStore()
    default: false
    }
  }

  // MARK: Fields

  func bits(_ position: UInt32, _ count: UInt32) -> UInt32 { word >> position & (1 << count - 1) }

  func bit(_ position: UInt32) -> Bool { word >> position & 1 == 1 }

  func matches(_ mask: UInt32, _ value: UInt32) -> Bool { word & mask == value }

  // MARK: Operands

  /// The register in five bits; none for 31, which is the stack pointer or zero.
  private func set(at position: UInt32) -> RegisterSet {
    let number = bits(position, 5)
    return number == 31 ? [] : RegisterSet(Register(Int(number)))
  }

  mutating func read(at positions: UInt32...) {
    for position in positions { effects.reads.formUnion(set(at: position)) }
  }

  /// The register is replaced in whole: a write to 32 bits clears the upper half.
  mutating func write(at position: UInt32) {
    let register = set(at: position)
    effects.writes.formUnion(register)
    effects.overwrites.formUnion(register)
    if destination == nil, register != [] { destination = Register(Int(bits(position, 5))) }
  }

  /// The register is changed in part, or maybe not at all.
  mutating func change(at positions: UInt32...) {
    for position in positions {
      effects.reads.formUnion(set(at: position))
      effects.writes.formUnion(set(at: position))
    }
  }

  /// Registers that the word does not name, or that its fields only begin to name.
  mutating func change(_ registers: RegisterSet) {
    effects.reads.formUnion(registers)
    effects.writes.formUnion(registers)
  }

  /// The place that the register in bits 9 to 5 points to is written; next to the stack pointer that does not count.
  mutating func changeMemoryAtBase() {
    if bits(5, 5) != 31 { writesMemory = true }
  }

  mutating func changeMemory() { writesMemory = true }

  /// The effects are not certain.
  mutating func unknown() -> Bool {
    isKnown = false
    return true
  }
}
