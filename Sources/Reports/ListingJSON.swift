import ObjectFile
public import StaticCalls
public import SystemPackage

/// The JSON document of `staticcall list --format json`. Its fields are stable: a change that breaks a reader raises `version`.
public struct ListingDocument: Encodable {
  private let schema = "staticcall-list"
  private let version = 1
  private var objects: [Object] = []
  /// What could not be read, and why.
  private var failures: [FailureJSON] = []

  public init() {}

  /// Adds an object; with `isSummary` only the numbers of its uses.
  public mutating func add(_ path: FilePath, _ member: MemberName?, _ listing: Listing, isSummary: Bool) {
    objects.append(Object(path, member, listing, isSummary))
  }

  /// Adds what could not be read.
  public mutating func add(_ path: FilePath, _ member: MemberName?, _ refusal: Refusal) {
    failures.append(FailureJSON(path, member, refusal))
  }

  /// The document as UTF-8, with sorted keys. Ends in a newline.
  public func text() throws -> String { try jsonText(of: self) }

  private struct Object: Encodable {
    let path: String
    /// Absent where `path` is the file's name; else that has bytes that are no UTF-8, and these are all of them.
    let pathBytes: String?
    let member: String?
    let memberIndex: Int?
    let machine: String
    let table: String
    let staleEntries: [String]
    /// Absent in a summary.
    let sites: [Site]?
    let summary: Summary?
    /// Absent in a linked image.
    let account: AccountJSON?
    /// Absent unless they were asked for.
    let changes: [Change]?

    init(_ path: FilePath, _ member: MemberName?, _ listing: Listing, _ isSummary: Bool) {
      self.path = path.string
      pathBytes = path.hexadecimal
      self.member = member?.name
      memberIndex = member?.index
      machine = listing.machine.displayName
      table = listing.table.rawValue
      staleEntries = listing.staleEntries
      sites = isSummary ? nil : listing.sites.map(Site.init)
      summary = isSummary ? Summary(listing) : nil
      account = listing.account.map(AccountJSON.init)
      changes = listing.changes.isEmpty ? nil : listing.changes.map(Change.init)
    }
  }

  /// What became of the references to trampolines in code; the numbers behind the second add up to the first.
  private struct AccountJSON: Encodable {
    let references: Int
    let withoutRelocation: Int
    let inTable: Int
    let notInTable: Int
    let leftOut: Int
    let convertible: Int
    let left: [String: Int]
    let noCall: [String: Int]

    init(_ account: Account) {
      references = account.references
      withoutRelocation = account.withoutRelocation
      inTable = account.inTable
      notInTable = account.notInTable
      leftOut = account.leftOut
      convertible = account.convertible
      left = Dictionary(uniqueKeysWithValues: account.left.map { ($0.key.rawValue, $0.value) })
      noCall = Dictionary(uniqueKeysWithValues: account.noCall.map { ($0.key.rawValue, $0.value) })
    }
  }

  /// How many uses there are, by static call and by shape.
  private struct Summary: Encodable {
    let keys: [Group]
    let shapes: [Group]

    init(_ listing: Listing) {
      keys = listing.groups(by: \.callName).map(Group.init)
      shapes = listing.groups(by: \.shape.rawValue).map(Group.init)
    }

    struct Group: Encodable {
      let name: String
      let uses: Int
      let inTable: Int
      let notInTable: Int
      let convertible: Int
      let stay: Int
      let noSite: Int

      init(_ group: Listing.Group) {
        name = group.name
        uses = group.uses
        inTable = group.inTable
        notInTable = group.notInTable
        convertible = group.convertible
        stay = group.stay
        noSite = group.noSite
      }
    }
  }

  /// A change of code; each instruction as its bytes and its text.
  private struct Change: Encodable {
    let section: String
    let offset: Int
    let key: String?
    let before: [Line]
    let after: [Line]

    init(_ change: Listing.Change) {
      section = change.section
      offset = change.offset
      key = change.callName
      before = change.before.map(Line.init)
      after = change.after.map(Line.init)
    }

    struct Line: Encodable {
      let bytes: String
      let text: String

      init(_ line: Listing.Line) {
        bytes = line.bytes
        text = line.text
      }
    }
  }

  /// One use of a trampoline; offsets in bytes.
  private struct Site: Encodable {
    let section: String
    let offset: Int
    /// In a linked image.
    let address: UInt64?
    let function: String?
    /// The function's name as its language writes it, where that is another.
    let functionName: String?
    let functionOffset: Int?
    /// The source line, where the object has debugging information.
    let file: String?
    let line: Int?
    /// `call`, `tail`, `cond-tail`, or absent for a use that is no branch.
    let kind: String?
    let shape: String
    let through: String
    let key: String
    let state: String
    let code: String?
    /// Of an address that is not called, what the code does with it.
    let use: String?

    init(_ site: Listing.Site) {
      section = site.section
      offset = site.offset
      address = site.address
      function = site.function
      functionName = site.functionDisplayName == site.function ? nil : site.functionDisplayName
      file = site.source?.file
      line = site.source?.line
      functionOffset = site.functionOffset
      kind = site.kind?.rawValue
      shape = site.shape.rawValue
      through = site.through
      key = site.callName
      state = site.state.rawValue
      code = site.code?.rawValue
      use = site.use?.rawValue
    }
  }
}
