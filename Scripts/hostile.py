#!/usr/bin/python3
"""Hostile files: whatever is in a file, staticcall ends by itself, soon, within little memory, and says what is right.

Fixtures/hostile/generate.py makes the files and says what is right for each. On each this runs annotate with -o, annotate on the
file itself (a copy), list, verify, and diff of the file with itself, and expects of every run:

- no signal, and the exit code, or the refusal with its code, that the file's case states;
- a refusal names the file and has a code, and leaves nothing behind; the input is what it was;
- nothing that is printed has a control character in it, nor is there more of it than 256 KB, or four times the size of the file: a list
  is as long as what it lists, and the record of a call in an object takes some 30 bytes;
- it takes less than a second of processor time, and less memory than 64 MB or three times the size of the file: a table that grows is
  in memory as it is going to be written, and in the object that is checked before. The pages of the input itself, which are the page
  cache's and not memory of the tool, do not count: where the resident set is larger, the run is repeated and its anonymous memory watched.

After annotate has succeeded, verify must find no error in the table, and annotate once more must change nothing.

Exit codes: 0 all is well; 1 something is not; 2 could not run.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
GENERATE = ROOT / "Fixtures/hostile/generate.py"
sys.dont_write_bytecode = True
sys.path.append(str(GENERATE.parent))
import cases  # noqa: E402
# A hang is a failure with a name, and not the end of the check.
SECONDS_UNTIL_KILLED = 120
LISTED = 60
# Text without limit is a way to fill a disk. What a case itself is full of may be printed once.
LONGEST_OUTPUT = 256 << 10
OUTPUT_FOR_EACH_BYTE = 4
MEMORY_FOR_EACH_BYTE = 3

Run = collections.namedtuple("Run", "status output errors seconds resident")


class CannotRun(Exception):
    """Something this check needs is missing or failed; says nothing about the tool."""


def execute(command, directory, on_poll=None):
    """Runs a command with its output in files, and measures it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=dict(os.environ, SWIFT_BACKTRACE="enable=no"),
            preexec_fn=limit,
        )
        while on_poll:
            on_poll(process.pid)
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.002)
        else:
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)

        def text(file):
            file.seek(0)
            return file.read().decode(errors="replace")

        seconds = usage.ru_utime + usage.ru_stime
        return Run(process.returncode, text(output), text(errors), seconds, usage.ru_maxrss << 10)


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_UNTIL_KILLED, SECONDS_UNTIL_KILLED))
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def anonymous_memory(command, directory):
    """The most anonymous memory that a run of the command has at a time."""
    most = 0

    def poll(pid):
        nonlocal most
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        found = re.search(r"^RssAnon:\s*(\d+) kB$", status, re.MULTILINE)
        most = max(most, int(found[1]) << 10 if found else 0)

    execute(command, directory, poll)
    return most


def fingerprint(path):
    status = path.stat()
    return path.read_bytes(), status.st_mtime_ns, status.st_ino


def faults_of(run, expected, name, size):
    """What is wrong with a run, over a file of a size, that should end with the exit code, or be refused with the code, `expected`."""
    faults = []
    if run.status < 0:
        return [f"ended by {signal.Signals(-run.status).name}: {run.errors[-300:]!r}"]
    wanted = 2 if isinstance(expected, str) else expected
    if run.status != wanted:
        faults.append(f"exit code {run.status}, expected {wanted}: {(run.errors or run.output)[:400]!r}")
    if run.status == 2:
        first = run.errors.split("\n", 1)[0]
        if not re.match(rf"{re.escape(name)}[^:]*: error: .* \[SC\d{{3}}\]$", first):
            faults.append(f"no message with file and code: {first[:300]!r}")
        elif isinstance(expected, str) and f"[{expected}]" not in run.errors:
            faults.append(f"not refused with {expected}: {first[:300]!r}")
    printed = run.output + run.errors
    control = re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", printed)
    if control:
        start = max(control.start() - 60, 0)
        faults.append(f"prints a control character: {printed[start:control.end() + 60]!r}")
    if re.search("^hostile.o: error: forged", printed, re.MULTILINE):
        faults.append("a name makes a line of its own")
    if len(printed) > max(LONGEST_OUTPUT, OUTPUT_FOR_EACH_BYTE * size):
        faults.append(f"prints {len(printed)} bytes: {printed[:100]!r}")
    return faults


class Checker:
    def __init__(self, options, place, expectations):
        self.options = options
        self.directory = options.work / pathlib.Path(place).parent
        self.name = pathlib.Path(place).name
        self.expectations = expectations
        self.faults = []
        self.most_seconds = self.most_memory = 0

    def run(self, what, arguments, expected, name):
        command = [self.options.staticcall, *arguments]
        size = (self.directory / name).stat().st_size
        run = execute(command, self.directory)
        for fault in faults_of(run, expected, name, size):
            self.faults.append(f"{what}: {fault}")
        self.most_seconds = max(self.most_seconds, run.seconds)
        if run.seconds > self.options.seconds:
            # On a busy machine the first measurement may be off.
            again = execute(command, self.directory)
            if again.seconds > self.options.seconds:
                self.faults.append(f"{what}: takes {again.seconds:.2f} s")
        memory = run.resident
        most = max(self.options.megabytes << 20, MEMORY_FOR_EACH_BYTE * size)
        if memory > self.options.megabytes << 20:
            memory = anonymous_memory(command, self.directory)
            if memory > most:
                self.faults.append(f"{what}: takes {memory >> 20} MB, and {run.resident >> 20} MB with the file")
        self.most_memory = max(self.most_memory, memory)
        return run

    def check(self):
        before = sorted(os.listdir(self.directory))
        file = self.directory / self.name
        first = fingerprint(file)
        expected = self.expectations
        self.run("list", ["list", self.name], expected["list"], self.name)
        self.run("verify", ["verify", self.name], expected["verify"], self.name)
        self.run("diff", ["diff", self.name, self.name], expected["diff"], self.name)
        output = self.directory / "out.o"
        self.run("annotate -o", ["annotate", "-o", "out.o", self.name], expected["annotate -o"], self.name)
        refused = isinstance(expected["annotate -o"], str)
        if output.exists() == refused:
            self.faults.append("annotate -o: " + ("refused and written" if refused else "nothing written"))
        if output.exists():
            output.unlink()
        if fingerprint(file) != first:
            self.faults.append("the input was changed")
        self.check_in_place(file, isinstance(expected["annotate"], str))
        left = sorted(set(os.listdir(self.directory)) - set(before))
        if left:
            self.faults.append(f"files left behind: {left}")
        return self

    def check_in_place(self, file, refused):
        copy = self.directory / "copy.o"
        shutil.copyfile(file, copy)
        before = fingerprint(copy)
        self.run("annotate", ["annotate", "copy.o"], self.expectations["annotate"], "copy.o")
        after = fingerprint(copy)
        if refused:
            if after != before:
                self.faults.append("annotate: refused, and the file is another")
        else:
            again = execute([self.options.staticcall, "annotate", "copy.o"], self.directory)
            if again.status != 0 or fingerprint(copy) != after:
                self.faults.append(f"annotate: a second run changes something: {again.errors[:300]!r}")
            verify = execute([self.options.staticcall, "verify", "copy.o"], self.directory)
            if verify.status != 0:
                self.faults.append(f"verify after annotate: {(verify.output + verify.errors)[:300]!r}")
        copy.unlink()


def check(arguments):
    options, place, expectations = arguments
    checker = Checker(options, place, expectations).check()
    return place, checker.faults, checker.most_seconds, checker.most_memory


def main():
    parser = argparse.ArgumentParser(description="Run staticcall over hostile files.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only cases with this in their names")
    parser.add_argument("--sample", type=int, metavar="N", help="N of the small cases, spread evenly, for each machine")
    parser.add_argument("--seconds", type=float, default=1, metavar="N", help="of processor time (default: %(default)s)")
    parser.add_argument("--megabytes", type=int, default=64, metavar="N", help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what each file takes")
    options = parser.parse_args()
    if not os.access(options.staticcall, os.X_OK):
        raise CannotRun(f"{options.staticcall}: no such program")
    options.staticcall = os.path.abspath(options.staticcall)

    if options.sample is not None:
        small = [case.name for case in cases.all_cases() if not case.name.startswith("z_")]
        options.only += [small[i * len(small) // options.sample] for i in range(options.sample)]
        # These have found something.
        options.only += ["c_rel_addend_m", "c_name_", "ar_bsd_"]

    with tempfile.TemporaryDirectory(prefix="hostile.") as work:
        options.work = pathlib.Path(work)
        if subprocess.run([sys.executable, "-B", GENERATE, work, *options.only]).returncode != 0:
            raise CannotRun("the hostile files cannot be made")
        expectations = json.loads((options.work / "expectations.json").read_text())
        if not expectations:
            raise CannotRun("no case has such a name")
        failing, most_seconds, most_memory = 0, 0, 0
        tasks = [(options, place, expected) for place, expected in expectations.items()]
        # Each task runs in processes of its own size: what a child takes is measured from this process's size on.
        with multiprocessing.Pool(options.jobs, maxtasksperchild=20) as pool:
            for place, faults, seconds, memory in pool.imap(check, tasks):
                most_seconds, most_memory = max(most_seconds, seconds), max(most_memory, memory)
                if options.verbose:
                    print(f"{place}: {seconds:.2f} s, {memory >> 20} MB")
                if faults:
                    failing += 1
                    print(f"{place}:")
                    print("".join(f"  {fault}\n" for fault in faults[:LISTED]), end="", flush=True)
    print(
        f"hostile: {len(expectations)} files, {failing} with faults; "
        f"at most {most_seconds:.2f} s and {most_memory >> 20} MB besides the file"
    )
    return 1 if failing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, OSError) as error:
        print(f"hostile: {error}", file=sys.stderr)
        sys.exit(2)
