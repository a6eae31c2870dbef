import CDebugInfo
import Glibc

/// A symbol's name as its language writes it: C++ and Rust's older scheme by the C++ runtime, Swift by its own; others as they are.
public func demangled(_ name: String) -> String {
  if name.hasPrefix("_Z") { return withoutRustHash(demangledAsCxx(name) ?? name) }
  if name.hasPrefix("$s") || name.hasPrefix("$S") { return demangledAsSwift(name) ?? name }
  return name
}

private func demangledAsCxx(_ name: String) -> String? {
  var status: Int32 = 0
  // SAFETY: the function gets strings that end in NUL and a local variable; what it returns was made by malloc.
  guard let text = unsafe __cxa_demangle(name, nil, nil, &status) else { return nil }
  defer { unsafe free(text) }
  return unsafe String(cString: text)
}

private func demangledAsSwift(_ name: String) -> String? {
  // SAFETY: as above; the length is that of the string without its NUL.
  guard let text = unsafe swift_demangle(name, name.utf8.count, nil, nil, 0) else { return nil }
  defer { unsafe free(text) }
  return unsafe String(cString: text)
}

/// Rust's older scheme is that of C++ with a hash for the last part: `core::fmt::write::h0123456789abcdef`.
private func withoutRustHash(_ name: String) -> String {
  let hash = "::h".count + 16
  guard name.utf8.count > hash else { return name }
  let tail = name.suffix(hash)
  guard tail.hasPrefix("::h"), tail.dropFirst(3).allSatisfy({ $0.isHexDigit && !$0.isUppercase }) else { return name }
  return String(name.dropLast(hash))
}
