import ObjectFile

/// Verifies an edited object before it is written: a bug of staticcall must not become a broken program.
///
/// The object was read back by the reader that checks any object; here its table is verified against its code from scratch, and
/// the edit's own check compares everything that must not have changed.
func selfCheck(
  _ edited: borrowing EditedObject, of original: borrowing ObjectFile, _ options: Options
) throws {
  if let difference = edited.difference(from: original) {
    throw Refusal([
      Diagnostic(.selfCheck, .error, "\(difference) (a bug in staticcall)", help: Code.selfCheck.remedy.map { [$0] } ?? [])
    ])
  }
  let survey = try surveyObject(edited.object, options)
  let findings = try TableVerification(of: survey, in: edited.object, options).findings
  guard let finding = findings.first(where: { $0.severity == .error }) else { return }
  let place = survey.places(in: edited.object).diagnostic(finding, edited.object).place
  throw Refusal([
    Diagnostic(
      .selfCheck, .error, at: place, "\(finding.message) (a bug in staticcall)",
      help: Code.selfCheck.remedy.map { [$0] } ?? [])
  ])
}
