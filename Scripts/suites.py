#!/usr/bin/python3
"""The test suites of real programs before and after `staticcall annotate`.

lua, sqlite and zlib are compiled such that calls become indirect, their own functions are taken for trampolines, the objects are
annotated and linked with an object that defines the keys. The program's own tests must say the same of both programs, and pass.
`verify` must be content with the objects.

- lua: its official tests, which Debian's sources leave out: --lua-tests names the directory `testes` of lua's repository at the
  version of the sources. Without it this suite is skipped, aloud.
- sqlite: scripts of its own test directory, run by testfixture. Nearly every call within sqlite goes through a trampoline.
- zlib: example, infcover and minigzip. Its functions have no prefix in common, so objcopy gives them one.

Exit codes: 0 all alike and passed; 1 differences or failures; 2 could not run.
"""

import argparse
import concurrent.futures
import difflib
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import real_programs  # noqa: E402 (it lies beside this file)
from real_programs import Failed, Unavailable, run  # noqa: E402

LISTED = 20
RETPOLINE = ["-fcf-protection=none", "-mindirect-branch=thunk"]
# (compiler, flags, how to link)
BUILDS = [
    ("gcc", ["-O2", "-fPIC", "-fno-plt"], "-pie"),
    ("gcc", ["-O2", "-fno-pic", "-mcmodel=large"], "-no-pie"),
    ("gcc", ["-O2", "-fPIC", "-fno-plt", *RETPOLINE], "-pie"),
    ("gcc", ["-Os", "-fno-pic", *RETPOLINE], "-no-pie"),
    ("clang", ["-O2", "-fPIC", "-fno-plt"], "-pie"),
    ("clang", ["-O2", "-fno-pic", "-mcmodel=large"], "-no-pie"),
    ("clang", ["-O2", "-fPIC", "-fno-plt", "-mretpoline"], "-pie"),
]
# What of sqlite's tests is run: parser, planner, virtual machine, storage, and the extensions; some 40,000 tests.
SQLITE_TESTS = (
    "select1 select2 select3 select4 select5 select6 select7 select9 selectA selectB join join2 join5 where where2 where3 where7 where9 "
    "expr func func2 insert insert2 insert4 update delete index index3 trigger1 trigger2 trigger3 trigger9 view alter alter2 "
    "autoinc collate1 collate2 collate3 date distinct e_select e_expr e_createtable fkey1 fkey2 in in4 intpkey json101 like limit "
    "minmax misc1 misc2 misc3 misc5 null orderby1 pager1 pragma quote rowid savepoint schema subquery subselect sort table types "
    "unique vacuum vtab1 wal window1 with1 fts3aa fts3ab fts4content rtree1 rtree2 analyze attach avtrans bind blob capi2 capi3 cast check"
).split()
SQLITE_SAMPLE = "select1 join where expr func insert trigger1 fkey1 window1 with1 rtree1 fts3aa".split()


class Program:
    """A program of one suite and one build: compiled, annotated, linked twice."""

    def __init__(self, options, compiler, flags, position, directory):
        self.staticcall = options.staticcall
        self.compiler, self.flags, self.position, self.directory = compiler, flags, position, directory
        self.names = []
        directory.mkdir(parents=True)
        for kind in ("untouched", "annotated"):
            (directory / kind).mkdir()

    def compile(self, sources, where=None):
        for number, source in enumerate(sources):
            name = f"{number}-{source.source.stem}.o"
            output = self.directory / "untouched" / name
            run([self.compiler, *self.flags, *source.flags, "-c", source.source, "-o", output], cwd=where)
            self.names.append(name)

    def objects(self, kind):
        return [self.directory / kind / name for name in self.names]

    def annotate(self, *arguments):
        """What `annotate` says of all objects, counted."""
        for name in self.names:
            shutil.copyfile(self.directory / "untouched" / name, self.directory / "annotated" / name)
        arguments = [*arguments, "--add-missing-keys"]
        said = run([self.staticcall, "annotate", "-v", *arguments, *self.objects("annotated")]).stdout
        run([self.staticcall, "verify", *arguments[:-1], *self.objects("annotated")])
        keys = real_programs.define_keys(self.objects("annotated"), self.directory / "keys.o")
        entries = sum(int(number.replace(",", "")) for number in re.findall(r"table of ([\d,]+) entr", said))
        direct = sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) made direct", said))
        return f"{entries:,} entries, {direct:,} calls made direct, {keys:,} keys"

    def link(self, kind, name, *arguments):
        output = self.directory / kind / name
        keys = [self.directory / "keys.o"] if kind == "annotated" else []
        run(["gcc", self.position, "-w", *self.objects(kind), *keys, *arguments, "-o", output])
        return output


# The suites: each gives (what annotate did, what the tests said before, and after). A failed test is part of what they say.


def lua(options, program):
    tests = options.lua_tests
    if not (tests / "all.lua").exists():
        raise Unavailable("lua's tests: no --lua-tests with an all.lua")
    program.compile(real_programs.lua(options.sources))
    done = program.annotate("--trampoline-prefix", "lua")
    outputs = []
    for kind in ("untouched", "annotated"):
        lua = program.link(kind, "lua", "-lm", "-ldl", "-Wl,-E")
        work = program.directory / f"{kind}-tests"
        shutil.copytree(tests, work)
        result = run([lua, "-e", "_U=true", "all.lua"], range(256), cwd=work, timeout=1200)
        # What depends on time and memory is left out.
        text = re.sub(r"\d+(\.\d+)?", "N", result.stdout)
        text = "\n".join(line for line in text.splitlines() if "0x" not in line and "seed" not in line)
        outputs.append((f"exit code {result.returncode}", "final OK" in result.stdout and result.returncode == 0, text + result.stderr))
    return done, *outputs


def sqlite(options, program):
    place = real_programs.configured_sqlite(options.sources)
    sources, libraries = real_programs.sqlite_testfixture(options.sources)
    program.compile([source for source in sources if source.source.name == "sqlite3.c"], place)
    done = program.annotate("--trampoline-prefix", "sqlite3")
    rest = test_objects(options, [source for source in sources if source.source.name != "sqlite3.c"], place)
    scripts = real_programs.fetch(options.sources, "sqlite3") / "test"
    outputs = []
    for kind in ("untouched", "annotated"):
        fixture = program.link(kind, "testfixture", *rest, *libraries, "-ldl", "-lpthread")
        work = program.directory / f"{kind}-tests"
        work.mkdir()
        errors = tests = 0
        lines, failed = [], False
        for name in SQLITE_SAMPLE if options.sample else SQLITE_TESTS:
            script = scripts / f"{name}.test"
            if not script.exists():
                continue
            result = run([fixture, script], range(-64, 256), cwd=work, timeout=600)
            summary = re.findall(r"(\d+) errors out of (\d+) tests", result.stdout)
            errors += sum(int(count) for count, _ in summary)
            tests += sum(int(count) for _, count in summary)
            failed = failed or not summary
            lines += [f"{name}: exit code {result.returncode}"]
            lines += [line for line in result.stdout.splitlines() if re.search(r"\.\.\. |errors out of|^! ", line)]
            lines = [re.sub(r"Time: .*|\b\d+ ms\b|\(.*ms\)", "", line) for line in lines]
        # A few tests depend on how much privilege and which locale the run has; they fail before and after.
        outputs.append((f"{errors:,} errors out of {tests:,} tests", not failed and errors <= tests // 1000, "\n".join(lines)))
    return done, *outputs


def test_objects(options, sources, place):
    """The objects of testfixture that do not depend on the build, compiled once."""
    directory = options.work / "testfixture"
    objects = [directory / f"{number}-{source.source.stem}.o" for number, source in enumerate(sources)]
    if not directory.exists():
        directory.mkdir()
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            commands = [["gcc", "-O1", "-fPIC", *s.flags, "-c", s.source, "-o", o] for s, o in zip(sources, objects)]
            list(pool.map(lambda command: run(command, cwd=place), commands))
    return objects


def zlib(options, program):
    sources, tests = real_programs.zlib(options.sources)
    program.compile(sources)
    names = real_programs.defined_functions(program.objects("untouched"))
    real_programs.rename(program.objects("untouched"), names, "__SCT__", program.directory)
    done = program.annotate()
    outputs = []
    for kind in ("untouched", "annotated"):
        lines, passed = [], True
        work = program.directory / f"{kind}-tests"
        work.mkdir()
        for name in ("example", "infcover", "minigzip"):
            test = work / f"{name}.o"
            # infcover.c includes headers of the library by their plain names.
            run([program.compiler, "-O1", "-fPIC", f"-I{tests.parent}", "-w", "-c", tests / f"{name}.c", "-o", test])
            real_programs.rename([test], names, "__SCT__", program.directory)
            executable = program.link(kind, name, test)
            if name != "minigzip":
                result = run([executable], range(-64, 256), cwd=work)
                lines += [f"{name}: exit code {result.returncode}", result.stdout, result.stderr]
                passed = passed and result.returncode == 0
                continue
            for level in ("-1", "-6", "-9"):
                # Text, code before linking, and a program of several megabytes.
                for big in (tests.parent / "deflate.c", program.objects(kind)[0], options.big_file):
                    copy = work / "copy"
                    shutil.copyfile(big, copy)
                    run([executable, level, copy])
                    packed = (work / "copy.gz").read_bytes()
                    run(["gzip", "-t", work / "copy.gz"])
                    run([executable, "-d", work / "copy.gz"])
                    same = copy.read_bytes() == big.read_bytes()
                    passed = passed and same
                    size = len(packed) if big.suffix != ".o" else "-"
                    lines.append(f"minigzip {level} {big.name}: {size}, the same again: {same}")
        text = "\n".join(lines)
        outputs.append((f"{len(lines)} results", passed, text))
    return done, *outputs


SUITES = {"lua": lua, "sqlite": sqlite, "zlib": zlib}


def check(options, name, number):
    """Whether a suite passed with a build; prints a line, and differences."""
    compiler, flags, position = BUILDS[number]
    title = f"{name}, {compiler} {' '.join(flags)}"
    start = time.monotonic()
    directory = options.work / f"{name}-{number}"
    try:
        program = Program(options, compiler, flags, position, directory)
        done, before, after = SUITES[name](options, program)
    except Failed as failure:
        print(f"{title}: FAILED: {failure}", flush=True)
        return False
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    good = before[1] and after[1] and before[2] == after[2]
    print(f"{title}: {done}; before: {before[0]}; after: {after[0]}: "
          f"{'alike, passed' if good else 'DIFFERENT' if before[2] != after[2] else 'FAILED'} ({time.monotonic() - start:.0f} s)", flush=True)
    if before[2] != after[2]:
        lines = difflib.unified_diff(before[2].splitlines(), after[2].splitlines(), "before", "after", lineterm="", n=0)
        print("\n".join(f"  {line}" for line, _ in zip(lines, range(LISTED))))
    elif not good:
        print("\n".join(f"  {line}" for line in before[2].splitlines()[-LISTED:]))
    return good


def main():
    parser = argparse.ArgumentParser(description="Run real test suites before and after staticcall annotate.")
    parser.add_argument("--staticcall", required=True, metavar="PATH", help="the tool to check")
    parser.add_argument("--sources", type=pathlib.Path, default=pathlib.Path(".build/sources"), metavar="DIR")
    parser.add_argument("--lua-tests", type=pathlib.Path, default=pathlib.Path(".build/sources/lua-tests"), metavar="DIR",
                        help="lua's official tests; default: %(default)s")
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="only this one; may be repeated")
    parser.add_argument("--build", type=int, action="append", metavar="N", help=f"only build N of {len(BUILDS)}; may be repeated")
    parser.add_argument("--sample", action="store_true", help="fewer of sqlite's tests")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N", help="default: %(default)s")
    options = parser.parse_args()
    if shutil.which(options.staticcall) is None:
        raise Failed(f"{options.staticcall}: no such program")
    options.staticcall = os.path.abspath(shutil.which(options.staticcall))
    options.lua_tests = options.lua_tests.resolve()
    options.big_file = pathlib.Path(sys.executable).resolve()

    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="suites.") as work:
        options.work = pathlib.Path(work)
        for number, (compiler, _, _) in enumerate(BUILDS):
            if options.build and number not in options.build:
                continue
            if shutil.which(compiler) is None:
                print(f"suites: SKIPPED: builds with {compiler}: no such program", flush=True)
                continue
            for name in sorted(options.suite or SUITES):
                try:
                    good = check(options, name, number)
                    passed, failed = passed + good, failed + (not good)
                except Unavailable as reason:
                    print(f"suites: SKIPPED: {name}: {reason}", flush=True)
    print(f"suites: {passed} alike and passed, {failed} not")
    if passed + failed == 0:
        raise Failed("nothing could be run")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, OSError) as error:
        print(f"suites: {error}", file=sys.stderr)
        sys.exit(2)
