import StaticCalls
import SystemPackage
import TestSupport
import Testing

/// What has to become of the calls of the function `f` that reach the trampoline `a` in another way than directly.
enum Verdict: Equatable, Sendable {
  /// All are made direct.
  case direct
  /// One call is listed, stays as it is, and this is why.
  case stays(Code)
  /// The same, and even a direct call of its form could not be patched.
  case unpatchable(Code)
  /// No branch is listed as a call, and the instruction that makes the address is, because it may be called; with this code.
  case mayBeCalled(Code)
  /// Nothing is listed as a call, and the address as one that is not called.
  case noCall(NonCall)
  /// Nothing is listed as a call: the trampoline's address is not there at all.
  case unknown
}

/// The text of a function `f`, for one machine, which may end at a label `f_end` of its own, and what has to become of its indirect calls.
struct RewriteCase: CustomTestStringConvertible, Sendable {
  var name: String
  var target: Target
  var body: String
  /// What stands behind the function: other sections, other functions.
  var rest: String
  var verdict: Verdict

  init(_ name: String, _ target: Target = .x86_64, _ verdict: Verdict, _ body: String, and rest: String = "") {
    self.name = name
    self.target = target
    self.body = body
    self.rest = rest
    self.verdict = verdict
  }

  var testDescription: String { "\(target) \(name)" }

  /// The same for both machines, in words that the macros know.
  static func onBoth(_ name: String, _ verdict: Verdict, _ body: String, and rest: String = "") -> [RewriteCase] {
    Target.allCases.map { RewriteCase(name, $0, verdict, body, and: rest) }
  }

  private var source: String {
    """
    \(target.indirectCallMacros)
      .text
      .globl f
      .type f, %function
    f:
    \(body)
    .ifndef f_end
    f_end:
    .endif
      .size f, f_end - f
    \(rest)
      .data
      .quad __SCK__a, __SCK__b

    """
  }

  /// The object, and the bytes of its code.
  func assemble(in scratch: Scratch) async throws -> String {
    try await scratch.assemble(source, for: target)
  }

  /// Checks the listing, and that annotating changes the code where it should and nowhere else.
  func check(_ change: (inout Options) -> Void = { _ in }) async throws {
    let scratch = try Scratch()
    let object = try await assemble(in: scratch)
    var options = Options()
    change(&options)
    let listing = try Pipeline.list(FilePath(object), options)
    let sites = listing.sites.filter { $0.function == "f" }
    let (calls, addresses) = (sites.filter { $0.kind != nil }, sites.filter { $0.kind == nil })
    let left = addresses.filter { $0.state != .addressTaken }
    let states = sites.map { "\($0.state.rawValue) \($0.use?.rawValue ?? "") \($0.code?.rawValue ?? "")" }.description
    let account = try #require(listing.account)
    #expect(account.sum == account.references, "\(testDescription): \(account)")
    let before = try codeAndRelocations(of: object)
    #expect(annotate(object, change).annotation != nil)
    let changed = try codeAndRelocations(of: object) != before
    switch verdict {
    case .direct:
      #expect(!calls.isEmpty && calls.allSatisfy { $0.state == .convertible }, "\(testDescription): \(states)")
      #expect(changed, "\(testDescription)")
      #expect(try verify(object, change) == [], "\(testDescription)")
      #expect(left.isEmpty, "\(testDescription): \(states)")
    case .stays(let code):
      #expect(calls.map(\.state) == [.staysIndirect] && calls.first?.code == code, "\(testDescription): \(states)")
      #expect(!changed, "\(testDescription)")
    case .unpatchable(let code):
      #expect(calls.map(\.state) == [.notPatchable] && calls.first?.code == code, "\(testDescription): \(states)")
      #expect(!changed, "\(testDescription)")
    case .mayBeCalled(let code):
      #expect(calls.isEmpty, "\(testDescription): \(states)")
      #expect(!left.isEmpty && left.allSatisfy { $0.code == code }, "\(testDescription): \(states)")
      #expect(account.left == [code: left.count], "\(testDescription): \(account)")
      #expect(!changed, "\(testDescription)")
    case .noCall(let use):
      #expect(calls.isEmpty && left.isEmpty, "\(testDescription): \(states)")
      #expect(addresses.contains { $0.use == use }, "\(testDescription): \(states)")
      #expect(!changed, "\(testDescription)")
    case .unknown:
      #expect(calls.isEmpty, "\(testDescription): \(states)")
      #expect(!changed, "\(testDescription)")
    }
  }

  /// The first instruction or two of `f`, which load the trampoline's address, before and after annotating; and whether a call was
  /// made direct.
  func load() async throws -> (isKept: Bool, isDirect: Bool) {
    let scratch = try Scratch()
    let object = try await assemble(in: scratch)
    let length = target == .x86_64 ? 7 : 8
    let before = try codeAndRelocations(of: object).code.prefix(length)
    let annotation = annotate(object).annotation
    let after = try codeAndRelocations(of: object).code.prefix(length)
    return (before == after, annotation?.madeDirect.isEmpty == false)
  }

  private func codeAndRelocations(of object: String) throws -> CodeBytes {
    let elf = try ElfBytes(file: object)
    var relocations: [String] = []
    if let table = try? elf.section(".rela.text") {
      for number in 0..<(Int(elf[section: table, .length]) / 24) {
        let symbol = Int(elf[relocation: number, of: table, .symbol])
        let fields = [ElfBytes.RelocationField.offset, .type, .addend].map { elf[relocation: number, of: table, $0] }
        relocations.append("\(fields) \(elf.name(ofSymbol: symbol))")
      }
    }
    return CodeBytes(code: Array(elf.contents(ofSection: try elf.section(".text"))), relocations: relocations)
  }

  /// The bytes of the code, and its relocations with the names of their symbols: these may get other numbers.
  private struct CodeBytes: Equatable {
    var code: [UInt8]
    var relocations: [String]
  }
}

extension Target {
  /// Macros for code that calls indirectly, through %r11 or x9:
  /// - `LOAD` and `OTHER` bring the trampoline's address and another one into it, `BRANCH` jumps there and `CALLIT` calls;
  /// - `IF label` branches on a condition, `GOTO label` always.
  var indirectCallMacros: String {
    switch self {
    case .x86_64:
      """
        .macro LOAD
        mov __SCT__a@GOTPCREL(%rip), %r11
        .endm
        .macro OTHER
        mov other@GOTPCREL(%rip), %r11
        .endm
        .macro BRANCH
        jmp __x86_indirect_thunk_r11
        .endm
        .macro CALLIT
        call __x86_indirect_thunk_r11
        .endm
        .macro IF label
        test %edi, %edi
        je \\label
        .endm
        .macro GOTO label
        jmp \\label
        .endm
        .macro CALLFN label
        call \\label
        .endm
        .macro TAKE label
        lea \\label(%rip), %rax
        .endm
      """
    case .aarch64:
      """
        .macro LOAD
        adrp x9, :got:__SCT__a
        ldr x9, [x9, :got_lo12:__SCT__a]
        .endm
        .macro OTHER
        adrp x9, :got:other
        ldr x9, [x9, :got_lo12:other]
        .endm
        .macro BRANCH
        br x9
        .endm
        .macro CALLIT
        blr x9
        .endm
        .macro IF label
        cbz w0, \\label
        .endm
        .macro GOTO label
        b \\label
        .endm
        .macro CALLFN label
        bl \\label
        .endm
        .macro TAKE label
        adr x0, \\label
        .endm
      """
    }
  }
}
