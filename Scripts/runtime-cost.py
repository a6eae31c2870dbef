#!/usr/bin/python3
"""What calls cost with the runtime, and what an update costs: direct calls, patched static calls, static calls through the
trampoline, function pointers, and the latter two with retpolines.

All loops are in one program (Fixtures/runtime/cost.c) and take turns. What an empty loop takes is subtracted. A figure is the median of all rounds,
with the smallest in parentheses; ratios are to the direct call. The report is Markdown on standard output.

Exit codes: 0 measured; 2 something needed is missing, or a command failed.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import runtime_build  # noqa: E402

CFLAGS = ["-O2", "-fPIE", "-fcf-protection=none", "-falign-functions=64", "-falign-loops=64"]
RETPOLINE = ["-mindirect-branch=thunk", "-mindirect-branch-register"]
# Name, source, flags, whether it is annotated.
OBJECTS = [
    ("main", "cost.c", [], True),
    ("target", "cost-target.c", [], True),
    ("key-retpoline", "cost-retpoline.c", ["-DSTATIC_CALL_RETPOLINE"], True),
    ("empty", "cost-loops.c", ["-DLOOP=loop_empty", "-DEMPTY"], True),
    ("direct", "cost-loops.c", ["-DLOOP=loop_direct", "-DDIRECT"], True),
    ("patched", "cost-loops.c", ["-DLOOP=loop_patched"], True),
    ("trampoline", "cost-loops.c", ["-DLOOP=loop_trampoline"], False),
    ("pointer", "cost-loops.c", ["-DLOOP=loop_pointer", "-DPOINTER"], False),
    ("trampoline-retpoline", "cost-loops.c", ["-DLOOP=loop_trampoline_retpoline", "-DRETPOLINE"], False),
    ("pointer-retpoline", "cost-loops.c", ["-DLOOP=loop_pointer_retpoline", "-DPOINTER", *RETPOLINE], False),
]


def build(staticcall, directory):
    runtime_build.make_library("gcc", directory)
    objects = []
    for name, source, flags, is_annotated in OBJECTS:
        objects.append(directory / f"{name}.o")
        tool = staticcall if is_annotated else None
        runtime_build.compile_object(["gcc"], [*CFLAGS, *flags], source, objects[-1], tool)
    program = directory / "cost"
    subprocess.run(["gcc", "-pie", *objects, "-L", directory, "-lstaticcall", "-pthread", "-o", program], check=True)
    return program


def lines_of(argv):
    """{first word: numbers behind it} of what a program prints."""
    result = {}
    for line in subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines():
        name, *values = line.split()
        result[name] = [float(value) for value in values]
    return result


def main():
    parser = argparse.ArgumentParser(description="Measure calls and updates with the runtime.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool that annotates")
    parser.add_argument("--processes", type=int, default=7, metavar="N", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=31, metavar="N", help="of each process; default: %(default)s")
    parser.add_argument("--turns", type=int, default=20_000, metavar="N", help="of 8 calls; default: %(default)s")
    options = parser.parse_args()
    if os.uname().machine != "x86_64":
        print("runtime-cost: SKIPPED: measures x86-64", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="runtime-cost.") as directory:
        program = build(os.path.abspath(options.staticcall), pathlib.Path(directory))
        calls, updates = {}, {}
        for _ in range(options.processes):
            for name, values in lines_of([program, "calls", str(options.rounds), str(options.turns)]).items():
                calls.setdefault(name, []).extend(values)
            for count, values in lines_of([program, "updates", str(options.rounds * 4)]).items():
                updates.setdefault(int(count), []).extend(values)
    loop = statistics.median(calls.pop("empty"))
    direct = statistics.median(calls["direct"]) - loop
    print("\n### A call, with the runtime\n")
    print("| call | ns: median (minimum) | ratio to a direct call |\n|---|--:|--:|")
    for name, values in calls.items():
        median = statistics.median(values) - loop
        print(f"| {name.replace('-', ', ')} | {median:.2f} ({min(values) - loop:.2f}) | {median / direct:.2f} |")
    print("\n### An update, while another thread calls\n")
    print("| sites | us: median (minimum) | ns for each site |\n|--:|--:|--:|")
    for count, values in updates.items():
        median = statistics.median(values)
        print(f"| {count:,} | {median / 1e3:.2f} ({min(values) / 1e3:.2f}) | {median / count:.1f} |")


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"runtime-cost: {error}", file=sys.stderr)
        sys.exit(2)
