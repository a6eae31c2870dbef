public import StaticCalls
public import SystemPackage

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
}

/// The differences as a JSON document; Schemas/diff.schema.json describes it. Ends in a newline.
public func comparisonJSON(
  old: FilePath, new: FilePath, _ result: Result<Comparison, Pipeline.RefusedFiles>
) throws -> String {
  try jsonText(of: ComparisonDocument(old, new, result))
}

extension ComparedSite {
  fileprivate var place: String { location.description }
}

private struct ComparisonDocument: Encodable {
  let schema = "staticcall-diff"
  let version = 1
  let old: String
  let oldBytes: String?
  let new: String
  let newBytes: String?
  /// Absent where a file could not be read.
  var differences: [Entry]?
  var failures: [FailureJSON] = []

  init(_ old: FilePath, _ new: FilePath, _ result: Result<Comparison, Pipeline.RefusedFiles>) {
    self.old = old.string
    oldBytes = old.hexadecimal
    self.new = new.string
    newBytes = new.hexadecimal
    switch result {
    case .success(let comparison): differences = comparison.differences.map(Entry.init)
    case .failure(let refused): failures = refused.files.map { FailureJSON($0.path, nil, $0.refusal) }
    }
  }

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
