#!/usr/bin/python3
"""Makes the seeds of the fuzzers from Fixtures, and runs them.

The seeds are objects of both machines that the compilers make of the fixtures, the same with their tables, linked images, archives,
and the inputs of Fuzzing/regressions (text: hexadecimal, compressed), which found something once. The last byte of an input
stands for options (Subject.swift).

Runs both fuzzers over a corpus in --work, which grows from run to run; the same time each, with as many processes as there are
processors. An input that ends in a trap, a report of AddressSanitizer, a broken promise, more than 10 seconds or more than 1 GB
is a finding: it is kept in --work/findings, and the run fails.

Exit codes: 0 nothing found; 1 findings; 2 could not run.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "Fixtures"
REGRESSIONS = ROOT / "Fuzzing/regressions"
TARGETS = ("fuzz-verify", "fuzz-annotate")
LONGEST = 24 << 10
SECONDS_PER_INPUT = 10
MEGABYTES = 1024

COMPILERS = {
    "x86_64": ("gcc", "ld", "x86_64-linux-gnu"),
    "aarch64": ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ld", "aarch64-linux-gnu"),
}
# One set of flags for each way to call that the tool knows.
FLAGS = {
    "x86_64": (
        "-O2", "-O2 -fno-plt -fPIC", "-Os -fno-plt", "-O2 -mindirect-branch=thunk-extern -fno-plt",
        "-O2 -mcmodel=large", "-O1 -fPIE -ffunction-sections -fcf-protection",
    ),
    "aarch64": ("-O2", "-O2 -fno-plt -fPIC", "-Os -mcmodel=large", "-O2 -mcmodel=tiny -fno-plt", "-O1 -ffunction-sections"),
}  # fmt: skip


class CannotRun(Exception):
    """Something that the run needs is missing or failed."""


# Seeds


def run(*command, **options):
    return subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )


def objects(directory, machine):
    """Small objects of one machine, as paths."""
    gcc, _, target = COMPILERS[machine]
    made = []

    def make(name, *command):
        output = directory / f"{machine}-{name}.o"
        if run(*command, "-c", "-o", output).returncode == 0:
            made.append(output)

    for source in sorted(FIXTURES.glob(f"*.{machine}.s")) + [FIXTURES / "hostile/base.S", FIXTURES / "group-first.s"]:
        make(source.name, gcc, source)
        make(f"{source.name}-clang", "clang", f"--target={target}", source)
    sources = [FIXTURES / "demo.c", FIXTURES / "calls.c", FIXTURES / "through-keys/callers.c"]
    for flags in FLAGS[machine]:
        for source in sources:
            make(f"{source.stem}{len(made)}", gcc, *flags.split(), source)
            make(f"{source.stem}{len(made)}-clang", "clang", f"--target={target}", *flags.split(), source)
    make("landing-pads", gcc.replace("gcc", "g++"), "-O1", "-fno-plt", FIXTURES / "coverage/objects.cpp")
    return made


def images(directory, machine, made):
    """Linked images without a C library, which would be larger than all the rest."""
    _, ld, _ = COMPILERS[machine]
    for number, flags in enumerate((["-shared"], ["--unresolved-symbols=ignore-all", "-e", "0"])):
        for path in made:
            output = directory / f"{path.stem}-{number}.image"
            if run(ld, "-z", "max-page-size=64", "-z", "noseparate-code", *flags, "-o", output, path).returncode == 0:
                yield output


def make_seeds(options, directory):
    directory.mkdir(parents=True, exist_ok=True)
    for machine in COMPILERS:
        made = [path for path in objects(directory, machine) if path.stat().st_size < LONGEST]
        if not made:
            raise CannotRun(f"no seed for {machine} compiles")
        for path in made:
            run(options.staticcall, "annotate", "-q", "-o", path.with_suffix(".annotated"), path)
        annotated = [path for path in directory.glob(f"{machine}*.annotated")]
        list(images(directory, machine, annotated))
        for number, flags in enumerate(("qc", "qcT")):
            small = sorted(made, key=lambda path: path.stat().st_size)[:2]
            run("ar", flags, directory / f"{machine}-{number}.a", *small)
    seeds = [path for path in directory.iterdir() if path.stat().st_size < LONGEST]
    for path in seeds:
        # No option, and those that change most.
        data = path.read_bytes()
        path.write_bytes(data + b"\0")
        if path.suffix == ".o":
            path.with_suffix(".keys").write_bytes(data + b"\x05")
            path.with_suffix(".rebuild").write_bytes(data + b"\x8a")
    for path in directory.iterdir():
        if path.stat().st_size > LONGEST:
            path.unlink()
    for path in REGRESSIONS.glob("*.hex"):
        (directory / path.stem).write_bytes(zlib.decompress(bytes.fromhex(path.read_text())))


# Running


def fuzz(options, target, seeds):
    """Runs one fuzzer; (its last line of numbers, findings)."""
    corpus, findings = options.work / target, options.work / "findings" / target
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    log = options.work / f"{target}.log"
    environment = dict(os.environ, SWIFT_BACKTRACE="enable=no", ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1")
    with log.open("wb") as output:
        status = subprocess.run(
            [
                options.fuzzers / target, f"-fork={options.jobs}", "-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1",
                f"-max_total_time={options.seconds}", f"-max_len={LONGEST}", f"-timeout={SECONDS_PER_INPUT}",
                f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={findings}/", corpus, seeds,
            ],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
        ).returncode  # fmt: skip
    text = log.read_text(errors="replace")
    numbers = re.findall(r"^#\d+: cov: .*$", text, re.MULTILINE)
    if not numbers:
        raise CannotRun(f"{target} ended with {status}; see {log}")
    return numbers[-1], sorted(set(findings.iterdir()) - before)


def main():
    parser = argparse.ArgumentParser(description="Run the fuzzers.")
    parser.add_argument("--fuzzers", required=True, type=pathlib.Path, metavar="DIR", help="where fuzz-verify and fuzz-annotate are")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="makes annotated seeds")
    parser.add_argument("--work", required=True, type=pathlib.Path, metavar="DIR", help="corpus, findings and logs")
    parser.add_argument("--seconds", type=int, default=120, metavar="N", help="for each fuzzer (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    parser.add_argument("--seeds-only", action="store_true", help="make the seeds, and no more")
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.fuzzers = options.fuzzers.resolve()
    options.staticcall = os.path.abspath(options.staticcall)

    seeds = options.work / "seeds"
    if not seeds.exists():
        make_seeds(options, seeds)
    if options.seeds_only:
        return 0
    found = []
    for target in TARGETS:
        numbers, findings = fuzz(options, target, seeds)
        size = len(list((options.work / target).iterdir()))
        print(f"{target}: {numbers}; corpus of {size}; {len(findings)} findings", flush=True)
        found += findings
    for path in found:
        print(f"  {path}")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, OSError) as error:
        print(f"fuzz: {error}", file=sys.stderr)
        sys.exit(2)
