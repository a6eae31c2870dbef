import ArgumentParser
import FoundationEssentials

/// How deep response files may name one another.
private let deepestNesting = 16

/// Replaces each argument `@FILE` by the arguments in that file, as compilers and linkers do: separated by white space, with
/// quotes and backslashes for what contains some.
func expandResponseFiles(in arguments: [String], depth: Int = 0) throws -> [String] {
  var result: [String] = []
  for argument in arguments {
    guard argument.hasPrefix("@"), argument.count > 1 else {
      result.append(argument)
      continue
    }
    let path = String(argument.dropFirst())
    guard depth < deepestNesting else { throw ResponseFileError(path: path, reason: "response files name one another") }
    result += try expandResponseFiles(in: splitArguments(readText(path)), depth: depth + 1)
  }
  return result
}

private func readText(_ path: String) throws -> String {
  do {
    return try String(contentsOfFile: path, encoding: .utf8)
  } catch {
    throw ResponseFileError(path: path, reason: "it does not exist, may not be read, or is not UTF-8")
  }
}

private func splitArguments(_ text: String) -> [String] {
  var arguments: [String] = []
  var current = ""
  var isInside = false
  var quote: Character?
  var characters = text.makeIterator()
  while let character = characters.next() {
    switch character {
    case "\\":
      isInside = true
      if let next = characters.next() { current.append(next) }
    case quote: quote = nil
    case "'" where quote == nil, "\"" where quote == nil:
      quote = character
      isInside = true
    case _ where quote == nil && character.isWhitespace:
      if isInside { arguments.append(current) }
      current = ""
      isInside = false
    default:
      current.append(character)
      isInside = true
    }
  }
  if isInside { arguments.append(current) }
  return arguments
}

/// A response file that cannot be used.
struct ResponseFileError: Error, CustomStringConvertible {
  var path: String
  var reason: String

  var description: String { "cannot read the response file \(path): \(reason)" }
}
