import Disassembly
import ObjectFile

/// A branch of a function that reaches a trampoline, or may do so, by another way than its own displacement.
struct IndirectBranch {
  /// Position in the function's instructions.
  var position: Int
  var callee: Callee
  var certainty: Certainty
  var route: Route
  /// The register that holds the target, or the address of the memory that does; `nil` where there is none.
  var register: Register?
  /// What the branch goes through, for people.
  var through: String

  enum Certainty {
    case certain
    /// On some paths only.
    case maybe
    /// If a register holds the start of the global offset table, which nobody proves.
    case fromTableBase
  }

  enum Route: Equatable {
    case table
    case key
    case register
    case thunk(Shape)
  }

  var shape: Shape {
    if case .thunk(let shape) = route { return callee.isKeyWord ? .g2 : shape }
    return callee.shape
  }
}

extension IndirectBranch.Route {
  func summary(isKey: Bool) -> Rewrite.Route {
    if isKey { return .key }
    return switch self {
    case .table: .table
    case .key: .key
    case .register: .register
    case .thunk: .thunk
    }
  }

  /// The reason where nothing speaks against it but that indirect branches are to stay.
  var codeWhenLeft: Code { summary(isKey: false).codeWhenLeft }
}

/// All such branches of one function, and the instructions that make trampolines' addresses.
struct IndirectBranches {
  private(set) var all: [IndirectBranch] = []
  /// Positions of instructions that leave a trampoline's or key's address, or a part of one, in a register and do nothing else.
  private(set) var addressLoads: [Int] = []
  /// Instructions that load a trampoline's address from a constant, by their positions, with the trampolines' numbers.
  private(set) var constantLoads: [Int: Int] = [:]
  /// Section offsets of the loads of a key's word that something else than a branch looks at.
  private(set) var testedLoads: Set<Int> = []

  init(_ proof: FunctionProof, _ object: borrowing ObjectFile) throws(ObjectFileError) {
    let (code, evaluator) = (proof.code, proof.evaluator)
    var all: [IndirectBranch] = []
    var addressLoads: [Int] = []
    var testedLoads: Set<Int> = []
    var constantLoads: [Int: Int] = [:]
    try proof.propagation.forEach(code, object) { position, registers throws(ObjectFileError) in
      let instruction = code.instructions[position]
      if let branch = try Self.branch(at: position, proof, registers, object) {
        all.append(branch)
        return
      }
      let made = try evaluator.value(madeBy: position, code, registers, object)
      if let made, made.value.belongsToCall { addressLoads.append(position) }
      if let made, case .callee(let callee) = made.value, callee.shape == .m11,
        callee.loads.contains(instruction.offset)
      {
        constantLoads[position] = callee.trampoline
      }
      // Copying the word on is no look at it.
      if let made, case .callee(let callee) = made.value, callee.isKeyWord { return }
      // A callee may look at its arguments.
      let passed = instruction.flow.kind == nil ? [] : evaluator.architecture.arguments
      for register in registers.held.intersection(instruction.effects.reads.union(passed)).members {
        guard let callee = registers[register].possibleCallee else { continue }
        if callee.isKeyWord { testedLoads.formUnion(callee.loads) }
      }
    }
    self.all = all
    self.addressLoads = addressLoads
    self.testedLoads = testedLoads
    self.constantLoads = constantLoads
  }

  private static func branch(
    at position: Int, _ proof: FunctionProof, _ registers: Registers, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> IndirectBranch? {
    let (code, evaluator) = (proof.code, proof.evaluator)
    let instruction = code.instructions[position]
    let architecture = evaluator.architecture
    func found(
      _ value: Value, _ route: IndirectBranch.Route, _ register: Register?, _ through: String
    ) -> IndirectBranch? {
      guard let (callee, certainty) = value.reach else { return nil }
      let route = route == .table && callee.isKeyWord ? .key : route
      return IndirectBranch(
        position: position, callee: callee, certainty: certainty, route: route, register: register,
        through: route == .key ? "the key" : through)
    }
    switch instruction.flow {
    case .jump(.register) where proof.endsUnusedThunk(position, object): return nil
    case .call(.register(let register)), .jump(.register(let register)), .conditionalJump(.register(let register)):
      return found(registers[register], .register, register, architecture.name(of: register))
    case .call(.memory), .jump(.memory), .conditionalJump(.memory):
      return found(
        try evaluator.target(of: instruction, code, registers, object), .table, instruction.memory?.base, "GOT")
    case .call(.direct), .jump(.direct), .conditionalJump(.direct):
      guard case .some(.some(let register)) = proof.thunks[position] else { return nil }
      let name = code.relocation(in: instruction).map { object.name(of: $0.relocation.symbol) }
      return found(
        registers[register], .thunk(architecture.thunkShape), register,
        name ?? "a thunk for \(architecture.name(of: register))")
    case .next, .trap, .stop: return nil
    }
  }
}

extension Value {
  /// The trampoline that a branch to the value reaches, and how sure that is.
  fileprivate var reach: (callee: Callee, certainty: IndirectBranch.Certainty)? {
    switch self {
    case .callee(let callee): (callee, .certain)
    case .maybe(let callee): (callee, .maybe)
    case .fromTableBase(let callee): (callee, .fromTableBase)
    default: nil
    }
  }
}
