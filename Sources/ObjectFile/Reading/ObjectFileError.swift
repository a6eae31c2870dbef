public import SystemPackage

/// Why an object cannot be read or written. The message names the place inside the file; the file's own name is added by
/// whoever opened it.
public enum ObjectFileError: Error, Equatable, Sendable {
  /// A system call failed.
  case system(operation: String, Errno)
  case notARegularFile(String)
  /// The output's name leads to something that is no file.
  case unusableOutput(String)
  case notElf
  /// What a full disk or a stopped compiler leaves behind.
  case empty
  /// The file ends before something that it says it holds.
  case truncated(String)
  /// A header field contradicts the ELF specification or another field.
  case damaged(String)
  /// An ELF file, but not a 64-bit little-endian relocatable object of a machine that is handled.
  case unsupportedKind(String)
  /// LLVM bitcode, or an object that carries a compiler's intermediate code in place of machine code.
  case noMachineCode(String)
  case archive(thin: Bool)
  /// A sound object with a construct that is not handled.
  case unsupportedConstruct(String)
  /// Bytes behind the last part that the headers describe, which an edit would invalidate or lose.
  case signedModule
  /// The file is not what it was when it was read.
  case changedMeanwhile
  /// Bytes of the file could no longer be read.
  case lostPages
  /// Another run of staticcall writes, or has just written, a file of this name.
  case inUse(FilePath)
  /// A new file cannot be made in the directory where it is needed.
  case directoryNotWritable(FilePath, Errno)
  /// A table of symbol indexes of a kind that is not known would have to be renumbered.
  case cannotRenumber(String)

  /// What is wrong, as the tail of a sentence: lower-case, no full stop.
  public var message: String {
    switch self {
    case .system(let operation, let errno): "cannot \(operation): \(errno.description)"
    case .notARegularFile(let kind): "is \(kind), not a regular file"
    case .unusableOutput(let what): "cannot write: \(what), not a regular file"
    case .notElf: "not an ELF file"
    case .empty: "the file is empty"
    case .truncated(let what): "truncated ELF file: \(what)"
    case .damaged(let what): "damaged ELF file: \(what)"
    case .unsupportedKind(let what): what
    case .noMachineCode(let what): "\(what), not machine code"
    case .archive(let thin): thin ? "a thin archive, not an object" : "an archive, not an object"
    case .unsupportedConstruct(let what): what
    case .signedModule: "the module is signed, and any change makes the signature invalid"
    case .changedMeanwhile: "the file was changed by someone else while it was being read"
    case .lostPages: "the file shrank, or its disk failed, while it was being read"
    case .inUse(let path): "another run of staticcall is writing \(path)"
    case .directoryNotWritable(let path, let errno):
      "cannot make a file in \(path == "." ? "the working directory" : path.string): \(errno.description)"
    case .cannotRenumber(let what): "a symbol must be inserted, but \(what)"
    }
  }
}
