#!/usr/bin/python3
"""The independent check against the kernel's own tables.

Debian's kernel modules carry the .static_call_sites tables that the kernel's build made. For each
such module: strip the table, let `staticcall annotate --module` make it anew, and compare entry by
entry. Also checks that nothing else in the file changed, that the new table has the documented
form, that a second run leaves the file untouched, and that `staticcall verify` is content.

Reads ELF with pyelftools and struct only; shares no code with the tool.

Exit codes: 0 no differences; 1 differences; 2 could not run.
"""

import argparse
import collections
import functools
import io
import multiprocessing
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

try:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
except ImportError:
    print("parity: needs pyelftools (Debian: python3-pyelftools)", file=sys.stderr)
    sys.exit(2)

TABLE = ".static_call_sites"
RELA = ".rela.static_call_sites"
# How many differences of one module are printed.
LISTED = 20

ALWAYS_SAMPLED = ("i915.ko", "kvm.ko", "xfs.ko")
SECONDS_PER_COMMAND = 300

SHT_PROGBITS, SHT_RELA, SHT_NOBITS = 1, 4, 8
SHF_WRITE, SHF_ALLOC, SHF_INFO_LINK = 0x1, 0x2, 0x40
R_X86_64_PC32 = 2

ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
RELOCATION = struct.Struct("<QQq")

Section = collections.namedtuple(
    "Section", "name type flags address offset size link info alignment entsize"
)


class CannotRun(Exception):
    """Something this check needs is missing or failed; says nothing about the tool."""


# Reading


def elf_header(data):
    """The ELF header's fields, without the three that adding sections must change."""
    fields = list(ELF_HEADER.unpack_from(data))
    section_offset, section_count, names_index = fields[6], fields[12], fields[13]
    return fields[:6] + fields[7:12], section_offset, section_count, names_index


def read_sections(data):
    _, offset, count, names_index = elf_header(data)
    headers = [SECTION_HEADER.unpack_from(data, offset + i * SECTION_HEADER.size) for i in range(count)]
    names = headers[names_index][4]

    def name(header):
        start = names + header[0]
        return data[start : data.index(b"\0", start)].decode()

    return [Section(name(header), *header[1:]) for header in headers]


def contents(data, section):
    if section.type == SHT_NOBITS:
        return b""
    return data[section.offset : section.offset + section.size]


def has_table(path):
    """Whether the module's section names include the table's; reads only headers and names."""
    with open(path, "rb") as file:
        header = file.read(ELF_HEADER.size)
        _, offset, _, names_index = elf_header(header)
        file.seek(offset + names_index * SECTION_HEADER.size)
        names = SECTION_HEADER.unpack(file.read(SECTION_HEADER.size))
        file.seek(names[4])
        return TABLE.encode() + b"\0" in file.read(names[5])


def read_table(data):
    """The table's entries as a multiset of (site section, offset, key, flags); empty without a table."""
    elf = ELFFile(io.BytesIO(data))
    symtab = elf.get_section_by_name(".symtab")
    rela = elf.get_section_by_name(RELA)
    if rela is None:
        return collections.Counter()

    def place(symbol):
        """(section name or SHN_UNDEF and the like, value) of a symbol."""
        index = symbol["st_shndx"]
        return (index if isinstance(index, str) else elf.get_section(index).name), symbol["st_value"]

    relocations = {}
    for relocation in rela.iter_relocations():
        symbol = symtab.get_symbol(relocation["r_info_sym"])
        relocations[relocation["r_offset"]] = symbol, relocation["r_addend"]

    entries = collections.Counter()
    for offset in (offset for offset in relocations if offset % 8 == 0):
        site, site_addend = relocations[offset]
        key, flags = relocations[offset + 4]
        site_section, site_value = place(site)
        key_section, key_value = place(key)
        # Two local keys of a module may share a name, so a defined key is told by its place too.
        key_name = key.name if key_section == "SHN_UNDEF" else f"{key.name}@{key_section}+{key_value:#x}"
        entries[site_section, site_value + site_addend, key_name, flags] += 1
    return entries


# Comparing: each function returns a list of differences, as text


def table_form(data):
    """Deviations of the new table's headers, contents and relocations from the documented form."""
    sections = read_sections(data)
    found = {name: [i for i, s in enumerate(sections) if s.name == name] for name in (TABLE, RELA, ".symtab")}
    for name, indexes in found.items():
        if len(indexes) != 1:
            return [f"{len(indexes)} sections {name}, expected 1"]
    table, rela = sections[found[TABLE][0]], sections[found[RELA][0]]

    expected = [
        (table, "type", SHT_PROGBITS),
        (table, "flags", SHF_WRITE | SHF_ALLOC),
        (table, "address", 0),
        (table, "link", 0),
        (table, "info", 0),
        (table, "alignment", 4),
        (table, "entsize", 8),
        (rela, "type", SHT_RELA),
        (rela, "flags", SHF_INFO_LINK),
        (rela, "address", 0),
        (rela, "link", found[".symtab"][0]),
        (rela, "info", found[TABLE][0]),
        (rela, "alignment", 8),
        (rela, "entsize", RELOCATION.size),
    ]
    differences = [
        f"{section.name}: {field} is {getattr(section, field):#x}, expected {value:#x}"
        for section, field, value in expected
        if getattr(section, field) != value
    ]
    for section in (table, rela):
        if section.offset % max(section.alignment, 1):
            differences.append(f"{section.name}: file offset {section.offset:#x} is not aligned")
    if table.size == 0 or table.size % 8:
        differences.append(f"{TABLE}: size {table.size} is no positive multiple of 8")
    if contents(data, table) != bytes(table.size):
        differences.append(f"{TABLE}: contents are not all zero")

    relocations = list(RELOCATION.iter_unpack(contents(data, rela)))
    types = {info & 0xFFFFFFFF for _, info, _ in relocations}
    if types != {R_X86_64_PC32}:
        differences.append(f"{RELA}: relocation types {sorted(types)}, expected only R_X86_64_PC32")
    if sorted(offset for offset, _, _ in relocations) != list(range(0, table.size, 4)):
        differences.append(f"{RELA}: not exactly one relocation at every 4 bytes of the table")
    return differences


def table_entries(kernel, ours):
    def text(entry, count):
        section, offset, key, flags = entry
        return f"{section}+{offset:#x} -> {key} flags {flags}" + (f" ({count} times)" if count > 1 else "")

    missing = [f"missing: {text(*item)}" for item in sorted((kernel - ours).items())]
    surplus = [f"not in the kernel's table: {text(*item)}" for item in sorted((ours - kernel).items())]
    return missing + surplus


def other_changes(before, after):
    """What changed besides the two sections added at the end of the section table."""
    old_header, _, _, old_names = elf_header(before)
    new_header, _, _, new_names = elf_header(after)
    old, new = read_sections(before), read_sections(after)
    differences = []
    if old_header != new_header:
        differences.append(f"ELF header {old_header} became {new_header}")
    if old_names != new_names:
        differences.append(f"section names moved from section {old_names} to {new_names}")
    added = [section.name for section in new[len(old) :]]
    if sorted(added) != sorted([TABLE, RELA]):
        differences.append(f"sections at the end of the section table: {added}, expected {TABLE} and {RELA}")

    for index, (a, b) in enumerate(zip(old, new)):
        where = f"section {index} {a.name}"
        is_names = index == old_names
        for field in Section._fields:
            if field != "offset" and not (is_names and field == "size") and getattr(a, field) != getattr(b, field):
                differences.append(f"{where}: {field} {getattr(a, field)!r} became {getattr(b, field)!r}")
        old_bytes, new_bytes = contents(before, a), contents(after, b)
        if is_names:
            new_bytes = new_bytes[: len(old_bytes)]
        if old_bytes != new_bytes:
            differences.append(f"{where}: contents changed")
    return differences


# Running


def run(*command):
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS_PER_COMMAND,
    )


def strip_table(objcopy, module, output):
    result = run(objcopy, f"--remove-section={TABLE}", f"--remove-section={RELA}", str(module), str(output))
    if result.returncode != 0:
        raise CannotRun(f"{objcopy} failed on {module}: {result.stdout.decode(errors='replace')}")
    data = output.read_bytes()
    if {section.name for section in read_sections(data)} & {TABLE, RELA}:
        raise CannotRun(f"{objcopy} did not remove the table of {module}")
    return data


def run_tool(*command):
    """Run the tool; a list with one difference if it did not exit 0."""
    try:
        result = run(*command)
    except subprocess.TimeoutExpired:
        return [f"{command[1]}: no end after {SECONDS_PER_COMMAND} s"]
    if result.returncode == 0:
        return []
    output = result.stdout.decode(errors="replace").strip().replace("\n", "\n    ")
    return [f"{command[1]}: exit code {result.returncode}: {output}"]


def fingerprint(file):
    status = file.stat()
    return file.read_bytes(), status.st_mtime_ns, status.st_ino


def check(options, module):
    """(number of sites in the kernel's table, differences) of one module."""
    kernel = read_table(module.read_bytes())
    sites = kernel.total()
    with tempfile.TemporaryDirectory(dir=options.work) as directory:
        file = pathlib.Path(directory, module.name)
        before = strip_table(options.objcopy, module, file)

        differences = run_tool(options.staticcall, "annotate", "--module", str(file))
        if differences:
            return sites, differences
        after = file.read_bytes()
        try:
            differences += table_form(after)
            differences += other_changes(before, after)
            differences += table_entries(kernel, read_table(after))
        except Exception as error:  # a broken file may trip the reader in any way
            return sites, differences + [f"the result cannot be read: {error!r}"]

        first = fingerprint(file)
        differences += run_tool(options.staticcall, "annotate", "--module", str(file))
        for what, a, b in zip(("contents", "modification time", "inode"), first, fingerprint(file)):
            if a != b:
                differences.append(f"annotating again changed the file's {what}")
        differences += run_tool(options.staticcall, "verify", str(file))
        left_behind = sorted(set(os.listdir(directory)) - {module.name})
        if left_behind:
            differences.append(f"files left behind: {left_behind}")
    return sites, differences


def sample(modules, count):
    """`count` modules spread evenly over the list, always with ALWAYS_SAMPLED."""
    chosen = {module for module in modules if module.name in ALWAYS_SAMPLED}
    others = [module for module in modules if module not in chosen]
    wanted = min(max(count - len(chosen), 0), len(others))
    chosen.update(others[i * len(others) // wanted] for i in range(wanted))
    return sorted(chosen)


def program(name):
    path = shutil.which(name)
    if path is None:
        raise CannotRun(f"{name}: no such program")
    return os.path.abspath(path)


def main():
    parser = argparse.ArgumentParser(description="Compare staticcall's tables with those in the kernel's modules.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--objcopy", default="objcopy", metavar="PATH", help="strips the tables (default: %(default)s)")
    parser.add_argument("--sample", type=int, metavar="N", help="check N modules, spread evenly, instead of all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    parser.add_argument("directory", type=pathlib.Path, metavar="MODULES_DIR")
    options = parser.parse_args()
    for name in ("sample", "jobs"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    options.staticcall = program(options.staticcall)
    options.objcopy = program(options.objcopy)

    modules = sorted(path for path in options.directory.rglob("*.ko") if has_table(path))
    if not modules:
        raise CannotRun(f"no module with a {TABLE} section in {options.directory}")
    if options.sample is not None:
        modules = sample(modules, options.sample)

    all_sites = all_differences = failing = 0
    with tempfile.TemporaryDirectory(prefix="parity.") as options.work, multiprocessing.Pool(options.jobs) as pool:
        for module, (sites, differences) in zip(modules, pool.imap(functools.partial(check, options), modules)):
            all_sites += sites
            if differences:
                failing += 1
                all_differences += len(differences)
                print(f"{module.relative_to(options.directory)}: {len(differences)} differences")
                print("".join(f"  {difference}\n" for difference in differences[:LISTED]), end="")
                if len(differences) > LISTED:
                    print(f"  and {len(differences) - LISTED} more", flush=True)
    where = f" in {failing} modules" if failing else ""
    print(f"parity: {len(modules)} modules, {all_sites} sites: {all_differences} differences{where}")
    return 1 if failing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, OSError, ELFError, struct.error) as error:
        print(f"parity: {error}", file=sys.stderr)
        sys.exit(2)
