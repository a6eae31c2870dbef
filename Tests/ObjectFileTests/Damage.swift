import SystemPackage
import TestSupport
import Testing

@testable import ObjectFile

/// One change to a sound object, and the error that it must lead to.
struct Damage: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var kind: ErrorKind
  /// Words of the message: they tell the intended check from another one that happens to fail as well.
  var words: String
  var apply: @Sendable (inout ElfBytes) throws -> Void

  init(
    _ name: String, _ kind: ErrorKind, _ words: String, _ apply: @escaping @Sendable (inout ElfBytes) throws -> Void
  ) {
    testDescription = name
    self.kind = kind
    self.words = words
    self.apply = apply
  }

  /// Applies the damage to the object of `target`, reads it, and expects the error.
  func expectRefusal(_ target: Target) async throws {
    var elf = try await soundObject(target)
    try apply(&elf)
    let error = try readError(elf.bytes)
    #expect(error?.kind == kind, "\(String(describing: error))")
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "no error")")
  }
}

/// The cases of ``ObjectFileError`` without what they carry.
enum ErrorKind {
  case system, notARegularFile, unusableOutput, notElf, empty, truncated, damaged, unsupportedKind, noMachineCode,
    archive
  case unsupportedConstruct, signedModule, changedMeanwhile, cannotRenumber, lostPages, inUse, directoryNotWritable
}

extension ObjectFileError {
  var kind: ErrorKind {
    switch self {
    case .system: .system
    case .notARegularFile: .notARegularFile
    case .unusableOutput: .unusableOutput
    case .notElf: .notElf
    case .empty: .empty
    case .truncated: .truncated
    case .damaged: .damaged
    case .unsupportedKind: .unsupportedKind
    case .noMachineCode: .noMachineCode
    case .archive: .archive
    case .unsupportedConstruct: .unsupportedConstruct
    case .signedModule: .signedModule
    case .changedMeanwhile: .changedMeanwhile
    case .cannotRenumber: .cannotRenumber
    case .lostPages: .lostPages
    case .inUse: .inUse
    case .directoryNotWritable: .directoryNotWritable
    }
  }
}

private let soundObjects = Dictionary(
  uniqueKeysWithValues: Target.allCases.map { target in
    let object = Once {
      let scratch = try Scratch()
      return try ElfBytes(file: await scratch.assemble(fixture: "sections.s", for: target))
    }
    return (target, object)
  })

/// Fixtures/sections.s, assembled.
func soundObject(_ target: Target) async throws -> ElfBytes {
  try await #require(soundObjects[target]).value
}

/// Reads an object and all its relocations; returns the error that this led to.
func readError(_ bytes: [UInt8]) throws -> ObjectFileError? {
  let scratch = try Scratch()
  return readError(at: try scratch.write(bytes, to: "test.o"))
}

func readError(at path: String) -> ObjectFileError? {
  do throws(ObjectFileError) {
    let object = try ObjectFile(reading: InputFile(FilePath(path)))
    for section in object.sections where section.type == .rela {
      _ = try object.withRelocations(in: section.index) { $0.count }
    }
    return nil
  } catch {
    return error
  }
}
