import ObjectFile
public import SystemPackage

// Names of files are bytes, and those of symbols may hold anything. Texts show what is no UTF-8 as `\xff`, and control characters as
// Swift writes them; documents are UTF-8 whatever the names are.

extension FilePath {
  /// The path for people: bytes that are no UTF-8 as `\xff`.
  public var text: String { decoded(bytes, replacingOthers: escape) }

  /// The path's bytes in hexadecimal, for documents; `nil` where the path is UTF-8 and so stands in the document as it is.
  var hexadecimal: String? {
    guard Array(string.utf8) != bytes else { return nil }
    return bytes.map(hexadecimalDigits).joined(separator: " ")
  }
}

/// `\xff`.
public func escape(_ byte: UInt8) -> String { "\\x\(hexadecimalDigits(byte))" }

/// Bytes as a string: what is UTF-8 as it is, other bytes, and those of characters that are not kept, as `replacement` says.
public func decoded(
  _ bytes: [UInt8], keeping isKept: (Unicode.Scalar) -> Bool = { _ in true },
  replacingOthers replacement: (UInt8) -> String
) -> String {
  var text = ""
  var parser = Unicode.UTF8.ForwardParser()
  var rest = bytes.makeIterator()
  var position = 0
  while true {
    switch parser.parseScalar(from: &rest) {
    case .valid(let units):
      let scalar = Unicode.UTF8.decode(units)
      text += isKept(scalar) ? String(scalar) : units.map(replacement).joined()
      position += units.count
    case .error(let length):
      for byte in bytes[position..<position + length] { text += replacement(byte) }
      position += length
    case .emptyInput: return text
    }
  }
}

/// Text without control characters: a name must not make a line of its own, nor speak to the terminal or to a CI system.
public func printable(_ text: String) -> String {
  let text = text.utf8.count > longestText ? shortened(text) : text
  guard text.unicodeScalars.contains(where: isControl) else { return text }
  return text.unicodeScalars.map { isControl($0) ? $0.escaped(asASCII: true) : String($0) }.joined()
}

/// Longer than this, in bytes, nobody reads a name or a message. Real names, those of C++ templates included, are shorter.
private let longestText = 8192

/// The start and the end of a text, with a note of what is missing.
private func shortened(_ text: String) -> String {
  let scalars = text.unicodeScalars
  let (start, end) = (String(scalars.prefix(longestText / 4)), String(scalars.suffix(longestText / 8)))
  return "\(start)...(\(text.utf8.count - start.utf8.count - end.utf8.count) bytes)...\(end)"
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .lineSeparator, .paragraphSeparator: true
  default: false
  }
}

private func hexadecimalDigits(_ byte: UInt8) -> String {
  (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
}
