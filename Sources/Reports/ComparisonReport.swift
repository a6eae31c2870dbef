public import StaticCalls

extension Comparison {
  /// The differences for people, a line each; empty where there are none.
  public var text: String {
    table(
      differences.map { difference in
        switch (difference.old, difference.new) {
        case (let old?, let new?):
          ["~", new.place, new.kind.rawValue, new.callName, "was \(old.form); now \(new.form)"]
        case (let old?, nil): ["-", old.place, old.kind.rawValue, old.callName, old.form]
        case (nil, let new?): ["+", new.place, new.kind.rawValue, new.callName, new.form]
        case (nil, nil): []
        }
      })
  }

  /// The differences as a JSON document; Schemas/diff.schema.json describes it. Ends in a newline.
  public func json(old: String, new: String) throws -> String {
    try jsonText(
      of: ComparisonDocument(old: old, new: new, differences: differences.map(ComparisonDocument.Entry.init)))
  }
}

extension ComparedSite {
  fileprivate var place: String { location.description }
}

private struct ComparisonDocument: Encodable {
  let schema = "staticcall-diff"
  let version = 1
  let old: String
  let new: String
  let differences: [Entry]

  struct Entry: Encodable {
    let change: String
    let old: Site?
    let new: Site?

    init(_ difference: Comparison.Difference) {
      change = difference.old == nil ? "added" : difference.new == nil ? "removed" : "changed"
      old = difference.old.map(Site.init)
      new = difference.new.map(Site.init)
    }
  }

  struct Site: Encodable {
    let place: String
    let function: String?
    let section: String?
    let offset: Int?
    let address: UInt64?
    let kind: String
    let key: String
    let form: String

    init(_ site: ComparedSite) {
      place = site.location.description
      function = site.location.function
      section = site.location.section
      offset = site.location.offset
      address = site.location.address
      kind = site.kind.rawValue
      key = site.callName
      form = site.form
    }
  }
}
