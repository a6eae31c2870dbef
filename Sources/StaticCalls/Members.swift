import ObjectFile
import SystemPackage

/// A member of an archive, so that two of one name are told apart.
public struct MemberName: Hashable, Sendable {
  /// What is no UTF-8 in it is replaced.
  public var name: String
  /// Its position among the archive's members, symbol indexes and name tables left out; counted from 0.
  public var index: Int
  /// Which of the members of this name it is, counted from 1, as `ar xN` does.
  public var ordinal: Int
}

extension Archive {
  /// The members with their names.
  var namedMembers: [(name: MemberName, member: Member)] {
    var seen: [[UInt8]: Int] = [:]
    return members.enumerated().map { index, member in
      seen[member.nameBytes, default: 0] += 1
      return (MemberName(name: member.name, index: index, ordinal: seen[member.nameBytes, default: 1]), member)
    }
  }

  /// What a member of the archive at `path` is; in a thin archive, what the file is that it names.
  func kind(of member: Member, at path: FilePath) throws -> FileKind {
    isThin ? try FileKind(of: InputFile(file(of: member, path))) : kind(of: member)
  }

  /// Reads a member of the archive at `path` that is an object; in a thin archive, from the file that it names.
  func withObject<Result>(
    _ member: Member, at path: FilePath, _ body: (borrowing ObjectFile) throws -> Result
  ) throws -> Result {
    guard isThin else { return try body(object(member)) }
    return try InputFile.reading(file(of: member, path)) { input in try body(ObjectFile(reading: input)) }
  }

  func file(of member: Member, _ path: FilePath) -> FilePath {
    path.removingLastComponent().pushing(FilePath(bytes: member.nameBytes))
  }
}
