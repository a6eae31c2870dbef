#!/usr/bin/python3
"""Mutation test of `staticcall verify`: what is sound, with one thing changed.

Sound objects and linked images with tables are made anew at each run: both machines, gcc and clang, several linkers. For each seed one
of them gets one fault at a random place; the kinds of faults, and what is right to say about each, are in mutant_kinds.py. `verify`
must report a harmful one with a code that is right, and no code that is wrong, and be silent about a harmless one; a file that is
no sound ELF file any more may be refused (SC003). `annotate` on a copy of each object must do its work, after which `verify` is
content, or refuse and leave the file byte for byte as it was. Nothing may crash or hang.

A seed is printed for each failure, and `--seed N` makes that mutant again, exactly, with the same compilers at hand, and keeps it.

Exit codes: 0 all reported; 1 something was not, wrongly, or the tool crashed; 2 could not run.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import mutant_kinds  # noqa: E402 (it lies beside this file)
from mutant_kinds import ImageBase, KINDS, Meaningless, Mutant, ObjectBase, Unsound  # noqa: E402

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures"
TARGETS = ("x86_64", "aarch64")
SECONDS_PER_COMMAND = 60
SECONDS_PER_MUTANT = 10
MUTANTS_PER_RUN = 100
# How many places a kind may try, on as many files, before it is given up: each kind has one for which most places will do.
TRIES = 400


class CannotRun(Exception):
    """Something this check needs is missing or failed; says nothing about the tool."""


# The sound files

LOCAL = ["local-calls.c"]
GROUPED = ["-x", "assembler-with-cpp", "tables.S"]

# name: (compiler, flags and source, options of annotate; None where the table is in the source)
OBJECTS = {
    "gcc-O2": ("gcc", ["-O2", "calls.c"], []),
    "gcc-Os-sections": ("gcc", ["-Os", "-ffunction-sections", "calls.c"], []),
    "gcc-main": ("gcc", ["-O2", "-fno-pie", "calls-main.c"], []),
    "gcc-no-plt": ("gcc", ["-O2", "-fno-plt", "-fcf-protection=none", "demo.c"], []),
    "gcc-local": ("gcc", ["-O2", *LOCAL], ["--module"]),
    "gcc-groups": ("gcc", GROUPED, None),
    "gcc-ordered": ("gcc", ["-DORDERED", *GROUPED], None),
    "clang-O2": ("clang", ["-O2", "-faddrsig", "calls.c"], []),
    "clang-Os-sections": ("clang", ["-Os", "-ffunction-sections", "-faddrsig", "calls.c"], []),
    "clang-main": ("clang", ["-O1", "-faddrsig", "calls-main.c"], []),
    "clang-local": ("clang", ["-O2", *LOCAL], ["--module"]),
    "clang-groups": ("clang", GROUPED, None),
    "clang-ordered": ("clang", ["-DORDERED", *GROUPED], None),
}
# gcc's option on one machine only.
X86_ONLY = ("-fcf-protection=none",)

# For the images: position-independent, and with the tables of `tables.S`, in which some entries stand twice.
PARTS = {
    "calls": ["-O2", "-fPIC", "calls.c"],
    "sections": ["-Os", "-fPIC", "-ffunction-sections", "calls.c"],
    # Hidden keys: in a shared object nothing else can be reached by a distance.
    "main": ["-O2", "-fPIC", "-fvisibility=hidden", "calls-main.c"],
    "tables": ["-DSPARE", *GROUPED],
}
IMAGES = {
    "bfd": ("bfd", ["-no-pie"], ["calls", "main", "tables"]),
    "bfd-pie": ("bfd", ["-pie"], ["sections", "main", "tables"]),
    "lld": ("lld", ["-no-pie"], ["sections", "main", "tables"]),
    "lld-pie": ("lld", ["-pie"], ["calls", "main", "tables"]),
    "lld-shared": ("lld", ["-shared"], ["calls", "main", "tables"]),
    "mold-pie": ("mold", ["-pie"], ["sections", "main", "tables"]),
    "bfd-shared": ("bfd", ["-shared", "-Wl,-Bsymbolic"], ["calls", "main", "tables"]),
}


def run(command, expected=0):
    command = [str(word) for word in command]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_PER_COMMAND)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"no end after {SECONDS_PER_COMMAND} s: {shlex.join(command)}") from None
    if result.returncode != expected:
        text = (result.stderr + result.stdout).decode(errors="replace").strip()
        raise CannotRun(f"exit code {result.returncode}: {shlex.join(command)}\n{text[:2000]}")
    return result.stdout.decode(errors="replace")


class Toolbox:
    """The programs for one machine."""

    def __init__(self, target, staticcall, directory):
        self.target = target
        self.staticcall = staticcall
        prefix = "" if os.uname().machine == target else f"{target}-linux-gnu-"
        self.driver = self.find(prefix + "gcc")
        self.objdump = self.find(prefix + "objdump")
        self.objcopy = self.find(prefix + "objcopy")
        self.compilers = {"gcc": [self.driver]}
        clang = shutil.which("clang")
        if clang:
            self.compilers["clang"] = [clang, f"--target={target}-linux-gnu"]
        else:
            print("mutants: SKIPPED: objects of clang: no clang", flush=True)
        # A cross compiler does not look for linkers where they are.
        self.linker_links = directory / f"{target}-linkers"
        self.linker_links.mkdir()
        for linker in ("lld", "mold"):
            path = shutil.which(f"ld.{linker}") or shutil.which(linker)
            if path:
                (self.linker_links / f"ld.{linker}").symlink_to(os.path.abspath(path))
        self.linkers = [linker for linker in ("bfd", "lld", "mold") if self.can_link(linker)]

    @staticmethod
    def find(name):
        path = shutil.which(name)
        if path is None:
            raise CannotRun(f"{name}: no such program")
        return os.path.abspath(path)

    def can_link(self, linker):
        command = [self.driver, f"-B{self.linker_links}", f"-fuse-ld={linker}", "-Wl,--version"]
        if subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
            return True
        print(f"mutants: SKIPPED: images linked with {linker}: {self.driver} does not find it", flush=True)
        return False

    def compile(self, compiler, words, output):
        flags = [word for word in words[:-1] if self.target == "x86_64" or word not in X86_ONLY]
        run([*self.compilers[compiler], "-w", f"-I{FIXTURES}", *flags, "-c", FIXTURES / words[-1], "-o", output])

    def annotate(self, file, *options):
        self.check("annotate", *options, file)
        self.check("verify", "--strict", file)

    def check(self, *command):
        try:
            run([self.staticcall, *command])
        except CannotRun as problem:
            raise Unsound(str(problem)) from None

    def instructions(self, file):
        """objdump's text by (section, offset), or by address."""
        found, section = {}, ""
        for line in run([self.objdump, "-d", "-z", "-w", "--no-show-raw-insn", file]).splitlines():
            header = re.fullmatch(r"Disassembly of section (.*):", line)
            if header:
                section = header[1]
            instruction = re.match(r"\s*([0-9a-f]+):\t(.*\S)", line)
            if instruction:
                found[section, int(instruction[1], 16)] = instruction[2]
        return found

    def bases(self, directory):
        """All sound files for this machine, in the same order each time."""
        directory.mkdir()
        bases = []
        for name, (compiler, words, options) in OBJECTS.items():
            if compiler not in self.compilers:
                continue
            file = directory / f"{name}.o"
            self.compile(compiler, words, file)
            if options is None:
                self.check("verify", "--strict", file)
            else:
                self.annotate(file, *options)
            bases.append(ObjectBase(f"{self.target} {file.name}", file.read_bytes(), self.instructions(file), options))
        # Two annotated objects in one, whose tables lie behind each other.
        for name, first, second in (("combined", "gcc-O2", "gcc-main"), ("combined-local", "gcc-local", "clang-local")):
            combined, parts = directory / f"{name}.o", [directory / f"{part}.o" for part in (first, second)]
            if not all(part.exists() for part in parts):
                continue
            # Both have these functions, and may.
            for part in parts:
                run([self.objcopy, "-W", "local", "-W", "local_tail", "-W", "mixed", "-W", "of_another_module", part])
            run([self.driver, "-r", "-nostdlib", *parts, "-o", combined])
            self.check("verify", "--strict", combined)
            options = OBJECTS[first][2]
            bases.append(ObjectBase(f"{self.target} {combined.name}", combined.read_bytes(), self.instructions(combined), options))

        parts = {}
        for name, words in PARTS.items():
            parts[name] = directory / f"part-{name}.o"
            self.compile("gcc", words, parts[name])
            if name != "tables":
                self.annotate(parts[name])
        for name, (linker, flags, names) in IMAGES.items():
            if linker not in self.linkers:
                continue
            file = directory / name
            run([self.driver, f"-B{self.linker_links}", f"-fuse-ld={linker}", *flags, *(parts[part] for part in names), "-o", file])
            self.check("verify", "--strict", file)
            found = {address: text for (_, address), text in self.instructions(file).items()}
            bases.append(ImageBase(f"{self.target} {name}", file.read_bytes(), found))
        return bases


# The mutants


class Made:
    """One mutant: what was done, and what came out."""

    def __init__(self, seed, kind, base, codes, described, data):
        self.seed = seed
        self.kind = kind
        self.base = base
        self.codes = codes
        self.described = described
        self.data = data
        self.found = ()
        self.outcome = "reported"
        self.problems = []

    def __str__(self):
        codes = " or ".join(sorted(self.codes)) if self.kind.is_harmful else "nothing"
        where = f": {self.described}" if self.described else ""
        return f"seed {self.seed}: {self.kind.name} of {self.base.name}{where}; expected {codes}"

    def fail(self, outcome, text):
        if self.outcome != "crashed":
            self.outcome = outcome
        self.problems.append(text)


def make(seed, bases):
    """The mutant of a seed: kinds and machines take turns, all else is random."""
    number, turn = seed % len(KINDS), seed // len(KINDS)
    kind, target = KINDS[number], TARGETS[(number + turn) % len(TARGETS)]
    choices = random.Random(f"{kind.name} {target} {seed}")
    candidates = [base for base in bases[target] if base.subject == kind.subject]
    for _ in range(TRIES):
        mutant = Mutant(choices.choice(candidates), choices)
        try:
            codes = kind.mutate(mutant)
        except Meaningless:
            continue
        data = mutant.elf.finish()
        if data == mutant.base.data:
            continue
        if codes is not None and not codes <= kind.codes:
            raise AssertionError(f"{kind.name}: {codes} are not among the kind's codes")
        return Made(seed, kind, mutant.base, frozenset(kind.codes if codes is None else codes), mutant.described, data)
    raise CannotRun(f"seed {seed}: no place for {kind.name} in any file for {target}")


def start(command, seconds):
    """(exit code, output, errors); 'no end' for the exit code after so many seconds."""
    try:
        result = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return "no end", b"", b""
    return result.returncode, result.stdout, result.stderr


def verify(staticcall, files):
    """What was found in each file: (is it checked, [(severity, code)]). A string with the exit code where the run broke down."""
    status, output, errors = start([staticcall, "verify", "--format", "json", "-j", "2", *files], SECONDS_PER_MUTANT * max(1, len(files) // 10))
    if status not in (0, 1, 2):
        return f"{status} {errors.decode(errors='replace')[-300:]}"
    document = json.loads(output)
    found = {
        subject["path"]: (subject["checked"], [(f["severity"], f["code"]) for f in subject["findings"]])
        for subject in document["subjects"]
    }
    checked = all(is_checked for is_checked, _ in found.values())
    errors = any(severity == "error" for _, findings in found.values() for severity, _ in findings)
    if status != (2 if not checked else 1 if errors else 0) or found.keys() != {str(file) for file in files}:
        return f"{status}, which is not what the report says"
    return found


def verify_each(staticcall, files):
    """As verify; where the run broke down, file by file, so that each is told from the others."""
    found = verify(staticcall, files)
    if isinstance(found, str):
        found = {}
        for file in files:
            single = verify(staticcall, [file])
            found[str(file)] = single if isinstance(single, str) else single[str(file)]
    return found


def judge(mutant, found):
    if isinstance(found, str):
        return mutant.fail("crashed", f"verify: exit code {found}")
    is_checked, findings = found
    mutant.found = tuple(sorted({code for severity, code in findings if severity == "error"}))
    kind = mutant.kind
    reported = set(mutant.found)
    if not kind.is_harmful:
        if findings or not is_checked:
            mutant.fail("missed", f"harmless, and verify said {findings}")
    elif not reported:
        mutant.fail("missed", f"verify said {findings or 'nothing'}")
    elif not is_checked and "SC003" not in mutant.codes:
        mutant.fail("missed", f"verify refused the file: {sorted(reported)}")
    elif not reported & mutant.codes:
        mutant.fail("missed", f"verify said {sorted(reported)}, and none of that is right")
    elif not reported <= mutant.codes | kind.besides:
        mutant.fail("missed", f"verify said {sorted(reported)}, and not all of that is right")


def annotate(staticcall, mutants, directory):
    """Annotates copies of the objects among them."""
    directory.mkdir()
    for is_module in (False, True):
        files = {}
        for mutant in mutants:
            if mutant.kind.subject == "object" and mutant.base.is_module == is_module:
                file = directory / f"{mutant.seed}.o"
                file.write_bytes(mutant.data)
                files[file] = mutant
        if files:
            annotate_files(staticcall, files, ["--module"] if is_module else [])


def annotate_files(staticcall, files, options):
    def annotate_some(some):
        command = [staticcall, "annotate", "-q", *options, *some]
        status, output, errors = start(command, SECONDS_PER_MUTANT * max(1, len(some) // 10))
        text = (output + errors).decode(errors="replace")
        refused = {file for file in some if f"{file}: error: " in text}
        if status not in (0, 2) or (status == 2) != bool(refused):
            return f"{status} {text[-300:]}"
        return refused

    refused = annotate_some(list(files))
    if isinstance(refused, str):
        refused = set()
        for file, mutant in files.items():
            file.write_bytes(mutant.data)
            single = annotate_some([file])
            if isinstance(single, str):
                mutant.fail("crashed", f"annotate: exit code {single}")
            else:
                refused |= single
    accepted = [file for file, mutant in files.items() if file not in refused and mutant.outcome != "crashed"]
    for file in refused:
        if file.read_bytes() != files[file].data:
            files[file].fail("missed", "annotate refused the object, and changed it")
        if not files[file].kind.is_harmful and files[file].base.is_annotated:
            files[file].fail("missed", "harmless, and annotate refused the object")
    found = verify_each(staticcall, accepted) if accepted else {}
    for file in accepted:
        mutant = files[file]
        after = found[str(file)]
        if isinstance(after, str):
            mutant.fail("crashed", f"verify after annotate: exit code {after}")
        elif not after[0] or any(severity == "error" for severity, _ in after[1]):
            codes = {code for _, code in after[1]}
            if not (mutant.kind.is_outside_table and after[0] and codes == set(mutant.found)):
                mutant.fail("missed", f"annotate accepted the object, and verify says {sorted(codes)} about the outcome")


def check(options, mutants, directory):
    directory.mkdir()
    files = {}
    for mutant in mutants:
        file = directory / f"{mutant.seed}{'.o' if mutant.kind.subject == 'object' else ''}"
        file.write_bytes(mutant.data)
        files[file] = mutant
    for file, found in verify_each(options.staticcall, list(files)).items():
        judge(files[pathlib.Path(file)], found)
    for file, mutant in files.items():
        if file.read_bytes() != mutant.data:
            mutant.fail("missed", "verify changed the file")
    annotate(options.staticcall, mutants, directory / "annotated")
    for file, mutant in files.items():
        if mutant.problems or options.seed is not None:
            kept = options.keep / f"{mutant.seed}"
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            (kept / file.name).write_bytes(mutant.data)
            (kept / ("sound" + file.suffix)).write_bytes(mutant.base.data)
            problems = mutant.problems or [f"reported: {', '.join(mutant.found) or 'nothing'}"]
            print("\n    ".join([str(mutant), *problems, f"kept in {kept}"]), flush=True)
    shutil.rmtree(directory)


def print_summary(mutants, seconds):
    for kind in KINDS:
        of_kind = [mutant for mutant in mutants if mutant.kind is kind]
        if of_kind:
            codes = collections.Counter(" ".join(mutant.found) or "clean" for mutant in of_kind)
            text = ", ".join(f"{codes_text} {count}" for codes_text, count in codes.most_common())
            print(f"  {len(of_kind):4} {kind.name}{'' if kind.is_harmful else ' (harmless)'}: {text}")
    outcomes = collections.Counter(mutant.outcome for mutant in mutants)
    clean = sum(not mutant.kind.is_harmful and mutant.outcome == "reported" for mutant in mutants)
    bases = len({mutant.base.name for mutant in mutants})
    print(f"mutants: {bases} sound files, {seconds:.0f} s; {clean} of the mutants are harmless, and were reported clean")
    print(
        f"{len(mutants)} mutants of {len({mutant.kind.name for mutant in mutants})} kinds: {outcomes['reported']} reported, "
        f"{outcomes['missed']} missed, {outcomes['crashed']} crashed"
    )
    return outcomes["missed"] + outcomes["crashed"] > 0


def main():
    parser = argparse.ArgumentParser(description="Make single faults in sound tables, and see whether staticcall verify reports them.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--count", type=int, default=1000, metavar="N", help="how many mutants; default: %(default)s")
    parser.add_argument("--first-seed", type=int, metavar="N", help="default: random")
    parser.add_argument("--seed", type=int, metavar="N", help="only this mutant, and keep its files")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(".build/mutants"), metavar="DIR",
                        help="where the files of failures go; default: %(default)s")
    options = parser.parse_args()
    if options.count < 1:
        parser.error("--count must be at least 1")
    options.staticcall = Toolbox.find(options.staticcall)

    first = options.first_seed if options.first_seed is not None else random.SystemRandom().randrange(10**9)
    seeds = [options.seed] if options.seed is not None else range(first, first + options.count)
    print(f"mutants: seeds {seeds[0]} to {seeds[-1]}", flush=True)
    began = time.monotonic()
    mutants = []
    with tempfile.TemporaryDirectory(prefix="mutants.") as work:
        work = pathlib.Path(work)
        bases = {target: Toolbox(target, options.staticcall, work).bases(work / target) for target in TARGETS}
        for batch in range(0, len(seeds), MUTANTS_PER_RUN):
            made = [make(seed, bases) for seed in seeds[batch : batch + MUTANTS_PER_RUN]]
            check(options, made, work / f"{batch}")
            for mutant in made:
                mutant.data = b""
            mutants += made
    return 1 if print_summary(mutants, time.monotonic() - began) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unsound as problem:
        print(f"mutants: a sound file is not sound: {problem}", file=sys.stderr)
        sys.exit(1)
    except (CannotRun, OSError, struct.error) as problem:
        print(f"mutants: {problem}", file=sys.stderr)
        sys.exit(2)
