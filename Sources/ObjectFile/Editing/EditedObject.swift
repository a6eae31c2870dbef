public import SystemPackage

/// An object after an edit: complete in memory, read back and checked, and not yet written anywhere.
public struct EditedObject: ~Copyable {
  /// The outcome, read by the same reader as any object.
  public let object: ObjectFile
  public let plan: EditPlan
  private let layout: TailLayout

  /// Carries out `plan` in memory. The file behind `input`, from which `original` was read, is not touched.
  public init(
    _ plan: EditPlan, of original: borrowing ObjectFile, from input: borrowing InputFile
  ) throws(ObjectFileError) {
    if original.isSignedModule { throw .signedModule }
    let layout = try TailLayout(plan, over: original)
    let size = original.image.count
    let image = try Image(editing: input.descriptor, size: size, room: layout.tail.count)
    image.write(layout.tail, at: size)
    for patch in layout.patches { image.write(patch.bytes, at: patch.offset) }
    object = try ObjectFile(image)
    self.plan = plan
    self.layout = layout
  }

  /// Writes the outcome under the name `path`, whole or not at all.
  public func write(to path: FilePath, from input: borrowing InputFile) throws(ObjectFileError) {
    try replaceFile(at: path, with: input) { output throws(ObjectFileError) in
      try output.write(layout.tail, at: input.size)
      for patch in layout.patches { try output.write(patch.bytes, at: patch.offset) }
    }
  }
}
