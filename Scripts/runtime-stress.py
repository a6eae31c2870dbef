#!/usr/bin/python3
"""Threads that call through 100 static calls while another one updates these as fast as it can (Fixtures/runtime/stress.c).

Every call must land in a function that was the current one at some moment of the call. With each compiler, linker and machine; on
x86-64 also with every site across a cache line.

Exit codes: 0 all is well; 1 something is not; 2 could not run.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import runtime_build  # noqa: E402

QEMU = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]

X86 = {"gcc": ["gcc"], "clang": ["clang"], "link": "gcc", "prefix": "", "run": []}
ARM = {
    "gcc": ["aarch64-linux-gnu-gcc"],
    "clang": ["clang", "--target=aarch64-linux-gnu"],
    "link": "aarch64-linux-gnu-gcc",
    "prefix": "aarch64-linux-gnu-",
    "run": QEMU,
}
# Machine, compiler, linker, options.
CASES = [
    (X86, "gcc", "bfd", []),
    (X86, "clang", "lld", []),
    (X86, "gcc", "mold", []),
    (X86, "clang", "gold", []),
    (X86, "gcc", "bfd", ["-DCROSSING"]),
    (X86, "clang", "lld", ["-DCROSSING"]),
    (ARM, "gcc", "bfd", []),
    (ARM, "clang", "lld", []),
    (ARM, "gcc", "mold", []),
    (ARM, "clang", "gold", []),
]


class CannotRun(Exception):
    pass


def linker(machine, name):
    names = {"lld": "ld.lld", "mold": "mold"}
    path = shutil.which(names.get(name, f"{machine['prefix']}ld.{name}"))
    if path is None:
        raise CannotRun(f"no linker {name}")
    return path


def build(options, machine, compiler, link, flags, directory):
    runtime_build.make_library(machine["link"], directory)
    source, program = directory / "stress.o", directory / "stress"
    runtime_build.compile_object(machine[compiler], ["-O2", *flags], "stress.c", source, options.staticcall)
    os.symlink(linker(machine, link), directory / "ld")
    subprocess.run(
        [machine["link"], "-B", directory, source, "-L", directory, "-lstaticcall", "-pthread", "-o", program],
        check=True,
    )
    return program


def main():
    parser = argparse.ArgumentParser(description="Call and update static calls at the same time.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool that annotates")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for each case (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="that call (default: %(default)s)")
    parser.add_argument("--only", metavar="WORD", help="only the cases with this word in their names")
    options = parser.parse_args()
    options.staticcall = os.path.abspath(options.staticcall)
    failures = 0
    for machine, compiler, link, flags in CASES:
        name = " ".join(["x86-64" if machine is X86 else "aarch64 (emulated)", f"{compiler}+{link}", *flags])
        if options.only and options.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="stress.") as directory:
            program = build(options, machine, compiler, link, flags, pathlib.Path(directory))
            start = time.monotonic()
            run = subprocess.run(
                [*machine["run"], program, str(options.seconds), str(options.threads)],
                capture_output=True,
                text=True,
                timeout=options.seconds * 10 + 60,
            )
        failures += run.returncode != 0
        outcome = run.stdout.strip() if run.returncode == 0 else f"FAILED ({run.returncode}): {run.stderr.strip()}"
        print(f"{name}: {time.monotonic() - start:.0f} s, {outcome}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, OSError, subprocess.SubprocessError) as error:
        print(f"stress: {error}", file=sys.stderr)
        sys.exit(2)
