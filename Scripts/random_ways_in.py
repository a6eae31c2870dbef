"""Statements of random programs with ways from one place to another that no branch shows: jump labels, restartable sequences,
faulting loads and probes, in sections that only the program itself knows. Fixtures/random-ways-in.c acts on them.

What stands behind such a place often calls what was called before it, so that compilers keep an address in a register.
"""

# The nop of a jump label, as long as the jump that replaces it.
NOP = {"x86_64": ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00", "aarch64": "nop"}
# (section, fields) of an entry: NOP is the place of the nop, TARGET a label of the function, KEY the number of the label.
LABEL_ENTRIES = [
    ("label_sites", ".balign 8; .quad NOP, TARGET, KEY"),
    ("label_distances", ".balign 4; .long NOP - ., TARGET - ., KEY"),
    # The second distance is a constant: no relocation leads to the target.
    ("label_offsets", ".balign 4; .long NOP - ., TARGET - NOP, KEY"),
]

FAULT_ENTRIES = [
    ("fault_sites", ".balign 8; .quad 771b, TARGET"),
    ("fault_distances", ".balign 4; .long 771b - ., TARGET - ."),
]
LOAD = {"x86_64": ("mov (%0), %%rax", "rax"), "aarch64": ("ldr x9, [%0]", "x9")}
# What stands between a faulting load and the place where the program goes on, if anything: assembly's own landing pad.
LANDING_STUB = {"x86_64": "mov $1, %%eax; jmp TARGET", "aarch64": "mov x9, #1; b TARGET"}

# A sequence: %0 is where its descriptor is published, %1 a signal or 0, %2 the process, %3 an address that may be readable.
DESCRIPTOR = '.pushsection __rseq_cs, \\"aw\\"; .balign 32; 773: .long 0, 0; .quad 771f, 772f - 771f, ABORT; .popsection;'
SEQUENCES = {
    "x86_64": [
        # The program sends the signal to itself, as another would at any time.
        (
            "lea 773b(%%rip), %%rax; mov %%rax, (%0); 771: mov %2, %%rdi; mov %1, %%rsi; mov $62, %%eax; syscall;"
            " nop; 772: movq $0, (%0)",
            '"rax", "rcx", "rdi", "rsi", "r11", "cc", "memory"',
        ),
        # A load that may fault: what is aborted may be any instruction.
        ("lea 773b(%%rip), %%rax; mov %%rax, (%0); 771: mov (%3), %%rax; 772: movq $0, (%0)", '"rax", "memory"'),
        ("lea 773b(%%rip), %%rax; mov %%rax, (%0); 771: test %1, %1; jz 772f; ud2; 772: movq $0, (%0)", '"rax", "cc", "memory"'),
    ],
    "aarch64": [
        (
            "adrp x9, 773b; add x9, x9, :lo12:773b; str x9, [%0]; 771: mov x0, %2; mov x1, %1; mov x8, #129; svc #0;"
            " nop; 772: str xzr, [%0]",
            '"x0", "x1", "x8", "x9", "memory"',
        ),
        ("adrp x9, 773b; add x9, x9, :lo12:773b; str x9, [%0]; 771: ldr x9, [%3]; 772: str xzr, [%0]", '"x9", "memory"'),
        (
            "adrp x9, 773b; add x9, x9, :lo12:773b; str x9, [%0]; 771: cbz %1, 772f; .inst 0; 772: str xzr, [%0]",
            '"x9", "memory"',
        ),
    ],
}
# The abort handler of librseq: behind a signature, in a section of its own or beside the sequence.
ABORT_STUB = {
    "x86_64": '.pushsection .text.failure, \\"ax\\"; .long 0x53053053; 774: jmp TARGET; .popsection',
    "aarch64": "b 775f; .inst 0xd428bc00; 774: b TARGET; 775:",
}
SIGUSR1 = 10

# An entry of .note.stapsdt as <sys/sdt.h> writes it: size@operand for each argument.
PROBE = (
    '"990: nop\\n"\n'
    '  ".pushsection .note.stapsdt, \\"\\", \\"note\\"; .balign 4; .4byte 992f - 991f, 994f - 993f, 3;"\n'
    '  "991: .asciz \\"stapsdt\\"; 992: .balign 4; 993: .8byte 990b, 0, 0;"\n'
    '  ".asciz \\"random\\"; .asciz \\"{name}\\"; .asciz \\"{operands}\\"; 994: .balign 4; .popsection"'
)


class WaysIn:
    """A part of Function."""

    def again(self, prototype, callee, depth):
        """A block that calls what was called before."""
        self.open()
        if self.is_short or self.chance(0.8):
            self.use(prototype, callee)
        if not self.is_short and self.chance(0.5):
            self.within_loop_free(depth - 1)
        if self.chance(0.3):
            self.use(prototype, callee)
        self.close()

    def repeatable(self):
        """(prototype, callee) of something that can be called several times, and may be the same at each of them."""
        if self.chance(0.7):
            # Called rarely elsewhere, so that nothing else of the function needs the address.
            prototype = self.random.choice(["even", "small", "follow", "turn", "grow", "wide"])
            return prototype, self.static_call(prototype)
        prototype = self.random.choice(sorted(self.scope.pointers) or ["add"])
        callee = self.static_call(prototype)
        if self.all_pointers(prototype) and self.chance(0.25):
            callee = self.random.choice(self.all_pointers(prototype))
        return prototype, callee

    def open_with_address(self):
        """A block with an address that may be readable. No call follows, so that what is in registers stays there."""
        address = self.name("address")
        self.open()
        self.emit(f"long *{address} = perhaps_readable({self.number()});")
        return address

    def leave(self, end):
        """Past what stands behind a way in: to its end, or out of the function, so that only the way in leads to what follows."""
        if self.may_return and self.chance(0.9 if self.is_short else 0.4):
            self.emit("return;" if self.prototype == "tick" else f"return {self.result()};")
        else:
            self.emit(f"goto {end};")

    def asm_ways(self, template, operands, clobbers, label):
        self.emit(f'__asm__ goto("{template}"')
        self.emit(f"  :: {operands} : {clobbers} : {label});")

    def label_site(self, target):
        section, entry = self.random.choices(LABEL_ENTRIES, [4, 4, 2])[0]
        if section == "label_offsets":
            self.source.needs_whole_functions = True
        entry = entry.replace("NOP", "771b").replace("TARGET", f"%l[{target}]").replace("KEY", str(self.random.randrange(4)))
        nop = NOP[self.source.target]
        self.asm_ways(f'771: {nop}; .pushsection {section}, \\"aw\\"; {entry}; .popsection', "", "", target)

    def jump_label(self, depth):
        prototype, callee = self.repeatable()
        target, end = self.name("place"), self.name("end")
        if self.chance(0.9):
            self.use(prototype, callee)
        if self.chance(0.3):
            self.emit(f"if ({self.condition()}) goto {target};")
        self.label_site(target)
        if not self.is_short and self.chance(0.6):
            self.within_loop_free(depth)
        self.leave(end)
        self.label(target)
        self.again(prototype, callee, depth)
        self.label(end)

    def label_beside_path(self, depth):
        """A place that is reached by an ordinary path with one value of a pointer, and by a jump label with another."""
        prototype = self.random.choice(sorted(self.scope.pointers) or ["add"])
        pointer, target, end = self.name("p"), self.name("place"), self.name("end")
        first, second = self.ordinary(prototype), self.function_or_pointer(prototype)
        if self.chance(0.5):
            first, second = second, first
        self.open()
        self.emit(f"{prototype}_p {pointer} = {first};")
        if self.chance(0.7):
            self.emit(f"HIDE({pointer});")
        self.emit(f"if ({self.condition()}) {{")
        self.emit(f"  {pointer} = {second};")
        self.emit(f"  goto {target};")
        self.emit("}")
        self.label_site(target)
        self.leave(end)
        self.label(target)
        self.use(prototype, pointer)
        self.label(end)
        self.close()

    def switch_label(self):
        self.emit(f"switch_label({self.random.randrange(4)});")

    def sequence(self, depth):
        prototype, callee = self.repeatable()
        abort, end = self.name("place"), self.name("end")
        target = self.source.target
        template, clobbers = self.random.choices(SEQUENCES[target], [1, 4, 1])[0]
        template = DESCRIPTOR + " " + template
        if self.chance(0.5):
            template = template.replace("ABORT", f"%l[{abort}]")
        else:
            template = template.replace("ABORT", "774f") + "; " + ABORT_STUB[target].replace("TARGET", f"%l[{abort}]")
        signal = f"(({self.condition()}) ? {SIGUSR1}L : 0L)"
        operands = f'"r"(&current_sequence), "r"({signal}), "r"((long)own_process)'
        address = self.open_with_address()
        if "%3" in template:
            operands = f'"r"(&current_sequence), "r"(0), "r"(0), "r"({address})'
        if self.chance(0.9):
            self.use(prototype, callee)
        self.asm_ways(template, operands, clobbers, abort)
        if not self.is_short and self.chance(0.5):
            self.within_loop_free(depth)
        self.leave(end)
        self.label(abort)
        self.again(prototype, callee, depth)
        self.label(end)
        self.close()

    def faulting_load(self, depth):
        prototype, callee = self.repeatable()
        landing, end = self.name("place"), self.name("end")
        load, clobber = LOAD[self.source.target]
        section, entry = self.random.choice(FAULT_ENTRIES)
        place, stub = f"%l[{landing}]", ""
        if self.chance(0.4):
            place, stub = "772b", LANDING_STUB[self.source.target].replace("TARGET", place)
            stub = f' .pushsection .text.landing, \\"ax\\"; 772: {stub}; .popsection;'
        table = f'.pushsection {section}, \\"aw\\"; {entry.replace("TARGET", place)}; .popsection;'
        address = self.open_with_address()
        if self.chance(0.9):
            self.use(prototype, callee)
        self.asm_ways(f"771: {load};{stub} {table}", f'"r"({address})', f'"{clobber}", "memory"', landing)
        if not self.is_short and self.chance(0.5):
            self.within_loop_free(depth)
        self.leave(end)
        self.label(landing)
        self.again(prototype, callee, depth)
        self.label(end)
        self.close()

    def probe(self):
        """A probe with a function and numbers among its arguments; often behind a call of that function."""
        prototype = self.random.choice(["add", "tick", "pick", "scale", "mark"])
        handler = self.name("handler")
        self.open()
        self.emit(f"{prototype}_p {handler} = {self.function_or_pointer(prototype)};")
        hidden = self.chance(0.3)
        if hidden:
            self.emit(f"HIDE({handler});")
        if self.chance(0.85):
            self.use(prototype, handler)
        arguments = [("f", 8, f"(void *){handler}")]
        arguments += [("n", -8, f"(long)({self.number()})") for _ in range(self.random.randrange(3))]
        if self.chance(0.3):
            arguments.append(("n", -4, f"(int)({self.number()})"))
        self.random.shuffle(arguments)
        name = "".join(kind for kind, _, _ in arguments)
        operands = " ".join(f"{size}@%{i}" for i, (_, size, _) in enumerate(arguments))
        constraint = self.random.choice(["r", "nor", "nor"])
        values = ", ".join(f'"{constraint}"({value})' for _, _, value in arguments)
        self.emit(f"__asm__ volatile({PROBE.format(name=name, operands=operands)}")
        self.emit(f"  :: {values});")
        if self.chance(0.2):
            self.use(prototype, handler)
        self.close()
