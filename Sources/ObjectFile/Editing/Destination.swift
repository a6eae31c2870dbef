import Glibc
import SystemPackage

/// The file that a name leads to.
struct Destination {
  /// The name with symbolic links resolved, so that a link's target is replaced and not the link.
  let path: FilePath
  /// What is there now, or `nil` where nothing is.
  let status: Stat?

  init(_ path: FilePath) throws(ObjectFileError) {
    do {
      status = try path.stat()
    } catch {
      guard error == .noSuchFileOrDirectory else { throw .system(operation: "examine \(path)", error) }
      status = nil
    }
    if let status, status.type != .regular { throw .unusableOutput("\(path) is \(describe(status.type))") }
    self.path = try status == nil ? followLinks(path) : resolveLinks(path)
  }

  /// The directory that the name stands in.
  var directory: FilePath {
    let directory = path.removingLastComponent()
    return directory.isEmpty ? "." : directory
  }

  /// The name under which the file's successor waits.
  var temporaryName: FilePath { directory.appending(Self.temporaryName(for: path.lastComponent?.string ?? "object")) }

  /// Whether the name leads to the file that `input` was opened from.
  func isFile(of input: borrowing InputFile) -> Bool { status?.isSameFile(as: input.status) == true }

  /// One name for each file, so that the next run finds what a killed one left behind, and two runs find each other.
  static func temporaryName(for name: String) -> String {
    let (suffix, longest) = (".staticcall", 255)
    let whole = ".\(name)\(suffix)"
    guard whole.utf8.count > longest else { return whole }
    // Room for the dot, the hash and what stands between. A character that is cut in two becomes another one of three bytes.
    let kept = String(decoding: name.utf8.prefix(longest - suffix.utf8.count - 22), as: UTF8.self)
    return ".\(kept)-\(String(hash(name.utf8), radix: 16))\(suffix)"
  }
}

/// Where symbolic links to nothing lead; `path` itself where it is none.
private func followLinks(_ path: FilePath) throws(ObjectFileError) -> FilePath {
  var path = path
  // The kernel follows as many (path_resolution(7)); it has found by now that these end.
  for _ in 0..<40 {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    // SAFETY: readlink writes at most as many bytes as it is told the buffer has.
    let length = unsafe readlink(path.string, &target, target.count)
    guard length > 0 else { return path }
    path = path.removingLastComponent().pushing(
      FilePath(String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)))
  }
  throw .system(operation: "resolve \(path)", .tooManySymbolicLinkLevels)
}

private func resolveLinks(_ path: FilePath) throws(ObjectFileError) -> FilePath {
  // SAFETY: realpath allocates the result, which is copied and freed here.
  guard let resolved = unsafe realpath(path.string, nil) else {
    throw .system(operation: "resolve \(path)", Errno(rawValue: errno))
  }
  defer { unsafe free(resolved) }
  return unsafe FilePath(String(cString: resolved))
}
