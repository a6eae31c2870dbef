import Disassembly
import ObjectFile

/// An access to memory by an instruction, as far as it matters to what becomes of an address that is kept there.
struct MemoryAccess: Equatable {
  var base: Base
  /// The distance from the base in front of the instruction, in bytes; `nil` where it is computed.
  var displacement: Int?
  /// In bytes.
  var size: Int
  var isRead = false
  var isWrite = false
  /// The registers whose contents are written.
  var stored: RegisterSet = []
  /// The registers that get what is read.
  var loaded: RegisterSet = []

  enum Base: Equatable {
    case stackPointer
    case register(Register)
    /// A place that the instruction names, or one that cannot be told.
    case other
  }
}

/// What an instruction does to the stack pointer.
enum StackStep: Equatable {
  /// Up or down, in bytes; 0 for an instruction that leaves it as it is.
  case moved(by: Int)
  case unknown
}
