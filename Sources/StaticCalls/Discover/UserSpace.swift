import ObjectFile

/// How the objects and programs of static_call.h are told from those of the kernel.
///
/// An object that defines or updates a static call refers to the runtime's function, and each that includes the header has a section that says
/// so, which linkers leave out of programs. The kernel has neither.
enum UserSpace {
  static let updateFunction = Array("static_call_update_key".utf8)
  /// What the table of every program with the runtime begins with.
  static let anchor = Array("static_call_anchor".utf8)
  static let markSection = Array(".static_call.user".utf8)
  /// The environment variable that the runtime asks for: its name is there in a program without symbols as well.
  static let variable = Array("STATIC_CALL_PATCH\0".utf8)

  /// Whether an object has the mark of static_call.h.
  static func hasMark(_ object: borrowing ObjectFile) -> Bool {
    object.sections.contains { object.name(of: $0.index, is: markSection) }
  }
}

extension Options {
  /// The options for an object: with the layout that it needs where none was asked for. Throws where the one that was asked for is not that.
  func fitted(to index: TrampolineIndex) throws(Refusal) -> Options {
    var options = self
    if index.isOfUserSpace {
      let contradiction = layout == .kernel ? "--abi linux" : isModule ? "--module" : nil
      if let contradiction {
        throw Refusal([
          Diagnostic(
            .contradictedLayout, .error,
            "the object is of a program that uses static_call.h, and \(contradiction) is for the kernel",
            help: Code.contradictedLayout.help)
        ])
      }
    }
    // Without knowing which layout is right, no table is thrown away for having the other one.
    options.convertsTable = rebuildsTable && (layout != nil || index.isOfUserSpace)
    options.layout = layout ?? (index.isOfUserSpace ? .user : .kernel)
    guard options.layout == .user else { return options }
    // DEFINE_STATIC_CALL defines both, so where the linker finds the trampoline it finds the key.
    options.addMissingKeys = true
    if !namesTable { options.tableSections = [Self.userTable] }
    return options
  }

  /// The usual name of the other layout's table; `nil` where the user gave that name to this one.
  var otherTableSection: String? {
    let name = layout == .user ? Self.kernelTable : Self.userTable
    return tableSection == name ? nil : name
  }
}
