"""The hostile files, as data: a name, the damage, and what is right.

c_*: one thing is wrong, or looks so; z_*: made to cost far more than it weighs; ar_*: archives.
"""

import collections
import functools
import os
import random
import struct
import zlib

import elf as E
from elf import Elf

Case = collections.namedtuple("Case", "name make expected file")
_cases = []


def all_cases():
    return _cases


def case(name, expected=None, *, output=None, list=None, verify=None, diff=None, file="hostile.o", raw=False):
    """Registers a case. `expected` is what annotate does; the others, annotate -o included, do the same unless they are given."""

    def register(function):
        def make(base, machine, place):
            if raw:
                return function(base, machine, place)
            elf = Elf(base)
            function(elf)
            return bytes(elf.data)

        reading = expected if list is None else list
        outcome = {
            "annotate": expected,
            "annotate -o": expected if output is None else output,
            "list": reading,
            "verify": expected if verify is None else verify,
            # diff of a file with itself: it reads what list reads.
            "diff": reading if diff is None else diff,
        }
        _cases.append(Case(name, make, outcome, file))
        return function

    return register


def field(name, expected, section, key, value, **others):
    """One field of a section header."""
    case(name, expected, **others)(
        lambda elf: elf.section(section, key, value(elf) if callable(value) else value)
    )


def header(name, expected, key, value, **others):
    """One field of the ELF header."""
    case(name, expected, **others)(lambda elf: elf.header(key, value(elf) if callable(value) else value))


def cut(name, expected, length):
    case(name, expected)(lambda elf: elf.data.__delitem__(slice(length(elf), None)))


DAMAGED, KIND, CONSTRUCT = "SC003", "SC004", "SC007"
# Accepted: annotated, and a call that no table has until then.
FINE = {"expected": 0, "list": 0, "verify": 1}


def fine(**others):
    return {**FINE, **others}


# ELF header

header("c_class_0", DAMAGED, "class", 0)
header("c_class_9", DAMAGED, "class", 9)
header("c_class_32", KIND, "class", 1)
header("c_data_0", DAMAGED, "data", 0)
header("c_data_be", KIND, "data", 2)
header("c_version_0", DAMAGED, "ident_version", 0)
header("c_e_version_9", DAMAGED, "version", 9)
header("c_etype_none", KIND, "type", 0)
header("c_etype_exec", KIND, "type", 2, list=0, verify=0, diff=0)
header("c_etype_dyn", KIND, "type", 3, list=0, verify=0, diff=0)
header("c_etype_core", KIND, "type", 4)
header("c_etype_bad", KIND, "type", 0xBEEF)
header("c_machine_386", KIND, "machine", 3)
header("c_machine_bad", KIND, "machine", 0xFFFF)
header("c_phoff_junk", key="phoff", value=0xDEADBEEF, **FINE)
header("c_phnum_ffff", key="phnum", value=0xFFFF, **FINE)
header("c_ehsize_0", key="ehsize", value=0, **FINE)
header("c_shoff_0", DAMAGED, "shoff", 0)
header("c_shoff_huge", DAMAGED, "shoff", 1 << 63)
header("c_shoff_wrap", DAMAGED, "shoff", (1 << 64) - 63)
header("c_shoff_unaligned", DAMAGED, "shoff", lambda elf: elf.header("shoff") + 1)
header("c_shoff_in_header", DAMAGED, "shoff", 1)
header("c_shentsize_0", DAMAGED, "shentsize", 0)
header("c_shentsize_40", DAMAGED, "shentsize", 40)
header("c_shentsize_128", DAMAGED, "shentsize", 128)
header("c_shnum_ffff", DAMAGED, "shnum", 0xFFFF)
header("c_shnum0_size0", DAMAGED, "shnum", 0)
header("c_shstrndx_0", DAMAGED, "shstrndx", 0)
header("c_shstrndx_oob", DAMAGED, "shstrndx", 0x7000)
header("c_shstrndx_is_text", DAMAGED, "shstrndx", lambda elf: elf.index(".text"))
header("c_shstrndx_is_symtab", DAMAGED, "shstrndx", lambda elf: elf.index(".symtab"))


def extended(name, count, expected=DAMAGED, **others):
    @case(name, expected, **others)
    def damage(elf):
        elf.section(0, "size", count(elf))
        elf.header("shnum", 0)


extended("c_shnum0_ext_ok", lambda elf: elf.count, **FINE)
extended("c_shnum0_ext_less", lambda elf: 3)
extended("c_shnum0_ext_2p32", lambda elf: 1 << 32)
extended("c_shnum0_ext_2p58", lambda elf: 1 << 58)
extended("c_shnum0_ext_mulwrap", lambda elf: (1 << 58) + elf.count)


def names_index(name, index, **others):
    @case(name, **others)
    def damage(elf):
        elf.section(0, "link", index(elf))
        elf.header("shstrndx", 0xFFFF)


names_index("c_shstrndx_xindex_ok", lambda elf: elf.header("shstrndx"), **FINE)
names_index("c_shstrndx_xindex_oob", lambda elf: 0xFFFFFFFF, expected=DAMAGED)
names_index("c_shstrndx_xindex_0", lambda elf: 0, expected=DAMAGED)

# Files that end too soon, and files that go on

case("c_empty", "SC002", raw=True)(lambda base, machine, place: b"")
case("c_magic_only", DAMAGED, raw=True)(lambda base, machine, place: base[:4])
case("c_ident_only", DAMAGED, raw=True)(lambda base, machine, place: base[:16])
case("c_text_file", "SC002", raw=True)(lambda base, machine, place: b"all work and no play\n" * 1000)
cut("c_ehdr_63", DAMAGED, lambda elf: 63)
cut("c_ehdr_only", DAMAGED, lambda elf: 64)
cut("c_trunc_half", DAMAGED, lambda elf: len(elf.data) // 2)
cut("c_trunc_in_sht", DAMAGED, lambda elf: elf.header("shoff") + 100)
cut("c_trunc_minus1", DAMAGED, lambda elf: len(elf.data) - 1)


@case("c_trailing_junk", **FINE)
def _(elf):
    elf.data += b"junk" * 1000


@case("c_module_sig", "SC008", list=0, verify=1)
def _(elf):
    elf.data += bytes(300) + b"~Module signature appended~\n"


case("c_bitcode", "SC005", verify="SC005", raw=True)(lambda base, machine, place: b"BC\xc0\xde" + bytes(100))
case("c_bitcode_wrapped", "SC005", raw=True)(lambda base, machine, place: bytes([0xDE, 0xC0, 0x17, 0x0B]) + bytes(100))


@case("c_lto_slim", "SC005")
def _(elf):
    elf.add_sections([{"name": elf.name_section(b".gnu.lto_.inline.1"), "type": E.PROGBITS, "align": 1}])
    elf.add_symbols(E.symbol(elf.name_symbol(b"__gnu_lto_slim"), 0x11, 0, 0xFFF2, 1, 1))


@case("c_lto_fat", **FINE)
def _(elf):
    elf.add_sections([{"name": elf.name_section(b".gnu.lto_.inline.1"), "type": E.PROGBITS, "align": 1}])


# Section headers

field("c_sh_name_oob", DAMAGED, ".data", "name", 0xFFFFFFFF)
field("c_text_offset_eof", DAMAGED, ".text", "offset", lambda elf: len(elf.data))
field("c_text_offset_huge", DAMAGED, ".text", "offset", 1 << 63)
field("c_text_size_huge", DAMAGED, ".text", "size", 1 << 60)
field("c_text_size_wrap", DAMAGED, ".text", "size", lambda elf: -elf.section(".text", "offset"))
field("c_text_covers_ehdr", DAMAGED, ".text", "offset", 0)
field("c_text_covers_sht", DAMAGED, ".text", "offset", lambda elf: elf.header("shoff"))
field("c_overlap_text_symtab", DAMAGED, ".text", "offset", lambda elf: elf.section(".symtab", "offset"))
field("c_text_nobits", DAMAGED, ".text", "type", E.NOBITS)
field("c_text_null", DAMAGED, ".text", "type", 0)
field("c_align_0", section=".text", key="align", value=0, **FINE)
field("c_align_3", DAMAGED, ".text", "align", 3)
field("c_align_huge", section=".text", key="align", value=1 << 63, **FINE)
field("c_entsize_odd", section=".text", key="entsize", value=12345, **FINE)
field("c_address_set", section=".text", key="address", value=(1 << 64) - 1, **FINE)
field("c_flags_unknown", section=".text", key="flags", value=0xFFFFFFFF0FFFF406, **FINE)
field("c_flag_group_nogroup", DAMAGED, ".text", "flags", E.ALLOC | E.EXEC | E.IN_GROUP)
field("c_link_oob", DAMAGED, ".data", "link", 0xFFFFFFFF)
field("c_type_unknown", section=".note.GNU-stack", key="type", value=0x6FFFFFFF, **FINE)


@case("c_overlap_all", DAMAGED)
def _(elf):
    for index in range(1, elf.count):
        elf.section(index, "offset", 64)


@case("c_linkorder_self", DAMAGED)
def _(elf):
    elf.section(".data", "flags", E.ALLOC | E.WRITE | E.LINK_ORDER)
    elf.section(".data", "link", elf.index(".data"))


@case("c_linkorder_oob", DAMAGED)
def _(elf):
    elf.section(".data", "flags", E.ALLOC | E.WRITE | E.LINK_ORDER)
    elf.section(".data", "link", 0x7000)


@case("c_linkorder_cycle", **FINE)
def _(elf):
    for one, other in ((".data", ".rodata"), (".rodata", ".data")):
        elf.section(one, "flags", elf.section(one, "flags") | E.LINK_ORDER)
        elf.section(one, "link", elf.index(other))


# Compressed sections: a header that says what comes out (Elf64_Chdr), and zlib


def compress(elf, section, size, data=b"x\x9c"):
    elf.replace(section, struct.pack("<IIQQ", 1, 0, size, 1) + data)
    elf.section(section, "flags", elf.section(section, "flags") | E.COMPRESSED)


case("c_flags_compressed_text", CONSTRUCT)(lambda elf: compress(elf, ".text", 100))
case("c_flags_compressed_strtab", DAMAGED)(lambda elf: compress(elf, ".strtab", 100))
case("c_flags_compressed_symtab", DAMAGED)(lambda elf: compress(elf, ".symtab", 100))
case("c_flags_compressed_rela", DAMAGED)(lambda elf: compress(elf, ".rela.text", 100))
case("z_chdr_2p40", CONSTRUCT)(lambda elf: compress(elf, ".text", 1 << 40))
case("z_chdr_2p63_debug", **FINE)(lambda elf: compress(elf, ".debug_info", 1 << 63))


@functools.cache
def gigabyte():
    """A gigabyte of zeros as a megabyte."""
    stream = zlib.compressobj(9)
    piece = bytes(1 << 24)
    return b"".join(stream.compress(piece) for _ in range(64)) + stream.flush()


@case("z_zip_1G", **FINE)
def _(elf):
    compress(elf, ".debug_info", 1 << 30, gigabyte())
    compress(elf, ".debug_line", 1 << 30, gigabyte())


# Symbols

field("c_symtab_ent0", DAMAGED, ".symtab", "entsize", 0)
field("c_symtab_ent16", DAMAGED, ".symtab", "entsize", 16)
field("c_symtab_info_0", DAMAGED, ".symtab", "info", 0)
field("c_symtab_info_oob", DAMAGED, ".symtab", "info", 0xFFFFFFFF)
field("c_symtab_info_wrong", DAMAGED, ".symtab", "info", 2)
field("c_symtab_link_oob", DAMAGED, ".symtab", "link", 0x7FFFFFFF)
field("c_symtab_link_self", DAMAGED, ".symtab", "link", lambda elf: elf.index(".symtab"))
field("c_symtab_link_text", DAMAGED, ".symtab", "link", lambda elf: elf.index(".text"))
field("c_symtab_size_huge", DAMAGED, ".symtab", "size", 24 << 55)
field("c_symtab_size_notmult", DAMAGED, ".symtab", "size", lambda elf: elf.section(".symtab", "size") - 1)
field("c_symtab_size_0", DAMAGED, ".symtab", "size", 0)
field("c_symtab_none", DAMAGED, ".symtab", "type", E.PROGBITS)
field("c_strtab_size0", DAMAGED, ".strtab", "size", 0)
field("c_strtab_notnul", DAMAGED, ".strtab", "size", lambda elf: elf.section(".strtab", "size") - 1)
field("c_shstrtab_notnul", DAMAGED, ".shstrtab", "size", lambda elf: elf.section(".shstrtab", "size") - 1)


@case("c_strtab_1M_noNUL", DAMAGED)
def _(elf):
    elf.extend(".strtab", b"x" * (1 << 20))


@case("c_sym_names_oob", DAMAGED)
def _(elf):
    for index in range(1, elf.symbol_count()):
        elf.symbol(index, "name", 0xFFFFFFFF - index)


case("c_sym_shndx_oob", DAMAGED)(lambda elf: elf.symbol("caller", "shndx", 0x7000))
case("c_sym_xindex_no_table", DAMAGED)(lambda elf: elf.symbol("caller", "shndx", 0xFFFF))
case("c_sym_reserved", **FINE)(lambda elf: elf.symbol("other", "shndx", 0xFF33))


@case("c_sym_values_huge", **FINE)
def _(elf):
    for name in ("caller", "other", "shared", "__SCK__here"):
        elf.symbol(name, "value", (1 << 64) - 8)
        elf.symbol(name, "size", (1 << 64) - 1)


@case("c_sym_sct_values_huge", "SC019", list=0, verify=1)
def _(elf):
    for name in ("__SCT__here", "__SCT__local"):
        elf.symbol(name, "value", (1 << 63) - 1)


@case("c_sym_sizes_huge", **FINE)
def _(elf):
    for name in ("caller", "other", "__SCT__here", "__SCT__local"):
        elf.symbol(name, "size", (1 << 64) - 1)


@case("c_sym_types", **FINE)
def _(elf):
    for number, name in enumerate(("shared", "target", "__SCK__here")):
        elf.symbol(name, "info", 0x1A + number)


@case("c_two_symtabs", DAMAGED)
def _(elf):
    elf.section(".data", "type", E.SYMTAB)
    elf.section(".data", "link", elf.index(".strtab"))


def extended_indexes(name, entries, expected, **others):
    @case(name, expected, **others)
    def damage(elf):
        table = entries(elf)
        elf.add_sections(
            [{"type": E.SYMTAB_SHNDX, "at": 0, "size": len(table), "link": elf.index(".symtab"), "align": 4, "entsize": 4}],
            table,
        )
        elf.symbol("caller", "shndx", 0xFFFF)


extended_indexes("c_xindex_oob", lambda elf: struct.pack("<I", 0x7FFFFFFF) * elf.symbol_count(), DAMAGED)
extended_indexes("c_xindex_short", lambda elf: struct.pack("<I", 1), DAMAGED)
extended_indexes(
    "c_xindex_ok", lambda elf: struct.pack("<I", elf.index(".text")) * elf.symbol_count(), 0, list=0, verify=1
)

# Relocations

field("c_rela_ent0", DAMAGED, ".rela.text", "entsize", 0)
field("c_rela_ent1", DAMAGED, ".rela.text", "entsize", 1)
field("c_rela_ent48", DAMAGED, ".rela.text", "entsize", 48)
field("c_rela_info_0", DAMAGED, ".rela.text", "info", 0)
field("c_rela_info_oob", DAMAGED, ".rela.text", "info", 0xFFFFFFFF)
field("c_rela_info_self", DAMAGED, ".rela.text", "info", lambda elf: elf.index(".rela.text"))
field("c_rela_info_symtab", DAMAGED, ".rela.text", "info", lambda elf: elf.index(".symtab"))
field("c_rela_link_oob", DAMAGED, ".rela.text", "link", 0x7FFFFFFF)
field("c_rela_link_self", DAMAGED, ".rela.text", "link", lambda elf: elf.index(".rela.text"))
field("c_rela_link_text", DAMAGED, ".rela.text", "link", lambda elf: elf.index(".text"))
field("c_rela_size_huge", DAMAGED, ".rela.text", "size", 24 << 55)
field("c_rela_size_notmult", DAMAGED, ".rela.text", "size", lambda elf: elf.section(".rela.text", "size") - 8)
field("c_rela_as_rel", DAMAGED, ".rela.text", "type", E.REL)
field("c_rela_as_crel", CONSTRUCT, ".rela.text", "type", 0x40000014)
case("c_rel_offset_oob", DAMAGED)(lambda elf: elf.rela(".rela.text", 0, "offset", 1 << 20))
case("c_rel_offset_huge", DAMAGED)(lambda elf: elf.rela(".rela.text", 0, "offset", (1 << 64) - 1))
case("c_rel_offset_last", **FINE)(
    lambda elf: elf.rela(".rela.text", 0, "offset", elf.section(".text", "size") - 1)
)
case("c_rel_sym_oob", DAMAGED)(lambda elf: elf.rela(".rela.text", 0, "symbol", 0xFFFFFFFF))
case("c_rel_type_bad", **FINE)(lambda elf: elf.rela(".rela.text", 0, "type", 0xFFFFFFFF))


def addends(name, value):
    @case(name, **FINE)
    def damage(elf):
        for number in range(elf.section(".rela.text", "size") // 24):
            elf.rela(".rela.text", number, "addend", value)


addends("c_rel_addend_max", (1 << 63) - 1)
addends("c_rel_addend_min", 1 << 63)
addends("c_rel_addend_2p32", 1 << 32)


def call_type(elf):
    return 4 if elf.header("machine") == 62 else 283


@case("c_call_at_end", **FINE)
def _(elf):
    # The opcode of a call is the last that the section holds; its relocation lies in what is missing, or at the last byte.
    size = elf.section(".text.other", "size")
    elf.rela(".rela.text.other", 0, "offset", size - 1)
    elf.rela(".rela.text.other", 1, "offset", size - 2)


@case("c_call_behind_end", DAMAGED)
def _(elf):
    elf.rela(".rela.text.other", 0, "offset", elf.section(".text.other", "size"))


@case("c_call_at_start", **FINE)
def _(elf):
    elf.rela(".rela.text.other", 0, "offset", 0)


@case("c_rel_twice", "SC017", list=0, verify=1)
def _(elf):
    elf.replace(".rela.text.other", elf.contents(".rela.text.other")[:24] * 2)


# Groups


@case("c_group_self", DAMAGED)
def _(elf):
    elf.set_number(elf.section(".group", "offset") + 4, 4, elf.index(".group"))


@case("c_group_member_oob", DAMAGED)
def _(elf):
    elf.set_number(elf.section(".group", "offset") + 4, 4, 0xFFFFFFFF)


@case("c_group_twice", DAMAGED)
def _(elf):
    elf.extend(".group", struct.pack("<I", elf.index(".text.shared")))


@case("c_group_of_groups", **FINE)
def _(elf):
    member = elf.index(".group")
    elf.add_sections(
        [{"type": E.GROUP, "at": 0, "size": 8, "link": elf.index(".symtab"), "info": 1, "entsize": 4, "align": 4}],
        struct.pack("<II", 0, member),
    )


field("c_group_info_oob", DAMAGED, ".group", "info", 0xFFFFFFFF)
field("c_group_link_text", DAMAGED, ".group", "link", lambda elf: elf.index(".text"))
field("c_group_size_odd", DAMAGED, ".group", "size", 7)
field("c_group_size_0", DAMAGED, ".group", "size", 0)
field("c_type_group_text", DAMAGED, ".text", "type", E.GROUP)


@case("z_group_1M", DAMAGED)
def _(elf):
    elf.extend(".group", struct.pack("<I", elf.index(".text.shared")) * (1 << 20))


# Tables and trampolines


@case("c_sct_sections_dup", **FINE)
def _(elf):
    name = elf.section(".static_call.text", "name")
    for section in (".text.shared", ".altinstr_replacement"):
        elf.section(section, "name", name)


def table(elf, contents, relocations=b"", **fields):
    """Adds a table of entries with relocations of it."""
    name, rela_name = elf.name_section(b".static_call_sites"), elf.name_section(b".rela.static_call_sites")
    index = elf.count
    sections = [{"name": name, "type": 1, "flags": 3, "at": 0, "size": len(contents), "align": 4, "entsize": 8, **fields}]
    if relocations:
        sections.append(
            {"name": rela_name, "type": 4, "at": len(contents), "size": len(relocations), "link": elf.index(".symtab"),
             "info": index, "align": 8, "entsize": 24}
        )  # fmt: skip
    elf.add_sections(sections, contents + relocations)


def data_type(elf):
    return 2 if elf.header("machine") == 62 else 261


case("c_table_odd", "SC016", list=0, verify=1)(lambda elf: table(elf, bytes(13)))
case("c_table_no_relocations", "SC016", list=0, verify=1)(lambda elf: table(elf, bytes(16)))
case("c_table_nobits", "SC101", list=0, verify=1)(lambda elf: table(elf, bytes(16), type=E.NOBITS))
case("c_table_empty", **FINE)(lambda elf: table(elf, b""))
case("c_table_is_code", "SC101", list=0, verify=1)(lambda elf: table(elf, bytes(16), flags=6))


@case("c_table_1000_times", "SC016", list=0, verify=1)
def _(elf):
    name = elf.name_section(b".static_call_sites")
    elf.add_sections(
        [{"name": name, "type": 1, "flags": 3, "at": 8 * n, "size": 8, "align": 4} for n in range(1000)], bytes(8000)
    )


@case("z_table_1M_broken", "SC101", list=0, verify=1)
def _(elf):
    table(elf, bytes(8 << 20))


@case("z_table_100k_same", "SC016", list=0, verify=1)
def _(elf):
    caller, key, kind = elf.symbol_index("caller"), elf.symbol_index("__SCK__one"), data_type(elf)
    entry = b"".join(E.rela(8 * n, kind, caller) + E.rela(8 * n + 4, kind, key) for n in range(100_000))
    table(elf, bytes(800_000), entry)


# What the proofs parse, as garbage

PARSED = (".eh_frame", ".gcc_except_table", ".altinstructions", ".orc_unwind_ip", ".orc_unwind", ".rodata")
GARBAGE = {
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "short": b"\x01",
    "noise": random.Random(1).randbytes(65536),
    "lengths": struct.pack("<II", 4, 0) * 4096,
    "leb": b"\x80" * 65536 + b"\x01",
}
for _section in PARSED:
    for _kind, _bytes in GARBAGE.items():

        @case(f"c_garbage{_section.replace('.', '_')}_{_kind}", **FINE)
        def _(elf, section=_section, contents=_bytes):
            elf.replace(section, contents)
            relocations = ".rela" + section
            try:
                count = elf.section(relocations, "size") // 24
            except KeyError:
                return
            for number in range(count):
                elf.rela(relocations, number, "offset", min(number * 4, len(contents) - 1))


@case("z_jump_table_1M", **FINE)
def _(elf):
    elf.replace(".rodata", bytes(4 << 20))


@case("z_eh_frame_200k", **FINE)
def _(elf):
    # One common entry, and as many descriptions of nothing as fit.
    first = elf.contents(".eh_frame")
    length = 4 + struct.unpack_from("<I", first)[0]
    count = 200_000
    entries = bytearray(first[:length])
    for number in range(count):
        entries += struct.pack("<IIII", 12, len(entries) + 4, 0, 0)
    elf.replace(".eh_frame", bytes(entries))
    elf.replace(".rela.eh_frame", b"")


# Sizes

field("z_bss_2p60", section=".note.GNU-stack", key="type", value=E.NOBITS, **FINE)


@case("z_bss_2p63", **FINE)
def _(elf):
    elf.add_sections([{"type": E.NOBITS, "flags": 3, "size": (1 << 63) + 1, "align": 1}])


@case("z_60k_relasecs", **FINE)
def _(elf):
    symtab, text = elf.index(".symtab"), elf.index(".text")
    elf.add_sections(
        [{"type": 4, "at": 24 * n, "size": 24, "link": symtab, "info": text, "align": 8, "entsize": 24} for n in range(60_000)],
        bytes(24 * 60_000),
    )


@case("z_alias_rela_20k_x_100k", DAMAGED)
def _(elf):
    header = {"type": 4, "at": 0, "size": 24 * 100_000, "link": elf.index(".symtab"), "info": elf.index(".text"),
              "align": 8, "entsize": 24}  # fmt: skip
    elf.add_sections([header] * 20_000, bytes(24 * 100_000))


@case("z_empty_sections_60k", **FINE)
def _(elf):
    elf.add_sections([{"type": 1, "flags": 6, "align": 1, "offset": 64}] * 60_000)


@case("z_rela_2M_none", **FINE)
def _(elf):
    elf.extend(".rela.text", bytes(24) * 2_000_000)


@case("z_rela_2M_same", "SC017", list=0, verify=1)
def _(elf):
    elf.extend(".rela.text", elf.contents(".rela.text")[:24] * 2_000_000)


@case("z_rela_1M_in_turns", "SC017", list=0, verify=1)
def _(elf):
    # Relocations of two places by turns, in no order.
    elf.extend(".rela.text", elf.contents(".rela.text")[:48] * 500_000)


@case("z_rela_rev", **FINE)
def _(elf):
    # A call and 100,000 harmless references, from the end to the start.
    records = elf.contents(".rela.text")
    parts = [records[n : n + 24] for n in range(0, len(records), 24)]
    target = elf.symbol_index("target")
    code = elf.contents(".text")
    filler = (b"\x90" if elf.header("machine") == 62 else struct.pack("<I", 0xD503201F)) * 400_000
    elf.replace(".text", code + filler[:400_000])
    more = [E.rela(len(code) + 4 * n, data_type(elf), target) for n in range(99_000)]
    elf.replace(".rela.text", b"".join(reversed(parts + more)))


@case("z_strtab_noNUL_200ksyms", DAMAGED)
def _(elf):
    name = elf.extend(".strtab", b"x" * (8 << 20))
    elf.add_symbols(E.symbol(name) * 200_000)


@case("z_200k_names_of_8M", **FINE)
def _(elf):
    # Each symbol's name is the rest of one long one.
    name = elf.name_symbol(b"x" * (8 << 20))
    elf.add_symbols(b"".join(E.symbol(name + n) for n in range(200_000)))


@case("z_sct_names_of_8M", DAMAGED)
def _(elf):
    text = b"__SCT__" * (1 << 20)
    name = elf.name_symbol(text)
    first = elf.symbol_count()
    elf.add_symbols(b"".join(E.symbol(name + 7 * n) for n in range(20_000)))
    for number in range(2):
        elf.rela(".rela.text.other", number, "symbol", first + number)


def named(text):
    """A call of a static call of that name, in a function of that name."""

    def damage(elf):
        first = elf.symbol_count()
        elf.add_symbols(
            E.symbol(elf.name_symbol(b"__SCT__" + text)) + E.symbol(elf.name_symbol(b"__SCK__" + text))
        )
        elf.rela(".rela.text.other", 1, "symbol", first)
        elf.symbol("other", "name", elf.name_symbol(b"fn" + text))

    return damage


case("z_name_10M", **FINE)(named(b"n" * (10 << 20)))
case("c_name_newline", **FINE)(named(b"a\nhostile.o: error: forged [SC999]"))
case("c_name_escape", **FINE)(named(b"\x1b[2J\x1b]0;owned\x07\x9b31m"))
case("c_name_utf8", **FINE)(named(b"\xff\xfe\xc3(\xe2\x80\xae\xed\xa0\x80"))
case("c_name_controls", **FINE)(named(bytes(range(1, 32)) + b"\x7f\xc2\x85\xc2\x9b"))
case("c_name_format", **FINE)(named(b"%s%n%%::error file=x::y"))
case("c_name_empty", **FINE)(named(b""))


@case("c_name_section_escape", **FINE)
def _(elf):
    elf.section(".text.other", "name", elf.name_section(b".text\x1b[31m\n::error::x"))


@case("z_functions_1M_one_address", **FINE)
def _(elf):
    text, name = elf.index(".text"), elf.name_symbol(b"f")
    elf.add_symbols(E.symbol(name, 0x12, 0, text, 0, 4) * 1_000_000)


@case("z_functions_1M_overlapping", **FINE)
def _(elf):
    text, name, size = elf.index(".text"), elf.name_symbol(b"f"), elf.section(".text", "size")
    elf.add_symbols(b"".join(E.symbol(name, 0x12, 0, text, n % size, 1 << 40) for n in range(1_000_000)))


@case("z_sct_300k", **FINE)
def _(elf):
    names = b"".join(b"__SCT__%d\0" % n for n in range(300_000))
    start = elf.extend(".strtab", names)
    records, position = [], start
    for n in range(300_000):
        records.append(E.symbol(position))
        position += len(b"__SCT__%d\0" % n)
    elf.add_symbols(b"".join(records))


def filled(elf, size):
    """Code of a size, without labels inside, that goes on behind the old one."""
    code = elf.contents(".text")
    nop = b"\x90" if elf.header("machine") == 62 else struct.pack("<I", 0xD503201F)
    elf.replace(".text", code + nop * (size // len(nop)))
    return len(code)


@case("z_text_4M_pc32", **FINE)
def _(elf):
    start = filled(elf, 4 << 20)
    elf.extend(".rela.text", E.rela(start + (4 << 20) - 8, data_type(elf), elf.symbol_index("__SCT__one")))


@case("z_indirect_20k", **FINE)
def _(elf):
    # Many calls through registers in one function, which only proofs can tell.
    if elf.header("machine") == 62:
        piece, offset, kinds = bytes.fromhex("488b1d00000000ffd3"), 3, [(3, 9, -4)]
    else:
        piece = struct.pack("<III", 0x90000008, 0xF9400108, 0xD63F0100)
        kinds = [(0, 311, 0), (4, 312, 0)]
    code = elf.contents(".text.other")
    count = 20_000
    elf.replace(".text.other", code + piece * count)
    elf.symbol("other", "size", len(code) + len(piece) * count)
    one = elf.symbol_index("__SCT__one")
    elf.extend(
        ".rela.text.other",
        b"".join(
            E.rela(len(code) + n * len(piece) + at, kind, one, addend)
            for n in range(count)
            for at, kind, addend in kinds
        ),
    )


@case("z_branches_100k", **FINE)
def _(elf):
    # A function of branches that all lead to one another, around a call through a register.
    if elf.header("machine") == 62:
        jumps = b"".join(b"\x0f\x84" + struct.pack("<i", -6 * n) for n in range(100_000))
        call = bytes.fromhex("488b1d00000000") + jumps + bytes.fromhex("ffd3c3")
        relocations = [(3, 9, -4)]
    else:
        jumps = b"".join(
            struct.pack("<I", 0x54000000 | ((-min(n, 200_000) & 0x7FFFF) << 5)) for n in range(100_000)
        )
        call = struct.pack("<II", 0x90000008, 0xF9400108) + jumps + struct.pack("<II", 0xD63F0100, 0xD65F03C0)
        relocations = [(0, 311, 0), (4, 312, 0)]
    code = elf.contents(".text.other")
    elf.replace(".text.other", code + call)
    elf.symbol("other", "size", len(code) + len(call))
    one = elf.symbol_index("__SCT__one")
    elf.extend(
        ".rela.text.other", b"".join(E.rela(len(code) + at, kind, one, addend) for at, kind, addend in relocations)
    )


# Archives

# diff compares objects and images.
ARCHIVE = {"diff": "SC006", "file": "hostile.a", "raw": True}


def member(name, data, size=None, mark=b"`\n"):
    size = len(data) if size is None else size
    header = name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"644".ljust(8) + str(size).encode().ljust(10) + mark
    return header + data + b"\n" * (len(data) % 2)


def archive(name, contents, verify, magic=b"!<arch>\n", **others):
    """What is wrong with the archive is wrong for every command; what verify finds in its members is no error for the others."""
    same = verify if isinstance(verify, str) else 0
    case(name, verify=verify, **{**ARCHIVE, "expected": same, **others})(
        lambda base, machine, place: magic + contents(base)
    )


def sized(size):
    return lambda base: member(b"a.o/", base, size)


archive("ar_empty", lambda base: b"", 0)
archive("ar_magic_short", lambda base: b"", "SC002", magic=b"!<arch>", diff="SC002")
archive("ar_one", lambda base: member(b"a.o/", base), 1)
archive("ar_bad_header", lambda base: b"x" * 60, "SC003")
archive("ar_bad_mark", lambda base: member(b"a.o/", base, mark=b"xx"), "SC003")
archive("ar_trunc_header", lambda base: member(b"a.o/", base) + member(b"b.o/", base)[:59], "SC003")
archive("ar_trunc_member", lambda base: member(b"a.o/", base)[:-100], "SC003")
archive("ar_size_text", sized("all"), "SC003")
archive("ar_size_empty", sized(""), "SC003")
archive("ar_size_negative", sized(-1), "SC003")
archive("ar_size_plus", sized("+10"), "SC003")
archive("ar_size_huge", sized(9999999999), "SC003")
archive("ar_size_wrap", sized("9223372036854775807"[:10]), "SC003")
archive("ar_no_name", lambda base: member(b"", base), "SC003")
archive("ar_long_oob", lambda base: member(b"//", b"a.o/\n") + member(b"/999999", base), "SC003")
archive("ar_long_negative", lambda base: member(b"//", b"a.o/\n") + member(b"/-1", base), "SC003")
archive("ar_long_no_table", lambda base: member(b"/0", base), "SC003")
archive("ar_long_no_end", lambda base: member(b"//", b"a" * 70000) + member(b"/0", base), 1)
archive("ar_index_oob", lambda base: member(b"/", struct.pack(">II", 1, 0xFFFFFFFF) + b"x\0") + member(b"a.o/", base), 1, expected="SC003", list=0)
archive("ar_index_2p32", lambda base: member(b"/", b"\xff" * 4) + member(b"a.o/", base), 1, expected="SC003", list=0)
archive("ar_index64", lambda base: member(b"/SYM64/", b"\xff" * 16) + member(b"a.o/", base), 1, expected="SC003", list=0)
archive("ar_index_twice", lambda base: member(b"/", bytes(4)) * 2 + member(b"a.o/", base), 1)
archive("ar_bsd", lambda base: member(b"#1/20", b"a name of its own.o\0" + base), 1)
archive("ar_bsd_long", lambda base: member(b"#1/999999", b"a.o\0" + base), "SC003")
archive("ar_bsd_all", lambda base: member(b"#1/4", b"a.o\0"), 0)
archive("ar_bsd_negative", lambda base: member(b"#1/-4", b"a.o\0"), "SC003")
archive("ar_nested", lambda base: member(b"b.a/", b"!<arch>\n" + member(b"a.o/", base)), 0, expected="SC006", list=0)
archive("ar_damaged_member", lambda base: member(b"a.o/", base[:-1]), "SC003")
archive("ar_name_escape", lambda base: member(b"\x1b[31m\n/", base), 1)
archive("ar_same_name_5000", lambda base: b"".join(member(b"a.o/", base[:64]) for _ in range(5000)), 0, list="SC003")
archive("ar_zero_size_100k", lambda base: member(b"a.o/", b"") * 100_000, 0)
archive("ar_bitcode", lambda base: member(b"a.o/", b"BC\xc0\xde" + bytes(100)), 0, expected="SC005", list=0)

THIN = b"!<thin>\n"


def thin(name, names, verify, prepare=None, **others):
    def make(base, machine, place):
        if prepare:
            prepare(base, place)
        text = b"".join(entry + b"/\n" for entry in names)
        positions, position = [], 0
        for entry in names:
            positions.append(position)
            position += len(entry) + 2
        table = member(b"//", text)
        # A thin archive gives the size of a member and not its bytes.
        return THIN + table + b"".join(member(b"/%d" % start, b"", len(base)) for start in positions)

    same = verify if isinstance(verify, str) else 0
    case(name, verify=verify, output="SC006", **{**ARCHIVE, "expected": same, **others})(make)


def fifo(base, place):
    if not (place / "pipe.o").exists():
        os.mkfifo(place / "pipe.o")


thin("ar_thin_ok", [b"a.o"], 1, lambda base, place: (place / "a.o").write_bytes(base))
thin("ar_thin_missing", [b"missing.o"], "SC001")
thin("ar_thin_self", [b"hostile.a"], 0, expected="SC006", list=0)
thin("ar_thin_self_1000", [b"hostile.a"] * 1000, 0, expected="SC006", list=0)
thin("ar_thin_absolute", [b"/dev/zero"], "SC001")
thin("ar_thin_directory", [b"."], "SC001")
thin("ar_thin_fifo", [b"pipe.o"], "SC001", fifo)
thin("ar_thin_up", [b"../../../../../../../../etc/hostname"], 0)
thin("ar_thin_nul", [b"a\0b.o"], "SC001")
thin("ar_thin_empty_name", [b""], "SC001")
