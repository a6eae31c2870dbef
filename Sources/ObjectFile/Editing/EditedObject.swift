public import SystemPackage

/// An object after an edit: complete in memory, read back and checked, and not yet written anywhere.
public struct EditedObject: ~Copyable {
  /// The outcome, read by the same reader as any object.
  public let object: ObjectFile
  public let plan: EditPlan
  let layout: TailLayout

  /// Carries out `plan` in memory. The file behind `input`, from which `original` was read, is not touched.
  public init(
    _ plan: EditPlan, of original: borrowing ObjectFile, from input: borrowing InputFile
  ) throws(ObjectFileError) {
    let layout = try Self.layout(plan, over: original)
    let image = try Image(editing: input.descriptor, size: original.image.count, room: layout.tail.count)
    try self.init(plan, layout, in: image)
  }

  /// Carries out `plan` in a copy of an object that has no file of its own, such as a member of an archive.
  public init(_ plan: EditPlan, ofCopied original: borrowing ObjectFile) throws(ObjectFileError) {
    let layout = try Self.layout(plan, over: original)
    try self.init(plan, layout, in: Image(copying: original.image, room: layout.tail.count))
  }

  private static func layout(_ plan: EditPlan, over original: borrowing ObjectFile) throws(ObjectFileError)
    -> TailLayout
  {
    if original.isSignedModule { throw .signedModule }
    return try TailLayout(plan, over: original)
  }

  /// `image` holds the original with room for the tail behind it.
  private init(_ plan: EditPlan, _ layout: TailLayout, in image: consuming Image) throws(ObjectFileError) {
    image.write(layout.tail, at: image.count - layout.tail.count)
    for patch in layout.patches { image.write(patch.bytes, at: patch.offset) }
    object = try ObjectFile(image)
    self.plan = plan
    self.layout = layout
  }

  /// Writes the outcome under the name `path`, whole or not at all; into `copy` where that was begun for this name.
  public func write(
    to path: FilePath, from input: borrowing InputFile, _ options: WritingOptions = WritingOptions(),
    copy: EarlyCopy? = nil
  ) throws(ObjectFileError) {
    if options.isInPlace, try writeInPlace(at: path, input, options) { return }
    try replaceFile(at: path, with: input, options, copy: copy) { output throws(ObjectFileError) in
      try output.copyContents(of: input)
      try output.write(layout.tail, at: input.size)
      for patch in layout.patches { try output.write(patch.bytes, at: patch.offset) }
    }
  }

  /// Writes the outcome into the object's own file. False where that cannot be done safely: a half-written patch of code, say, would be
  /// neither the old object nor the new one.
  private func writeInPlace(
    at path: FilePath, _ input: borrowing InputFile, _ options: WritingOptions
  ) throws(ObjectFileError) -> Bool {
    let onlyHeader = layout.patches.allSatisfy { $0.offset + $0.bytes.count <= Header.size }
    guard onlyHeader else { return false }
    return try deferringSignals { () throws(ObjectFileError) in
      guard let edit = InPlaceEdit(of: input, at: path) else { return false }
      let header = object.image.withBytes { bytes in
        var header: [UInt8] = []
        header.append(contentsOf: bytes, in: 0..<Header.size)
        return header
      }
      try edit.carryOut(tail: layout.tail, newHeader: header, on: input, isDurable: options.isDurable)
      return true
    }
  }
}
