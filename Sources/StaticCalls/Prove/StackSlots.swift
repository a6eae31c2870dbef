import Disassembly
import ObjectFile

/// Where a function's instructions access its stack, as distances from where the stack pointer was at its start.
struct StackSlots {
  private let code: FunctionCode
  private let architecture: any Architecture.Type
  /// The stack pointer in front of each instruction, in bytes; `nil` where it is not known.
  private var heights: [Int?]
  /// What the frame pointer holds where it points into the frame; `nil` where that is not one place.
  private var frame: Int?

  init(
    _ code: FunctionCode, _ architecture: any Architecture.Type, _ object: borrowing ObjectFile
  ) {
    self.code = code
    self.architecture = architecture
    heights = [Int?](repeating: nil, count: code.instructions.count)
    object.withContents(of: code.section) { bytes in
      follow(bytes)
      findFrame(bytes)
    }
  }

  /// The bytes of the stack that an access reaches, from the start of the function on; `nil` for anywhere on the stack.
  func slot(of access: MemoryAccess, at position: Int) -> Range<Int>? {
    let base: Int? =
      switch access.base {
      case .stackPointer: heights[position]
      case .register(architecture.framePointer): frame
      case .register, .other: nil
      }
    guard let base, let displacement = access.displacement else { return nil }
    return (base &+ displacement)..<(base &+ displacement &+ access.size)
  }

  /// Works out the stack pointer from the start of the function on.
  private mutating func follow(_ bytes: Span<UInt8>) {
    var entry = [Int??](repeating: nil, count: code.blocks.count)
    var work: [Int] = []
    func flow(_ height: Int?, into block: Int) {
      let joined: Int? = if case .some(let known) = entry[block], known != height { nil } else { height }
      guard entry[block] != .some(joined) else { return }
      entry[block] = .some(joined)
      work.append(block)
    }
    for number in code.blocks.indices.reversed() where code.blocks[number].isEntered {
      flow(number == 0 ? 0 : nil, into: number)
    }
    while let number = work.popLast() {
      guard case .some(var height) = entry[number] else { continue }
      for position in code.blocks[number].range {
        heights[position] = height
        if let landing = code.landings[position] { flow(height, into: landing) }
        switch architecture.stackStep(of: code.instructions[position], in: bytes) {
        case .moved(let bytes): height = height.map { $0 &+ bytes }
        case .unknown: height = nil
        }
      }
      for successor in code.blocks[number].successors { flow(height, into: successor) }
    }
  }

  private mutating func findFrame(_ bytes: Span<UInt8>) {
    var places: Set<Int?> = []
    let pointer = RegisterSet(architecture.framePointer)
    for (position, instruction) in code.instructions.enumerated() {
      // Moved within the frame.
      if instruction.effects.writes == pointer, instruction.effects.reads.isSuperset(of: pointer) { places.insert(nil) }
      guard let formed = architecture.stackAddress(formedBy: instruction, in: bytes),
        formed.register == architecture.framePointer
      else { continue }
      places.insert(heights[position].flatMap { height in formed.distance.map { height &+ $0 } })
    }
    frame = places.count == 1 ? places.first ?? nil : nil
  }
}

/// Places on the stack that something may be kept at.
struct StackPlaces: Equatable {
  private var slots: [Range<Int>] = []
  private var areAnywhere = false
  /// With more of them than this, anywhere is as good an answer.
  private static let most = 64

  var isEmpty: Bool { slots.isEmpty && !areAnywhere }

  /// Adds bytes of the stack; `nil` for anywhere. Returns whether that is new.
  @discardableResult mutating func insert(_ slot: Range<Int>?) -> Bool {
    guard !areAnywhere else { return false }
    guard let slot, slots.count < Self.most else {
      areAnywhere = true
      return true
    }
    guard !slots.contains(slot) else { return false }
    slots.append(slot)
    return true
  }

  /// Whether bytes of the stack are among them; `nil` stands for any.
  func overlap(_ slot: Range<Int>?) -> Bool {
    guard let slot, !areAnywhere else { return !isEmpty }
    return slots.contains { $0.overlaps(slot) }
  }
}
