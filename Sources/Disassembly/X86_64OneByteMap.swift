extension X86Behaviour {
  /// The instructions with one byte of opcode.
  mutating func oneByteMap() -> Bool {
    let opcode = encoding.opcode
    switch opcode {
    case 0x00...0x3f: return arithmetic(opcode >> 3, form: opcode & 7)
    case 0x50...0x5f: return pushOrPop()
    case 0x63:
      // Without REX.W nothing is extended.
      operation = size == 8 ? .moveSigned : .other
      register(.write, size)
      place(.read, 4)
    case 0x68, 0x6a: push()
    case 0x69, 0x6b:
      register(.write, size)
      place(.read, size)
    case 0x6c...0x6f, 0xa4...0xa7, 0xaa...0xaf: string()
    case 0x70...0x7f, 0xeb: branch(isConditional: opcode != 0xeb)
    case 0x80, 0x81, 0x83: return arithmetic(encoding.extensionOfOpcode, form: 8 | opcode & 1)
    case 0x84, 0x85:
      operation = .compare
      place(.read, width)
      register(.read, width)
    case 0x86, 0x87:
      allowLock()
      place(.readWrite, width)
      register(.readWrite, width)
    case 0x88, 0x89: move(toPlace: true)
    case 0x8a, 0x8b: move(toPlace: false)
    case 0x8c:
      guard encoding.extensionOfOpcode < 6 else { return false }
      place(.write, encoding.hasMemory ? 2 : size)
    case 0x8e:
      guard encoding.extensionOfOpcode < 6, encoding.extensionOfOpcode != 1 else { return false }
      place(.read, 2)
    case 0x8d:
      guard encoding.hasMemory else { return false }
      operation = .loadAddress
      register(.write, size)
      place(.read, size)
    case 0x8f:
      guard encoding.extensionOfOpcode == 0 else { return false }
      place(.write, stackSize)
      use(.rsp, .readWrite)
    case 0x90 where encoding.registerOfOpcode == 0: break
    // With the prefix of `pause`, manuals do not agree.
    case 0x90 where encoding.repetition == 0xf3: return unknown()
    case 0x90...0x97:
      operand(encoding.registerOfOpcode, .readWrite, size)
      use(.rax, .readWrite)
    case 0x98: use(.rax, .readWrite)
    case 0x99:
      use(.rax, .read)
      use(.rdx, .write, size)
    case 0x9b: break
    case 0x9c: push()
    case 0x9d: use(.rsp, .readWrite)
    case 0x9e: use(.rax, .read)
    case 0x9f: use(.rax, .readWrite)
    case 0xa0, 0xa1:
      operation = .move
      operand(0, .write, width)
      accessSize = width
    case 0xa2, 0xa3:
      operation = .store
      use(.rax, .read)
      accessSize = width
      changeOtherMemory()
    case 0xa8, 0xa9:
      operation = .compare
      use(.rax, .read)
    case 0xb0...0xbf:
      operation = .move
      operand(encoding.registerOfOpcode, .write, opcode < 0xb8 ? 1 : size)
    case 0xc0, 0xc1, 0xd0...0xd3:
      place(.readWrite, width)
      if opcode == 0xd2 || opcode == 0xd3 { use(.rcx, .read) }
    case 0xc2, 0xc3:
      flow = .stop
      use(.rsp, .readWrite)
    case 0xc6, 0xc7: return moveImmediate()
    case 0xc8:
      push()
      use(.rbp, .readWrite)
    case 0xc9:
      use(.rbp, .readWrite)
      use(.rsp, .readWrite)
    case 0xca, 0xcb, 0xcf:
      flow = .stop
      return unknown()
    case 0xcc: break
    case 0xcd, 0xf1: return unknown()
    case 0xd7:
      use([.rax, .rbx], .read)
      use(.rax, .readWrite)
    case 0xd8...0xdf: return floatingPoint()
    case 0xe0...0xe3:
      branch(isConditional: true)
      use(.rcx, opcode == 0xe3 ? .read : .readWrite)
    case 0xe4...0xe7, 0xec...0xef: port()
    case 0xe8:
      flow = .call(target)
      effects.writes.formUnion(.rsp)
    case 0xe9: branch(isConditional: false)
    case 0xf4: flow = .trap
    // `cmc`, `clc`, `stc`, `cli`, `sti`, `cld`, `std`.
    case 0xf5, 0xf8...0xfd: break
    case 0xf6, 0xf7: return unary()
    case 0xfe:
      guard encoding.extensionOfOpcode < 2 else { return false }
      allowLock()
      place(.readWrite, 1)
    case 0xff: return group5()
    default: return false
    }
    return true
  }

  /// In bytes: 1 where the opcode is even.
  var width: Int { encoding.opcode & 1 == 0 ? 1 : size }

  // MARK: Arithmetic

  /// `add`, `or`, `adc`, `sbb`, `and`, `sub`, `xor`, `cmp`. The forms are those of the opcodes 00 to 05; with 8, of an immediate.
  private mutating func arithmetic(_ number: UInt8, form: UInt8) -> Bool {
    let size = form & 1 == 0 ? 1 : self.size
    let access: Access = number == 7 ? .read : .readWrite
    operation = number == 0 ? .add : number == 7 ? .compare : .other
    switch form & 0xe {
    case 0:
      if number != 7 { allowLock() }
      place(access, size)
      register(.read, size)
      setSource(encoding.register, size)
    case 2:
      register(access, size)
      place(.read, size)
      if !encoding.hasMemory { setSource(encoding.registerInPlaceOfMemory, size) }
    case 4: operand(0, access, size)
    case 8:
      if number != 7 { allowLock() }
      place(access, size)
    default: return false
    }
    // `xor %eax, %eax` and its like.
    let isZero = (number == 5 || number == 6) && form < 4 && size >= 4
    if isZero, !encoding.hasMemory, encoding.register == encoding.registerInPlaceOfMemory { zero(encoding.register) }
    return true
  }

  private mutating func setSource(_ number: Int, _ size: Int) {
    if size == 8, operation == .add || operation == .move || operation == .store { source = Register(number) }
  }

  /// `test`, `not`, `neg`, `mul`, `imul`, `div`, `idiv`.
  private mutating func unary() -> Bool {
    switch encoding.extensionOfOpcode {
    case 0, 1:
      operation = .compare
      place(.read, width)
    case 2, 3:
      allowLock()
      place(.readWrite, width)
    case 4, 5:
      place(.read, width)
      use(.rax, .readWrite)
      if width > 1 { use(.rdx, .write, width) }
    default:
      place(.read, width)
      use(.rax, .readWrite)
      if width > 1 { use(.rdx, .readWrite) }
    }
    return true
  }

  private mutating func group5() -> Bool {
    switch encoding.extensionOfOpcode {
    case 0, 1:
      allowLock()
      place(.readWrite, size)
    case 2:
      flow = .call(targetInPlace)
      place(.read, 8)
      effects.writes.formUnion(.rsp)
    case 4:
      flow = .jump(targetInPlace)
      place(.read, 8)
    case 3, 5:
      // Far: to a segment and an offset that memory holds.
      guard encoding.hasMemory else { return false }
      flow = .stop
      return unknown()
    case 6:
      place(.read, stackSize)
      push()
    default: return false
    }
    return true
  }

  // MARK: Moves

  private mutating func move(toPlace: Bool) {
    if toPlace {
      operation = encoding.hasMemory ? .store : .move
      place(.write, width)
      register(.read, width)
      setSource(encoding.register, width)
    } else {
      operation = .move
      register(.write, width)
      place(.read, width)
      if !encoding.hasMemory { setSource(encoding.registerInPlaceOfMemory, width) }
    }
  }

  private mutating func moveImmediate() -> Bool {
    if encoding.extensionOfOpcode == 0 {
      operation = encoding.hasMemory ? .store : .move
      place(.write, width)
      return true
    }
    guard encoding.modRM == 0xf8 else { return false }
    // `xabort`, and `xbegin`, which goes on at its target when the transaction fails.
    if encoding.opcode == 0xc7 { branch(isConditional: true) }
    return unknown()
  }

  private mutating func pushOrPop() -> Bool {
    let number = encoding.registerOfOpcode
    if encoding.opcode < 0x58 {
      push()
      use(RegisterSet(Register(number)), .read)
    } else {
      operand(number, .write, stackSize)
      use(.rsp, .readWrite)
    }
    return true
  }

  mutating func push() {
    operation = .push
    use(.rsp, .readWrite)
  }

  /// `movs`, `cmps`, `stos`, `lods`, `scas`, `ins`, `outs`: each moves its pointers. Repeated, they count `rcx` down, and may do
  /// nothing at all.
  private mutating func string() {
    let opcode = encoding.opcode
    if encoding.repetition != 0 { use(.rcx, .readWrite) }
    switch opcode {
    case 0xa4, 0xa5, 0xa6, 0xa7: use([.rsi, .rdi], .readWrite)
    case 0xaa, 0xab, 0xae, 0xaf:
      use(.rax, .read)
      use(.rdi, .readWrite)
    case 0xac, 0xad:
      use(.rsi, .readWrite)
      use(.rax, encoding.repetition == 0 ? .write : .readWrite, width)
    default: port()
    }
    if [0x6c, 0x6d, 0xa4, 0xa5, 0xaa, 0xab].contains(opcode) { changeOtherMemory() }
  }

  /// A port may be a hypervisor's: VMware's takes its arguments and leaves its results in all of these (the kernel's
  /// arch/x86/include/asm/vmware.h).
  private mutating func port() { use([.rax, .rbx, .rcx, .rdx, .rsi, .rdi, .rbp], .readWrite) }

  // MARK: Branches

  /// Where a direct branch goes, in bytes from its own start.
  private var target: BranchTarget { .direct(encoding.length + encoding.immediate) }

  private var targetInPlace: BranchTarget {
    encoding.hasMemory ? .memory : .register(Register(encoding.registerInPlaceOfMemory))
  }

  mutating func branch(isConditional: Bool) {
    flow = isConditional ? .conditionalJump(target) : .jump(target)
  }

  // MARK: x87

  /// Only addresses are general-purpose registers here, and `fnstsw %ax` (SDM volume 2, tables ).
  private mutating func floatingPoint() -> Bool {
    let (opcode, number) = (encoding.opcode, encoding.extensionOfOpcode)
    guard encoding.hasMemory else {
      if opcode == 0xdf, encoding.modRM == 0xe0 { use(.rax, .readWrite) }
      return true
    }
    let (invalid, stores): ([UInt8], [UInt8])
    switch opcode {
    case 0xd9: (invalid, stores) = ([1], [2, 3, 6, 7])
    case 0xdb: (invalid, stores) = ([4, 6], [1, 2, 3, 7])
    case 0xdd: (invalid, stores) = ([5], [1, 2, 3, 6, 7])
    case 0xdf: (invalid, stores) = ([], [1, 2, 3, 6, 7])
    default: (invalid, stores) = ([], [])
    }
    if stores.contains(number) { changeMemory() }
    return !invalid.contains(number)
  }
}
