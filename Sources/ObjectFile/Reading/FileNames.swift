import Glibc
public import SystemPackage

/// Names of files are bytes. A `String` would replace what is no UTF-8, and then name another file or none.
extension FilePath {
  /// The path in `bytes`, up to the first NUL.
  public init(bytes: some Sequence<UInt8>) {
    // SAFETY: the array ends in NUL.
    unsafe self.init(platformString: bytes.map { CChar(bitPattern: $0) } + [0])
  }

  /// The path as the system has it, without the NUL behind it.
  public var bytes: [UInt8] {
    // SAFETY: the string ends in NUL, and is copied before the call ends.
    unsafe withPlatformString { unsafe bytesBeforeNUL($0) }
  }

  /// The one absolute path of the file, without links and dots; `nil` where there is no such file.
  public var resolved: FilePath? {
    // SAFETY: realpath gets a string that ends in NUL; it allocates the result, which is copied and freed here.
    guard let resolved = unsafe withPlatformString({ unsafe realpath($0, nil) }) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe FilePath(platformString: resolved)
  }
}

extension FilePath.Component {
  /// The name as the system has it, without a NUL behind it.
  var bytes: [UInt8] {
    // SAFETY: the string ends in NUL, and is copied before the call ends.
    unsafe withPlatformString { unsafe bytesBeforeNUL($0) }
  }
}

/// The arguments of this process as the system gave them, that of the program's name first.
public func commandLineArguments() -> [[UInt8]] {
  // SAFETY: the kernel and the C runtime guarantee `argc` strings that end in NUL, for as long as the process lives.
  (0..<Int(CommandLine.argc)).compactMap { number in
    guard let argument = unsafe CommandLine.unsafeArgv[number] else { return nil }
    return unsafe bytesBeforeNUL(argument)
  }
}

/// Everything in a file or pipe.
public func contents(of path: FilePath) throws(ObjectFileError) -> [UInt8] {
  let descriptor = try system("open the file") { try FileDescriptor.open(path, .readOnly, options: .closeOnExec) }
  defer { try? descriptor.close() }
  var contents: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = try system("read the file") {
      // SAFETY: the array's own bytes, as many as it has.
      try unsafe chunk.withUnsafeMutableBytes { unsafe try descriptor.read(into: $0) }
    }
    guard count > 0 else { return contents }
    contents += chunk.prefix(count)
  }
}

/// Copies a string that ends in NUL.
private func bytesBeforeNUL(_ string: UnsafePointer<CChar>) -> [UInt8] {
  // SAFETY: the caller's string has as many bytes as strlen counts.
  unsafe UnsafeBufferPointer(start: string, count: strlen(string)).map { UInt8(bitPattern: $0) }
}
