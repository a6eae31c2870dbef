extension ObjectFile {
  /// Whether the file ends in the kernel's mark of a signed module (`MODULE_SIG_STRING`, include/linux/module_signature.h).
  public var isSignedModule: Bool {
    let mark = Array("~Module signature appended~\n".utf8)
    return image.withBytes { $0.hasBytes(mark, at: $0.count - mark.count) }
  }
}
