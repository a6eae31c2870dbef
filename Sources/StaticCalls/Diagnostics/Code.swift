/// The catalogue of everything that staticcall has to say about an object. A code keeps its number for good.
///
/// SC001 to SC029: the object cannot be annotated. SC030 to SC099: a call stays behind. SC101 and up: a table is wrong.
public enum Code: String, CaseIterable, Sendable {
  case cannotRead = "SC001"
  case notElf = "SC002"
  case damaged = "SC003"
  case unsupportedKind = "SC004"
  case noMachineCode = "SC005"
  case archive = "SC006"
  case unsupportedConstruct = "SC007"
  case signedModule = "SC008"
  case changedMeanwhile = "SC009"
  case systemFailure = "SC010"
  case cannotRenumber = "SC011"
  case missingKey = "SC012"
  case ambiguousKey = "SC013"
  case comdatSite = "SC014"
  case foreignTable = "SC015"
  case staleTable = "SC016"
  case overlappingSites = "SC017"
  case selfCheck = "SC018"
  case sharedAddress = "SC019"
  case contradictedLayout = "SC020"

  case throughTable = "SC030"
  case throughRegister = "SC031"
  case throughThunk = "SC032"
  case addressTaken = "SC033"
  case unpatchableBranch = "SC034"
  case undecoded = "SC035"
  case operandSizePrefix = "SC036"
  case besideTrampoline = "SC037"
  case fatObject = "SC038"
  case noRoom = "SC039"
  case registerInUse = "SC040"
  case notOnEveryPath = "SC041"
  case entered = "SC042"
  case unwindInfo = "SC043"
  case namedInstruction = "SC044"
  case unboundedJump = "SC045"
  case undecodedFunction = "SC046"
  case unreadableTables = "SC047"
  case largePositionIndependent = "SC048"
  case checkedTarget = "SC049"
  case testedKey = "SC050"
  case storedAddress = "SC051"
  case staleKey = "SC052"
  case severalRelocations = "SC053"
  case ownTrampoline = "SC054"
  case unknownInstruction = "SC055"
  case keptOnStack = "SC056"
  case notFollowed = "SC057"

  case tableSection = "SC101"
  case missingEntry = "SC102"
  case entryRelocation = "SC103"
  case notCode = "SC104"
  case wrongOpcode = "SC105"
  case flagMismatch = "SC106"
  case keyMismatch = "SC107"
  case notAnInstruction = "SC108"
  case noTrampoline = "SC109"
  case duplicateEntry = "SC110"
  case keyAlignment = "SC111"
  case discardedSection = "SC112"
  case replaceableSite = "SC113"
  case entryFlags = "SC114"
  case droppedTable = "SC115"
  case mixedTables = "SC116"
  case separateEntry = "SC117"
  case staleSignature = "SC118"
  case staleAddressTable = "SC119"
  case unreadTable = "SC120"

  /// What the code stands for, in a line.
  public var title: String { text.title }

  /// What it means, what happens at run time, and what to do about it.
  public var explanation: String { text.explanation }

  /// What to do about it where that is the same for all files; else it is empty; see ``help(for:)``.
  var commonHelp: [String] { text.help }

  /// The message for a call of `callName` that stays behind, or for a use of its trampoline's address; `through` is what the call goes through,
  /// or the register that gets the address.
  func describe(callThrough through: String, of callName: String) -> String {
    switch self {
    case _ where reasonToStay != nil, .throughTable, .throughRegister, .throughThunk:
      "call through \(through == "GOT" ? "the GOT" : through) to \(callName) stays indirect"
        + (reasonToStay.map { ": \($0)" } ?? "")
    case .unpatchableBranch, .operandSizePrefix: "\(through) to \(callName) cannot be patched"
    case .undecoded: "a reference to \(callName) stands in bytes that cannot be decoded"
    default: "\(through) refers to \(callName)"
    }
  }

  /// The message for an address of `callName` that may be called: at `branch`, or, where that is `nil`, in code that is not known.
  func describe(addressIn register: String, of callName: String, reaching branch: String?) -> String {
    let address = "the address of \(callName)" + (register == "address" ? "" : " in \(register)")
    let reason = reasonToStay.map { ": \($0)" } ?? ""
    return branch.map { "\(address) may be called at \($0) and stays indirect\(reason)" }
      ?? "\(address) may be called in code that is not known\(reason)"
  }

  /// Whether it says why an indirect call stays as it is.
  var isAboutIndirectCall: Bool {
    reasonToStay != nil || [.throughTable, .throughRegister, .throughThunk].contains(self)
  }

  /// Why an indirect call cannot become direct, for the end of a message.
  var reasonToStay: String? {
    switch self {
    case .noRoom: "a direct call does not fit"
    case .registerInUse: "no room, because the register is still needed"
    case .notOnEveryPath: "the address is not the same on every path"
    case .entered: "something leads into the middle of the code to be changed"
    case .unwindInfo: "the unwind rules change between load and call"
    case .namedInstruction: "a table names these instructions"
    case .unboundedJump: "a jump in the function may lead anywhere"
    case .undecodedFunction: "the function cannot be decoded"
    case .unreadableTables: "the object's tables of addresses cannot be read"
    case .largePositionIndependent: "the address is computed from the GOT's start"
    case .checkedTarget: "its target is checked before (kCFI)"
    case .testedKey: "the key's word is also looked at"
    case .staleKey: "the key may change between load and call"
    case .severalRelocations: "the instruction has several relocations"
    case .ownTrampoline: "the object defines the trampoline"
    case .unknownInstruction: "an instruction between load and call is not known"
    case .keptOnStack: "the address is kept on the stack in between"
    case .notFollowed: "the address cannot be followed there"
    default: nil
    }
  }

  private struct Text {
    var title: String
    var explanation: String
    var help: [String]

    init(_ title: String, _ explanation: String, help: String...) {
      self.title = title
      self.explanation = explanation
      self.help = help
    }
  }

  private var text: Text { inputText ?? callText ?? indirectText ?? tableText ?? Text(rawValue, "") }

  private var inputText: Text? {
    switch self {
    case .cannotRead:
      Text(
        "the file cannot be read",
        """
        The file does not exist, may not be read, or is no regular file: a directory, a device or a pipe.
        Nothing was written. Check the name and the permissions.
        """)
    case .notElf:
      Text(
        "not an ELF file",
        """
        The file does not begin with the mark of an ELF file (7f 45 4c 46). staticcall edits what compilers and assemblers write
        for Linux: `cc -c foo.c` makes foo.o. An empty file is most often left by a compiler that was stopped, or by a full disk.
        """, help: "Give it the object that the compiler wrote (cc -c).")
    case .damaged:
      Text(
        "the ELF file is truncated or damaged",
        """
        A header points past the end of the file, or two parts of the file contradict each other. Other tools may accept such a
        file and do nothing, or write nonsense; staticcall checks everything it relies on before it starts.
        Build the object again. If it comes fresh from a compiler or linker, that is worth a bug report, there or here.
        """, help: "Build the object again.")
    case .unsupportedKind:
      Text(
        "an ELF file of a kind that is not handled",
        """
        staticcall edits 64-bit little-endian relocatable objects (ET_REL) for x86-64 and AArch64: what `cc -c` and `ld -r` write.
        In an executable or shared object the linker has already resolved the calls, and the table must be there before that: annotate
        the objects, and link again.
        32-bit objects (x32 and ILP32 among them), big-endian objects and other machines are refused.
        """,
        help:
          "annotate and list take 64-bit little-endian objects (.o) for x86-64 and AArch64, before they are linked.",
        "verify and diff take linked programs as well.")
    case .noMachineCode:
      Text(
        "no machine code",
        """
        With link-time optimisation the compiler writes its intermediate code (LLVM bitcode, or gcc's slim LTO objects) in place of
        machine code, and the calls do not exist yet.
        Compile without -flto. Or let the compiler make one object with machine code of all, and annotate and link that:
          clang -r -fuse-ld=lld *.o -o all.o
          gcc -r -flinker-output=nolto-rel *.o -o all.o
        In the kernel it is vmlinux.o.
        """,
        help:
          "Compile without -flto, or annotate what `clang -r -fuse-ld=lld` or `gcc -r -flinker-output=nolto-rel` makes of it."
      )
    case .archive:
      Text(
        "an archive where an object is needed",
        """
        The file is an archive (ar), a collection of objects. annotate, list and verify take archives and handle each object in
        them, but not archives in archives. A thin archive holds the names of its members only: they are annotated where they
        are, so there is nothing that could be written to another file.
        """, help: "Take the objects out of the inner archive (ar x).")
    case .unsupportedConstruct:
      Text(
        "a construct that is not handled",
        """
        The object is sound and uses something that staticcall cannot read: compressed code, or relocations of code in another
        form than SHT_RELA. Doing nothing in silence would lose call sites, so the object is refused. The message names the
        section and, where there is one, the compiler option.
        """)
    case .signedModule:
      Text(
        "the module is signed",
        """
        A kernel module with a signature at its end is final: any change makes the signature invalid, and the kernel refuses the
        module. Annotate before the module is signed (scripts/sign-file).
        """, help: "Annotate the module before it is signed.")
    case .changedMeanwhile:
      Text(
        "the file changed while it was being read",
        """
        Something else wrote to the object, or replaced it, while staticcall worked on it: another program, or another run of
        staticcall. Nothing was written, so that neither change is lost. Most often two build steps work on one file: look for a
        missing dependency in the build. Where the file shrank, its disk may also have failed.
        """, help: "Let only one build step at a time work on the file.")
    case .systemFailure:
      Text(
        "the system refused an operation",
        """
        Reading, writing or renaming failed: no space, no permission, a read-only file system. The message has the system's words.
        The object is as it was, and nothing is left beside it. Where only the directory may not be written, --in-place may do. A file
        that is an immutable one, or a mount point by itself, cannot be replaced.
        """)
    case .cannotRenumber:
      Text(
        "a symbol must be inserted and a table of symbol indexes is not known",
        """
        The code section with the call has no section symbol and no other local symbol, so one has to be inserted, and the symbols
        behind it move. The object has a section linked to the symbol table in a form that staticcall does not know; if it holds
        symbol indexes, they would be wrong.
        A local label in the code section avoids the insertion; `ld -r` adds section symbols.
        """, help: "Pass the object through `ld -r` first, which adds section symbols.")
    case .missingKey:
      Text(
        "a call has no key symbol",
        """
        The object calls __SCT__name and never mentions the variable __SCK__name, the key, which the call's entry in the table must
        name. Without the entry the call would stay unpatched without a word, so nothing is written.
        - Where another object defines the key, --add-missing-keys adds it as an undefined symbol; the linker then says if nothing
          defines it.
        - The declaration of the static call can mention the key instead, as DECLARE_STATIC_CALL in the kernel does:
          static void *const use_name __attribute__((used, section(".discard.addressable"))) = &__SCK__name;
        - In a kernel module that may make the call and not change its target (EXPORT_STATIC_CALL_TRAMP), use --module: the entry
          names the trampoline, and the module loader finds the key.
        """,
        help: "Where another object defines it, annotate with --add-missing-keys; in a kernel module, with --module.",
        "Or mention it where the call is declared, as DECLARE_STATIC_CALL does.")
    case .ambiguousKey:
      Text(
        "several keys have the name",
        """
        After `ld -r`, local static calls of one name from several source files stand side by side. They are told apart by the file
        symbols (STT_FILE) between them; here those are missing or do not help, and a guess could patch the wrong call.
        """, help: "Give the static calls different names, or annotate before `ld -r` and before stripping.")
    case .comdatSite:
      Text(
        "a call in a section that is discarded by its name",
        """
        Of several sections .gnu.linkonce.* of one name, the linker keeps one and discards the others: what compilers did for inline
        functions before there were section groups (COMDAT). An entry that points into a discarded copy is a link error, and no
        table can be discarded together with such a section. In section groups, calls are no problem.
        """, help: "Put the code into a section group (COMDAT), as compilers do today.")
    case .foreignTable:
      Text(
        "the existing table is of a kind that is not handled",
        """
        The object has a table of the other layout (--abi linux or --abi user), or one that annotate cannot replace: with several
        relocation sections, with a symbol inside, or, in the kernel's layout, bound to one code section (SHF_LINK_ORDER). Tables
        of both kinds side by side break `ld -r`, and no runtime reads them both.
        Annotate the object that the compiler wrote, and every object of a program with the same --abi.
        """)
    case .staleTable:
      Text(
        "the existing table has entries that annotate would not make",
        """
        The object already has a table, and some of it does not fit the code: the code changed after it was annotated, or the table
        was made by hand or by another tool. A runtime that meets a wrong entry stops the machine or patches the wrong bytes.
        Compile the object again, or `staticcall annotate --rebuild` it, which throws the table away and makes it anew. An entry for a
        replacement in .altinstr_replacement is expected with --include-altinstr.
        """)
    case .overlappingSites:
      Text(
        "two branches share bytes",
        """
        Two relocations make branches of overlapping bytes. No assembler writes that; a runtime that patches one would destroy the
        other. The object is damaged, or made to deceive.
        """)
    case .sharedAddress:
      Text(
        "a call by an address that several trampolines have",
        """
        Trampolines of different names stand at one address, as aliases do, and a call gives only that address: the assembler resolved the
        branch, or named the section. It may be a call of any of them, and an entry could name the wrong key. A call whose relocation
        names its trampoline is no problem.
        """,
        help: "Give each trampoline its own code, or put it into another section than the call, as a global symbol.")
    case .contradictedLayout:
      Text(
        "a layout that is not the object's",
        """
        The object is of a program that uses static_call.h: it includes the header, or refers to static_call_update_key. The runtime of
        such a program reads the table of user space, and no other: with a table of the kernel's layout no call would ever be
        patched, without a word. So --abi linux and --module, which are the kernel's, are refused.
        annotate takes the right layout by itself where no --abi is given. A table that is wrong already is made anew with --rebuild.
        """, help: "Leave it out: annotate takes `--abi user` for this object by itself.")
    case .selfCheck:
      Text(
        "staticcall's own check failed",
        """
        Before it writes, staticcall reads the edited object back and verifies it. As an error, this says that the check failed, and
        nothing was written. As a warning, it says that a reference to a trampoline was lost sight of: it may be a call that no message
        names. Either is a bug in staticcall: please report it, with the object if you can.
        """, help: "Please report this, with the object if you can.")
    default: nil
    }
  }

  private var callText: Text? {
    switch self {
    case .addressTaken:
      Text(
        "the trampoline's address is taken",
        """
        The code or the data holds the trampoline's address and no call is seen to use it: it is stored, compared, passed on, or
        called somewhere else. That is allowed. A call through such a pointer works and goes through the trampoline.
        """)
    case .unpatchableBranch:
      Text(
        "a branch that cannot be retargeted",
        """
        A short jump, a counting loop or, on AArch64, a conditional branch leads to the trampoline. It has no room for a target farther
        away, and the kernel stops the machine when it finds one in the table. So it is left out: it works, goes through the
        trampoline, and is not patched. It comes from hand-written assembly, or from a trampoline that stands in the same section as
        the call. A branch with several relocations is left out as well: linkers apply them one after the other, and it may go
        elsewhere.
        """)
    case .undecoded:
      Text(
        "code that cannot be decoded",
        """
        Whether a reference to a trampoline is a call can only be told here by decoding from the last label on, and the decoder
        meets bytes that it does not know: data among the code, or an instruction newer than the decoder. Code that goes on for more than
        262,144 instructions without a label is not decoded either. The reference stays as it is. If it is a call, it works, goes
        through the trampoline, and is not patched.
        """, help: "In assembly, put data into a data section, or a label behind the bytes in question.")
    case .operandSizePrefix:
      Text(
        "a branch with the prefix 66",
        """
        AMD's processors cut the target of such a branch to 16 bits, Intel's ignore the prefix. No compiler writes it, and no patch
        can make it right. It is left out of the table.
        """, help: "Remove the prefix from the assembly source.")
    case .besideTrampoline:
      Text(
        "a branch that lands beside a trampoline",
        """
        The branch names a trampoline plus or minus some bytes. It does not call the static call, so it is not in the table, though
        objtool would put it there: it ignores the distance. If it is meant as a call, the code is wrong.
        """, help: "If a call is meant, branch to the start of the trampoline.")
    case .fatObject:
      Text(
        "the object also holds intermediate code",
        """
        A fat LTO object has machine code and, besides, the compiler's intermediate code. The machine code is annotated. If the final
        link uses link-time optimisation, it compiles the intermediate code again, and the table is lost with the machine code.
        `staticcall explain SC005` says which object to annotate then.
        """, help: "If the final link uses -flto, annotate the object that comes out of that instead.")
    default: nil
    }
  }

  private var indirectText: Text? {
    switch self {
    case .throughTable:
      Text(
        "call through the global offset table stays indirect",
        """
        The call loads the trampoline's address from the global offset table (-fno-plt), or its target from the key. It works at run
        time, goes through the trampoline, and is not patched.
        annotate makes such calls direct, but for --no-rewrite and for code that is copied over other code (.altinstr_replacement).
        Compilers make no such call without -fno-plt, or where the trampoline is declared hidden.
        In a linked image it is in an object that was not annotated: linkers make such calls direct only where the trampoline is in the same
        image.
        """)
    case .throughRegister:
      Text(
        "call through a register stays indirect",
        """
        The trampoline's address is loaded into a register and called there. The call works at run time, goes through the
        trampoline, and is not patched.
        annotate makes such calls direct where it can prove them, but for --no-rewrite and for code that is copied over other code
        (.altinstr_replacement). In a linked image verify names those that are certain; annotate says why one of an object stays.
        """, help: "Leave out --no-rewrite, or call __SCT__name(...), not a pointer to it.")
    case .throughThunk:
      Text(
        "call through a thunk stays indirect",
        """
        The trampoline's address goes to a retpoline or to a thunk against straight-line speculation, the dearest way to call
        anything. The call works at run time, goes through the trampoline, and is not patched.
        annotate makes such calls direct, but for --no-rewrite, for code that is copied over other code (.altinstr_replacement), and
        where the address is pushed in another way than gcc's.
        """)
    case .noRoom:
      Text(
        "a direct call does not fit in the place of an indirect one",
        """
        The compiler put the trampoline's address into a register and calls the register. On x86-64 that call takes 2 or 3 bytes, a
        direct one 5. The missing bytes can come from the instruction that loads the register, where that stands in the same block
        in front of the call. Here it does not: it was moved out of a loop, serves several calls, or came into the register by way
        of another one; or something between them cannot be moved.
        The call works at run time, goes through the trampoline, and is not patched.
        """)
    case .registerInUse:
      Text(
        "a direct call does not fit, because the register is still needed",
        """
        On x86-64 the bytes for a direct call have to come from the instruction that loads the register. But the register serves
        further calls, is looked at by other instructions, or may be an argument of the call, so the load has to stay.
        The call works at run time, goes through the trampoline, and is not patched.
        """)
    case .notOnEveryPath:
      Text(
        "the address in the register is not the same on every path",
        """
        On some way to the call the register holds the trampoline's address, and on another it may hold something else: the source
        selects between functions, or control may come from where it is not seen (the label of an asm goto, a part of the function
        in another section such as .text.unlikely). A direct call would be wrong on that other way.
        Compilers keep an address in a register for several paths above all with -mcmodel=large. The call works at run time, goes
        through whatever the register holds, and is not patched.
        """)
    case .entered:
      Text(
        "something leads into the middle of the code that would change",
        """
        A symbol, a branch or a table names a place between the load and the call, or inside an instruction. Code that jumps there
        must find what it expects. The call stays as it is: it works, goes through the trampoline, and is not patched.
        """)
    case .unwindInfo:
      Text(
        "the unwind rules change between the load and the call",
        """
        To make room, the instructions between the load and the call would move, and with them the places where the unwind table
        (.eh_frame) changes its rules: a debugger or profiler that stops there would see a wrong call stack. The call stays as it is:
        it works, goes through the trampoline, and is not patched.
        """)
    case .namedInstruction:
      Text(
        "a table names the instructions, and something may change them",
        """
        A table such as .altinstructions, .retpoline_sites, __bug_table or .note.stapsdt names this code: the kernel, or a tracer,
        examines or replaces it. The call stays as it is: it works, goes through the trampoline, and is not patched.
        """,
        help: "Annotate the object before objtool or another tool adds such tables.")
    case .unboundedJump:
      Text(
        "a jump in the function may lead anywhere",
        """
        The function jumps to a computed address, as `goto *p` does, and takes addresses of its own code; or data names one of its nops,
        which the program may make a jump, or nothing is seen to lead to some of its code. Control might arrive between the load of the
        trampoline's address and the call. The call stays as it is: it works, goes through the trampoline, and is not patched.
        """)
    case .undecodedFunction:
      Text(
        "the function cannot be decoded as a whole",
        """
        The decoder does not know some bytes of the function. So what registers hold there cannot be proved. The call stays as it is: it
        works, goes through the trampoline, and is not patched.
        """)
    case .unreadableTables:
      Text(
        "tables of addresses cannot be read",
        """
        The unwind tables have a form that is not known, or there are relocations of another kind than SHT_RELA. Control might enter the
        function where it is not seen. The call stays as it is: it works, goes through the trampoline, and is not patched.
        """)
    case .largePositionIndependent:
      Text(
        "the address is computed from the start of the global offset table",
        """
        With -mcmodel=large, position-independent code (-fPIC or -fPIE, which many compilers use unasked) adds a distance to the start
        of the global offset table, which it keeps in a register. The direct call that would replace it might not reach.
        The call works, goes through the trampoline, and is not patched.
        Without -mcmodel=large all such calls are direct; with -fno-pie beside it annotate makes some of them direct.
        """)
    case .checkedTarget:
      Text(
        "the call's target is checked before",
        """
        With -fsanitize=kcfi the code in front of the call compares the type of the function in the register. A direct call would leave a
        check that checks nothing. The call works, goes through the trampoline, and is not patched.
        """, help: "Call __SCT__name(...), not a pointer to it: then there is no check.")
    case .testedKey:
      Text(
        "the word of the key is also looked at",
        """
        Code loads the key's word and tests, compares or stores it besides calling it: `if (key.func) key.func()`. A direct call would go
        where the key points at that moment, which may be elsewhere than where the test looked. The call stays as it is.
        That the source names the key twice does not help: compilers load it once.
        """,
        help: "Call __SCT__name(...) there, or drop the test and let the key point to a function that does nothing.")
    case .staleKey:
      Text(
        "the key may change between the load of its word and the call",
        """
        Code loads the key's word, then writes to memory or calls something, and then calls what it loaded. A direct call would go
        where the key points by then, which may be elsewhere. The call stays as it is.
        """, help: "Call __SCT__name(...) there in place of the pointer.")
    case .severalRelocations:
      Text(
        "the instruction has several relocations",
        """
        Linkers apply them one after the other, and what comes out is not certain to be the trampoline's address. No compiler writes
        that. The call stays as it is.
        """)
    case .ownTrampoline:
      Text(
        "the object defines the trampoline that the call would go to",
        """
        With --through-keys, a call through a key becomes a call of the trampoline. The trampoline itself is such a call, and so may be a
        function that it calls: made direct, it would call itself for ever. So nothing is changed where the trampoline is defined.
        """, help: "Define the trampolines in a source file of their own, and run staticcall on the others.")
    case .storedAddress:
      Text(
        "the trampoline's address is stored in memory",
        """
        The code writes the trampoline's address to memory: a variable, or a structure. That is no call. One through memory that the
        program can write works, and goes through the trampoline. Where the function itself may read the address back and call it, the
        code is SC056.
        """)
    case .unknownInstruction:
      Text(
        "an instruction between the load of the address and the call is not known",
        """
        A register gets the trampoline's address and is called further down, and in between stands an instruction of which staticcall
        does not know for certain what it changes. If it leaves the register alone, the call goes through the trampoline. It
        works, and is not patched.
        """,
        help:
          "`staticcall list --disassemble` and `objdump -d` show the code; an instruction that compilers use is worth a report."
      )
    case .keptOnStack:
      Text(
        "the address is kept on the stack between its load and the call",
        """
        The trampoline's address is written to the stack, and a call may get it from there: without optimisation, in an array of
        functions, or where the compiler had no register left. What is in memory is not followed. The call works, goes through
        the trampoline, and is not patched.
        """, help: "Compile with optimisation, or call __SCT__name(...), not a pointer to it.")
    case .notFollowed:
      Text(
        "the address may get to a call, and is not followed there",
        """
        A register gets the trampoline's address, and a call further down may go through it: over a call of a function that leaves the register
        alone (-fipa-ra), from where control comes in a way that is not seen (the label of an asm goto, an address in a table), or
        after a computation. Nobody proves that it is this address and no other. The call works, goes through whatever the register
        holds, and is not patched.
        """)
    default: nil
    }
  }

  private var tableText: Text? {
    switch self {
    case .tableSection:
      Text(
        "the table's section is malformed",
        """
        The section must be loaded, writable data (SHT_PROGBITS, SHF_ALLOC, SHF_WRITE) of whole 8-byte entries. The kernel divides the
        size by 8 and drops a rest without a word. With an alignment above 8 linkers leave gaps, which are taken for entries; with
        SHF_EXCLUDE they leave the table out. In an object the bytes are zero, and the kernel loads no module where they are not:
        relocations fill them in.
        """)
    case .missingEntry:
      Text(
        "a call has no table entry",
        """
        A call or jump goes to a trampoline, and the table does not list it. At run time it goes through the trampoline for ever and is
        never patched: correct, and slower than it need be.
        """)
    case .entryRelocation:
      Text(
        "an entry's relocations are wrong",
        """
        Each entry needs exactly two 32-bit PC-relative relocations: one for the address of the site, one for the key. With one
        missing (objtool leaves such entries behind when a key is missing), the linker fills in nonsense, and the runtime patches
        whatever is there.
        """)
    case .notCode:
      Text(
        "an entry points at something that is not code",
        "The address lies in data or nowhere. A runtime that patches the site writes a branch over whatever is there.")
    case .wrongOpcode:
      Text(
        "an entry points at an instruction that is no site",
        """
        A runtime accepts call and jmp with a 32-bit displacement, conditional jumps with one (Linux 6.3 and later), and bl and b. At
        anything else the kernel stops the machine.
        """)
    case .flagMismatch:
      Text(
        "an entry's flag does not fit the branch",
        """
        Bit 0 of the key slot says that the site is a jump (a tail call: the last thing that a function does) and not a call. With the
        wrong flag the kernel finds an opcode it does not expect, and stops the machine.
        """)
    case .keyMismatch:
      Text(
        "an entry names another key than the branch's trampoline has",
        """
        An update of that other key would redirect this call to a function that was never meant for it, and an update of its own key
        would not.
        """)
    case .notAnInstruction:
      Text(
        "an entry does not point at the start of an instruction",
        """
        The runtime would overwrite the middle of an instruction, or a prefix together with half of the branch behind it. The code
        changed after the table was made, or the table was made by a tool that records prefixes as objtool does.
        """)
    case .noTrampoline:
      Text(
        "an entry points at a branch to something else",
        """
        The branch does not go to a trampoline: an update would redirect an ordinary call.
        """)
    case .duplicateEntry:
      Text(
        "two entries own the same bytes",
        """
        Two entries name one site, or two sites overlap. An update of one destroys the other.
        """)
    case .keyAlignment:
      Text(
        "a key is not aligned",
        """
        The low two bits of a key's address hold flags, so a key must be aligned to at least 4 bytes. With a key in between, the
        runtime would use the wrong address.
        """, help: "Align the key to 8 bytes: `__attribute__((aligned(8)))` in C, `.balign 8` in assembly.")
    case .discardedSection:
      Text(
        "an entry points into a section that is discarded",
        """
        Sections like .discard.text never reach the program; the link fails, or the entry names some other code.
        """)
    case .replaceableSite:
      Text(
        "an entry refers to its site through a weak symbol",
        """
        When another object overrides the weak function, the linker lets the entry point into the other function, at an offset that
        means nothing there. All common linkers do.
        """)
    case .entryFlags:
      Text(
        "an entry has flags that belong to the runtime",
        """
        Bit 1 of the key slot is set by the kernel at boot for sites in init code. In an object it must be 0, or the site is skipped.
        """)
    case .mixedTables:
      Text(
        "tables that a linker orders and tables that it does not",
        """
        Some of the object's tables have the flag SHF_LINK_ORDER and others of the same name have not. GNU ld refuses to link them together
        ("has both ordered and unordered sections"). The objects that were combined were annotated with different --abi options.
        """)
    case .separateEntry:
      Text(
        "an entry and its site can be discarded apart",
        """
        The site is in one section group (COMDAT, for C++ inline functions and templates) and the entry in another or in none, or the table
        is tied to another section, as `ld -r` leaves it. When the linker keeps another object's copy, or collects garbage, the link
        fails, or the entry goes and the call is never patched. annotate moves such entries where they belong.
        """)
    case .staleSignature:
      Text(
        "a section group has the wrong signature",
        """
        The signature is the symbol by whose name linkers tell which groups are the same. Here it is a symbol that has nothing to do with the
        group's sections: some tool has inserted symbols and left the number as it was, as objtool does. Linkers then keep two copies of
        one function, or discard the only one.
        """, help: "Compile the object again, and find the tool that changed it afterwards.")
    case .staleAddressTable:
      Text(
        "the table of symbols with a significant address is stale",
        """
        .llvm_addrsig lists by number the symbols whose addresses are compared, which folding of identical code must keep apart. The numbers
        here are no symbols of this object: some tool has changed the symbol table and left the numbers as they were.
        """, help: "Compile the object again, and find the tool that changed it afterwards.")
    case .unreadTable:
      Text(
        "a table that the program's runtime does not read",
        """
        The program uses static_call.h, whose runtime reads the table static_call_sites, and entries are in .static_call_sites, the
        kernel's: they were written with --abi linux, or before the object said which layout it needs. The program works, and no call in that
        table is ever patched.
        annotate --rebuild moves the entries of an object, or of one that `ld -r` combined of several, into the right table.
        """)
    case .droppedTable:
      Text(
        "a linked image has static calls and no table",
        """
        The program has static calls and no table of them: its objects were never annotated, or the linker dropped the table. With
        --gc-sections it does so without a word, because nothing refers to a table. The program works, and no call is ever patched.
        To keep the table, link without --gc-sections. Or write this line into a file keep.ld, and link with -Wl,-T,keep.ld:
          SECTIONS { .static_call_sites : { KEEP(*(.static_call_sites)) } } INSERT AFTER .data;
        GNU ld and lld understand it, gold does not. In a linker script of your own, KEEP(*(.static_call_sites)) is enough.
        """, help: "Run `staticcall verify` on the objects, annotate those that it names, and link again.",
        "If it finds nothing, the linker dropped the table: link without --gc-sections, or with KEEP(*(.static_call_sites))."
      )
    default: nil
    }
  }
}
