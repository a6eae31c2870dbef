import Disassembly
import ObjectFile

/// Where addresses that a function's instructions make may get to: the opposite of ``Propagation``, which says what certainly is where.
///
/// A register may hold an address until it is certainly overwritten. Copies, sums and selections pass it on. An instruction that nobody
/// vouches for, and a call, leave it where it is (`-fipa-ra`); a call changes only where its result is. What is written to the stack
/// may come back by any read of the same place there. Where control may come from unseen, every register may hold what it held
/// anywhere in the function. What goes to other memory, and to other functions, does not come back.
struct PossibleAddresses {
  let proof: FunctionProof
  let branches: [Int: Target]
  private let keptResults: [Int: RegisterSet]
  private let slots: StackSlots
  /// The registers that may hold an address on the stack in front of each instruction.
  private let stackAddresses: [RegisterSet]
  /// How each instruction accesses memory: it is asked many times.
  private let accesses: [[MemoryAccess]]
  /// Blocks that control may enter from where it is not seen.
  let unseen: [Int]
  private var entry: [RegisterSet]
  /// How many instructions may still be looked at; see ``follow(_:)``.
  var budget: Int

  var code: FunctionCode { proof.code }
  var architecture: any Architecture.Type { proof.evaluator.architecture }

  /// Where a branch that is not proved gets its target from.
  enum Target: Equatable {
    case register(Register)
    /// Memory that the instruction names.
    case memory
    /// The top of the stack: a thunk that returns to what was pushed, or a return to it in the function itself.
    case pushed
    /// A thunk whose name does not tell.
    case anywhere
  }

  /// An instruction that makes an address.
  struct Source: Hashable {
    /// Its position in the function.
    var position: Int
    /// Whether what it makes leads to memory that holds the address, such as an entry of the global offset table.
    var isPointer = false
    /// Whether the register may keep what it held before (`cmov`).
    var isSelection = false
    /// Whether it puts the address on the stack, or into other memory, itself.
    var writesMemory = false
  }

  /// What may become of an address.
  struct Outcome: Equatable {
    /// Positions of branches that are not proved and may go to it, in ascending order.
    var branches: [Int] = []
    /// What the address passes on the way.
    var passed: Passage = []
    var uses: Uses = []
    /// Whether it gets to code of which nothing is known.
    var reachesUnknownCode = false
  }

  struct Passage: OptionSet {
    var rawValue: UInt8
    static let unknownInstruction = Passage(rawValue: 1)
    static let stack = Passage(rawValue: 2)
    static let vector = Passage(rawValue: 4)
  }

  struct Uses: OptionSet {
    var rawValue: UInt8
    static let stored = Uses(rawValue: 1)
    static let passedOn = Uses(rawValue: 2)
    static let compared = Uses(rawValue: 4)
  }

  /// `branches` are those that are not proved, by their positions; `keptResults` says of which calls it is known that they leave
  /// registers as they are which could carry a result.
  init(
    _ proof: FunctionProof, branches: [Int: Target], keptResults: [Int: RegisterSet], _ object: borrowing ObjectFile
  ) {
    self.proof = proof
    self.branches = branches
    self.keptResults = keptResults
    let code = proof.code
    unseen = code.blocks.indices.dropFirst().filter {
      // What pads code up to the next label is led to by nothing.
      code.blocks[$0].isEntered || !proof.propagation.reaches(block: $0) && code.doesAnything(inBlock: $0)
    }
    slots = StackSlots(code, proof.evaluator.architecture, object)
    stackAddresses = proof.stackAddresses(slots, entered: unseen, object)
    let architecture = proof.evaluator.architecture
    accesses = object.withContents(of: code.section) { bytes in
      code.instructions.map { architecture.memoryAccesses(by: $0, in: bytes) }
    }
    entry = [RegisterSet](repeating: [], count: code.blocks.count)
    budget = 64 * code.instructions.count + (1 << 16)
  }

  // MARK: Following

  /// Follows the addresses that some instructions make, as if they were one.
  ///
  /// The time that all calls take together is a small multiple of the function's length: after that the answer is `nil`.
  /// With `stopsAtCall` it ends when one of them may be called; the outcome says no more than that then.
  mutating func follow(_ sources: Set<Source>, stopsAtCall: Bool = false) -> Outcome? {
    var walk = Walk(sources, code)
    for source in sources { walk.add(code.block(of: source.position)) }
    defer { for number in walk.touched { entry[number] = [] } }
    while let number = walk.next() {
      guard budget > 0 else { return nil }
      let range = code.blocks[number].range
      budget -= range.count
      var registers = entry[number]
      for position in range {
        if let landing = code.landings[position] {
          flow(registers.intersection(architecture.calleeSaved), into: landing, &walk)
        }
        step(position, &registers, &walk)
        walk.everywhere.formUnion(registers)
      }
      leave(number, registers, &walk)
      if stopsAtCall, walk.outcome.reachesUnknownCode || !walk.reached.isEmpty { break }
      for block in unseen { flow(walk.everywhere, into: block, &walk) }
    }
    var outcome = walk.outcome
    outcome.branches = walk.reached.sorted()
    return outcome
  }

  /// The state of one round.
  private struct Walk {
    private let sources: [Int: Source]
    private var isSource: [Bool]
    let followsPointers: Bool
    var outcome = Outcome()
    var reached: Set<Int> = []
    private(set) var touched: [Int] = []
    private var isTouched: [Bool]
    private var work: [Int] = []
    private var isWaiting: [Bool]
    /// The places on the stack that may hold the address.
    var places = StackPlaces()
    /// Whether a vector register may.
    var isInVector = false
    /// All registers that hold it anywhere, and at jumps to computed places.
    var everywhere: RegisterSet = []

    init(_ sources: Set<Source>, _ code: FunctionCode) {
      self.sources = Dictionary(sources.map { ($0.position, $0) }) { first, _ in first }
      isSource = [Bool](repeating: false, count: code.instructions.count)
      for source in sources { isSource[source.position] = true }
      isTouched = [Bool](repeating: false, count: code.blocks.count)
      isWaiting = isTouched
      followsPointers = sources.contains(where: \.isPointer)
    }

    /// The source that an instruction is.
    func source(at position: Int) -> Source? { isSource[position] ? sources[position] : nil }

    func hasTouched(_ block: Int) -> Bool { isTouched[block] }

    var isOnStack: Bool { !places.isEmpty }

    /// Whether it may be elsewhere than in a general-purpose register.
    var isInMemory: Bool { isOnStack || isInVector }

    mutating func add(_ block: Int) {
      if !isTouched[block] {
        isTouched[block] = true
        touched.append(block)
      }
      if isWaiting[block] { return }
      isWaiting[block] = true
      work.append(block)
    }

    mutating func next() -> Int? {
      guard let block = work.popLast() else { return nil }
      isWaiting[block] = false
      return block
    }

    /// Notes that a place on the stack, or any, holds the address. All code has to be looked at again.
    mutating func put(on slot: Range<Int>?) {
      outcome.uses.insert(.stored)
      guard places.insert(slot) else { return }
      for block in touched { add(block) }
    }

    mutating func putInVector() {
      if isInVector { return }
      isInVector = true
      outcome.passed.insert(.vector)
      for block in touched { add(block) }
    }
  }

  private mutating func flow(_ registers: RegisterSet, into block: Int, _ walk: inout Walk) {
    // Where nothing gets in a register, memory may still hold it.
    let carries = !registers.isEmpty || walk.isInMemory
    guard carries, !entry[block].isSuperset(of: registers) || !walk.hasTouched(block) else { return }
    entry[block].formUnion(registers)
    walk.add(block)
  }

  /// Carries what a block ends with to where control goes.
  private mutating func leave(_ number: Int, _ registers: RegisterSet, _ walk: inout Walk) {
    let block = code.blocks[number]
    let last = code.instructions[block.range.upperBound - 1]
    for successor in block.successors { flow(registers, into: successor, &walk) }
    let holds = !registers.isEmpty || walk.isOnStack
    if let target = code.target(of: last), holds {
      if let position = code.position(at: target) {
        if last.flow.kind == .call { flow(registers, into: code.block(of: position), &walk) }
      } else {
        walk.outcome.reachesUnknownCode = true
      }
    }
    guard last.flow.continues, block.leavesUnseen else { return }
    let next = number + 1
    if next < code.blocks.count {
      // Bytes in between that are not known.
      if holds { walk.outcome.passed.insert(.unknownInstruction) }
      if holds, proof.obstacle == .undecoded { walk.outcome.reachesUnknownCode = true }
      flow(registers, into: next, &walk)
    } else if last.end < code.range.upperBound, holds, last.flow.kind != .call || proof.obstacle == .undecoded {
      walk.outcome.reachesUnknownCode = true
    }
  }

  /// Carries the registers that may hold the address over one instruction.
  private func step(
    _ position: Int, _ registers: inout RegisterSet, _ walk: inout Walk
  ) {
    let instruction = code.instructions[position]
    let source = walk.source(at: position)
    if registers.isEmpty, source == nil, !walk.isInMemory { return }
    let effects = instruction.effects
    switch instruction.flow {
    case .call, .jump, .conditionalJump:
      branch(position, registers, &walk)
      if instruction.flow.kind == .call { registers.subtract(results(of: position)) }
    case .stop:
      if branches[position] != nil {
        branch(position, registers, &walk)
      } else if !registers.isDisjoint(with: architecture.results) {
        walk.outcome.uses.insert(.passedOn)
      }
    case .next where effects == .unknown, .trap where effects == .unknown:
      if !registers.isEmpty || walk.isOnStack { walk.outcome.passed.insert(.unknownInstruction) }
      for access in accesses[position] where access.isWrite {
        if !registers.isEmpty, isOnStack(access, at: position) { walk.put(on: slots.slot(of: access, at: position)) }
      }
    case .trap: break
    case .next:
      let accesses = accesses[position]
      var written: RegisterSet = []
      // What an access takes from memory or leaves there.
      let data = accesses.isEmpty ? effects.reads : accesses.reduce(into: []) { $0.formUnion($1.stored) }
      let carries = !data.isDisjoint(with: registers)
      var comesFromMemory = false
      for access in accesses {
        let isOnStack = isOnStack(access, at: position)
        let slot = isOnStack ? slots.slot(of: access, at: position) : nil
        let isReadBack = access.isRead && isOnStack && walk.places.overlap(slot)
        if isReadBack {
          walk.outcome.passed.insert(.stack)
          comesFromMemory = true
          written.formUnion(access.loaded)
          // To a vector register, if it is not to one of these.
          if access.loaded.isEmpty, !access.isWrite { walk.putInVector() }
        }
        if access.isRead, walk.followsPointers, !effects.reads.isDisjoint(with: registers) {
          written.formUnion(access.loaded)
        }
        guard access.isWrite else { continue }
        let putsHere = !access.stored.isDisjoint(with: registers) || source?.writesMemory == true || comesFromMemory
        if putsHere || walk.isInVector && instruction.operation != .store && instruction.operation != .push {
          if isOnStack {
            walk.put(on: slot)
          } else {
            walk.outcome.uses.insert(.stored)
          }
        }
      }
      let mayUseVector = accesses.isEmpty && instruction.mayMoveVector
      if carries, accesses.isEmpty {
        if mayUseVector || effects.writes.isEmpty && instruction.operation != .compare { walk.putInVector() }
        written.formUnion(effects.writes)
      } else if walk.isInVector, accesses.isEmpty, instruction.mayReadVector {
        written.formUnion(effects.writes)
      }
      if instruction.operation == .compare, !effects.reads.isDisjoint(with: registers) {
        walk.outcome.uses.insert(.compared)
      }
      registers.subtract(effects.overwrites.union(replaced(by: instruction, accesses)))
      registers.formUnion(written)
    }
    guard let source else { return }
    if source.writesMemory {
      // Of a branch that pushes, and of an immediate that is stored, the accesses have spoken.
      return
    }
    registers.subtract(effects.overwrites)
    let made = instruction.destination.map { RegisterSet($0) } ?? effects.writes
    if made.isEmpty { walk.putInVector() }
    registers.formUnion(made)
  }

  /// How the instruction at a position accesses memory.
  func memoryAccesses(at position: Int) -> [MemoryAccess] { accesses[position] }

  /// The registers that a load replaces, of which it may have taken the address.
  func replaced(by instruction: Instruction, _ accesses: [MemoryAccess]) -> RegisterSet {
    guard [.move, .moveSigned].contains(instruction.operation) else { return [] }
    return accesses.reduce(into: []) { $0.formUnion($1.loaded) }
  }

  /// The registers that a call may return something in, and certainly changes in that case.
  func results(of call: Int) -> RegisterSet { architecture.results.subtracting(keptResults[call] ?? []) }

  private func branch(_ position: Int, _ registers: RegisterSet, _ walk: inout Walk) {
    let instruction = code.instructions[position]
    // A direct jump may lead to another part of the function, which finds all registers as they are.
    let mayLeadToPart = instruction.flow.isDirectBranch && instruction.flow.kind != .call
    let passes = mayLeadToPart ? registers : registers.intersection(architecture.arguments)
    if !passes.isEmpty, code.target(of: instruction) == nil { walk.outcome.uses.insert(.passedOn) }
    guard let target = branches[position] else { return }
    let isReached: Bool
    switch target {
    case .register(let register): isReached = registers.contains(register)
    case .anywhere: isReached = !registers.isEmpty || walk.isOnStack
    case .pushed: isReached = isPushed(before: position, registers, walk)
    case .memory:
      isReached = accesses[position].contains { access in
        if isOnStack(access, at: position), walk.places.overlap(slots.slot(of: access, at: position)) { return true }
        return walk.followsPointers && !instruction.effects.reads.isDisjoint(with: registers)
      }
    }
    if isReached { walk.reached.insert(position) }
    if isReached, target == .memory { walk.outcome.passed.insert(.stack) }
  }

  /// Whether the address may be on top of the stack in front of a branch to what is there.
  private func isPushed(before position: Int, _ registers: RegisterSet, _ walk: Walk) -> Bool {
    let start = code.blocks[code.block(of: position)].range.lowerBound
    if !registers.isDisjoint(with: code.instructions[position].effects.reads) { return true }
    for before in (start..<position).reversed() {
      let accesses = accesses[before]
      guard let top = accesses.first(where: { $0.isWrite && $0.base == .stackPointer }) else { continue }
      if walk.source(at: before)?.writesMemory == true { return true }
      // What comes from memory was there before.
      let isReadBack = accesses.contains {
        $0.isRead && isOnStack($0, at: before) && walk.places.overlap(slots.slot(of: $0, at: before))
      }
      return isReadBack || !top.stored.isDisjoint(with: walk.everywhere)
    }
    return walk.isOnStack
  }

  /// Whether an access may be to the function's stack.
  func isOnStack(_ access: MemoryAccess, at position: Int) -> Bool {
    switch access.base {
    case .stackPointer: true
    case .register(let register): stackAddresses[position].contains(register)
    case .other: false
    }
  }
}

extension Instruction {
  /// Whether it may move something between a vector register and one that it names: the lists of effects say of vector instructions that
  /// they read and write whatever they name.
  var mayMoveVector: Bool {
    operation == .other && effects.overwrites.isEmpty && !effects.writes.isEmpty
      && effects.writes.isSuperset(of: effects.reads)
  }

  /// Whether it may move something from a vector register to one that it names, which then has no other source.
  var mayReadVector: Bool {
    mayMoveVector || operation == .other && effects.reads.isEmpty && !effects.writes.isEmpty
  }
}
