#!/usr/bin/python3
"""What annotate leaves as it was: every section, symbol and relocation of thousands of objects.

Takes objects that have nothing to do with static calls (kernel modules, the members of system libraries), puts a call of a
dummy trampoline into each, annotates it, and compares the outcome with the object before. The call stands in a section of its own
without a local symbol, and where the object has section groups, in the first of them: so symbols are inserted and move, and every
table of symbol numbers has to follow. Then readelf, objcopy, strip and llvm-readobj must take the outcome.

    equality.py --staticcall PROGRAM [--sample N] [--tools-every N] FILE|DIRECTORY...

Files are objects, archives (their members are taken) or directories with kernel modules. Reads ELF with struct only; shares no code
with the tool.

Exit codes: 0 nothing changed that should not; 1 differences; 2 could not run.
"""

import argparse
import array
import collections
import functools
import glob
import hashlib
import multiprocessing
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELA = struct.Struct("<QQq")

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL, SHT_GROUP, SHT_SYMTAB_SHNDX = 1, 2, 3, 4, 8, 9, 17, 18
SHT_LLVM_ADDRSIG = 0x6FFF4C03
SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK, SHF_GROUP = 0x2, 0x4, 0x40, 0x200
SHN_LORESERVE, SHN_XINDEX = 0xFF00, 0xFFFF

# A call, its relocation type, and the relocation type of a table, by e_machine.
MACHINES = {
    62: (b"\xe8\0\0\0\0\xc3", 1, 4, -4, 2),  # R_X86_64_PLT32, R_X86_64_PC32
    183: (b"\0\0\0\x94\xc0\x03\x5f\xd6", 0, 283, 0, 261),  # R_AARCH64_CALL26, R_AARCH64_PREL32
}
TRAMPOLINE, KEY, TABLE, CODE = b"__SCT__dummy", b"__SCK__dummy", b".static_call_sites", b".text.dummy"
BATCH = 64
TOOLS = ("readelf -aW", "objcopy", "strip -g", "llvm-readobj --all")

Section = collections.namedtuple("Section", "name type flags address offset size link info alignment entsize")


class CannotRun(Exception):
    pass


class Elf:
    """A relocatable object, as far as the comparison needs it."""

    def __init__(self, data):
        self.data = data
        self.header = HEADER.unpack_from(data)
        offset, count, names = self.header[6], self.header[12], self.header[13]
        first = SECTION.unpack_from(data, offset)
        count = count or first[5]
        names = first[6] if names == SHN_XINDEX else names
        raw = [SECTION.unpack_from(data, offset + i * SECTION.size) for i in range(count)]
        self.names_index = names
        start = raw[names][4]
        self.sections = [Section(self.string(start + header[0]), *header[1:]) for header in raw]
        self.symtab = next((i for i, section in enumerate(self.sections) if section.type == SHT_SYMTAB), None)

    def string(self, start):
        return self.data[start : self.data.index(b"\0", start)]

    def contents(self, index):
        section = self.sections[index]
        return b"" if section.type in (0, SHT_NOBITS) else self.data[section.offset : section.offset + section.size]

    @functools.cached_property
    def symbols(self):
        """(name, st_info, st_other, place, value, size) of each symbol; a place is a number of a section, or a reserved one."""
        names = self.sections[self.sections[self.symtab].link].offset
        extended = next(
            (self.contents(i) for i, s in enumerate(self.sections) if s.type == SHT_SYMTAB_SHNDX and s.link == self.symtab), None
        )
        result = []
        for number, (name, info, other, place, value, size) in enumerate(SYMBOL.iter_unpack(self.contents(self.symtab))):
            if place == SHN_XINDEX and extended is not None:
                place = ("section", struct.unpack_from("<I", extended, 4 * number)[0])
            elif place < SHN_LORESERVE:
                place = ("section", place)
            result.append((self.string(names + name), info, other, place, value, size))
        return result


def inject(data):
    """The object with a call of the dummy trampoline at its end; `None` where it has no symbol table."""
    elf = Elf(data)
    if elf.symtab is None or elf.header[1] != 1 or elf.header[2] not in MACHINES:
        return None
    code, field, kind, addend, _ = MACHINES[elf.header[2]]
    sections = [list(SECTION.unpack_from(data, elf.header[6] + i * SECTION.size)) for i in range(len(elf.sections))]
    if len(sections) + 2 >= SHN_LORESERVE:
        return None
    tail = bytearray()
    end = len(data)

    def append(contents):
        tail.extend(b"\0" * (-(end + len(tail)) % 16))
        start = end + len(tail)
        tail.extend(contents)
        return start

    def grow(index, addition):
        """Appends to a section, which moves behind the end; returns the offset of what was added."""
        old = elf.contents(index) if sections[index][4] < end else bytes(tail[sections[index][4] - end :][: sections[index][5]])
        sections[index][4] = append(old + addition)
        sections[index][5] = len(old) + len(addition)
        return len(old)

    strings = sections[elf.symtab][6]
    at = grow(strings, TRAMPOLINE + b"\0" + KEY + b"\0")
    symbols = [(at, 0x10, 0, 0, 0, 0), (at + len(TRAMPOLINE) + 1, 0x10, 0, 0, 0, 0)]
    trampoline = grow(elf.symtab, b"".join(SYMBOL.pack(*symbol) for symbol in symbols)) // SYMBOL.size
    for index, section in enumerate(elf.sections):
        if section.type == SHT_SYMTAB_SHNDX:
            grow(index, b"\0" * 8)
    at = grow(elf.names_index, CODE + b"\0.rela" + CODE + b"\0")
    number = len(sections)
    group = next((i for i, section in enumerate(elf.sections) if section.type == SHT_GROUP), None)
    flags = 0
    if group is not None:
        flags = SHF_GROUP
        grow(group, struct.pack("<II", number, number + 1))
    sections.append([at, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR | flags, 0, append(code), len(code), 0, 0, 4, 0])
    record = RELA.pack(field, trampoline << 32 | kind, addend)
    sections.append(
        [at + len(CODE) + 1, SHT_RELA, SHF_INFO_LINK | flags, 0, append(record), RELA.size, elf.symtab, number, 8, RELA.size]
    )
    header = list(elf.header)
    header[6] = append(b"".join(SECTION.pack(*section) for section in sections))
    header[12] = len(sections)
    return HEADER.pack(*header) + data[HEADER.size :] + bytes(tail)


# Comparing


def uleb(data):
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield number
            number = shift = 0


def differences(before, after):
    """In words, what changed and should not have."""
    old, new = Elf(before), Elf(after)
    if [x for i, x in enumerate(old.header) if i not in (6, 12)] != [x for i, x in enumerate(new.header) if i not in (6, 12)]:
        yield "the ELF header changed"
    table = next((i for i, section in enumerate(old.sections) if section.name == TABLE), None)
    is_grouped = any(section.type == SHT_GROUP for section in old.sections)
    # An existing table grows, unless the new entry belongs into a group.
    added = [section.name for section in new.sections[len(old.sections) :]]
    if added != ([] if table is not None and not is_grouped else [TABLE, b".rela" + TABLE]):
        yield f"sections were added: {added}"
        return
    rewritten = set() if table is None else {table, *(i for i, s in enumerate(old.sections) if s.type == SHT_RELA and s.info == table)}
    yield from symbol_differences(old, new)
    moved = {i for i, symbol in enumerate(old.symbols) if new.symbols[i] != symbol}
    grown = {old.names_index, old.symtab, old.sections[old.symtab].link}
    for index, (was, now) in enumerate(zip(old.sections, new.sections)):
        where = was.name.decode(errors="replace")
        if index in rewritten:
            continue
        if (was.name, was.type, was.flags, was.address, was.link, was.alignment, was.entsize) != (
            now.name, now.type, now.flags, now.address, now.link, now.alignment, now.entsize
        ):
            yield f"the header of {where} changed: {was} {now}"
        if was.type == SHT_GROUP:
            if now.info >= len(new.symbols) or old.symbols[was.info] != new.symbols[now.info]:
                yield f"the signature of group {index} changed"
            contents, outcome = old.contents(index), new.contents(index)
            members = struct.pack("<II", len(old.sections), len(old.sections) + 1)
            if outcome not in (contents, contents + members):
                yield f"group {index} changed"
            continue
        if was.info != now.info and index != old.symtab:
            yield f"sh_info of {where} changed"
        if index in grown:
            if index != old.symtab and new.contents(index)[: was.size] != old.contents(index):
                yield f"strings of {where} changed"
            continue
        if was.type in (SHT_RELA, SHT_REL) and was.link == old.symtab:
            yield from relocation_differences(old, new, index, moved)
        elif was.type == SHT_LLVM_ADDRSIG:
            names = [old.symbols[i] for i in uleb(old.contents(index))], [new.symbols[i] for i in uleb(new.contents(index))]
            if names[0] != names[1]:
                yield f"{where} names other symbols"
        elif was.type == SHT_SYMTAB_SHNDX:
            pass  # Read along with the symbols.
        elif was.type != SHT_NOBITS and (was.offset, was.size) != (now.offset, now.size):
            yield f"{where} moved"
        elif old.contents(index) != new.contents(index):
            yield f"the contents of {where} changed"
    expected = table_entries(old)
    expected[((CODE, 0), KEY, 0)] += 1
    if table_entries(new) != expected:
        yield f"the table is wrong: {table_entries(new) - expected} too many, {expected - table_entries(new)} missing"
    yield from table_form(new)


def symbol_differences(old, new):
    rest = collections.Counter(new.symbols)
    rest.subtract(old.symbols)
    lost = [symbol for symbol, count in rest.items() if count < 0]
    if lost:
        yield f"symbols changed or are gone: {lost[:3]}"
    extra = [symbol for symbol, count in rest.items() if count > 0]
    if any(not (symbol[1] & 0xF == 3 and symbol[1] >> 4 == 0) for symbol in extra) or len(extra) > 1:
        yield f"symbols were added: {extra[:3]}"
    for number, symbol in enumerate(new.symbols):
        if (symbol[1] >> 4 == 0) != (number < new.sections[new.symtab].info):
            yield f"symbol {number} is on the wrong side of sh_info"
            return


def relocation_differences(old, new, index, moved):
    before, after = old.contents(index), new.contents(index)
    name = old.sections[index].name.decode(errors="replace")
    if len(before) != len(after):
        yield f"{name} changed its size"
        return
    size = old.sections[index].entsize
    words = size // 4
    numbers = [array.array("I", data) for data in (before, after)]
    symbols = [data[3::words] for data in numbers]
    for data in numbers:
        data[3::words] = array.array("I", bytes(4 * len(symbols[0])))
    if numbers[0] != numbers[1]:
        yield f"{name} changed in more than symbols"
    if symbols[0] == symbols[1]:
        if moved and not moved.isdisjoint(symbols[0]):
            yield f"{name} names symbols that moved"
        return
    for was, now in set(zip(*symbols)):
        if was >= len(old.symbols) or now >= len(new.symbols) or old.symbols[was] != new.symbols[now]:
            yield f"{name} names another symbol than before ({was}, {now})"
            return


def table_entries(elf):
    """The entries of all tables, as a multiset of (site's section and offset, key, flags)."""
    entries = collections.Counter()
    for table, section in enumerate(elf.sections):
        if section.name != TABLE:
            continue
        relocations = {}
        for index, rela in enumerate(elf.sections):
            if rela.type == SHT_RELA and rela.info == table:
                relocations.update((record[0], record) for record in RELA.iter_unpack(elf.contents(index)))
        for offset in range(0, section.size, 8):
            (_, info, addend), (_, key, flags) = relocations[offset], relocations[offset + 4]
            site = elf.symbols[info >> 32]
            place = elf.sections[site[3][1]].name if isinstance(site[3], tuple) else site[3]
            entries[((place, site[4] + addend), elf.symbols[key >> 32][0], flags)] += 1
    return entries


def table_form(elf):
    """Local symbols for sites, the right relocations, and zeros."""
    for table, section in enumerate(elf.sections):
        if section.name != TABLE:
            continue
        if any(elf.contents(table)):
            yield "the table's bytes are not zero"
        for index, rela in enumerate(elf.sections):
            if rela.type != SHT_RELA or rela.info != table:
                continue
            for offset, info, _ in RELA.iter_unpack(elf.contents(index)):
                if info & 0xFFFFFFFF != MACHINES[elf.header[2]][4]:
                    yield f"a relocation of the table has type {info & 0xFFFFFFFF}"
                if offset % 8 == 0 and elf.symbols[info >> 32][1] >> 4 != 0:
                    yield f"the site at {offset} goes through {elf.symbols[info >> 32][0]}"


# Running


def members(path):
    """The objects of an archive, as (name, bytes)."""
    data = pathlib.Path(path).read_bytes()
    position = 8
    while position < len(data):
        name, size = data[position : position + 16].strip(), int(data[position + 48 : position + 58])
        contents = data[position + 60 : position + 60 + size]
        if contents.startswith(b"\x7fELF"):
            yield f"{os.path.basename(path)}-{position}-{name.decode(errors='replace').strip('/')}.o", contents
        position += 60 + size + size % 2


def gather(paths):
    """(name, function that reads it) of every object."""
    for path in paths:
        if os.path.isdir(path):
            for module in sorted(glob.glob(f"{path}/**/*.ko", recursive=True)):
                yield os.path.basename(module), pathlib.Path(module).read_bytes
        elif pathlib.Path(path).read_bytes()[:8] == b"!<arch>\n":
            for name, contents in members(path):
                yield name, functools.partial(bytes, contents)
        else:
            yield os.path.basename(path), pathlib.Path(path).read_bytes


def tool(name, machine):
    if name.startswith("llvm"):
        return os.path.join(os.path.dirname(os.path.realpath(shutil.which("clang") or "")), name)
    return shutil.which(("aarch64-linux-gnu-" if machine == 183 else "") + name) or name


def refusals(path, machine):
    """What other programs have to say against an object."""
    for command in TOOLS:
        name, *options = command.split()
        program = tool(name, machine)
        if not shutil.which(program):
            continue
        output = ["-o", path + ".copy"] if name == "strip" else [path + ".copy"] if name == "objcopy" else []
        argv = [program, *options] + ([path] + output if name == "objcopy" else output + [path])
        run = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300, check=False)
        yield name, run.returncode, run.stderr


def check(batch, staticcall, tools_every):
    lines, checked, shown = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="staticcall-equality-") as directory:
        objects = {}
        for number, (name, data) in batch:
            data = inject(data)
            if data is None:
                continue
            path = os.path.join(directory, f"{number}-{name}")
            pathlib.Path(path).write_bytes(data)
            objects[path] = (number, name, hashlib.sha256(data).digest(), data)
        if not objects:
            return lines, checked, shown
        run = subprocess.run(
            [staticcall, "annotate", "-q", "--module", "-j", "1", *objects], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600, check=False
        )
        if run.returncode != 0:
            lines += [f"annotate exits {run.returncode}", run.stderr.decode(errors="replace")]
        for path, (number, name, _, before) in objects.items():
            checked += 1
            after = pathlib.Path(path).read_bytes()
            if after == before:
                lines.append(f"{name}: not annotated")
                continue
            lines += [f"{name}: {text}" for text in differences(before, after)]
            if number % tools_every == 0:
                shown += 1
                machine = Elf(after).header[2]
                pathlib.Path(path + ".before").write_bytes(before)
                # Some objects are refused, or complained about, as they are.
                was = [(code, error.count(b"\n")) for _, code, error in refusals(path + ".before", machine)]
                for (name_of_tool, code, error), known in zip(refusals(path, machine), was):
                    if (code, error.count(b"\n")) != known:
                        lines.append(f"{name}: {name_of_tool} exits {code}: {error[:200].decode(errors='replace')}")
    return lines, checked, shown


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--staticcall", required=True)
    parser.add_argument("--sample", type=int, help="only about so many objects, evenly spread")
    parser.add_argument("--tools-every", type=int, default=1, help="other programs look at every Nth object only")
    parser.add_argument("paths", nargs="+")
    arguments = parser.parse_args()
    staticcall = os.path.abspath(arguments.staticcall)
    missing = [path for path in [staticcall, *arguments.paths] if not os.path.exists(path)]
    if missing:
        raise CannotRun(f"no {', '.join(missing)}")
    objects = known_objects(tuple(arguments.paths), arguments.sample)
    if not objects:
        raise CannotRun("no objects")
    numbered = list(enumerate(objects))
    batches = [numbered[i : i + BATCH] for i in range(0, len(numbered), BATCH)]
    failures = checked = shown = 0
    with multiprocessing.Pool() as pool:
        jobs = [
            pool.apply_async(check_named, ([(n, name) for n, (name, _) in batch], arguments, staticcall)) for batch in batches
        ]
        for job in jobs:
            lines, count, looked = job.get()
            checked, shown, failures = checked + count, shown + looked, failures + len(lines)
            for line in lines[:20]:
                print(line)
    print(f"equality: {checked} objects, {shown} shown to {', '.join(TOOLS)}: {failures} differences")
    return 1 if failures else 0


@functools.cache
def known_objects(paths, sample):
    objects = list(gather(paths))
    if sample and sample < len(objects):
        step = len(objects) / sample
        objects = [objects[int(i * step)] for i in range(sample)]
    return objects


def check_named(numbers, arguments, staticcall):
    objects = known_objects(tuple(arguments.paths), arguments.sample)
    return check([(n, (name, objects[n][1]())) for n, name in numbers], staticcall, arguments.tools_every)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotRun as problem:
        print(f"equality: {problem}", file=sys.stderr)
        sys.exit(2)
