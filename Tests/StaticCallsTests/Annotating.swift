import StaticCalls
import SystemPackage
import TestSupport

/// What became of an attempt to annotate an object.
enum Attempt {
  case done(Annotation)
  case refused([Diagnostic])

  var annotation: Annotation? {
    if case .done(let annotation) = self { annotation } else { nil }
  }

  var codes: [Code] {
    if case .refused(let diagnostics) = self { diagnostics.map(\.code) } else { [] }
  }

  var messages: [String] {
    if case .refused(let diagnostics) = self { diagnostics.map(\.message) } else { [] }
  }
}

/// Annotates an object in place, with changes to the default options.
func annotate(_ path: String, _ change: (inout Options) -> Void = { _ in }) -> Attempt {
  var options = Options()
  change(&options)
  do throws(Refusal) {
    return .done(try Pipeline.annotate(FilePath(path), options)[0].result.get())
  } catch {
    return .refused(error.diagnostics)
  }
}

/// The codes that verification reports, in order.
func verify(_ path: String, _ change: (inout Options) -> Void = { _ in }) throws -> [Code] {
  var options = Options()
  change(&options)
  return try Pipeline.verify(FilePath(path), options).diagnostics.map(\.code)
}

/// The table of the object at a path.
func table(of path: String) throws -> [SiteEntry] { try ElfBytes(file: path).siteTable() }
