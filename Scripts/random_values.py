"""Statements of random programs in which the address to call takes another way through registers and memory: selects, small
switches, interpreters, values that fill all registers, and leaves that leave registers alone.
"""


class Values:
    """A part of Function."""

    def select(self):
        """A call of one of two or three functions; compilers make csel and cmov of it."""
        prototype = self.random.choice(["add", "add", "pick", "scale", "mark"])
        callee = self.selection(prototype)
        if self.chance(0.3) and not self.source.through_keys:
            callee = f"({self.condition()} ? ({prototype}_p){self.static_call(prototype)} : ({prototype}_p){callee})"
        if self.chance(0.4):
            # Kept in a variable, for two calls.
            chosen = self.name("chosen")
            self.open()
            if self.source.through_keys:
                callee = self.ordinary(prototype)
            self.emit(f"{prototype}_p {chosen} = {callee};")
            self.use(prototype, chosen)
            if self.chance(0.5):
                self.call()
            self.use(prototype, chosen)
            self.close()
        else:
            self.use(prototype, callee)

    def merge(self, depth):
        """A pointer that a small switch assigns, on some of its ways."""
        prototype = self.random.choice(["add", "tick", "pick", "scale"])
        pointer = self.name("merged")
        count = self.random.randrange(2, 6)
        self.open()
        self.emit(f"{prototype}_p {pointer} = {self.function_or_pointer(prototype)};")
        self.open(f"switch ({self.random.choice(self.readable('long'))} & 7) {{")
        for case in self.random.sample(range(8), count):
            self.emit(f"case {case}: {pointer} = {self.function_or_pointer(prototype)};")
            if self.chance(0.2):
                self.use(prototype, pointer)
            if self.chance(0.85):
                self.emit("break;")
        self.close()
        self.use(prototype, pointer)
        self.close()

    def interpreter(self, depth):
        """A switch in a loop over a text; the base of its table and the addresses that it calls are worth keeping over the loop."""
        text, place, sum = self.name("text"), self.name("at"), self.name("sum")
        count = self.random.randrange(5, 9)
        codes = ", ".join(str(self.random.randrange(count)) for _ in range(self.random.randrange(4, 12)))
        prototypes = self.random.sample(["add", "tick", "pick", "mark"], 2)
        callees = [(prototype, self.static_call(prototype)) for prototype in prototypes]
        before = self.may_break, self.may_continue
        self.may_break = self.may_continue = False
        self.open()
        self.emit(f"static const unsigned char {text}[] = {{{codes}, {count}}};")
        self.emit(f"const unsigned char *{place} = {text} + ({self.random.choice(self.readable('long'))} & 3);")
        if self.chance(0.5):
            self.emit(f"HIDE({place});")
        self.emit(f"for (long {sum} = 0; fuel > 0; fuel--)")
        self.open(f"  switch (*{place}++) {{")
        for case in range(count):
            self.emit(f"case {case}:")
            choice = self.random.random()
            if choice < 0.6:
                self.use(*self.random.choice(callees))
            elif choice < 0.75:
                self.short_statement()
            if self.chance(0.4):
                self.emit(f"{sum} += {self.number()};")
            if self.chance(0.85):
                self.emit("break;")
        done = self.name("done")
        self.emit(f"default: note(95, {sum}); goto {done};")
        self.close()
        self.label(done)
        self.close()
        self.may_break, self.may_continue = before

    def pressure(self):
        """More values than there are registers, all of them used before and behind calls."""
        prototype = self.random.choice(["add", "pick", "tick", "many"])
        values = [self.name("v") for _ in range(self.random.randrange(6, 20))]
        pointer = self.name("p")
        self.open()
        self.emit(f"{prototype}_p {pointer} = {self.function_or_pointer(prototype)};")
        if self.chance(0.5):
            self.emit(f"HIDE({pointer});")
        for value in values:
            self.emit(f"long {value} = {self.number()};")
            self.emit(f"HIDE({value});")
        self.use(prototype, pointer)
        if self.chance(0.5):
            self.call()
        for value in self.random.sample(values, len(values) // 2):
            self.emit(f"{value} += {self.random.choice(values)};")
        self.use(prototype, pointer)
        target = self.random.choice(self.scope.values["long"])
        self.emit(f"{target} ^= {' + '.join(values)};")
        self.close()

    def leaves(self):
        """Calls of small functions of the file, over which -fipa-ra keeps what the psABI would not."""
        prototype = self.random.choice(["add", "pick", "tick"])
        pointer = self.name("p")
        target = self.random.choice(self.scope.values["long"])
        self.open()
        self.emit(f"{prototype}_p {pointer} = {self.function_or_pointer(prototype)};")
        if self.chance(0.7):
            self.emit(f"HIDE({pointer});")
        for _ in range(self.random.randrange(1, 4)):
            self.emit(f"{target} += leaf_{self.random.randrange(3)}({self.number()});")
        self.use(prototype, pointer)
        self.close()


LEAVES = """\
static NOINLINE long leaf_0(long a) { return a * 3 + 1; }
static NOINLINE long leaf_1(long a) { return memory[a & 7] ^ a; }
static NOINLINE long leaf_2(long a) { if (a & 1) memory[a & 7] += 5; return a - 2; }
"""
