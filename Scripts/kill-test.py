#!/usr/bin/python3
"""What becomes of an object when a run of `staticcall annotate` does not go well.

Runs are killed at random times and at every system call, interrupted, and run into full, failing and
read-only disks; several are let loose on one object; objects are cut short while they are read. After
each of them the file must be, byte for byte, the old one or the complete new one (an edit in place that
was killed may have left a mark behind the object, until the next run); and the next run must make exactly
the new one, and leave nothing else in the directory.

Exit codes: 0 all is whole; 1 something is not; 2 could not run.
"""

import argparse
import collections
import contextlib
import filecmp
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

MARK_SIZE = 80
MARK_TEXT = b"\nstaticcall: unfinished\n"
SECONDS_PER_RUN = 120
# How many failures are printed.
LISTED = 20

# Numbers of calls and bytes of other contents.
OBJECTS = {"small": (3, 0), "200 KB": (500, 180 << 10), "5 MB": (5_000, 5 << 20), "100 MB": (30_000, 96 << 20)}

# Name, options, the file that is written, whether it is there before.
WAYS = [
    ("replaced", [], "a.o", True),
    ("in place", ["--in-place"], "a.o", True),
    ("new name", ["-o", "out.o"], "out.o", False),
    ("over another", ["-o", "out.o"], "out.o", True),
    ("replaced, --fsync", ["--fsync"], "a.o", True),
    ("in place, --fsync", ["--in-place", "--fsync"], "a.o", True),
]

FAULTY_CALLS = (
    "openat newfstatat fstat readlink getcwd mmap read pread64 flock copy_file_range pwrite64 write fsync fchown fchmod "
    "flistxattr fgetxattr fsetxattr fremovexattr linkat renameat2 rename unlink ftruncate utimensat close"
).split()
# After which of them the files are not what they were before.
CHANGING_CALLS = "openat linkat renameat2 unlink pwrite64 copy_file_range ftruncate exit_group".split()
ERRORS = ["EIO", "ENOSPC", "EINTR", "EACCES", "ENOSYS"]


class CannotRun(Exception):
    """Something this check needs is missing or failed; says nothing about the tool."""


# Making objects


def make_object(directory, name, calls, padding):
    """(path of an object, path of what annotate makes of it)."""
    source = pathlib.Path(directory, "source.s")
    lines = [".text"]
    for number in range(calls):
        lines += [f".globl f{number}", f"f{number}:", f"call __SCT__k{number % 50}", "ret"]
    lines.append(".data")
    lines += [f".quad __SCK__k{number}" for number in range(min(calls, 50))]
    if padding:
        content = pathlib.Path(directory, "padding")
        content.write_bytes(random.Random(padding).randbytes(1 << 20) * (padding >> 20) or bytes(padding))
        lines += [".section .rodata", f'.incbin "{content}"']
    source.write_text("\n".join(lines) + "\n")
    old = pathlib.Path(directory, f"{name}.old")
    subprocess.run(["as", "-o", old, source], check=True)
    return old


class Case:
    """One way to write one object, in a directory of its own."""

    def __init__(self, options, work, old, new, way):
        self.staticcall, self.old, self.new = options.staticcall, old, new
        self.name, self.arguments, self.target, self.exists = way
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=work))
        self.command = [self.staticcall, "annotate", *self.arguments, "a.o"]
        self.in_place = "--in-place" in self.arguments

    def prepare(self):
        for file in self.directory.iterdir():
            file.unlink()
        shutil.copyfile(self.old, self.directory / "a.o")
        if self.target != "a.o" and self.exists:
            (self.directory / self.target).write_bytes(b"something else")

    def start(self, *prefix, **keywords):
        keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **keywords}
        return subprocess.Popen([*prefix, *self.command], cwd=self.directory, stdin=subprocess.DEVNULL, **keywords)

    def run(self, *prefix, **keywords):
        process = self.start(*prefix, **keywords)
        output, _ = process.communicate(timeout=SECONDS_PER_RUN)
        return process.returncode, (output or b"").decode(errors="replace")

    def duration(self):
        times = []
        for _ in range(3):
            self.prepare()
            start = time.monotonic()
            self.run()
            times.append(time.monotonic() - start)
        return sorted(times)[1]

    def leftovers(self):
        return sorted(set(os.listdir(self.directory)) - {"a.o", self.target})

    def state(self):
        """'old', 'new', 'old, marked', 'new, marked', or what is wrong."""
        target = self.directory / self.target
        if self.target != "a.o" and not same(self.directory / "a.o", self.old):
            return "the input changed"
        if not target.exists():
            return "gone" if self.exists else "old"
        if same(target, self.new):
            return "new"
        if self.target != "a.o":
            return "old" if self.exists and target.read_bytes() == b"something else" else "torn"
        if same(target, self.old):
            return "old"
        return (self.in_place and marked_state(target.read_bytes(), self.old, self.new)) or "torn"

    def recover(self):
        """What is wrong after the next run, which goes well; None where nothing is."""
        status, output = self.run()
        if status != 0:
            return f"the next run ended with {status}: {output.strip()}"
        if self.state() != "new":
            return f"after the next run: {self.state()}"
        left = self.leftovers()
        return f"left behind by the next run: {left}" if left else None


def same(path, expected):
    return os.path.getsize(path) == os.path.getsize(expected) and filecmp.cmp(path, expected, shallow=False)


def marked_state(data, old, new):
    """What a file is that ends in the mark of an unfinished edit in place."""
    mark = data[-MARK_SIZE:]
    if not mark.startswith(MARK_TEXT):
        return None
    old_size, new_size = struct.unpack_from("<QQ", mark, len(MARK_TEXT))
    for size, file, name in ((old_size, old, "old"), (new_size, new, "new")):
        if data[:size] == file.read_bytes():
            return f"{name}, marked"
    return None


class Tally:
    """Counts outcomes, and remembers what went wrong."""

    def __init__(self, what):
        self.what, self.states, self.failures = what, collections.Counter(), []
        self.count = self.left = 0

    def add(self, case, how, is_killed=True, allowed_leftovers=1, also=None):
        """Judges the file after a run, and the next run. `also` is something that is wrong already."""
        self.count += 1
        state, left = case.state(), case.leftovers()
        self.states[state] += 1
        self.left += len(left)
        where = f"{case.name}, {how}"
        if also:
            self.failures.append(f"{where}: {also}")
        if state not in ("old", "new") and not (is_killed and state.endswith(", marked")):
            self.failures.append(f"{where}: the file is {state}")
        if len(left) > allowed_leftovers or any(not re.fullmatch(r"\..+\.staticcall", name) for name in left):
            self.failures.append(f"{where}: left behind: {left}")
        trouble = case.recover()
        if trouble:
            self.failures.append(f"{where}: {trouble}")

    def report(self):
        """Prints a line; True where all is well."""
        torn = sum(count for state, count in self.states.items() if not state.startswith(("old", "new")))
        whole = ", ".join(f"{count:,} {state}" for state, count in sorted(self.states.items()))
        print(
            f"{self.what}: {self.count:,} runs: {self.count - torn:,} whole ({whole}), {torn} torn; "
            f"{self.left} temporary files, {len(self.failures)} failures",
            flush=True,
        )
        for failure in self.failures[:LISTED]:
            print(f"  {failure}")
        if len(self.failures) > LISTED:
            print(f"  and {len(self.failures) - LISTED} more")
        return not self.failures


# The tests: each yields tallies


def kills_at_random_times(options, cases):
    share = {"small": 0.4, "200 KB": 0.25, "5 MB": 0.25, "100 MB": 0.1}
    chance = random.Random(options.seed)
    for size, some in cases.items():
        tally = Tally(f"killed at random times, {size}")
        kills = round(options.kills * share[size])
        durations = [case.duration() for case in some]
        for number in range(kills):
            case, duration = some[number % len(some)], durations[number % len(some)]
            case.prepare()
            process = case.start()
            after = chance.uniform(0, 1.1 * duration)
            time.sleep(after)
            process.kill()
            process.communicate()
            tally.add(case, f"killed after {after * 1000:.1f} ms")
        yield tally


def interruptions(options, cases):
    """Signals that can be handled leave nothing behind, not even until the next run."""
    chance = random.Random(options.seed + 1)
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU]
    some = [case for size in cases if size != "small" or options.sample for case in cases[size]]
    durations = [case.duration() for case in some]
    tally = Tally("interrupted at random times")
    for number in range(options.kills // 5):
        case, duration = some[number % len(some)], durations[number % len(some)]
        case.prepare()
        process = case.start()
        after, sent = chance.uniform(0, 1.1 * duration), signals[number % len(signals)]
        time.sleep(after)
        process.send_signal(sent)
        process.communicate(timeout=SECONDS_PER_RUN)
        status = process.returncode
        also = None if status in (0, -sent) else f"it ended with {status}"
        tally.add(case, f"{sent.name} after {after * 1000:.1f} ms", is_killed=False, allowed_leftovers=0, also=also)
    yield tally


def strace(*arguments):
    return ["strace", "-f", "-qq", *arguments]


def system_calls(case):
    """The system calls of a run from the first that has to do with the object, as (name, which of this name) in order."""
    log = case.directory.with_suffix(".log")
    case.prepare()
    case.run(*strace("-o", log))
    lines = [re.sub(r"^\d+ +", "", line) for line in log.read_text(errors="replace").splitlines()]
    seen, calls, is_relevant = collections.Counter(), [], False
    for line in lines:
        name = re.match(r"(\w+)\(", line)
        if not name:
            continue
        # strace counts the calls of each name for itself, and the execve too.
        seen[name[1]] += 1
        is_relevant = is_relevant or name[1] != "execve" and ('"a.o"' in line or '"out.o"' in line)
        if is_relevant:
            calls.append((name[1], seen[name[1]]))
    return calls


def killing(call, number):
    return strace("-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={number}")


def kills_at_system_calls(options, cases):
    tally = Tally("killed at every system call")
    for size in ("small", "200 KB")[: 1 if options.sample else 2]:
        for case in cases[size]:
            for call, number in system_calls(case):
                if options.sample and call not in CHANGING_CALLS:
                    continue
                case.prepare()
                status, _ = case.run(*killing(call, number))
                also = None if status == -signal.SIGKILL else f"it ended with {status}"
                tally.add(case, f"killed at {call} number {number}", also=also)
    yield tally


def kills_after_a_crash(options, cases):
    """The same where an earlier run has left a file under the temporary name, or a mark: recovery, too, may be killed."""
    tally = Tally("killed once more, at every system call of the next run")
    for case in cases["small"]:
        first_kills = [item for item in system_calls(case) if item[0] in ("unlink", "pwrite64", "ftruncate")]
        for first in first_kills:
            case.prepare()
            case.run(*killing(*first))
            if not case.leftovers() and not case.state().endswith("marked"):
                continue
            shutil.copytree(case.directory, f"{case.directory}.crashed")

            def prepare():
                for file in case.directory.iterdir():
                    file.unlink()
                shutil.copytree(f"{case.directory}.crashed", case.directory, dirs_exist_ok=True)

            usual, case.prepare = case.prepare, prepare
            calls = system_calls(case)
            for call, number in calls:
                case.prepare()
                case.run(*killing(call, number))
                tally.add(case, f"killed at {first}, then at {call} number {number}")
            case.prepare = usual
            shutil.rmtree(f"{case.directory}.crashed")
    yield tally


def faults(options, cases):
    """A system call fails, once or from then on."""
    for persistent in ("", "+"):
        if persistent and options.sample:
            return
        tally = Tally("a failing system call" if not persistent else "system calls that fail from then on")
        for case in cases["small"]:
            for call, number in system_calls(case):
                if call in (CHANGING_CALLS if options.sample else FAULTY_CALLS):
                    for error in ERRORS[: 1 if options.sample else None]:
                        if persistent and error != "EIO":
                            continue
                        case.prepare()
                        fault = f"inject={call}:error={error}:when={number}{persistent}"
                        status, output = case.run(*strace("-o", "/dev/null", "-e", fault))
                        how = f"{call} number {number}{persistent} fails with {error}"
                        also = None
                        state = case.state()
                        if status not in (0, 2):
                            also = f"it ended with {status}: {output.strip()}"
                        elif status == 0 and state != "new":
                            also = f"it ended with 0, and the file is {state}"
                        elif status == 2 and "error: " not in output and call != "write":
                            also = "it ended with 2 and said nothing"
                        elif status == 2 and state.startswith("new") and call not in ("fsync", "ftruncate", "write"):
                            also = f"it ended with 2, and the file is {state}"
                        # What cannot be removed stays until the next run.
                        stays = call in ("unlink", "ftruncate") or persistent
                        tally.add(case, how, is_killed=stays, allowed_leftovers=1 if stays else 0, also=also)
        yield tally


def size_limits(options, cases):
    """The file may not grow over a limit: writes are cut short, then fail."""
    tally = Tally("short writes (RLIMIT_FSIZE)")
    for case in cases["200 KB"]:
        sizes = case.old.stat().st_size, case.new.stat().st_size
        limits = {0, sizes[0] - 100, sizes[1] - 100, sizes[1], sizes[1] + 300}
        if not options.sample:
            limits |= set(range(0, sizes[0], 20_000)) | set(range(sizes[0] - 200, sizes[1] + 300, 509))
        for limit in sorted(limits):
            case.prepare()
            # The log of the test itself is not limited.
            status, output = case.run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            also = None if (status == 0) == (case.state() == "new") else f"it ended with {status}: {output.strip()}"
            tally.add(case, f"limited to {limit} bytes", is_killed=False, allowed_leftovers=0, also=also)
    yield tally


@contextlib.contextmanager
def mounted(work, *arguments):
    """A file system of its own, or None where this process may not mount one."""
    point = tempfile.mkdtemp(dir=work)
    if subprocess.run(["mount", *arguments, point], stderr=subprocess.DEVNULL).returncode != 0:
        yield None
        return
    try:
        yield pathlib.Path(point)
    finally:
        subprocess.run(["umount", "-l", point], check=True)


def full_disks(options, cases):
    page = 4096
    with mounted(options.work, "-t", "tmpfs", "-o", "size=2m", "staticcall-test") as point:
        if point is None:
            print("full disks: SKIPPED, as no file system may be mounted here", flush=True)
            return
        tally = Tally("full disks")
        for case in cases["200 KB"]:
            case = Case(options, point, case.old, case.new, (case.name, case.arguments, case.target, case.exists))
            needed = case.new.stat().st_size // page + 4
            for pages in range(0, needed + 1, 40 if options.sample else 1):
                case.prepare()
                filler = point / "filler"
                free = os.statvfs(point)
                filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - pages * page)))
                status, output = case.run()
                also = None if (status == 0) == (case.state() == "new") else f"it ended with {status}: {output.strip()}"
                filler.unlink()
                tally.add(case, f"{pages} pages free", is_killed=False, allowed_leftovers=0, also=also)
            if case.state() != "new":
                tally.failures.append(f"{case.name}: does not fit at last")
            shutil.rmtree(case.directory)
        yield tally


def read_only_disks(options, cases):
    with mounted(options.work, "-t", "tmpfs", "-o", "size=2m", "staticcall-test") as point:
        if point is None:
            print("read-only disks: SKIPPED, as no file system may be mounted here", flush=True)
            return
        tally = Tally("read-only disks")
        for case in cases["200 KB"]:
            case = Case(options, point, case.old, case.new, (case.name, case.arguments, case.target, case.exists))
            case.prepare()
            subprocess.run(["mount", "-o", "remount,ro", point], check=True)
            status, output = case.run()
            subprocess.run(["mount", "-o", "remount,rw", point], check=True)
            also = None if status == 2 and "Read-only file system" in output else f"it ended with {status}: {output}"
            tally.add(case, "read-only", is_killed=False, allowed_leftovers=0, also=also)
            shutil.rmtree(case.directory)
        yield tally


def many_at_once(options, cases):
    tally = Tally("eight runs on one object")
    finished = collections.Counter()
    for number in range(2 if options.sample else 100):
        for size in ("small", max(set(cases) - {"100 MB"}, key=list(OBJECTS).index)):
            case, other = cases[size][number % 4], cases[size][(number // 4) % 2]
            if other.target != case.target:
                other = case
            case.prepare()
            processes = [
                subprocess.Popen(
                    chosen.command, cwd=case.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
                for chosen in [case, other] * 4
            ]
            outputs = [process.communicate(timeout=SECONDS_PER_RUN)[0] for process in processes]
            codes = [process.returncode for process in processes]
            finished.update(codes)
            wrong = [(code, output) for code, output in zip(codes, outputs) if code != 0 and (code != 2 or b"[SC0" not in output)]
            tally.add(case, f"beside {other.name}", is_killed=False, allowed_leftovers=0, also=wrong or None)
    tally.what += f" (exit codes {', '.join(f'{code}: {count:,}' for code, count in sorted(finished.items()))})"
    yield tally


def shrinking_inputs(options, cases):
    """The object is cut short while it is read: an ordinary error, and no bus error."""
    chance = random.Random(options.seed + 2)
    size = max(cases, key=list(OBJECTS).index)
    case = cases[size][0]
    duration = case.duration()
    codes, failures = collections.Counter(), []
    for number in range(6 if options.sample else 300):
        case.prepare()
        command = [["annotate", "-o", "out.o"], ["list"], ["verify"]][number % 3]
        after = chance.uniform(0, duration)
        process = subprocess.Popen(
            [options.staticcall, *command, "a.o"], cwd=case.directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        time.sleep(after)
        os.truncate(case.directory / "a.o", chance.choice([0, 100, 4096, case.old.stat().st_size // 2]))
        errors = process.communicate(timeout=SECONDS_PER_RUN)[1].decode(errors="replace")
        codes[process.returncode] += 1
        # verify finds no table in the object as it was.
        if process.returncode not in (0, 1, 2) or process.returncode == 2 and not errors.startswith("a.o: error: "):
            failures.append(f"{command[0]}, cut short after {after * 1000:.1f} ms: {process.returncode}: {errors[-300:]}")
        out = case.directory / "out.o"
        if out.exists() and not same(out, case.new):
            failures.append(f"cut short after {after * 1000:.1f} ms: the output is torn")
        if set(os.listdir(case.directory)) - {"a.o", "out.o"}:
            failures.append(f"left behind: {os.listdir(case.directory)}")
    print(f"cut short while read: exit codes {dict(sorted(codes.items()))}, {len(failures)} failures", flush=True)
    for failure in failures[:LISTED]:
        print(f"  {failure}")
    tally = Tally("")
    tally.failures = failures
    yield None if not failures else tally


def can_trace():
    if shutil.which("strace") is None:
        return "strace is not installed"
    traced = subprocess.run([*strace("-o", "/dev/null"), "true"], stderr=subprocess.PIPE)
    return None if traced.returncode == 0 else "processes may not be traced here"


def main():
    parser = argparse.ArgumentParser(description="Kill and hinder staticcall, and look at what is left.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="at random times (default: %(default)s)")
    parser.add_argument("--sample", action="store_true", help="fewer of everything, and only small objects")
    parser.add_argument("--only", metavar="WORD", help="only the tests with this word in their names")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random times (default: %(default)s)")
    parser.add_argument("--work", metavar="DIR", help="where to work (default: a temporary directory)")
    options = parser.parse_args()
    path = shutil.which(options.staticcall)
    if path is None:
        raise CannotRun(f"{options.staticcall}: no such program")
    options.staticcall = os.path.abspath(path)

    ways = WAYS[:4] if options.sample else WAYS
    sizes = dict(list(OBJECTS.items())[: 2 if options.sample else None])
    with tempfile.TemporaryDirectory(prefix="kill-test.", dir=options.work) as options.work:
        cases = {}
        for name, size in sizes.items():
            old = make_object(options.work, name, *size)
            new = old.with_suffix(".new")
            subprocess.run([options.staticcall, "annotate", "-o", new, old], check=True)
            cases[name] = [Case(options, options.work, old, new, way) for way in ways]

        traced = [kills_at_system_calls, faults] + ([] if options.sample else [kills_after_a_crash])
        tests = [kills_at_random_times, interruptions, size_limits, full_disks, read_only_disks, many_at_once, shrinking_inputs]
        hindrance = can_trace()
        if hindrance:
            print(f"system calls: SKIPPED, as {hindrance}", flush=True)
        else:
            tests[1:1] = traced
        is_well = True
        for test in tests:
            if options.only and options.only not in test.__name__:
                continue
            for tally in test(options, cases):
                is_well = (tally is None or tally.report()) and is_well
    return 0 if is_well else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (CannotRun, OSError, subprocess.SubprocessError) as error:
        print(f"kill-test: {error}", file=sys.stderr)
        sys.exit(2)
