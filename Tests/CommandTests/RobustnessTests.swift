import Foundation
import TestSupport
import Testing

/// Damaged objects: whatever is in a file, staticcall ends by itself, says what is wrong, and leaves the file alone.
@Suite struct RobustnessTests {
  private static let batch = 200
  /// Where the seeds begin; other ones come from the environment.
  private static let firstSeed =
    ProcessInfo.processInfo.environment["STATICCALL_TEST_SEED"].flatMap { UInt64($0) } ?? 6_000_000

  @Test(arguments: Target.allCases, [false, true])
  func anObjectIsRefusedHoweverMuchOfItIsMissing(_ target: Target, _ isAnnotated: Bool) async throws {
    let object = try await SmallObject.bytes(target, isAnnotated: isAnnotated)
    for start in stride(from: 0, to: object.count, by: Self.batch) {
      let scratch = try Scratch()
      let lengths = start..<min(start + Self.batch, object.count)
      let files = try lengths.map { length in
        try scratch.write(object[..<length], to: "\(length).o")
        return "\(length).o"
      }
      for command in [["list"], ["verify"], ["annotate"]] {
        let run = try await staticcallGuarded(command, files, in: scratch)
        #expect(run.status == 2, "\(command) of the first \(lengths) bytes: \(run.errors.suffix(1000))")
        let refused = refusedFiles(run)
        #expect(files.filter { !refused.contains($0) } == [], "\(command)")
      }
      for (length, file) in zip(lengths, files) {
        #expect(try bytes(of: scratch.file(file)) == Array(object[..<length]), "\(length) bytes")
      }
      #expect(scratch.contents.count == files.count)
    }
  }

  /// 10,000 objects, each with one to eight bytes that are not what they were. A failure names the seed of the object.
  @Test(arguments: Target.allCases, [false, true])
  func randomDamageIsSurvived(_ target: Target, _ isAnnotated: Bool) async throws {
    let object = ElfBytes(try await SmallObject.bytes(target, isAnnotated: isAnnotated))
    let first = Self.firstSeed &+ (target == .x86_64 ? 0 : 200_000) &+ (isAnnotated ? 100_000 : 0)
    for start in stride(from: first, to: first + 2500, by: Self.batch) {
      let seeds = start..<min(start + UInt64(Self.batch), first + 2500)
      try await expectSurvival(of: Array(seeds), object)
    }
  }

  private func expectSurvival(of seeds: [UInt64], _ object: ElfBytes) async throws {
    let scratch = try Scratch()
    let files = try write(seeds, object, in: scratch)
    for command in [["list", "--format", "json"], ["verify"]] {
      let reading = try await staticcallGuarded(command, files, in: scratch)
      try await expectOrdinaryEnd(reading, command, seeds, object)
    }
    let annotating = try await staticcallGuarded(["annotate"], files, in: scratch)
    try await expectOrdinaryEnd(annotating, ["annotate"], seeds, object)
    guard (0...2).contains(annotating.status) else { return }

    let refused = refusedFiles(annotating)
    for (seed, file) in zip(seeds, files) where refused.contains(file) {
      #expect(try bytes(of: scratch.file(file)) == damaged(object, seed: seed), "refused and changed: seed \(seed)")
    }
    #expect(scratch.contents == files.sorted())
    let done = files.filter { !refused.contains($0) }
    // Damage that is always found, or never, tests nothing.
    #expect(!done.isEmpty && !refused.isEmpty, "seeds \(seeds.first ?? 0) and on: \(refused.count) refused")
    let after = try done.map { try Fingerprint(scratch.file($0)) }
    let verifying = try await staticcallGuarded(["verify"], done, in: scratch)
    #expect([0, 1].contains(verifying.status), "after annotate: \(verifying.errors.suffix(1000))")
    let again = try await staticcallGuarded(["annotate", "--quiet"], done, in: scratch)
    #expect(again.status == 0, "annotate once more: \(again.errors.suffix(1000))")
    for (file, fingerprint) in zip(done, after) {
      #expect(try Fingerprint(scratch.file(file)) == fingerprint, "a second run changed \(file)")
    }
  }

  /// Expects that a run over a batch ended by itself; where it did not, looks for the object that is to blame.
  private func expectOrdinaryEnd(
    _ run: Run, _ command: [String], _ seeds: [UInt64], _ object: ElfBytes
  ) async throws {
    guard !(0...2).contains(run.status) else { return }
    var suspects = seeds
    while suspects.count > 1 {
      let half = Array(suspects[..<(suspects.count / 2)])
      let scratch = try Scratch()
      let result = try await staticcallGuarded(command, try write(half, object, in: scratch), in: scratch)
      suspects = (0...2).contains(result.status) ? Array(suspects[half.count...]) : half
    }
    let culprit = suspects.map { "\($0) (\(changes(in: object, seed: $0)))" }
    Issue.record("\(command.joined(separator: " ")) ended with \(run.status) on seed \(culprit.joined())")
  }

  private func write(_ seeds: [UInt64], _ object: ElfBytes, in scratch: Scratch) throws -> [String] {
    try seeds.map { seed in
      try scratch.write(damaged(object, seed: seed), to: "\(seed).o")
      return "\(seed).o"
    }
  }

  /// The files that a run says it could not handle.
  private func refusedFiles(_ run: Run) -> Set<String> {
    var files: Set<String> = []
    for line in run.errors.split(separator: "\n") where line.contains(": error: ") {
      if let name = line.split(separator: ":").first { files.insert(String(name)) }
    }
    return files
  }
}

/// The object with what ``changes(in:seed:)`` changes.
private func damaged(_ object: ElfBytes, seed: UInt64) -> [UInt8] {
  var bytes = object.bytes
  for change in changes(in: object, seed: seed) { bytes[change.offset] = change.byte }
  return bytes
}

/// One to eight new bytes, half of them where they hurt most: in the ELF header, the section headers, the symbols, the
/// relocations. Some are likely to be special: 0, 1, 0x7f, 0x80, 0xff.
private func changes(in object: ElfBytes, seed: UInt64) -> [(offset: Int, byte: UInt8)] {
  var generator = SeededGenerator(seed: seed)
  let table = Int(object[.sectionTable])
  var places = [0..<64, table..<table + 64 * object.sectionCount]
  for section in 1..<object.sectionCount where [2, 4, 17].contains(object[section: section, .type]) {
    let contents = object.contents(ofSection: section)
    if !contents.isEmpty { places.append(contents.startIndex..<contents.endIndex) }
  }
  return (0..<Int.random(in: 1...8, using: &generator)).map { _ in
    let range =
      Bool.random(using: &generator)
      ? 0..<object.bytes.count : places[Int.random(in: places.indices, using: &generator)]
    let special: [UInt8] = [0, 1, 0x7f, 0x80, 0xff]
    let byte =
      Bool.random(using: &generator)
      ? special[Int.random(in: special.indices, using: &generator)] : UInt8.random(in: 0...255, using: &generator)
    return (Int.random(in: range, using: &generator), byte)
  }
}
