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
  var directory: FilePath { FilePath(bytes: parts.directory) }

  /// The name under which the file's successor waits.
  var temporaryName: FilePath {
    let (directory, name) = parts
    return FilePath(bytes: directory + Array("/".utf8) + Self.temporaryName(for: name))
  }

  /// What stands in front of the last slash and behind it. FilePath tells it as well, and has the runtime look up protocols for it, which
  /// takes as long as reading a small object.
  private var parts: (directory: [UInt8], name: [UInt8]) {
    let bytes = path.bytes
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return (Array(".".utf8), bytes) }
    return (Array(slash == 0 ? bytes[...0] : bytes[..<slash]), Array(bytes[(slash + 1)...]))
  }

  /// Whether the name leads to the file that `input` was opened from.
  func isFile(of input: borrowing InputFile) -> Bool { status?.isSameFile(as: input.status) == true }

  /// One name for each file, so that the next run finds what a killed one left behind, and two runs find each other.
  static func temporaryName(for name: [UInt8]) -> [UInt8] {
    let (start, suffix, longest) = (Array(".".utf8), Array(".staticcall".utf8), 255)
    let whole = start + name + suffix
    guard whole.count > longest else { return whole }
    // Room for the dot, the hash and what stands between.
    var kept = name.prefix(longest - suffix.count - 18)
    // Not in the middle of a character: some file systems take UTF-8 only.
    while !kept.isEmpty, name[kept.endIndex] & 0xc0 == 0x80 { kept.removeLast() }
    return start + kept + Array("-\(String(hash(name), radix: 16))".utf8) + suffix
  }
}

/// Where symbolic links to nothing lead; `path` itself where it is none.
private func followLinks(_ path: FilePath) throws(ObjectFileError) -> FilePath {
  var path = path
  // The kernel follows as many (path_resolution(7)); it has found by now that these end.
  for _ in 0..<40 {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    // SAFETY: readlink writes at most as many bytes as it is told the buffer has.
    let length = unsafe path.withPlatformString { name in
      unsafe target.withUnsafeMutableBufferPointer { buffer in
        unsafe buffer.baseAddress.map { unsafe readlink(name, $0, buffer.count) } ?? -1
      }
    }
    guard length > 0 else { return path }
    path = path.removingLastComponent().pushing(FilePath(bytes: target[..<length].map { UInt8(bitPattern: $0) }))
  }
  throw .system(operation: "resolve \(path)", .tooManySymbolicLinkLevels)
}

private func resolveLinks(_ path: FilePath) throws(ObjectFileError) -> FilePath {
  guard let resolved = path.resolved else { throw .system(operation: "resolve \(path)", Errno(rawValue: errno)) }
  return resolved
}
