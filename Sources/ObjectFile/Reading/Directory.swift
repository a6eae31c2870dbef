import Glibc
public import SystemPackage

/// The files in a directory and in those below it, however deep they lie.
public struct DirectoryContents: Sendable {
  /// Regular files, in the order of their names' bytes; links to files are among them, links to directories are not followed.
  public var files: [FilePath] = []
  /// What cannot be read or examined: directories, and files in directories that cannot be searched.
  public var unreadable: [(path: FilePath, error: ObjectFileError)] = []

  /// Searches `directory`.
  public init(of directory: FilePath) { search(directory) }

  private mutating func search(_ directory: FilePath) {
    do throws(ObjectFileError) {
      for entry in try entries(of: directory) {
        let path = directory.appending(entry.name)
        switch entry.kind {
        case .success(.directory): search(path)
        case .success(.file): files.append(path)
        case .success(.other): break
        case .failure(let error): unreadable.append((path, .system(operation: "examine the file", error)))
        }
      }
    } catch {
      unreadable.append((directory, error))
    }
  }
}

private enum EntryKind {
  case directory
  case file
  case other
}

/// What is in a directory, without `.` and `..`, in the order of the names' bytes; bytes as they are, UTF-8 or not.
private func entries(
  of directory: FilePath
) throws(ObjectFileError) -> [(name: FilePath.Component, kind: Result<EntryKind, Errno>)] {
  let operation = "read the directory"
  let descriptor: FileDescriptor
  do throws(Errno) {
    descriptor = try LongPaths.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  } catch {
    throw .system(operation: operation, error)
  }
  // SAFETY: the stream owns the descriptor and is closed once, below; an entry is read before the next call that may overwrite it.
  guard let stream = unsafe fdopendir(descriptor.rawValue) else {
    let error = Errno(rawValue: errno)
    try? descriptor.close()
    throw .system(operation: operation, error)
  }
  defer { unsafe _ = closedir(stream) }
  var entries: [(name: FilePath.Component, bytes: [UInt8], kind: Result<EntryKind, Errno>)] = []
  errno = 0
  while let entry = unsafe readdir(stream) {
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
      // SAFETY: d_name is a string that ends in NUL, inside the entry.
      unsafe FilePath.Component(platformString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
    }
    if let name, name.kind == .regular {
      // What is gone by now, and links that lead nowhere, are nothing to report.
      if let kind = kind(of: name, in: descriptor) { entries.append((name, name.bytes, kind)) }
    }
    errno = 0
  }
  guard errno == 0 else { throw .system(operation: operation, Errno(rawValue: errno)) }
  return entries.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }.map { ($0.name, $0.kind) }
}

/// What an entry of a directory is; `nil` where it is not there.
private func kind(of name: FilePath.Component, in directory: FileDescriptor) -> Result<EntryKind, Errno>? {
  func mode(_ flags: Int32) -> Result<mode_t, Errno> {
    var status = stat()
    // SAFETY: the name ends in NUL and lives as long as the call, which fills in the local variable.
    let result = unsafe name.withPlatformString { unsafe fstatat(directory.rawValue, $0, &status, flags) }
    return result == 0 ? .success(status.st_mode & S_IFMT) : .failure(Errno(rawValue: errno))
  }
  var (found, isLink) = (mode(AT_SYMLINK_NOFOLLOW), false)
  if case .success(S_IFLNK) = found { (found, isLink) = (mode(0), true) }
  switch found {
  case .success(S_IFDIR): return .success(isLink ? .other : .directory)
  case .success(S_IFREG): return .success(.file)
  case .success: return .success(.other)
  case .failure(.noSuchFileOrDirectory), .failure(.tooManySymbolicLinkLevels): return nil
  case .failure(let error): return isLink ? nil : .failure(error)
  }
}
