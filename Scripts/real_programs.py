"""Sources of real programs, compiled so that calls of their own functions can be taken for static calls.

Used by suites.py, account.py and rewriting-cost.py. Sources come from Debian (Scripts/debian-source); what is made of them and does
not depend on compilers' flags is kept beside them.
"""

import collections
import os
import pathlib
import re
import shlex
import shutil
import subprocess

SCRIPTS = pathlib.Path(__file__).resolve().parent

# Sources of an object: flags that belong to the program, and the file.
Source = collections.namedtuple("Source", "source flags")

SQLITE_FEATURES = [
    "SQLITE_THREADSAFE=1", "SQLITE_ENABLE_FTS3", "SQLITE_ENABLE_FTS4", "SQLITE_ENABLE_FTS5", "SQLITE_ENABLE_RTREE",
    "SQLITE_ENABLE_MATH_FUNCTIONS", "SQLITE_ENABLE_DBSTAT_VTAB", "SQLITE_ENABLE_COLUMN_METADATA",
]


class Unavailable(Exception):
    """The sources cannot be had here; the caller skips what needs them, aloud."""


class Failed(Exception):
    """A command that must succeed did not."""


def run(command, expected=(0,), **others):
    """The result of a command that must exit as expected."""
    command = [str(word) for word in command]
    others.setdefault("stdin", subprocess.DEVNULL)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **others)
    if result.returncode not in expected:
        tail = (result.stdout[-1500:] + result.stderr[-1500:]).strip()
        raise Failed(f"{shlex.join(command)}: exit code {result.returncode}\n{tail}")
    return result


def fetch(sources, package):
    """The directory of a Debian package's unpacked sources."""
    result = subprocess.run([SCRIPTS / "debian-source", sources, package], stdout=subprocess.PIPE, text=True)
    if result.returncode == 3:
        raise Unavailable(f"the sources of {package} cannot be had")
    if result.returncode != 0:
        raise Failed(f"debian-source {package}: exit code {result.returncode}")
    return pathlib.Path(result.stdout.strip())


# sqlite


def configured_sqlite(sources):
    """A directory in which sqlite was configured and its generated sources were made: sqlite3.c, and tsrc with separate files."""
    original = fetch(sources, "sqlite3")
    place = pathlib.Path(sources).resolve() / "sqlite3-configured"
    if (place / "complete").exists():
        return place
    for tool in ("tclsh", "make", "gcc"):
        if shutil.which(tool) is None:
            raise Unavailable(f"sqlite's sources are generated: no {tool}")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    features = " ".join(f"-D{feature}" for feature in SQLITE_FEATURES)
    run([original / "configure", "--disable-readline", f"CFLAGS=-O2 {features}"], cwd=place)
    run(["make", "sqlite3.c"], cwd=place)
    (place / "complete").touch()
    return place


def sqlite_amalgamation(sources, directory):
    place = configured_sqlite(sources)
    return Source(place / "sqlite3.c", [f"-D{feature}" for feature in SQLITE_FEATURES] + ["-w"])


def sqlite_combined(sources, directory, compiler):
    """sqlite compiled file by file and combined by ld -r: (object, processor seconds of the compiler)."""
    place = configured_sqlite(sources)
    text = (place / "sqlite3.c").read_text(errors="replace")
    # The amalgamation says where each of its files begins.
    names = dict.fromkeys(re.findall(r"/\*+ Begin file (\w+\.c) \*+/", text))
    flags = [f"-D{feature}" for feature in SQLITE_FEATURES] + ["-w", f"-I{place}", f"-I{place / 'tsrc'}"]
    objects, before = [], os.times()
    for name in names:
        if not (place / "tsrc" / name).exists():
            continue
        output = directory / f"separate-{name}.o"
        run([*compiler, *flags, "-DSQLITE_CORE", "-c", place / "tsrc" / name, "-o", output])
        objects.append(output)
    after = os.times()
    combined = directory / "sqlite-combined.o"
    run(["ld", "-r", "-o", combined, *objects])
    seconds = after.children_user - before.children_user + after.children_system - before.children_system
    return combined, seconds


def sqlite_testfixture(sources):
    """(sources with their flags, libraries) of sqlite's own test program, as its makefile compiles it."""
    place = configured_sqlite(sources)
    if not list(pathlib.Path("/usr/include").glob("tcl*/tcl.h")):
        raise Unavailable("sqlite's tests need Tcl's header (Debian: tcl-dev)")
    listed = run(["make", "-n", "testfixture"], cwd=place).stdout.replace("\\\n", " ")
    commands = [line for line in listed.splitlines() if "-o testfixture" in line]
    if not commands:
        raise Failed("sqlite's makefile has another way to make testfixture")
    # Whatever the program needs besides: headers and tables that are generated.
    run(["make", "sqlite3.c", "parse.c", "keywordhash.h", "fts5.c"], cwd=place)
    words = shlex.split(commands[-1])
    flags = [word for word in words if word.startswith(("-D", "-I")) and not word.startswith("-DNDEBUG")]
    files = [word for word in words if word.endswith(".c")]
    libraries = [word for word in words if word.startswith(("-l", "-L"))]
    return [Source(place / file, [*flags, "-w"]) for file in files], libraries


# lua and zlib


def lua(sources):
    """The sources of the interpreter."""
    place = fetch(sources, "lua5.4") / "src"
    names = sorted(path for path in place.glob("*.c") if path.name != "luac.c")
    # Debian's patches include a header that its package makes.
    headers = pathlib.Path(sources).resolve() / "lua-headers"
    headers.mkdir(exist_ok=True)
    (headers / "lua5.4-deb-multiarch.h").write_text('#define DEB_HOST_MULTIARCH "multiarch"\n')
    return [Source(path, ["-DLUA_USE_LINUX", "-DLUA_COMPAT_5_3", f"-I{headers}", "-w"]) for path in names]


def zlib(sources):
    """(sources of the library, directory of its tests)."""
    place = fetch(sources, "zlib")
    flags = ["-D_LARGEFILE64_SOURCE=1", "-DHAVE_UNISTD_H", "-DHAVE_STDARG_H", f"-I{place}", "-w"]
    return [Source(path, flags) for path in sorted(place.glob("*.c"))], place / "test"


# Own functions as trampolines


def defined_functions(objects):
    """The names of global functions that these objects define."""
    listed = run(["nm", "--defined-only", "--extern-only", *objects]).stdout
    return {line.split()[-1] for line in listed.splitlines() if re.search(r" T \S+$", line)}


def rename(objects, names, prefix, directory):
    """Gives functions names with a prefix, in the objects themselves."""
    table = directory / "renamed"
    table.write_text("".join(f"{name} {prefix}{name}\n" for name in sorted(names)))
    for path in objects:
        run(["objcopy", f"--redefine-syms={table}", path])


def define_keys(objects, output):
    """Assembles an object with all keys that these objects refer to and none of them defines."""
    listed = run(["nm", *objects]).stdout
    keys = {words[-1] for words in map(str.split, listed.splitlines()) if words and words[-1].startswith("__SCK__")}
    source = output.with_suffix(".s")
    lines = [".data", ".balign 16"]
    for key in sorted(keys):
        lines += [f".globl {key}", f".hidden {key}", f".type {key}, @object", f".size {key}, 16", f"{key}: .quad 0, 0"]
    lines.append('.section .note.GNU-stack,"",@progbits')
    source.write_text("\n".join(lines) + "\n")
    run(["gcc", "-c", source, "-o", output])
    return len(keys)
