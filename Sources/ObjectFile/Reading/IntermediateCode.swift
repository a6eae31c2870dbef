/// Whether an object carries a compiler's intermediate code for link-time optimisation.
public enum IntermediateCode: Sendable {
  /// Machine code only.
  case absent
  /// Machine code and intermediate code (a fat LTO object).
  case besidesMachineCode
  /// Intermediate code only (a slim LTO object of gcc).
  case only

  /// Looks for the section names of gcc (`.gnu.lto_*`) and clang (`.llvm.lto`), and for gcc's mark of a slim object, the
  /// common symbol `__gnu_lto_slim`.
  init(_ image: borrowing Image, names: Section, symbolNames: Section?) {
    func holds(_ text: String, _ table: Section) -> Bool {
      image.firstOffset(of: Array(text.utf8), in: Int(table.fileOffset)..<Int(table.fileEnd)) != nil
    }
    if holds(".gnu.lto_", names) {
      self = symbolNames.map { holds("__gnu_lto_slim", $0) } ?? false ? .only : .besidesMachineCode
    } else {
      self = holds(".llvm.lto", names) ? .besidesMachineCode : .absent
    }
  }
}
