extension RegisterSet {
  /// The registers in the set, in ascending order of their numbers.
  public var members: Members { Members(rest: rawValue) }

  /// Goes through the registers of a set.
  public struct Members: Sequence, IteratorProtocol {
    fileprivate var rest: UInt32

    /// The next register, in ascending order; `nil` after the last.
    public mutating func next() -> Register? {
      guard rest != 0 else { return nil }
      let number = rest.trailingZeroBitCount
      rest &= rest - 1
      return Register(number)
    }
  }
}
