"""The judges of instructions.py. Each takes an instruction and the tool's answer, and gives (code, text, dangerous kinds, harmless kinds),
or None where it has nothing to say."""

import os
import pickle
import struct

import capstone
import iced_x86
import unicorn
from capstone import arm64_const
from unicorn import arm64_const as unicorn_const


def differences(answer, reads, writes, overwrites, stores):
    """Dangerous and harmless kinds, of sets of registers that are true."""
    dangerous, harmless = [], []
    if not answer.isKnown:
        return dangerous, ["effects unknown"]
    if reads & ~answer.reads:
        dangerous.append("a register is read that is said not to be")
    if writes & ~answer.writes:
        dangerous.append("a register is written that is said not to be")
    if answer.overwrites & ~overwrites:
        dangerous.append("a register is said to be overwritten that is read or kept in part")
    if stores and not answer.stores:
        dangerous.append("memory is written in silence")
    if answer.reads & ~reads:
        harmless.append("more registers said to be read")
    if answer.writes & ~writes:
        harmless.append("more registers said to be written")
    if overwrites & ~answer.overwrites:
        harmless.append("fewer registers said to be overwritten")
    if answer.stores and not stores:
        harmless.append("memory said to be written")
    return dangerous, harmless


class Judge:
    # What it can tell: fields of an answer. What execution does not reach is the other judges'.
    falsifiable = ()

    def judge_all(self, pairs):
        return (self.judge(code, answer) for code, answer in pairs)


# MARK: x86-64

class Iced(Judge):
    name = "iced-x86"
    falsifiable = ("length", "flow", "reads", "writes", "overwrites")
    STACK = 1 << 4

    def __init__(self):
        self.factory = iced_x86.InstructionInfoFactory()
        registers = {value: name for name, value in vars(iced_x86.Register).items() if isinstance(value, int)}
        self.numbers = {}
        for value in registers:
            full = iced_x86.RegisterExt.full_register(value)
            if iced_x86.RegisterExt.is_gpr(value):
                self.numbers[value] = full - iced_x86.Register.RAX
        self.sizes = {value: iced_x86.RegisterExt.size(value) for value in self.numbers}
        access = iced_x86.OpAccess
        self.reading = {access.READ, access.COND_READ, access.READ_WRITE, access.READ_COND_WRITE}
        self.writing = {access.WRITE, access.COND_WRITE, access.READ_WRITE, access.READ_COND_WRITE}
        self.flows = {value: name for name, value in vars(iced_x86.FlowControl).items() if isinstance(value, int)}

    def split(self, section, into):
        """Puts the distinct instructions of a section into a set. Displacements of direct branches are cut to few, as they do not matter."""
        decoder = iced_x86.Decoder(64, section)
        while decoder.can_decode:
            start = decoder.position
            instruction = decoder.decode()
            code = section[start:decoder.position]
            if instruction.is_invalid:
                continue
            if code[0] in (0xE8, 0xE9) or len(code) == 6 and code[0] == 0x0F and code[1] & 0xF0 == 0x80:
                code = code[:-4] + bytes([code[-4] & 3, 0, 0, code[-1] & 0x80])
            into.add(code)

    def flow(self, instruction):
        """The tool's word for the flow; None where several are right."""
        kind = self.flows[instruction.flow_control]
        mnemonic = instruction.mnemonic
        special = iced_x86.Mnemonic
        if kind == "INTERRUPT" or mnemonic in (special.SYSCALL, special.HLT, special.UD0, special.UD1, special.UD2):
            return None
        if kind in ("NEXT", "EXCEPTION"):
            return "next"
        if kind in ("CALL", "INDIRECT_CALL") and not instruction.is_call_near and not instruction.is_call_near_indirect:
            # sysenter, vmcall and their like; far calls
            return "leaves"
        if kind == "RETURN":
            return "stop"
        target = self.target(instruction)
        return {"UNCONDITIONAL_BRANCH": f"jump:{target}", "INDIRECT_BRANCH": f"jump:{target}", "CONDITIONAL_BRANCH": f"conditional:{target}",
                "XBEGIN_XABORT_XEND": f"conditional:{target}", "CALL": f"call:{target}", "INDIRECT_CALL": f"call:{target}"}[kind]

    def target(self, instruction):
        kind = instruction.op0_kind
        if kind == iced_x86.OpKind.REGISTER:
            return f"r{self.numbers[instruction.op0_register]}"
        if kind == iced_x86.OpKind.MEMORY:
            return "memory"
        target = instruction.near_branch_target
        return target - (1 << 64) if target >> 63 else target

    def judge(self, code, answer):
        instruction = iced_x86.Decoder(64, code).decode()
        if instruction.is_invalid:
            if answer is None:
                return None
            return code.hex(), "", [], ["decoded, though no instruction"]
        text = code[:instruction.len].hex()
        if answer is None:
            return text, str(instruction), [], ["not decoded"]
        dangerous, harmless = self.flow_differences(instruction, code, answer)
        if answer.length != instruction.len:
            dangerous.append("another length")
        reads, writes, overwrites, stores = self.effects(instruction)
        more, less = differences(answer, reads, writes, overwrites, stores)
        return text, f"{instruction}: {answer}", dangerous + more, harmless + less

    def flow_differences(self, instruction, code, answer):
        flow = self.flow(instruction)
        if flow is None or flow == answer.flow:
            return [], []
        if flow == "leaves":
            isCareful = answer.flow == "stop" or not answer.isKnown
            return ([], ["leaves the program, unknown"]) if isCareful else (["a call that is said to be none"], [])
        if flow.startswith("jump:memory") and answer.flow == "stop":
            return [], ["a far jump that is said to stop"]
        if flow == "next" and answer.flow == "trap":
            return [], ["said to trap"]
        if b"\x66" in code[:instruction.len] and answer.flow in (flow.split(":")[0] + ":memory",):
            return [], ["of the register of a branch with the operand-size prefix nothing is believed"]
        if instruction.mnemonic in (iced_x86.Mnemonic.XABORT, iced_x86.Mnemonic.XEND) and answer.flow == "next":
            return [], []
        if instruction.mnemonic == iced_x86.Mnemonic.RSM and answer.flow == "stop":
            return [], []
        if flow == "next" and answer.flow == "stop":
            return [], ["said to stop"]
        return [f"flow {flow.split(':')[0]} is said to be {answer.flow.split(':')[0]}, or goes elsewhere"], []

    def effects(self, instruction):
        information = self.factory.info(instruction)
        reads = writes = whole = 0
        for used in information.used_registers():
            number = self.numbers.get(used.register)
            if number is None:
                continue
            bit = 1 << number
            if used.access in self.reading:
                reads |= bit
            if used.access in self.writing:
                writes |= bit
                if used.access == iced_x86.OpAccess.WRITE and self.sizes[used.register] >= 4:
                    whole |= bit
        stores = False
        for used in information.used_memory():
            if used.access in self.writing and used.base != iced_x86.Register.RSP and used.base != iced_x86.Register.ESP:
                stores = True
        # Calls and returns need no stack pointer in a proof: what they do with the stack is their flow.
        if instruction.is_call_near or instruction.is_call_near_indirect:
            isOperand = instruction.op0_kind == iced_x86.OpKind.REGISTER and self.numbers.get(instruction.op0_register) == 4
            if not isOperand and instruction.memory_base != iced_x86.Register.RSP:
                reads &= ~self.STACK
        return reads, writes, whole & ~reads, stores


# MARK: AArch64

def split_words(section, into):
    for position in range(0, len(section) - 3, 4):
        into.add(section[position:position + 4])


class Capstone(Judge):
    name = f"Capstone {capstone.__version__}"
    falsifiable = ("flow",)

    def __init__(self):
        self.handle = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
        self.handle.detail = True
        self.numbers = {}
        for number in range(31):
            for letter in "XW":
                self.numbers[getattr(arm64_const, f"ARM64_REG_{letter}{number}")] = number

    split = staticmethod(split_words)

    def judge(self, code, answer):
        instruction = next(self.handle.disasm(code, 0), None)
        if instruction is None:
            return None if answer is None else (code.hex(), str(answer), [], ["decoded, though Capstone does not know it"])
        text = f"{instruction.mnemonic} {instruction.op_str}"
        if answer is None:
            return code.hex(), text, [], ["not decoded"]
        dangerous = []
        flow = self.flow(instruction)
        if flow is not None and flow != answer.flow:
            dangerous.append(f"flow {flow.split(':')[0]} is said to be {answer.flow.split(':')[0]}, or goes elsewhere")
        harmless = []
        if answer.isKnown:
            named = self.named(instruction)
            seen = answer.reads | answer.writes
            # Every register that the text names is read or written; which of the two, execution tells.
            if named & ~seen:
                dangerous.append("a register is named, and said to be neither read nor written")
        else:
            harmless.append("effects unknown")
        return code.hex(), f"{text}: {answer}", dangerous, harmless

    def named(self, instruction):
        registers = 0
        for operand in instruction.operands:
            if operand.type == arm64_const.ARM64_OP_REG:
                registers |= self.bit(operand.reg)
            elif operand.type == arm64_const.ARM64_OP_MEM:
                registers |= self.bit(operand.mem.base) | self.bit(operand.mem.index)
        return registers

    def bit(self, register):
        number = self.numbers.get(register)
        return 0 if number is None else 1 << number

    def flow(self, instruction):
        mnemonic = instruction.mnemonic
        operands = instruction.operands
        if mnemonic.startswith("b.") or mnemonic.startswith("bc.") or mnemonic in ("cbz", "cbnz", "tbz", "tbnz"):
            return f"conditional:{self.signed(operands[-1].imm)}"
        if mnemonic in ("b", "bl"):
            return f"{'jump' if mnemonic == 'b' else 'call'}:{self.signed(operands[0].imm)}"
        if mnemonic in ("br", "blr"):
            number = self.numbers.get(operands[0].reg)
            return f"{'jump' if mnemonic == 'br' else 'call'}:{'memory' if number is None else f'r{number}'}"
        if mnemonic.startswith("bra") and not mnemonic.startswith("brk"):
            return "jump:memory"
        if mnemonic.startswith("blra"):
            return "call:memory"
        if mnemonic.startswith(("ret", "eret", "drps")):
            return "stop"
        return None if mnemonic in ("brk", "hlt", "udf") else "next"

    @staticmethod
    def signed(value):
        value &= (1 << 64) - 1
        return value - (1 << 64) if value >> 63 else value


class Unicorn(Judge):
    """Executes a word twice: the second time all registers that it is said not to read, and all that it is said to overwrite, hold something
    else. What it writes must be among what it is said to write, and the same both times."""

    name = f"unicorn {unicorn.__version__}"
    falsifiable = ("reads", "writes")
    CODE, DATA, SIZE = 0x10000, 0x4000000, 0x100000
    X = [getattr(unicorn_const, f"UC_ARM64_REG_X{number}") for number in range(31)]
    FLOWS = ("call", "jump", "conditional", "stop", "trap")

    def __init__(self, generator):
        self.generator = generator
        self.known = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
        self.machine = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.machine.ctl_set_cpu_model(unicorn_const.UC_CPU_ARM64_MAX)
        self.machine.mem_map(self.CODE, 0x1000)
        self.machine.mem_map(self.DATA - self.SIZE, 2 * self.SIZE)
        self.contents = generator.randbytes(4096)
        self.written = False
        self.machine.hook_add(unicorn.UC_HOOK_MEM_WRITE, self.write)
        # Floating point and SVE in the lowest level.
        self.machine.reg_write(unicorn_const.UC_ARM64_REG_CPACR_EL1, 3 << 20 | 3 << 16)

    def write(self, *_):
        self.written = True

    def judge_all(self, pairs):
        """In other processes: there are words that end the one that executes them."""
        pairs = [pair for pair in pairs if self.is_candidate(*pair)]
        start = 0
        while start < len(pairs):
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reading)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                with os.fdopen(writing, "wb", buffering=0) as out:
                    for pair in pairs[start:]:
                        pickle.dump(self.judge(*pair), out)
                os._exit(0)
            os.close(writing)
            with os.fdopen(reading, "rb") as outcomes:
                try:
                    while True:
                        yield pickle.load(outcomes)
                        start += 1
                except (EOFError, pickle.UnpicklingError):
                    pass
            os.waitpid(child, 0)
            if start < len(pairs):
                yield pairs[start][0].hex(), "", [], ["ends the process that executes it"]
                start += 1

    def is_candidate(self, code, answer):
        """Whether the word is one that goes on, that Capstone knows, and that answers as the registers are, not as the machine is."""
        if answer is None or not answer.isKnown or answer.flow.split(":")[0] in self.FLOWS:
            return False
        word, = struct.unpack("<I", code)
        isSystem = word >> 22 in (0xD5000000 >> 22, 0xD4000000 >> 22)
        return not isSystem and next(self.known.disasm(code, 0), None) is not None

    def run(self, code, registers):
        """The registers afterwards; None where the word does not run to its end."""
        machine = self.machine
        # clrex: whether an exclusive store is made does not depend on what was executed before.
        machine.mem_write(self.CODE, b"\x5f\x3f\x03\xd5" + code + b"\x1f\x20\x03\xd5")
        for each, value in zip(self.X, registers):
            machine.reg_write(each, value)
        machine.reg_write(unicorn_const.UC_ARM64_REG_SP, self.DATA)
        machine.reg_write(unicorn_const.UC_ARM64_REG_NZCV, 0x60000000)
        machine.mem_write(self.DATA, self.contents)
        self.written = False
        try:
            machine.emu_start(self.CODE, self.CODE + 8, count=2)
        except unicorn.UcError:
            return None
        if machine.reg_read(unicorn_const.UC_ARM64_REG_PC) != self.CODE + 8:
            return "branch"
        outcome = [machine.reg_read(each) for each in self.X]
        return outcome, machine.reg_read(unicorn_const.UC_ARM64_REG_SP), bytes(machine.mem_read(self.DATA, 4096)), self.written

    def judge(self, code, answer):
        word, = struct.unpack("<I", code)
        base = word >> 5 & 31
        generator = self.generator

        def value(number):
            if number == base:
                return self.DATA + 16 * generator.randrange(64)
            return generator.choice((generator.randrange(8), generator.getrandbits(6) << 3, generator.getrandbits(64)))

        for _ in range(4):
            first = [value(number) for number in range(31)]
            before = self.run(code, first)
            if before is not None:
                break
        else:
            return code.hex(), str(answer), [], ["does not run"]
        if before == "branch":
            return code.hex(), str(answer), ["a branch that is said to be none"], []
        free = ~answer.reads
        second = [generator.getrandbits(64) if free >> number & 1 else old for number, old in enumerate(first)]
        after = self.run(code, second)
        dangerous = []
        if after is None or after == "branch":
            return code.hex(), str(answer), ["it runs or not as a register says that is said not to be read"], []
        for number in range(31):
            isWritten = answer.writes >> number & 1
            if not isWritten and (before[0][number] != first[number] or after[0][number] != second[number]):
                dangerous.append("a register is written that is said not to be")
            if isWritten and before[0][number] != after[0][number]:
                dangerous.append("what is written depends on a register that is said not to be read")
        if before[1:3] != after[1:3]:
            dangerous.append("what is stored depends on a register that is said not to be read")
        if before[3] and not answer.stores and base != 31:
            dangerous.append("memory is written in silence")
        return code.hex(), str(answer), sorted(set(dangerous)), []
