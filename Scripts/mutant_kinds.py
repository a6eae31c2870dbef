"""The kinds of single faults that mutants.py makes, and what is right to say about each.

What is harmful follows from what reads the table, and not from what the tool does: Linux' kernel/static_call_inline.c (it masks two bits of the
key, sorts by key, takes the address as it is), arch/x86/kernel/static_call.c (BUG() on an opcode that does not fit the flag) and
arch/x86/kernel/module.c; the linkers; the psABIs. Reads ELF with struct only; shares no code with the tool.
"""

import bisect
import collections
import struct

from elf_edit import *  # noqa: F403 (names of the format)
from elf_edit import Elf

KERNEL_TABLE, USER_TABLE = ".static_call_sites", "static_call_sites"
TABLES = (KERNEL_TABLE, USER_TABLE)
TRAMPOLINE, KEY = "__SCT__", "__SCK__"
TAIL, INIT = 1, 2

# By the ELF machine: the relocation of the table's fields; those of a branch; others, whose result is another.
FIELD_TYPE = {EM_X86_64: 2, EM_AARCH64: 261}
BRANCH_TYPES = {EM_X86_64: (4, 2), EM_AARCH64: (283, 282)}
# R_X86_64_64, _32, _32S, _16, _PC16, _PC64; R_AARCH64_ABS64, _ABS32, _PREL64, _PREL16, _CALL26. Not _PLT32: for a place in the same
# object and for data it is the same number.
OTHER_FIELD_TYPES = {EM_X86_64: (1, 10, 11, 12, 13, 24), EM_AARCH64: (257, 258, 260, 262, 283)}
# R_X86_64_32, _GOTPCREL, _PC16; R_AARCH64_ABS32, _LD_PREL_LO19, _ADR_PREL_LO21.
OTHER_BRANCH_TYPES = {EM_X86_64: (10, 9, 13), EM_AARCH64: (258, 273, 274)}

MALFORMED, MISSING, RELOCATIONS, NO_CODE = "SC101", "SC102", "SC103", "SC104"
OPCODE, FLAG, OTHER_KEY, NO_INSTRUCTION, NO_TRAMPOLINE = "SC105", "SC106", "SC107", "SC108", "SC109"
DUPLICATE, KEY_ALIGNMENT, DISCARDED, WEAK, RUNTIME_FLAG = "SC110", "SC111", "SC112", "SC113", "SC114"
NO_TABLE, MIXED, SEPARATE, SIGNATURE, ADDRSIG = "SC115", "SC116", "SC117", "SC118", "SC119"
DAMAGED = "SC003"

X86_PREFIXES = ("bnd", "notrack", "cs", "ds", "es", "ss", "fs", "gs", "rep", "repz", "repnz", "data16", "addr32", "rex", "lock")


class Meaningless(Exception):
    """The change would change nothing here, or nothing that matters: another place, please."""


class Unsound(Exception):
    """What annotate wrote is not what this reader expects: the fault of the tool."""


# What is there


def branch_at(machine, code, place):
    """(kind, length, distance from its start) of the direct branch that a runtime may patch; None where there is none."""
    if machine == EM_AARCH64:
        if place % 4 or place + 4 > len(code):
            return None
        (word,) = struct.unpack_from("<I", code, place)
        if word & 0x7C000000 != 0x14000000:
            return None
        return "call" if word >> 31 else "tail", 4, 4 * (((word & 0x3FFFFFF) ^ 0x2000000) - 0x2000000)
    for kind, length, is_there in (
        ("call", 5, code[place : place + 1] == b"\xe8"),
        ("tail", 5, code[place : place + 1] == b"\xe9"),
        ("cond-tail", 6, code[place : place + 1] == b"\x0f" and code[place + 1 : place + 2] and code[place + 1] >> 4 == 8),
    ):
        if is_there and place + length <= len(code):
            return kind, length, length + struct.unpack_from("<i", code, place + length - 4)[0]
    return None


def is_direct_branch(machine, mnemonic):
    """Whether objdump's mnemonic is that of a branch with a displacement, of whatever width."""
    word = mnemonic.split()[0]
    if machine == EM_AARCH64:
        return word in ("b", "bl", "cbz", "cbnz", "tbz", "tbnz") or word.startswith("b.")
    return "*" not in mnemonic and (word.startswith(("j", "call", "loop")))


def codes_of_instruction(machine, mnemonic):
    """What is right to say about an entry at an instruction that is no site."""
    if mnemonic is None:
        return {NO_INSTRUCTION}
    if is_direct_branch(machine, mnemonic):
        # A short one is no site because of its opcode as well.
        return {OPCODE, NO_TRAMPOLINE}
    if machine == EM_X86_64 and mnemonic.split()[0].split(".")[0] in X86_PREFIXES:
        return {OPCODE, NO_INSTRUCTION}
    return {OPCODE}


# An entry of an object, by the numbers of its sections and relocations, and its site.
Entry = collections.namedtuple(
    "Entry", "table rela number address key section offset kind length site_rela site key_symbol flags call"
)


class ObjectBase:
    """A sound object with a table, and what a mutation needs to know about it."""

    subject = "object"

    def __init__(self, name, data, instructions, options):
        self.name = name
        self.data = data
        # annotate wrote the table; with the others it has nothing to do, as they have sites in COMDAT groups.
        self.is_annotated = options is not None
        self.is_module = bool(options)
        # (section's name, offset) -> objdump's text, for all starts of instructions
        self.instructions = instructions
        elf = self.elf = Elf(data)
        self.machine = elf.machine
        (self.symtab,) = elf.of_type(SHT_SYMTAB)
        self.symbols = elf.symbols(self.symtab)
        self.tables = [section.number for section in elf.named(*TABLES)]
        self.entries = [entry for table in self.tables for entry in self.read(elf.sections[table])]
        self.sites = {(entry.section, entry.offset): entry for entry in self.entries}
        if not self.entries or len(self.sites) != len(self.entries):
            raise Unsound(f"{len(self.entries)} entries for {len(self.sites)} sites")
        self.groups = {}
        for group in elf.of_type(SHT_GROUP):
            for (member,) in struct.iter_unpack("<I", elf.contents(group)[4:]):
                self.groups[member] = group.number

    def read(self, table):
        elf = self.elf
        (rela,) = elf.relocations_of(table)
        relocations = elf.relocations(rela)
        places = {relocation.offset: number for number, relocation in enumerate(relocations)}
        if sorted(places) != list(range(0, table.size, 4)) or len(relocations) != len(places):
            raise Unsound("not exactly one relocation for each field of the table")
        if {relocation.type for relocation in relocations} != {FIELD_TYPE[self.machine]} or any(elf.contents(table)):
            raise Unsound("relocation types or contents of the table")
        for number in range(table.size // 8):
            address, key = places[8 * number], places[8 * number + 4]
            symbol = self.symbols[relocations[address].symbol]
            section, offset = symbol.section, symbol.value + relocations[address].addend
            code = elf.sections[section]
            branch = branch_at(self.machine, elf.contents(code), offset)
            if not code.flags & SHF_EXECINSTR or branch is None:
                raise Unsound(f"entry {number} is at no branch")
            kind, length, _ = branch
            site_rela, site, call = self.target(code, offset + length)
            key_symbol = self.symbols[relocations[key].symbol]
            flags = relocations[key].addend
            if flags != (kind != "call") or key_symbol.name not in (KEY + call, TRAMPOLINE + call):
                raise Unsound(f"entry {number} has key {key_symbol.name} and flags {flags}, for a {kind} of {call}")
            yield Entry(
                table.number, rela.number, number, address, key, section, offset, kind, length, site_rela, site,
                key_symbol.number, flags, call,
            )  # fmt: skip

    def target(self, code, end):
        """(relocation section, number of the relocation, the static call's name) of the branch that ends there."""
        for rela in self.elf.relocations_of(code):
            for number, relocation in enumerate(self.elf.relocations(rela)):
                if relocation.offset != end - 4 or relocation.type not in BRANCH_TYPES[self.machine]:
                    continue
                symbol = self.symbols[relocation.symbol]
                addend = relocation.addend + (4 if self.machine == EM_X86_64 else 0)
                if symbol.name.startswith(TRAMPOLINE) and addend == 0:
                    return rela.number, number, symbol.name.removeprefix(TRAMPOLINE)
                # An assembler refers to a local trampoline by its section.
                for other in self.symbols:
                    if other.name.startswith(TRAMPOLINE) and (other.section, other.value) == (
                        symbol.section, symbol.value + addend,
                    ):  # fmt: skip
                        return rela.number, number, other.name.removeprefix(TRAMPOLINE)
        raise Unsound(f"no call of a trampoline ends at {code.name}+{end:#x}")


class ImageBase:
    """A sound linked image with a table."""

    subject = "image"

    def __init__(self, name, data, instructions):
        self.name = name
        self.data = data
        # address -> objdump's text
        self.instructions = instructions
        elf = self.elf = Elf(data)
        self.machine = elf.machine
        self.symtab = elf.of_type(SHT_SYMTAB)[0]
        self.symbols = elf.symbols(self.symtab)
        defined = [symbol for symbol in self.symbols if symbol.is_defined and symbol.type != STT_SECTION]
        self.keys = {symbol.value: symbol for symbol in defined if symbol.name.startswith(KEY)}
        self.trampolines = {symbol.value: symbol for symbol in defined if symbol.name.startswith(TRAMPOLINE)}
        functions = [s for s in defined if s.type == STT_FUNC and s.size and elf.sections[s.section].name.startswith(".text")]
        self.functions = sorted(functions, key=lambda symbol: symbol.value)
        self.starts = [symbol.value for symbol in self.functions]
        self.tables = elf.named(*TABLES)
        # (address of the entry, site, key, flags)
        self.entries = []
        for table in self.tables:
            for field in range(table.address, table.address + table.size, 8):
                self.entries.append((field, *self.read(elf, field)))
        self.sites = collections.defaultdict(set)
        for _, site, key, flags in self.entries:
            branch = self.branch(elf, site)
            if key not in self.keys or branch is None or flags != (branch[0] != "call"):
                raise Unsound(f"the entry for {site:#x}")
            self.sites[site].add((key, flags))

    @staticmethod
    def read(elf, field):
        """(site, key, flags) of the entry at an address."""
        site, key = struct.unpack_from("<ii", elf.data, elf.place(field))
        return field + site, (field + 4 + key) & ~3, (field + 4 + key) & 3

    def branch(self, elf, address):
        """(kind, length, address of the target) of the branch there."""
        place = elf.place(address)
        if place is None:
            return None
        code = elf.data[place : place + 8]
        branch = branch_at(self.machine, code, 0) if self.machine == EM_X86_64 or address % 4 == 0 else None
        return branch and (branch[0], branch[1], address + branch[2])

    def is_covered(self, address):
        number = bisect.bisect_right(self.starts, address) - 1
        return number >= 0 and address < self.starts[number] + self.functions[number].size

    def is_executable(self, address):
        return any(
            fields[1] & PF_X and fields[3] <= address < fields[3] + fields[6] for _, fields in self.elf.segments()
        )

    def initial_targets(self, key):
        """What a key's first word holds in the file, or the dynamic linker puts there."""
        place = self.elf.place(key)
        found = set() if place is None else {struct.unpack_from("<Q", self.elf.data, place)[0]}
        for rela in self.elf.of_type(SHT_RELA):
            found.update(r.addend for r in self.elf.relocations(rela) if r.offset == key and not r.symbol)
        return found

    def codes_at(self, address):
        """What is right to say about an entry at an address where no site is."""
        if not self.is_executable(address):
            return {NO_CODE}
        mnemonic = self.instructions.get(address)
        if mnemonic is None:
            # Where no symbol says where to decode from, a byte that could be a branch's must be taken for one.
            return {OPCODE, NO_INSTRUCTION} | (set() if self.is_covered(address) else {NO_TRAMPOLINE, OTHER_KEY})
        return codes_of_instruction(self.machine, mnemonic) | ({OTHER_KEY} if is_direct_branch(self.machine, mnemonic) else set())


# The kinds


class Kind:
    """codes: one of them must be reported for a harmful kind (a mutation may narrow them down by returning its own); besides: what
    may be reported too, as a consequence; none of either for a harmless kind."""

    def __init__(self, name, subject, codes, besides, is_outside_table, mutate, note):
        self.name = name
        self.subject = subject
        self.codes = frozenset(codes)
        self.besides = frozenset(besides)
        self.is_harmful = bool(codes)
        # Whether the fault is elsewhere than in the table: annotate, which is not asked about it, may find nothing to do.
        self.is_outside_table = is_outside_table
        self.mutate = mutate
        self.note = note


KINDS = []


def kind(subject, *codes, besides=(), outside_table=False):
    def register(mutate):
        name = mutate.__name__.replace("_", "-")
        KINDS.append(Kind(name, subject, codes, besides, outside_table, mutate, mutate.__doc__ or ""))
        return mutate

    return register


def harmless(subject):
    return kind(subject)


class Mutant:
    """A copy of a base, to be changed in one place."""

    def __init__(self, base, choices):
        self.base = base
        self.machine = base.machine
        self.is_x86 = base.machine == EM_X86_64
        self.elf = Elf(base.data)
        self.choices = choices
        self.choose = choices.choice
        self.symtab = self.elf.sections[base.symtab.number]
        self.described = ""

    def pick(self, candidates):
        candidates = list(candidates)
        if not candidates:
            raise Meaningless
        return self.choose(candidates)

    def say(self, text):
        self.described = text

    def section(self, number):
        return self.elf.sections[number]

    def change(self, rela, number, **fields):
        """Sets fields of one relocation."""
        section = self.section(rela)
        relocations = self.elf.relocations(section)
        for name, value in fields.items():
            setattr(relocations[number], name, value)
        self.elf.put_relocations(section, relocations)

    # Objects

    def entry(self, wanted=lambda entry: True):
        entry = self.pick(entry for entry in self.base.entries if wanted(entry))
        self.say(f"entry {entry.number} of section {entry.table}, {self.section(entry.section).name}+{entry.offset:#x}")
        return entry

    def relocation(self, rela, number):
        return self.elf.relocations(self.section(rela))[number]

    def codes_at(self, section, offset, entry):
        """What is right to say about an entry at a place of an object, and `entry` is the one."""
        code = self.section(section)
        if not 0 <= offset < code.size:
            return {RELOCATIONS}
        if not code.flags & SHF_EXECINSTR:
            return {NO_CODE}
        other = self.base.sites.get((section, offset))
        if other == entry:
            raise Meaningless
        if other:
            return {DUPLICATE}
        if any((section, offset + distance) in self.base.sites for distance in range(1, 4)):
            mnemonic = self.base.instructions.get((code.name, offset + 1), "")
            if not mnemonic and self.base.instructions.get((code.name, offset)):
                # A prefix of a branch that begins behind it.
                return {OPCODE, NO_INSTRUCTION}
        return codes_of_instruction(self.machine, self.base.instructions.get((code.name, offset)))

    def aim(self, entry, section, offset):
        """Lets the entry name another place, through a symbol that is there."""
        candidates = [s for s in self.base.symbols if s.section == section and s.binding == STB_LOCAL and s.is_defined]
        if not candidates:
            candidates = [s for s in self.base.symbols if s.section == section and s.binding == STB_GLOBAL]
        symbol = self.pick(candidates)
        self.change(entry.rela, entry.address, symbol=symbol.number, addend=offset - symbol.value)
        self.say(f"{self.described} -> {self.section(section).name}+{offset:#x}")
        return self.codes_at(section, offset, entry)

    def drop_entry(self, entry):
        """Takes one entry out of its table, with its relocations."""
        relocations = [r for r in self.elf.relocations(self.section(entry.rela)) if r.offset // 8 != entry.number]
        for relocation in relocations:
            if relocation.offset // 8 > entry.number:
                relocation.offset -= 8
        self.elf.put_relocations(self.section(entry.rela), relocations)
        table = self.section(entry.table)
        self.elf.replace(table, bytes(table.size - 8))

    def append_entry(self, entry, address, key):
        """Adds an entry behind the last, with these two relocations."""
        table, rela = self.section(entry.table), self.section(entry.rela)
        relocations = self.elf.relocations(rela)
        for relocation, offset in ((address, table.size), (key, table.size + 4)):
            if relocation:
                copy = relocation.copy()
                copy.offset = offset
                relocations.append(copy)
        self.elf.put_relocations(rela, relocations)
        self.elf.replace(table, bytes(table.size + 8))

    def patch_code(self, entry, patch):
        code = self.section(entry.section)
        place = code.offset + entry.offset
        old = bytes(self.elf.data[place : place + len(patch)])
        if old == patch:
            raise Meaningless
        self.elf.data[place : place + len(patch)] = patch
        self.say(f"{self.described}: {old.hex()} -> {patch.hex()}")

    # Images

    def image_entry(self, is_only=True, is_certain=False):
        """An entry; by default one that no other stands for; with is_certain, whose branch cannot be meant for something else.

        A branch to the next instruction is also what a linker makes of a call of an undefined weak function on AArch64 (AAELF64): verify
        rightly does not insist that it is a call of the trampoline that happens to be there."""
        counts = collections.Counter(site for _, site, _, _ in self.base.entries)
        entry = self.pick(entry for entry in self.base.entries if not is_only or counts[entry[1]] == 1)
        kind, length, target = self.base.branch(self.elf, entry[1])
        if is_certain and not self.is_x86 and target == entry[1] + length:
            raise Meaningless
        self.say(f"entry at {entry[0]:#x}, site {entry[1]:#x}")
        return entry

    def write(self, address, data):
        place = self.elf.place(address)
        if place is None:
            raise Meaningless
        old = bytes(self.elf.data[place : place + len(data)])
        if old == data:
            raise Meaningless
        self.elf.data[place : place + len(data)] = data
        self.say(f"{self.described}, {old.hex()} -> {data.hex()}")

    def write_entry(self, field, site, key, flags):
        self.write(field, struct.pack("<ii", site - field, key + flags - field - 4))

    def aim_image(self, entry, address):
        field, site, key, flags = entry
        if address == site:
            raise Meaningless
        self.write_entry(field, address, key, flags)
        if address in self.base.sites:
            # Where it is the very entry of the other site, only the one that was lost remains to be reported.
            return {MISSING} if (key, flags) in self.base.sites[address] else {DUPLICATE}
        branch = self.base.branch(self.elf, address)
        if branch and branch[2] in self.base.initial_targets(key):
            raise Meaningless  # Like a site that was patched already.
        return self.base.codes_at(address)


# Objects: the address of an entry

LOST = (MISSING,)
# An entry that leaves its site may leave its group as well.
MOVED = (MISSING, SEPARATE)


@kind("object", NO_INSTRUCTION, OPCODE, NO_TRAMPOLINE, DUPLICATE, RELOCATIONS, besides=MOVED + (FLAG, OTHER_KEY))
def address_moved(m):
    """A few bytes off, as after a change of the code. On AArch64 four bytes are the neighbour."""
    entry = m.entry()
    distance = m.choose([1, -1, 2, -2, 3, 4, -4, 5, 8, -8])
    addend = m.relocation(entry.rela, entry.address).addend
    codes = m.codes_at(entry.section, entry.offset + distance, entry)
    m.change(entry.rela, entry.address, addend=addend + distance)
    m.say(f"{m.described}, {distance:+}")
    return codes


@kind("object", NO_INSTRUCTION, besides=MOVED)
def address_inside_its_branch(m):
    entry = m.entry()
    addend = m.relocation(entry.rela, entry.address).addend
    m.change(entry.rela, entry.address, addend=addend + m.choices.randrange(1, entry.length))


@kind("object", OPCODE, NO_TRAMPOLINE, NO_INSTRUCTION, besides=MOVED)
def address_of_another_instruction(m):
    entry = m.entry()
    sections = {section.name: section.number for section in m.elf.sections if section.flags & SHF_EXECINSTR}
    name, offset = m.pick(m.base.instructions)
    if (sections[name], offset) in m.base.sites:
        raise Meaningless
    return m.aim(entry, sections[name], offset)


@kind("object", OPCODE, NO_TRAMPOLINE, besides=MOVED)
def address_of_another_function(m):
    entry = m.entry()
    functions = [s for s in m.base.symbols if s.type == STT_FUNC and s.is_defined and s.binding != STB_WEAK]
    symbol = m.pick(s for s in functions if (s.section, s.value) not in m.base.sites)
    m.change(entry.rela, entry.address, symbol=symbol.number, addend=0)
    m.say(f"{m.described} -> {symbol.name}")
    return m.codes_at(symbol.section, symbol.value, entry)


@kind("object", DUPLICATE, besides=MOVED + (FLAG, OTHER_KEY))
def address_of_another_site(m):
    """Two entries for one site: an update of one key destroys the other's call."""
    entry = m.entry()
    other = m.pick(other for other in m.base.entries if other != entry)
    return m.aim(entry, other.section, other.offset)


@kind("object", NO_CODE, besides=MOVED)
def address_in_data(m):
    entry = m.entry()
    symbols = [s for s in m.base.symbols if s.is_defined and s.binding != STB_WEAK]
    sections = {s.section for s in symbols}
    section = m.pick(
        m.section(n) for n in sections if not m.section(n).flags & SHF_EXECINSTR and m.section(n).size
        and m.section(n).type in (SHT_PROGBITS, SHT_NOBITS) and m.section(n).flags & SHF_ALLOC
    )  # fmt: skip
    return m.aim(entry, section.number, m.choices.randrange(section.size))


@kind("object", RELOCATIONS, besides=LOST)
def address_outside_its_section(m):
    entry = m.entry()
    size = m.section(entry.section).size
    return m.aim(entry, entry.section, m.choose([-1, -4, size, size + 4, size + 0x1000, 1 << 40, -(1 << 40)]))


@kind("object", RELOCATIONS, besides=LOST)
def address_without_a_symbol(m):
    entry = m.entry()
    m.change(entry.rela, entry.address, symbol=0)


@kind("object", RELOCATIONS, besides=LOST)
def address_of_an_undefined_symbol(m):
    entry = m.entry()
    number = m.elf.add_symbol(m.symtab, "elsewhere", STB_GLOBAL, STT_NOTYPE, SHN_UNDEF)
    m.change(entry.rela, entry.address, symbol=number, addend=m.choose([0, entry.offset]))


@kind("object", RELOCATIONS, NO_CODE, besides=LOST)
def address_of_an_absolute_symbol(m):
    entry = m.entry()
    number = m.elf.add_symbol(m.symtab, "constant", STB_GLOBAL, STT_NOTYPE, SHN_ABS, entry.offset)
    m.change(entry.rela, entry.address, symbol=number, addend=0)


@kind("object", WEAK)
def address_through_a_weak_symbol(m):
    """Another object's function of this name replaces it, and the entry points into that one (all four linkers do so). In a COMDAT
    group too: the members of another object's group may have other code."""
    entry = m.entry()
    number = m.elf.add_symbol(m.symtab, "replaceable", STB_WEAK, STT_FUNC, entry.section, entry.offset & ~15)
    m.change(entry.rela, entry.address, symbol=number, addend=entry.offset % 16)


@harmless("object")
def address_through_a_strong_symbol(m):
    """A second definition would end the link; a hand-written table may do it."""
    entry = m.entry()
    number = m.elf.add_symbol(m.symtab, "strong", STB_GLOBAL, STT_FUNC, entry.section, entry.offset & ~15)
    m.change(entry.rela, entry.address, symbol=number, addend=entry.offset % 16)


# Objects: the key of an entry


@kind("object", FLAG)
def tail_flag_flipped(m):
    entry = m.entry()
    m.change(entry.rela, entry.key, addend=entry.flags ^ TAIL)


@kind("object", RUNTIME_FLAG)
def init_flag_set(m):
    """The kernel sets it for sites that it will not patch again."""
    entry = m.entry()
    m.change(entry.rela, entry.key, addend=entry.flags | INIT)


@kind("object", RUNTIME_FLAG, OTHER_KEY)
def key_addend_out_of_range(m):
    """What is above the two flags is another address."""
    entry = m.entry()
    m.change(entry.rela, entry.key, addend=entry.flags + m.choose([4, 8, 16, -4, -8, 1 << 20, 1 << 31, 1 << 32, -1 << 40]))


@kind("object", OTHER_KEY)
def key_of_another_call(m):
    entry = m.entry()
    symbol = m.pick(s for s in m.base.symbols if s.name.startswith(KEY) and s.name != KEY + entry.call)
    m.change(entry.rela, entry.key, symbol=symbol.number)
    m.say(f"{m.described} -> {symbol.name}")


@kind("object", OTHER_KEY)
def key_of_another_files_call(m):
    """After `ld -r`, two static calls of one name stand side by side, each in its own file."""
    entry = m.entry(lambda entry: m.base.symbols[entry.key_symbol].binding == STB_LOCAL)
    symbol = m.pick(s for s in m.base.symbols if s.name == KEY + entry.call and s.number != entry.key_symbol)
    m.change(entry.rela, entry.key, symbol=symbol.number)


@kind("object", OTHER_KEY)
def key_that_is_none(m):
    entry = m.entry()
    symbol = m.pick(s for s in m.base.symbols if s.number and not s.name.startswith((KEY, TRAMPOLINE)) and s.type != STT_FILE)
    if symbol.type == STT_SECTION and symbol.section == m.base.symbols[entry.key_symbol].section:
        raise Meaningless  # The key may be the first thing in it.
    m.change(entry.rela, entry.key, symbol=symbol.number)
    m.say(f"{m.described} -> {symbol.name}")


@kind("object", OTHER_KEY, RELOCATIONS)
def key_without_a_symbol(m):
    entry = m.entry()
    m.change(entry.rela, entry.key, symbol=0)


@kind("object", OTHER_KEY)
def trampoline_for_the_key(m):
    """The kernel looks trampolines up only in modules, and only those whose keys are exported. An object that has the key names it;
    another trampoline is wrong in any case."""
    entry = m.entry()
    symbols = [s for s in m.base.symbols if s.name.startswith(TRAMPOLINE) and s.type != STT_SECTION]
    keyless = m.base.symbols[entry.key_symbol].name.startswith(TRAMPOLINE)
    symbol = m.pick(s for s in symbols if s.name != TRAMPOLINE + entry.call or not keyless)
    m.change(entry.rela, entry.key, symbol=symbol.number)
    m.say(f"{m.described} -> {symbol.name}")


@kind("object", KEY_ALIGNMENT)
def key_misaligned(m):
    """The low two bits are flags: the runtime would use another address."""
    entry = m.entry(lambda entry: m.base.symbols[entry.key_symbol].is_defined)
    symbol = m.base.symbols[entry.key_symbol]
    if not symbol.name.startswith(KEY):
        raise Meaningless
    if m.choose([True, False]):
        symbol = m.elf.symbols(m.symtab)[symbol.number]
        symbol.value += m.choose([1, 2, 3])
        m.elf.put_symbol(m.symtab, symbol)
    else:
        m.section(symbol.section).alignment = m.choose([0, 1, 2])


@kind("object", OTHER_KEY)
def key_renamed(m):
    """To no key, or to the key of another call."""
    entry = m.entry(lambda entry: m.base.symbols[entry.key_symbol].name.startswith(KEY))
    symbol = m.base.symbols[entry.key_symbol]
    m.elf.rename_symbol(m.symtab, symbol, m.choose(["key", "__SCK", "__SCK__never", "__SCK__" + entry.call + "s", "__sck__" + entry.call]))


# Objects: relocations of the table


@kind("object", RELOCATIONS, besides=LOST)
def relocation_of_another_type(m):
    entry = m.entry()
    m.change(entry.rela, m.choose([entry.address, entry.key]), type=m.choose(OTHER_FIELD_TYPES[m.machine]))


@kind("object", RELOCATIONS, besides=LOST)
def relocation_none(m):
    """As linkers leave behind where they discarded what it named."""
    entry = m.entry()
    m.change(entry.rela, m.choose([entry.address, entry.key]), type=0)


@kind("object", RELOCATIONS, besides=LOST)
def relocation_deleted(m):
    """As objtool leaves behind where a key is missing."""
    entry = m.entry()
    relocations = m.elf.relocations(m.section(entry.rela))
    del relocations[m.choose([entry.address, entry.key])]
    m.elf.put_relocations(m.section(entry.rela), relocations)


@kind("object", RELOCATIONS, besides=LOST)
def relocation_twice(m):
    """The second with another addend. The same twice would be no harm, and is not made here: whether to report it is a matter of taste."""
    entry = m.entry()
    relocations = m.elf.relocations(m.section(entry.rela))
    copy = relocations[m.choose([entry.address, entry.key])].copy()
    copy.addend += m.choose([1, 4, -4])
    relocations.insert(m.choices.randrange(len(relocations) + 1), copy)
    m.elf.put_relocations(m.section(entry.rela), relocations)


@kind("object", RELOCATIONS, DAMAGED, besides=LOST)
def relocation_shifted(m):
    """Out of its section, it is no ELF file any more."""
    entry = m.entry()
    number = m.choose([entry.address, entry.key])
    offset = m.relocation(entry.rela, number).offset
    m.change(entry.rela, number, offset=(offset + m.choose([1, -1, 2, -2, 3, 4, -4, 8, 1 << 32])) % (1 << 64))


@kind("object", RELOCATIONS, NO_CODE, OTHER_KEY, besides=MOVED)
def relocations_exchanged(m):
    """Address and key have changed places."""
    entry = m.entry()
    address, key = (m.relocation(entry.rela, number).offset for number in (entry.address, entry.key))
    m.change(entry.rela, entry.address, offset=key)
    m.change(entry.rela, entry.key, offset=address)


@kind("object", RELOCATIONS, DAMAGED, besides=LOST)
def relocations_lost(m):
    """The section of relocations belongs to another section, or is none."""
    entry = m.entry()
    rela = m.section(entry.rela)
    # SHT_REL is another form, in which the addends are in the table's own bytes.
    if m.choose([True, False]):
        rela.type = m.choose([SHT_PROGBITS, 9])
    else:
        empty = [s.number for s in m.elf.sections if s.type == SHT_PROGBITS and s.size == 0 and s.number != entry.table]
        rela.info = m.pick(empty)


@kind("object", DAMAGED)
def relocation_of_no_symbol(m):
    """A number that is beyond the symbol table."""
    entry = m.entry()
    m.change(entry.rela, m.choose([entry.address, entry.key]), symbol=len(m.base.symbols) + m.choose([0, 1, 1 << 20]))


@harmless("object")
def relocations_permuted(m):
    """Linkers take them in any order."""
    entry = m.entry()
    relocations = m.elf.relocations(m.section(entry.rela))
    m.choices.shuffle(relocations)
    m.elf.put_relocations(m.section(entry.rela), relocations)


# Objects: the table's section


@kind("object", MALFORMED, DAMAGED, besides=(MISSING, RELOCATIONS))
def table_of_a_broken_size(m):
    """The kernel divides by 8 and drops the rest."""
    entry = m.entry()
    table = m.section(entry.table)
    if m.choose([True, False]):
        table.size -= m.choices.randrange(1, 8)
    else:
        m.elf.replace(table, bytes(table.size + m.choices.randrange(1, 8)))


@kind("object", MISSING)
def entry_missing(m):
    m.drop_entry(m.entry())


@kind("object", RELOCATIONS, DAMAGED, besides=LOST)
def table_cut(m):
    """By a whole entry, whose relocations stay and lie outside of the section: no sound ELF file, and linkers refuse it too."""
    m.section(m.entry().table).size -= 8


@kind("object", MISSING)
def table_renamed(m):
    m.elf.rename_section(m.section(m.entry().table), m.choose([".static_call_site", ".static_call_sites.", "sites", ""]))


@kind("object", MALFORMED, DAMAGED, besides=LOST)
def table_of_another_type(m):
    """SHT_NOBITS, SHT_NOTE, SHT_NULL's neighbour SHT_STRTAB, SHT_INIT_ARRAY. A string table that has relocations is damage."""
    m.section(m.entry().table).type = m.choose([8, 7, 3, 14])


@kind("object", MALFORMED)
def table_flag_missing(m):
    """Not loaded; or not writable, and the kernel sorts it in place. The user's table is read only."""
    table = m.section(m.entry().table)
    flag = m.choose([SHF_ALLOC, SHF_WRITE])
    if not table.flags & flag:
        raise Meaningless
    table.flags &= ~flag
    m.say(f"{m.described}: flags {table.flags:#x}")


@kind("object", MALFORMED, DAMAGED, besides=LOST)
def table_flag_surplus(m):
    """SHF_EXCLUDE: linkers leave the section out. SHF_TLS: each thread's copy moves away from the code. SHF_COMPRESSED: it is not what is
    there. SHF_MERGE: a linker may take its zeros for equal constants."""
    table = m.section(m.entry().table)
    table.flags |= m.choose([SHF_EXCLUDE, SHF_TLS, SHF_COMPRESSED, SHF_MERGE])
    m.say(f"{m.described}: flags {table.flags:#x}")


@kind("object", MALFORMED)
def table_of_another_entry_size(m):
    m.section(m.entry().table).entsize = m.choose([1, 4, 12, 16, 24, 1 << 40])


@kind("object", MALFORMED)
def table_aligned_too_much(m):
    """GNU ld, gold, lld and mold leave a gap between two objects' tables, and the runtime takes it for an entry of zeros."""
    table = m.section(m.entry().table)
    table.alignment = m.choose([16, 32, 4096])


@kind("object", MALFORMED, RELOCATIONS)
def table_with_contents(m):
    """The kernel refuses a module with it on x86-64 (arch/x86/kernel/module.c: "Invalid relocation target, existing value is
    nonzero"), and what adds to the field, as REL relocations do, points elsewhere."""
    entry = m.entry()
    place = m.section(entry.table).offset + 8 * entry.number + m.choices.randrange(8)
    m.elf.data[place] = m.choices.randrange(1, 256)


@kind("object", DUPLICATE)
def entry_twice(m):
    """An object's entry twice is made by no tool on purpose; the runtime would patch the site twice."""
    entry = m.entry()
    m.append_entry(entry, m.relocation(entry.rela, entry.address), m.relocation(entry.rela, entry.key))


@kind("object", DUPLICATE)
def entry_twice_with_another_key(m):
    entry = m.entry()
    key = m.relocation(entry.rela, entry.key)
    if m.choose([True, False]):
        key.addend ^= TAIL
    else:
        key.symbol = m.pick(s.number for s in m.base.symbols if s.name.startswith(KEY) and s.name != KEY + entry.call)
    m.append_entry(entry, m.relocation(entry.rela, entry.address), key)


@kind("object", RELOCATIONS)
def entry_of_zeros(m):
    m.append_entry(m.entry(), None, None)


@kind("object", RELOCATIONS)
def entry_half_filled(m):
    entry = m.entry()
    fields = [m.relocation(entry.rela, entry.address), m.relocation(entry.rela, entry.key)]
    fields[m.choose([0, 1])] = None
    m.append_entry(entry, *fields)


@kind("object", DAMAGED)
def table_beyond_the_file(m):
    entry = m.entry()
    section = m.section(m.choose([entry.table, entry.rela]))
    section.offset = len(m.elf.data) + m.choose([0, 1 << 20, 1 << 62])


@harmless("object")
def entry_size_of_zero(m):
    """`ld -r` drops it."""
    m.section(m.entry().table).entsize = 0


@harmless("object")
def table_not_aligned(m):
    """objtool's are not; the kernel's linker script and every other object's table align it. Its place in the file does not matter."""
    table = m.section(m.entry(lambda entry: m.section(entry.table).name == KERNEL_TABLE).table)
    contents = m.elf.contents(table)
    table.alignment = m.choose([0, 1, 2])
    m.elf.data += bytes(-len(m.elf.data) % 16 + m.choose([1, 3, 7]))
    table.offset = len(m.elf.data)
    m.elf.data += contents


@harmless("object")
def table_aligned_to_8(m):
    m.section(m.entry().table).alignment = 8


@harmless("object")
def entries_permuted(m):
    """The runtime sorts."""
    entry = m.entry(lambda entry: m.section(entry.table).size > 8)
    order = list(range(m.section(entry.table).size // 8))
    m.choices.shuffle(order)
    relocations = m.elf.relocations(m.section(entry.rela))
    for relocation in relocations:
        relocation.offset = 8 * order[relocation.offset // 8] + relocation.offset % 8
    m.elf.put_relocations(m.section(entry.rela), relocations)


# Objects: the code

PATCHED_CODE = (OPCODE, NO_INSTRUCTION, NO_TRAMPOLINE)


@kind("object", FLAG)
def call_and_jump_exchanged(m):
    """e8 and e9, bl and b."""
    entry = m.entry(lambda entry: entry.kind != "cond-tail")
    if m.is_x86:
        m.patch_code(entry, b"\xe9" if entry.kind == "call" else b"\xe8")
    else:
        m.patch_code(entry, bytes(3) + (b"\x14" if entry.kind == "call" else b"\x94"))


@kind("object", *PATCHED_CODE)
def another_opcode(m):
    """Where the kernel would stop, or overwrite half of something else."""
    entry = m.entry()
    if m.is_x86 and entry.kind == "cond-tail":
        m.patch_code(entry, b"\x0f" + bytes([m.choose([0x94, 0x44, 0x0B, 0x1F, 0x70])]))
    elif m.is_x86:
        m.patch_code(entry, bytes([m.choose([0xEB, 0xE3, 0xE0, 0x70, 0x75, 0xB8, 0x3D, 0x68, 0xA9, 0xC3, 0xCC, 0x90, 0x66, 0x2E, 0x05])]))
    else:
        # blr x8, br x8, ret, nop, brk, cbz, tbz, adr, udf; b.ne
        word = m.choose([0xD63F0100, 0xD61F0100, 0xD65F03C0, 0xD503201F, 0xD4200000, 0xB4000000, 0x36000000, 0x10000000, 0, 0x54000001])
        m.patch_code(entry, struct.pack("<I", word))


@kind("object", *PATCHED_CODE)
def branch_replaced_by_nop(m):
    """The kernel takes a nop for its own work at a call; in an object the linker would then write a displacement into it."""
    entry = m.entry(lambda entry: entry.kind == "call")
    patches = [b"\x0f\x1f\x44\x00\x00", b"\x90" * 5, b"\x2e\x2e\x2e\x31\xc0"] if m.is_x86 else [b"\x1f\x20\x03\xd5"]
    m.patch_code(entry, m.choose(patches))


@kind("object", NO_TRAMPOLINE)
def branch_without_relocation(m):
    entry = m.entry()
    relocations = m.elf.relocations(m.section(entry.site_rela))
    if m.choose([True, False]):
        relocations[entry.site].type = 0
        relocations[entry.site].symbol = m.choose([0, relocations[entry.site].symbol])
    else:
        del relocations[entry.site]
    m.elf.put_relocations(m.section(entry.site_rela), relocations)


@kind("object", OTHER_KEY)
def branch_to_another_trampoline(m):
    entry = m.entry()
    symbol = m.pick(s for s in m.base.symbols if s.name.startswith(TRAMPOLINE) and s.name != TRAMPOLINE + entry.call)
    m.change(entry.site_rela, entry.site, symbol=symbol.number, addend=-4 if m.is_x86 else 0)
    m.say(f"{m.described} -> {symbol.name}")


@kind("object", NO_TRAMPOLINE)
def branch_to_an_ordinary_function(m):
    entry = m.entry()
    symbol = m.pick(s for s in m.base.symbols if s.type == STT_FUNC and not s.name.startswith(TRAMPOLINE))
    m.change(entry.site_rela, entry.site, symbol=symbol.number, addend=-4 if m.is_x86 else 0)
    m.say(f"{m.described} -> {symbol.name}")


@kind("object", NO_TRAMPOLINE, OTHER_KEY)
def branch_beside_the_trampoline(m):
    """A step of 16 may lead to the next one."""
    entry = m.entry()
    addend = m.relocation(entry.site_rela, entry.site).addend
    m.change(entry.site_rela, entry.site, addend=addend + m.choose([4, -4, 8, 16, 0x1000, -0x1000]))
    if m.base.symbols[m.relocation(entry.site_rela, entry.site).symbol].type != STT_SECTION:
        return {NO_TRAMPOLINE}
    return None


@kind("object", OPCODE, NO_TRAMPOLINE)
def branch_with_relocation_of_another_type(m):
    entry = m.entry()
    m.change(entry.site_rela, entry.site, type=m.choose(OTHER_BRANCH_TYPES[m.machine]))


@kind("object", OPCODE, NO_TRAMPOLINE, OTHER_KEY, DUPLICATE)
def branch_with_two_relocations(m):
    """The later one prevails: where it leads nobody can know who looks at one."""
    entry = m.entry()
    relocations = m.elf.relocations(m.section(entry.site_rela))
    copy = relocations[entry.site].copy()
    copy.symbol = m.pick(s.number for s in m.base.symbols if s.type in (STT_FUNC, STT_NOTYPE) and s.number and s.number != copy.symbol
                         and s.name and s.name != TRAMPOLINE + entry.call)
    copy.addend = -4 if m.is_x86 else 0
    relocations.insert(entry.site + m.choose([0, 1]), copy)
    m.elf.put_relocations(m.section(entry.site_rela), relocations)
    m.say(f"{m.described}, and to {m.base.symbols[copy.symbol].name}")


@harmless("object")
def branch_with_relocation_of_equal_effect(m):
    """R_X86_64_PC32 for PLT32, as older assemblers write; R_AARCH64_JUMP26 for CALL26 and back: the linkers treat them alike."""
    entry = m.entry()
    old = m.relocation(entry.site_rela, entry.site).type
    m.change(entry.site_rela, entry.site, type=m.pick(t for t in BRANCH_TYPES[m.machine] if t != old))


@kind("object", NO_TRAMPOLINE)
def trampoline_renamed(m):
    """It is none any more."""
    entry = m.entry()
    symbol = m.pick(s for s in m.base.symbols if s.name == TRAMPOLINE + entry.call)
    m.elf.rename_symbol(m.symtab, symbol, m.choose(["trampoline", "__SCT", "__sct__" + entry.call, "x__SCT__" + entry.call]))


@kind("object", OTHER_KEY)
def trampoline_of_another_name(m):
    entry = m.entry(lambda entry: m.base.symbols[entry.key_symbol].name.startswith(KEY))
    symbol = m.pick(s for s in m.base.symbols if s.name == TRAMPOLINE + entry.call)
    m.elf.rename_symbol(m.symtab, symbol, TRAMPOLINE + m.choose(["never", entry.call + "s", entry.call[:-1]]))


@kind("object", NO_CODE, besides=LOST)
def code_not_executable(m):
    m.section(m.entry().section).flags &= ~SHF_EXECINSTR


@kind("object", DISCARDED)
def code_in_a_discarded_section(m):
    entry = m.entry()
    m.elf.rename_section(m.section(entry.section), m.choose([".discard.text", ".discard.x", ".altinstr_aux"]))


# Objects: groups, order, tables of symbol numbers


@kind("object", SEPARATE)
def table_left_its_group(m):
    entry = m.entry(lambda entry: entry.table in m.base.groups)
    group = m.section(m.base.groups[entry.table])
    words = [word for (word,) in struct.iter_unpack("<I", m.elf.contents(group)) if word not in (entry.table, entry.rela)]
    m.elf.replace(group, struct.pack(f"<{len(words)}I", *words))
    for number in (entry.table, entry.rela):
        m.section(number).flags &= ~SHF_GROUP


@kind("object", SEPARATE)
def table_in_another_group(m):
    """The table of ordinary code, which goes with the group."""
    entry = m.entry(lambda entry: entry.table not in m.base.groups)
    group = m.section(m.pick(set(m.base.groups.values())))
    m.elf.replace(group, m.elf.contents(group) + struct.pack("<II", entry.table, entry.rela))
    for number in (entry.table, entry.rela):
        m.section(number).flags |= SHF_GROUP


@kind("object", SEPARATE)
def tables_of_two_groups_exchanged(m):
    """Each group has the other's table."""
    entry = m.entry(lambda entry: entry.table in m.base.groups)
    other = m.pick(o for o in m.base.entries if o.table in m.base.groups and m.base.groups[o.table] != m.base.groups[entry.table])
    exchange = {entry.table: other.table, other.table: entry.table, entry.rela: other.rela, other.rela: entry.rela}
    for one in (entry, other):
        group = m.section(m.base.groups[one.table])
        words = [exchange.get(word, word) for (word,) in struct.iter_unpack("<I", m.elf.contents(group))]
        m.elf.replace(group, struct.pack(f"<{len(words)}I", *words))


@kind("object", SEPARATE)
def entry_in_a_group_that_is_not_its_sites(m):
    """The entry of ordinary code in the table of a group."""
    entry = m.entry(lambda entry: entry.table not in m.base.groups)
    other = m.pick(other for other in m.base.entries if other.table in m.base.groups)
    address, key = m.relocation(entry.rela, entry.address), m.relocation(entry.rela, entry.key)
    m.drop_entry(entry)
    m.append_entry(other, address, key)


@kind("object", MIXED, SEPARATE)
def order_lost(m):
    """GNU ld refuses ordered and unordered input sections of one name ("has both ordered and unordered sections"), lld and mold sort
    by nothing."""
    table = m.section(m.entry(lambda entry: m.section(entry.table).flags & SHF_LINK_ORDER).table)
    table.flags &= ~SHF_LINK_ORDER


@kind("object", SEPARATE)
def order_by_another_section(m):
    """The table goes where that section goes: away, with --gc-sections."""
    entry = m.entry(lambda entry: m.section(entry.table).flags & SHF_LINK_ORDER)
    others = {other.section for other in m.base.entries} - {entry.section}
    m.section(entry.table).link = m.pick(others)


@kind("object", SIGNATURE, DAMAGED, outside_table=True)
def group_signature_stale(m):
    """As after an insertion of symbols. To no symbol, another section's, a file's: these name no group for any compiler. Any other symbol
    may be meant so: clang and gas let a group be called by whatever they like, and verify warns at most. By the symbol of the group's own
    section GNU ld calls a group by that section's name."""
    group = m.section(m.pick(m.elf.of_type(SHT_GROUP)).number)
    members = {member for member, number in m.base.groups.items() if number == group.number}
    symbols = [s for s in m.base.symbols if s.type in (STT_FILE, STT_SECTION) or s.number == 0]
    symbol = m.pick(s for s in symbols if s.number != group.info and s.section not in members | {group.number})
    group.info = symbol.number
    m.say(f"{symbol.number} {symbol.name}")


@kind("object", ADDRSIG, outside_table=True)
def addrsig_stale(m):
    """A number that is no symbol's, that is the file's, or that does not end. What became another symbol's number cannot be told from
    a right one."""
    table = m.section(m.pick(m.elf.of_type(SHT_LLVM_ADDRSIG)).number)
    if m.section(table.link).type != SHT_SYMTAB:
        raise Meaningless

    def uleb(number):
        return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + uleb(number >> 7)

    files = [s.number for s in m.base.symbols if s.type == STT_FILE]
    stray = m.choose([0, len(m.base.symbols), len(m.base.symbols) + 1000, 1 << 31, 1 << 40, *files])
    m.elf.replace(table, uleb(stray) + m.elf.contents(table))
    m.say(f"{stray}")


# Images: the table

MISSED = (MISSING, FLAG, OTHER_KEY, NO_TRAMPOLINE)


@kind("image", NO_INSTRUCTION, OPCODE, NO_TRAMPOLINE, NO_CODE, DUPLICATE, OTHER_KEY, MISSING, besides=MISSED)
def image_address_moved(m):
    entry = m.image_entry()
    return m.aim_image(entry, entry[1] + m.choose([1, -1, 2, -2, 3, 4, -4, 5, 8, -8]))


@kind("image", OPCODE, NO_TRAMPOLINE, NO_INSTRUCTION, OTHER_KEY, besides=MISSED)
def image_address_of_another_instruction(m):
    entry = m.image_entry()
    address = m.pick(m.base.instructions)
    if address in m.base.sites:
        raise Meaningless
    return m.aim_image(entry, address)


@kind("image", OPCODE, NO_TRAMPOLINE, OTHER_KEY, besides=MISSED)
def image_address_of_another_function(m):
    entry = m.image_entry()
    return m.aim_image(entry, m.pick(s.value for s in m.base.functions if s.value not in m.base.sites))


@kind("image", DUPLICATE, MISSING, besides=MISSED)
def image_address_of_another_site(m):
    entry = m.image_entry(is_certain=True)
    return m.aim_image(entry, m.pick(m.base.sites))


@kind("image", NO_CODE, besides=LOST)
def image_address_in_data(m):
    entry = m.image_entry()
    section = m.pick(s for s in m.elf.sections if s.flags & SHF_ALLOC and s.flags & SHF_WRITE and s.size and not s.flags & SHF_TLS)
    return m.aim_image(entry, section.address + m.choices.randrange(section.size))


@kind("image", NO_CODE, besides=LOST)
def image_address_in_nothing(m):
    entry = m.image_entry()
    end = max(fields[3] + fields[6] for _, fields in m.elf.segments())
    return m.aim_image(entry, end + m.choose([0x1000, 0x100000, 0x10000000]))


@kind("image", OTHER_KEY)
def image_key_of_another_call(m):
    field, site, key, flags = m.image_entry()
    m.write_entry(field, site, m.pick(other for other in m.base.keys if other != key), flags)


@kind("image", OTHER_KEY)
def image_key_that_is_none(m):
    field, site, key, flags = m.image_entry()
    objects = [s for s in m.base.symbols if s.is_defined and s.type in (STT_OBJECT, STT_FUNC) and s.value % 4 == 0]
    symbol = m.pick(s for s in objects if s.value not in m.base.keys and s.value not in m.base.trampolines)
    m.write_entry(field, site, symbol.value, flags)
    m.say(f"{m.described}, {symbol.name}")


@kind("image", OTHER_KEY)
def image_key_moved(m):
    field, site, key, flags = m.image_entry()
    other = key + m.choose([4, 8, -4, -8, 0x1000, -0x1000])
    if other in m.base.keys:
        raise Meaningless
    m.write_entry(field, site, other, flags)


@kind("image", OTHER_KEY)
def image_trampoline_of_another_call_for_the_key(m):
    """The right one is what a module's entry may have."""
    field, site, key, flags = m.image_entry()
    name = m.base.keys[key].name.removeprefix(KEY)
    address = m.pick(a for a, s in m.base.trampolines.items() if s.name != TRAMPOLINE + name and a % 4 == 0)
    m.write_entry(field, site, address, flags)


@kind("image", FLAG)
def image_tail_flag_flipped(m):
    field, site, key, flags = m.image_entry()
    m.write_entry(field, site, key, flags ^ TAIL)


@kind("image", RUNTIME_FLAG, besides=(FLAG,))
def image_init_flag_set(m):
    field, site, key, flags = m.image_entry()
    m.write_entry(field, site, key, m.choose([flags | INIT, flags ^ (TAIL | INIT)]))


@kind("image", OTHER_KEY, KEY_ALIGNMENT, RUNTIME_FLAG, besides=(FLAG,))
def image_key_misaligned(m):
    """The key's symbol lies between the addresses that an entry can name, and the entry names it all the same."""
    field, site, key, flags = m.image_entry()
    symbol = m.base.keys[key]
    step = m.choose([1, 2, 3])
    for table in m.elf.of_type(SHT_SYMTAB) + m.elf.of_type(SHT_DYNSYM):
        for other in m.elf.symbols(table):
            if other.name == symbol.name:
                other.value += step
                m.elf.put_symbol(table, other)
    m.write_entry(field, site, key + step, flags)


@kind("image", NO_CODE, besides=LOST)
def image_entry_zeroed(m):
    field, _, _, _ = m.image_entry()
    m.write(field, bytes(8))


@kind("image", NO_CODE, besides=LOST)
def image_table_zeroed(m):
    """As where its relocations were never applied."""
    table = m.pick(m.base.tables)
    m.write(table.address, bytes(table.size))
    m.say("")


@kind("image", NO_TABLE)
def image_table_name_lost(m):
    """Nothing finds it any more, unless symbols mark its borders. Here no linker script does so."""
    (table,) = m.elf.named(KERNEL_TABLE)
    m.elf.rename_section(table, m.choose([".data", "sites", ".static_call_site"]))


@kind("image", NO_TABLE)
def image_table_not_loaded(m):
    (table,) = m.elf.named(KERNEL_TABLE)
    if m.choose([True, False]):
        table.flags &= ~SHF_ALLOC
    else:
        table.type = SHT_NOBITS


@kind("image", MALFORMED, besides=LOST)
def image_table_of_a_broken_size(m):
    (table,) = m.elf.named(KERNEL_TABLE)
    table.size -= m.choices.randrange(1, 8)


@kind("image", MISSING)
def image_table_cut(m):
    """The last entry, where it is the only one of its site."""
    (table,) = m.elf.named(KERNEL_TABLE)
    if m.image_entry(is_certain=True) != m.base.entries[-1]:
        raise Meaningless
    table.size -= 8


@kind("image", MALFORMED, NO_CODE, besides=(MISSING, OPCODE, FLAG, OTHER_KEY, NO_INSTRUCTION, NO_TRAMPOLINE, RUNTIME_FLAG, DUPLICATE))
def image_table_elsewhere(m):
    """Every field is read at another place than it was meant for."""
    (table,) = m.elf.named(KERNEL_TABLE)
    table.address += m.choose([1, 2, 4, -4, -8, 1 << 40])


@kind("image", MISSING)
def image_entry_lost(m):
    """Another one in its place, once more."""
    entry = m.image_entry(is_certain=True)
    other = m.pick(other for other in m.base.entries if other[1] != entry[1])
    m.write_entry(entry[0], *other[1:])


@kind("image", DUPLICATE, besides=MISSED)
def image_entry_twice_with_another_flag(m):
    entry = m.image_entry(is_only=m.choose([True, False]))
    other = m.pick(other for other in m.base.entries if other[1] != entry[1])
    if m.choose([True, False]):
        m.write_entry(entry[0], other[1], other[2], other[3] ^ TAIL)
    else:
        m.write_entry(entry[0], other[1], m.pick(key for key in m.base.keys if key != other[2]), other[3])


@harmless("image")
def image_entries_permuted(m):
    fields = [entry[0] for entry in m.base.entries]
    m.choices.shuffle(fields)
    for field, entry in zip(fields, m.base.entries):
        place = m.elf.place(field)
        m.elf.data[place : place + 8] = struct.pack("<ii", entry[1] - field, entry[2] + entry[3] - field - 4)


@harmless("image")
def image_identical_entry_twice(m):
    """Folding of identical functions makes them, and weak functions of which one prevails; the runtime writes the same bytes twice."""
    counts = collections.Counter(site for _, site, _, _ in m.base.entries)
    spare = m.pick(entry for entry in m.base.entries if counts[entry[1]] > 1)
    m.write_entry(spare[0], *m.pick(entry for entry in m.base.entries if entry[1] != spare[1])[1:])


@harmless("image")
def image_entry_size_of_zero(m):
    (table,) = m.elf.named(KERNEL_TABLE)
    table.entsize, table.alignment = m.choose([0, 8]), m.choose([1, 4, 8, 16])


# Images: the code


@kind("image", FLAG)
def image_call_and_jump_exchanged(m):
    _, site, _, flags = m.image_entry()
    kind, _, _ = m.base.branch(m.elf, site)
    if kind == "cond-tail":
        raise Meaningless
    if m.is_x86:
        m.write(site, b"\xe9" if flags == 0 else b"\xe8")
    else:
        m.write(site + 3, bytes([m.elf.data[m.elf.place(site) + 3] ^ 0x80]))


@kind("image", OPCODE, besides=(NO_INSTRUCTION,))
def image_another_opcode(m):
    """Nops too: the kernel takes some for its own work, but nobody has patched a file, and the call does not happen."""
    _, site, _, _ = m.image_entry()
    kind, _, _ = m.base.branch(m.elf, site)
    if not m.is_x86:
        m.write(site, struct.pack("<I", m.choose([0xD63F0100, 0xD61F0100, 0xD65F03C0, 0xD503201F, 0xD4200000, 0xB4000000, 0x54000001, 0])))
    elif kind == "cond-tail":
        m.write(site + 1, bytes([m.choose([0x94, 0x44, 0x0B, 0x1F, 0x70])]))
    else:
        m.write(site, m.choose([b"\xeb", b"\x70", b"\xe3", b"\xc3", b"\xcc", b"\x90", b"\x66", b"\x2e", b"\xff", b"\x0f\x1f\x44\x00\x00"]))


def retarget(m, site, target):
    kind, length, _ = m.base.branch(m.elf, site)
    onward = m.base.branch(m.elf, target)
    if onward and onward[0] == "tail" and onward[2] in m.base.trampolines:
        raise Meaningless  # A jump there is as good as the trampoline: linkers' veneers are such jumps.
    if m.is_x86:
        m.write(site + length - 4, struct.pack("<i", target - site - length))
    else:
        word = (0x94000000 if kind == "call" else 0x14000000) | (target - site) // 4 & 0x3FFFFFF
        m.write(site, struct.pack("<I", word))


@kind("image", OTHER_KEY)
def image_branch_to_another_trampoline(m):
    _, site, key, _ = m.image_entry()
    name = m.base.keys[key].name.removeprefix(KEY)
    retarget(m, site, m.pick(a for a, s in m.base.trampolines.items() if s.name != TRAMPOLINE + name))


@kind("image", NO_TRAMPOLINE)
def image_branch_to_an_ordinary_function(m):
    _, site, key, _ = m.image_entry()
    known = m.base.initial_targets(key) | set(m.base.trampolines)
    retarget(m, site, m.pick(s.value for s in m.base.functions if s.value not in known and s.value % 4 == 0))


@kind("image", NO_TRAMPOLINE)
def image_branch_beside_the_trampoline(m):
    _, site, key, _ = m.image_entry()
    target = m.base.branch(m.elf, site)[2] + m.choose([4, -4, 0x40, 0x1000])
    if target in m.base.trampolines or target in m.base.initial_targets(key):
        raise Meaningless
    retarget(m, site, target)


@harmless("image")
def image_branch_to_what_the_key_holds(m):
    """As if it had been patched."""
    _, site, key, _ = m.image_entry()
    known = {function.value for function in m.base.functions}
    retarget(m, site, m.pick(target for target in m.base.initial_targets(key) if target in known))


@kind("image", NO_TRAMPOLINE, besides=(OTHER_KEY,))
def image_trampoline_renamed(m):
    _, site, key, _ = m.image_entry()
    name = m.base.keys[key].name.replace(KEY, TRAMPOLINE)
    for table in m.elf.of_type(SHT_SYMTAB) + m.elf.of_type(SHT_DYNSYM):
        for symbol in m.elf.symbols(table):
            if symbol.name in (name, name + "$plt", name + "@plt"):
                m.elf.data[m.elf.sections[table.link].offset + symbol.name_offset] = ord("x")


@kind("image", OTHER_KEY)
def image_key_renamed(m):
    _, site, key, _ = m.image_entry()
    symbol = m.base.keys[key]
    for table in m.elf.of_type(SHT_SYMTAB) + m.elf.of_type(SHT_DYNSYM):
        for other in m.elf.symbols(table):
            if other.name == symbol.name:
                m.elf.data[m.elf.sections[table.link].offset + other.name_offset] = ord("x")


@kind("image", NO_CODE, besides=LOST)
def image_code_not_executable(m):
    _, site, _, _ = m.image_entry()
    for place, fields in m.elf.segments():
        if fields[3] <= site < fields[3] + fields[6]:
            struct.pack_into("<I", m.elf.data, place + 4, fields[1] & ~PF_X)
