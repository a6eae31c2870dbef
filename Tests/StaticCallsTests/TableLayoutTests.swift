import StaticCalls
import TestSupport
import Testing

/// Which sections a table is divided into: each entry lives and dies with its site.
@Suite struct TableLayoutTests {
  /// Calls in ordinary code, in two functions of groups (one of them has no local symbol) and in a section of its own.
  private static let code = """
    .globl caller, shared
    caller: CALL __SCT__a
    .section .text.shared,"axG",%progbits,shared,comdat
    .weak shared
    .type shared, %function
    shared: CALL __SCT__a
    CALL __SCT__b
    .section .text.lone,"ax",%progbits
    .globl lone
    lone: JUMP __SCT__a
    .section .text.second,"axG",%progbits,second,comdat
    .weak second
    second: JUMP __SCT__b
    .data
    .quad __SCK__a, __SCK__b

    """

  /// Sections of the table, each with its group's signature, its link and its sites.
  private struct Part: Equatable, CustomStringConvertible {
    var group = ""
    var link = ""
    var sites: [String]

    var description: String { "[\(group)] \(link): \(sites.joined(separator: ", "))" }
  }

  private func parts(of path: String, _ name: String) throws -> [Part] {
    let elf = try ElfBytes(file: path)
    var signatures: [Int: String] = [:]
    for group in 1..<elf.sectionCount where elf[section: group, .type] == 17 {
      let members = Array(elf.contents(ofSection: group))
      for position in stride(from: 4, to: members.count, by: 4) {
        let member = members[position..<position + 4].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        signatures[member] = elf.name(ofSymbol: Int(elf[section: group, .info]))
        #expect(elf[section: member, .flags] & 0x200 != 0, "SHF_GROUP")
      }
    }
    var sites = try elf.siteTable(name).map(\.site)[...]
    return (1..<elf.sectionCount).filter { elf.name(ofSection: $0) == name }.map { table in
      let count = Int(elf[section: table, .length]) / 8
      defer { sites = sites.dropFirst(count) }
      let relocations = (1..<elf.sectionCount).first {
        elf[section: $0, .type] == 4 && Int(elf[section: $0, .info]) == table
      }
      if let relocations { #expect(signatures[relocations] == signatures[table]) }
      let isOrdered = elf[section: table, .flags] & 0x80 != 0
      return Part(
        group: signatures[table] ?? "", link: isOrdered ? elf.name(ofSection: Int(elf[section: table, .link])) : "",
        sites: Array(sites.prefix(count)))
    }
  }

  private func object(_ rest: String = "", _ target: Target, _ assembler: Assembler, _ scratch: Scratch) async throws
    -> String
  {
    try await scratch.assemble(portable: Self.code + rest, for: target, with: assembler)
  }

  @Test(arguments: Target.allCases, Assembler.allCases)
  func theKernelsLayoutHasAPartForEachGroup(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let object = try await object("", target, assembler, scratch)
    let annotation = try #require(annotate(object).annotation)
    #expect((annotation.entries, annotation.added) == (5, 5))
    let second = ".text.shared+0x\(target.branchSize)"
    #expect(
      try parts(of: object, ".static_call_sites") == [
        Part(sites: [".text+0x0", ".text.lone+0x0"]), Part(group: "shared", sites: [".text.shared+0x0", second]),
        Part(group: "second", sites: [".text.second+0x0"]),
      ])
    #expect(try verify(object) == [])
    try expectUpToDate(object)
  }

  @Test(arguments: Target.allCases, Assembler.allCases)
  func theLayoutOfUserSpaceHasAPartForEachSection(_ target: Target, _ assembler: Assembler) async throws {
    let scratch = try Scratch()
    let object = try await object("", target, assembler, scratch)
    #expect(annotate(object, Self.user).annotation?.entries == 5)
    let second = ".text.shared+0x\(target.branchSize)"
    #expect(
      try parts(of: object, "static_call_sites") == [
        Part(link: ".text", sites: [".text+0x0"]),
        Part(group: "shared", link: ".text.shared", sites: [".text.shared+0x0", second]),
        Part(link: ".text.lone", sites: [".text.lone+0x0"]),
        Part(group: "second", link: ".text.second", sites: [".text.second+0x0"]),
      ])
    let elf = try ElfBytes(file: object)
    #expect(elf[section: try elf.section("static_call_sites"), .flags] == 0x82, "SHF_ALLOC and SHF_LINK_ORDER")
    #expect(try verify(object, Self.user) == [])
    try expectUpToDate(object, Self.user)
  }

  /// What objtool writes: one table, in no group.
  @Test(arguments: Target.allCases)
  func entriesMoveToTheirGroup(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await object(
      """
      .section .text.shared
      .Lsite = shared
      .section .static_call_sites,"aw",%progbits
      .long caller - ., __SCK__a - .
      .long .text.shared - ., __SCK__a - .
      """, target, .clang, scratch)
    #expect(try verify(object).contains(.separateEntry))
    let annotation = try #require(annotate(object).annotation)
    #expect((annotation.entries, annotation.added, annotation.moved, annotation.removed) == (5, 3, 1, 0))
    #expect(try parts(of: object, ".static_call_sites").map(\.group) == ["", "shared", "second"])
    #expect(try verify(object) == [])
    try expectUpToDate(object)
  }

  @Test(arguments: Target.allCases)
  func aPartInAGroupIsCompleted(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await object(
      """
      .section .static_call_sites,"awG",%progbits,shared,comdat
      .long .text.shared - ., __SCK__a - .
      """, target, .clang, scratch)
    let count = try ElfBytes(file: object).sectionCount
    let annotation = try #require(annotate(object).annotation)
    #expect((annotation.entries, annotation.added, annotation.moved) == (5, 4, 0))
    #expect(try parts(of: object, ".static_call_sites").map(\.group) == ["shared", "", "second"])
    #expect(try ElfBytes(file: object).sectionCount == count + 4)
    #expect(try verify(object) == [])
  }

  /// A part that had no relocations gets them in its group.
  @Test(arguments: Target.allCases)
  func anEmptyPartInAGroupIsFilled(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await object(
      ".section .static_call_sites,\"awG\",%progbits,shared,comdat\n", target, .gnu, scratch)
    #expect(annotate(object).annotation?.added == 5)
    #expect(try parts(of: object, ".static_call_sites").map(\.group) == ["shared", "", "second"])
    #expect(try verify(object) == [])
  }

  /// Linkers that merge parts (`ld -r` before binutils 2.44): each must again be tied to its own code.
  @Test(arguments: Target.allCases, ["ld", "gold", "ld.lld"])
  func combinedPartsAreTakenApart(_ target: Target, _ linker: String) async throws {
    let program = linker == "ld" ? target.linker : linker == "gold" ? "\(target.linker).gold" : linker
    guard tool(program) != nil else {
      withKnownIssue("SKIPPED: \(program) is not installed") { Issue.record("\(program)") }
      return
    }
    let scratch = try Scratch()
    let object = try await object("", target, .clang, scratch)
    try #require(annotate(object, Self.user).annotation?.entries == 5)
    let combined = scratch.file("combined.o")
    try await require(program, ["-r", "-o", combined, object])
    let annotation = try #require(annotate(combined, Self.user).annotation)
    #expect((annotation.entries, annotation.added, annotation.removed) == (5, 0, 0))
    #expect(
      try Set(parts(of: combined, "static_call_sites").map(\.link)) == [
        ".text", ".text.shared", ".text.lone", ".text.second",
      ])
    #expect(try verify(combined, Self.user) == [])
    try expectUpToDate(combined, Self.user)
  }

  @Test(arguments: Target.allCases)
  func anObjectHasATableOfOneLayout(_ target: Target) async throws {
    let scratch = try Scratch()
    let object = try await object("", target, .clang, scratch)
    try #require(annotate(object).annotation?.entries == 5)
    let before = try Fingerprint(object)
    #expect(annotate(object, Self.user).codes == [.foreignTable])
    #expect(try Fingerprint(object) == before)
  }

  @Test func sectionsThatAreDiscardedByNameAreRefused() async throws {
    let scratch = try Scratch()
    let object = try await scratch.assemble(
      portable: ".section .gnu.linkonce.t.f,\"ax\",%progbits\nCALL __SCT__a\n.data\n.quad __SCK__a\n", for: .x86_64)
    #expect(annotate(object).codes == [.comdatSite])
    #expect(annotate(object, Self.user).codes == [.comdatSite])
  }

  private static let user: @Sendable (inout Options) -> Void = {
    $0.layout = .user
    $0.tableSections = [Options.userTable]
  }

  private func expectUpToDate(_ path: String, _ change: (inout Options) -> Void = { _ in }) throws {
    let before = try Fingerprint(path)
    #expect(annotate(path, change).annotation?.change == .upToDate)
    #expect(try Fingerprint(path) == before)
  }
}
