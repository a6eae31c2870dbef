import ObjectFile
public import StaticCalls

/// The JSON document of `staticcall list --format json`. Its fields are stable: a change that breaks a reader raises `version`.
public struct ListingDocument: Encodable {
  private let schema = "staticcall-list"
  private let version = 1
  private let objects: [Object]

  public init(_ listings: [(path: String, listing: Listing)]) {
    objects = listings.map { Object($0.path, $0.listing) }
  }

  /// The document as UTF-8, with sorted keys. Ends in a newline.
  public func text() throws -> String { try jsonText(of: self) }

  private struct Object: Encodable {
    let path: String
    let machine: String
    let table: String
    let staleEntries: [String]
    let sites: [Site]
    /// Absent unless they were asked for.
    let changes: [Change]?

    init(_ path: String, _ listing: Listing) {
      self.path = path
      machine = listing.machine.displayName
      table = listing.table.rawValue
      staleEntries = listing.staleEntries
      sites = listing.sites.map(Site.init)
      changes = listing.changes.isEmpty ? nil : listing.changes.map(Change.init)
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

    init(_ site: Listing.Site) {
      section = site.section
      offset = site.offset
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
    }
  }
}
