import ObjectFile

/// How an object's table is divided into sections.
public enum TableLayout: Sendable {
  /// One section, and one in each section group with call sites: what the kernel's linker script collects.
  case kernel
  /// One for each section with call sites, tied to it and in its group, so that linkers collect garbage, fold and discard both
  /// together without a linker script.
  case user
}

/// What the user asked for. The defaults are those of the Linux kernel.
public struct Options: Sendable {
  /// What names trampolines and keys have: one family or more, of prefixes that are all different and not empty.
  public var families = [Family.usual]
  /// Names of the sections that are tables. The first is the one that annotate writes.
  public var tableSections = [kernelTable]
  /// Whether the user gave the table its name; else annotate takes that of the layout.
  public var namesTable = false
  /// How the table is laid out where annotate writes it; `nil` as the object says, which knows if it is one of user space.
  public var layout: TableLayout?
  /// Lets the key slot of an entry name the trampoline where the object has no key symbol: the kernel's module loader looks the
  /// key up in `.static_call_tramp_key`.
  public var isModule = false
  /// Adds a missing key as an undefined symbol.
  public var addMissingKeys = false
  /// Puts sites in `.altinstr_replacement` into the table, as objtool does from Linux 6.15 on.
  public var includesAlternatives = false
  /// Makes calls direct that provably reach a trampoline through a table, a register or a thunk.
  public var rewritesCalls = true
  /// Takes a call through the first word of a key for a call of its trampoline.
  public var callsThroughKeys = false
  /// Replaces an existing table, whatever it holds.
  public var rebuildsTable = false
  /// Replaces a table of the other layout as well.
  var convertsTable = false
  /// Makes every call that is left behind a failure; nothing is written then.
  public var isStrict = false
  /// Writes into the object's own file where that is as safe as replacing it.
  public var writesInPlace = false
  /// Waits until what was written is on disk.
  public var waitsForDisk = false

  public init() {}

  /// How the object is written.
  var writing: WritingOptions { WritingOptions(isInPlace: writesInPlace, isDurable: waitsForDisk) }

  /// Name of the table section.
  var tableSection: String { tableSections.first ?? Self.kernelTable }

  /// One of these is in every file that has to do with static calls, or may have once its intermediate code is compiled.
  var textsOfStaticCalls: [[UInt8]] {
    families.map(\.trampolinePrefix) + (callsThroughKeys ? families.map(\.keyPrefix) : [])
      + (tableSections + [".gnu.lto_"]).map { Array($0.utf8) }
  }

  /// The table's section in the Linux kernel, and in user-space programs: there a C identifier, so that linkers mark its borders.
  public static let kernelTable = ".static_call_sites"
  public static let userTable = "static_call_sites"
}
