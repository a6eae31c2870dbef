import ObjectFile

/// What an object's unwind tables say of its code: where the rules for unwinding change, and where exceptions land.
///
/// After the LSB Core specification, "Exception Frames" and "Exception Header", DWARF 5 section 6.4, and the Itanium C++ ABI's
/// exception handling tables (gcc's unwind-pe.h lists the encodings).
struct UnwindTable {
  /// Section offsets where a new row of the unwind table begins, in ascending order.
  private var rows: [SectionIndex: [Int]] = [:]
  /// Section offsets where the code of a landing pad begins or ends, in ascending order.
  private var borders: [SectionIndex: [Int]] = [:]
  /// Where control goes on after an exception, in ascending order, by the section that holds the landing pad.
  private var landingPads: [SectionIndex: [LandingPad]] = [:]
  /// The starts of functions with landing pads, wherever these are, in ascending order.
  private var catching: [SectionIndex: [Int]] = [:]
  /// Sections with code that a table describes in a way that cannot be read.
  private var unreadable: Set<SectionIndex> = []
  /// Whether there is a table of which not even the sections are known.
  private var isUnreadable = false

  /// Reads the tables of `object`, as far as they describe `sections`.
  init(of sections: Set<SectionIndex>, in object: borrowing ObjectFile) throws(ObjectFileError) {
    var areaFields: [SectionIndex: RelocatedFields] = [:]
    for section in object.sections where section.flags.contains(.alloc) && section.contentSize > 0 {
      if object.name(of: section.index, is: Array(".orc_unwind_ip".utf8)) {
        try addOrcRows(section.index, object)
        continue
      }
      guard object.name(of: section.index, is: Array(".eh_frame".utf8)) else { continue }
      let fields = try RelocatedFields(of: section.index, in: object)
      let frames = object.withContents(of: section.index) { FrameReader(fields: fields).frames($0) }
      guard let frames else {
        isUnreadable = true
        continue
      }
      for frame in frames { try add(frame, &areaFields, object) }
    }
    for section in rows.keys { rows[section]?.sort() }
    for section in borders.keys { borders[section]?.sort() }
    for section in landingPads.keys { landingPads[section]?.sort { $0.offset < $1.offset } }
    for section in catching.keys { catching[section]?.sort() }
  }

  /// The kernel's own unwind table: each field of `.orc_unwind_ip` names the place where a row begins.
  private mutating func addOrcRows(_ table: SectionIndex, _ object: borrowing ObjectFile) throws(ObjectFileError) {
    let fields = try RelocatedFields(of: table, in: object)
    for place in fields.all { rows[place.section, default: []].append(place.offset) }
  }

  private mutating func add(
    _ frame: Frame, _ areaFields: inout [SectionIndex: RelocatedFields], _ object: borrowing ObjectFile
  ) throws(ObjectFileError) {
    let section = frame.start.section
    if let changes = frame.rows {
      rows[section, default: []] += changes.map { frame.start.offset + $0 }
    } else {
      unreadable.insert(section)
    }
    guard let area = frame.languageArea else { return }
    if areaFields[area.section] == nil { areaFields[area.section] = try RelocatedFields(of: area.section, in: object) }
    guard let fields = areaFields[area.section] else { return }
    let found = object.withContents(of: area.section) {
      languageAreaPads($0, fields, at: area.offset, functionStart: frame.start)
    }
    guard let found else {
      // The pads may be anywhere.
      isUnreadable = true
      return
    }
    if !found.pads.isEmpty { catching[section, default: []].append(frame.start.offset) }
    landingPads[found.section, default: []] += found.pads
    borders[section, default: []] += found.pads.flatMap { [$0.guarded.lowerBound, $0.guarded.upperBound] }
  }

  func isUnreadable(for section: SectionIndex) -> Bool { isUnreadable || unreadable.contains(section) }

  /// Whether the rules for unwinding, or the handlers of exceptions, change strictly inside a range of section offsets. That the
  /// handlers change at `call` does no harm to what stands before it.
  func changesInside(_ range: Range<Int>, of section: SectionIndex, butAt call: Int) -> Bool {
    func inside(_ offsets: [Int]?) -> ArraySlice<Int> {
      guard let offsets else { return [] }
      let first = offsets.partitionPoint { $0 > range.lowerBound }
      return offsets[first..<max(first, offsets.partitionPoint { $0 >= range.upperBound })]
    }
    return !inside(rows[section]).isEmpty || inside(borders[section]).contains { $0 != call }
  }

  /// The places in a range of section offsets where exceptions land.
  func landingPads(in range: Range<Int>, of section: SectionIndex) -> ArraySlice<LandingPad> {
    guard let pads = landingPads[section] else { return [] }
    let start = pads.partitionPoint { $0.offset >= range.lowerBound }
    return pads[start..<pads.partitionPoint { $0.offset >= range.upperBound }]
  }

  /// Whether exceptions that leave calls in a range land in the same function, wherever that has its landing pads.
  func hasLandingPads(in range: Range<Int>, of section: SectionIndex) -> Bool {
    if !landingPads(in: range, of: section).isEmpty { return true }
    guard let starts = catching[section] else { return false }
    let first = starts.partitionPoint { $0 >= range.lowerBound }
    return first < starts.count && starts[first] < range.upperBound
  }
}

/// Where control goes on after an exception that leaves certain code.
struct LandingPad {
  /// Section offset of the landing pad.
  var offset: Int
  /// The section of the code that the exception leaves.
  var guardedSection: SectionIndex
  /// That code, as section offsets.
  var guarded: Range<Int>
}

/// What a frame description entry says.
private struct Frame {
  var start: Place
  /// Offsets from the start where a row begins; `nil` where an instruction is not known.
  var rows: [Int]?
  /// The language-specific data of the function.
  var languageArea: Place?
}

/// The places that a section's relocated fields refer to, by the offset of the field.
private struct RelocatedFields {
  private var places: [Int: Place] = [:]
  private var relocated: Set<Int> = []

  init(of section: SectionIndex, in object: borrowing ObjectFile) throws(ObjectFileError) {
    for table in object.relocationSections(of: section) {
      try object.withRelocations(in: table) { relocations in
        for position in relocations.indices {
          let relocation = relocations[position]
          guard relocation.type != .none else { continue }
          relocated.insert(relocation.offset.rawValue)
          // What lies outside of its section is no place, and a table that needs it cannot be read.
          guard let place = Place(relocation.addend, from: relocation.symbol, object), place.offset >= 0,
            place.offset <= object[place.section].contentSize
          else { continue }
          places[relocation.offset.rawValue] = place
        }
      }
    }
  }

  var all: some Collection<Place> { places.values }

  subscript(offset: Int) -> Place? { places[offset] }

  func isRelocated(_ offset: Int) -> Bool { relocated.contains(offset) }
}

/// Reads the entries of an `.eh_frame` section.
private struct FrameReader {
  let fields: RelocatedFields

  /// What a common information entry says of the entries that refer to it.
  private struct Common {
    var codeAlignment: Int
    var hasAugmentation: Bool
    var addressEncoding: UInt8
    var areaEncoding: UInt8?
  }

  /// All entries; `nil` where the section is not what it should be.
  func frames(_ bytes: Span<UInt8>) -> [Frame]? {
    var frames: [Frame] = []
    var commons: [Int: Common] = [:]
    var position = 0
    while position + 4 <= bytes.count {
      var cursor = Cursor(position)
      guard let length = cursor.fixed(4, bytes), length != 0xffff_ffff else { return nil }
      if length == 0 {
        // An end mark, which `ld -r` may have put more behind.
        position += 4
        continue
      }
      let end = cursor.position + length
      guard end <= bytes.count else { return nil }
      let idPosition = cursor.position
      guard let id = cursor.fixed(4, bytes) else { return nil }
      if id == 0 {
        guard let common = common(&cursor, end, bytes) else { return nil }
        commons[position] = common
      } else {
        guard let common = commons[idPosition - id] else { return nil }
        // An entry without a relocation describes code that was thrown away.
        if fields.isRelocated(cursor.position) {
          guard let start = fields[cursor.position] else { return nil }
          guard let frame = frame(at: start, common, &cursor, end, bytes) else { return nil }
          frames.append(frame)
        }
      }
      position = end
    }
    return frames
  }

  private func common(_ cursor: inout Cursor, _ end: Int, _ bytes: Span<UInt8>) -> Common? {
    guard let version = cursor.fixed(1, bytes), version == 1 || version == 3,
      let augmentation = cursor.string(bytes), !augmentation.contains("eh"),
      let codeAlignment = cursor.unsigned(bytes), (1...16).contains(codeAlignment), cursor.unsigned(bytes) != nil,
      (version == 1 ? cursor.fixed(1, bytes) : cursor.unsigned(bytes)) != nil
    else { return nil }
    var common = Common(codeAlignment: codeAlignment, hasAugmentation: false, addressEncoding: 0, areaEncoding: nil)
    for letter in augmentation {
      switch letter {
      case "z":
        common.hasAugmentation = true
        guard cursor.unsigned(bytes) != nil else { return nil }
      case "R":
        guard let encoding = cursor.fixed(1, bytes) else { return nil }
        common.addressEncoding = UInt8(encoding)
      case "L":
        guard let encoding = cursor.fixed(1, bytes) else { return nil }
        common.areaEncoding = UInt8(encoding)
      case "P":
        guard let encoding = cursor.fixed(1, bytes), let size = pointerSize(UInt8(encoding)) else { return nil }
        cursor.position += size
      case "S", "B", "G": break
      default: return nil
      }
    }
    return cursor.position <= end ? common : nil
  }

  private func frame(
    at start: Place, _ common: Common, _ cursor: inout Cursor, _ end: Int, _ bytes: Span<UInt8>
  ) -> Frame? {
    guard let size = pointerSize(common.addressEncoding) else { return nil }
    cursor.position += 2 * size
    var frame = Frame(start: start)
    if common.hasAugmentation {
      guard let length = cursor.unsigned(bytes) else { return nil }
      let augmentationEnd = cursor.position + length
      if let encoding = common.areaEncoding, encoding != omitted {
        frame.languageArea = fields[cursor.position]
        // Where the field is not zero and names no place, it cannot be read.
        if frame.languageArea == nil, fields.isRelocated(cursor.position) { return nil }
      }
      cursor.position = augmentationEnd
    }
    guard cursor.position <= end else { return nil }
    frame.rows = rows(&cursor, end, common, bytes)
    return frame
  }

  /// The offsets where call frame instructions begin new rows (DWARF 5, section 6.4.2).
  private func rows(
    _ cursor: inout Cursor, _ end: Int, _ common: Common, _ bytes: Span<UInt8>
  ) -> [Int]? {
    var rows: [Int] = []
    var location = 0
    while cursor.position < end {
      guard let opcode = cursor.fixed(1, bytes) else { return nil }
      var advance: Int?
      switch opcode {
      case 0x40...0x7f: advance = opcode & 0x3f
      case 0x02, 0x03, 0x04:
        guard let delta = cursor.fixed(1 << (opcode - 2), bytes) else { return nil }
        advance = delta
      case 0x80...0xbf, 0x06, 0x07, 0x08, 0x0d, 0x0e, 0x13, 0x2e:
        guard cursor.unsigned(bytes) != nil else { return nil }
      case 0x05, 0x09, 0x0c, 0x11, 0x12, 0x14, 0x15, 0x2f:
        guard cursor.unsigned(bytes) != nil, cursor.unsigned(bytes) != nil else { return nil }
      case 0x0f:
        guard let length = cursor.unsigned(bytes) else { return nil }
        cursor.position += length
      case 0x10, 0x16:
        guard cursor.unsigned(bytes) != nil, let length = cursor.unsigned(bytes) else { return nil }
        cursor.position += length
      case 0x00, 0x0a, 0x0b, 0x2d, 0xc0...0xff: break
      default: return nil
      }
      if let advance {
        location += advance * common.codeAlignment
        rows.append(location)
      }
    }
    return rows
  }
}

/// `DW_EH_PE_omit`.
private let omitted: UInt8 = 0xff

/// The size of a pointer in an encoding (`DW_EH_PE_*`), in bytes.
private func pointerSize(_ encoding: UInt8) -> Int? {
  switch encoding & 0xf {
  case 0x0, 0x4, 0xc: 8
  case 0x2, 0xa: 2
  case 0x3, 0xb: 4
  default: nil
  }
}

/// What a function's language-specific data area says.
private struct LanguageArea {
  /// The section that the landing pads are in.
  var section: SectionIndex
  var pads: [LandingPad] = []
}

/// Reads the language-specific data area at an offset; `nil` where that cannot be done.
private func languageAreaPads(
  _ bytes: Span<UInt8>, _ fields: RelocatedFields, at offset: Int, functionStart: Place
) -> LanguageArea? {
  var cursor = Cursor(offset)
  func number(_ encoding: Int) -> Int? {
    if encoding == 1 { return cursor.unsigned(bytes) }
    guard fields[cursor.position] == nil, let size = pointerSize(UInt8(encoding)) else { return nil }
    return cursor.fixed(size, bytes)
  }
  guard let startEncoding = cursor.fixed(1, bytes) else { return nil }
  var base = functionStart
  if startEncoding != Int(omitted) {
    guard let size = pointerSize(UInt8(startEncoding)), let place = fields[cursor.position] else { return nil }
    base = place
    cursor.position += size
  }
  guard let typeEncoding = cursor.fixed(1, bytes) else { return nil }
  if typeEncoding != Int(omitted), cursor.unsigned(bytes) == nil { return nil }
  guard let siteEncoding = cursor.fixed(1, bytes), let length = cursor.unsigned(bytes) else { return nil }
  let end = cursor.position + length
  guard end <= bytes.count else { return nil }
  var area = LanguageArea(section: base.section)
  while cursor.position < end {
    guard let start = number(siteEncoding), let size = number(siteEncoding), let pad = number(siteEncoding),
      cursor.unsigned(bytes) != nil
    else { return nil }
    guard pad != 0 else { continue }
    let guarded = (functionStart.offset + start)..<(functionStart.offset + start + size)
    area.pads.append(
      LandingPad(offset: base.offset + pad, guardedSection: functionStart.section, guarded: guarded))
  }
  return area
}

/// A place in a section's bytes from which numbers are read.
private struct Cursor {
  var position: Int

  init(_ position: Int) { self.position = position }

  /// An unsigned little-endian number of 1, 2, 4 or 8 bytes; `nil` past the end, or where it is too large for an offset.
  mutating func fixed(_ size: Int, _ bytes: Span<UInt8>) -> Int? {
    guard position >= 0, size <= bytes.count, position <= bytes.count - size else { return nil }
    var number: UInt64 = 0
    for byte in 0..<size { number |= UInt64(bytes[position + byte]) << UInt64(8 * byte) }
    position += size
    return number < 1 << 40 ? Int(number) : nil
  }

  /// A LEB128 number. Signed ones take as many bytes; where one is skipped its value does not matter.
  mutating func unsigned(_ bytes: Span<UInt8>) -> Int? {
    var number = 0
    for shift in stride(from: 0, to: 35, by: 7) {
      guard position >= 0, position < bytes.count else { return nil }
      let byte = bytes[position]
      position += 1
      number |= Int(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return number }
    }
    return nil
  }

  mutating func string(_ bytes: Span<UInt8>) -> String? {
    var text = ""
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == 0 { return text }
      text.unicodeScalars.append(Unicode.Scalar(byte))
    }
    return nil
  }
}
