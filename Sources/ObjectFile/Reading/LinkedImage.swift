/// One linked ELF file: an executable, a shared object, or a kernel. Addresses are those that the file gives (`p_vaddr`, `st_value`).
@safe public struct LinkedImage: ~Copyable {
  private let elf: ElfHandle
  private let image: Image
  public let machine: Machine
  /// The parts of the file that are loaded (`PT_LOAD`), in order of address.
  public let segments: [Segment]
  /// Where the program begins; 0 for none.
  public let entry: UInt64
  /// What nobody writes to once the dynamic linker is done (`PT_GNU_RELRO`).
  public let relocatedOnce: Range<UInt64>?
  /// The address of the index of functions with unwind information (`PT_GNU_EH_FRAME`).
  let frameIndex: UInt64?
  /// All section headers in index order, the null section at index 0 included.
  public let sections: [Section]
  private let sectionNames: SectionIndex
  /// The sections that are loaded, in order of address.
  private let loadedSections: [Section]

  /// A part of the file that is loaded.
  public struct Segment: Sendable {
    public var addresses: Range<UInt64>
    /// File offset of the first byte.
    public var fileOffset: Int
    /// How many bytes of it the file holds; the others are zero.
    public var fileSize: Int
    public var isExecutable: Bool
  }

  /// A relocation that the dynamic linker carries out.
  public struct DynamicRelocation: Sendable {
    public var address: UInt64
    public var addend: Int64
    /// The name of its symbol; `nil` for one that only adds the load address.
    public var symbolName: String?
  }

  /// Reads and checks the image in `input`.
  public init(reading input: borrowing InputFile) throws(ObjectFileError) {
    guard input.size > 0 else { throw .empty }
    let image = try Image(reading: input.descriptor, size: input.size)
    let header = try image.withBytes { bytes throws(ObjectFileError) in try Header(bytes, isLinked: true) }
    let headers = try image.withBytes { bytes throws(ObjectFileError) in try ProgramHeaders(bytes) }
    let elf = try ElfHandle(image)
    guard elf.sectionCount() == header.sectionCount else {
      throw .damaged("libelf finds \(elf.sectionCount()) sections, the header says \(header.sectionCount)")
    }
    var sections: [Section] = []
    sections.reserveCapacity(header.sectionCount)
    for index in 0..<header.sectionCount {
      let section = try elf.section(at: index)
      let (end, overflow) = section.fileOffset.addingReportingOverflow(section.size)
      guard !section.hasFileContents || !overflow && end <= UInt64(image.count) else {
        throw .truncated(
          "section \(index) takes \(section.size) bytes at file offset \(hex(section.fileOffset)), past its end")
      }
      sections.append(section)
    }
    segments = headers.segments
    relocatedOnce = headers.relocatedOnce
    frameIndex = headers.frameIndex
    entry = image.withBytes { $0.littleEndian(UInt64.self, at: 0x18) ?? 0 }
    self.sections = sections
    loadedSections = sections.filter { $0.flags.contains(.alloc) && $0.size > 0 }.sorted { $0.address < $1.address }
    machine = header.machine
    sectionNames = header.sectionNames
    self.elf = elf
    self.image = image
  }

  // MARK: Memory

  /// The segment that holds an address.
  public func segment(at address: UInt64) -> Segment? {
    segments.last(startingAtOrBefore: address) { $0.addresses.lowerBound }
      .flatMap { $0.addresses.contains(address) ? $0 : nil }
  }

  /// Lends what the file holds of a segment. The segment must be one of ``segments``.
  public func withContents<Result, Failure: Error>(
    of segment: Segment, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try image.withBytes { bytes throws(Failure) in
      try body(bytes.extracting(segment.fileOffset..<segment.fileOffset + segment.fileSize))
    }
  }

  /// Whether a text occurs in what the file holds of a segment, which must be one of ``segments``.
  public func holds(_ text: [UInt8], in segment: Segment) -> Bool {
    image.firstOffset(of: text, in: segment.fileOffset..<segment.fileOffset + segment.fileSize) != nil
  }

  /// The little-endian number at an address; `nil` where the file holds none.
  public func number<Number: FixedWidthInteger>(_ type: Number.Type, at address: UInt64) -> Number? {
    guard let segment = segment(at: address) else { return nil }
    return withContents(of: segment) { $0.littleEndian(type, at: Int(address - segment.addresses.lowerBound)) }
  }

  // MARK: Sections and symbols

  /// The name of a section.
  public func name(of section: Section) -> String {
    let names = sections[sectionNames.rawValue]
    guard names.hasFileContents else { return "" }
    return image.withBytes { bytes in
      bytes.extracting(Int(names.fileOffset)..<Int(names.fileEnd)).string(at: Int(section.nameOffset))
    }
  }

  /// The section that holds an address, for people.
  public func section(at address: UInt64) -> Section? {
    loadedSections.last(startingAtOrBefore: address) { $0.address }
      .flatMap { address - $0.address < $0.size ? $0 : nil }
  }

  /// Lends each symbol table, the full one and the dynamic linker's, with the bytes of its string table.
  public func forEachSymbolTable(
    _ body: (_ symbols: Span<Symbol>, _ names: Span<UInt8>) throws(ObjectFileError) -> Void
  ) throws(ObjectFileError) {
    for table in sections where table.type == .symtab || table.type == .dynsym {
      try withSymbols(of: table) { symbols, names throws(ObjectFileError) in try body(symbols, names) }
    }
  }

  private func withSymbols<Result>(
    of table: Section, _ body: (_ symbols: Span<Symbol>, _ names: Span<UInt8>) throws(ObjectFileError) -> Result
  ) throws(ObjectFileError) -> Result {
    guard Int(table.link) < sections.count, sections[Int(table.link)].type == .strtab else {
      throw .damaged("symbol table \(table.index.rawValue) has no string table")
    }
    let strings = sections[Int(table.link)]
    // SAFETY: libelf aligns the data for Elf64_Sym, whose layout `Symbol` repeats; only whole records are counted; it lives as long
    // as `elf`.
    let data = unsafe try elf.data(of: table)
    let records = unsafe UnsafeBufferPointer(
      start: data.baseAddress?.assumingMemoryBound(to: Symbol.self), count: data.count / Symbol.size)
    let symbols = unsafe Span<Symbol>(_unsafeElements: records)
    return try image.withBytes { bytes throws(ObjectFileError) in
      let range = strings.hasFileContents ? Int(strings.fileOffset)..<Int(strings.fileEnd) : 0..<0
      return try body(symbols, bytes.extracting(range))
    }
  }

  /// The relocations of the dynamic linker.
  public func dynamicRelocations() throws(ObjectFileError) -> [DynamicRelocation] {
    var found: [DynamicRelocation] = []
    for table in sections where table.type == .rela && table.flags.contains(.alloc) && table.hasFileContents {
      // SAFETY: libelf aligns the data for Elf64_Rela, whose layout `Relocation` repeats; only whole records are counted; it lives as
      // long as `elf`.
      let data = unsafe try elf.data(of: table)
      let records = unsafe UnsafeBufferPointer(
        start: data.baseAddress?.assumingMemoryBound(to: Relocation.self), count: data.count / Relocation.size)
      let relocations = unsafe Span<Relocation>(_unsafeElements: records)
      guard Int(table.link) < sections.count, [.symtab, .dynsym].contains(sections[Int(table.link)].type) else {
        // A static executable has relocations without symbols.
        for position in relocations.indices { found.append(DynamicRelocation(relocations[position], nil)) }
        continue
      }
      try withSymbols(of: sections[Int(table.link)]) { symbols, names throws(ObjectFileError) in
        for position in relocations.indices {
          let number = relocations[position].symbol.rawValue
          guard number < symbols.count else {
            throw .damaged("a dynamic relocation names symbol \(number) of \(symbols.count)")
          }
          let name = number == 0 ? nil : names.string(at: Int(symbols[number].nameOffset))
          found.append(DynamicRelocation(relocations[position], name))
        }
      }
    }
    return found
  }
}

extension LinkedImage.DynamicRelocation {
  fileprivate init(_ relocation: Relocation, _ symbolName: String?) {
    self.init(address: relocation.storedOffset, addend: relocation.addend, symbolName: symbolName)
  }
}

extension Array {
  /// The last element that starts at an address or before it, in an array ordered by start.
  fileprivate func last(startingAtOrBefore address: UInt64, start: (Element) -> UInt64) -> Element? {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = (low + high) / 2
      if start(self[middle]) <= address { low = middle + 1 } else { high = middle }
    }
    return low > startIndex ? self[low - 1] : nil
  }
}
