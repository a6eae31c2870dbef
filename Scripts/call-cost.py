#!/usr/bin/python3
"""What a static call costs before and after `staticcall annotate`: nanoseconds for one call.

Fixtures/call-cost is a loop of calls of a trampoline. It is built in the ways that make the calls
indirect (retpolines with -fno-plt, and -fno-plt alone) and in the one that does not, and measured in
four states:

    before annotate    as the compiler made it
    after annotate     through the trampoline, which jumps through the key
    after + patched    each call site in the table aimed at the key's function, as a runtime does it
    plain direct call  the same loop with calls of the function by its name

The states share a process and take turns, round after round, and so do the builds, process after
process: drift hits all alike. What an empty loop takes in the same process is subtracted. A figure is
the median of all rounds, with the smallest in parentheses; a ratio is the median of the rounds' own
ratios. The report is Markdown on standard output.

Before anything is measured, objdump must show in each loop the calls that its state promises.

Exit codes: 0 measured; 2 something needed is missing, a command failed, or a loop has other calls.
"""

import argparse
import collections
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "Fixtures" / "call-cost"
CALLS = 8  # CALLS_PER_TURN in cost.h
STATES = ("before", "after", "patched", "plain")
SECONDS_PER_COMMAND = 300

# Alike in all builds. Loops and functions begin at a cache line, so that no build is lucky.
COMMON = ["-O2", "-fPIE", "-fcf-protection=none", "-fno-stack-protector", "-falign-functions=64", "-falign-loops=64"]
# A linker that knows where the trampoline is turns loads from the GOT, and calls through it, into direct ones
# (x86-64 psABI, B.2). Loaders of kernel modules do not, nor does any linker where there is a thunk in between.
LINK = ["-pie", "-Wl,--no-relax"]

# `calls` is what objdump prints of a call before annotation.
Build = collections.namedtuple("Build", "title compiler flags calls")

THUNK = r"call\s.*<(__x86_indirect_thunk|__llvm_retpoline)_\w+>"
POINTER = r"call\s+\*.*"
TRAMPOLINE = r"call\s.*<__SCT__{state}>"
TARGET = r"call\s.*<target>"

BUILDS = (
    Build("gcc, retpolines", "gcc", ["-mindirect-branch=thunk", "-mindirect-branch-register", "-fno-plt"], THUNK),
    Build("clang, retpolines", "clang", ["-mretpoline", "-fno-plt"], THUNK),
    Build("gcc -fno-plt", "gcc", ["-fno-plt"], POINTER),
    Build("clang -fno-plt", "clang", ["-fno-plt"], POINTER),
    Build("gcc, direct calls", "gcc", [], TRAMPOLINE),
    Build("clang, direct calls", "clang", [], TRAMPOLINE),
)


class CannotRun(Exception):
    pass


def program(name):
    path = shutil.which(name)
    if path is None:
        raise CannotRun(f"{name}: no such program")
    return os.path.abspath(path)


def output_of(argv):
    """Standard output of a command that must succeed."""
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS_PER_COMMAND)
    except subprocess.TimeoutExpired as error:
        raise CannotRun(f"no end after {SECONDS_PER_COMMAND} s: {' '.join(argv)}") from error
    if result.returncode != 0:
        raise CannotRun(f"exited {result.returncode}: {' '.join(argv)}\n{result.stderr.strip()}")
    return result.stdout


# Building


def compile_loop(tools, build, state, directory):
    """The object with the loop of one state; annotated where the state says so."""
    source, object_file = str(SOURCES / "caller.c"), str(directory / f"{state}.o")
    definition = {"empty": ["-DEMPTY"], "plain": ["-DPLAIN"]}.get(state, [])
    compiler = tools.compilers[build.compiler]
    output_of([compiler, *COMMON, *build.flags, f"-DSTATE={state}", *definition, "-c", source, "-o", object_file])
    if state in ("after", "patched"):
        output_of([tools.staticcall, "annotate", "--quiet", object_file])
    return object_file


def make(tools, build, directory):
    """The path of a build's program, with the calls in it that are to be measured."""
    loops = [compile_loop(tools, build, state, directory) for state in ("empty", *STATES)]
    others = [str(SOURCES / name) for name in ("main.c", "patch.c", "target.c")]
    image = str(directory / "call-cost")
    # The rest is the same code in all builds, and measures; it is no part of what is measured.
    output_of([tools.compilers["gcc"], *COMMON, *LINK, *others, *loops, "-o", image])
    expected = {"empty": None, "before": build.calls, "after": TRAMPOLINE, "patched": TRAMPOLINE, "plain": TARGET}
    for state, pattern in expected.items():
        check_calls(tools, build, image, state, pattern)
    return image


def check_calls(tools, build, image, state, pattern):
    """The loop of a state has its calls and no others."""
    function = f"loop_{state}"
    text = output_of([tools.objdump, "-d", "--no-show-raw-insn", f"--disassemble={function}", image])
    instructions = re.findall(r"^ +[0-9a-f]+:\t(.+?)\s*$", text, re.MULTILINE)
    if not instructions:
        raise CannotRun(f"{build.title}: objdump shows no {function}")
    # A prefix may stand before the mnemonic.
    calls = [match.group() for match in (re.search(r"\bcall\b.*", line) for line in instructions) if match]
    wanted = 0 if pattern is None else CALLS
    wrong = [] if pattern is None else [call for call in calls if not re.fullmatch(pattern.format(state=state), call)]
    if len(calls) != wanted or wrong:
        raise CannotRun(f"{build.title}: {function} has other calls than it should: {'; '.join(wrong or calls) or 'none'}")


# Measuring


def measure(image, rounds, turns):
    """{state: nanoseconds of a call in each round} of one process."""
    times = {}
    for line in output_of([image, str(rounds), str(turns)]).splitlines():
        state, *values = line.split()
        times[state] = [float(value) for value in values]
    if sorted(times) != sorted(("empty", *STATES)) or any(len(values) != rounds for values in times.values()):
        raise CannotRun(f"{image} does not print what is expected")
    # Not each round's own: where only the empty loop was held up, a call would seem to take no time.
    loop = statistics.median(times.pop("empty"))
    return {state: [value - loop for value in values] for state, values in times.items()}


def report(title, times):
    def figure(state):
        return f"{statistics.median(times[state]):.2f} ({min(times[state]):.2f})"

    def ratio(state):
        # On a machine with little rest a round may take no time beyond the loop's.
        ratios = [time / plain for time, plain in zip(times[state], times["plain"]) if plain > 0]
        return f"{statistics.median(ratios):.2f}" if ratios else "-"

    cells = [title, *map(figure, STATES), *map(ratio, STATES[:-1])]
    print(f"| {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Measure a static call before and after staticcall annotate.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool that annotates")
    parser.add_argument("--processes", type=int, default=7, metavar="N", help="of each build; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=31, metavar="N", help="of each process; default: %(default)s")
    parser.add_argument("--turns", type=int, default=20_000, metavar="N", help=f"of {CALLS} calls; default: %(default)s")
    tools = parser.parse_args()
    if min(tools.processes, tools.rounds, tools.turns) < 1:
        parser.error("the numbers must be at least 1")
    if platform.machine() != "x86_64":
        raise CannotRun(f"measures x86-64, and this machine is {platform.machine()}")
    tools.staticcall = program(tools.staticcall)
    tools.objdump = program("objdump")
    tools.compilers = {name: program(name) for name in ("gcc", "clang")}

    with tempfile.TemporaryDirectory(prefix="call-cost.") as directory:
        images = {}
        for number, build in enumerate(BUILDS):
            place = pathlib.Path(directory, str(number))
            place.mkdir()
            images[build.title] = make(tools, build, place)
        times = {title: {state: [] for state in STATES} for title in images}
        for _ in range(tools.processes):
            for title, image in images.items():
                for state, values in measure(image, tools.rounds, tools.turns).items():
                    times[title][state] += values

    print(
        f"Nanoseconds for one call, without the loop: median (minimum) of {tools.processes * tools.rounds} rounds of "
        f"{tools.turns * CALLS:,} calls, taking turns; {processor()}, {os.cpu_count()} CPUs, Linux {platform.release()}."
    )
    print(
        "\n| build | before annotate | after annotate (through the trampoline) | after annotate + patched "
        "| plain direct call | before / plain | after / plain | patched / plain |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for build in BUILDS:
        report(build.title, times[build.title])


def processor():
    """The processor's name as the kernel has it: retpolines cost what the processor makes of them."""
    match = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match.group(1) if match else "unknown processor"


if __name__ == "__main__":
    try:
        main()
    except (CannotRun, OSError) as error:
        print(f"call-cost: {error}", file=sys.stderr)
        sys.exit(2)
