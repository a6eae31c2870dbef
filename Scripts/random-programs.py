#!/usr/bin/python3
"""Random programs that must do the same before and after `staticcall annotate`.

For each seed: a program full of static calls (random_source.py), compiled by a compiler and with flags that the seed chooses, most
of them such that calls become indirect. Its objects are annotated and the program is linked twice, from the untouched objects and
from the annotated ones. Both must print the same and exit alike, and so must the annotated one as its own patcher: started with an
argument, it aims every call site of the table at the current target (Fixtures/random-calls.c), after looking whether there is a
branch to the trampoline of that key. Besides, `verify` must be content, a second `annotate` must change nothing, and the table
must hold what `list` promised.

With --through-keys the same programs call through the keys' first words, and `annotate --through-keys` makes these calls direct.

A seed is printed for each failure, and `--seed N` makes that program again, exactly, with the same compilers at hand.

Exit codes: 0 all alike; 1 differences; 2 could not run.
"""

import argparse
import collections
import concurrent.futures
import difflib
import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import random_source  # noqa: E402 (it lies beside this file)

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures"
# A name that linkers make __start_ and __stop_ symbols for.
TABLE = "static_call_sites"
SECONDS_PER_COMMAND = 60
# How many lines of one difference are printed.
LISTED = 12

IN_TABLE, ADDRESS_TAKEN, STAYS = "in table", "address taken", "stays indirect"
NOT_YET, CAN_BE_DIRECT = "not in table", "can be made direct"


class CannotRun(Exception):
    """Something this check needs is missing or failed; says nothing about the tool."""


class Different(Exception):
    """What a program's check ends with when it fails."""


class NotRun(Exception):
    """The program is alike as far as it can be compared, and this machine cannot run it."""


class CompilerCrashed(Exception):
    """The fault of the compiler: the program is passed over."""


# How programs are compiled. A build is flags and whether the object may be part of a position-independent executable.

LEVELS = {
    "gcc": ["-O2"] * 5 + ["-O1"] * 3 + ["-Os"] * 3 + ["-O3"] * 2 + ["-Og", "-O0"],
    "clang": ["-O2"] * 5 + ["-O1"] * 3 + ["-Os"] * 2 + ["-Oz"] * 2 + ["-O3"] * 2 + ["-O0"],
}

COMMON = [
    "-fno-asynchronous-unwind-tables",
    "-fno-omit-frame-pointer",
    "-fomit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-fno-jump-tables",
    "-ffunction-sections",
    "-fvisibility=hidden",
    "-fstack-protector-all",
    "-fno-stack-protector",
    "-fno-inline",
    "-funroll-loops",
    "-fno-exceptions",
    "-fexceptions",
    "-falign-functions=64",
    "-DHIDDEN",
    "-DHIDDEN",
    "-g1",
]
GCC = [
    "-fno-ipa-ra",
    "-fno-schedule-insns -fno-schedule-insns2",
    "-fschedule-insns",
    "-frename-registers",
    "-fno-reorder-blocks",
    "-fno-reorder-blocks-and-partition",
    "-freorder-blocks-algorithm=simple",
    "-fno-crossjumping",
    "-fno-gcse",
    "-fgcse-after-reload",
    "-fno-tree-pre",
    "-fno-shrink-wrap",
    "-fno-ivopts",
    "-fno-if-conversion -fno-if-conversion2",
    "-fno-cprop-registers",
    "-fno-caller-saves",
    "-fno-thread-jumps",
    "-fno-guess-branch-probability",
    "-fno-peephole2",
    "-fno-forward-propagate",
    "-fno-tree-ter",
    "-fno-ipa-cp -fno-ipa-sra",
    "-fira-region=one",
    "-flive-range-shrinkage",
    "-fno-section-anchors",
    "-fno-toplevel-reorder",
    "-fno-partial-inlining",
    "-fstack-clash-protection",
    "-fpatchable-function-entry=2",
    "-fno-tree-vectorize",
    "-fno-function-cse",
    "-fno-delete-null-pointer-checks",
]
CLANG = [
    "-fno-vectorize -fno-slp-vectorize",
    "-fbasic-block-sections=all",
    "-fpatchable-function-entry=2",
    "-falign-loops=32",
    "-fno-semantic-interposition",
    "-fno-integrated-cc1",
    "-mllvm -enable-tail-merge=0",
    "-mllvm -tail-dup-size=8",
    "-mllvm -disable-block-placement",
    "-mllvm -regalloc=basic",
    "-mllvm -enable-misched=0",
    "-fstack-clash-protection",
]
EXTRAS = {
    ("gcc", "x86_64"): COMMON
    + GCC
    + [
        "-mharden-sls=all",
        "-mharden-sls=all",
        "-mharden-sls=return",
        "-mno-red-zone",
        "-mtune=atom",
        "-mtune=znver3",
        "-mtune=core2",
        "-mtune=intel",
        "-mno-push-args",
        "-maccumulate-outgoing-args",
        "-mtls-dialect=gnu2",
        "-ffixed-r14",
        "-mfunction-return=thunk-extern",
        "-minline-all-stringops",
        "-mstringop-strategy=rep_byte",
        "-mstringop-strategy=rep_8byte",
        "-march=x86-64-v3",
        "-mfpmath=387",
        "-fsplit-wide-types-early",
        "-mpreferred-stack-boundary=5",
    ],
    ("clang", "x86_64"): COMMON
    + CLANG
    + [
        "-mharden-sls=all",
        "-mharden-sls=all",
        "-mno-red-zone",
        "-mtune=atom",
        "-mtune=znver3",
        "-mtune=silvermont",
        "-mtune=skylake",
        "-mbranches-within-32B-boundaries",
        "-mfunction-return=thunk-extern",
        "-mllvm -x86-indirect-branch-tracking",
        "-mllvm -enable-ipra",
        "-march=x86-64-v3",
        "-mllvm -enable-machine-outliner=always",
        "-mstack-alignment=32 -mstackrealign",
    ],
    ("gcc", "aarch64"): COMMON
    + GCC
    + [
        "-mbranch-protection=standard",
        "-mbranch-protection=standard",
        "-mbranch-protection=pac-ret+leaf",
        "-mtune=cortex-a53",
        "-mtune=neoverse-n1",
        "-mtune=thunderx2t99",
        "-mfix-cortex-a53-835769",
        "-mfix-cortex-a53-843419",
        "-fno-section-anchors",
        "-mlow-precision-div",
        "-march=armv8.1-a",
        "-march=armv8.1-a",
        "-march=armv8.3-a",
        "-march=armv8.2-a+sve",
        "-mno-outline-atomics",
        "-ffixed-x22",
    ],
    ("clang", "aarch64"): COMMON
    + [flag for flag in CLANG if "basic-block" not in flag]
    + [
        "-mbranch-protection=standard",
        "-mbranch-protection=standard",
        "-mbranch-protection=pac-ret+leaf+b-key",
        "-mtune=cortex-a53",
        "-mtune=apple-m1",
        "-mfix-cortex-a53-835769",
        "-mllvm -aarch64-enable-ldst-opt=false",
        "-mllvm -aarch64-enable-compress-jump-tables=false",
        "-march=armv8.1-a",
        "-march=armv8.3-a",
        "-mllvm -enable-ipra",
        "-ffixed-x22",
        "-moutline",
        "-moutline",
    ],
}


def retpoline_of_gcc(choose):
    # gcc refuses retpolines together with branch tracking, which some distributions switch on.
    flags = ["-fcf-protection=none", "-mindirect-branch=" + choose(["thunk", "thunk-extern", "thunk-extern", "thunk-inline"])]
    return flags + choose([["-mindirect-branch-register"], ["-mindirect-branch-register"], []])


def retpoline_of_clang(choose):
    external = ["-mretpoline", "-mretpoline-external-thunk"]
    return choose([["-mretpoline"], ["-mretpoline"], external, external, ["-mlvi-cfi"]])


def slower_branches(compiler, target, choose):
    """Indirect branches replaced by calls of thunks."""
    if target == "aarch64":
        return ["-mharden-sls=" + choose(["all", "all", "blr", "retbr"])]
    return retpoline_of_gcc(choose) if compiler == "gcc" else retpoline_of_clang(choose)


def code_model(compiler, target, is_pie, choose):
    """The flags that decide how an address is come by: most of them such that calls of trampolines are indirect."""
    position = choose(["-fPIC", "-fPIC", "-fPIE"]) if is_pie else choose(["-fno-pie", "-fno-pie", "-fPIC"])
    plain = [position]
    through_table = [position, "-fno-plt"]
    if target == "aarch64":
        tiny = [position, "-mcmodel=tiny"]
        large = plain if is_pie else ["-fno-pie", "-mcmodel=large"]
        if position == "-fno-pie":
            through_table = ["-fPIC", "-fno-plt"]
        return choose([through_table] * 6 + [large] * 4 + [tiny + ["-fno-plt"]] * 2 + [tiny, plain])
    large = ["-fPIC", "-fno-plt"] if is_pie else ["-fno-pie", "-mcmodel=large"]
    other = [[position, "-mcmodel=medium"], [position, "-mcmodel=medium", "-fno-plt"]]
    other += [["-fPIC" if is_pie else position, "-mcmodel=large"], plain]
    return choose([through_table] * 7 + [large] * 4 + other)


# The last is clang's, now and then, for its own -fbasic-block-sections with retpolines.
COMPILER_BUGS = (
    "internal compiler error",
    "PLEASE submit a bug",
    "must appear between .cfi_startproc and .cfi_endproc",
)


def is_refused(extra, target, flags, has_retpolines):
    """Whether the compiler takes the extra flag together with the others for an error, or crashes."""
    if "-mfunction-return" in extra:
        return "-mcmodel=large" in flags
    if "basic-block-sections" in extra:
        # Without optimisation exceptions do not find their handlers in such programs, before annotating.
        return "-O0" in flags
    if "regalloc" in extra:
        return "-O0" in flags
    if "-mharden-sls" in extra:
        return has_retpolines and target == "aarch64"
    # With -enable-ipra clang forgets to make the thunk.
    return ("outliner" in extra or "enable-ipra" in extra) and has_retpolines


def choose_flags(compiler, target, is_pie, choices):
    choose = choices.choice
    flags = [choose(LEVELS[compiler])] + code_model(compiler, target, is_pie, choose)
    extras = EXTRAS[compiler, target]
    has_retpolines = choices.random() < 0.45
    if has_retpolines:
        # gcc has no retpolines in its large model.
        if compiler == "gcc" and target == "x86_64" and "-mcmodel=large" in flags:
            flags = [flag for flag in flags if flag != "-mcmodel=large"] + ["-fno-plt"]
        flags += slower_branches(compiler, target, choose)
    elif target == "x86_64":
        flags += choose([["-fcf-protection=none"], ["-fcf-protection=full"], ["-fcf-protection=branch"]])
    for extra in choices.sample(extras, choices.randrange(6)):
        if is_refused(extra, target, flags, has_retpolines):
            continue
        flags += extra.split()
    return flags


def flags_for(needs, compiler, flags):
    if "needs_whole_functions" in needs:
        # Distances between labels of one function are constants only within a section.
        flags = [flag for flag in flags if not flag.startswith("-fbasic-block-sections")]
        if compiler == "gcc":
            flags.append("-fno-reorder-blocks-and-partition")
    if "has_intrinsics" in needs:
        flags.append("-mavx512f")
    return flags


# Running


def run(command, what, expected=(0,)):
    """The output of a command that must exit as expected; what it is good for, for the message."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            output, errors = process.communicate(timeout=SECONDS_PER_COMMAND)
        except subprocess.TimeoutExpired:
            # A compiler's driver has children, which would keep the pipes open.
            os.killpg(process.pid, signal.SIGKILL)
            raise Different(f"{what}: no end after {SECONDS_PER_COMMAND} s: {shlex.join(command)}") from None
    result = subprocess.CompletedProcess(command, process.returncode, output, errors)
    if result.returncode not in expected:
        text = (result.stderr + result.stdout).decode(errors="replace").strip()
        raise Different(f"{what}: exit code {result.returncode}\n{text[:2000]}")
    return result


class Toolbox:
    """The programs that this check uses, looked up once."""

    def __init__(self, options):
        self.staticcall = self.find(options.staticcall)
        self.target = options.target
        prefix = "" if self.target == "x86_64" else "aarch64-linux-gnu-"
        self.is_native = os.uname().machine == self.target
        if not self.is_native and self.target == "x86_64":
            prefix = "x86_64-linux-gnu-"
        self.linking = {language: self.find(prefix + driver) for language, driver in (("c", "gcc"), ("cxx", "g++"))}
        self.runner = []
        if not self.is_native:
            self.runner = [self.find(f"qemu-{self.target}"), "-L", f"/usr/{self.target}-linux-gnu"]
        self.compilers = {"gcc": {language: [path] for language, path in self.linking.items()}}
        clang = self.find_or_skip("clang", "programs that clang would compile")
        if clang:
            self.compilers["clang"] = {
                "c": [clang, f"--target={self.target}-linux-gnu"],
                "cxx": [clang, "--driver-mode=g++", f"--target={self.target}-linux-gnu"],
            }
        self.has_avx512 = "avx512dq" in pathlib.Path("/proc/cpuinfo").read_text().split()
        if self.target == "x86_64" and not self.has_avx512:
            print("random-programs: SKIPPED: running programs that use AVX-512: this processor has none", flush=True)
        self.linkers = [linker for linker in ("bfd", "lld", "mold") if self.can_link(linker)]

    @staticmethod
    def find(name):
        path = shutil.which(name)
        if path is None:
            raise CannotRun(f"{name}: no such program")
        return os.path.abspath(path)

    def find_or_skip(self, name, what):
        path = shutil.which(name)
        if path is None:
            print(f"random-programs: SKIPPED: {what}: no {name}", flush=True)
        return path

    def can_link(self, linker):
        """Whether the driver finds that linker; the first one is a must."""
        command = [self.linking["c"], f"-fuse-ld={linker}", "-Wl,--version"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if result.returncode != 0 and linker == "bfd":
            raise CannotRun(f"{shlex.join(command)} failed: {result.stderr.decode(errors='replace').strip()}")
        if result.returncode != 0:
            print(f"random-programs: SKIPPED: linking with {linker}: {self.linking['c']} does not find it", flush=True)
        return result.returncode == 0


class Program:
    """One program, from its seed to the comparison of what it prints."""

    def __init__(self, options, tools, fixed, seed, directory):
        self.options = options
        self.tools = tools
        self.fixed = fixed
        self.directory = directory
        # The sources depend on the seed alone: the same ones for both ways to call, and whatever compilers are at hand.
        self.choices = random.Random(f"{options.target} {seed}")
        self.commands = []
        self.described = []
        self.objects = []

    def run(self, command, what, expected=(0,)):
        command = [str(word) for word in command]
        self.commands.append(shlex.join(command))
        return run(command, what, expected)

    def path(self, *names):
        return self.directory.joinpath(*names)

    def staticcall(self, command, *arguments):
        """One of the tool's commands; all of them must look at the objects in the same way."""
        modes = {"--no-rewrite": self.options.no_rewrite, "--through-keys": self.options.through_keys}
        flags = [flag for flag, is_wanted in modes.items() if is_wanted]
        return [self.tools.staticcall, command, "--section", TABLE, *flags, *arguments]

    def check(self):
        """The sites that `list` found before and after, as Counters."""
        self.compile()
        before = self.list("untouched")
        self.annotate()
        after = self.list("annotated")
        self.compare_lists(before, after)
        for kind in ("untouched", "annotated"):
            self.link(kind)
        if "needs_avx512" in self.needs and not self.tools.has_avx512:
            raise NotRun("it needs AVX-512")
        self.compare_runs()
        return before

    def compile(self):
        seed = self.choices.random()
        files = random_source.write_program(
            random.Random(seed), self.options.target, self.options.through_keys, only=self.options.only
        )
        self.is_cxx = any(name.endswith(".cc") for name, _, _ in files)
        self.needs = set().union(*(needs for _, _, needs in files))
        self.is_pie = self.choices.random() < 0.5
        self.linker = self.choices.choice(["bfd", "bfd", "lld", "mold"])
        if self.linker == "lld" and self.is_cxx and not self.is_pie:
            # It copies libstdc++'s type_info of long into the program, which then catches nothing.
            self.linker = "bfd"
        if self.linker not in self.tools.linkers:
            self.linker = "bfd"
        for kind in ("untouched", "annotated"):
            self.path(kind).mkdir()
        for name, text, needs in files:
            source = self.path(name)
            source.write_text(text)
            compiler = self.choices.choice(["gcc", "clang"])
            flags = choose_flags(compiler, self.options.target, self.is_pie, self.choices)
            if compiler not in self.tools.compilers:
                continue
            language = "cxx" if name.endswith(".cc") else "c"
            if self.is_cxx:
                # Exceptions pass through all files of such a program.
                flags = [flag for flag in flags if flag != "-fno-exceptions"] + ["-fexceptions"]
            flags = flags_for(needs, compiler, flags)
            if self.options.through_keys:
                flags.append("-DTHROUGH_KEYS")
            if language == "cxx":
                flags.append("-std=gnu++17")
            flags += ["-w", "-fwrapv", f"-I{FIXTURES}"]
            self.described.append(f"{compiler} {' '.join(flags[:-3])} {name}")
            output = source.stem + ".o"
            command = self.tools.compilers[compiler][language] + flags + ["-c", source, "-o", self.path("untouched", output)]
            try:
                self.run(command, "compiling")
            except Different as difference:
                if any(words in str(difference) for words in COMPILER_BUGS):
                    raise CompilerCrashed(f"{compiler} crashed: {self.described[-1]}") from None
                raise
            self.objects.append(output)
        if len(self.objects) < len(files):
            raise CompilerCrashed("no compiler")

    def annotate(self):
        for name in self.objects:
            shutil.copyfile(self.path("untouched", name), self.path("annotated", name))
        objects = [self.path("annotated", name) for name in self.objects]
        command = self.staticcall("annotate", "-q", *objects)
        self.run(command, "annotate")
        first = [fingerprint(file) for file in objects]
        self.run(command, "annotate again")
        for file, a in zip(objects, first):
            for what, x, y in zip(("contents", "modification time", "inode"), a, fingerprint(file)):
                if x != y:
                    raise Different(f"annotating again changed the {what} of {file.name}")
        self.run(self.staticcall("verify", *objects), "verify")

    def list(self, kind):
        objects = [self.path(kind, name) for name in self.objects]
        listed = json.loads(self.run(self.staticcall("list", "--format", "json", *objects), "list").stdout)
        return collections.Counter(
            (site["shape"], site["state"], site.get("code", "")) for object in listed["objects"] for site in object["sites"]
        )

    def compare_lists(self, before, after):
        """What could be put into the table must be there now, and nothing may be promised any more."""
        promised = (NOT_YET, CAN_BE_DIRECT)
        expected = sum(count for (_, state, _), count in before.items() if state in promised)
        found = sum(count for (_, state, _), count in after.items() if state == IN_TABLE)
        if expected != found:
            raise Different(f"list: {expected} sites to be put into the table, {found} found there afterwards")
        left = [f"{shape} {state}" for shape, state, _ in after if state in promised]
        if left:
            raise Different(f"list: after annotating there are still sites {left}")

    def link(self, kind):
        driver = self.tools.linking["cxx" if self.is_cxx else "c"]
        objects = [self.path(kind, name) for name in self.objects]
        position = "-pie" if self.is_pie else "-no-pie"
        output = self.path(kind, "program")
        command = [driver, position, f"-fuse-ld={self.linker}", "-w", *objects, *self.fixed, "-o", output]
        self.run(command, f"linking the {kind} program")

    def start(self, kind, *arguments):
        # A program may end in any way, so long as both end alike.
        result = self.run(
            [*self.tools.runner, self.path(kind, "program"), *arguments], f"running the {kind} program", range(-64, 256)
        )
        return result.stdout.decode(errors="replace") + f"exit code {result.returncode}\n"

    def compare_runs(self):
        expected = self.start("untouched")
        if expected.endswith(("exit code 120\n", "exit code 121\n")) or "exit code -" in expected:
            raise Different(f"the untouched program fails: {expected.splitlines()[-2:]}")
        for what, arguments in (("annotated", ()), ("annotated and patched", ("patch",))):
            found = self.start("annotated", *arguments)
            if found == expected:
                continue
            if self.start("untouched") != expected:
                raise Different("the program does not print the same each time: the generator's fault")
            lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "untouched", what, lineterm="", n=3)
            shown = [line for _, line in zip(range(LISTED + 2), lines)]
            raise Different(f"the {what} program differs from the untouched one:\n" + "\n".join(shown))


def fingerprint(file):
    status = file.stat()
    return file.read_bytes(), status.st_mtime_ns, status.st_ino


# The whole


def check(options, tools, fixed, seed):
    """(outcome, sites, text) of one seed."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{seed}.", dir=options.work))
    program = Program(options, tools, fixed, seed, directory)
    sites, outcome, text = collections.Counter(), "alike", ""
    try:
        sites = program.check()
    except NotRun as reason:
        outcome = f"not run: {reason}"
    except CompilerCrashed as crash:
        outcome, text = str(crash), f"seed {seed}: SKIPPED: {crash}"
    except Different as difference:
        outcome = "different"
        text = "\n    ".join([f"seed {seed}: {difference}", *program.described])
    (directory / "commands").write_text("\n".join(program.commands) + "\n")
    if outcome == "different" or options.seed is not None:
        mode = "keys" if options.through_keys else "calls"
        kept = options.keep / f"{options.target}-{mode}-{seed}"
        shutil.rmtree(kept, ignore_errors=True)
        options.keep.mkdir(parents=True, exist_ok=True)
        shutil.move(directory, kept)
        text += f"\n    kept in {kept} (made in {directory})" if text else f"seed {seed}: alike; kept in {kept}"
    else:
        shutil.rmtree(directory)
    return outcome, sites, text


def compile_fixed(options, tools, directory):
    """The half that all programs share. Its functions are thrown through, and it must fit into every kind of program."""
    command = tools.compilers["gcc"]["c"] + ["-O1", "-fPIC", "-fexceptions", "-fwrapv", "-w", "-c"]
    objects = []
    for name in ("random-calls", "random-ways-in"):
        objects.append(directory / f"{name}.o")
        try:
            run(command + [str(FIXTURES / f"{name}.c"), "-o", str(objects[-1])], "compiling")
        except Different as difference:
            raise CannotRun(str(difference)) from None
    return objects


def print_summary(options, outcomes, sites, seconds):
    mode = ", calls through keys" if options.through_keys else ""
    total = sum(outcomes.values())
    not_run = sum(count for outcome, count in outcomes.items() if outcome.startswith("not run"))
    print(
        f"random-programs: {options.target}{mode}: {total} programs in {seconds:.0f} s: {outcomes['alike']} alike, "
        f"{outcomes['different']} different, {not_run} not run, "
        f"{total - outcomes['alike'] - outcomes['different'] - not_run} skipped; "
        f"{sum(sites.values())} sites"
    )
    for state in sorted({state for _, state, _ in sites}):
        counted = collections.Counter()
        for (shape, other, code), count in sites.items():
            if other == state:
                counted[f"{shape} {code}".strip()] += count
        text = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
        print(f"  {state} {sum(counted.values())}: {text}")


def main():
    parser = argparse.ArgumentParser(description="Run random programs before and after staticcall annotate.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--target", choices=["x86_64", "aarch64"], default="x86_64", help="default: %(default)s")
    parser.add_argument("--through-keys", action="store_true", help="programs that call through keys, without trampolines")
    parser.add_argument("--only", action="append", default=[], choices=random_source.SPECIAL_STATEMENTS,
                        help="of the special statements only this kind, and much of it; may be repeated")
    parser.add_argument("--no-rewrite", action="store_true", help="annotate with --no-rewrite")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="how many programs; default: %(default)s")
    parser.add_argument("--first-seed", type=int, metavar="N", help="default: random")
    parser.add_argument("--seed", type=int, metavar="N", help="only this program, and keep its files")
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path(".build/random"), metavar="DIR",
                        help="where the files of failures go; default: %(default)s")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    parser.add_argument("--most", type=int, default=10, metavar="N", help="end after so many failures; default: %(default)s")
    options = parser.parse_args()
    if options.count < 1:
        parser.error("--count must be at least 1")
    tools = Toolbox(options)

    first = options.first_seed if options.first_seed is not None else random.SystemRandom().randrange(10**9)
    seeds = [options.seed] if options.seed is not None else range(first, first + options.count)
    print(f"random-programs: {options.target}, seeds {seeds[0]} to {seeds[-1]}", flush=True)
    outcomes, sites = collections.Counter(), collections.Counter()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="random-programs.") as work:
        options.work = work
        fixed = compile_fixed(options, tools, pathlib.Path(work))
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            futures = [pool.submit(check, options, tools, fixed, seed) for seed in seeds]
            try:
                for future in concurrent.futures.as_completed(futures):
                    if future.cancelled():
                        continue
                    outcome, counted, text = future.result()
                    outcomes[outcome] += 1
                    sites += counted
                    if text:
                        print(text, flush=True)
                    if outcomes["different"] == options.most:
                        pool.shutdown(wait=False, cancel_futures=True)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    print_summary(options, outcomes, sites, time.monotonic() - start)
    if outcomes["different"]:
        sys.exit(1)
    if not outcomes["alike"]:
        raise CannotRun("no program could be checked")


if __name__ == "__main__":
    try:
        main()
    except (CannotRun, OSError) as error:
        print(f"random-programs: {error}", file=sys.stderr)
        sys.exit(2)
