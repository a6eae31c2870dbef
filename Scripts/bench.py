#!/usr/bin/python3
"""What `staticcall annotate` costs: whole-process wall time and peak memory, next to cp and objtool.

Each command is started as a fresh process on kernel modules whose table was stripped. The commands
of a module take turns, round after round, so that drift hits all alike. Preparation (fresh copies,
removing outputs) is not timed. The report is Markdown on standard output.

Exit codes: 0 measured; 2 something needed is missing, or a command failed.
"""

import argparse
import collections
import ctypes
import glob
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TABLE = ".static_call_sites"
MODULES = ("evdev.ko", "xfs.ko", "i915.ko")  # small, middle, large
WITHOUT_SITES_SIZE = 45_000
WARM_UPS = 2
MEMORY_RUNS = 3
OBJTOOLS = "/usr/lib/linux-kbuild-6.1*/tools/objtool/objtool"
PR_SET_CHILD_SUBREAPER = 36

# A command to measure: `prepare` runs before each start, untimed; `baseline` is the title it is compared with.
Command = collections.namedtuple("Command", "title argv prepare baseline")


class CannotRun(Exception):
    pass


# Starting processes

null = os.open(os.devnull, os.O_RDWR)
to_null = [(os.POSIX_SPAWN_DUP2, null, descriptor) for descriptor in (0, 1, 2)]


def expect_success(argv, status):
    code = os.waitstatus_to_exitcode(status)
    if code != 0:
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"exited {code}"
        raise CannotRun(f"{how}: {' '.join(argv)}")


def wall_time(argv):
    """Milliseconds from start to end of a process."""
    start = time.perf_counter_ns()
    child = os.posix_spawn(argv[0], argv, os.environ, file_actions=to_null)
    _, status = os.waitpid(child, 0)
    elapsed = time.perf_counter_ns() - start
    expect_success(argv, status)
    return elapsed / 1e6


def peak_memory(argv):
    """Peak resident set of a process in MiB.

    Linux counts the memory a process had before its exec: a child of this interpreter would never
    report less than the interpreter has. So a small shell starts it and leaves; as a "subreaper"
    this process then inherits the orphan, and with it the orphan's own figures.
    """
    wrapped = ["/bin/sh", "-c", '"$@" &', "sh", *argv]
    shell = os.posix_spawn(wrapped[0], wrapped, os.environ, file_actions=to_null)
    statuses = {}
    for _ in range(2):
        child, status, usage = os.wait4(-1, 0)
        statuses[child] = status
        if child != shell:
            peak = usage.ru_maxrss / 1024
    for status in statuses.values():
        expect_success(argv, status)
    return peak


# Measuring


def measure(commands, runs):
    """{title: (wall times, peak memory)} of the commands, taking turns."""
    times = {command.title: [] for command in commands}
    memory = {command.title: [] for command in commands}
    for turn in range(WARM_UPS + runs):
        for command in commands:
            command.prepare()
            elapsed = wall_time(command.argv)
            if turn >= WARM_UPS:
                times[command.title].append(elapsed)
    for _ in range(MEMORY_RUNS):
        for command in commands:
            command.prepare()
            memory[command.title].append(peak_memory(command.argv))
    return {title: (times[title], statistics.median(memory[title])) for title in times}


def nothing():
    pass


def module_commands(tools, file, directory):
    """The commands for one module file; each writes to its own outputs in `directory`."""

    def output(name):
        return str(directory / name)

    def removed(path):
        return lambda: pathlib.Path(path).unlink(missing_ok=True)

    def fresh_copy(path):
        def prepare():
            removed(path)()
            shutil.copyfile(file, path)

        return prepare

    new, old, written, replaced, patched, done = map(
        output, ("cp-new", "cp-old", "written.ko", "replaced.ko", "patched.ko", "done.ko")
    )
    shutil.copyfile(file, old)
    shutil.copyfile(file, done)
    wall_time([tools.staticcall, "annotate", "--module", done])
    if TABLE.encode() not in pathlib.Path(done).read_bytes():
        raise CannotRun(f"{tools.staticcall} annotate added no table to {file.name}")

    cp_new, cp_old = "cp to a new file", "cp over an existing file"
    commands = [
        Command(cp_new, [tools.cp, str(file), new], removed(new), cp_new),
        Command(cp_old, [tools.cp, str(file), old], nothing, cp_old),
        Command(
            "annotate -o, new file",
            [tools.staticcall, "annotate", "--module", "-o", written, str(file)],
            removed(written),
            cp_new,
        ),
        Command(
            "annotate, replacing",
            [tools.staticcall, "annotate", "--module", replaced],
            fresh_copy(replaced),
            cp_old,
        ),
    ]
    if tools.objtool:
        commands.append(
            Command(
                "objtool, in place",
                [tools.objtool, "--static-call", "--module", "--link", patched],
                fresh_copy(patched),
                cp_old,
            )
        )
    commands.append(Command("annotate, up to date", [tools.staticcall, "annotate", "--module", done], nothing, cp_old))
    return commands


def other_commands(tools, without_sites):
    return [
        Command("/bin/true", ["/bin/true"], nothing, None),
        Command("staticcall --version", [tools.staticcall, "--version"], nothing, None),
        Command(
            f"annotate, no static calls ({without_sites.name})",
            [tools.staticcall, "annotate", "--module", str(without_sites)],
            nothing,
            None,
        ),
    ]


def report(title, commands, results):
    objtool = next((results[command.title] for command in commands if command.title.startswith("objtool")), None)

    def ratio(times, reference):
        return f"{statistics.median(times) / statistics.median(reference[0]):.2f}" if reference else "-"

    print(f"\n### {title}\n")
    print("| command | median ms | min ms | ratio to cp | ratio to objtool | peak MiB |")
    print("|---|--:|--:|--:|--:|--:|")
    for command in commands:
        times, memory = results[command.title]
        print(
            f"| {command.title} | {statistics.median(times):.2f} | {min(times):.2f} "
            f"| {ratio(times, results.get(command.baseline))} | {ratio(times, objtool)} | {memory:.1f} |",
            flush=True,
        )


# The modules


def find_module(directory, name):
    found = sorted(directory.rglob(name))
    if not found:
        raise CannotRun(f"no {name} in {directory}")
    return found[0]


def find_module_without_sites(directory):
    """The module closest to WITHOUT_SITES_SIZE that mentions no trampoline."""
    for module in sorted(directory.rglob("*.ko"), key=lambda path: abs(path.stat().st_size - WITHOUT_SITES_SIZE)):
        if b"__SCT__" not in module.read_bytes():
            return module
    raise CannotRun(f"no module without static calls in {directory}")


def strip_table(tools, module, output):
    sections = [f"--remove-section={prefix}{TABLE}" for prefix in ("", ".rela")]
    subprocess.run([tools.objcopy, *sections, str(module), str(output)], check=True)
    if TABLE.encode() in output.read_bytes():
        raise CannotRun(f"{tools.objcopy} did not remove the table of {module}")


def program(name):
    path = shutil.which(name)
    if path is None:
        raise CannotRun(f"{name}: no such program")
    return os.path.abspath(path)


def find_objtool(given):
    if given:
        return program(given)
    found = sorted(glob.glob(OBJTOOLS))
    if not found:
        print(f"bench: objtool SKIPPED: no {OBJTOOLS} (Debian: linux-kbuild-6.1)", file=sys.stderr)
        return None
    return found[-1]


def main():
    parser = argparse.ArgumentParser(description="Measure staticcall annotate next to cp and objtool.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to measure")
    parser.add_argument("--objtool", metavar="PATH", help=f"default: {OBJTOOLS}")
    parser.add_argument("--runs", type=int, default=21, metavar="N", help="default: %(default)s")
    parser.add_argument("directory", type=pathlib.Path, metavar="MODULES_DIR")
    tools = parser.parse_args()
    if tools.runs < 1:
        parser.error("--runs must be at least 1")
    tools.staticcall = program(tools.staticcall)
    tools.objtool = find_objtool(tools.objtool)
    tools.objcopy = program("objcopy")
    tools.cp = program("cp")
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise CannotRun("prctl(PR_SET_CHILD_SUBREAPER) failed")

    modules = [find_module(tools.directory, name) for name in MODULES]
    without_sites = find_module_without_sites(tools.directory)
    print(
        f"Whole processes, {tools.runs} runs after {WARM_UPS} warm-ups, taking turns; "
        f"{os.cpu_count()} CPUs, Linux {platform.release()}; peak memory from {MEMORY_RUNS} separate runs."
    )
    for module in modules:
        with tempfile.TemporaryDirectory(prefix="bench.") as directory:
            file = pathlib.Path(directory, module.name)
            strip_table(tools, module, file)
            commands = module_commands(tools, file, pathlib.Path(directory))
            report(f"{module.name}, {file.stat().st_size:,} bytes", commands, measure(commands, tools.runs))
    with tempfile.TemporaryDirectory(prefix="bench.") as directory:
        copy = pathlib.Path(directory, without_sites.name)
        shutil.copyfile(without_sites, copy)
        commands = other_commands(tools, copy)
        title = f"Start-up, and {copy.stat().st_size:,} bytes without static calls"
        report(title, commands, measure(commands, tools.runs))


if __name__ == "__main__":
    try:
        main()
    except (CannotRun, OSError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
