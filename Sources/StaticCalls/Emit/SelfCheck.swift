import ObjectFile

/// Verifies an edited object before it is written: a bug of staticcall must not become a broken program.
///
/// The object was read back by the reader that checks any object; here its table is verified against its code from scratch, and
/// the edit's own check compares everything that must not have changed.
func selfCheck(
  _ edited: borrowing EditedObject, of original: borrowing ObjectFile, _ options: Options
) throws {
  if let difference = edited.difference(from: original) {
    throw Refusal([Diagnostic(.selfCheck, .error, "\(difference) (a bug in staticcall)", help: Code.selfCheck.help)])
  }
  let survey = try surveyObject(edited.object, options)
  let errors = try TableVerification(of: survey, in: edited.object, options).findings.filter { $0.severity == .error }
  guard !errors.isEmpty else { return }
  let found = Places.diagnostics(errors, in: edited.object)
  throw Refusal(
    [Diagnostic(.selfCheck, .error, "the new table is wrong (a bug in staticcall)", help: Code.selfCheck.help)] + found)
}
