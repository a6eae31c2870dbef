import Disassembly
import ObjectFile

/// The calls of trampolines that are still indirect in a linked image, as far as they are certain: through a slot of the GOT, or through a
/// register or thunk where the address was brought into the register in the same straight line of code.
///
/// What linkers could have made direct (x86-64 psABI, B.2) is not among them: that is a direct branch now.
struct IndirectImageCalls {
  /// One of them.
  struct Call {
    var site: UInt64
    var kind: CallKind
    var names: Set<String>
    var code: Code
    /// What it calls through, in words.
    var through: String
    var shape: Shape
  }

  /// What a register holds.
  private enum Content {
    case address(UInt64)
    /// The address of the trampoline of one of these static calls.
    case trampoline(Set<String>)
  }

  /// How many instructions the address of a trampoline is followed for.
  private static let longestPath = 200

  private let architecture: any Architecture.Type
  private(set) var calls: [Call] = []
  /// The addresses of the calls that were found.
  private var found: Set<UInt64> = []

  init(in image: borrowing LinkedImage, _ targets: inout ImageTargets, _ code: inout ImageCode) {
    architecture = StaticCalls.architecture(of: image.machine)
    // Stubs of linkers are no calls; one may begin with a landing pad (`bti`).
    let (stubs, padding) = (targets.addresses.subtracting(targets.symbols.trampolines.keys), UInt64(4))
    for start in mentions(image, targets, code) where !stubs.contains(start) && !stubs.contains(start &- padding) {
      follow(from: start, image, &targets, &code)
    }
    calls.sort { $0.site < $1.site }
  }

  /// Where code may mention a trampoline, or memory that holds its address, in order.
  private func mentions(
    _ image: borrowing LinkedImage, _ targets: ImageTargets, _ code: borrowing ImageCode
  ) -> [UInt64] {
    let pages = Set(targets.addresses.union(targets.slots.keys).map { $0 & ~0xfff })
    var places: [UInt64] = []
    code.forEachRange(image) { range, contents in
      if let section = image.section(at: range.addresses.lowerBound),
        isProcedureLinkageTable(image.name(of: section))
      {
        return
      }
      let base = range.segment.addresses.lowerBound
      let end = range.offset(of: range.addresses.upperBound)
      var offset = range.offset(of: range.addresses.lowerBound)
      while offset < end {
        let isWanted =
          switch architecture.mention(at: offset, in: contents, address: base) {
          case .address(let address): targets.addresses.contains(address)
          case .slot(let slot): targets.slots[slot] != nil
          case .page(let page): pages.contains(page)
          case .part(let part, let shift): targets.addresses.contains { $0 >> UInt64(shift) & 0xffff == part }
          case nil: false
          }
        if isWanted { places.append(base + UInt64(offset)) }
        offset = architecture.resume(after: offset) ?? offset + 1
      }
    }
    return places
  }

  /// Looks what becomes of an address that the instruction around `place` may have to do with.
  private mutating func follow(
    from place: UInt64, _ image: borrowing LinkedImage, _ targets: inout ImageTargets, _ code: inout ImageCode
  ) {
    guard let range = code.range(at: place), let first = code.instruction(around: place, image)?.instruction else {
      return
    }
    let base = range.segment.addresses.lowerBound
    var held: [Register: Content] = [:]
    var pushed: Set<String> = []
    var next = first
    for number in 0..<Self.longestPath {
      let instruction = next
      let address = base + UInt64(instruction.offset)
      // Where something else may lead here, registers may hold something else.
      if number > 0, code.isEntered(address, image) { return }
      if let kind = instruction.flow.kind {
        branch(kind, instruction, held, pushed, base, image, &targets)
        switch instruction.flow {
        case .conditionalJump: break
        case .call: held = held.filter { architecture.calleeSaved.contains($0.key) }
        default: return
        }
      }
      guard instruction.flow.kind != nil || instruction.flow == .next else { return }
      pushed = []
      if instruction.operation == .push,
        let slot = architecture.slot(ofBranchOrPush: instruction, address: base)
      {
        pushed = targets.slots[slot] ?? []
      }
      let content = content(madeBy: instruction, held, range, image, &targets)
      for register in held.keys where instruction.effects.writes.contains(register) { held[register] = nil }
      if let content { held[content.register] = content.content }
      // What does not come from here is of no interest.
      guard !held.isEmpty || !pushed.isEmpty,
        let following = code.instruction(at: base + UInt64(instruction.end), image)
      else { return }
      next = following
    }
  }

  private func content(
    madeBy instruction: Instruction, _ held: [Register: Content], _ range: ImageCode.CodeRange,
    _ image: borrowing LinkedImage, _ targets: inout ImageTargets
  ) -> (register: Register, content: Content)? {
    let numbers = held.compactMapValues { if case .address(let number) = $0 { number } else { nil } }
    let made = image.withContents(of: range.segment) { code in
      architecture.content(
        madeBy: instruction, of: numbers, in: code, address: range.segment.addresses.lowerBound)
    }
    guard let made else { return nil }
    switch made.value {
    case .address(let address): return (made.register, .address(address))
    case .register(let source): return held[source].map { (made.register, $0) }
    case .slot(let slot): return targets.slots[slot].map { (made.register, .trampoline($0)) }
    }
  }

  /// Notes a branch that calls a trampoline indirectly.
  private mutating func branch(
    _ kind: CallKind, _ instruction: Instruction, _ held: [Register: Content], _ pushed: Set<String>, _ base: UInt64,
    _ image: borrowing LinkedImage, _ targets: inout ImageTargets
  ) {
    func names(in register: Register) -> Set<String> {
      switch held[register] {
      case .trampoline(let names): names
      case .address(let address) where targets.addresses.contains(address): targets.calls(at: address, image)
      case .address, nil: []
      }
    }
    let site = base + UInt64(instruction.offset)
    if let target = instruction.flow.directTarget {
      let target = base &+ UInt64(bitPattern: Int64(target))
      if targets.symbols.returningThunks.contains(target), !pushed.isEmpty {
        add(Call(site: site, kind: kind, names: pushed, code: .throughThunk, through: "pushed address", shape: .x6))
      } else if let register = thunk(at: target, image, targets) {
        add(
          Call(
            site: site, kind: kind, names: names(in: register), code: .throughThunk,
            through: architecture.name(of: register), shape: architecture.thunkShape))
      }
    } else if let slot = architecture.slot(ofBranchOrPush: instruction, address: base) {
      add(
        Call(
          site: site, kind: kind, names: targets.slots[slot] ?? [], code: .throughTable,
          through: "GOT", shape: kind == .call ? .x4 : .x5))
    } else if let register = instruction.flow.registerTarget {
      add(
        Call(
          site: site, kind: kind, names: names(in: register), code: .throughRegister,
          through: architecture.name(of: register), shape: shape(of: held[register])))
    }
  }

  private func shape(of content: Content?) -> Shape {
    if case .trampoline = content { architecture.shapeFromTable } else { architecture.shapeOfAddress }
  }

  /// The register that the thunk at an address branches to.
  private func thunk(at address: UInt64, _ image: borrowing LinkedImage, _ targets: ImageTargets) -> Register? {
    if let register = targets.symbols.thunks[address] { return register }
    guard let segment = image.segment(at: address), segment.isExecutable else { return nil }
    return image.withContents(of: segment) {
      architecture.thunkRegister(at: Int(address - segment.addresses.lowerBound), in: $0)
    }
  }

  private mutating func add(_ call: Call) {
    guard !call.names.isEmpty, found.insert(call.site).inserted else { return }
    calls.append(call)
  }
}

extension ControlFlow {
  /// The register that a branch goes to.
  fileprivate var registerTarget: Register? {
    switch self {
    case .call(.register(let register)), .jump(.register(let register)), .conditionalJump(.register(let register)):
      register
    default: nil
    }
  }
}
