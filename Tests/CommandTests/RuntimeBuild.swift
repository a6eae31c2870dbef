import TestSupport

/// Programs with static calls, built as the README says: compile, annotate, link with the runtime.
struct RuntimeBuild {
  var target: Target
  /// gcc or clang; C++ where `isCPlusPlus`.
  var usesClang = false
  var isCPlusPlus = false
  /// For compiling.
  var options: [String] = []
  /// For linking.
  var linker = Linker.bfd
  var linkOptions: [String] = []

  /// The directory with libstaticcall.a for each target.
  private static let libraries = Dictionary(
    uniqueKeysWithValues: Target.allCases.map { target in
      (
        target,
        Once {
          let scratch = try Scratch()
          try await require(
            "make", ["-C", packageRoot, "runtime", "CC=\(target.gcc)", "RUNTIME_BUILD=\(scratch.path)"])
          return scratch
        }
      )
    })

  private var compiler: [String] {
    if usesClang { return [isCPlusPlus ? "clang++" : "clang", "--target=\(target.triple)"] }
    return [isCPlusPlus ? target.gcc.replacing("gcc", with: "g++") : target.gcc]
  }

  static let includes = "\(packageRoot)/Sources/StaticCallRuntime/include"

  /// Compiles files of Fixtures/runtime.
  func compile(_ sources: [String], in scratch: Scratch) async throws -> [String] {
    var objects: [String] = []
    for source in sources {
      let object = scratch.file("\(source).o")
      let language = isCPlusPlus ? ["-x", "c++", "-std=c++17"] : ["-std=gnu11"]
      try await require(
        compiler[0],
        compiler.dropFirst() + ["-O2", "-Wall", "-Wextra", "-Werror", "-I", Self.includes] + options + language
          + ["-c", fixture("runtime/\(source)"), "-o", object])
      objects.append(object)
    }
    return objects
  }

  /// Compiles, annotates and links, and returns the program or, with `-shared` among `linkOptions`, the shared object.
  func build(_ sources: [String], in scratch: Scratch, to image: String = "program") async throws -> String {
    let objects = try await compile(sources, in: scratch)
    try await require(staticcallPath, ["annotate", "--abi", "user"] + objects)
    return try await link(objects, in: scratch, to: image)
  }

  /// Links objects with the runtime.
  func link(_ objects: [String], in scratch: Scratch, to image: String = "program") async throws -> String {
    guard let library = try await Self.libraries[target]?.value else { throw ToolFailure(description: "no library") }
    try await linker.link(
      objects + ["-L", library.path, "-lstaticcall", "-pthread", "-ldl"], cPlusPlus: isCPlusPlus, for: target,
      to: scratch.file(image), linkOptions)
    return scratch.file(image)
  }
}

/// A site as a program prints it (Fixtures/runtime/check.h).
struct PrintedSite {
  var address: UInt64
  var target: UInt64
  var isTail: Bool
  var state: String
  var bytes: [UInt8]

  init?(_ line: Substring) {
    let words = line.split(separator: " ")
    guard words.count == 12, words[0] == "site", let address = UInt64(words[1], radix: 16),
      let target = UInt64(words[3], radix: 16)
    else { return nil }
    self.address = address
    self.target = target
    isTail = words[4] == "tail"
    state = String(words[5])
    bytes = words[6...].compactMap { UInt8($0, radix: 16) }
  }

  /// What a disassembler says of the bytes at the site: the instruction's name and where it leads.
  func decoded(for target: Target, in scratch: Scratch) async throws -> (name: String, target: String) {
    try scratch.write(bytes, to: "site.bin")
    let machine = target == .x86_64 ? "i386:x86-64" : "aarch64"
    let text = try await require(
      target.objdump,
      [
        "-D", "-b", "binary", "-m", machine, "--no-show-raw-insn", "--adjust-vma=0x\(String(address, radix: 16))",
        scratch.file("site.bin"),
      ])
    let line = text.split(separator: "\n").first { $0.contains(":\t") } ?? ""
    let words = line.split { $0.isWhitespace }
    return words.count >= 3 ? (String(words[1]), String(words[2])) : ("", "")
  }
}
