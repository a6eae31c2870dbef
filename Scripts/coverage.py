#!/usr/bin/python3
"""What becomes of static calls under every compiler and set of flags, and whether the programs still do the same.

Compiles Fixtures/coverage with the sets of flags in its flags.txt, at each level of optimisation, lists each object, annotates
a copy, and counts which calls were direct, which were made direct, and which were left and why. The table is compared with
Fixtures/coverage/table.txt; --bless, or STATICCALL_BLESS=1, records it anew and fails. Only a run over everything records.

Each object is also checked: annotate, list and verify agree, a second run changes nothing, and objdump shows a direct branch
to the right trampoline at each entry of the table. With --run each program is linked untouched and rewritten, and run: both
must print Fixtures/coverage/output.txt, and see the same return addresses on the stack at every call, by function and offset.

--sample N takes N sets of flags, spread evenly; then there is no summary. What the compilers on this machine refuse stands in
the table. A compiler that is missing, or of another version than the recorded table's, is skipped aloud.

Shares no code with the tool, and reads its tables with read-table.py.

Exit codes: 0 all is well; 1 a difference or a failed check; 2 could not run.
"""

import argparse
import collections
import difflib
import functools
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

try:
    from elftools.elf.elffile import ELFFile
except ImportError:
    print("coverage: needs pyelftools (Debian: python3-pyelftools)", file=sys.stderr)
    sys.exit(2)

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "Fixtures/coverage"
READ_TABLE = ROOT / "Scripts/read-table.py"
SOURCES = ("flow.c", "pointers.c", "objects.cpp")
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-Oz")
# The columns of the table: those levels that differ most, and the others together.
COLUMNS = ("-O0", "-O2", "-Os", "others")
WIDTH = 132
LISTED = 20
SECONDS_PER_COMMAND = 120
# main.cpp ends in a call that throws through noexcept.
EXIT_CODE = 4

Machine = collections.namedtuple("Machine", "name gcc gxx target objdump emulator branches")
MACHINES = {
    machine.name: machine
    for machine in (
        Machine("x86-64", "gcc", "g++", "x86_64-linux-gnu", "objdump", [], {"R_X86_64_PLT32", "R_X86_64_PC32"}),
        Machine(
            "AArch64", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "aarch64-linux-gnu", "aarch64-linux-gnu-objdump",
            ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"], {"R_AARCH64_CALL26", "R_AARCH64_JUMP26"},
        ),
    )
}

# A set of flags for a compiler and a machine. `not_run` is why no program is made of it, at all levels or at one.
Build = collections.namedtuple("Build", "machine compiler flags link has_own_main not_run")
NotRun = collections.namedtuple("NotRun", "level reason")
# What became of the references in the objects of one level.
Counts = collections.namedtuple("Counts", "direct made left no_call functions")
# What became of a build: `refusal` is the compiler's, failures are this script's; programs are those compared.
Result = collections.namedtuple("Result", "build refusal counts failures programs")
Object = collections.namedtuple("Object", "level plain rewritten")


class CannotRun(Exception):
    """Something this check needs is missing or failed; says nothing about the tool."""


class Failed(Exception):
    """A check failed, in words."""


# What to compile


def read_builds(path):
    """The builds in flags.txt, in its order."""
    builds = []
    for line in path.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("["):
            machine, compiler = line.strip("[]").split()
            continue
        flags, _, needs = line.partition("|")
        is_doubled = flags.startswith("+")
        flags = flags.lstrip("+").split()
        link, has_own_main, not_run = ["-no-pie" if "-fno-pie" in flags else "-pie"], False, None
        for need in filter(None, (need.strip() for need in needs.split(";"))):
            word, _, rest = need.partition(" ")
            if word == "link":
                link += rest.split()
            elif need == "own main":
                has_own_main = True
            elif match := re.fullmatch(r"not run(?: at (-O.))?: (.*)", need):
                not_run = NotRun(*match.groups())
            else:
                raise CannotRun(f"{path}: cannot read {line!r}")
        for more in ([], ["-fno-plt"]) if is_doubled else ([],):
            builds.append(Build(machine, compiler, tuple(flags + more), tuple(link), has_own_main, not_run))
    return builds


def sample(builds, count):
    wanted = min(count, len(builds))
    return [builds[i * len(builds) // wanted] for i in range(wanted)]


def command(build, language):
    """The compiler, told its machine."""
    machine = MACHINES[build.machine]
    if build.compiler == "gcc":
        return [machine.gxx if language == "c++" else machine.gcc]
    return ["clang", f"--target={machine.target}"]


def levels(build, chosen):
    return [level for level in chosen if level != "-Oz" or build.compiler == "clang"]


# Running


def run(argv, directory=None):
    """The finished process. What it prints need not be text that is in order."""
    return subprocess.run(
        [str(word) for word in argv], cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        timeout=SECONDS_PER_COMMAND, encoding="utf-8", errors="replace", env={**os.environ, "LC_ALL": "C"},
    )


def expect(argv, directory=None, codes=(0,)):
    result = run(argv, directory)
    if result.returncode not in codes:
        said = (result.stderr + result.stdout).strip().replace("\n", "\n    ")
        raise Failed(f"{pathlib.Path(argv[0]).name} {argv[1]}: exit code {result.returncode}: {said[:2000]}")
    return result.stdout


def compile_level(build, level, directory):
    """(objects, refusal) of one level."""
    directory.mkdir()
    for source in SOURCES:
        language = "c++" if source.endswith(".cpp") else "c"
        result = run([*command(build, language), level, "-w", *build.flags, "-c", FIXTURES / source], directory)
        if result.returncode != 0:
            return [], refusal(result.stderr)
    objects = []
    for source in SOURCES:
        plain = directory / (source.partition(".")[0] + ".o")
        rewritten = plain.with_suffix(".rewritten.o")
        shutil.copyfile(plain, rewritten)
        objects.append(Object(level, plain, rewritten))
    return objects, ""


def refusal(said):
    """The first error of a compiler, without places in files that may be elsewhere tomorrow."""
    for line in said.splitlines():
        match = re.search(r"(?:error|unimplemented): (.*)", line)
        if match:
            return re.sub(r"; did you mean.*|\s*\[.*\]$", "", match[1])
    return said.strip().partition("\n")[0]


# Counting


def listings(staticcall, files):
    document = json.loads(expect([staticcall, "list", "--format", "json", *files]))
    return {entry["path"]: entry for entry in document["objects"]}


def states(listing):
    return collections.Counter(site["state"] for site in listing["sites"])


def calls_that_stay(listing):
    """Branches alone: an address that may be called somewhere is judged anew after the calls around it are direct."""
    return sum(1 for site in listing["sites"] if site["state"] == "stays indirect" and site.get("kind"))


def count(sites):
    direct, no_call = 0, collections.Counter()
    made, left, functions = collections.Counter(), collections.Counter(), collections.defaultdict(collections.Counter)
    for site in sites:
        if site["state"] in ("not in table", "in table"):
            direct += 1
        elif site["state"] == "can be made direct":
            made[site["shape"]] += 1
        elif site["state"] == "address taken":
            no_call[site["shape"]] += 1
        else:
            reason = site["shape"], site.get("code", "?")
            left[reason] += 1
            # Without what compilers add for parts and copies of a function.
            functions[reason][(site.get("function") or "?").partition(".")[0]] += 1
    return Counts(direct, made, left, no_call, functions)


def total(all_counts):
    result = Counts(
        0, collections.Counter(), collections.Counter(), collections.Counter(), collections.defaultdict(collections.Counter)
    )
    for counts in all_counts:
        result = result._replace(direct=result.direct + counts.direct)
        result.made.update(counts.made)
        result.left.update(counts.left)
        result.no_call.update(counts.no_call)
        for reason, names in counts.functions.items():
            result.functions[reason].update(names)
    return result


# Checking the objects. Each check returns failures, as text.


def fingerprint(file):
    status = file.stat()
    return file.read_bytes(), status.st_mtime_ns, status.st_ino


def check_states(before, after):
    """What the two listings of an object say of annotate's work."""
    old, new = states(before), states(after)
    failures = []
    for state in ("can be made direct", "not in table"):
        if new[state]:
            failures.append(f"{new[state]} sites are '{state}' after annotate")
    if new["in table"] != old["not in table"] + old["can be made direct"]:
        failures.append(
            f"{old['not in table']} direct calls and {old['can be made direct']} that can be made direct became"
            f" {new['in table']} entries"
        )
    if calls_that_stay(after) != calls_that_stay(before):
        failures.append(f"{calls_that_stay(before)} calls stay indirect before, {calls_that_stay(after)} after")
    if new["in table"] and after["table"] != "complete":
        failures.append(f"the table is {after['table']} after annotate")
    return failures


BRANCHES = {"call": 0, "bl": 0, "jmp": 1, "b": 1}


def branches(machine, files):
    """{file: {(section, relocation's offset): (flags of a table's entry, name of the static call)}}, as objdump shows it."""
    found, sites = {}, {}
    relocation = re.compile(r"\s([0-9a-f]+): (R_\w+)\s+__SCT__(\w+)(-0x4)?$")
    for line in expect([machine.objdump, "-drw", "--no-show-raw-insn", *files]).splitlines():
        if line.startswith("Disassembly of section "):
            section = line[len("Disassembly of section ") : -1]
        elif ":     file format " in line:
            sites = found[line.partition(":     file format ")[0]] = {}
        elif "__SCT__" in line:
            match = relocation.search(line)
            if not match or match[2] not in machine.branches or bool(match[4]) != (machine.name == "x86-64"):
                continue
            words = line.partition(":")[2].split()
            mnemonic = next(word for word in words if word not in ("bnd", "notrack", "addr32", "cs", "data16"))
            flags = BRANCHES.get(mnemonic, 1 if re.fullmatch(r"j\w+", mnemonic) else None)
            if flags is not None:
                sites[section, int(match[1], 16)] = flags, match[3]
    return found


def table_entries(files):
    """{file: [(section, offset, name of the static call, flags)]}"""
    entries = collections.defaultdict(list)
    for line in expect([sys.executable, READ_TABLE, *files]).splitlines():
        file, site, key, flags = line.split("\t")
        section, _, offset = site.rpartition("+")
        entries[file].append((section, int(offset, 16), key.removeprefix("__SCK__"), int(flags)))
    return entries


def check_entries(machine, listing, entries, shown):
    """Every entry of the table against the disassembler, and their number against the list."""
    failures = []
    # From an instruction's first byte to its relocation: `e8`, `0f 8x`; the whole word of an AArch64 instruction.
    distances = (1, 2) if machine.name == "x86-64" else (0,)
    for section, offset, key, flags in entries:
        there = [shown[section, offset + distance] for distance in distances if (section, offset + distance) in shown]
        if there != [(flags, key)]:
            failures.append(f"entry {section}+{offset:#x} -> {key} flags {flags}: objdump shows {there or 'no direct branch'}")
    in_table = states(listing)["in table"]
    if len(entries) != in_table:
        failures.append(f"the table has {len(entries)} entries, the list {in_table}")
    if len(set(entries)) != len(entries):
        failures.append("an entry is there twice")
    return failures


def annotate_and_check(staticcall, machine, objects):
    """(listing of each untouched object, failures of all)"""
    plain, rewritten = [str(o.plain) for o in objects], [str(o.rewritten) for o in objects]
    before = listings(staticcall, plain)
    expect([staticcall, "annotate", "-q", *rewritten])
    after = listings(staticcall, rewritten)
    entries, shown = table_entries(rewritten), branches(machine, rewritten)
    failures = []
    for old, new in zip(plain, rewritten):
        found = check_states(before[old], after[new]) + check_entries(machine, after[new], entries[new], shown.get(new, {}))
        failures += [f"{name(old)}: {failure}" for failure in found]

    first = [fingerprint(o.rewritten) for o in objects]
    said = expect([staticcall, "annotate", "-v", *rewritten]).splitlines()
    for o, was in zip(objects, first):
        expected = "up to date" if entries[str(o.rewritten)] else "no "
        if not any(line.startswith(f"{o.rewritten}: {expected}") for line in said):
            failures.append(f"{name(o.plain)}: annotating again does not say '{expected}'")
        for what, a, b in zip(("contents", "modification time", "inode"), was, fingerprint(o.rewritten)):
            if a != b:
                failures.append(f"{name(o.plain)}: annotating again changed its {what}")
    verified = run([staticcall, "verify", *rewritten])
    if verified.returncode != 0:
        failures.append(f"verify: exit code {verified.returncode}: {verified.stdout}{verified.stderr}")
    return before, failures


def name(path):
    """An object by its level and name."""
    return "/".join(pathlib.Path(path).parts[-2:])


# Comparing the programs


def function_ranges(program):
    with open(program, "rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        named = [(s["st_value"], s["st_size"], s.name) for s in symbols if s["st_value"]]
    start = min((value for value, _, symbol in named if symbol == "__executable_start"), default=0)
    return sorted((value - start, size, symbol) for value, size, symbol in named if size)


def stack_traces(program, said):
    """What main.cpp says of its stack, with functions and offsets in place of distances from the program's start."""
    ranges = function_ranges(program)

    @functools.cache
    def place(distance):
        for start, size, symbol in ranges:
            # A return address may lie behind a call that never returns, the function's last instruction.
            if start < distance <= start + size:
                return f"{symbol}+{distance - start:#x}"
        return "outside"

    lines = []
    for line in said.splitlines():
        target, *distances = line.split()
        lines.append(" < ".join([target, *(place(int(distance, 16)) for distance in distances)]))
    return lines


def link_and_run(machine, build, objects, support, program):
    linker = [machine.gxx, *build.link, "-o", program, *support, *objects]
    linked = run(linker)
    if linked.returncode != 0:
        raise Failed(f"does not link: {linked.stderr.strip()[:1000]}")
    return run([*machine.emulator, program], program.parent)


def compare_programs(build, level, objects, support, expected):
    """Failures of the program that one level of a build makes, untouched and rewritten."""
    machine = MACHINES[build.machine]
    directory = objects[0].plain.parent
    if build.has_own_main:
        flags = ["-O1", "-w", *build.flags, "-c", FIXTURES / "main.cpp"]
        expect([*command(build, "c++"), *flags, "-o", directory / "main.o"])
        support = [directory / "main.o"] + support[1:]
    traces, failures = [], []
    for kind in ("plain", "rewritten"):
        program = directory / kind
        result = link_and_run(machine, build, [getattr(o, kind) for o in objects], support, program)
        if result.returncode != EXIT_CODE:
            failures.append(f"{level} {kind}: exit code {result.returncode}, expected {EXIT_CODE}")
        failures += differences(expected, result.stdout.splitlines(), f"{level} {kind}: output")
        traces.append(stack_traces(program, result.stderr) if result.returncode == EXIT_CODE else [])
    if not all(traces):
        failures.append(f"{level}: a program does not say what is on its stack")
    failures += differences(traces[0], traces[1], f"{level}: stack untouched and rewritten")
    return failures


def differences(expected, found, what):
    lines = list(difflib.unified_diff(expected, found, lineterm="", n=0))[2:]
    return [f"{what} differs, {len(lines)} lines:\n    " + "\n    ".join(lines[:LISTED])] if lines else []


# One build


def process(options, support, expected, numbered):
    number, build = numbered
    directory = pathlib.Path(options.work, str(number))
    directory.mkdir()
    objects, failures, programs = {}, [], 0
    try:
        for level in levels(build, options.levels):
            objects[level], refused = compile_level(build, level, directory / level)
            if refused:
                return Result(build, refused, {}, [], 0)
        machine = MACHINES[build.machine]
        before, failures = annotate_and_check(options.staticcall, machine, sum(objects.values(), []))
        counts = {level: count([s for o in objects[level] for s in before[str(o.plain)]["sites"]]) for level in objects}
        if options.run:
            for level in objects:
                if build.not_run and build.not_run.level in (None, level):
                    continue
                try:
                    failures += compare_programs(build, level, objects[level], support[build.machine], expected)
                except Failed as failure:
                    failures.append(f"{level}: {failure}")
                programs += 1
        return Result(build, "", counts, failures, programs)
    except (Failed, subprocess.TimeoutExpired, json.JSONDecodeError) as failure:
        return Result(build, "", {}, failures + [str(failure)], programs)
    finally:
        if not options.keep:
            shutil.rmtree(directory)


def make_support(options, machines):
    """The objects that all programs of a machine share: main.cpp, and on x86-64 the thunks that some flags leave to others."""
    support = {}
    for machine in machines:
        files = []
        for source in ("main.cpp",) + (("thunks.S",) if machine.name == "x86-64" else ()):
            output = pathlib.Path(options.work, f"{machine.name}.{source}.o")
            compiled = run([machine.gxx, "-O1", "-w", "-fPIE", "-c", FIXTURES / source, "-o", output])
            if compiled.returncode != 0:
                raise CannotRun(f"{machine.gxx} cannot compile {source}: {compiled.stderr.strip()[:1000]}")
            files.append(output)
        support[machine.name] = files
    return support


# The table: a record for each build, of one line and, where calls were not direct, a second one


def heading(build):
    return f"{build.machine} {build.compiler}"


def listed(counter):
    return " ".join(f"{' '.join(key) if isinstance(key, tuple) else key} {number}" for key, number in sorted(counter.items()))


def share(counts):
    made, left = counts.made.total(), counts.left.total()
    return f"{made}/{made + left}" if made + left else "-"


def record(result):
    flags = " ".join(result.build.flags) or "(none)"
    if result.refusal:
        return [f"{'refused':>7}  {flags}", f"{'':9}{result.refusal}"]
    if not result.counts:
        return [f"{'failed':>7}  {flags}"]
    groups = collections.defaultdict(list)
    for level, counts in result.counts.items():
        groups[level if level in COLUMNS else "others"].append(counts)
    everything = total(result.counts.values())
    uses = everything.direct + everything.made.total() + everything.left.total() + everything.no_call.total()
    columns = "".join(f"{share(total(groups[column])):>11}" for column in COLUMNS)
    lines = [f"{uses:7}{everything.direct:8}{everything.no_call.total():9}{columns}  {flags}"]
    details = [
        f"{title}: {listed(counter)}"
        for title, counter in (("made", everything.made), ("left", everything.left)) if counter
    ]
    if result.build.not_run:
        level, reason = result.build.not_run
        details.append(f"not run{f' at {level}' if level else ''}: {reason}")
    if details:
        lines.append(f"{'':9}" + "; ".join(details))
    return lines


def column_titles():
    columns = "".join(f"{column:>11}" for column in COLUMNS)
    return f"{'USES':>7}{'DIRECT':>8}{'NO CALL':>9}{columns}  FLAGS"


def code_titles(staticcall):
    return dict(line.split(None, 1) for line in expect([staticcall, "explain"]).splitlines() if line.startswith("SC"))


def most_frequent(functions):
    """The functions with the highest counts, by their names in the source, and how many others there are."""
    ordered = sorted(functions.items(), key=lambda item: (-item[1], item[0]))[:LISTED]
    names = expect(["c++filt", "-p", *(name for name, _ in ordered)]).splitlines()
    named = [f"{name.replace('(anonymous namespace)::', '')} {number}" for name, (_, number) in zip(names, ordered)]
    return ", ".join(named) + (f" and {len(functions) - LISTED} other functions" if len(functions) > LISTED else "")


def summary(results, titles):
    """What was made direct and what was left, by shape and by reason, over all builds of a machine."""
    lines = []
    for machine in MACHINES:
        everything = total(counts for r in results if r.build.machine == machine for counts in r.counts.values())
        lines += ["", f"{machine}: all builds together", "", f"  {'SHAPE':8}{'MADE':>8}{'LEFT':>8}"]
        left_by_shape = collections.Counter()
        for (shape, _), number in everything.left.items():
            left_by_shape[shape] += number
        for shape in sorted(set(everything.made) | set(left_by_shape), key=lambda s: (s[0], int(s[1:] or 0))):
            lines.append(f"  {shape:8}{everything.made[shape]:8}{left_by_shape[shape]:8}")
        lines.append(f"  {'direct':8}{everything.direct:8}{0:8}")
        lines += ["", "  Left, by reason:"]
        for shape, code in sorted(everything.left, key=lambda reason: (reason[1], reason[0])):
            where = most_frequent(everything.functions[shape, code])
            text = f"{code} {titles.get(code, '')}; {shape}, {everything.left[shape, code]} times: {where}"
            lines += textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ", break_long_words=False)
        lines += ["", f"  No call: {listed(everything.no_call)}"]
    return lines


def versions(compilers):
    """{heading: version} of the compilers that are there."""
    found = {}
    for machine in MACHINES.values():
        for compiler in ("gcc", "clang"):
            if (machine.name, compiler) in compilers:
                program = machine.gcc if compiler == "gcc" else "clang"
                found[f"{machine.name} {compiler}"] = run([program, "-dumpfullversion" if compiler == "gcc" else "-dumpversion"]).stdout.strip()
    return found


def table(results, titles, all_versions, has_summary):
    lines = [
        "What becomes of the references to trampolines in Fixtures/coverage, compiled with the flags in flags.txt at all levels",
        "of optimisation. Recorded by Scripts/coverage.py; not to be edited.",
        "",
        "USES are all references. DIRECT are direct calls as compiled; NO CALL are addresses taken. Of the others, indirect calls,",
        "the columns of the levels say how many annotate makes direct. Below, by shape: made direct; left, with the reason.",
    ]
    for title, version in all_versions.items():
        lines += ["", f"== {title} {version}", "", column_titles()]
        for result in results:
            if heading(result.build) == title:
                lines += record(result)
    return lines + (summary(results, titles) if has_summary else [])


def records(lines):
    """The recorded table as {heading: (version, {flags: record})}, spaces apart."""
    found, current = {}, None
    for line in lines:
        if line.startswith("== "):
            machine, compiler, version = line.split()[1:]
            found[f"{machine} {compiler}"] = version, (current := {})
        elif line.startswith("refused  ") and current is not None:
            flags = line.split("  ", 1)[1].strip()
            current[flags] = [" ".join(line.split())]
        elif line and not line.startswith(" ") and current is not None:
            current = None
        elif current is not None and line.startswith(" " * 9):
            current[flags].append(" ".join(line.split()))
        elif current is not None and line.strip() and not line.endswith("  FLAGS"):
            flags = line.split("  ")[-1].strip()
            current[flags] = [" ".join(line.split())]
    return found


def compare(golden, lines, has_everything):
    """Differences between the recorded table and this one, as far as the two were made of the same."""
    if not golden.exists():
        return [f"there is no recorded table {golden}; --bless makes one"]
    recorded_lines = golden.read_text().splitlines()
    recorded, here = records(recorded_lines), records(lines)
    skipped = False
    found = []
    for title, (version, sets) in here.items():
        recorded_version, recorded_sets = recorded.get(title, ("none", {}))
        if version != recorded_version:
            print(f"SKIPPED: the table of {title} is recorded for version {recorded_version}, here is {version}")
            skipped = True
            continue
        for flags, text in sets.items():
            if text != recorded_sets.get(flags):
                found += [f"{title} {flags}:"]
                found += [f"  recorded  {line}" for line in recorded_sets.get(flags, ["nothing"])]
                found += [f"  here      {line}" for line in text]
    if has_everything and not skipped and not found:
        found = list(difflib.unified_diff(recorded_lines, lines, "recorded", "here", lineterm=""))
    return found


def available(builds, options):
    """The builds whose tools are there; says which are not."""
    kept, missing = [], set()
    for build in builds:
        machine = MACHINES[build.machine]
        needed = [machine.objdump, *(("clang",) if build.compiler == "clang" else (machine.gcc, machine.gxx))]
        if options.run:
            needed += [machine.gxx, *machine.emulator[:1]]
        absent = [program for program in needed if shutil.which(program) is None]
        if absent:
            missing.add(f"SKIPPED: {heading(build)}, because {' and '.join(dict.fromkeys(absent))} cannot be found")
        else:
            kept.append(build)
    for line in sorted(missing):
        print(line)
    if not kept:
        raise CannotRun("no compiler")
    return kept


def parse_arguments():
    parser = argparse.ArgumentParser(description="What becomes of static calls under every compiler and set of flags.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--run", action="store_true", help="link and run each program, untouched and rewritten")
    parser.add_argument("--sample", type=int, metavar="N", help="take N sets of flags, spread evenly")
    parser.add_argument("--only", metavar="REGEX", help="take the sets of flags of which 'MACHINE COMPILER FLAGS' matches")
    parser.add_argument("--levels", type=lambda text: text.split(","), default=LEVELS, help="such as -O0,-O2; default: all")
    parser.add_argument("--golden", type=pathlib.Path, default=FIXTURES / "table.txt", metavar="FILE")
    parser.add_argument("--bless", action="store_true", help="record the table anew and fail")
    parser.add_argument("--print", action="store_true", help="print the table")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    parser.add_argument("--keep", metavar="DIRECTORY", help="work there, and leave all objects")
    options = parser.parse_args()
    for number in ("sample", "jobs"):
        if getattr(options, number) is not None and getattr(options, number) < 1:
            parser.error(f"--{number} must be at least 1")
    if set(options.levels) - set(LEVELS):
        parser.error(f"--levels are some of {','.join(LEVELS)}")
    options.is_asked_to_bless = os.environ.get("STATICCALL_BLESS") == "1"
    options.staticcall = shutil.which(options.staticcall) and os.path.abspath(shutil.which(options.staticcall))
    if options.staticcall is None:
        raise CannotRun("no such program: staticcall")
    return options


def expected_output():
    return (FIXTURES / "output.txt").read_text().splitlines()


def work(options):
    builds = read_builds(FIXTURES / "flags.txt")
    all_of_them = len(builds)
    if options.only:
        builds = [b for b in builds if re.search(options.only, " ".join((b.machine, b.compiler, *b.flags)))]
    if not builds:
        raise CannotRun("no set of flags is chosen")
    if options.sample:
        builds = sample(builds, options.sample)
    builds = available(builds, options)
    has_all_levels = set(options.levels) == set(LEVELS)
    has_everything = len(builds) == all_of_them and has_all_levels
    if options.bless and not has_everything:
        raise CannotRun("only a run with all sets of flags and all levels can be recorded")
    if options.is_asked_to_bless and not has_everything:
        print("not recorded: only a run with all sets of flags and all levels can be (make coverage)")
    options.bless |= options.is_asked_to_bless and has_everything

    support, expected = {}, []
    if options.run:
        support = make_support(options, [MACHINES[m] for m in dict.fromkeys(b.machine for b in builds)])
        expected = expected_output()
    results = []
    with multiprocessing.Pool(options.jobs) as pool:
        each = functools.partial(process, options, support, expected)
        for result in pool.imap(each, enumerate(builds)):
            results.append(result)
            if result.failures:
                print(f"{heading(result.build)} {' '.join(result.build.flags)}: {len(result.failures)} failures")
                print("".join(f"  {failure}\n" for failure in result.failures[:LISTED]), end="", flush=True)

    lines = table(results, code_titles(options.staticcall), versions({b[:2] for b in builds}), has_everything)
    if options.print:
        print("\n".join(lines))
    return conclude(options, results, lines, has_everything, has_all_levels)


def conclude(options, results, lines, has_everything, has_all_levels):
    """Compares or records, prints the last line, and says how the process ends."""
    failing = sum(bool(r.failures) for r in results)
    changed = []
    if not has_all_levels:
        print("not compared with the recorded table, which is of all levels")
    elif failing:
        print("not compared with the recorded table, because of the failures")
    elif options.bless:
        options.golden.write_text("\n".join(lines) + "\n")
        print(f"recorded {options.golden}; read the difference, then run again without --bless")
    else:
        changed = compare(options.golden, lines, has_everything)
        print("\n".join(changed[: 5 * LISTED]), end="\n" if changed else "")

    objects = sum(len(r.counts) * len(SOURCES) for r in results)
    everything = total(counts for r in results for counts in r.counts.values())
    refused = sum(bool(r.refusal) for r in results)
    print(
        f"coverage: {len(results)} sets of flags ({refused} refused by the compiler), {objects} objects,"
        f" {sum(r.programs for r in results)} programs; {everything.direct} calls direct, {everything.made.total()} made direct,"
        f" {everything.left.total()} left; failures in {failing} sets" + (", and the table is another" if changed else "")
    )
    return 1 if failing or changed or options.bless else 0


def main():
    options = parse_arguments()
    if options.keep:
        options.work = os.path.abspath(options.keep)
        os.makedirs(options.work)
        return work(options)
    with tempfile.TemporaryDirectory(prefix="coverage.") as options.work:
        return work(options)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, Failed, OSError) as error:
        print(f"coverage: {error}", file=sys.stderr)
        sys.exit(2)
