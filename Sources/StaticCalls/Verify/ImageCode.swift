import Disassembly
import ObjectFile

/// The code of a linked image, decoded on demand: one stretch from the start of a function to the next.
struct ImageCode: ~Copyable {
  private let architecture: any Architecture.Type
  private let disassembler: Disassembler
  /// The parts of segments that hold code, in order of address.
  private let ranges: [CodeRange]
  /// Where functions begin; other labels and places that data names; both in order of address.
  private let functions: [UInt64]
  private let labels: [UInt64]
  /// Data among the code, in order, without overlaps.
  private let data: [Range<UInt64>]
  /// The stretch that was decoded last: addresses come mostly in order.
  private var last: Stretch?

  /// A part of a segment that holds code: a section, or the whole where there are no sections.
  struct CodeRange {
    var addresses: Range<UInt64>
    var segment: LinkedImage.Segment

    /// An address as an offset in the segment.
    func offset(of address: UInt64) -> Int { Int(address - segment.addresses.lowerBound) }
  }

  private struct Stretch {
    var addresses: Range<UInt64>
    var flow: CodeFlow
  }

  /// What a place in the code is.
  enum Judgement: Equatable {
    /// By the instruction there. It is certain where control is known to get to that instruction and nothing contradicts it.
    case place(EntryPlace, isCertain: Bool)
    /// Known to be data, or no code at all.
    case data
    /// Nobody can tell where an instruction begins there.
    case unknown
  }

  init(
    of image: borrowing LinkedImage, _ symbols: borrowing ImageSymbols,
    _ relocations: [LinkedImage.DynamicRelocation]
  ) {
    let architecture = StaticCalls.architecture(of: image.machine)
    self.architecture = architecture
    disassembler = Disassembler(architecture.instructionSet)
    let ranges = Self.codeRanges(of: image)
    self.ranges = ranges
    func inCode(_ addresses: [UInt64]) -> [UInt64] {
      Set(addresses).filter { Self.range(at: $0, in: ranges) != nil }.sorted()
    }
    functions = inCode(symbols.functions + image.unwoundFunctions() + [image.entry])
    labels = inCode(
      symbols.labels + image.initialisers() + ranges.map(\.addresses.lowerBound)
        + relocations.filter { $0.symbolName == nil }.map { UInt64(bitPattern: $0.addend) })
    data = symbols.data(in: ranges.map(\.addresses))
  }

  private static func codeRanges(of image: borrowing LinkedImage) -> [CodeRange] {
    let segments = image.segments.filter(\.isExecutable).map { segment in
      // What the file does not hold is no code.
      let end = segment.addresses.lowerBound + UInt64(segment.fileSize)
      return CodeRange(addresses: segment.addresses.lowerBound..<end, segment: segment)
    }
    let sections = image.sections.filter { $0.flags.contains([.alloc, .execInstr]) && $0.hasFileContents }
    guard !sections.isEmpty else { return segments }
    var parts: [CodeRange] = []
    for section in sections {
      let (end, overflow) = section.address.addingReportingOverflow(section.size)
      guard !overflow else { continue }
      for segment in segments {
        let part = segment.addresses.clamped(to: section.address..<end)
        if !part.isEmpty { parts.append(CodeRange(addresses: part, segment: segment.segment)) }
      }
    }
    var last: UInt64 = 0
    return parts.sorted { $0.addresses.lowerBound < $1.addresses.lowerBound }.filter { part in
      guard part.addresses.lowerBound >= last else { return false }
      last = part.addresses.upperBound
      return true
    }
  }

  private static func range(at address: UInt64, in ranges: [CodeRange]) -> CodeRange? {
    let behind = ranges.partitionPoint { $0.addresses.lowerBound > address }
    guard behind > 0, ranges[behind - 1].addresses.contains(address) else { return nil }
    return ranges[behind - 1]
  }

  /// The code around an address.
  func range(at address: UInt64) -> CodeRange? { Self.range(at: address, in: ranges) }

  /// Calls `body` with each part of the code and the contents of its segment.
  func forEachRange(_ image: borrowing LinkedImage, _ body: (CodeRange, Span<UInt8>) -> Void) {
    for range in ranges { image.withContents(of: range.segment) { body(range, $0) } }
  }

  /// Judges the place at an address, whatever it may be.
  mutating func judge(_ address: UInt64, _ image: borrowing LinkedImage) -> Judgement {
    guard let range = range(at: address), !isData(address) else { return .data }
    guard let (instruction, isCertain) = instruction(around: address, image) else { return .unknown }
    let offset = range.offset(of: address)
    return image.withContents(of: range.segment) { code in
      .place(architecture.place(offset, in: instruction, code), isCertain: isCertain)
    }
  }

  /// The instruction whose bytes include an address, with offsets in its segment, and whether it is certain; `nil` where that cannot be told.
  mutating func instruction(
    around address: UInt64, _ image: borrowing LinkedImage
  ) -> (instruction: Instruction, isCertain: Bool)? {
    guard let range = range(at: address), !isData(address) else { return nil }
    // Instructions of one length stand at multiples of it, whatever is between them.
    if let length = architecture.resume(after: 0) {
      let instruction = self.instruction(at: address - address % UInt64(length), image)
      return instruction.map { ($0, true) }
    }
    let flow = stretch(around: address, range, image).flow
    guard let start = flow.start(ofInstructionAround: range.offset(of: address)),
      let instruction = self.instruction(at: range.segment.addresses.lowerBound + UInt64(start), image)
    else { return nil }
    return (instruction, flow.isCertain(start))
  }

  /// What decodes at an address, whatever stands before it, with offsets in its segment.
  func instruction(at address: UInt64, _ image: borrowing LinkedImage) -> Instruction? {
    guard let range = range(at: address) else { return nil }
    return image.withContents(of: range.segment) { disassembler.decode($0, at: range.offset(of: address)) }
  }

  /// Whether control may come to an address from elsewhere than from the instruction before it: it has a label, or a branch of its
  /// function leads there.
  mutating func isEntered(_ address: UInt64, _ image: borrowing LinkedImage) -> Bool {
    guard let range = range(at: address) else { return true }
    if functions.holds(address) || labels.holds(address) { return true }
    return stretch(around: address, range, image).flow.targets.contains(range.offset(of: address))
  }

  private func isData(_ address: UInt64) -> Bool {
    let behind = data.partitionPoint { $0.lowerBound > address }
    return behind > 0 && data[behind - 1].contains(address)
  }

  private mutating func stretch(
    around address: UInt64, _ range: CodeRange, _ image: borrowing LinkedImage
  ) -> Stretch {
    if let last, last.addresses.contains(address) { return last }
    let behind = functions.partitionPoint { $0 > address }
    let start = behind > 0 ? max(functions[behind - 1], range.addresses.lowerBound) : range.addresses.lowerBound
    let end = behind < functions.count ? min(functions[behind], range.addresses.upperBound) : range.addresses.upperBound
    let known = CodeFlow.Known(
      functions: functions.holds(start) ? [range.offset(of: start)] : [],
      labels: labels.elements(in: start..<end).map { range.offset(of: $0) },
      data: dataRanges(in: start..<end, range))
    let flow = image.withContents(of: range.segment) { code in
      CodeFlow(range.offset(of: start)..<range.offset(of: end), known, in: code, disassembler, architecture)
    }
    let stretch = Stretch(addresses: start..<end, flow: flow)
    last = stretch
    return stretch
  }

  private func dataRanges(in addresses: Range<UInt64>, _ range: CodeRange) -> [Range<Int>] {
    var found: [Range<Int>] = []
    var position = data.partitionPoint { $0.upperBound > addresses.lowerBound }
    while position < data.count, data[position].lowerBound < addresses.upperBound {
      let part = data[position].clamped(to: addresses)
      if !part.isEmpty { found.append(range.offset(of: part.lowerBound)..<range.offset(of: part.upperBound)) }
      position += 1
    }
    return found
  }
}

extension [UInt64] {
  /// Whether the array, which is in order, holds a number.
  fileprivate func holds(_ number: UInt64) -> Bool {
    let position = partitionPoint { $0 >= number }
    return position < count && self[position] == number
  }

  /// The numbers of the array, which is in order, in a range.
  fileprivate func elements(in range: Range<UInt64>) -> ArraySlice<UInt64> {
    self[partitionPoint { $0 >= range.lowerBound }..<partitionPoint { $0 >= range.upperBound }]
  }
}
