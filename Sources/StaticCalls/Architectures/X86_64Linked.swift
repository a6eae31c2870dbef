import ObjectFile

/// What x86-64 code is like in a linked image.
extension X86_64 {
  static func patchableBranch(at offset: Int, in code: Span<UInt8>) -> PatchableBranch? {
    guard offset >= 0, offset < code.count else { return nil }
    let (kind, field): (CallKind, Int)
    switch code[offset] {
    case 0xe8: (kind, field) = (.call, offset + 1)
    case 0xe9: (kind, field) = (.tail, offset + 1)
    case 0x0f where offset + 1 < code.count && code[offset + 1] & 0xf0 == 0x80:
      (kind, field) = (.conditionalTail, offset + 2)
    default: return nil
    }
    guard let displacement = code.littleEndian(Int32.self, at: field) else { return nil }
    return PatchableBranch(kind: kind, length: field + 4 - offset, target: field + 4 + Int(displacement))
  }

  /// `jmp *slot(%rip)`, behind `endbr64` and with the prefix `bnd` where control-flow protection wants them (x86-64 psABI, "Procedure
  /// Linkage Table").
  static func stubTarget(at offset: Int, in code: Span<UInt8>, address: UInt64) -> StubTarget? {
    var offset = offset
    if code.hasBytes([0xf3, 0x0f, 0x1e, 0xfa], at: offset) { offset += 4 }  // endbr64
    if code.hasBytes([0x41, 0xbb], at: offset) { offset += 6 }  // mov $index, %r11d, by mold
    if code.hasBytes([0xf2], at: offset) { offset += 1 }  // bnd
    guard code.hasBytes([0xff, 0x25], at: offset), let displacement = code.littleEndian(Int32.self, at: offset + 2)
    else { return nil }
    return .memory(address &+ UInt64(offset + 6) &+ UInt64(bitPattern: Int64(displacement)))
  }
}
