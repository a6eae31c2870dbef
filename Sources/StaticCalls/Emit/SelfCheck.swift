import ObjectFile

/// Verifies an edited object before it is written: a bug of staticcall must not become a broken program.
///
/// The object was read back by the reader that checks any object. The edit's own check compares everything that must not have
/// changed; then the table, as read back, is verified against the code in both directions. Where symbols were added, the code
/// is surveyed anew, and so it is where branches became direct; otherwise the code, its relocations and the symbols are the very bytes that
/// `survey` was made from.
func selfCheck(
  _ edited: borrowing EditedObject, of original: borrowing ObjectFile, _ survey: consuming Survey?, _ options: Options
) throws {
  if let difference = try edited.difference(from: original) {
    throw Refusal([Diagnostic(.selfCheck, .error, "\(difference) (a bug in staticcall)", help: Code.selfCheck.help)])
  }
  let outcome: Survey
  if var known = survey {
    known.table = try ExistingTable(in: edited.object, options)
    outcome = known
  } else {
    // What stays indirect has no entry: only direct branches count here.
    outcome = try surveyObject(edited.object, options, followsAddresses: false)
  }
  // What else may be wrong with the object's groups was so before.
  let placement: Set<Code> = [.separateEntry, .mixedTables]
  let errors =
    try TableVerification(of: outcome, in: edited.object, options).findings.filter { $0.severity == .error }
    + SectionVerification(of: outcome, in: edited.object).findings.filter { placement.contains($0.code) }
    // References that nothing became of.
    + outcome.findings.filter { $0.code == .selfCheck }
  if errors.isEmpty { return }
  throw Refusal(
    [Diagnostic(.selfCheck, .error, "the new table is wrong (a bug in staticcall)", help: Code.selfCheck.help)]
      + Places.diagnostics(errors, in: edited.object))
}

extension Survey {
  /// The survey where it still holds after an edit; `nil` where the outcome is surveyed anew, and two of them would take twice the memory.
  consuming func holding(after changes: EditPlan) -> Survey? {
    changes.addsSymbols || changes.changesCode ? nil : self
  }
}
