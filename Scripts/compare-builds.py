#!/usr/bin/python3
"""Compares two builds of staticcall over corpora: what annotate writes, what list and verify say, byte for byte.

    compare-builds.py A B CORPUS...

For builds that must not differ, such as one with Capstone 4 and one with Capstone 5. A corpus is a directory of objects, archives
and modules, or one of these. Modules are looked at as they are and, so that calls are looked for, without their table. Each
difference is named with the file and the command.

Exit codes: 0 no difference; 1 differences; 2 could not run.
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SUFFIXES = (".o", ".ko", ".a")
SECONDS = 600
LISTED = 3


class CannotRun(Exception):
    pass


def outcome(command):
    """(exit code, output, errors) of a command."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS)
    return result.returncode, result.stdout, result.stderr


def first_difference(a, b):
    """What tells two outcomes apart, in a few lines."""
    if a[0] != b[0]:
        return f"exit codes {a[0]} and {b[0]}: {(a[2] or b[2]).decode(errors='replace')[:300].strip()}"
    for what, x, y in (("output", a[1], b[1]), ("errors", a[2], b[2])):
        if x != y:
            lines = [(p, q) for p, q in zip(x.splitlines() + [b""], y.splitlines() + [b""]) if p != q]
            p, q = lines[0] if lines else (x[-100:], y[-100:])
            return f"{what}: {p.decode(errors='replace')[:160]} | {q.decode(errors='replace')[:160]}"
    return None


def compare(options, file, form):
    """The differences of one file in one of its forms."""
    differences = []
    with tempfile.TemporaryDirectory(prefix="compare-builds.", dir=options.work) as work:
        # The same name for both, since it is part of the texts.
        directory = pathlib.Path(work)
        copy = directory / file.name
        original = directory / "original"
        shutil.copyfile(file, original)
        if form == "without its table":
            names = [f"--remove-section={prefix}.static_call_sites" for prefix in ("", ".rela")]
            subprocess.run(["objcopy", *names, original], check=True, stderr=subprocess.DEVNULL)
        prefix = options.arguments + (["--module"] if file.suffix == ".ko" else [])
        names = [word for word in options.arguments if word != "--add-missing-keys"]
        annotated = []
        for command in (["list", "--format", "json", *names], ["annotate", "-v", *prefix], ["verify", *names], ["list", "--format", "json", *names]):
            outcomes = []
            for number, tool in enumerate((options.a, options.b)):
                contents = annotated[number] if len(annotated) == 2 and command[0] != "annotate" else original.read_bytes()
                copy.write_bytes(contents)
                outcomes.append(outcome([tool, *command, copy]))
                if command[0] == "annotate":
                    annotated.append(copy.read_bytes())
            difference = first_difference(*outcomes)
            if difference:
                differences.append(f"{file} {form}: {command[0]}: {difference}")
        if annotated[0] != annotated[1]:
            differences.append(f"{file} {form}: annotate wrote other bytes ({len(annotated[0])}, {len(annotated[1])})")
    return differences


def files_of(corpora):
    for corpus in corpora:
        if corpus.is_dir():
            yield from sorted(path for path in corpus.rglob("*") if path.suffix in SUFFIXES and path.is_file())
        elif corpus.exists():
            yield corpus
        else:
            raise CannotRun(f"{corpus}: no such file or directory")


def main():
    parser = argparse.ArgumentParser(description="Compare what two builds of staticcall write and say.")
    parser.add_argument("a", metavar="A", help="a staticcall executable")
    parser.add_argument("b", metavar="B", help="another one")
    parser.add_argument("corpora", nargs="+", type=pathlib.Path, metavar="CORPUS")
    parser.add_argument("--prefix", action="append", default=[], metavar="P",
                        help="look for trampolines with this prefix, and add their keys; may be repeated")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    options = parser.parse_args()
    for name in ("a", "b"):
        path = shutil.which(getattr(options, name))
        if path is None:
            raise CannotRun(f"{getattr(options, name)}: no such program")
        setattr(options, name, os.path.abspath(path))
    options.arguments = [word for prefix in options.prefix for word in ("--trampoline-prefix", prefix)]
    if options.prefix:
        options.arguments.append("--add-missing-keys")

    work = [(file, form) for file in files_of(options.corpora)
            for form in (["as it is", "without its table"] if file.suffix == ".ko" else ["as it is"])]
    if not work:
        raise CannotRun("no object, module or archive among these")
    differing = total = 0
    with tempfile.TemporaryDirectory(prefix="compare-builds.") as options.work:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for differences in pool.map(lambda item: compare(options, *item), work):
                differing += bool(differences)
                total += len(differences)
                for difference in differences[:LISTED]:
                    print(difference, flush=True)
    print(f"compare-builds: {len(work)} files and forms of files: {total} differences in {differing}")
    return 1 if total else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, OSError, subprocess.SubprocessError) as error:
        print(f"compare-builds: {error}", file=sys.stderr)
        sys.exit(2)
