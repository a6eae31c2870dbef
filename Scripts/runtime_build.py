"""Builds programs with the runtime, for the scripts that measure and stress it."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "Fixtures/runtime"
INCLUDE = ROOT / "Sources/StaticCallRuntime/include"


def make_library(compiler, directory):
    """Puts libstaticcall.a into a directory."""
    subprocess.run(
        ["make", "-s", "-C", ROOT, "runtime", f"CC={compiler}", f"RUNTIME_BUILD={directory}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def compile_object(compiler, flags, source, target, staticcall):
    """Compiles a file of Fixtures/runtime; annotates the object where `staticcall` is a path and not None."""
    subprocess.run([*compiler, *flags, "-I", INCLUDE, "-c", FIXTURES / source, "-o", target], check=True)
    if staticcall:
        subprocess.run([staticcall, "annotate", "--abi", "user", target], check=True)
