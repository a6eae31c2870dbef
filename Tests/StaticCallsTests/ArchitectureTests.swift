import Disassembly
import ObjectFile
import Testing

@testable import StaticCalls

/// What each machine must have. A new one does not compile here before its samples are given.
@Suite struct ArchitectureTests {
  /// A branch as it stands in an object, with the relocation of its displacement.
  struct Branch: Sendable {
    var bytes: [UInt8]
    var field: Int
    var type: UInt32
    var addend: Int64
    var kind: CallKind

    var relocation: Relocation {
      Relocation(
        offset: SectionOffset(field), type: RelocationType(type), symbol: SymbolIndex(1), addend: addend)
    }
  }

  private static func branches(of machine: Machine) -> [Branch] {
    switch machine {
    case .x86_64:
      [
        Branch(bytes: [0xe8, 0, 0, 0, 0], field: 1, type: 4, addend: -4, kind: .call),
        Branch(bytes: [0xe9, 0, 0, 0, 0], field: 1, type: 4, addend: -4, kind: .tail),
        Branch(bytes: [0x0f, 0x84, 0, 0, 0, 0], field: 2, type: 4, addend: -4, kind: .conditionalTail),
      ]
    case .aarch64:
      [
        Branch(bytes: [0, 0, 0, 0x94], field: 0, type: 283, addend: 0, kind: .call),
        Branch(bytes: [0, 0, 0, 0x14], field: 0, type: 282, addend: 0, kind: .tail),
      ]
    }
  }

  private static func tableRelocation(of machine: Machine) -> UInt32 {
    switch machine {
    case .x86_64: 2  // R_X86_64_PC32
    case .aarch64: 261  // R_AARCH64_PREL32
    }
  }

  private static func thunk(of machine: Machine) -> (name: String, register: Int) {
    switch machine {
    case .x86_64: ("__x86_indirect_thunk_r11", 11)
    case .aarch64: ("__call_indirect_x16", 16)
    }
  }

  private static func registers(of machine: Machine) -> Range<Int> {
    switch machine {
    case .x86_64: 0..<16
    case .aarch64: 0..<31
    }
  }

  @Test(arguments: Machine.allCases)
  func codeCanBeDecoded(_ machine: Machine) throws {
    let disassembler = Disassembler(architecture(of: machine).instructionSet)
    for branch in Self.branches(of: machine) {
      let decoded = disassembler.decode(branch.bytes.span, at: 0)
      #expect(decoded?.length == branch.bytes.count)
      #expect(decoded?.flow.kind == branch.kind)
      #expect(decoded?.flow.isDirectBranch == true)
    }
  }

  @Test(arguments: Machine.allCases)
  func directBranchesAreSites(_ machine: Machine) {
    for branch in Self.branches(of: machine) {
      let field = architecture(of: machine).field(of: branch.relocation, in: branch.bytes.span)
      #expect(
        field == .branch(start: 0, length: branch.bytes.count, kind: branch.kind, certainty: .certain), "\(branch)")
    }
  }

  @Test(arguments: Machine.allCases)
  func aBranchToASymbolGoesToItsStart(_ machine: Machine) {
    for branch in Self.branches(of: machine) {
      let target = architecture(of: machine).targetOffset(of: branch.relocation, instructionEnd: branch.bytes.count)
      #expect(target == 0, "\(branch)")
    }
  }

  @Test(arguments: Machine.allCases)
  func theWholeBranchIsPatchable(_ machine: Machine) throws {
    for branch in Self.branches(of: machine) {
      let instruction = try decode(branch.bytes, as: architecture(of: machine).instructionSet)
      let patchable = architecture(of: machine).patchableBytes(of: instruction, in: branch.bytes.span)
      #expect(patchable == 0..<branch.bytes.count, "\(branch)")
    }
  }

  @Test(arguments: Machine.allCases)
  func otherRelocationsMakeNoBranch(_ machine: Machine) {
    for branch in Self.branches(of: machine) {
      let relocation = Relocation(
        offset: SectionOffset(branch.field), type: RelocationType(0xffff), symbol: SymbolIndex(1), addend: 0)
      let field = architecture(of: machine).field(of: relocation, in: branch.bytes.span)
      #expect(field == .other, "\(branch)")
    }
  }

  @Test(arguments: Machine.allCases)
  func entriesHaveThe32BitRelativeRelocation(_ machine: Machine) {
    #expect(architecture(of: machine).tableRelocation.rawValue == Self.tableRelocation(of: machine))
  }

  @Test(arguments: Machine.allCases)
  func everyKindOfBranchHasAShape(_ machine: Machine) {
    let kinds = Self.branches(of: machine).map(\.kind)
    #expect(Set(kinds.map { architecture(of: machine).directShape($0) }).count == kinds.count)
  }

  @Test(arguments: Machine.allCases)
  func thunksNameTheirRegister(_ machine: Machine) {
    let thunk = Self.thunk(of: machine)
    #expect(architecture(of: machine).thunkRegister(thunk.name) == Register(thunk.register))
    #expect(architecture(of: machine).thunkRegister("") == nil)
    #expect(architecture(of: machine).thunkRegister("other") == nil)
    #expect(architecture(of: machine).thunkRegister(thunk.name + "x") == nil)
  }

  @Test(arguments: Machine.allCases)
  func everyRegisterHasItsOwnName(_ machine: Machine) {
    let names = Self.registers(of: machine).map { architecture(of: machine).name(of: Register($0)) }
    #expect(Set(names).count == names.count)
  }

  @Test(arguments: Machine.allCases)
  func calleesPreserveSomeRegistersAndNotAll(_ machine: Machine) {
    let preserved = Self.registers(of: machine).filter { architecture(of: machine).calleeSaved.contains(Register($0)) }
    #expect(!preserved.isEmpty && preserved.count < Self.registers(of: machine).count)
  }

  /// An offset from a damaged or unusual object, at the very edges of the code.
  @Test(arguments: Machine.allCases)
  func fieldsAtTheEdgesAreNoBranches(_ machine: Machine) {
    for branch in Self.branches(of: machine) {
      for length in 0..<branch.bytes.count {
        let code = Array(branch.bytes.prefix(length))
        let field = architecture(of: machine).field(of: branch.relocation, in: code.span)
        #expect(field == .other, "\(code)")
      }
      let start = Relocation(
        offset: SectionOffset(0), type: RelocationType(branch.type), symbol: SymbolIndex(1), addend: 0)
      let nothing: [UInt8] = []
      let field = architecture(of: machine).field(of: start, in: nothing.span)
      #expect(field == .other)
    }
  }
}
