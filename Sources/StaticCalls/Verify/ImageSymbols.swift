import Disassembly
import ObjectFile

/// The symbols of a linked image that matter: trampolines and keys by address, stubs of the linker, and functions to name places by.
struct ImageSymbols {
  /// Names of static calls, without their prefixes, by the address of a trampoline; by that of a key.
  private(set) var trampolines: [UInt64: Set<String>] = [:]
  private(set) var keys: [UInt64: Set<String>] = [:]
  /// Names of static calls whose trampolines this image refers to, and does not define.
  private(set) var imported: Set<String> = []
  /// Those that are somewhere: here, or, unless the reference is weak, in another image.
  private var present: Set<String> = []
  /// What a linker put in between and gave a name: entries of a PLT, veneers, corrections of errata. By address.
  private(set) var stubs: Set<UInt64> = []
  /// Thunks that branch to a register, by address; routines that return to an address on the stack.
  private(set) var thunks: [UInt64: Register] = [:]
  private(set) var returningThunks: Set<UInt64> = []
  /// Where functions begin, and other labels; in no order.
  private(set) var functions: [UInt64] = []
  private(set) var labels: [UInt64] = []
  /// The table's borders, as a linker script or the linker itself names them: `__start_` and `__stop_` and the section's name.
  private(set) var tables: [Range<UInt64>] = []
  /// Functions in order of address, each with the address behind it; names by their place in a string table.
  private var extents: [Extent] = []
  /// Objects (`STT_OBJECT`), and AArch64's marks of where data and code begin (AAELF64, "Mapping symbols").
  private var objects: [Range<UInt64>] = []
  private var marks: [(address: UInt64, isData: Bool)] = []

  private struct Extent {
    var start: UInt64
    var end: UInt64
    var name: String
  }

  init(of image: borrowing LinkedImage, _ options: Options) throws(ObjectFileError) {
    var starts: [String: UInt64] = [:]
    var stops: [String: UInt64] = [:]
    let names = SpecialNames(options, image.machine)
    let architecture = StaticCalls.architecture(of: image.machine)
    try image.forEachSymbolTable { symbols, strings throws(ObjectFileError) in
      for position in symbols.indices where symbols[position].nameOffset != 0 {
        let symbol = symbols[position]
        // The names of source files may be anything, and those of sections are none of a place's.
        guard ![.file, .section].contains(symbol.type) else { continue }
        let name = Int(symbol.nameOffset)
        let isDefined = symbol.storedSection != 0
        // Data is never called, whatever its name (STT_OBJECT, STT_COMMON, STT_TLS).
        let mayBeCode = [.noType, .function, .indirectFunction].contains(symbol.type)
        switch names.role(of: name, in: strings) {
        case .trampoline(let call) where mayBeCode:
          if SpecialNames.isStub(call) {
            stubs.insert(symbol.value)
          } else if isDefined {
            trampolines[symbol.value, default: []].insert(SpecialNames.withoutVersion(call))
            present.insert(SpecialNames.withoutVersion(call))
          } else {
            imported.insert(SpecialNames.withoutVersion(call))
            // mold makes a weak one local that is nowhere.
            if symbol.binding == .global { present.insert(SpecialNames.withoutVersion(call)) }
          }
        case .key(let call) where isDefined && symbol.type != SymbolType.threadLocal:
          keys[symbol.value, default: []].insert(SpecialNames.withoutVersion(call))
        case .start(let table): starts[table] = symbol.value
        case .stop(let table): stops[table] = symbol.value
        case .stub where isDefined: stubs.insert(symbol.value)
        case .thunk(let name) where isDefined:
          if let register = architecture.thunkRegister(name) {
            thunks[symbol.value] = register
          } else if architecture.isThunk(name) {
            returningThunks.insert(symbol.value)
          }
        case .mark(let isData): marks.append((symbol.value, isData))
        default: break
        }
        guard isDefined else { continue }
        // The numbers above are no sections; what is absolute has no code around it.
        let isInSection = symbol.storedSection < 0xff00
        switch symbol.type {
        case .function, .indirectFunction:
          let end = symbol.value &+ max(symbol.size, 1)
          extents.append(Extent(start: symbol.value, end: end, name: strings.string(at: name)))
          if isInSection { functions.append(symbol.value) }
        case .noType where isInSection: labels.append(symbol.value)
        case .object where isInSection && symbol.size > 0:
          let (end, overflow) = symbol.value.addingReportingOverflow(symbol.size)
          if !overflow { objects.append(symbol.value..<end) }
        default: break
        }
      }
    }
    extents.sort { ($0.start, $0.name) < ($1.start, $1.name) }
    tables = starts.compactMap { name, start in
      stops[name].flatMap { stop in start < stop ? start..<stop : nil }
    }
  }

  /// Whether the trampolines of some static calls may be nowhere: undefined weak symbols, of which some linkers leave no trace.
  func mayBeNowhere(_ calls: Set<String>) -> Bool { calls.isDisjoint(with: present) }

  /// The function that begins at or before an address and reaches it.
  func function(at address: UInt64) -> (name: String, start: UInt64)? {
    let behind = extents.partitionPoint { $0.start > address }
    guard behind > 0, extents[behind - 1].start == address || address < extents[behind - 1].end else { return nil }
    return (extents[behind - 1].name, extents[behind - 1].start)
  }

  /// What is data in some parts of the code, which are in order of address: in order, without overlaps.
  func data(in code: [Range<UInt64>]) -> [Range<UInt64>] {
    func part(around address: UInt64) -> Range<UInt64>? {
      let behind = code.partitionPoint { $0.lowerBound > address }
      return behind > 0 && code[behind - 1].contains(address) ? code[behind - 1] : nil
    }
    var found = objects.compactMap { object in part(around: object.lowerBound).map { object.clamped(to: $0) } }
    // Of two marks at one place the last holds, and a mark reaches to the next one of its section.
    let marks = marks.sorted { $0.address < $1.address }
    for (position, mark) in marks.enumerated() where mark.isData {
      guard let part = part(around: mark.address) else { continue }
      let next = position + 1 < marks.count ? marks[position + 1].address : part.upperBound
      if next > mark.address { found.append(mark.address..<min(next, part.upperBound)) }
    }
    found = found.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    return found.reduce(into: []) { merged, range in
      if let last = merged.last, range.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
  }
}
