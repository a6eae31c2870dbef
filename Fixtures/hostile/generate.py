#!/usr/bin/python3
"""Makes the hostile files: objects and archives that have crashed, hung or fooled other tools, or were made to.

    generate.py DIRECTORY [NAME...]

writes them into DIRECTORY, with expectations.json beside them: for each file what is right, by command. They are damaged copies of
base.S, assembled for both machines; nothing here is random, and no binary is in the tree.

What is right is a number, the exit code, or a code of staticcall: refused, with that code, and nothing written.
"""

import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import cases

HERE = pathlib.Path(__file__).resolve().parent
COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}


def base_objects(directory):
    """The undamaged object of each machine."""
    bases = {}
    for machine, compiler in COMPILERS.items():
        path = directory / f".base.{machine}.o"
        subprocess.run([compiler, "-c", "-o", path, HERE / "base.S"], check=True)
        bases[machine] = path.read_bytes()
        path.unlink()
    return bases


def main():
    parser = argparse.ArgumentParser(description="Make the hostile files.")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("names", nargs="*", help="only cases whose name has one of these in it")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    expectations = {}
    for machine, base in base_objects(options.directory).items():
        for case in cases.all_cases():
            if options.names and not any(name in case.name for name in options.names):
                continue
            # Each in a directory of its own: thin archives have other files beside them.
            place = options.directory / machine / case.name
            place.mkdir(parents=True, exist_ok=True)
            data = case.make(base, machine, place)
            (place / case.file).write_bytes(data)
            expectations[f"{machine}/{case.name}/{case.file}"] = {
                command: expected(case, command, machine) for command in ("annotate", "annotate -o", "list", "verify", "diff")
            }
    (options.directory / "expectations.json").write_text(json.dumps(expectations, indent=1))


def expected(case, command, machine):
    value = case.expected[command]
    return value[machine] if isinstance(value, dict) else value


if __name__ == "__main__":
    main()
