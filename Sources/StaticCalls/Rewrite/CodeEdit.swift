import ObjectFile

/// A change of code and of its relocations. The code keeps its length, and everything outside the patches its bytes.
struct CodeEdit: Equatable, Sendable {
  var section: SectionIndex
  var patches: [CodePatch] = []
  var relocations: [RelocationEdit] = []
}

/// New bytes at a section offset.
struct CodePatch: Equatable, Sendable {
  var offset: Int
  var bytes: [UInt8]

  var range: Range<Int> { offset..<(offset + bytes.count) }
}

/// A change of one relocation.
enum RelocationEdit: Equatable, Sendable {
  /// Makes it the relocation of a branch to a trampoline.
  case aim(CodeRelocation, BranchRelocation)
  /// Moves it along with its instruction, by a distance in bytes.
  case move(CodeRelocation, by: Int)
  case remove(CodeRelocation)
  /// Adds the relocation of a branch to a trampoline, to the table of relocations in which a given one stands.
  case add(BranchRelocation, beside: CodeRelocation)
}

/// The relocation of a direct branch.
struct BranchRelocation: Equatable, Sendable {
  var offset: Int
  var type: RelocationType
  var addend: Int64
  /// Number of the trampoline.
  var trampoline: Int
}

/// How an indirect branch becomes direct.
struct Rewrite: Equatable, Sendable {
  var edit: CodeEdit
  /// The direct branch's opcode, as a section offset.
  var offset: SectionOffset
  /// How many bytes it takes.
  var length: Int
  /// What the branch goes through today.
  var route: Route

  /// For the summary of what was made direct.
  enum Route: String, Sendable, CaseIterable {
    case table = "the GOT"
    case register = "a register"
    case thunk = "a thunk"
    case key = "a key"

    /// What to call a branch that could have become direct.
    var codeWhenLeft: Code {
      switch self {
      case .table, .key: .throughTable
      case .register: .throughRegister
      case .thunk: .throughThunk
      }
    }
  }
}
