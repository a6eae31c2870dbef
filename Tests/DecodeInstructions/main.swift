import Disassembly

/// Reads instructions, one a line in hexadecimal, and writes what the decoder makes of each: nothing (`-`), or its length, its flow, the
/// registers that it reads, writes and overwrites as sets of bits, and whether it writes memory. The argument is the machine.
let machine = CommandLine.arguments.dropFirst().first
let instructionSet: InstructionSet = machine == "aarch64" ? .aarch64 : .x86_64
let disassembler = Disassembler(instructionSet)

func bytes(_ line: String) -> [UInt8] {
  let digits = line.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func text(_ target: BranchTarget) -> String {
  switch target {
  case .direct(let offset): "\(offset)"
  case .register(let register): "r\(register.number)"
  case .memory: "memory"
  }
}

func text(_ flow: ControlFlow) -> String {
  switch flow {
  case .next: "next"
  case .trap: "trap"
  case .stop: "stop"
  case .call(let target): "call:" + text(target)
  case .jump(let target): "jump:" + text(target)
  case .conditionalJump(let target): "conditional:" + text(target)
  }
}

while let line = readLine() {
  let code = bytes(line)
  guard let instruction = disassembler.decode(code.span, at: 0) else {
    print("-")
    continue
  }
  let effects = instruction.effects
  let sets =
    effects == .unknown
    ? "? ? ?"
    : [effects.reads, effects.writes, effects.overwrites].map { String($0.rawValue, radix: 16) }.joined(separator: " ")
  print(instruction.length, text(instruction.flow), sets, instruction.writesMemory ? "stores" : "keeps")
}
