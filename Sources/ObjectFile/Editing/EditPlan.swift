/// Everything that is to change in an object, as values. Nothing in an object changes that is not written here, apart from
/// what follows from it: moved symbol indexes, grown string tables, the section header table.
public struct EditPlan: Sendable {
  /// Local symbols to insert behind the existing local ones.
  public var localSymbols: [NewSymbol] = []
  /// Global symbols to append.
  public var globalSymbols: [NewSymbol] = []
  public var addedSections: [AddedSection] = []
  public var replacedSections: [ReplacedSection] = []
  /// New bytes in sections that keep their size.
  public var contentPatches: [ContentPatch] = []
  /// Changes of relocations of such sections, at most one element for a table.
  public var editedRelocations: [EditedRelocations] = []

  public init() {}

  /// Whether existing sections change apart from those that are replaced.
  public var changesCode: Bool { !contentPatches.isEmpty || !editedRelocations.isEmpty }

  /// Whether the outcome has symbols that the original has not.
  public var addsSymbols: Bool { !localSymbols.isEmpty || !globalSymbols.isEmpty }
}

/// New bytes in the place of as many old ones.
public struct ContentPatch: Equatable, Sendable {
  public var section: SectionIndex
  public var offset: SectionOffset
  public var bytes: [UInt8]

  public init(section: SectionIndex, offset: SectionOffset, bytes: [UInt8]) {
    self.section = section
    self.offset = offset
    self.bytes = bytes
  }
}

/// Changes of a table of relocations. The outcome is in ascending order of offset if the table was.
public struct EditedRelocations: Equatable, Sendable {
  /// The `SHT_RELA` section.
  public var table: SectionIndex
  /// What takes the place of the record at a position.
  public var changed: [Int: PlannedRelocation] = [:]
  /// The positions of records that go. Where no added record takes the place, one without effect (`R_*_NONE`) stays, so that
  /// the table keeps its size.
  public var removed: Set<Int> = []
  public var added: [PlannedRelocation] = []

  public init(table: SectionIndex) { self.table = table }
}

/// A symbol that an edit adds, with value and size 0.
public struct NewSymbol: Equatable, Sendable {
  /// Empty for a section symbol.
  public var name: [UInt8]
  public var type: SymbolType
  /// The section it is defined in, or `nil` for an undefined symbol.
  public var section: SectionIndex?

  public init(name: [UInt8], type: SymbolType, section: SectionIndex?) {
    self.name = name
    self.type = type
    self.section = section
  }
}

/// A symbol that a planned relocation names: one of the object's, or one that the same plan adds.
public enum SymbolReference: Hashable, Sendable {
  case existing(SymbolIndex)
  /// Position in ``EditPlan/localSymbols``.
  case newLocal(Int)
  /// Position in ``EditPlan/globalSymbols``.
  case newGlobal(Int)
}

/// A relocation of a section that an edit writes.
public struct PlannedRelocation: Hashable, Sendable {
  public var offset: SectionOffset
  public var type: RelocationType
  public var symbol: SymbolReference
  public var addend: Int64

  public init(offset: SectionOffset, type: RelocationType, symbol: SymbolReference, addend: Int64) {
    self.offset = offset
    self.type = type
    self.symbol = symbol
    self.addend = addend
  }
}

/// A section to append, together with its `SHT_RELA` section where it has relocations.
public struct AddedSection: Sendable {
  public var name: String
  public var type: SectionType
  /// Without `SHF_GROUP`, which follows from ``group``.
  public var flags: SectionFlags
  /// `sh_link`: with `SHF_LINK_ORDER` the section that this one describes.
  public var link: SectionIndex
  public var alignment: UInt64
  public var entrySize: UInt64
  public var contents: [UInt8]
  public var relocations: [PlannedRelocation]
  /// The section group that the section and its relocations join as last members, or `nil`.
  public var group: SectionIndex?

  public init(
    name: String, type: SectionType, flags: SectionFlags, link: SectionIndex = SectionIndex(0), alignment: UInt64,
    entrySize: UInt64, contents: [UInt8], relocations: [PlannedRelocation], group: SectionIndex? = nil
  ) {
    self.name = name
    self.type = type
    self.flags = flags
    self.link = link
    self.group = group
    self.alignment = alignment
    self.entrySize = entrySize
    self.contents = contents
    self.relocations = relocations
  }
}

/// A section whose contents and relocations are written anew. Its index, its name and its section group stay.
public struct ReplacedSection: Sendable {
  public var section: SectionIndex
  /// The section's present `SHT_RELA` section, or `nil` where one has to be added.
  public var relocationSection: SectionIndex?
  public var type: SectionType
  public var flags: SectionFlags
  /// `sh_link`: with `SHF_LINK_ORDER` the section that this one describes.
  public var link: SectionIndex
  public var alignment: UInt64
  public var entrySize: UInt64
  public var contents: [UInt8]
  public var relocations: [PlannedRelocation]

  public init(
    section: SectionIndex, relocationSection: SectionIndex?, type: SectionType, flags: SectionFlags,
    link: SectionIndex = SectionIndex(0), alignment: UInt64, entrySize: UInt64, contents: [UInt8],
    relocations: [PlannedRelocation]
  ) {
    self.link = link
    self.section = section
    self.relocationSection = relocationSection
    self.type = type
    self.flags = flags
    self.alignment = alignment
    self.entrySize = entrySize
    self.contents = contents
    self.relocations = relocations
  }
}
