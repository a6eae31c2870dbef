import ObjectFile

/// What code does with a trampoline's address where no call of it is left behind.
public enum NonCall: String, CaseIterable, Sendable {
  /// It goes to memory: a variable, a structure.
  case stored
  /// It goes to other code: as an argument, as a result.
  case passedOn = "passed on"
  /// It is compared with something.
  case compared
  /// Nothing uses it.
  case unused = "not used"
  /// The bytes of the trampoline itself are read or written.
  case accessed
  /// It stands among the code as data: a literal pool, a table.
  case data
}

extension NonCall {
  /// The code to read on under.
  var code: Code { self == .stored ? .storedAddress : .addressTaken }
}

/// What became of each reference to a trampoline in an object's code. Every reference is in one of the numbers, and in no more than one:
/// they add up.
///
/// A reference is a relocated place in code that takes part which leads to a trampoline: a branch to it or beside it, or an instruction
/// that makes, loads or compares its address. A place counts once, whatever relocations it has; an instruction that makes a part of an
/// address, which another one completes, does not count. References without such a relocation are branches that the assembler resolved,
/// calls of an address from a constant (``Shape/m11``), and, if they are followed, calls through keys.
public struct Account: Equatable, Sendable {
  public var references = 0
  /// Those that have no relocation which leads to the trampoline.
  public var withoutRelocation = 0
  /// Branches that the table holds.
  public var inTable = 0
  /// Branches that annotate would enter.
  public var notInTable = 0
  /// Branches in code that is copied over other code; see ``Listing/SiteState/leftOut``.
  public var leftOut = 0
  /// Calls that annotate would make direct.
  public var convertible = 0
  /// Calls that stay behind, or may do so, by the code of the warning.
  public var left: [Code: Int] = [:]
  /// References that are no calls, by what the code does with the address.
  public var noCall: [NonCall: Int] = [:]

  public init() {}

  /// The sum of what became of them.
  public var sum: Int {
    inTable + notInTable + leftOut + convertible + left.values.reduce(0, +) + noCall.values.reduce(0, +)
  }

  mutating func add(_ other: Account) {
    references += other.references
    withoutRelocation += other.withoutRelocation
    inTable += other.inTable
    notInTable += other.notInTable
    leftOut += other.leftOut
    convertible += other.convertible
    left.merge(other.left, uniquingKeysWith: +)
    noCall.merge(other.noCall, uniquingKeysWith: +)
  }

  mutating func count(_ status: CallSite.Status, isInTable: Bool, isRelocated: Bool) {
    references += 1
    if !isRelocated { withoutRelocation += 1 }
    switch status {
    case .direct, .leftOut:
      if isInTable { inTable += 1 } else if status == .direct { notInTable += 1 } else { leftOut += 1 }
    case .convertible: convertible += 1
    case .left(let code): left[code, default: 0] += 1
    case .noCall(let use): noCall[use, default: 0] += 1
    }
  }
}

/// References that no site of their own stands for, for the account.
struct ReferenceRecords: Sendable {
  /// Instructions that load an address for branches, which are sites themselves; or branches beside a trampoline.
  private(set) var loads: [Load] = []
  /// Relocated places that are no reference: parts of an address, places that a relocation of a section leads to.
  private(set) var others: [SitePosition] = []

  struct Load: Sendable {
    var section: SectionIndex
    var bytes: Range<Int>
    /// Number of the trampoline in ``Survey/trampolines``.
    var trampoline: Int
    /// What became of the calls.
    var status: CallSite.Status
    /// Whether a relocation of it leads to the trampoline, and not to its key.
    var isRelocated = true
  }

  mutating func add(_ load: Load) { loads.append(load) }

  /// Notes a relocated place that is no reference to a trampoline.
  mutating func pass(over reference: Reference) {
    others.append(SitePosition(section: reference.section, offset: reference.relocation.offset))
  }

  /// The references in code that nothing was noted of, or more than one thing: there must be none. `sites` are in order.
  func unaccounted(_ references: [Reference], _ sites: [CallSite]) -> [Reference] {
    // Nearly always each is a branch, and there is nothing else.
    if loads.isEmpty, others.isEmpty, sites.count == references.count,
      references.indices.allSatisfy({ stands(for: references[$0], sites[$0]) })
    {
      return []
    }
    let marked = sites.filter(\.isReference)
    let loads = loads.inOrder { SitePosition(section: $0.section, offset: SectionOffset($0.bytes.lowerBound)) }
    let others = others.inOrder { $0 }
    return references.filter { reference in
      let position = SitePosition(section: reference.section, offset: reference.relocation.offset)
      var count = 0
      let site = marked.partitionPoint { $0.position > position } - 1
      if site >= 0, marked[site].section == position.section, position.offset.rawValue < marked[site].end { count += 1 }
      let load = loads.partitionPoint {
        ($0.section, $0.bytes.lowerBound) > (position.section, position.offset.rawValue)
      }
      if load > 0, loads[load - 1].section == position.section,
        loads[load - 1].bytes.contains(position.offset.rawValue)
      {
        count += 1
      }
      let other = others.partitionPoint { $0 >= position }
      if other < others.count, others[other] == position { count += 1 }
      return count != 1
    }
  }

  private func stands(for reference: Reference, _ site: CallSite) -> Bool {
    let offset = reference.relocation.offset.rawValue
    return site.isReference && site.section == reference.section && offset >= site.offset.rawValue && offset < site.end
  }
}
