#!/usr/bin/python3
"""The account of references: does each reference to a trampoline in code end in exactly one place?

References are counted here, from relocations alone, and compared with the account that `staticcall list --format json` gives of the
same object: as it is, and after `annotate`. For each object

- the account adds up, and its references with a relocation are those that are counted here;
- the direct branches that relocations and opcodes show are those that are in the table, to be entered, left out or reported;
- after annotating nothing is left to be entered, and the table has as many entries as the account says;
- no branch through a register is silent (silent_calls.py).

Corpora: the kernel's modules, with and without their table; the members of Debian's libc.a, libstdc++.a and libcrypto.a; sqlite by
gcc and clang through the GOT, with retpolines and in the large code model. Functions of libraries are taken for trampolines by a
prefix of their names. `--corpus` chooses.

Exit codes: 0 all of it adds up; 1 it does not; 2 could not run.
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import elf_edit  # noqa: E402 (it lies beside this file)
import real_programs  # noqa: E402
import silent_calls  # noqa: E402
from real_programs import Failed, Unavailable, run  # noqa: E402

TABLE = ".static_call_sites"
LISTED = 5
# Relocations on AArch64 that make a part of an address, which another one completes.
PARTS = {263, 264, 265, 266, 267, 268, 275, 276, 311}
CALL26, JUMP26, CONDBR19, TSTBR14 = 283, 282, 280, 279
PC32, PLT32 = 2, 4
# R_X86_64_PC32, PLT32, GOTPCREL, GOTPCRELX, REX_GOTPCRELX
RELATIVE = {2, 4, 9, 41, 42}
# Symbols of these types are no functions.
STT_TLS = 6
OTHER_TYPES = (elf_edit.STT_OBJECT, elf_edit.STT_FILE, elf_edit.STT_SECTION, STT_TLS)

RETPOLINE_OF_GCC = ["-fcf-protection=none", "-mindirect-branch=thunk"]
BUILDS = [
    ("gcc", ["-fPIC", "-fno-plt"]),
    ("gcc", ["-fPIC", *RETPOLINE_OF_GCC]),
    ("gcc", ["-fPIC", "-fno-plt", *RETPOLINE_OF_GCC]),
    ("gcc", ["-fno-pic", "-mcmodel=large"]),
    ("clang", ["-fPIC", "-fno-plt"]),
    ("clang", ["-fPIC", "-mretpoline"]),
    ("clang", ["-fPIC", "-fno-plt", "-mretpoline"]),
    ("clang", ["-fno-pic", "-mcmodel=large"]),
    ("aarch64-linux-gnu-gcc", ["-fPIC", "-fno-plt"]),
    ("aarch64-linux-gnu-gcc", ["-fno-pic", "-mcmodel=large"]),
]

Counted = collections.namedtuple("Counted", "references branches")
# An object of a corpus: its path, the prefixes of its trampolines, and whether undefined keys may be added.
Item = collections.namedtuple("Item", "path prefixes is_module")


def takes_part(section):
    """Whether calls in a section of code count; the kernel discards the others."""
    flags = elf_edit.SHF_ALLOC | elf_edit.SHF_EXECINSTR
    if section.flags & flags != flags or section.flags & elf_edit.SHF_EXCLUDE:
        return False
    return not section.name.startswith(".discard.") and section.name != ".altinstr_aux"


def count(data, prefixes):
    """The places in code that refer to a trampoline, and those of them that are direct branches, from relocations."""
    elf = elf_edit.Elf(data)
    is_arm = elf.machine == elf_edit.EM_AARCH64
    references, branches = set(), set()
    tables = {}
    for relocations in elf.of_type(elf_edit.SHT_RELA):
        section = elf.sections[relocations.info]
        if not takes_part(section):
            continue
        if relocations.link not in tables:
            symbols = elf.symbols(elf.sections[relocations.link])
            named = {s.number for s in symbols if s.name.startswith(prefixes) and s.type not in OTHER_TYPES}
            # What a relocation may name by its section and an offset instead.
            places = {(s.section, s.value) for s in symbols if s.number in named and s.is_defined}
            sections = {s.number: s.section for s in symbols if s.type == elf_edit.STT_SECTION}
            tables[relocations.link] = named, places, sections
        named, places, sections = tables[relocations.link]
        contents = elf.contents(section)
        for offset, info, addend in elf_edit.RELOCATION.iter_unpack(elf.contents(relocations)):
            kind, symbol = info & 0xFFFFFFFF, info >> 32
            is_branch = kind in (CALL26, JUMP26, CONDBR19, TSTBR14) if is_arm else is_branch_field(contents, offset, kind)
            if symbol in named:
                if is_arm and kind in PARTS or not is_branch and not leads_to_symbol(is_arm, kind, addend):
                    continue
            elif symbol in sections:
                # The distance counts from behind the field; only there can the place be told from the relocation alone.
                target = addend if is_arm or kind not in (PC32, PLT32) else addend + 4
                if (sections[symbol], target) not in places or is_arm and kind in PARTS:
                    continue
            else:
                continue
            references.add((section.number, offset))
            if is_branch:
                branches.add((section.number, offset))
    return Counted(len(references), len(branches))


def leads_to_symbol(is_arm, kind, addend):
    """Whether a relocation is for its symbol and not for something beside it, such as a field of a variable that is called so."""
    if not is_arm and kind in RELATIVE:
        # The distance counts from the end of the instruction; an immediate of 1, 2 or 4 bytes may stand behind the field.
        return addend in (-4, -5, -6, -8)
    return addend == 0


def is_branch_field(contents, offset, kind):
    """Whether the displacement of a call, jmp or jcc stands at an offset."""
    if kind == PLT32:
        return offset > 0 and (contents[offset - 1] in (0xE8, 0xE9) or offset > 1 and contents[offset - 1] & 0xF0 == 0x80)
    return kind == PC32 and offset > 0 and contents[offset - 1] in (0xE8, 0xE9)


def entries(path):
    """The number of entries that the object's tables have."""
    elf = elf_edit.Elf(path.read_bytes())
    return sum(section.size // 8 for section in elf.named(TABLE))


def listing(options, item, path):
    prefixes = [word for prefix in item.prefixes for word in ("--trampoline-prefix", prefix)] if item.prefixes != ("__SCT__",) else []
    result = run([options.staticcall, "list", "--format", "json", *prefixes, path], (0, 1, 2))
    listed = json.loads(result.stdout)
    if listed["failures"] or len(listed["objects"]) != 1:
        raise Failed(f"list: {listed['failures'] or 'no object'}")
    if "account" not in listed["objects"][0]:
        raise Failed("list gives no account: this needs a newer staticcall")
    return listed["objects"][0]


def total(account):
    numbers = ("inTable", "notInTable", "leftOut", "convertible")
    return sum(account[name] for name in numbers) + sum(account["left"].values()) + sum(account["noCall"].values())


def check(options, item):
    """(account after annotating, complaints, silent branches, why it was passed over) of an object."""
    complaints, silent = [], []
    with tempfile.TemporaryDirectory(prefix="account.", dir=options.work) as directory:
        copy = pathlib.Path(directory, item.path.name)
        shutil.copyfile(item.path, copy)
        data = copy.read_bytes()
        if not any(prefix.encode() in data for prefix in item.prefixes):
            return None, [], [], None
        counted = count(data, item.prefixes)
        try:
            before = listing(options, item, copy)
        except Failed as failure:
            return None, [str(failure)], [], None
        complaints += compare(before["account"], counted, "before annotating")
        # Whatever the tool says of code that it does not see through is reported; branches with a place are listed.
        if counted.references > counted.branches or not options.quick:
            branches = {(site["section"], site["offset"]) for site in before["sites"] if site["state"] != "address taken"}
            is_arm = before["machine"] != "x86-64"
            is_trampoline = functools.partial(starts_with, item.prefixes)
            silent = silent_calls.silent_calls(copy, is_arm, is_trampoline, branches, branches)
        prefixes = [word for prefix in item.prefixes for word in ("--trampoline-prefix", prefix)] if item.prefixes != ("__SCT__",) else []
        keys = ["--module"] if item.is_module else ["--add-missing-keys"]
        result = run([options.staticcall, "annotate", "-q", *keys, *prefixes, copy], range(256))
        if result.returncode == 2:
            return before["account"], complaints, silent, result.stderr.strip().splitlines()[0]
        if result.returncode != 0:
            complaints.append(f"annotate: exit code {result.returncode}: {result.stderr.strip()[:200]}")
        after = listing(options, item, copy)["account"]
        complaints += compare(after, count(copy.read_bytes(), item.prefixes), "after annotating")
        if after["notInTable"] or after["convertible"]:
            complaints.append(f"after annotating {after['notInTable']} calls are not in the table, {after['convertible']} could be direct")
        if entries(copy) != after["inTable"]:
            complaints.append(f"the table has {entries(copy)} entries, and {after['inTable']} references are said to be in it")
    return after, complaints, silent, None


def starts_with(prefixes, symbol):
    return symbol.startswith(prefixes)


def compare(account, counted, when):
    complaints = []
    if total(account) != account["references"]:
        complaints.append(f"{when}: {account['references']} references, which end in {total(account)} places: {account}")
    relocated = account["references"] - account["withoutRelocation"]
    if relocated != counted.references:
        complaints.append(f"{when}: {relocated} references with a relocation are said to be there, {counted.references} are")
    known = account["inTable"] + account["notInTable"] + account["leftOut"] + sum(account["left"].values())
    if counted.branches > known:
        complaints.append(f"{when}: {counted.branches} direct branches, of which {known} are accounted for")
    return complaints


# Corpora: each gives its items; they may be made in a directory of their own.


def kernel_modules(options, directory):
    for number, module in enumerate(sorted(options.modules.rglob("*.ko"))):
        if b"__SCT__" not in module.read_bytes():
            continue
        yield Item(module, ("__SCT__",), True)
        stripped = directory / f"{number}-{module.name}"
        run(["objcopy", *(f"--remove-section={p}{TABLE}" for p in ("", ".rela")), module, stripped])
        yield Item(stripped, ("__SCT__",), True)


def members(archive, prefixes, directory):
    """The members of an archive as files of their own, once for each prefix; those of one name get directories of their own."""
    names = collections.Counter(run(["ar", "t", archive]).stdout.split())
    run(["ar", "x", archive], cwd=directory)
    for name, times in names.items():
        for number in range(times):
            path = directory / name
            if times > 1:
                path = directory / f"{number + 1}" / name
                path.parent.mkdir(exist_ok=True)
                run(["ar", "xN", str(number + 1), archive, name], cwd=path.parent)
            for prefix in prefixes:
                yield Item(path, (prefix,), False)


def library(name, prefixes, options, directory):
    path = pathlib.Path(run(["gcc", f"-print-file-name={name}"]).stdout.strip())
    if not path.is_absolute():
        raise Unavailable(f"no {name}")
    return members(path, prefixes, directory)


def sqlite(options, directory):
    amalgamation = real_programs.sqlite_amalgamation(options.sources, directory)
    for number, (compiler, flags) in enumerate(BUILDS):
        if shutil.which(compiler) is None:
            print(f"account: SKIPPED: sqlite by {compiler}: no such program", flush=True)
            continue
        output = directory / f"sqlite3-{number}.o"
        run([compiler, "-O2", *amalgamation.flags, *flags, "-c", amalgamation.source, "-o", output])
        yield Item(output, ("sqlite3",), False)


CORPORA = {
    "kernel": kernel_modules,
    "libc": functools.partial(library, "libc.a", ("_IO_", "__libc_", "__pthread_", "mem", "str")),
    "libstdc++": functools.partial(library, "libstdc++.a", ("_Z", "__cxa")),
    "libcrypto": functools.partial(library, "libcrypto.a", ("EVP_", "CRYPTO_", "BN_", "ossl_")),
    "sqlite": sqlite,
}


def report(name, options):
    """Whether a corpus adds up; prints its account."""
    sums, left, uses, passed_over = collections.Counter(), collections.Counter(), collections.Counter(), collections.Counter()
    complaints = silent_count = objects = 0
    with tempfile.TemporaryDirectory(prefix="account.") as directory:
        items = list(CORPORA[name](options, pathlib.Path(directory)))[:: options.every]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for item, (account, found, silent, refusal) in zip(items, pool.map(lambda item: check(options, item), items)):
                if refusal:
                    passed_over[refusal.rsplit("[", 1)[-1].rstrip("]")] += 1
                if account:
                    objects += 1
                    sums.update({key: value for key, value in account.items() if isinstance(value, int)})
                    left.update(account["left"])
                    uses.update(account["noCall"])
                complaints += len(found)
                silent_count += len(silent)
                for text in found[:LISTED]:
                    print(f"{name}: {item.path.name}: {text}", flush=True)
                for function, section, offset, text in silent[:LISTED]:
                    print(f"{name}: {item.path.name}: SILENT: {function}, {section}+{offset:#x}: {text}", flush=True)
    print(f"{name}: {objects} of {len(items)} objects have references: {sums['references']:,}: in the table {sums['inTable']:,}, "
          f"left out {sums['leftOut']:,}, not to be entered {sums['notInTable'] + sums['convertible']:,}")
    print(f"  reported {sum(left.values()):,}: {', '.join(f'{k} {v:,}' for k, v in sorted(left.items()))}")
    print(f"  no call {sum(uses.values()):,}: {', '.join(f'{k} {v:,}' for k, v in sorted(uses.items()))}")
    print(f"  refused {sum(passed_over.values())}: {', '.join(f'{k} {v}' for k, v in sorted(passed_over.items()))}")
    print(f"  {complaints} complaints, {silent_count} silent branches", flush=True)
    return complaints == 0 and silent_count == 0


def main():
    parser = argparse.ArgumentParser(description="Check that each reference to a trampoline is accounted for.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--corpus", action="append", choices=CORPORA, help="only this one; may be repeated")
    parser.add_argument("--sources", type=pathlib.Path, default=pathlib.Path(".build/sources"), metavar="DIR")
    parser.add_argument("--modules", type=pathlib.Path, metavar="MODULES_DIR", help="the kernel's modules")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth object of a corpus")
    parser.add_argument("--quick", action="store_true", help="look for silent branches only where addresses are used")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    options = parser.parse_args()
    if shutil.which(options.staticcall) is None:
        raise Failed(f"{options.staticcall}: no such program")
    options.staticcall = os.path.abspath(shutil.which(options.staticcall))
    good, checked = True, 0
    with tempfile.TemporaryDirectory(prefix="account.") as options.work:
        for name in options.corpus or CORPORA:
            if name == "kernel" and options.modules is None:
                print("account: SKIPPED: kernel: no --modules", flush=True)
                continue
            try:
                good = report(name, options) and good
                checked += 1
            except Unavailable as reason:
                print(f"account: SKIPPED: {name}: {reason}", flush=True)
    if not checked:
        raise Failed("no corpus could be checked")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"account: {error}", file=sys.stderr)
        sys.exit(2)
