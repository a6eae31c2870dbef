#!/usr/bin/python3
"""What `staticcall annotate` costs where it rewrites calls: instructions executed, counted by Valgrind's callgrind.

Unlike times, these counts are the same in every run on one machine to within a few in a thousand, so that growth shows: with the
number of calls, and from one version to the next. The objects:

- calls through the GOT in one instruction, generated, 10 in a function: 2,000 and 20,000 of them;
- sqlite's amalgamation through the GOT and in the large code model, its own functions as trampolines;
- the same as separate files, combined by `ld -r`;
- modules of the kernel without their table, whose calls are direct; and vmlinux.o, if --vmlinux names one.

Beside the count stand the time of one run on this machine and, where the object was compiled here, its part of the compiler's
time for the same object. The report is Markdown on standard output.

Exit codes: 0 measured; 2 something needed is missing, or a command failed.
"""

import argparse
import collections
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import real_programs  # noqa: E402 (it lies beside this file)

MODULES = ("evdev.ko", "i915.ko")
TABLE = ".static_call_sites"
CALLS_PER_FUNCTION = 10
GENERATED = (2_000, 20_000)
STARTS = 5

# `seconds` is what the compiler took for it, None where it was not compiled here.
Object = collections.namedtuple("Object", "title path arguments seconds")


class CannotRun(Exception):
    pass


def run(command, **others):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **others)
    if result.returncode != 0:
        raise CannotRun(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{result.stderr[-1500:]}")
    return result


def processor_seconds(command):
    """User and system time of a command with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def compile(command, source, output):
    return processor_seconds([*command, "-c", source, "-o", output])


def generated(count, directory):
    """An object with `count` calls through the GOT, in one instruction each."""
    lines = [f"extern void __SCT__call{i}(int); extern long __SCK__call{i}; void *key{i} = &__SCK__call{i};" for i in range(CALLS_PER_FUNCTION)]
    for function in range(count // CALLS_PER_FUNCTION):
        # Different ones, or the compiler folds the functions.
        calls = " ".join(f"__SCT__call{i}(a + {function + i});" for i in range(CALLS_PER_FUNCTION))
        lines.append(f"void function{function}(int a) {{ {calls} }}")
    source = directory / f"got-{count}.c"
    source.write_text("\n".join(lines) + "\n")
    output = source.with_suffix(".o")
    seconds = compile(["gcc", "-O2", "-fPIC", "-fno-plt"], source, output)
    return Object(f"{count:,} calls through the GOT", output, [], seconds)


def sqlite_objects(sources, directory, wanted):
    build = real_programs.sqlite_amalgamation(sources, directory)
    names = ["--trampoline-prefix", "sqlite3", "--add-missing-keys"]
    objects = []
    for title, flags in (("-fPIC -fno-plt", ["-fPIC", "-fno-plt"]), ("-mcmodel=large -fno-pic", ["-mcmodel=large", "-fno-pic"])):
        if wanted not in f"sqlite3.c, {title}":
            continue
        output = directory / f"sqlite{len(objects)}.o"
        seconds = compile(["gcc", "-O2", *build.flags, *flags], build.source, output)
        objects.append(Object(f"sqlite3.c, {title}", output, names, seconds))
    title = "sqlite in separate files, -fPIC -fno-plt, ld -r"
    if wanted in title:
        combined, seconds = real_programs.sqlite_combined(sources, directory, ["gcc", "-O2", "-fPIC", "-fno-plt"])
        objects.append(Object(title, combined, names, seconds))
    return objects


def stripped(module, directory):
    output = directory / module.name
    run(["objcopy", *(f"--remove-section={prefix}{TABLE}" for prefix in ("", ".rela")), module, output])
    return output


def instructions(staticcall, item, directory):
    copy = directory / "measured.o"
    shutil.copyfile(item.path, copy)
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/callgrind.out", staticcall]
    result = run([*command, "annotate", "-q", *item.arguments, copy])
    return int(re.search(r"Collected : (\d+)", result.stderr)[1])


def milliseconds(staticcall, item, directory):
    """The shortest processor time of some runs."""
    copy, times = directory / "measured.o", []
    for _ in range(STARTS):
        shutil.copyfile(item.path, copy)
        times.append(processor_seconds([staticcall, "annotate", "-q", *item.arguments, copy]))
    return 1000 * min(times)


def made_direct(staticcall, item):
    """How many calls annotate makes direct in the object, or puts into the table as they are, from its own summary."""
    result = run([staticcall, "annotate", "--dry-run", "-v", *item.arguments, item.path])
    return re.sub(r"^.*?: ", "", (result.stdout + result.stderr).strip().splitlines()[0])


def main():
    parser = argparse.ArgumentParser(description="Count what annotate executes where it rewrites calls.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to measure")
    parser.add_argument("--sources", type=pathlib.Path, default=pathlib.Path(".build/sources"), metavar="DIR")
    parser.add_argument("--vmlinux", type=pathlib.Path, metavar="PATH", help="a vmlinux.o")
    parser.add_argument("--only", metavar="TEXT", help="measure objects with this in their title")
    parser.add_argument("modules", type=pathlib.Path, nargs="?", metavar="MODULES_DIR")
    options = parser.parse_args()
    for name in ("valgrind", "gcc", "objcopy", "ld"):
        if shutil.which(name) is None:
            raise CannotRun(f"{name}: no such program")
    if shutil.which(options.staticcall) is None:
        raise CannotRun(f"{options.staticcall}: no such program")
    staticcall = os.path.abspath(shutil.which(options.staticcall))

    print("### Instructions that annotate executes\n")
    print("| object | annotate says | instructions, millions | processor ms | % of its compilation |")
    print("|---|---|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory(prefix="rewriting-cost.") as directory:
        directory = pathlib.Path(directory)
        wanted = options.only or ""
        makers = [lambda count=count: [generated(count, directory)] for count in GENERATED if wanted in f"{count:,} calls through the GOT"]
        try:
            if not wanted or "sqlite" in wanted:
                real_programs.fetch(options.sources, "sqlite3")
                makers.append(lambda: sqlite_objects(options.sources, directory, wanted))
        except real_programs.Unavailable as reason:
            print(f"rewriting-cost: sqlite SKIPPED: {reason}", file=sys.stderr)
        if options.modules:
            found = [next(iter(sorted(options.modules.rglob(name))), None) for name in MODULES]
            makers.append(lambda: [Object(path.name, stripped(path, directory), ["--module"], None) for path in found if path])
        if options.vmlinux:
            makers.append(lambda: [Object("vmlinux.o", options.vmlinux, [], None)])
        for make in makers:
            for item in make():
                if options.only and options.only not in item.title:
                    continue
                text = made_direct(staticcall, item)
                count = instructions(staticcall, item, directory)
                elapsed = milliseconds(staticcall, item, directory)
                part = f"{elapsed / 10 / item.seconds:.2f}" if item.seconds else "-"
                print(f"| {item.title} | {text} | {count / 1e6:,.2f} | {elapsed:.0f} | {part} |", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (CannotRun, real_programs.Failed, OSError) as error:
        print(f"rewriting-cost: {error}", file=sys.stderr)
        sys.exit(2)
