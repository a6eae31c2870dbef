import Disassembly
import ObjectFile

/// Works out what an instruction makes of known values.
struct Evaluator {
  let architecture: any Architecture.Type
  let locations: Locations
  /// Where functions begin that a symbol names.
  let functionStarts: Set<Place>
  /// Section offsets of branches to thunks: what they call behaves as any function.
  var thunkCalls: Set<Int> = []

  /// The value that the instruction at a position leaves in a register.
  func value(
    madeBy position: Int, _ code: FunctionCode, _ registers: Registers, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> (register: Register, value: Value)? {
    let instruction = code.instructions[position]
    let relocations = code.relocations(inInstructionAt: position)
    let (relocation, section) = (relocations.first, code.section)
    // Most instructions work on registers of which nothing is known, and then nothing is known of what they make.
    let reads = instruction.effects.reads
    if relocation == nil, !reads.isEmpty, reads.isDisjoint(with: registers.held) { return nil }
    let definition = object.withContents(of: section) {
      architecture.definition(by: instruction, relocation?.relocation, in: $0)
    }
    guard let definition else { return nil }
    // What several relocations make of a field is anybody's guess.
    guard relocations.count <= 1 else { return (definition.register, .unknown) }
    let value = try value(
      of: definition.source, definition.shape, instruction, relocation, section, registers, object)
    return (definition.register, value)
  }

  /// The value that a branch through a register or through memory goes to.
  func target(
    of branch: Instruction, _ code: FunctionCode, _ registers: Registers, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value {
    switch branch.flow {
    case .call(.register(let register)), .jump(.register(let register)), .conditionalJump(.register(let register)):
      return registers[register]
    case .call(.memory), .jump(.memory), .conditionalJump(.memory):
      let relocations = code.relocations(in: branch)
      let relocation = relocations.first
      guard relocations.count <= 1, let made = architecture.target(of: branch, relocation?.relocation) else {
        return .unknown
      }
      return try value(of: made.source, made.shape, branch, relocation, code.section, registers, object)
    default: return .unknown
    }
  }

  /// Whether an exception may leave an instruction: it calls, or it may fault, which `-fnon-call-exceptions` makes one of.
  func mayThrow(_ instruction: Instruction, _ code: FunctionCode, _ object: borrowing ObjectFile) -> Bool {
    switch instruction.flow {
    case .call: return true
    case .jump(.direct), .conditionalJump(.direct): return false
    case .next where instruction.effects != .unknown: break
    default: return true
    }
    if instruction.operation == .loadAddress { return false }
    // The stack is there, and so are places that an instruction names without a register.
    if instruction.operation == .push, instruction.memory.map({ $0.base == nil && $0.index == nil }) ?? true {
      return false
    }
    if [.add, .compare].contains(instruction.operation), instruction.memory == nil { return false }
    let relocation = code.relocation(in: instruction)?.relocation
    let definition = object.withContents(of: code.section) {
      architecture.definition(by: instruction, relocation, in: $0)
    }
    return definition?.source.readsMemory ?? true
  }

  /// Whether what a key holds, loaded in front of an instruction, must not be loaded behind it: the instruction may change it, or it reads
  /// other memory, which a program may have written before or after it wrote the key.
  func mayOutdateKey(
    _ position: Int, _ code: FunctionCode, _ registers: Registers, _ object: borrowing ObjectFile
  ) -> Bool {
    let instruction = code.instructions[position]
    if instruction.writesMemory { return mayWriteKey(instruction, code, registers, object) }
    return object.withContents(of: code.section) { contents in
      guard architecture.mayReadMemory(instruction, in: contents) else { return false }
      // What the linker puts into the global offset table does not change.
      let relocation = code.relocations(inInstructionAt: position).first?.relocation
      let definition = architecture.definition(by: instruction, relocation, in: contents)
      if let definition, !definition.source.readsMemory { return false }
      return architecture.baseOfStore(instruction, in: contents).map { registers[$0] } != .stack
    }
  }

  /// Whether an instruction that writes to memory may change what a key holds: the memory is not certainly elsewhere.
  private func mayWriteKey(
    _ instruction: Instruction, _ code: FunctionCode, _ registers: Registers, _ object: borrowing ObjectFile
  ) -> Bool {
    guard instruction.effects != .unknown else { return true }
    let base = object.withContents(of: code.section) { architecture.baseOfStore(instruction, in: $0) }
    let held = base.map { registers[$0] }
    if held == .stack { return false }
    let relocations = code.relocations(in: instruction)
    guard relocations.count == 1, let relocation = relocations.first?.relocation,
      case .place(let place)? = locations.location(of: relocation, instructionEnd: instruction.end, object),
      base == nil ? instruction.memory?.isProgramCounterRelative == true : held == .page(.place(place))
    else { return true }
    return locations.index.keySections.contains(place.section)
  }

  /// What an instruction pushes, where that is a symbol's address from the global offset table.
  func pushed(by instruction: Instruction, _ code: FunctionCode, _ object: borrowing ObjectFile) -> Value {
    guard instruction.operation == .push, let relocation = code.relocation(in: instruction)?.relocation,
      case .push(let shape) = architecture.use(of: instruction, relocation),
      let location = locations.location(of: relocation, instructionEnd: instruction.end, object)
    else { return .unknown }
    return address(of: location, shape, [instruction.offset])
  }

  /// Whether a call goes to code that is no function: it need not preserve anything.
  func isOwnSubroutine(_ call: Instruction, _ code: FunctionCode, _ object: borrowing ObjectFile) -> Bool {
    guard let target = call.flow.directTarget, !thunkCalls.contains(call.offset) else { return false }
    guard let relocation = code.relocation(in: call)?.relocation else {
      return !functionStarts.contains(Place(section: code.section, offset: target))
    }
    // A symbol that other objects can see, or define, stands for a function.
    let symbol = object.symbol(relocation.symbol)
    if object.withSymbols({ _, names in symbol.isOutlined(names) }) { return true }
    let distance = architecture.targetOffset(of: relocation, instructionEnd: call.end)
    guard symbol.binding == .local, let place = Place(distance, from: relocation.symbol, object) else { return false }
    return !functionStarts.contains(place)
  }

  private func value(
    of source: Source, _ shape: Shape, _ instruction: Instruction, _ relocation: CodeRelocation?,
    _ section: SectionIndex, _ registers: Registers, _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value {
    func symbol() -> Location? {
      relocation.flatMap { locations.location(of: $0.relocation, instructionEnd: instruction.end, object) }
    }
    func held(_ register: Register) -> Value { registers[register] }
    let load = instruction.offset
    switch source {
    case .symbol: return symbol().map { address(of: $0, shape, [load]) } ?? .unknown
    case .memoryAtSymbol:
      return try symbol().map { location throws(ObjectFileError) in
        try contents(of: location, shape, [load], object)
      } ?? .unknown
    case .page: return symbol().map(Value.page) ?? .unknown
    case .pageOfTableEntry: return symbol().map(Value.pageOfTableEntry) ?? .unknown
    case .addressOnPage(let base):
      guard let location = symbol(), held(base) == .page(location) else { return .unknown }
      return address(of: location, shape, [load])
    case .memoryOnPage(let base):
      guard let location = symbol(), held(base) == .page(location) else { return .unknown }
      return try contents(of: location, shape, [load], object)
    case .tableEntryOnPage(let base):
      guard let location = symbol(), held(base) == .pageOfTableEntry(location) else { return .unknown }
      return address(of: location, shape, [load])
    case .tableEntryOnTablePage(let base):
      guard let location = symbol(), held(base) == .page(.globalOffsetTable) else { return .unknown }
      return address(of: location, shape, [load])
    case .part(let number, let isFirst):
      guard let location = symbol(), let register = instruction.destination else { return .unknown }
      var parts = UInt8(1) << UInt8(number)
      if !isFirst {
        guard case .parts(location, let others) = held(register) else { return .unknown }
        parts |= others
      }
      return parts == 0b1111 ? address(of: location, shape, [load]) : .parts(location, parts)
    case .place(let offset): return .location(.place(Place(section: section, offset: offset)), loads: [load])
    case .memoryAtPlace(let offset):
      return try contents(of: .place(Place(section: section, offset: offset)), shape, [load], object)
    case .register(let other): return held(other)
    case .stackPointer: return .stack
    case .registerPlusConstant(let other): return held(other) == .stack ? .stack : .unknown
    case .memory(let base, 0) where held(base).array != nil:
      guard let array = held(base).array else { return .unknown }
      return .jumpTarget(JumpTable(table: array, element: Element(size: 8, isSigned: false)))
    case .memory(let base, let displacement):
      guard case .location(let location, let loads) = held(base), let moved = location.moved(by: displacement) else {
        return .unknown
      }
      return try contents(of: moved, shape, loads + [load], object)
    case .distanceFromTable:
      guard case .trampoline(let number) = symbol() else { return .unknown }
      return .fromTableBase(Callee(trampoline: number, shape: shape, loads: [load]))
    case .sum(let first, let second), .memoryAtSum(let first, let second):
      return sum(held(first), held(second), isMemory: source == .memoryAtSum(first, second))
    case .element(let base, let element):
      let place: Place? =
        if let base { held(base).place } else if case .place(let place) = symbol() { place } else { nil }
      guard let place else { return .unknown }
      return element.size == 8
        ? .jumpTarget(JumpTable(table: place, element: element, load: load)) : .element(place, element, load: load)
    case .sumWithElement(let base, let register, let shift, let widening):
      return jumpTarget(held(base), held(register), shift, widening)
        ?? (shift == 0 && widening == .whole ? jumpTarget(held(register), held(base), 0, .whole) : nil) ?? .unknown
    }
  }

  private func sum(_ first: Value, _ second: Value, isMemory: Bool) -> Value {
    for (value, other) in [(first, second), (second, first)] {
      if case .fromTableBase = value { return value }
      if !isMemory, let target = jumpTarget(value, other, 0, .whole) { return target }
      if let place = value.place, other == .unknown {
        return isMemory
          ? .jumpTarget(JumpTable(table: place, element: Element(size: 8, isSigned: false))) : .inside(place)
      }
    }
    return .unknown
  }

  private func jumpTarget(_ base: Value, _ element: Value, _ shift: Int, _ widening: Source.Extension) -> Value? {
    guard let base = base.place, case .element(let table, let form, let load) = element else { return nil }
    return .jumpTarget(JumpTable(table: table, element: form, base: base, load: load, shift: shift, widening: widening))
  }

  private func address(of location: Location, _ shape: Shape, _ loads: [Int]) -> Value {
    guard case .trampoline(let number) = location else { return .location(location, loads: loads) }
    return .callee(Callee(trampoline: number, shape: shape, loads: loads))
  }

  /// Eight bytes from memory.
  private func contents(
    of location: Location, _ shape: Shape, _ loads: [Int], _ object: borrowing ObjectFile
  ) throws(ObjectFileError) -> Value {
    switch location {
    case .key(let number):
      // The address of a key came into a register first, or the key is named right here.
      let shape = shape == .g1 && loads.count == 1 ? Shape.g1 : .g2
      return .callee(Callee(trampoline: number, shape: shape, loads: loads.sorted(), isKeyWord: true))
    case .place(let place):
      guard let number = try locations.trampoline(inConstantAt: place, object) else { return .unknown }
      return .callee(Callee(trampoline: number, shape: .m11, loads: loads.sorted()))
    case .trampoline, .globalOffsetTable, .external: return .unknown
    }
  }
}

extension Symbol {
  /// Whether the symbol stands for instructions that LLVM's machine outliner took out of several functions. They work on their
  /// caller's registers, the preserved ones too.
  func isOutlined(_ names: Span<UInt8>) -> Bool {
    type == .function && names.hasBytes(outlinedPrefix, at: Int(nameOffset))
  }
}

private let outlinedPrefix = Array("OUTLINED_FUNCTION_".utf8)

extension Value {
  fileprivate var array: Place? {
    guard case .inside(let place) = self else { return nil }
    return place
  }

  fileprivate var place: Place? {
    guard case .location(.place(let place), _) = self else { return nil }
    return place
  }
}

extension Location {
  /// The location some bytes further on; a key and a trampoline are known only at their start.
  fileprivate func moved(by displacement: Int) -> Location? {
    if displacement == 0 { return self }
    guard case .place(var place) = self else { return nil }
    place.offset &+= displacement
    return .place(place)
  }
}
