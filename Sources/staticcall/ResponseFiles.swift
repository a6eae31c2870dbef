import ObjectFile
import Reports
import SystemPackage

/// How deep response files may name one another.
private let deepestNesting = 16

/// Replaces each argument `@FILE` by the arguments in that file, as compilers and linkers do: separated by white space, with
/// quotes and backslashes for what contains some.
func expandResponseFiles(in arguments: [[UInt8]], depth: Int = 0) throws(ResponseFileError) -> [[UInt8]] {
  var result: [[UInt8]] = []
  for argument in arguments {
    guard argument.first == UInt8(ascii: "@"), argument.count > 1 else {
      result.append(argument)
      continue
    }
    let path = FilePath(bytes: argument.dropFirst())
    guard depth < deepestNesting else { throw ResponseFileError(path: path, reason: "response files name one another") }
    let text = try read(path)
    guard !text.contains(0) else { throw ResponseFileError(path: path, reason: "it is not a text") }
    result += try expandResponseFiles(in: splitArguments(text), depth: depth + 1)
  }
  return result
}

private func read(_ path: FilePath) throws(ResponseFileError) -> [UInt8] {
  do {
    return try contents(of: path)
  } catch {
    throw ResponseFileError(path: path, reason: error.message)
  }
}

/// Any encoding whose white space, quotes and backslashes are those of ASCII: names of files are bytes.
private func splitArguments(_ text: [UInt8]) -> [[UInt8]] {
  let whiteSpace = Set(" \t\n\r\u{b}\u{c}".utf8)
  var arguments: [[UInt8]] = []
  var current: [UInt8] = []
  var isInside = false
  var quote: UInt8?
  var bytes = text.makeIterator()
  while let byte = bytes.next() {
    switch byte {
    case UInt8(ascii: "\\"):
      isInside = true
      if let next = bytes.next() { current.append(next) }
    case quote: quote = nil
    case UInt8(ascii: "'") where quote == nil, UInt8(ascii: "\"") where quote == nil:
      quote = byte
      isInside = true
    case _ where quote == nil && whiteSpace.contains(byte):
      if isInside { arguments.append(current) }
      current = []
      isInside = false
    default:
      current.append(byte)
      isInside = true
    }
  }
  if isInside { arguments.append(current) }
  return arguments
}

/// A response file that cannot be used.
struct ResponseFileError: Error, CustomStringConvertible {
  var path: FilePath
  var reason: String

  var description: String { "cannot read the response file \(path.text): \(reason)" }
}
