#!/usr/bin/python3
"""What `staticcall annotate` costs: whole-process wall time and peak memory, next to cp and objtool.

Each command is started as a fresh process on kernel modules whose table was stripped, on all modules
linked into one object, on an object with 70,000 sections, and on all modules at a time. Commands that are
compared take turns, round after round, so that drift hits all alike. Preparation (fresh copies,
removing outputs) is not timed. The report is Markdown on standard output.

A virtual machine that gives unused memory back to its host gets it again page by page, as it is touched,
and a copy to such pages takes five times as long. So before each run on hundreds of megabytes as much
memory as the command may need is used and freed.

staticcall and objtool are measured as copies, which is what an installed program is: a linker writes its
output through a mapping, and a start from pages that came about that way takes a quarter longer.

Exit codes: 0 measured; 2 something needed is missing, or a command failed.
"""

import argparse
import collections
import ctypes
import glob
import mmap
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
LARGE_RUNS = 7  # of what takes long
MEMORY_FACTOR = 3  # old file, new file, and what they are copied from, all in the page cache
MANY_SECTIONS = 70_000
OBJTOOLS = "/usr/lib/linux-kbuild-*/tools/objtool/objtool"
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


def peak_anonymous_memory(argv):
    """Peak anonymous memory of a process in MiB: what is not the file's own pages. Linux keeps no record of
    it, so it is looked at as often as possible; a peak shorter than some 50 us may be missed."""
    child = os.posix_spawn(argv[0], argv, os.environ, file_actions=to_null)
    peak = 0
    with open(f"/proc/{child}/status", "rb", buffering=0) as file:
        while True:
            file.seek(0)
            _, found, rest = file.read(8192).partition(b"RssAnon:")
            if found:
                peak = max(peak, int(rest.split()[0]))
            exited, status = os.waitpid(child, os.WNOHANG)
            if exited:
                expect_success(argv, status)
                return peak / 1024


# Measuring


def use_memory(size):
    memory = mmap.mmap(-1, size)
    view = (ctypes.c_char * size).from_buffer(memory)
    ctypes.memset(view, 1, size)
    del view  # or the memory cannot be freed
    memory.close()


def measure(commands, runs, memory_to_use=0):
    """{title: (wall times, peak memory, peak anonymous memory)} of the commands.

    Those that are compared with one baseline take turns, without the others.
    """
    times = {command.title: [] for command in commands}
    memory = {command.title: [] for command in commands}
    anonymous = {command.title: [] for command in commands}
    for baseline in dict.fromkeys(command.baseline for command in commands):
        group = [command for command in commands if command.baseline == baseline]
        for turn in range(WARM_UPS + runs):
            for command in group:
                command.prepare()
                if memory_to_use:
                    use_memory(memory_to_use)
                elapsed = wall_time(command.argv)
                if turn >= WARM_UPS:
                    times[command.title].append(elapsed)
    for _ in range(MEMORY_RUNS):
        for command in commands:
            command.prepare()
            memory[command.title].append(peak_memory(command.argv))
            command.prepare()
            anonymous[command.title].append(peak_anonymous_memory(command.argv))
    return {
        title: (times[title], statistics.median(memory[title]), max(anonymous[title])) for title in times
    }


def nothing():
    pass


def annotate(tools, *arguments, module=True):
    return [tools.staticcall, "annotate", *(["--module"] if module else []), *arguments]


def object_commands(tools, file, directory, module=True, objtool=True):
    """The commands for one object; each writes to its own outputs in `directory`."""

    def output(name):
        return str(directory / name)

    def removed(path):
        return lambda: pathlib.Path(path).unlink(missing_ok=True)

    def fresh_copy(path):
        def prepare():
            removed(path)()
            shutil.copyfile(file, path)

        return prepare

    new, old, written, replaced, placed, patched, done = map(
        output, ("cp-new", "cp-old", "written.o", "replaced.o", "in-place.o", "patched.o", "done.o")
    )
    shutil.copyfile(file, old)
    shutil.copyfile(file, done)
    wall_time(annotate(tools, done, module=module))
    if not contains(done, TABLE):
        raise CannotRun(f"{tools.staticcall} annotate added no table to {file.name}")

    cp_new, cp_old = "cp to a new file", "cp over an existing file"
    commands = [
        Command(cp_new, [tools.cp, str(file), new], removed(new), cp_new),
        Command(cp_old, [tools.cp, str(file), old], nothing, cp_old),
        Command(
            "annotate -o, new file", annotate(tools, "-o", written, str(file), module=module), removed(written), cp_new
        ),
        Command("annotate, replacing", annotate(tools, replaced, module=module), fresh_copy(replaced), cp_old),
    ]
    if tools.can_work_in_place:
        commands.append(
            Command(
                "annotate --in-place", annotate(tools, "--in-place", placed, module=module), fresh_copy(placed), cp_old
            )
        )
    if tools.objtool and objtool:
        commands.append(
            Command(
                "objtool, in place",
                [tools.objtool, "--static-call", "--module", "--link", patched],
                fresh_copy(patched),
                cp_old,
            )
        )
    commands.append(Command("annotate, up to date", annotate(tools, done, module=module), nothing, cp_old))
    return commands


def start_up_commands(tools, without_sites):
    true = "/bin/true"
    return [
        Command(true, [true], nothing, true),
        Command("staticcall --version", [tools.staticcall, "--version"], nothing, true),
        Command(
            f"annotate, no static calls ({without_sites.name})", annotate(tools, str(without_sites)), nothing, true
        ),
    ]


def batch_commands(tools, modules, directory):
    """All modules at a time: copied, and annotated in one process."""

    def fresh_copies(path, response):
        def prepare():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            for number, module in enumerate(modules):
                shutil.copyfile(module, path / f"{number}.ko")
            response.write_text("\n".join(str(path / f"{number}.ko") for number in range(len(modules))))

        return prepare

    originals, copied, annotated = directory / "originals", directory / "copied", directory / "annotated"
    fresh_copies(originals, directory / "originals.rsp")()
    response = directory / "annotated.rsp"
    cp = "cp -r to a new directory"
    return [
        Command(
            cp, [tools.cp, "-r", str(originals), str(copied)], lambda: shutil.rmtree(copied, ignore_errors=True), cp
        ),
        Command("annotate, replacing", annotate(tools, f"@{response}"), fresh_copies(annotated, response), cp),
        Command("annotate -j 1, replacing", annotate(tools, "-j", "1", f"@{response}"), fresh_copies(annotated, response), cp),
    ]


def report(title, commands, results):
    objtool = next((results[command.title] for command in commands if command.title.startswith("objtool")), None)

    def ratio(times, reference):
        return f"{statistics.median(times) / statistics.median(reference[0]):.2f}" if reference else "-"

    other = commands[0].baseline.split()[0]
    print(f"\n### {title}\n")
    print(f"| command | median ms | min ms | ratio to {other} | times faster than objtool | peak MiB | anonymous MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for command in commands:
        times, memory, anonymous = results[command.title]
        faster = f"{statistics.median(objtool[0]) / statistics.median(times):.1f}" if objtool else "-"
        print(
            f"| {command.title} | {statistics.median(times):.2f} | {min(times):.2f} "
            f"| {ratio(times, results.get(command.baseline))} | {faster} | {memory:.1f} | {anonymous:.1f} |",
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


def contains(path, text):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
        return contents.find(text.encode()) >= 0


def strip_table(tools, module, output):
    sections = [f"--remove-section={prefix}{TABLE}" for prefix in ("", ".rela")]
    subprocess.run([tools.objcopy, *sections, str(module), str(output)], check=True)
    if contains(output, TABLE):
        raise CannotRun(f"{tools.objcopy} did not remove the table of {module}")


def link_all(tools, directory, output):
    """All modules as one object without a table."""
    linked, response = output.with_suffix(".linked"), output.with_suffix(".rsp")
    response.write_text("\n".join(map(str, sorted(directory.rglob("*.ko")))))
    link = [tools.linker, "-r", "--allow-multiple-definition", "-o", str(linked), f"@{response}"]
    subprocess.run(link, check=True)
    strip_table(tools, linked, output)
    linked.unlink()


def assemble_sections(tools, count, output):
    """An object as of -ffunction-sections, with a call in each function and without section symbols."""
    source = output.with_suffix(".s")
    with source.open("w") as file:
        for number in range(count // 2):  # each with its section of relocations
            file.write(f'.section .text.f{number},"ax"\n.globl f{number}\n.type f{number},@function\n')
            file.write(f"f{number}:\nnop\ncall __SCT__call{number % 100}\nret\n.size f{number}, . - f{number}\n")
        for number in range(100):
            file.write(f".globl __SCK__call{number}\n")
    subprocess.run([tools.clang, "--target=x86_64-linux-gnu", "-c", str(source), "-o", str(output)], check=True)
    source.unlink()


def program(name):
    path = shutil.which(name)
    if path is None:
        raise CannotRun(f"{name}: no such program")
    return os.path.abspath(path)


def optional_program(name, what):
    if shutil.which(name):
        return program(name)
    print(f"bench: {what} SKIPPED: no {name}", file=sys.stderr)
    return None


def find_objtool(given):
    if given:
        return program(given)
    found = sorted(glob.glob(OBJTOOLS))
    if not found:
        print(f"bench: objtool SKIPPED: no {OBJTOOLS} (Debian: linux-kbuild-6.1 or later)", file=sys.stderr)
        return None
    # Since Linux 6.12 this is a script for the kernel's makefiles, and the program stands beside it.
    real = found[-1] + ".real-x86"
    return real if os.path.exists(real) else found[-1]


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
    tools.linker = optional_program("ld.lld", "the object of all modules")
    tools.clang = optional_program("clang", f"the object with {MANY_SECTIONS:,} sections")
    usage = subprocess.run([tools.staticcall, "annotate", "--help"], check=True, capture_output=True, text=True).stdout
    tools.can_work_in_place = "--in-place" in usage
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise CannotRun("prctl(PR_SET_CHILD_SUBREAPER) failed")
    with tempfile.TemporaryDirectory(prefix="bench.") as directory:
        tools.staticcall = install(tools.staticcall, directory)
        tools.objtool = tools.objtool and install(tools.objtool, directory)
        report_all(tools)


def install(path, directory):
    copy = os.path.join(directory, os.path.basename(path))
    with open(path, "rb") as file, open(copy, "wb") as new:
        new.write(file.read())  # not by sharing blocks or pages
    os.chmod(copy, 0o755)
    return copy


def report_all(tools):
    modules = [find_module(tools.directory, name) for name in MODULES]
    without_sites = find_module_without_sites(tools.directory)
    print(
        f"Whole processes, {tools.runs} runs after {WARM_UPS} warm-ups, taking turns; "
        f"{os.cpu_count()} CPUs, Linux {platform.release()}; peak memory from {MEMORY_RUNS} separate runs."
    )
    with tempfile.TemporaryDirectory(prefix="bench.") as directory:
        copy = pathlib.Path(directory, without_sites.name)
        shutil.copyfile(without_sites, copy)
        commands = start_up_commands(tools, copy)
        title = f"Start-up, and {copy.stat().st_size:,} bytes without static calls"
        report(title, commands, measure(commands, 3 * tools.runs))
    for module in modules:
        with tempfile.TemporaryDirectory(prefix="bench.") as directory:
            file = pathlib.Path(directory, module.name)
            strip_table(tools, module, file)
            commands = object_commands(tools, file, pathlib.Path(directory))
            report(f"{module.name}, {file.stat().st_size:,} bytes", commands, measure(commands, tools.runs))
    large_runs = min(LARGE_RUNS, tools.runs)
    if tools.clang:
        with tempfile.TemporaryDirectory(prefix="bench.") as directory:
            file = pathlib.Path(directory, "sections.o")
            assemble_sections(tools, MANY_SECTIONS, file)
            commands = object_commands(tools, file, pathlib.Path(directory), module=False, objtool=False)
            title = f"{MANY_SECTIONS:,} sections, {file.stat().st_size:,} bytes"
            report(title, commands, measure(commands, large_runs))
    if tools.linker:
        with tempfile.TemporaryDirectory(prefix="bench.") as directory:
            file = pathlib.Path(directory, "all.o")
            link_all(tools, tools.directory, file)
            commands = object_commands(tools, file, pathlib.Path(directory), objtool=False)
            size = file.stat().st_size
            report(f"All modules in one object, {size:,} bytes", commands, measure(commands, large_runs, MEMORY_FACTOR * size))
    with tempfile.TemporaryDirectory(prefix="bench.") as directory:
        files = sorted(tools.directory.rglob("*.ko"))
        stripped = []
        for number, module in enumerate(files):
            if contains(module, TABLE):
                output = pathlib.Path(directory, f"{number}.ko")
                strip_table(tools, module, output)
                stripped.append(output)
            else:
                stripped.append(module)
        commands = batch_commands(tools, stripped, pathlib.Path(directory))
        size = sum(file.stat().st_size for file in stripped)
        title = f"{len(files):,} modules in one process, {size:,} bytes"
        report(title, commands, measure(commands, large_runs, MEMORY_FACTOR * size))


if __name__ == "__main__":
    try:
        main()
    except (CannotRun, OSError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
