#!/usr/bin/python3
"""Prints the static call tables of ELF files, an entry a line, with columns set apart by tabs.

    read-table.py OBJECT...        object, section+offset of the site, key, flags
    read-table.py --linked IMAGE   address of the site, what is there (call, tail, cond-tail), the symbols at
                                   the branch's target (or its address), the symbols at the key, flags

Reads ELF with pyelftools and struct only; shares no code with the tool.

Exit codes: 0 the tables are sound as far as this reader can tell; 1 they are not; 2 could not run.
"""

import collections
import struct
import sys

try:
    from elftools.elf.elffile import ELFFile
except ImportError:
    print("read-table: needs pyelftools (Debian: python3-pyelftools)", file=sys.stderr)
    sys.exit(2)

# The kernel's table, and that of user space.
TABLES = (".static_call_sites", "static_call_sites")
# R_X86_64_PC32, R_AARCH64_PREL32
RELATIVE = {"EM_X86_64": 2, "EM_AARCH64": 261}
SHF_ALLOC, SHF_EXECINSTR = 0x2, 0x4


class Malformed(Exception):
    pass


def object_entries(elf):
    """(site, key, flags) of each entry of an object, by its relocations."""
    for number, table in enumerate(elf.iter_sections()):
        if table.name not in TABLES:
            continue
        if table["sh_size"] % 8 or any(table.data()):
            raise Malformed("the table is no whole number of zeroed entries")
        relocations = {}
        for section in elf.iter_sections():
            if section["sh_type"] != "SHT_RELA" or section["sh_info"] != number:
                continue
            symbols = elf.get_section(section["sh_link"])
            for relocation in section.iter_relocations():
                if relocation["r_info_type"] != RELATIVE[elf["e_machine"]]:
                    raise Malformed(f"relocation type {relocation['r_info_type']}")
                if relocation["r_offset"] in relocations:
                    raise Malformed(f"two relocations at {relocation['r_offset']}")
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                relocations[relocation["r_offset"]] = symbol, relocation["r_addend"]
        if sorted(relocations) != list(range(0, table["sh_size"], 4)):
            raise Malformed("the relocations are not one for each field")
        for offset in range(0, table["sh_size"], 8):
            site, addend = relocations[offset]
            if site["st_info"]["bind"] != "STB_LOCAL":
                raise Malformed(f"the site at {offset} goes through {site.name}, which is not local")
            section = elf.get_section(site["st_shndx"]).name
            key, flags = relocations[offset + 4]
            yield f"{section}+{site['st_value'] + addend:#x}", key.name, flags


def branch(machine, code, address):
    """(kind, target) of the branch that code begins with."""
    if machine == "EM_AARCH64":
        (word,) = struct.unpack_from("<I", code)
        if word & 0x7C000000 != 0x14000000:
            raise Malformed(f"{word:08x} at {address:#x} is neither b nor bl")
        distance = ((word & 0x3FFFFFF) ^ 0x2000000) - 0x2000000
        return "call" if word >> 31 else "tail", address + 4 * distance
    for kind, length, found in (
        ("call", 5, code[0] == 0xE8),
        ("tail", 5, code[0] == 0xE9),
        ("cond-tail", 6, code[0] == 0x0F and code[1] & 0xF0 == 0x80),
    ):
        if found:
            (distance,) = struct.unpack_from("<i", code, length - 4)
            return kind, address + length + distance
    raise Malformed(f"{code[:6].hex()} at {address:#x} is no call, jmp or jcc")


def linked_entries(elf):
    """(site, kind, target, key, flags) of each entry of a linked image, by its contents."""
    names = collections.defaultdict(set)
    for section in (".symtab", ".dynsym"):
        table = elf.get_section_by_name(section)
        for symbol in table.iter_symbols() if table else []:
            if symbol.name and not symbol.name.startswith("$") and symbol["st_shndx"] != "SHN_UNDEF":
                names[symbol["st_value"]].add(symbol.name)

    def describe(address):
        return ",".join(sorted(names[address])) or f"{address:#x}"

    def code_at(address):
        for section in elf.iter_sections():
            start, size = section["sh_addr"], section["sh_size"]
            if section["sh_flags"] & SHF_EXECINSTR and start <= address < start + size:
                return section.data()[address - start :]
        raise Malformed(f"{address:#x} is no code")

    for table in elf.iter_sections():
        if table.name not in TABLES:
            continue
        if not table["sh_flags"] & SHF_ALLOC or table["sh_size"] % 8:
            raise Malformed("the table is not loaded, or no whole number of entries")
        for offset in range(0, table["sh_size"], 8):
            place = table["sh_addr"] + offset
            site, key = struct.unpack_from("<ii", table.data(), offset)
            site, key = place + site, place + 4 + key
            kind, target = branch(elf["e_machine"], code_at(site), site)
            yield f"{site:#x}", kind, describe(target), describe(key & ~3), key & 3


def main(arguments):
    is_linked = arguments[:1] == ["--linked"]
    status = 0
    for path in arguments[is_linked:]:
        try:
            with open(path, "rb") as file:
                elf = ELFFile(file)
                for entry in linked_entries(elf) if is_linked else object_entries(elf):
                    print(*entry if is_linked else (path, *entry), sep="\t")
        except Malformed as problem:
            print(f"{path}: {problem}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
