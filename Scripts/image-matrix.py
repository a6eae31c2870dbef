#!/usr/bin/env python3
"""Links each form of a call with every linker, in every kind of image, and looks at what verify says.

Each object has three calls. It is linked as it is, beside an annotated object and alone, and annotated. Annotated: verify must say nothing but
which calls annotate left indirect. As it is: each call must be named, once. What a linker refuses is listed.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

DIRECT = """
extern int __SCT__a(int), __SCT__b(int);
int called(int x) { return __SCT__a(x) + 1; }
int tail(int x) { return __SCT__b(x); }
int either(int x) { if (x > 3) return __SCT__a(x); return 7; }
"""

POINTERS = """
extern int __SCT__a(int), __SCT__b(int);
typedef int function(int);
#ifdef __x86_64__
#define ANY "+a" /* a register that carries no argument */
#else
#define ANY "+r"
#endif
#define ADDRESS(f) ({ function *p = f; __asm__("" : ANY(p)); p; })
int called(int x) { return ADDRESS(__SCT__a)(x) + 1; }
int tail(int x) { return ADDRESS(__SCT__b)(x); }
int either(int x) { if (x > 3) return ADDRESS(__SCT__a)(x) - 2; return 7; }
"""
CALLS = 3

OTHER = "extern int __SCT__a(int); int other(int x) { return __SCT__a(x) * 3; }\n"
MAIN = """
int called(int), tail(int), either(int), other(int);
int main(int count, char **names) { return called(count) + tail(count) + either(count) + other(count); }
"""
# With the object as it is, the table of another one is there or not.
BARE = "int other(int x) { return x; }\n"
# What static_call.h makes of a definition: a trampoline that reads its key.
TRAMPOLINES = {
    "x86_64": "jmp *__SCK__{0}(%rip)",
    "aarch64": "adrp x16, __SCK__{0}\n ldr x16, [x16, :lo12:__SCK__{0}]\n br x16",
}
SHARED_KEYS = """
.data
.p2align 4
.globl __SCK__{0}
.hidden __SCK__{0}
__SCK__{0}: .quad target_{0}, 0
.text
target_{0}: ret
"""
TRAMPOLINE = """
.section .text.static_call.{0}, "ax", %progbits
.p2align 4
.globl __SCT__{0}
.type __SCT__{0}, %function
__SCT__{0}: {1}
.size __SCT__{0}, . - __SCT__{0}
"""
END = '.section .note.GNU-stack,"",%progbits\n'

# The name of a form, its source, and how each compiler makes it.
FORMS = {
    "x86_64": [
        ("direct", DIRECT, [], ["gcc", "clang"], "any"),
        ("no-plt", DIRECT, ["-fno-plt"], ["gcc", "clang"], "pic"),
        ("pointers", POINTERS, [], ["gcc", "clang"], "any"),
        ("pointers-no-plt", POINTERS, ["-fno-plt"], ["gcc", "clang"], "pic"),
        ("large", DIRECT, ["-mcmodel=large"], ["gcc", "clang"], "fixed"),
        ("thunks", POINTERS, ["-mindirect-branch=thunk", "-mindirect-branch-register"], ["gcc"], "any"),
        ("thunks-cs", POINTERS, ["-mindirect-branch=thunk", "-mindirect-branch-register",
                                 "-mindirect-branch-cs-prefix", "-fno-plt"], ["gcc"], "pic"),
        ("thunks-no-plt", DIRECT, ["-fno-plt", "-mindirect-branch=thunk", "-mindirect-branch-register"], ["gcc"], "pic"),
        ("push", DIRECT, ["-fno-plt", "-mindirect-branch=thunk"], ["gcc"], "pic"),
        ("retpolines", POINTERS, ["-mretpoline"], ["clang"], "any"),
        ("retpolines-no-plt", DIRECT, ["-mretpoline", "-fno-plt"], ["clang"], "pic"),
        ("landing-pads", DIRECT, ["-fcf-protection=full"], ["gcc", "clang"], "any"),
    ],
    "aarch64": [
        ("direct", DIRECT, [], ["gcc", "clang"], "any"),
        ("no-plt", DIRECT, ["-fno-plt"], ["gcc", "clang"], "pic"),
        ("pointers", POINTERS, [], ["gcc", "clang"], "any"),
        ("tiny", POINTERS, ["-mcmodel=tiny"], ["gcc"], "fixed"),
        ("large", POINTERS, ["-mcmodel=large"], ["gcc", "clang"], "fixed"),
        ("thunks", POINTERS, ["-mharden-sls=blr"], ["gcc", "clang"], "any"),
        ("thunks-no-plt", DIRECT, ["-mharden-sls=blr", "-fno-plt"], ["gcc", "clang"], "pic"),
        ("landing-pads", DIRECT, ["-mbranch-protection=standard"], ["gcc", "clang"], "any"),
    ],
}

# How a program is linked, and whether its code may be at any address.
KINDS = {
    "pie": (["-pie"], True),
    "static": (["-static", "-no-pie"], False),
    "static-pie": (["-static-pie"], True),
    "no-pie": (["-no-pie"], False),
    "shared": (["-shared"], True),
    "imported": (["-pie"], True),
    "imported-no-pie": (["-no-pie"], False),
}
# What linkers make of entries of the PLT, where trampolines are imported.
VARIANTS = {
    ("x86_64", "bfd"): [["-Wl,-z,ibtplt"], ["-Wl,-z,now"], ["-Wl,-z,lazy"]],
    ("x86_64", "lld"): [["-Wl,-z,retpolineplt"], ["-Wl,-z,retpolineplt,-z,now"], ["-Wl,-z,force-ibt"]],
    ("x86_64", "gold"): [["-Wl,-z,bndplt"], ["-Wl,-z,now"]],
    ("x86_64", "mold"): [["-Wl,-z,ibtplt"], ["-Wl,-z,now"], ["-Wl,-z,ibt"]],
    ("aarch64", "bfd"): [["-Wl,-z,force-bti"], ["-Wl,-z,pac-plt"], ["-Wl,-z,now"]],
    ("aarch64", "lld"): [["-Wl,-z,force-bti"], ["-Wl,-z,pac-plt"], ["-Wl,-z,now"]],
    ("aarch64", "gold"): [["-Wl,-z,now"]],
    ("aarch64", "mold"): [["-Wl,-z,now"]],
}
LINKERS = ["bfd", "gold", "lld", "mold"]
STATES = ["annotated", "plain", "bare"]
GCC = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}


def run(command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=600)
    return done.returncode, done.stdout + done.stderr


class Matrix:
    def __init__(self, staticcall, work):
        self.staticcall, self.work = staticcall, work
        self.linkers = {}
        for machine in FORMS:
            for linker in LINKERS:
                prefix = "" if machine == "x86_64" else "aarch64-linux-gnu-"
                program = shutil.which({"lld": "ld.lld", "mold": "mold"}.get(linker, f"{prefix}ld.{linker}"))
                if not program or not shutil.which(GCC[machine]):
                    print(f"SKIPPED: {linker} for {machine} is not installed")
                    continue
                # gcc takes the linker that it finds in the directory of -B.
                directory = work / f"{machine}-{linker}"
                directory.mkdir()
                (directory / "ld").symlink_to(program)
                self.linkers[machine, linker] = directory

    def compiler(self, name, machine):
        if name == "gcc":
            return [GCC[machine]]
        return ["clang", f"--target={machine}-linux-gnu"]

    def compile(self, source, suffix, command, output):
        path = self.work / (output + suffix)
        path.write_text(source)
        return run(command + ["-c", "-o", output, str(path)], self.work)

    def prepare(self, machine):
        """The objects that all programs of a machine have in common."""
        gcc = [GCC[machine], "-O2"]
        for pic in (True, False):
            flag, name = ("-fPIC", "pic") if pic else ("-fno-pic", "fixed")
            for source, part in ((MAIN, "main"), (BARE, "bare"), (OTHER, "other")):
                status, text = self.compile(source, ".c", gcc + [flag], f"{machine}-{part}-{name}.o")
                assert status == 0, text
            status, text = run([self.staticcall, "annotate", "-q", "--abi", "user", f"{machine}-other-{name}.o"], self.work)
            assert status == 0, text
        keys = "".join(SHARED_KEYS.format(name) for name in "ab") + END
        code = "".join(TRAMPOLINE.format(name, TRAMPOLINES[machine].format(name)) for name in "ab")
        for text, part in ((code + keys, "defined"), (keys, "keys")):
            status, message = self.compile(text, ".s", [GCC[machine]], f"{machine}-{part}.o")
            assert status == 0, message
        status, text = run([GCC[machine], "-shared", "-o", f"{machine}-defined.so", f"{machine}-defined.o"], self.work)
        assert status == 0, text

    def object(self, machine, form, compiler, pic):
        """Compiles a form; the names of the plain and the annotated object, and how many calls annotate left indirect."""
        name, source, flags, _, _ = form
        base = f"{machine}-{name}-{compiler}-{'pic' if pic else 'fixed'}"
        command = self.compiler(compiler, machine) + ["-O2", "-fPIC" if pic else "-fno-pic"] + flags
        if pic and "no-plt" not in name and machine == "x86_64" and name != "pointers":
            command += ["-fplt"]
        status, text = self.compile(source, ".c", command, f"{base}.o")
        if status:
            return None, text
        shutil.copy(self.work / f"{base}.o", self.work / f"{base}-annotated.o")
        status, text = run([self.staticcall, "annotate", "-v", "--abi", "user", f"{base}-annotated.o"], self.work)
        if status:
            return None, text
        done = re.search(r"table of (\d+)", text)
        return base, CALLS - (int(done.group(1)) if done else 0)

    def image(self, machine, base, left, linker, kind, extra, state):
        """Links and verifies: a verdict, and what is to be read."""
        flags, pic = KINDS[kind]
        suffix = "pic" if pic else "fixed"
        output = "-".join([base, linker, kind, state] + [part.strip("-").replace(",", "") for part in extra])
        objects = [
            f"{base}-annotated.o" if state == "annotated" else f"{base}.o",
            f"{machine}-{'bare' if state == 'bare' else 'other'}-{suffix}.o",
        ]
        if kind != "shared":
            objects.append(f"{machine}-main-{suffix}.o")
        imported = kind.startswith("imported")
        objects += [f"{machine}-keys.o", f"./{machine}-defined.so"] if imported else [f"{machine}-defined.o"]
        command = [GCC[machine], "-B", str(self.linkers[machine, linker]), "-o", output] + flags + extra + objects
        status, text = run(command, self.work)
        if status:
            return "refused", text.strip().splitlines()[-2:]
        status, text = run([self.staticcall, "verify", "--format", "json", output], self.work)
        (self.work / output).unlink()
        if status == 2:
            return "failed", text
        findings = [finding for file in json.loads(text)["subjects"] for finding in file["findings"]]
        codes = collections.Counter(finding["code"] for finding in findings)
        indirect = sum(codes.pop(code, 0) for code in ("SC030", "SC031", "SC032"))
        if state == "annotated":
            right = not codes and indirect == left
        elif state == "plain":
            right = codes.pop("SC102", 0) + indirect == CALLS and not codes
        else:
            named = [re.match(r"(\d+) static call", finding["message"]) for finding in findings]
            direct = sum(int(found.group(1)) for found in named if found)
            right = direct + indirect == CALLS and set(codes) <= {"SC115"}
        return ("right" if right else "WRONG"), text


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--staticcall", default=".build/debug/staticcall")
    parser.add_argument("--sample", type=int, default=1, help="only each nth combination")
    parser.add_argument("--only", default="", help="only combinations whose name holds this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    tally, refused, wrong = collections.Counter(), collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix="staticcall-matrix-") as directory:
        matrix = Matrix(str(pathlib.Path(options.staticcall).resolve()), pathlib.Path(directory))
        tasks = []
        for machine, forms in FORMS.items():
            if not any(known == machine for known, _ in matrix.linkers):
                continue
            matrix.prepare(machine)
            for form in forms:
                for compiler in form[3]:
                    for pic in (True, False):
                        if form[4] != "any" and pic != (form[4] == "pic"):
                            continue
                        base, left = matrix.object(machine, form, compiler, pic)
                        if base is None:
                            print(f"SKIPPED: {machine} {form[0]} {compiler}: {left.strip().splitlines()[0]}")
                            continue
                        for linker in LINKERS:
                            if (machine, linker) not in matrix.linkers:
                                continue
                            # Code that may be at any address may be linked at a fixed one as well.
                            kinds = [kind for kind, (_, wants) in KINDS.items() if pic or not wants]
                            for kind in kinds:
                                variants = [[]]
                                if kind == "imported" and form[0] == "direct":
                                    variants += VARIANTS[machine, linker]
                                for extra in variants:
                                    tasks += [(machine, base, left, linker, kind, extra, state) for state in STATES]
        tasks = [task for task in tasks[:: options.sample] if options.only in " ".join(map(str, task))]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for task, (verdict, text) in zip(tasks, pool.map(lambda task: matrix.image(*task), tasks)):
                machine, base, left, linker, kind, extra, state = task
                tally[verdict] += 1
                name = " ".join([base, linker, kind] + extra + [state])
                if verdict == "refused":
                    refused[f"{machine} {base.split('-', 1)[1]} {linker} {kind}: {text[0] if text else ''}"] += 1
                elif verdict != "right":
                    wrong.append(name)
                    print(f"{verdict}: {name} (annotate left {left})\n{text}", flush=True)
    for name, count in sorted(refused.items()):
        print(f"refused: {name}")
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(tally.items())) or "nothing to do")
    sys.exit(1 if wrong or not tally["right"] else 0)


if __name__ == "__main__":
    main()
