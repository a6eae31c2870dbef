import ObjectFile

/// What is known of the contents of a register at one place of a function.
enum Value: Hashable {
  case unknown
  /// A branch to it calls the trampoline.
  case callee(Callee)
  /// On some way to this place it is the callee, and not on all.
  case maybe(Callee)
  /// The address of something else that matters, and the instructions that completed it.
  case location(Location, loads: [Int])
  /// An address on the stack.
  case stack
  /// AArch64: the page of a location, or of its entry in the global offset table.
  case page(Location)
  case pageOfTableEntry(Location)
  /// AArch64: the 16-bit parts of a location's address that are in place, one bit each.
  case parts(Location, UInt8)
  /// x86-64: a distance from the start of the global offset table, or what was made of it.
  case fromTableBase(Callee)
  /// An address somewhere in an array that begins at a place.
  case inside(Place)
  /// An element of an array that begins at a place, and the section offset of its load.
  case element(Place, Element, load: Int)
  /// The target of a jump through a table.
  case jumpTarget(JumpTable)

  /// The value where two ways meet.
  func joined(with other: Value) -> Value {
    if self == other { return self }
    switch (self, other) {
    case (.callee(let first), .callee(let second)) where first.trampoline == second.trampoline:
      return .callee(first.joined(with: second))
    case (.callee(let callee), let rest), (.maybe(let callee), let rest):
      return .maybe(rest.possibleCallee.map { callee.joined(with: $0) } ?? callee)
    case (_, .callee(let callee)), (_, .maybe(let callee)): return .maybe(callee)
    default: return .unknown
    }
  }

  /// The value once other memory was written, or read: the word of a key may be an old one.
  var afterAccess: Value {
    switch self {
    case .callee(var callee) where callee.isKeyWord:
      callee.isStale = true
      return .callee(callee)
    case .maybe(var callee) where callee.isKeyWord:
      callee.isStale = true
      return .maybe(callee)
    default: return self
    }
  }

  var possibleCallee: Callee? {
    switch self {
    case .callee(let callee), .maybe(let callee): callee
    default: nil
    }
  }

  /// Whether the value is a trampoline's or key's address, or a part of one.
  var belongsToCall: Bool {
    switch self {
    case .callee: true
    case .location(let location, _), .page(let location), .pageOfTableEntry(let location), .parts(let location, _):
      location.isOfCall
    default: false
    }
  }
}

/// What a branch to a register calls.
struct Callee: Hashable {
  /// Number of the trampoline in ``TrampolineIndex/trampolines``.
  var trampoline: Int
  /// How its address came into the register.
  var shape: Shape
  /// The instructions that completed the address, as section offsets in ascending order.
  var loads: [Int]
  /// Whether the value is the first word of the key, and not the trampoline's address.
  var isKeyWord = false
  /// Whether the word must not be loaded later than it is: since then memory was written or read, or something was called.
  var isStale = false

  func joined(with other: Callee) -> Callee {
    var result = self
    if result.loads != other.loads { result.loads = Set(loads).union(other.loads).sorted() }
    result.isKeyWord = isKeyWord || other.isKeyWord
    result.isStale = isStale || other.isStale
    return result
  }
}

/// A place that a relocation can name.
enum Location: Hashable {
  case trampoline(Int)
  /// The key of a trampoline.
  case key(Int)
  case place(Place)
  case globalOffsetTable
  /// A symbol that other objects can see, and that is no trampoline.
  case external(SymbolIndex)

  var isOfCall: Bool {
    switch self {
    case .trampoline, .key: true
    case .place, .globalOffsetTable, .external: false
    }
  }
}

/// An offset in a section, in bytes; it may lie outside.
struct Place: Hashable {
  var section: SectionIndex
  var offset: Int
}

extension Place {
  /// The place at a distance, in bytes, from the symbol with an index; `nil` for a symbol that is in no section of the object.
  init?(_ distance: Int64, from index: SymbolIndex, _ object: borrowing ObjectFile) {
    let symbol = object.symbol(index)
    guard case .section(let section) = object.place(of: symbol, at: index) else { return nil }
    self.init(section: section, offset: Int(truncatingIfNeeded: Int64(bitPattern: symbol.value) &+ distance))
  }
}

/// How a jump finds its target: an element of a table, widened, shifted to the left and added to a base.
struct JumpTable: Hashable {
  var table: Place
  var element: Element
  /// `nil` where the elements are addresses.
  var base: Place?
  /// Section offset of the instruction that loads the element; `nil` where it is the jump.
  var load: Int?
  var shift = 0
  var widening = Source.Extension.whole
}
