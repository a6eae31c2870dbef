import Disassembly
import ObjectFile

/// Where instructions begin in a stretch of code, found by following the flow of control from places that are known to be code.
///
/// Decoding one instruction after the other goes astray where data stands among the code, as in `call 1f; .asciz "..."; 1:`. So targets of
/// branches count for more than what stands behind a call, which may never return; where two ways of decoding contradict each other, the
/// stronger one holds, and the place is not certain. Labels, which may stand in data, come after all that, and at last what remains, such as
/// the cases of a `switch`, from where other code ends: neither proves anything.
struct CodeFlow {
  /// The stretch, as offsets in the code that was given.
  let range: Range<Int>
  /// The length of the instruction at each byte of the stretch; 0 where none begins.
  private var lengths: [UInt8]
  /// Where proved instructions begin.
  private var proved: InstructionStarts
  /// The bytes that two ways of decoding contradict each other about.
  private var doubtful: InstructionStarts
  /// Where direct branches of the stretch lead inside it.
  private(set) var targets: Set<Int> = []
  private var count = 0

  /// How many instructions are decoded at most; see ``CodeReader/mostInstructions``.
  private static let mostInstructions = CodeReader.mostInstructions

  /// What is known of a stretch before it is decoded.
  struct Known {
    /// Where a function begins.
    var functions: [Int]
    /// Labels, which may also stand in data or inside of an instruction.
    var labels: [Int]
    /// What is known to be data, in order, without overlaps.
    var data: [Range<Int>]
  }

  /// Decodes `range` of `code`.
  init(
    _ range: Range<Int>, _ known: Known, in code: Span<UInt8>, _ disassembler: borrowing Disassembler,
    _ architecture: any Architecture.Type
  ) {
    self.range = range
    lengths = [UInt8](repeating: 0, count: range.count)
    proved = InstructionStarts(size: range.count)
    doubtful = InstructionStarts(size: range.count)
    follow(known.functions, areProved: true, known, code, disassembler, architecture)
    follow(known.labels, areProved: false, known, code, disassembler, architecture)
    decodeRest(known, code, disassembler, architecture)
  }

  /// Where the instruction begins whose bytes include an offset; `nil` where none is known there.
  func start(ofInstructionAround offset: Int) -> Int? {
    guard range.contains(offset) else { return nil }
    for start in stride(from: offset, through: max(range.lowerBound, offset - 14), by: -1) {
      let length = Int(lengths[start - range.lowerBound])
      if length > 0 { return offset < start + length ? start : nil }
    }
    return nil
  }

  /// Whether the instruction that begins at an offset is where control gets, and nothing contradicts it.
  func isCertain(_ start: Int) -> Bool {
    let first = start - range.lowerBound
    return proved.contains(first) && !(first..<first + Int(lengths[first])).contains(where: doubtful.contains)
  }

  // MARK: Following

  /// Follows control from several places. What stands behind a call is looked at after everything that branches lead to.
  private mutating func follow(
    _ starts: [Int], areProved: Bool, _ known: Known, _ code: Span<UInt8>, _ disassembler: borrowing Disassembler,
    _ architecture: any Architecture.Type
  ) {
    var (now, later) = (starts, [Int]())
    while !now.isEmpty {
      while let start = now.popLast() {
        let run = decode(from: start, known, code, disassembler, architecture)
        guard let run else { continue }
        for instruction in run.instructions {
          lengths[instruction.start - range.lowerBound] = instruction.length
          if areProved { proved.insert(instruction.start - range.lowerBound) }
        }
        now += run.targets
        targets.formUnion(run.targets)
        later += run.behindCall
      }
      swap(&now, &later)
    }
  }

  /// Instructions that follow each other up to a call or to where control does not go on.
  private struct Run {
    var instructions: [(start: Int, length: UInt8)] = []
    /// Where its branches lead in the stretch.
    var targets: [Int] = []
    /// Where control goes on if a call returns, or somebody handles a trap.
    var behindCall: [Int] = []
  }

  /// Decodes from a place on; `nil` where nothing is to be done, or the instructions contradict what is known.
  private mutating func decode(
    from start: Int, _ known: Known, _ code: Span<UInt8>, _ disassembler: borrowing Disassembler,
    _ architecture: any Architecture.Type
  ) -> Run? {
    guard range.contains(start), !begins(start) else { return nil }
    if let other = self.start(ofInstructionAround: start) {
      // To skip a prefix is no contradiction.
      let end = other + Int(lengths[other - range.lowerBound])
      if disassembler.decode(code, at: start)?.end != end { doubt(other..<end) }
      return nil
    }
    var (run, place) = (Run(), start)
    while range.contains(place), !begins(place) {
      guard count < Self.mostInstructions else { return run }
      count += 1
      let instruction = disassembler.decode(code, at: place)
      guard let end = instruction?.end ?? architecture.resume(after: place) else { return run }
      guard end <= range.upperBound, !(place + 1..<end).contains(where: begins), !known.holdsData(place..<end) else {
        doubt(start..<min(end, range.upperBound))
        return nil
      }
      run.instructions.append((place, UInt8(end - place)))
      if let target = instruction?.flow.directTarget, range.contains(target) { run.targets.append(target) }
      place = end
      switch instruction?.flow {
      case .call, .trap:
        run.behindCall.append(place)
        return run
      case .jump, .stop: return run
      case .next, .conditionalJump, nil: break
      }
    }
    return run
  }

  /// Decodes what no known way leads to, from where other code ends up to where it goes on.
  private mutating func decodeRest(
    _ known: Known, _ code: Span<UInt8>, _ disassembler: borrowing Disassembler, _ architecture: any Architecture.Type
  ) {
    var place = range.lowerBound
    while place < range.upperBound {
      if let end = known.endOfData(at: place) {
        place = end
        continue
      }
      if !begins(place) { follow([place], areProved: false, known, code, disassembler, architecture) }
      if begins(place) {
        place += Int(lengths[place - range.lowerBound])
      } else {
        // Nobody knows where the next instruction begins, up to one that was found.
        repeat { place += 1 } while place < range.upperBound && !begins(place)
      }
    }
  }

  private mutating func doubt(_ bytes: Range<Int>) {
    for offset in bytes { doubtful.insert(offset - range.lowerBound) }
  }

  private func begins(_ offset: Int) -> Bool { range.contains(offset) && lengths[offset - range.lowerBound] > 0 }
}

extension CodeFlow.Known {
  fileprivate func holdsData(_ range: Range<Int>) -> Bool {
    let behind = data.partitionPoint { $0.lowerBound >= range.upperBound }
    return behind > 0 && data[behind - 1].upperBound > range.lowerBound
  }

  fileprivate func endOfData(at offset: Int) -> Int? {
    holdsData(offset..<offset + 1) ? data[data.partitionPoint { $0.lowerBound > offset } - 1].upperBound : nil
  }
}
