import Glibc
public import SystemPackage

/// The files in a directory and in those below it.
public struct DirectoryContents: Sendable {
  /// Regular files, in the order of their names' bytes; links to files are among them, links to directories are not followed.
  public var files: [FilePath] = []
  /// Directories that cannot be read.
  public var unreadable: [(path: FilePath, error: ObjectFileError)] = []

  /// Searches `directory`.
  public init(of directory: FilePath) { search(directory) }

  private mutating func search(_ directory: FilePath) {
    do throws(ObjectFileError) {
      for name in try names(in: directory) { add(directory.appending(name)) }
    } catch {
      unreadable.append((directory, error))
    }
  }

  private mutating func add(_ path: FilePath) {
    // What is gone by now, and links that lead nowhere, are nothing to report.
    guard let status = try? path.stat(followTargetSymlink: false) else { return }
    switch status.type {
    case .directory: search(path)
    case .regular: files.append(path)
    case .symbolicLink: if (try? path.stat())?.type == .regular { files.append(path) }
    default: break
    }
  }
}

/// The names in a directory, without `.` and `..`, in order; bytes as they are, UTF-8 or not.
private func names(in directory: FilePath) throws(ObjectFileError) -> [FilePath.Component] {
  // SAFETY: the stream is closed once, below; an entry is read before the next call that may overwrite it.
  guard let stream = unsafe directory.withPlatformString({ unsafe opendir($0) }) else {
    throw .system(operation: "read the directory", Errno(rawValue: errno))
  }
  defer { unsafe _ = closedir(stream) }
  var names: [FilePath.Component] = []
  while let entry = unsafe readdir(stream) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
      // SAFETY: d_name is a string that ends in NUL, inside the entry.
      unsafe FilePath.Component(platformString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
    }
    if let name, name.kind == .regular { names.append(name) }
  }
  return names.map { (name: $0, bytes: $0.bytes) }
    .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }.map(\.name)
}
