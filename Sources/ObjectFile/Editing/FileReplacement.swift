public import SystemPackage

/// How a file is written.
public struct WritingOptions: Sendable {
  /// Permits to write into the file itself, where the outcome is as safe as with a new file (``InPlaceEdit``).
  public var isInPlace: Bool
  /// Waits until the data and the name are on disk.
  public var isDurable: Bool

  public init(isInPlace: Bool = false, isDurable: Bool = false) {
    self.isInPlace = isInPlace
    self.isDurable = isDurable
  }
}

/// Writes a copy of an object that needs no edit under the name `path`, whole or not at all. Does nothing where `path` is a
/// name of the object itself.
public func copyFile(
  _ input: borrowing InputFile, to path: FilePath, _ options: WritingOptions = WritingOptions(), copy: EarlyCopy? = nil
) throws(ObjectFileError) {
  if try Destination(path).isFile(of: input) { return }
  try replaceFile(at: path, with: input, options, copy: copy) { output throws(ObjectFileError) in
    try output.copyContents(of: input)
  }
}

/// Puts a new file in the place of `path`, whole or not at all.
///
/// `fill` writes the contents, which come from `input`; mode, owner and extended attributes are those of `input`. The new file is made
/// in the directory of `path`, without a name where the file system can do that, and takes the name when it is complete. Other names of
/// a hard-linked file keep the old contents; where `path` is a symbolic link, the file it points to is replaced and the link stays.
///
/// `fill` may be called twice: a file without a name cannot be given one everywhere.
func replaceFile(
  at path: FilePath, with input: borrowing InputFile, _ options: WritingOptions, copy: EarlyCopy? = nil,
  fill: (borrowing OutputFile) throws(ObjectFileError) -> Void
) throws(ObjectFileError) {
  try deferringSignals { () throws(ObjectFileError) in
    let destination = try Destination(path)
    let isOwnFile = destination.isFile(of: input)
    if path == input.path, !isOwnFile { throw .changedMeanwhile }
    if isOwnFile { input.lock() }
    var output = try OutputFile(for: destination, isNameless: true, copy: copy)
    if try write(&output, to: destination, from: input, options, fill) { return }
    var named = try OutputFile(for: destination, isNameless: false)
    _ = try write(&named, to: destination, from: input, options, fill)
  }
}

/// Returns false where the file system does not give a name to a file that was made without one.
private func write(
  _ output: inout OutputFile, to destination: Destination, from input: borrowing InputFile,
  _ options: WritingOptions, _ fill: (borrowing OutputFile) throws(ObjectFileError) -> Void
) throws(ObjectFileError) -> Bool {
  do throws(ObjectFileError) {
    try fill(output)
    try output.copyAttributes(of: input)
    let directory = options.isDurable ? try OpenDirectory(destination.directory) : nil
    if options.isDurable { try output.synchronize() }
    try throwIfInterrupted()
    try input.endReading()
    if !output.takeFreeName() {
      guard try output.takeTemporaryName() else { return false }
      // Only one run at a time can have the temporary name: from here on no other one changes the file.
      if destination.isFile(of: input) {
        try input.checkUnchanged()
        try input.checkIsNamed(destination.path)
      }
      try output.takeName()
    }
    try directory?.synchronize()
    return true
  } catch {
    output.removeTemporaryName()
    throw error
  }
}

/// A directory whose entries must reach the disk.
private struct OpenDirectory: ~Copyable {
  private let descriptor: FileDescriptor

  init(_ path: FilePath) throws(ObjectFileError) {
    descriptor = try system("read the directory \(path)") {
      try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
    }
  }

  deinit { try? descriptor.close() }

  func synchronize() throws(ObjectFileError) {
    try flush(descriptor, "write the directory to disk")
  }
}
