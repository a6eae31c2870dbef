import DebugInfo
import ObjectFile

extension Listing {
  /// The call sites of a linked image, each with its address: the direct ones, and those that are certain to be indirect calls.
  init(_ image: borrowing LinkedImage, _ lines: borrowing SourceLines?, _ options: Options) throws {
    let verification = try ImageVerification(of: image, options)
    // What verify says of entries, and not of calls without one.
    staleEntries = verification.diagnostics
      .filter { $0.severity == .error && ![.missingEntry, .droppedTable].contains($0.code) }
      .map { diagnostic in (diagnostic.place.map { "\($0): " } ?? "") + diagnostic.message }
    machine = image.machine
    table =
      if verification.entries == 0 {
        .none
      } else if !staleEntries.isEmpty {
        .stale
      } else {
        verification.sites.allSatisfy { $0.isInTable || $0.indirect != nil } ? .complete : .incomplete
      }
    isImage = true
    sites = []
    for site in verification.sites {
      let (place, section) = (site.location, site.location.address.flatMap { image.section(at: $0) })
      let source = section.flatMap { section in
        lines?.line(section: section.index.rawValue, offset: place.offset ?? 0)
      }
      sites.append(
        Site(
          section: place.section ?? "", offset: place.offset ?? 0, address: place.address, function: place.function,
          functionOffset: place.functionOffset, kind: site.kind,
          shape: site.indirect?.shape ?? site.kind.directShape(on: image.machine),
          through: site.indirect?.through ?? "direct", callName: site.callName,
          state: site.indirect != nil ? .staysIndirect : site.isInTable ? .inTable : .notInTable,
          code: site.indirect?.code,
          source: source.map { SourceLine(file: $0.file, line: $0.number) }))
    }
  }
}

extension CallKind {
  /// The shape of a direct branch of this kind.
  fileprivate func directShape(on machine: Machine) -> Shape {
    switch (machine, self) {
    case (.x86_64, .call): .x1
    case (.x86_64, .tail): .x2
    case (.x86_64, .conditionalTail): .x3
    case (.aarch64, .call): .a1
    case (.aarch64, .tail), (.aarch64, .conditionalTail): .a2
    }
  }
}
