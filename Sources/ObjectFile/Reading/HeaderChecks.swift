/// What the ELF header says, once it has been checked against the file.
///
/// libelf accepts a header that points past the end of the file and then reports an object without sections, so everything
/// it does not check is checked here, before libelf sees a byte.
struct Header {
  var machine: Machine
  /// File offset of the section header table, in bytes.
  var sectionTableOffset: Int
  /// Number of section headers, extended numbering resolved.
  var sectionCount: Int
  /// Index of the section name string table, extended numbering resolved.
  var sectionNames: SectionIndex

  /// The size of an ELF header, in bytes.
  static let size = 64
  /// File offsets of the fields that an edit changes, in bytes (`Elf64_Ehdr`).
  static let sectionTableOffsetField = 0x28
  static let sectionCountField = 0x3c

  /// Reads and checks the header at the start of `file`, which holds the whole object; or the linked image, where `isLinked`.
  init(_ file: Span<UInt8>, isLinked: Bool = false) throws(ObjectFileError) {
    try Self.refuseOtherFormats(file)
    guard file.count >= Self.size else { throw .truncated("it ends inside the ELF header") }
    machine = try Self.identify(file, types: isLinked ? [2, 3] : [1])
    let fields = Fields(file)
    (sectionTableOffset, sectionCount) = try Self.locateSectionTable(fields, file)
    sectionNames = try Self.locateSectionNames(fields, file, tableAt: sectionTableOffset, count: sectionCount)
  }

  private struct Fields {
    var sectionTableOffset: UInt64
    var sectionHeaderSize: UInt16
    var sectionCount: UInt16
    var sectionNames: UInt16

    init(_ file: borrowing Span<UInt8>) {
      sectionTableOffset = file.littleEndian(UInt64.self, at: 0x28) ?? 0
      sectionHeaderSize = file.littleEndian(UInt16.self, at: 0x3a) ?? 0
      sectionCount = file.littleEndian(UInt16.self, at: 0x3c) ?? 0
      sectionNames = file.littleEndian(UInt16.self, at: 0x3e) ?? 0
    }
  }

  private static func refuseOtherFormats(_ file: Span<UInt8>) throws(ObjectFileError) {
    switch FileKind(file) {
    case .object, .image, .otherElf: break
    case .bitcode: throw .noMachineCode("LLVM bitcode")
    case .archive(let isThin): throw .archive(thin: isThin)
    case .other: throw .notElf
    }
  }

  private static func identify(_ file: Span<UInt8>, types: [UInt16]) throws(ObjectFileError) -> Machine {
    let number = file.littleEndian(UInt16.self, at: 0x12) ?? 0
    switch file[4] {
    case 2: break
    case 1:
      let abi =
        switch number {
        case Machine.x86_64.rawValue: " (x32)"
        case Machine.aarch64.rawValue: " (ILP32)"
        default: ""
        }
      throw .unsupportedKind("a 32-bit ELF file\(abi); only 64-bit objects are handled")
    default: throw .damaged("its class is \(file[4])")
    }
    switch file[5] {
    case 1: break
    case 2: throw .unsupportedKind("a big-endian ELF file; only little-endian objects are handled")
    default: throw .damaged("its data encoding is \(file[5])")
    }
    guard file[6] == 1, file.littleEndian(UInt32.self, at: 0x14) == 1 else {
      throw .damaged("its ELF version is not 1")
    }
    let type = file.littleEndian(UInt16.self, at: 0x10) ?? 0
    guard types.contains(type) else { throw .unsupportedKind(describe(elfType: type)) }
    guard let machine = Machine(rawValue: number) else {
      throw .unsupportedKind("an object for \(name(ofMachine: number)); x86-64 and AArch64 are handled")
    }
    return machine
  }

  private static func describe(elfType type: UInt16) -> String {
    switch type {
    case 0: "an ELF file without a type; only relocatable objects are handled"
    case 2: "an executable (ET_EXEC), not a relocatable object"
    case 3: "a shared object or position-independent executable (ET_DYN), not a relocatable object"
    case 4: "a core file, not a relocatable object"
    default: "an ELF file of type \(type), not a relocatable object"
    }
  }

  /// The usual name of a machine that is not handled, with its `e_machine` number (System V gABI, "ELF Header").
  private static func name(ofMachine number: UInt16) -> String {
    let name: String? =
      switch number {
      case 2: "SPARC"
      case 3: "Intel 80386"
      case 8: "MIPS"
      case 20: "PowerPC"
      case 21: "64-bit PowerPC"
      case 22: "IBM S/390"
      case 40: "32-bit Arm"
      case 43: "SPARC V9"
      case 50: "IA-64"
      case 243: "RISC-V"
      case 247: "BPF"
      case 258: "LoongArch"
      default: nil
      }
    return name.map { "\($0) (machine \(number))" } ?? "machine \(number)"
  }

  private static func locateSectionTable(
    _ fields: Fields, _ file: Span<UInt8>
  ) throws(ObjectFileError) -> (offset: Int, count: Int) {
    let offset = fields.sectionTableOffset
    guard offset != 0 else { throw .damaged("it has no section header table") }
    guard offset >= UInt64(size), offset <= UInt64(file.count) else {
      throw .truncated("the section header table at file offset \(hex(offset)) lies outside the file")
    }
    guard Int(fields.sectionHeaderSize) == Section.headerSize else {
      throw .damaged("a section header is said to take \(fields.sectionHeaderSize) bytes, not \(Section.headerSize)")
    }
    let room = (UInt64(file.count) - offset) / UInt64(Section.headerSize)
    guard room >= 1 else { throw .truncated("it ends inside the section header table") }
    // Extended numbering: with 0xff00 sections or more the count stands in the first header's sh_size.
    let extended = file.littleEndian(UInt64.self, at: Int(offset) + 0x20) ?? 0
    let count = fields.sectionCount == 0 ? extended : UInt64(fields.sectionCount)
    guard count != 0 else { throw .damaged("its section header table is empty") }
    guard count <= room else {
      throw .truncated("\(count) section headers at file offset \(hex(offset)) reach past its end")
    }
    return (Int(offset), Int(count))
  }

  private static func locateSectionNames(
    _ fields: Fields, _ file: Span<UInt8>, tableAt offset: Int, count: Int
  ) throws(ObjectFileError) -> SectionIndex {
    // SHN_XINDEX: the index stands in the first header's sh_link.
    let index =
      fields.sectionNames == 0xffff
      ? Int(file.littleEndian(UInt32.self, at: offset + 0x28) ?? 0) : Int(fields.sectionNames)
    guard index > 0, index < count else { throw .damaged("its section name table has index \(index) of \(count)") }
    return SectionIndex(index)
  }
}

/// A number as people read file offsets.
func hex(_ number: some BinaryInteger) -> String { "0x" + String(number, radix: 16) }
