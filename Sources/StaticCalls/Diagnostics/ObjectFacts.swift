import ObjectFile

/// What decides which remedy is right for a file.
struct ObjectFacts: Sendable {
  /// Whether its table is, or has to be, one of user space.
  var isOfUserSpace = false
  /// Empty where the file does not say.
  var compilers: Set<Compiler> = []

  /// A file that nothing is known of: remedies are those for the kernel, and for C.
  init() {}

  init(of object: borrowing ObjectFile) {
    let userTable = Array(Options.userTable.utf8)
    isOfUserSpace =
      UserSpace.hasMark(object) || object.symbolNamesContain(UserSpace.updateFunction + [0])
      || object.sections.contains { object.name(of: $0.index, is: userTable) }
    for section in object.sections {
      if object.name(of: section.index, is: Self.comment), section.hasFileContents {
        compilers.formUnion(object.withContents(of: section.index) { Compiler.named(in: $0) })
      } else if object.name(of: section.index, hasPrefix: Self.swiftSections) {
        // Swift's compiler leaves no comment.
        compilers.insert(.swift)
      }
    }
  }

  init(of image: borrowing LinkedImage) throws(ObjectFileError) {
    isOfUserSpace =
      try image.hasRuntime() || image.sections.contains { image.name(of: $0) == Options.userTable }
  }

  private static let comment = Array(".comment".utf8)
  private static let swiftSections = Array(".swift".utf8)
}

/// A compiler as far as its options have names of their own.
enum Compiler: CaseIterable, Sendable {
  /// gcc and clang, for C, C++, Fortran, Ada or D.
  case c
  case rust
  case swift
  /// LDC.
  case d
  case haskell

  /// Those that a section `.comment` names: texts with a NUL behind each.
  static func named(in comment: Span<UInt8>) -> Set<Compiler> {
    var found: Set<Compiler> = []
    var offset = 0
    // Linkers write a text once; more of them than this say nothing new.
    while offset < min(comment.count, 1 << 16) {
      let text = comment.bytes(at: offset)
      offset += text.count + 1
      if let compiler = Compiler(comment: String(decoding: text, as: UTF8.self)) { found.insert(compiler) }
    }
    return found
  }

  private init?(comment text: String) {
    // LLVM's own name may stand beside that of the compiler: `clang LLVM (rustc version 1.79.0)`.
    if text.contains("rustc") {
      self = .rust
    } else if text.hasPrefix("ldc ") {
      self = .d
    } else if text.hasPrefix("GHC ") {
      self = .haskell
    } else if text.hasPrefix("GCC:") || text.contains("clang") {
      self = .c
    } else {
      return nil
    }
  }

  /// The language, for a message that is about several.
  var language: String {
    switch self {
    case .c: "C"
    case .rust: "Rust"
    case .swift: "Swift"
    case .d: "D"
    case .haskell: "Haskell"
    }
  }

  /// How to have calls made without the global offset table.
  var directCalls: String? {
    switch self {
    case .c, .d: "without -fno-plt"
    case .rust: "with -Crelocation-model=static or -Zplt=yes"
    case .swift: "without -Xcc -fno-plt"
    case .haskell: nil
    }
  }

  /// How to have addresses of 32 bits.
  var smallModel: String? {
    switch self {
    case .c: "without -mcmodel=large"
    case .rust: "without -Ccode-model=large"
    case .d: "without --code-model=large"
    case .swift, .haskell: nil
    }
  }

  /// How to have both.
  var plainCalls: String? {
    switch self {
    case .c: "without -fno-plt and -mcmodel=large"
    case .d: "without -fno-plt and --code-model=large"
    case .rust: "with -Crelocation-model=static or -Zplt=yes, without -Ccode-model=large"
    case .swift, .haskell: directCalls
    }
  }
}
