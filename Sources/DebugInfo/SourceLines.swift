import CDebugInfo

/// The source lines of an object's code, by its DWARF. Nothing else in the project calls libdw.
@safe public struct SourceLines: ~Copyable {
  private let session: OpaquePointer
  private let module: OpaquePointer

  /// A line of a source file.
  public struct Line: Equatable, Sendable {
    /// As the compiler wrote it.
    public var file: String
    /// Counted from 1.
    public var number: Int
  }

  /// Opens the debugging information of the file at `path`, as bytes without a NUL; `nil` where it has none, or where there is no path.
  public init?(_ path: [UInt8]?) {
    guard let path else { return nil }
    let name = path.map { CChar(bitPattern: $0) } + [0]
    // SAFETY: the functions of libdw get a string that ends in NUL and a local variable; what they return is kept until `deinit`.
    var module: OpaquePointer?
    guard let session = unsafe staticcall_open_lines(name, &module), let module = unsafe module else { return nil }
    unsafe self.session = session
    unsafe self.module = module
  }

  deinit { unsafe dwfl_end(session) }

  /// The source line of the instruction at `offset` of the section with index `section`.
  public func line(section: Int, offset: Int) -> Line? {
    var number: Int32 = 0
    // SAFETY: the module lives as long as the session; the name is copied at once.
    guard section > 0, offset >= 0,
      let file = unsafe staticcall_line(module, section, UInt64(offset), &number), number > 0
    else { return nil }
    return Line(file: unsafe String(cString: file), number: Int(number))
  }
}
