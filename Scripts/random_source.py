"""The programs of random-programs.py: C and C++ full of static calls, made from a random.Random.

Every program ends, prints the same whenever it runs, and has no undefined behaviour that could make it print something else
once its calls are made in another way. Rules that follow from it:

- Functions and loops use up `fuel`, and stop without it.
- Addresses are compared and never printed.
- What lies between setjmp and longjmp assigns only to variables of its own.
- With `through_keys`, nothing that may change a key lies between loading a key's value and calling it: arguments are free of calls,
  and pointer variables hold ordinary functions only.

What is special is written by mixins: random_ways_in.py, random_values.py and random_instructions.py.
"""

import collections

from random_instructions import INTRINSICS, Instructions
from random_values import LEAVES, Values
from random_ways_in import WaysIn

Prototype = collections.namedtuple("Prototype", "result parameters calls")

PROTOTYPES = {
    "add": Prototype("long", ["long", "long"], ["add", "sub"]),
    "tick": Prototype("void", [], ["tick", "tock"]),
    "pick": Prototype("int", ["int"], ["pick", "poke"]),
    "scale": Prototype("double", ["double", "double"], ["scale", "shift"]),
    "mark": Prototype("void", ["long"], ["mark", "stain"]),
    "grow": Prototype("struct box", ["struct box", "long"], ["grow", "shrink"]),
    "report": Prototype("int", ["const char *", "..."], ["report"]),
    "follow": Prototype("long *", ["long *", "int"], ["follow"]),
    "turn": Prototype("struct pair", ["struct pair"], ["turn"]),
    "many": Prototype(
        "long", ["long", "int", "long", "short", "long", "long", "double", "long", "char", "long"], ["many"]
    ),
    "small": Prototype("unsigned char", ["unsigned char", "short"], ["small"]),
    "wide": Prototype("__int128", ["__int128", "long"], ["wide"]),
    "even": Prototype("bool", ["long"], ["even"]),
    "apply": Prototype("long", ["long (*)(long, long)", "long"], ["apply"]),
    "fail": Prototype("void", ["const char *"], ["fail"]),
}
# The programs' own functions have these. Not mark: clean-ups call it, where nothing may be thrown.
OWN_PROTOTYPES = ["add", "add", "add", "tick", "pick", "scale"]
# Those that calls pick from; the first ones often, so that pointers and calls of one prototype meet.
CALLED_PROTOTYPES = ["add"] * 6 + ["tick"] * 4 + ["pick"] * 3 + ["scale"] * 2 + ["mark"] * 2 + list(PROTOTYPES)

VALUE_TYPES = ["long", "double", "struct box", "struct pair"]

# Ways to move a pointer that compilers cannot see through and decoders must: %0 is assigned, %1 is another pointer, %2 a number.
MOVES = {
    "x86_64": [
        ("mov %1, %0", ""),
        ("mov %1, %%r11; mov %%r11, %0", "r11"),
        ("mov %1, %%rbx; mov %%rbx, %0", "rbx"),
        ("lea (%1), %0", ""),
        ("add $64, %0; sub $64, %0", ""),
        ("not %0; not %0", ""),
        ("rol $8, %0; ror $8, %0", ""),
        ("bswap %0; bswap %0", ""),
        ("movq %1, %%xmm5; movq %%xmm5, %0", "xmm5"),
        ("test $1, %b2; cmovnz %1, %0", "cc"),
        ("test $1, %b2; jz 1f; mov %1, %0; 1:", "cc"),
        ("test $2, %b2; jnz 1f; mov %1, %0; jmp 2f; 1: mov %0, %0; 2:", "cc"),
        ("lea -136(%%rsp), %%rsp; push %1; pop %0; lea 136(%%rsp), %%rsp", ""),
        ("lea -136(%%rsp), %%rsp; push %0; mov %1, (%%rsp); pop %0; lea 136(%%rsp), %%rsp", ""),
        ("lea -128(%%rsp), %%rsp; call 1f; jmp 2f; 1: mov %1, %0; ret; 2: lea 128(%%rsp), %%rsp", ""),
        ("mov $3, %%ecx; 1: mov %1, %0; dec %%ecx; jnz 1b", "rcx cc"),
        ("lea 1f(%%rip), %%r10; jmp *%%r10; mov %%r10, %0; 1: mov %1, %0", "r10"),
        ("xor %1, %0; xor %0, %1; xor %1, %0", "cc swap"),
        ("xchg %0, %1", "swap"),
        ("test $1, %b2; jz 1f; xchg %1, %0; 1:", "cc swap"),
        ("mov $3, %%ecx; 1: xchg %0, %1; loop 1b", "rcx cc swap"),
    ],
    "aarch64": [
        ("mov %0, %1", ""),
        ("mov x11, %1; mov %0, x11", "x11"),
        ("mov x27, %1; mov %0, x27", "x27"),
        ("orr %0, %1, %1", ""),
        ("add %0, %0, #64; sub %0, %0, #64", ""),
        ("mvn %0, %0; mvn %0, %0", ""),
        ("ror %0, %0, #8; ror %0, %0, #56", ""),
        ("fmov d5, %1; fmov %0, d5", "v5"),
        ("tst %w2, #1; csel %0, %1, %0, ne", "cc"),
        ("tbz %w2, #0, 1f; mov %0, %1; 1:", ""),
        ("cbz %w2, 1f; mov %0, %1; b 2f; 1: mov %0, %0; 2:", ""),
        ("str %1, [sp, #-16]!; ldr %0, [sp], #16", ""),
        ("stp %0, %1, [sp, #-16]!; ldr %0, [sp, #8]; add sp, sp, #16", ""),
        ("bl 1f; b 2f; 1: mov %0, %1; ret; 2:", "x30"),
        ("mov w10, #3; 1: mov %0, %1; subs w10, w10, #1; b.ne 1b", "x10 cc"),
        ("adr x10, 1f; br x10; mov %0, x10; 1: mov %0, %1", "x10"),
        ("eor %0, %0, %1; eor %1, %0, %1; eor %0, %0, %1", "swap"),
        ("tbz %w2, #0, 1f; mov x9, %0; mov %0, %1; mov %1, x9; 1:", "x9 swap"),
        ("mov w10, #3; 1: mov x9, %0; mov %0, %1; mov %1, x9; subs w10, w10, #1; b.ne 1b", "x9 x10 cc swap"),
    ],
}
CALLEE_SAVED = {
    "x86_64": ["r12", "r13", "r15"],
    "aarch64": ["x20", "x21", "x23", "x25", "x27"],
}
WIPE = {"x86_64": "xor %%{0}, %%{0}", "aarch64": "mov {0}, #1"}
# A jump to a place that the compiler knows and the flow of instructions does not show, by a table or a branch; %0 is a number.
ASM_GOTO = {
    "x86_64": [
        ('"test $1, %b0; jnz %l[LABEL1]; test $2, %b0; jnz %l[LABEL2]"', '"cc"'),
        (
            '".pushsection .rodata.jumps, \\"a\\"; .balign 4; 771: .long %l[LABEL1] - 771b, %l[LABEL2] - 771b; .popsection;"\n'
            '  "mov %0, %%rcx; and $1, %%ecx; lea 771b(%%rip), %%rax; movslq (%%rax,%%rcx,4), %%rcx; add %%rcx, %%rax;"\n'
            '  "jmp *%%rax"',
            '"rax", "rcx", "cc"',
        ),
    ],
    "aarch64": [
        ('"tbnz %w0, #0, %l[LABEL1]; tbnz %w0, #1, %l[LABEL2]"', '"cc"'),
        (
            '".pushsection .rodata.jumps, \\"a\\"; .balign 4; 771: .word %l[LABEL1] - 771b, %l[LABEL2] - 771b; .popsection;"\n'
            '  "and x10, %0, #1; adrp x9, 771b; add x9, x9, :lo12:771b; ldrsw x10, [x9, x10, lsl #2]; add x9, x9, x10;"\n'
            '  "br x9"',
            '"x9", "x10", "cc"',
        ),
    ],
}

HEADER = """\
#include "random-calls.h"
#define HIDE(pointer) __asm__("" : "+r"(pointer))
#define NOINLINE __attribute__((noinline))
"""

CXX_HELPERS = """\
namespace {
struct Guard {
  long value;
  ~Guard() { static_call(mark)(value); }
};
}
static NOINLINE __attribute__((noreturn)) void throw_it(long value) { throw value; }
"""

C_HELPERS = """\
static void clean(long *value) { static_call(stain)(*value); }
"""


class Scope:
    """The variables that statements may assign to, and those they may read besides."""

    def __init__(self, values, pointers, readable):
        self.values = values  # type: [name]
        self.pointers = pointers  # prototype: [name]
        self.readable = readable  # type: [name]


class Function(WaysIn, Values, Instructions):
    """Writes the body of one function."""

    def __init__(self, source, prototype):
        self.source = source
        self.random = source.random
        self.lines = []
        self.indent = 1
        self.names = 0
        self.prototype = prototype
        # Returning or leaving a loop is possible only where no block has something to put back.
        self.may_return = True
        self.may_break = False
        self.may_continue = False
        # Every computed goto of a function may lead to all places whose address is taken, and clang refuses those in blocks that
        # must not be jumped into: in C++ all with variables.
        self.computed_gotos = 0
        # A function has a subject, of which it has much, and few of those things that make all its calls hard to prove.
        self.subject = self.random.choice([None, None, "ways in", *SUBJECTS])
        # A short one is little more than one statement of its subject, so that nothing else needs what that leaves in registers.
        self.is_short = self.subject is not None and self.random.random() < 0.5
        probability = 0.02 if self.subject else 0.3 if source.is_cxx else 0.15
        self.has_computed_goto = self.random.random() < probability
        self.scope = Scope({}, {}, {})

    # Small things

    def chance(self, probability):
        return self.random.random() < probability

    def name(self, stem):
        self.names += 1
        return f"{stem}{self.names}"

    def emit(self, text):
        self.lines.append("  " * self.indent + text)

    def open(self, text="{"):
        self.emit(text)
        self.indent += 1

    def close(self, text="}"):
        self.indent -= 1
        self.emit(text)

    def label(self, name):
        self.lines.append(f"{name}:;")

    def readable(self, type):
        return self.scope.values.get(type, []) + self.scope.readable.get(type, [])

    # Expressions

    def number(self):
        """An expression of type long without calls."""
        longs = self.readable("long")
        a, b = self.random.choice(longs), self.random.choice(longs)
        return self.random.choice(
            [
                a,
                a,
                str(self.random.randrange(-20, 100)),
                f"({a} + {b})",
                f"({a} - {self.random.randrange(50)})",
                f"({a} ^ {b})",
                f"({a} & {self.random.randrange(1, 256)})",
                f"({a} * {self.random.randrange(2, 9)})",
                f"memory[{a} & 7]",
            ]
        )

    def condition(self):
        a = self.random.choice(self.readable("long"))
        return self.random.choice(
            [
                f"{a} & {self.random.choice([1, 2, 4, 8])}",
                f"{a} > {self.random.randrange(-10, 60)}",
                f"{a} % 3 == {self.random.randrange(3)}",
                f"{self.number()} < {self.number()}",
                f"fuel & {self.random.choice([1, 2, 4])}",
            ]
        )

    def likely(self, condition):
        choice = self.random.random()
        if choice < 0.2:
            return f"__builtin_expect(({condition}) != 0, 0)"
        if choice < 0.3:
            return f"__builtin_expect(({condition}) != 0, 1)"
        return condition

    def value(self, type):
        """An argument; free of calls."""
        if type == "long":
            return self.number()
        if type in ("int", "short", "char", "unsigned char"):
            return f"({type})({self.number()})"
        if type == "__int128":
            return f"((__int128)({self.number()}) << {self.random.choice([0, 20, 64])})"
        if type == "double":
            return self.random.choice(self.readable("double") + ["2.5", f"(double)(short)({self.number()})"])
        if type in ("struct box", "struct pair"):
            return self.random.choice(self.readable(type))
        if type == "long *":
            return f"&memory[{self.number()} & 7]"
        if type == "const char *":
            return self.random.choice(['"one"', '"another"', "__func__"])
        if type == "long (*)(long, long)":
            return self.function_or_pointer("add")
        raise ValueError(type)

    def arguments(self, prototype):
        if prototype == "report":
            formats = [("%ld", "long"), ("%d", "int"), ("%.3f", "double"), ("%s", "const char *")]
            chosen = [self.random.choice(formats) for _ in range(self.random.randrange(6))]
            text = '"' + " ".join(format for format, _ in chosen) + '"'
            return ", ".join([text] + [self.value(type) for _, type in chosen])
        return ", ".join(self.value(type) for type in PROTOTYPES[prototype].parameters)

    def static_call(self, prototype):
        return f"static_call({self.random.choice(self.source.calls[prototype])})"

    def ordinary(self, prototype):
        return self.random.choice(self.source.ordinary[prototype])

    def function_or_pointer(self, prototype):
        """Something to pass or to store: a trampoline, a function, or what a variable holds."""
        choices = [self.ordinary(prototype)] + self.all_pointers(prototype)
        if self.source.through_keys:
            return self.random.choice(choices)
        return self.random.choice(choices + [self.static_call(prototype)] * 3)

    def all_pointers(self, prototype):
        return self.scope.pointers.get(prototype, []) + self.scope.readable.get(f"{prototype}_p", [])

    def selection(self, prototype):
        first, second = self.static_call(prototype), self.ordinary(prototype)
        if self.chance(0.4):
            second = self.static_call(prototype)
        if self.chance(0.5):
            first, second = second, first
        # The second cast is for C++, where an ordinary function and a pointer have no common type.
        return f"({self.condition()} ? ({prototype}_p){first} : ({prototype}_p){second})"

    def callee(self, prototype):
        pointers = self.all_pointers(prototype)
        choice = self.random.random()
        if pointers and choice < 0.45:
            return self.random.choice(pointers)
        if choice < 0.85:
            return self.static_call(prototype)
        if choice < 0.92:
            return self.selection(prototype)
        if choice < 0.94 and not self.source.through_keys:
            return f"(({prototype}_p)opaque((void *){self.static_call(prototype)}))"
        return self.ordinary(prototype)

    # Statements

    def use(self, prototype, callee):
        """A call statement that uses the result."""
        call = f"{callee}({self.arguments(prototype)})"
        result = PROTOTYPES[prototype].result
        if result == "void":
            self.emit(f"{call};")
        elif result in VALUE_TYPES and result != "long":
            self.emit(f"{self.random.choice(self.scope.values[result])} = {call};")
        else:
            operator = self.random.choice(["=", "+=", "^=", "-="])
            target = self.random.choice(self.scope.values["long"])
            star = "*" if result == "long *" else ""
            self.emit(f"{target} {operator} (long){star}{call};")

    def call(self):
        prototype = self.random.choice(CALLED_PROTOTYPES)
        # Prototypes that a pointer has are called more often.
        if self.scope.pointers and self.chance(0.4):
            prototype = self.random.choice(sorted(self.scope.pointers))
        self.use(prototype, self.callee(prototype))

    def calls_of_one(self):
        """Several calls through one thing, so that it stays in a register."""
        prototype = self.random.choice(sorted(self.scope.pointers) or ["add"])
        callee = self.callee(prototype)
        if "?" in callee:
            callee = self.static_call(prototype)
        for _ in range(self.random.randrange(2, 4)):
            self.use(prototype, callee)

    def note(self):
        values = [self.number(), f"(long){self.value('double')}"]
        values += [f"{self.value('struct box')}.top", f"{self.value('struct pair')}.whole"]
        self.emit(f"note({self.random.randrange(90)}, {self.random.choice(values)});")

    def assign(self):
        self.emit(f"{self.random.choice(self.scope.values['long'])} = {self.number()};")

    def any_pointer(self):
        if not self.scope.pointers:
            return None, None
        prototype = self.random.choice(sorted(self.scope.pointers))
        return prototype, self.random.choice(self.scope.pointers[prototype])

    def assign_pointer(self):
        prototype, pointer = self.any_pointer()
        if pointer is None:
            return self.call()
        if not self.source.through_keys and self.chance(0.15):
            self.emit(f"{pointer} = {self.selection(prototype)};")
        else:
            self.emit(f"{pointer} = {self.function_or_pointer(prototype)};")
        if self.chance(0.5):
            self.emit(f"HIDE({pointer});")

    def assign_on_one_path(self):
        prototype, pointer = self.any_pointer()
        if pointer is None:
            return self.call()
        self.open(f"if ({self.likely(self.condition())}) {{")
        self.emit(f"{pointer} = {self.function_or_pointer(prototype)};")
        if self.chance(0.7):
            self.emit(f"HIDE({pointer});")
        if self.chance(0.5):
            self.note()
        self.close()

    def move(self):
        """A pointer moved by inline assembly, and the one it came from."""
        prototype, pointer = self.any_pointer()
        if pointer is None:
            return self.call()
        template, notes = self.random.choice(MOVES[self.source.target])
        while ("jmp *" in template or "br x" in template) and self.chance(0.7):
            # It makes all other calls of the function hard to prove, so it is rare.
            template, notes = self.random.choice(MOVES[self.source.target])
        swaps = "swap" in notes
        clobbers = [f'"{clobber}"' for clobber in notes.split() if clobber != "swap"]
        others = self.scope.pointers[prototype] if swaps else self.all_pointers(prototype)
        others = [other for other in others if other != pointer]
        if not others:
            other = self.name("p")
            self.open()
            self.emit(f"{prototype}_p {other} = {self.function_or_pointer(prototype)};")
        else:
            other = self.random.choice(others)
        operands = f'"+r"({pointer}), "+r"({other}) : "r"((long){self.number()})'
        if not swaps:
            operands = f'"+r"({pointer}) : "r"({other}), "r"((long){self.number()})'
        volatile = " volatile" if self.chance(0.3) else ""
        self.emit(f'__asm__{volatile}("{template}" : {operands} : {", ".join(clobbers)});')
        if not others:
            if self.chance(0.5):
                self.use(prototype, other)
            self.close()

    def pin(self):
        """A pointer in a register of the program's choice."""
        prototype = self.random.choice(["add", "tick", "pick", "scale"])
        pinned = self.name("pinned")
        register = self.random.choice(CALLEE_SAVED[self.source.target])
        self.open()
        self.emit(f'register {prototype}_p {pinned} __asm__("{register}") = {self.function_or_pointer(prototype)};')
        self.emit(f'__asm__ volatile("" : "+r"({pinned}));')
        for _ in range(self.random.randrange(1, 4)):
            self.use(prototype, pinned)
            self.emit(f'__asm__ volatile("" : "+r"({pinned}));')
        self.close()

    def wipe(self):
        registers = self.random.sample(CALLEE_SAVED[self.source.target], self.random.randrange(1, 4))
        template = "; ".join(WIPE[self.source.target].format(register) for register in registers)
        clobbers = ", ".join(f'"{register}"' for register in registers)
        self.emit(f'__asm__ volatile("{template}" ::: {clobbers}, "cc", "memory");')

    def take(self):
        """A key's value or a trampoline, loaded, perhaps replaced, and called at once."""
        prototype = self.random.choice(["add", "tick", "pick", "scale", "mark", "many"])
        now = self.name("now")
        self.open()
        self.emit(f"{prototype}_p {now} = {self.static_call(prototype)};")
        if self.chance(0.5):
            self.emit(f"HIDE({now});")
        if self.chance(0.5):
            self.emit(f"if ({self.condition()})")
            self.emit(f"  {now} = {self.ordinary(prototype)};")
        self.use(prototype, now)
        self.close()

    def kept(self):
        """Pointers in arrays, structures and volatile variables."""
        prototype = self.random.choice(["add", "tick", "pick", "scale"])
        stored = self.name("stored")
        self.open()
        choice = self.random.randrange(4)
        if choice == 0:
            storage = "static const " if not self.source.through_keys and self.chance(0.5) else ""
            constant = [self.ordinary(prototype)]
            if not self.source.through_keys:
                constant.append(self.static_call(prototype))
            items = [
                self.random.choice(constant) if storage else self.function_or_pointer(prototype) for _ in range(3)
            ]
            self.emit(f"{storage}{prototype}_p {stored}[3] = {{{', '.join(items)}}};")
            callee = f"{stored}[(unsigned long){self.random.choice(self.readable('long'))} % 3]"
        elif choice == 1:
            self.emit(
                f"struct {{ {prototype}_p first, second; long count; }} {stored} = "
                f"{{{self.function_or_pointer(prototype)}, {self.function_or_pointer(prototype)}, 1}};"
            )
            if self.chance(0.5):
                self.emit(f'__asm__ volatile("" :: "r"(&{stored}) : "memory");')
            callee = f"{stored}.{self.random.choice(['first', 'second'])}"
        else:
            self.emit(f"{prototype}_p volatile {stored} = {self.function_or_pointer(prototype)};")
            callee = stored
        self.use(prototype, callee)
        if self.chance(0.5):
            self.use(prototype, callee)
        self.close()

    def compare(self):
        prototype = self.random.choice(["add", "tick", "pick"])
        one = self.function_or_pointer(prototype)
        target = self.random.choice(self.scope.values["long"])
        self.emit(f"{target} += ({prototype}_p){one} == ({prototype}_p){self.static_call(prototype)};")

    def pass_on(self):
        """A pointer passed to a function of the program that calls it."""
        prototype = self.random.choice(["add", "tick", "pick"])
        kind = self.random.choice(["inline", "always", "outlined", "plain"])
        passed = self.ordinary(prototype) if self.source.through_keys else self.function_or_pointer(prototype)
        target = self.random.choice(self.scope.values["long"])
        self.emit(f"{target} += via_{prototype}_{kind}({passed}, {self.number()});")

    def change(self):
        prototype = self.random.choice(["add", "add", "tick", "pick", "scale", "mark", "grow", "many", "even", "report"])
        name = self.random.choice(self.source.calls[prototype])
        self.emit(f"change({name}, {self.random.choice(self.source.ordinary[prototype])});")

    def allocate(self):
        block, target = self.name("block"), self.random.choice(self.scope.values["long"])
        number = self.random.choice(self.readable("long"))
        self.open()
        self.emit(f"char *{block} = (char *)__builtin_alloca(16 + ({number} & 63));")
        place = self.random.randrange(16)
        self.emit(f"{block}[{place}] = (char){target};")
        self.emit(f'__asm__ volatile("" :: "r"({block}) : "memory");')
        self.use("add", self.callee("add"))
        self.emit(f"{target} += {block}[{place}];")
        self.close()

    def fail(self):
        self.emit(f"if ({self.likely(self.condition())})")
        if self.chance(0.5):
            self.emit("  static_call(fail)(\"reason\");")
        else:
            self.emit(f"  if (context.landing || context.catchers) static_call(leave)({self.number()});")

    def leave_function(self):
        if not self.may_return:
            return self.call()
        self.emit(f"if ({self.likely(self.condition())})")
        if self.prototype == "tick":
            self.open("{")
            self.use("tick", self.callee("tick"))
            self.emit("return;")
            self.close()
        else:
            self.emit(f"  return {self.result()};")

    def result(self):
        """What the function returns: often a call in tail position."""
        if self.chance(0.7):
            return f"{self.callee(self.prototype)}({self.arguments(self.prototype)})"
        return self.value(PROTOTYPES[self.prototype].parameters[0])

    def leave_loop(self):
        if self.may_break and (self.chance(0.5) or not self.may_continue):
            self.emit(f"if ({self.condition()}) break;")
        elif self.may_continue:
            self.emit(f"if ({self.condition()}) continue;")
        else:
            self.call()

    # Statements made of statements

    def block(self, depth, count=None):
        self.open()
        for _ in range(count or self.random.randrange(1, 4)):
            self.statement(depth - 1)
        self.close()

    def branches(self, depth):
        self.emit(f"if ({self.likely(self.condition())})")
        self.block(depth)
        if self.chance(0.5):
            self.emit("else")
            self.block(depth)

    def within_loop(self, depth, may_break=True):
        before = self.may_break, self.may_continue
        self.may_break, self.may_continue = may_break, may_break
        self.block(depth)
        self.may_break, self.may_continue = before

    def loop(self, depth):
        counter, count = self.name("i"), self.random.randrange(2, 6)
        fuel = " && fuel > 0" if self.chance(0.7) else ""
        self.open()
        choice = self.random.randrange(3)
        if choice == 0:
            self.emit(f"for (long {counter} = 0; {counter} < {count}{fuel}; {counter}++)")
            self.within_loop(depth)
        elif choice == 1:
            self.emit(f"long {counter} = {count};")
            self.emit(f"while ({counter}-- > 0{fuel})")
            self.within_loop(depth)
        else:
            self.emit(f"long {counter} = {self.random.choice(self.readable('long'))} & 3;")
            self.emit("do")
            self.within_loop(depth)
            self.emit(f"while (++{counter} < {count}{fuel});")
        self.close()

    def switch(self, depth):
        is_dense = self.chance(0.7)
        count = self.random.randrange(5, 9) if is_dense else self.random.randrange(2, 5)
        cases = range(count) if is_dense else sorted(self.random.sample(range(-50, 5000), count))
        selector = self.random.choice(self.readable("long"))
        self.open(f"switch ({selector}{f' & {7 if count > 4 else 3}' if is_dense else ''}) {{")
        before, self.may_break = self.may_break, False
        for case in cases:
            self.emit(f"case {case}:")
            if self.chance(0.6):
                self.short_statement()
            else:
                self.block(depth - 1, 1 + self.chance(0.3))
            if self.chance(0.8):
                self.emit("break;")
        if self.chance(0.6):
            self.emit("default:")
            self.block(depth - 1, 1)
        self.may_break = before
        self.close()

    def state_machine(self, depth):
        state, steps = self.name("state"), self.name("steps")
        count = self.random.randrange(3, 7)
        self.open()
        self.emit(f"long {state} = {self.number()}, {steps} = {self.random.randrange(3, 8)};")
        self.emit(f"while ({steps}-- > 0 && fuel > 0)")
        self.open(f"  switch ((unsigned long){state} % {count}) {{")
        before, self.may_break, self.may_continue = (self.may_break, self.may_continue), False, True
        for case in range(count):
            self.emit(f"case {case}:")
            self.short_statement()
            if self.chance(0.4):
                self.short_statement()
            self.emit(f"{state} += {self.random.randrange(1, 5)};")
            if self.chance(0.85):
                self.emit("break;")
        self.may_break, self.may_continue = before
        self.close()
        self.close()

    def computed_goto(self, depth):
        if self.source.is_cxx and self.computed_gotos > 0:
            return self.branches(depth)
        self.computed_gotos += 1
        labels = [self.name("place") for _ in range(self.random.randrange(2, 5))]
        end, table = self.name("end"), self.name("places")
        addresses = ", ".join(f"&&{label}" for label in labels)
        self.open()
        self.emit(f"static void *const {table}[] = {{{addresses}}};")
        repeat = self.chance(0.3)
        if repeat:
            self.emit(f"long {table}_left = 4;")
        for label in labels:
            if label == labels[0]:
                self.emit(f"goto *{table}[(unsigned long){self.random.choice(self.readable('long'))} % {len(labels)}];")
            self.label(label)
            self.within_loop_free(depth - 1)
            if self.chance(0.6):
                self.emit(f"goto {end};")
        self.label(end)
        if repeat:
            self.emit(f"if ({table}_left-- > 0 && fuel > 0)")
            self.emit(f"  goto *{table}[(unsigned long){self.random.choice(self.readable('long'))} % {len(labels)}];")
        self.close()

    def within_loop_free(self, depth):
        """A block whose statements may leave no loop: it can be entered from many places."""
        before = self.may_break, self.may_continue
        self.may_break = self.may_continue = False
        self.block(depth, 1 + self.chance(0.5))
        self.may_break, self.may_continue = before

    def asm_goto(self, depth):
        first, second, end = self.name("place"), self.name("place"), self.name("end")
        template, clobbers = self.random.choices(ASM_GOTO[self.source.target], [3, 1])[0]
        template = template.replace("LABEL1", first).replace("LABEL2", second)
        # A jump through a table never falls through, which the compiler is not told: it must expect all ways.
        self.emit(f'__asm__ goto({template}\n  :: "r"((long){self.number()}) : {clobbers} : {first}, {second});')
        self.within_loop_free(depth)
        if self.chance(0.6):
            self.emit(f"goto {end};")
        self.label(first)
        self.within_loop_free(depth)
        if self.chance(0.5):
            self.emit(f"goto {end};")
        self.label(second)
        self.within_loop_free(depth)
        self.label(end)

    def irreducible(self, depth):
        """A loop with two entries."""
        left, middle = self.name("left"), self.name("middle")
        self.open()
        self.emit(f"long {left} = {self.random.randrange(2, 5)};")
        self.emit(f"if ({self.condition()}) goto {middle};")
        self.open(f"while ({left}-- > 0 && fuel > 0) {{")
        self.within_loop_free(depth)
        self.label(middle)
        self.within_loop_free(depth)
        self.close()
        self.close()

    def protected(self, write):
        """`write` within a block that must not be left by return, break or continue."""
        before = self.may_return, self.may_break, self.may_continue
        self.may_return = self.may_break = self.may_continue = False
        write()
        self.may_return, self.may_break, self.may_continue = before

    def own_variables(self, depth):
        """Statements that assign only to variables declared here."""
        outer = self.scope
        readable = {type: self.readable(type) for type in VALUE_TYPES}
        for prototype in PROTOTYPES:
            readable[f"{prototype}_p"] = self.all_pointers(prototype)
        self.scope = Scope({}, {}, readable)
        self.open()
        self.declare_variables(outer)
        for _ in range(self.random.randrange(1, 4)):
            self.statement(depth - 1)
        self.note()
        self.close()
        self.scope = outer

    def setjmp(self, depth):
        here, saved = self.name("here"), self.name("saved")

        def write():
            self.open()
            self.emit(f"jmp_buf {here};")
            self.emit(f"const struct context {saved} = context;")
            self.open(f"if (setjmp({here}) == 0) {{")
            self.emit(f"context.landing = &{here};")
            self.own_variables(depth)
            self.close("} else {")
            self.indent += 1
            self.emit(f"context = {saved};")
            self.block(depth, 1)
            self.close()
            self.emit(f"context = {saved};")
            self.close()

        self.protected(write)

    def attempt(self, depth):
        saved = self.name("saved")

        def write():
            self.open()
            self.emit(f"const struct context {saved} = context;")
            self.emit("context.catchers++;")
            self.emit("try")
            self.block(depth)
            self.open("catch (long caught) {")
            self.emit(f"context = {saved};")
            self.emit("note(97, caught);")
            self.block(depth)
            if self.chance(0.2):
                self.emit("if (context.catchers) throw;")
            self.close()
            self.emit(f"context = {saved};")
            self.close()

        self.protected(write)

    def guarded(self, depth):
        """A clean-up that calls a trampoline, on the ordinary way out and on that of an exception."""
        guard = self.name("guard")
        self.open()
        if self.source.is_cxx:
            self.emit(f"Guard {guard} = {{{self.number()}}};")
        else:
            self.emit(f"long {guard} __attribute__((cleanup(clean))) = {self.number()};")
        self.block(depth)
        self.close()

    def short_statement(self):
        choices = [
            (30, self.call),
            (8, self.calls_of_one),
            (8, self.note),
            (6, self.assign),
            (22, self.assign_pointer),
            (7, self.take),
        ]
        self.pick(choices)()

    def pick(self, choices):
        weights = [weight for weight, _ in choices]
        return self.random.choices([choice for _, choice in choices], weights)[0]

    def statement(self, depth):
        if depth <= 0:
            return self.short_statement()
        choices = [
            (90, self.short_statement),
            (8, self.assign_on_one_path),
            (8, self.move),
            (4, self.pin),
            (3, self.wipe),
            (4, self.kept),
            (4, self.compare),
            (4, self.pass_on),
            (6, self.change),
            (2, self.allocate),
            (6, self.fail),
            (5, self.leave_function),
            (4, self.leave_loop),
            (14, lambda: self.branches(depth)),
            (14, lambda: self.loop(depth)),
            (7, lambda: self.switch(depth)),
            (4, lambda: self.state_machine(depth)),
            (0.2 if self.subject else 2, lambda: self.asm_goto(depth)),
            (2, lambda: self.irreducible(depth)),
            (1, self.switch_label),
        ]
        choices += self.special_choices(depth, SUBJECTS)
        if self.has_computed_goto:
            choices.append((8, lambda: self.computed_goto(depth)))
        else:
            choices.append((3, lambda: self.setjmp(depth)))
            choices.append((3, lambda: self.guarded(depth)))
        if self.source.is_cxx and not self.has_computed_goto:
            choices.append((14, lambda: self.attempt(depth)))
        self.pick(choices)()

    def special_choices(self, depth, subjects):
        """(weight, statement) of the statements that the mixins write."""
        statements = {
            "ways in": [
                (16, "jump_label", lambda: self.jump_label(depth)),
                (10, "label_beside_path", lambda: self.label_beside_path(depth)),
                (8, "sequence", lambda: self.sequence(depth)),
                (8, "faulting_load", lambda: self.faulting_load(depth)),
                (12, "probe", self.probe),
            ],
            "values": [
                (12, "select", self.select),
                (10, "merge", lambda: self.merge(depth)),
                (8, "interpreter", lambda: self.interpreter(depth)),
                (6, "pressure", self.pressure),
                (10, "leaves", self.leaves),
            ],
            "instructions": [(16, "between", self.between), (14, "unusual_move", self.unusual_move)],
        }
        if self.source.target == "x86_64" and self.source.may_need_avx512:
            statements["instructions"] += [(14, "rounded", self.rounded), (10, "vector", self.vector)]
        choices = []
        for subject in subjects:
            for weight, name, statement in statements[subject]:
                if self.source.only:
                    weight = 60 if name in self.source.only else 0
                else:
                    weight *= 3 if subject == self.subject else 0.1
                choices.append((weight, statement))
        return choices

    # The whole

    def declare_variables(self, outer=None):
        initial = {
            "long": lambda: self.random.choice(outer_longs + ["5", "17"]),
            "double": lambda: "1.25",
            "struct box": lambda: "{1, 2, 3, 4}",
            "struct pair": lambda: "{3, 0.5}",
        }
        outer_longs = self.readable("long")
        for type, count in (("long", 2), ("double", 1), ("struct box", 1), ("struct pair", 1)):
            names = [self.name(type[-1]) for _ in range(count)]
            for name in names:
                self.emit(f"{type} {name} = {initial[type]()};")
            self.scope.values[type] = names
        for prototype in self.random.sample(["add", "tick", "pick", "scale", "mark", "report", "grow", "turn", "many"], 2):
            names = [self.name("p") for _ in range(self.random.randrange(1, 4))]
            for name in names:
                self.emit(f"{prototype}_p {name} = {self.function_or_pointer(prototype)};")
                if self.chance(0.6):
                    self.emit(f"HIDE({name});")
            self.scope.pointers[prototype] = names

    def write(self, head, parameters):
        self.lines.append(head + " {")
        self.scope.readable["long"] = [name for type, name in parameters if type in ("long", "int")]
        self.scope.readable["double"] = [name for type, name in parameters if type == "double"]
        dummy = "" if self.prototype == "tick" else " 1"
        self.emit(f"if ((fuel -= 8) < 0) return{dummy};")
        self.declare_variables()
        for _ in range(self.random.randrange(4, 11) if not self.is_short else self.random.randrange(2)):
            self.statement(3)
        if self.is_short:
            self.pick(self.special_choices(2, [self.subject] if not self.source.only else SUBJECTS))()
        if self.prototype == "tick":
            choice = self.random.random()
            if choice < 0.4:
                self.emit(f"if ({self.condition()})")
                self.emit(f"  {self.callee('tick')}();")
                if self.chance(0.5):
                    self.emit(f"else {self.callee('mark')}({self.number()});")
            elif choice < 0.8:
                self.use("mark", self.callee("mark"))
        else:
            self.note()
            self.emit(f"return {self.result()};")
        self.lines.append("}\n")
        return self.lines


class Source:
    """One file of a program."""

    def __init__(self, random, target, is_cxx, through_keys, index, only):
        self.random = random
        self.target = target
        self.is_cxx = is_cxx
        self.through_keys = through_keys
        self.index = index
        self.only = only
        # What the functions turn out to need of the compiler and the processor.
        self.may_need_avx512 = random.random() < 0.4
        self.needs_avx512 = False
        self.has_intrinsics = False
        self.needs_whole_functions = False
        self.calls = {prototype: list(PROTOTYPES[prototype].calls) for prototype in PROTOTYPES}
        self.ordinary = {
            prototype: [f"{call}_{i}" for call in PROTOTYPES[prototype].calls for i in range(3)]
            for prototype in PROTOTYPES
        }

    def type_of(self, prototype, name):
        result, parameters, _ = PROTOTYPES[prototype]
        return f"{result} {name}({', '.join(parameters) or 'void'})"

    def own_static_calls(self):
        """Keys and trampolines of the file itself, global or local, in a section of their own or among the code."""
        lines = []
        for number in range(self.random.randrange(1, 3)):
            prototype = self.random.choice(["add", "tick", "pick"])
            name = f"own_{self.index}_{number}"
            target = self.random.choice(self.ordinary[prototype])
            # binutils 2.40 for AArch64 loses a local trampoline's offset in its section when the address is taken from the GOT.
            if self.target == "aarch64" or self.random.random() < 0.5:
                parameters = ", ".join(PROTOTYPES[prototype].parameters) or "void"
                lines.append(f"DECLARE_STATIC_CALL({name}, {PROTOTYPES[prototype].result}, {parameters});")
                lines.append(f"DEFINE_STATIC_CALL({name}, {target});")
            else:
                section = self.random.choice([".static_call.text", ".text"])
                lines.append(f"static struct static_call_key __SCK__{name} __attribute__((used)) = {{{target}, 0}};")
                lines.append(f"extern {self.type_of(prototype, f'__SCT__{name}')};")
                lines.append(
                    f'__asm__(".pushsection {section}, \\"ax\\"\\n" TRAMPOLINE({name})\n'
                    f'        ".type __SCT__{name}, %function\\n.size __SCT__{name}, . - __SCT__{name}\\n.popsection");'
                )
            # Several times, so that it is called about as often as the others.
            self.calls[prototype] += [name] * 2
        return lines

    def helpers(self):
        lines = []
        attributes = {
            "inline": "static inline",
            "always": "static inline __attribute__((always_inline))",
            "outlined": "static NOINLINE",
            "plain": "static",
        }
        for prototype, call in (("add", "p(a, 3)"), ("tick", "(p(), a)"), ("pick", "p((int)a)")):
            other = "" if self.through_keys else "static_call(tock)(); "
            for kind, attribute in attributes.items():
                lines.append(f"{attribute} long via_{prototype}_{kind}({prototype}_p p, long a) {{")
                lines.append(f"  long b = {call};")
                lines.append(f"  {other}if (b & 1) b += {call};")
                lines.append("  return b;\n}")
        return lines

    def write(self, imported):
        """The text of the file, (prototype, name) of what it offers to other files, and what it needs."""
        random = self.random
        lines = [HEADER]
        if self.is_cxx:
            lines += [CXX_HELPERS, 'extern "C" {']
        else:
            lines.append(C_HELPERS)
        for prototype in PROTOTYPES:
            lines.append(f"typedef {self.type_of(prototype, f'(*{prototype}_p)')};")
        for prototype, name in imported:
            lines.append(f"extern {self.type_of(prototype, name)};")
            self.ordinary[prototype].append(name)
        if not self.through_keys and not self.is_cxx and random.random() < 0.3:
            lines += self.own_static_calls()
        if self.is_cxx:
            lines.append("static NOINLINE long throwing(long a, long b) {")
            lines.append("  if (context.catchers && (a & 1)) throw_it(b);\n  note(96, a);\n  return a - b;\n}")
            self.ordinary["add"] += ["throwing"] * 3
        lines += self.helpers()
        lines.append(LEAVES)

        functions = []
        for number in range(random.randrange(3, 7)):
            prototype = random.choice(OWN_PROTOTYPES)
            attribute = random.choice(["", "", "static ", "static NOINLINE ", "static inline ", "__attribute__((cold)) "])
            functions.append((prototype, f"function_{self.index}_{number}", attribute))
        for prototype, name, attribute in functions:
            lines.append(f"{attribute}{self.type_of(prototype, name)};")
            self.ordinary[prototype].append(name)
        for prototype, name, attribute in functions:
            types = PROTOTYPES[prototype].parameters
            parameters = [(type, f"a{i}") for i, type in enumerate(types)]
            text = ", ".join(f"{type} {parameter}" for type, parameter in parameters) or "void"
            head = f"{attribute}{PROTOTYPES[prototype].result} {name}({text})"
            if not parameters:
                # A function needs a number to decide by.
                parameters = [("long", "fuel")]
            lines += Function(self, prototype).write(head, parameters)

        if self.index == 0:
            lines.append("long start(long round) {\n  long sum = round;")
            if self.is_cxx:
                lines.append("  throw_long = throw_it;")
            arguments = {"add": "sum, round", "tick": "", "pick": "(int)sum", "scale": "(double)(short)sum, 1.5"}
            own = [(p, n) for p, n, _ in functions] + imported
            # Twice, since labels are off at first.
            for prototype, name in own + own:
                call = f"{name}({arguments[prototype]})"
                lines.append(f"  {call};" if prototype == "tick" else f"  sum ^= (long){call};")
                lines.append("  fuel += 150;")
                if random.random() < 0.7:
                    lines.append(f"  switch_label({random.randrange(4)});")
            lines.append("  return sum;\n}\n")
        if self.is_cxx:
            lines.append("}")
        if self.has_intrinsics:
            lines.insert(0, INTRINSICS)
        exported = [(p, n) for p, n, attribute in functions if not attribute.startswith("static")]
        return "\n".join(lines), exported, self.needs()

    def needs(self):
        names = ("needs_avx512", "has_intrinsics", "needs_whole_functions")
        return {name for name in names if getattr(self, name)}


# The kinds of special statements.
SUBJECTS = ["ways in", "values", "instructions"]
# What a program can be restricted to, besides the ordinary statements.
SPECIAL_STATEMENTS = [
    "jump_label", "label_beside_path", "sequence", "faulting_load", "probe", "select", "merge", "interpreter", "pressure",
    "leaves", "between", "unusual_move", "rounded", "vector",
]


def write_program(random, target, through_keys, may_be_cxx=True, only=()):
    """The files of a program: (name, text, needs). With `only` its special statements are these, and it has many of them."""
    is_cxx = may_be_cxx and random.random() < 0.25
    files, imported = [], []
    if random.random() < 0.25:
        text, imported, needs = Source(random, target, False, through_keys, 1, only).write([])
        files.append(("second.c", text, needs))
    text, _, needs = Source(random, target, is_cxx, through_keys, 0, only).write(imported)
    return [("first.cc" if is_cxx else "first.c", text, needs)] + files
