import ObjectFile
import SystemPackage

/// The call sites of one file against those of another: for a reviewer, and for builds that should not differ.
///
/// Sites are matched within a function, in the order of the code, by what they call and how; that code moved is no difference.
public struct Comparison: Sendable {
  public var differences: [Difference] = []

  /// One site that is not the same in both files.
  public struct Difference: Sendable {
    /// `nil` for a site that is new.
    public var old: ComparedSite?
    /// `nil` for a site that is gone.
    public var new: ComparedSite?
  }

  init(_ old: [ComparedSite], _ new: [ComparedSite]) {
    let (oldFunctions, newFunctions) = (Dictionary(grouping: old, by: \.group), Dictionary(grouping: new, by: \.group))
    var seen: Set<String> = []
    for group in (old + new).map(\.group) where seen.insert(group).inserted {
      compare(oldFunctions[group] ?? [], newFunctions[group] ?? [])
    }
  }

  /// Compares the sites of one function.
  private mutating func compare(_ old: [ComparedSite], _ new: [ComparedSite]) {
    let changes = new.map(\.identity).difference(from: old.map(\.identity))
    let gone = Set(changes.removals.map(\.position))
    let added = Set(changes.insertions.map(\.position))
    var (first, second) = (old.startIndex, new.startIndex)
    while first < old.endIndex || second < new.endIndex {
      if gone.contains(first) {
        differences.append(Difference(old: old[first], new: nil))
        first += 1
      } else if added.contains(second) {
        differences.append(Difference(old: nil, new: new[second]))
        second += 1
      } else {
        if old[first].form != new[second].form {
          differences.append(Difference(old: old[first], new: new[second]))
        }
        (first, second) = (first + 1, second + 1)
      }
    }
  }
}

/// A call site of an object or linked image, as far as a comparison looks at it.
public struct ComparedSite: Sendable {
  public var location: DiagnosticLocation
  public var kind: CallKind
  /// The name of the static call.
  public var callName: String
  /// How it calls, and whether the table has it: `direct, in table`.
  public var form: String
  /// How it calls, where a linked image has an indirect call.
  var indirect: IndirectImageCalls.Call?

  /// Whether a table has it; in a linked image only.
  var isInTable: Bool { form.hasSuffix(", in table") }

  /// What has sites that are compared with each other.
  fileprivate var group: String { location.function ?? location.section ?? "" }

  fileprivate var identity: String { "\(kind.rawValue) \(callName)" }
}

extension CollectionDifference.Change {
  fileprivate var position: Int {
    switch self {
    case .insert(let offset, _, _), .remove(let offset, _, _): offset
    }
  }
}

/// The call sites of the object or linked image at `path`, in the order of the code.
func sitesToCompare(_ path: FilePath, _ options: Options) throws -> [ComparedSite] {
  try InputFile.reading(path) { input in
    switch try FileKind(of: input) {
    case .image: try ImageVerification(of: LinkedImage(reading: input), options).sites
    case .object, .archive, .bitcode, .otherElf, .other: try sitesToCompare(ObjectFile(reading: input), options)
    }
  }
}

private func sitesToCompare(_ object: borrowing ObjectFile, _ options: Options) throws -> [ComparedSite] {
  let survey = try surveyObject(object, options)
  return Listing(survey, object, nil, options).sites.compactMap { site in
    guard let kind = site.kind else { return nil }
    let through = site.through == "GOT" ? "the GOT" : site.through
    let route = through == "direct" ? through : "through \(through)"
    return ComparedSite(
      location: DiagnosticLocation(
        section: site.section, offset: site.offset, function: site.function, functionOffset: site.functionOffset),
      kind: kind, callName: site.callName, form: "\(route), \(site.state.rawValue)")
  }
}
