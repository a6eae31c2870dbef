public import SystemPackage

/// An archive with some of its members edited: complete as values, checked, and not yet written anywhere.
///
/// Every other byte is what it was: the other members, all names, dates and modes, the order. The headers of edited members get new
/// sizes, and the indexes of symbols new offsets; which symbols they list does not change, because an edit adds no definition.
public struct EditedArchive {
  /// The outcome, part by part: a range of the old file, or new bytes.
  private var parts: [Part] = []
  /// The size of the outcome in bytes.
  private var size = 0

  private enum Part {
    case old(Range<Int>)
    case new([UInt8])
  }

  /// Puts `edits` into `archive`, by position in its members.
  ///
  /// Throws ``ObjectFileError/damaged(_:)`` where an index of symbols names places that are no members, and
  /// ``ObjectFileError/unsupportedConstruct(_:)`` where the outcome is too large for the archive's format.
  public init(_ edits: [Int: MemberEdit], of archive: borrowing Archive) throws(ObjectFileError) {
    var newHeaders: [Int: Int] = [:]
    var position = 0
    let end = archive.image.count
    for (number, member) in archive.members.enumerated() {
      keep(position..<member.header)
      newHeaders[member.header] = size
      position = member.header
      guard let edit = edits[number] else { continue }
      // In the BSD variant the name is part of the contents.
      let name = member.header + Archive.headerSize..<member.range.lowerBound
      let newSize = name.count + member.range.count + edit.tail.count
      keep(member.header..<member.header + Archive.sizeField.lowerBound)
      try add(sizeField: newSize)
      keep(member.header + Archive.sizeField.upperBound..<member.range.lowerBound)
      add(edit, to: member.range)
      add([UInt8](repeating: UInt8(ascii: "\n"), count: size % 2))
      position = min(end, member.range.upperBound + member.range.upperBound % 2)
    }
    keep(position..<end)
    for index in archive.symbolIndexes { try update(index, newHeaders, of: archive) }
  }

  /// Writes the outcome under the name `path`, whole or not at all. `input` is the file that the archive was read from.
  public func write(
    to path: FilePath, from input: borrowing InputFile, _ options: WritingOptions
  ) throws(ObjectFileError) {
    try replaceFile(at: path, with: input, options) { output throws(ObjectFileError) in
      var position = 0
      for part in parts {
        switch part {
        case .old(let range):
          try output.copy(range, of: input, to: position)
          position += range.count
        case .new(let bytes):
          try output.write(bytes, at: position)
          position += bytes.count
        }
      }
    }
  }

  // MARK: Parts

  private mutating func keep(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    size += range.count
    if case .old(let last) = parts.last, last.upperBound == range.lowerBound {
      parts[parts.count - 1] = .old(last.lowerBound..<range.upperBound)
    } else {
      parts.append(.old(range))
    }
  }

  private mutating func add(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    size += bytes.count
    parts.append(.new(bytes))
  }

  private mutating func add(sizeField number: Int) throws(ObjectFileError) {
    let digits = Array(String(number).utf8)
    let field = Archive.sizeField.count
    guard digits.count <= field else { throw .unsupportedConstruct("a member would be too large for an archive") }
    add(digits + [UInt8](repeating: UInt8(ascii: " "), count: field - digits.count))
  }

  /// Adds a member's old bytes with the patches in their places, and what is behind them.
  private mutating func add(_ edit: MemberEdit, to range: Range<Int>) {
    var position = range.lowerBound
    for patch in edit.patches.sorted(by: { $0.offset < $1.offset }) {
      keep(position..<range.lowerBound + patch.offset)
      add(patch.bytes)
      position = range.lowerBound + patch.offset + patch.bytes.count
    }
    keep(position..<range.upperBound)
    add(edit.tail)
  }

  // MARK: Indexes of symbols

  /// Replaces an index, which keeps its size, by one with the new offsets.
  private mutating func update(
    _ index: Archive.SymbolIndexPart, _ newHeaders: [Int: Int], of archive: borrowing Archive
  ) throws(ObjectFileError) {
    let bytes = try archive.image.withBytes { file throws(ObjectFileError) in
      try index.updated(file.extracting(index.range), newHeaders)
    }
    replace(index.range, by: bytes)
  }

  /// Puts bytes into the place of as many old ones, which are kept in one part.
  private mutating func replace(_ range: Range<Int>, by bytes: [UInt8]) {
    for (number, part) in parts.enumerated() {
      guard case .old(let old) = part, old.lowerBound <= range.lowerBound, range.upperBound <= old.upperBound else {
        continue
      }
      let around: [Part] = [
        .old(old.lowerBound..<range.lowerBound), .new(bytes), .old(range.upperBound..<old.upperBound),
      ]
      parts.replaceSubrange(number...number, with: around)
      return
    }
  }
}

/// What an edit makes of an object that is a member of an archive.
public struct MemberEdit: Sendable {
  let tail: [UInt8]
  let patches: [TailLayout.Patch]

  public init(_ edited: borrowing EditedObject) {
    (tail, patches) = (edited.layout.tail, edited.layout.patches)
  }
}

extension Archive.SymbolIndexPart {
  /// The index with each offset of a header in the place of the old one.
  fileprivate func updated(_ old: Span<UInt8>, _ newHeaders: [Int: Int]) throws(ObjectFileError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(contentsOf: old, in: 0..<old.count)
    let (first, stride, size, isBigEndian): (Int, Int, Int, Bool)
    let count: Int
    switch format {
    case .gnu(let numberSize):
      (first, stride, size, isBigEndian) = (numberSize, numberSize, numberSize, true)
      count = try number(old, at: 0, numberSize, true)
    case .bsd(let numberSize):
      (first, stride, size, isBigEndian) = (2 * numberSize, 2 * numberSize, numberSize, false)
      count = try number(old, at: 0, numberSize, false) / (2 * numberSize)
    }
    guard count <= old.count / stride else {
      throw .damaged("the archive's index of symbols is said to list \(count), which it has no room for")
    }
    for entry in 0..<count {
      let place = first + entry * stride
      let header = try number(old, at: place, size, isBigEndian)
      guard let new = newHeaders[header] else {
        throw .damaged(
          "the archive's index of symbols names file offset \(hex(header)), where no member begins; run ranlib")
      }
      guard size == 8 || new <= UInt32.max else {
        throw .unsupportedConstruct(
          "the archive would be too large for its index of symbols, which has numbers of 32 bits")
      }
      for byte in 0..<size {
        let shift = 8 * (isBigEndian ? size - 1 - byte : byte)
        bytes[place + byte] = UInt8(truncatingIfNeeded: new >> shift)
      }
    }
    return bytes
  }

  private func number(
    _ bytes: Span<UInt8>, at offset: Int, _ size: Int, _ isBigEndian: Bool
  ) throws(ObjectFileError) -> Int {
    let number: UInt64? =
      size == 8
      ? bytes.littleEndian(UInt64.self, at: offset).map { isBigEndian ? $0.byteSwapped : $0 }
      : bytes.littleEndian(UInt32.self, at: offset).map { UInt64(isBigEndian ? $0.byteSwapped : $0) }
    guard let number, let result = Int(exactly: number) else {
      throw .damaged("the archive's index of symbols ends in the middle of a number")
    }
    return result
  }
}
