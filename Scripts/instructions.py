#!/usr/bin/python3
"""Compares what the tool makes of machine instructions with decoders that share nothing with it, and with execution.

    instructions.py --decoder PROGRAM --work DIR [--sample] [--seed N] [FILE|DIRECTORY...]

PROGRAM is Tests/DecodeInstructions. Instructions come from the executable sections of the ELF files (both machines; of directories, the
kernel modules in them), each distinct one once, from all opcodes with many prefixes and operands, and at random. The judges
are iced-x86 for x86-64, and for AArch64 Capstone 5 and unicorn, which executes them; they are PyPI's, in an environment below DIR.

Dangerous, and a failure, is whatever would make a wrong proof: another length; a register that is read, written or kept in part, and is said
not to be; memory that is written in silence; a branch that is said to be none, or to go elsewhere. All else is counted.

Exit codes: 0 nothing dangerous, or skipped because PyPI cannot be reached (it says so); 1 dangerous answers; 2 could not run.
"""

import argparse
import collections
import itertools
import os
import pathlib
import random
import struct
import subprocess
import sys

PACKAGES = ["iced-x86==1.21.0", "capstone==5.0.9", "unicorn==2.1.4"]
SHOWN = 12


class CannotRun(Exception):
    pass


def enter_environment(work):
    """Goes on in a Python that has the judges; False where there is none to be had."""
    environment = work / "venv"
    python = environment / "bin" / "python"
    if pathlib.Path(sys.prefix).resolve() == environment.resolve():
        return True
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", environment])
        if made.returncode != 0:
            return False
    check = subprocess.run([python, "-c", "import iced_x86, capstone, unicorn"], stderr=subprocess.DEVNULL)
    if check.returncode != 0:
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        if subprocess.run(install).returncode != 0:
            return False
    sys.stdout.flush()
    os.execv(python, [python, *sys.argv])


# MARK: Where instructions come from

ELF_MACHINES = {62: "x86_64", 183: "aarch64"}


def code_of(path):
    """The machine of an ELF file and the contents of its executable sections."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01" or len(data) < 64:
        return None, []
    machine = ELF_MACHINES.get(struct.unpack_from("<H", data, 18)[0])
    offset, = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = []
    for number in range(count):
        _, kind, flags, _, start, length = struct.unpack_from("<IIQQQQ", data, offset + number * size)
        if kind == 1 and flags & 4:
            sections.append(data[start:start + length])
    return machine, sections


def files(arguments):
    for argument in map(pathlib.Path, arguments):
        if argument.is_dir():
            yield from sorted(argument.rglob("*.ko"))
        elif argument.exists():
            yield argument
        else:
            print(f"instructions: {argument} is not here: left out")


def found(paths, judges):
    """The distinct instructions of files, for each machine."""
    sets = {machine: set() for machine in judges}
    for path in paths:
        machine, sections = code_of(path)
        if machine in judges:
            for section in sections:
                judges[machine].split(section, sets[machine])
    return sets


# x86-64: prefixes and operand bytes that are combined with every opcode of every map.
PREFIXES = [b"", b"\x66", b"\xf2", b"\xf3", b"\x48", b"\x66\x48", b"\xf3\x48", b"\xf2\x48", b"\x41", b"\x45", b"\x4f", b"\x67", b"\x66\x67",
            b"\xf0", b"\x64", b"\x65\x2e", b"\x48\x66", b"\x66\xf3", b"\xf2\xf3", b"\x40", b"\xf2\x66\x44"]
MODRM = [b"\xc0", b"\xc1", b"\xca", b"\xd3", b"\xdc", b"\xe5", b"\xee", b"\xf7", b"\xf8", b"\xfa", b"\xe0", b"\xc8", b"\xff",
         b"\x00", b"\x0b", b"\x16", b"\x1f", b"\x23", b"\x2b", b"\x32", b"\x3e",
         b"\x05\x10\0\0\0", b"\x4d\x10", b"\x96\x10\0\0\0", b"\x04\x8a", b"\x0c\x24", b"\x54\x24\x08", b"\x1c\x25\x10\0\0\0", b"\x74\xd8\x10",
         b"\xbc\x6f\x10\0\0\0", b"\x24\x6f"]
TAIL = bytes(range(0x11, 0x1d))


def systematic_x86(_):
    for prefix, escape, opcode in itertools.product(PREFIXES, (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a"), range(256)):
        for operands in MODRM:
            yield prefix + escape + bytes([opcode]) + operands + TAIL
    # 3DNow!
    for modrm, suffix in itertools.product(MODRM, range(256)):
        yield b"\x0f\x0f" + modrm + bytes([suffix]) + TAIL
    payloads = range(0, 256, 8)
    for opcode in range(256):
        for operands in MODRM[::2]:
            for second in payloads[::3]:
                yield bytes([0xC5, second | opcode & 3, opcode]) + operands + TAIL
            for form, maps in ((0xC4, (1, 2, 3, 7)), (0x8F, (8, 9, 10))):
                for map_, bits, second in itertools.product(maps, (0xE0, 0x00, 0xA0), (0x78, 0xF8, 0x7C, 0x44, 0xD9, 0x7A, 0xFB, 0x79, 0x7D)):
                    yield bytes([form, bits | map_, second, opcode]) + operands + TAIL
            for map_, bits, second, third in itertools.product(
                    (1, 2, 3, 4, 5, 6, 7), (0xF0, 0x00), (0x7C, 0xFD, 0x7E, 0xFF, 0x45), (0x08, 0x18, 0x58, 0xC9)):
                yield bytes([0x62, bits | map_, second, third, opcode]) + operands + TAIL


def random_x86(generator, count):
    starts = [b"", b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a", b"\xc5", b"\xc4", b"\x62", b"\x62", b"\x8f", b"\x66\x0f", b"\xf3\x0f", b"\xf2\x0f"]
    for _ in range(count):
        yield generator.choice(starts) + generator.randbytes(15)


def systematic_aarch64(generator):
    """Every value of the upper half with a few of the lower one, and the other way round for branches and system instructions."""
    lower = [0x0000, 0x0041, 0x0C62, 0x0483, 0x7C24, 0xFC45, 0x8066, 0x1087, 0x20A8, 0x38C9, 0x4BEA, 0x5C0B, 0xA02C, 0xD04D, 0xE3E0, 0xF06F]
    for upper in range(65536):
        for word in lower:
            yield struct.pack("<I", upper << 16 | word ^ generator.randrange(32) << 5)
    for upper in range(0xD400, 0xD740):
        for low in range(0, 65536, 61):
            yield struct.pack("<I", upper << 16 | low)


def random_aarch64(generator, count):
    for _ in range(count):
        yield generator.randbytes(4)


GENERATORS = {"x86_64": (systematic_x86, random_x86), "aarch64": (systematic_aarch64, random_aarch64)}


# MARK: What the tool says

Answer = collections.namedtuple("Answer", "length flow isKnown reads writes overwrites stores")


def answers(decoder, machine, instructions):
    """One answer for each instruction; None where it is not decoded."""
    text = "".join(code.hex() + "\n" for code in instructions)
    run = subprocess.run([decoder, machine], input=text, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    if run.returncode != 0 or len(lines) != len(instructions):
        raise CannotRun(f"{decoder} ended with {run.returncode} after {len(lines)} of {len(instructions)} instructions: {run.stderr}")
    for line in lines:
        if line == "-":
            yield None
            continue
        length, flow, *sets, memory = line.split()
        isKnown = sets[0] != "?"
        yield Answer(int(length), flow, isKnown, *(int(each, 16) if isKnown else 0 for each in sets), memory == "stores")


# MARK: Comparison

class Account:
    def __init__(self):
        self.seen = set()
        self.dangerous = collections.defaultdict(list)
        self.harmless = collections.Counter()

    def add(self, code, text, dangerous, harmless):
        if code in self.seen:
            return
        self.seen.add(code)
        for kind in dangerous:
            self.dangerous[kind].append((code, text))
        self.harmless.update(harmless)

    def report(self, title):
        print(f"{title}: {len(self.seen)} distinct instructions compared, {sum(map(len, self.dangerous.values()))} answers dangerous")
        for kind, cases in sorted(self.dangerous.items()):
            print(f"  DANGEROUS: {kind}: {len(cases)}")
            for code, text in cases[:SHOWN]:
                print(f"    {code}  {text}")
        for kind, number in self.harmless.most_common():
            print(f"  harmless: {kind}: {number}")
        sys.stdout.flush()
        return not self.dangerous


def compare(decoder, machine, instructions, judge, account):
    instructions = list(instructions)
    pairs = list(zip(instructions, answers(decoder, machine, instructions)))
    for judged in judge.judge_all(pairs):
        if judged is not None:
            account.add(*judged)


def prove_judges(judges):
    """Each judge must object to answers that were falsified: in the length, the flow, and each set of registers."""
    samples = {
        "x86_64": [("mulx", "c4e2f3f6c6"), ("xadd", "480fc10b"), ("jcc", "0f8410000000"), ("rep stos", "f348ab")],
        "aarch64": [("ldaddal", "4000e1f8"), ("cbz", "400000b4"), ("ldp", "4304c1a8"), ("madd", "200c029b")],
    }
    false_values = {"reads": 0, "writes": 0, "overwrites": 0x7FFFFFFF, "flow": "next", "length": 1}
    for machine, judge, decoder in judges:
        for field in judge.falsifiable:
            objections = 0
            for name, text in samples[machine]:
                code = bytes.fromhex(text) + (bytes(10) if machine == "x86_64" else b"")
                answer, = answers(decoder, machine, [code])
                false = answer._replace(**{field: false_values[field]})
                # None: nothing that this judge looks at.
                judged = [each for each in judge.judge_all([(code, false)]) if each is not None]
                if false != answer and any(not dangerous for _, _, dangerous, _ in judged):
                    raise CannotRun(f"{judge.name} has nothing against {name} with other {field}: {false}")
                objections += len(judged) if false != answer else 0
            if objections == 0:
                raise CannotRun(f"{judge.name} has nothing against any {field}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoder", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--sample", action="store_true", help="a part of everything")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if not enter_environment(arguments.work):
        print("instructions: SKIPPED: iced-x86, capstone and unicorn cannot be had from PyPI here")
        return 0
    from instruction_judges import Capstone, Iced, Unicorn

    print(f"instructions: seed {arguments.seed}")
    generator = random.Random(arguments.seed)
    judges = {"x86_64": Iced(), "aarch64": Capstone()}
    executor = Unicorn(generator)
    prove_judges([("x86_64", judges["x86_64"], arguments.decoder), ("aarch64", judges["aarch64"], arguments.decoder),
                  ("aarch64", executor, arguments.decoder)])
    right = True
    sets = found(files(arguments.files), judges)
    for machine, judge in judges.items():
        systematic, drawn = GENERATORS[machine]
        sources = {
            "files": sorted(sets[machine]),
            "all opcodes": sorted(set(systematic(generator))),
            "random": list(drawn(generator, 30_000 if arguments.sample else 1_000_000)),
        }
        for source, instructions in sources.items():
            if arguments.sample and len(instructions) > 30_000:
                instructions = generator.sample(instructions, 30_000)
            account = Account()
            for start in range(0, len(instructions), 1 << 18):
                compare(arguments.decoder, machine, instructions[start:start + (1 << 18)], judge, account)
            right &= account.report(f"{machine}, {source}, against {judge.name}")
            if machine == "aarch64":
                few = generator.sample(instructions, min(len(instructions), 2_000 if arguments.sample else 60_000))
                account = Account()
                compare(arguments.decoder, machine, few, executor, account)
                right &= account.report(f"{machine}, {source}, executed by {executor.name}")
    return 0 if right else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotRun as error:
        print(f"instructions: {error}", file=sys.stderr)
        sys.exit(2)
