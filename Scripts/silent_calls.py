"""Looks for calls of trampolines that nobody accounts for: an independent judge of `staticcall list`.

objdump's text is read, and each function's registers and stack slots are followed by a small may-analysis: which of them may hold
the address of a trampoline that a certain instruction loaded, at each instruction, on some way. An indirect branch through one of them
must be a site that staticcall lists, or the load must be reported. Shares no code with the tool. What it does not see: addresses in memory other than the stack, and computed ones.
"""

import re
import subprocess

FUNCTION = re.compile(r"^([0-9a-f]+) <(.*)>:$")
SECTION = re.compile(r"^Disassembly of section (.*):$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.*)$")
TARGET = re.compile(r"\b([0-9a-f]+) <")

X86_REGISTERS = {}
for full, others in {
    "rax": "eax ax al", "rbx": "ebx bx bl", "rcx": "ecx cx cl", "rdx": "edx dx dl", "rsi": "esi si sil", "rdi": "edi di dil",
    "rbp": "ebp bp bpl", **{f"r{i}": f"r{i}d r{i}w r{i}b" for i in range(8, 16)},
}.items():
    for alias in [full, *others.split()]:
        X86_REGISTERS[alias] = full
X86_CALLER_SAVED = {"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"}
X86_READS_ONLY = ("cmp", "test", "push", "bt", "ucom", "com", "nop", "prefetch", "jmp", "call", "ret", "j", "notrack", "bnd", "endbr")
THUNK = re.compile(r"(?:__x86_indirect_thunk_|__llvm_retpoline_|__x86_indirect_(?:call|jump)_thunk_|__llvm_lvi_thunk_)(r\w+)")
ARM_THUNK = re.compile(r"__call_indirect_(x\d+)|__llvm_slsblr_thunk_(x\d+)")
ARM_CALLER_SAVED = {f"x{i}" for i in range(19)}
ARM_READS_ONLY = ("cmp", "cmn", "tst", "ccmp", "b", "cbz", "cbnz", "tbz", "tbnz", "nop", "hint")
# These make or end an address; the others of a pair make a part of it.
ARM_COMPLETING = ("LD64_GOT_LO12_NC", "LD64_GOTPAGE_LO15", "ADD_ABS_LO12_NC", "ADR_PREL_LO21", "GOT_LD_PREL19", "LD_PREL_LO19", "MOVW")


class Instruction:
    def __init__(self, offset, text):
        self.offset = offset
        self.text = text.split("#")[0].split("//")[0].strip()
        words = self.text.split(None, 1)
        while len(words) == 2 and words[0] in ("notrack", "bnd", "rep", "repz", "repnz", "lock", "addr32", "data16", "cs", "ds"):
            words = words[1].split(None, 1)
        self.mnemonic = words[0] if words else ""
        self.operands = split_operands(words[1]) if len(words) == 2 else []
        self.relocations = []


def split_operands(text):
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += c in "([{"
        depth -= c in ")]}"
        if c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return parts + [text[start:].strip()]


def functions(path, objdump):
    """(section, name, instructions) of each function."""
    listed = subprocess.run([objdump, "-dr", "--no-show-raw-insn", "-w", path], stdout=subprocess.PIPE, text=True, errors="replace").stdout
    section, name, code = "", "", []
    for line in listed.splitlines():
        if match := SECTION.match(line):
            if code:
                yield section, name, code
            section, code = match[1], []
        elif match := FUNCTION.match(line):
            if code:
                yield section, name, code
            name, code = match[2], []
        elif match := INSTRUCTION.match(line):
            # With -w the relocations follow on the same line, each behind a tab.
            relocations = re.findall(r"[0-9a-f]+: R_\w+\s+\S+", match[2])
            words = match[2].split("\t")
            text = " ".join(word for word in words if not re.match(r"[0-9a-f]+: R_", word))
            instruction = Instruction(int(match[1], 16), text)
            for relocation in relocations:
                _, kind, symbol = re.match(r"([0-9a-f]+): (R_\w+)\s+(\S+)", relocation).groups()
                instruction.relocations.append((kind, re.sub(r"[-+]0x[0-9a-f]+$", "", symbol)))
            code.append(instruction)
    if code:
        yield section, name, code


class Held:
    """What places hold: pairs of a place and the offset of the instruction that loaded an address."""

    def __init__(self, pairs=frozenset()):
        self.pairs = pairs

    def origins(self, place):
        return {origin for held, origin in self.pairs if held == place and place is not None}

    def without(self, places):
        return Held(frozenset(pair for pair in self.pairs if pair[0] not in places))

    def set(self, place, origins):
        rest = self.without({place}).pairs
        return Held(rest | {(place, origin) for origin in origins}) if place is not None else self


class X86:
    def branch(self, instruction):
        """(register, is a jump) of an indirect branch through a register, also by way of a thunk."""
        if instruction.mnemonic not in ("call", "jmp"):
            return None
        operand = instruction.operands[0] if instruction.operands else ""
        if match := re.fullmatch(r"\*%(\w+)", operand):
            return X86_REGISTERS.get(match[1]), instruction.mnemonic == "jmp"
        if match := re.fullmatch(r"\*(-?[0-9a-fx]*\(%r[sb]p\))", operand):
            return match[1], instruction.mnemonic == "jmp"
        for _, symbol in instruction.relocations:
            if match := THUNK.fullmatch(symbol):
                return match[1], instruction.mnemonic == "jmp"
        return None

    def ends(self, instruction):
        return instruction.mnemonic in ("jmp", "ret", "ud2", "hlt", "int3")

    def place(self, operand):
        """The register or slot of the stack that an operand is; None for anything else."""
        if match := re.fullmatch(r"%(\w+)", operand):
            return X86_REGISTERS.get(match[1])
        return operand if re.fullmatch(r"-?[0-9a-fx]*\(%r[sb]p\)", operand) else None

    def step(self, instruction, held, is_trampoline):
        name, operands = instruction.mnemonic, instruction.operands
        if name == "call":
            return held.without(X86_CALLER_SAVED) if instruction.relocations or "*" in instruction.text else held
        if not operands or name.startswith(X86_READS_ONLY):
            return held
        target = self.place(operands[-1])
        if name.startswith("xchg"):
            a, b = (self.place(operand) for operand in operands)
            first, second = held.origins(a), held.origins(b)
            return held.set(a, second).set(b, first)
        origins = set()
        if name.startswith(("mov", "lea")) and any(is_trampoline(symbol) for _, symbol in instruction.relocations):
            origins.add(instruction.offset)
        if name.startswith(("mov", "cmov")):
            origins |= held.origins(self.place(operands[0]))
        if name.startswith("cmov"):
            origins |= held.origins(target)
        return held.set(target, origins)


class Arm:
    def branch(self, instruction):
        if instruction.mnemonic.startswith(("blr", "br")) and instruction.operands and re.fullmatch(r"x\d+", instruction.operands[0]):
            return instruction.operands[0], instruction.mnemonic.startswith("br")
        if instruction.mnemonic in ("bl", "b"):
            for _, symbol in instruction.relocations:
                if match := ARM_THUNK.fullmatch(symbol):
                    return match[1] or match[2], instruction.mnemonic == "b"
        return None

    def ends(self, instruction):
        return instruction.mnemonic in ("b", "br", "ret", "udf", "brk", "retaa", "retab")

    def place(self, operand):
        if match := re.fullmatch(r"[xw](\d+)", operand):
            return f"x{match[1]}"
        return operand if re.fullmatch(r"\[(sp|x29)(, #-?\d+)?\]", operand) else None

    def step(self, instruction, held, is_trampoline):
        name, operands = instruction.mnemonic, instruction.operands
        if name in ("bl", "blr"):
            return held.without(ARM_CALLER_SAVED) if instruction.relocations or name == "blr" else held
        if not operands or name in ARM_READS_ONLY or name.startswith("b."):
            return held
        if name in ("str", "stur"):
            return held.set(self.place(operands[1]), held.origins(self.place(operands[0])))
        if name.startswith("st"):
            # A pair that is stored is not followed.
            return held
        target, origins = self.place(operands[0]), set()
        if any(is_trampoline(s) and any(c in kind for c in ARM_COMPLETING) for kind, s in instruction.relocations):
            origins.add(instruction.offset)
        if name in ("mov", "ldr", "ldur", "csel"):
            origins |= held.origins(self.place(operands[1]))
        if name == "csel":
            origins |= held.origins(self.place(operands[2]))
        if name == "movk":
            origins |= held.origins(target)
        if name == "ldp":
            held = held.set(self.place(operands[1]), set())
        return held.set(target, origins)


def reaching(code, machine, is_trampoline):
    """(branch, offsets of loads) of the indirect branches of a function that the address of a trampoline may reach."""
    position = {instruction.offset: i for i, instruction in enumerate(code)}
    if not any(is_trampoline(symbol) for i in code for _, symbol in i.relocations):
        return []
    branches = [(i, machine.branch(instruction)) for i, instruction in enumerate(code)]
    if not any(branch for _, branch in branches):
        return []
    targets = {}
    for i, instruction in enumerate(code):
        if not instruction.relocations and (instruction.mnemonic.startswith(("j", "b", "cb", "tb", "loop"))):
            match = TARGET.search(instruction.text)
            if match and int(match[1], 16) in position:
                targets[i] = position[int(match[1], 16)]
    # A jump through a table may lead to any place that begins behind a branch, or is the target of one.
    leaders = sorted(set(targets.values()) | {i + 1 for i, x in enumerate(code[:-1]) if machine.ends(x)})
    before = [None] * len(code)
    before[0] = Held()
    work, found = [0], {}
    while work:
        i = work.pop()
        held, instruction = before[i], code[i]
        branch = machine.branch(instruction)
        origins = held.origins(branch[0]) if branch else set()
        if origins:
            found[i] = found.get(i, set()) | origins
        after = machine.step(instruction, held, is_trampoline)
        successors = [] if machine.ends(instruction) or i + 1 == len(code) else [i + 1]
        if i in targets:
            successors.append(targets[i])
        elif branch and branch[1]:
            successors += leaders
        for successor in successors:
            known = before[successor]
            if known is None or not after.pairs <= known.pairs:
                before[successor] = after if known is None else Held(known.pairs | after.pairs)
                work.append(successor)
    return [(code[i], origins) for i, origins in sorted(found.items())]


def silent_calls(path, is_arm, is_trampoline, branches, reported):
    """(function, section, offset, text) of branches that may go to a trampoline, where neither the branch is among the listed
    (section, offset) nor each load whose address reaches it among the reported ones."""
    objdump = "aarch64-linux-gnu-objdump" if is_arm else "objdump"
    machine = Arm() if is_arm else X86()
    found = []
    for section, name, code in functions(path, objdump):
        for instruction, origins in reaching(code, machine, is_trampoline):
            is_listed = any((section, instruction.offset + i) in branches for i in range(8))
            if not is_listed and not all(any((section, o + i) in reported for i in range(8)) for o in origins):
                found.append((name, section, instruction.offset, instruction.text))
    return found
