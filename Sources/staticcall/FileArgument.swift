import ArgumentParser
import ObjectFile
import Reports
import SystemPackage

// ArgumentParser takes strings, and names of files are bytes. On the way through it a byte that is no part of UTF-8 is one of the last
// characters of Unicode's last private area, U+10FF80 to U+10FFFF; such a character itself, which nobody writes, goes byte by byte, so
// that every argument comes out as it went in.

private let firstCarrier: UInt32 = 0x10ff00

private func isCarrier(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= firstCarrier + 0x80 }

/// An argument as ArgumentParser takes it.
func carried(_ bytes: [UInt8]) -> String {
  decoded(bytes, keeping: { !isCarrier($0) }) { byte in
    Unicode.Scalar(firstCarrier + UInt32(byte)).map(String.init) ?? ""
  }
}

/// The bytes of an argument that ArgumentParser gave back.
func uncarried(_ text: String) -> [UInt8] {
  text.unicodeScalars.flatMap { scalar in
    isCarrier(scalar) ? [UInt8(scalar.value - firstCarrier)] : Array(String(scalar).utf8)
  }
}

/// An argument, or a message that repeats one, for people.
func readable(_ text: String) -> String { decoded(uncarried(text), replacingOthers: escape) }

/// Whether an argument is UTF-8, as names of sections and symbols must be.
func isUTF8(_ text: String) -> Bool { !text.unicodeScalars.contains(where: isCarrier) }

/// The name of a file on the command line: any bytes.
struct FileArgument: ExpressibleByArgument {
  var path: FilePath

  init(argument: String) {
    // The way by bytes has the runtime look up protocols; that takes as long as reading a small object.
    path = isUTF8(argument) ? FilePath(argument) : FilePath(bytes: uncarried(argument))
  }
}
