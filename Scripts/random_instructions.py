"""Statements of random programs that make compilers use instructions beyond the plain ones, between the load of an address and its
call: string instructions, x87, atomics, CRC and crypto, timers, and AVX-512 with a rounding of its own.
"""

# Moves of a pointer as in random_source.MOVES, behind an instruction whose length or effects a decoder may get wrong.
MOVES = {
    "x86_64": [
        ("rdtsc; mov %1, %0", "rax rdx"),
        ("xor %%eax, %%eax; cpuid; mov %1, %0", "rax rbx rcx rdx"),
        ("fld1; fstp %%st(0); mov %1, %0", "st"),
        ("crc32q %1, %%r10; mov %1, %0", "r10"),
        ("aesenc %%xmm4, %%xmm5; mov %1, %0", "xmm5"),
        ("popcnt %1, %%r11; bsf %1, %%r11; mov %1, %0", "r11 cc"),
        ("xor %%ecx, %%ecx; rep stosb; mov %1, %0", "rcx"),
        ("mov %1, %%rax; mov %0, %%r11; lock cmpxchg %%r11, -136(%%rsp); mov %1, %0", "rax r11 cc"),
        ("mov %1, %%r11; xadd %%r11, %%r11; mov %1, %0", "r11 cc"),
    ],
    "aarch64": [
        (".arch_extension crc; crc32cx w10, w10, %1; mov %0, %1", "x10"),
        (".arch_extension crypto; aese v5.16b, v4.16b; mov %0, %1", "v5"),
        ("mrs x10, cntvct_el0; mov %0, %1", "x10"),
        ("hint #8; hint #12; mov %0, %1", "x16 x17"),
        (".arch_extension lse; mov x10, xzr; swp x10, x10, [sp]; swp x10, x10, [sp]; mov %0, %1", "x10 memory"),
        (".arch_extension lse; ldadd xzr, x10, [sp]; mov %0, %1", "x10 memory"),
        (".arch_extension lse; mov x10, %1; mov x11, %1; casal x10, x11, [sp]; mov %0, %1", "x10 x11 memory"),
        ("prfm pldl1keep, [%1]; mov %0, %1", ""),
    ],
}
# With static rounding the bits of the vector's length are the rounding mode. The moves are such that they mean another thing
# without their first byte; the pointers stand in registers of which that byte is a part.
AVX512_INSTRUCTIONS = [
    "vaddpd %{ROUNDING%}, %%zmm5, %%zmm4, %%zmm5",
    "vmulps %{ROUNDING%}, %%zmm5, %%zmm4, %%zmm5",
    "vdivpd %{ROUNDING%}, %%zmm5, %%zmm4, %%zmm5",
    "vfmadd213pd %{ROUNDING%}, %%zmm5, %%zmm4, %%zmm5",
    "vsubps %{ROUNDING%}, %%zmm5, %%zmm4, %%zmm5",
    "vcvtps2dq %{ROUNDING%}, %%zmm4, %%zmm5",
    "vaddsd %{ROUNDING%}, %%xmm5, %%xmm4, %%xmm5",
    "vmulss %{ROUNDING%}, %%xmm5, %%xmm4, %%xmm5",
    "vcvttpd2qq %{sae%}, %%zmm4, %%zmm5",
    "vaddpd %%zmm5, %%zmm4, %%zmm5",
]
ROUNDINGS = ["rn-sae", "rd-sae", "ru-sae", "ru-sae", "rz-sae", "rz-sae"]
AVX512_REGISTERS = ["r12", "r13", "r14", "r15"]


class Instructions:
    """A part of Function."""

    def unusual_move(self):
        """A pointer moved behind an instruction that compilers rarely emit."""
        prototype, pointer = self.any_pointer()
        if pointer is None:
            return self.call()
        template, clobbers = self.random.choice(MOVES[self.source.target])
        source = self.name("p")
        self.open()
        self.emit(f"{prototype}_p {source} = {self.function_or_pointer(prototype)};")
        if self.chance(0.4):
            self.emit(f"HIDE({source});")
        operands, clobbered = f'"+&r"({pointer}) : "r"({source})', [f'"{name}"' for name in clobbers.split()]
        if "stosb" in template:
            operands += ', "D"(memory)'
        self.emit(f'__asm__ volatile("{template}" : {operands} : {", ".join(clobbered)});')
        self.use(prototype, self.random.choice([pointer, source]))
        self.close()

    def rounded(self):
        """AVX-512 with static rounding, in front of an instruction that gives a called register another value."""
        prototype = self.random.choice(["add", "tick", "pick", "mark"])
        called, list = self.name("called"), self.name("list")
        register = self.random.choice(AVX512_REGISTERS)
        template = self.random.choice(AVX512_INSTRUCTIONS)
        template = template.replace("ROUNDING", self.random.choice(ROUNDINGS))
        others = [self.ordinary(prototype) for _ in range(2)]
        counter = self.name("i")
        self.source.needs_avx512 = True
        self.open()
        self.emit(f"{prototype}_p {list}[2] = {{{others[0]}, {others[1]}}};")
        self.emit(f"HIDE({list}[0]);")
        variable = f"{prototype}_p {called}"
        if self.chance(0.6):
            variable = f'register {variable} __asm__("{register}")'
        self.emit(f"{variable} = {self.function_or_pointer(prototype)};")
        self.open(f"for (long {counter} = 0; {counter} < {self.random.randrange(2, 4)}; {counter}++) {{")
        self.use(prototype, called)
        move = f"{template}; mov %1, %0"
        if self.chance(0.5):
            move = f"{template}; mov (%2,%3,8), %0"
        self.emit(f'__asm__ volatile("{move}" : "+&r"({called}) : "r"({list}[{counter} & 1]), "r"({list}), "r"({counter} & 1),')
        self.emit(f'  "m"({list}) : "xmm5");')
        if self.chance(0.5):
            self.call()
        self.close()
        if self.chance(0.4):
            self.use(prototype, called)
        self.close()

    def vector(self):
        """The same in the compiler's own words, in a loop whose pointer comes from a list."""
        prototype = self.random.choice(["add", "tick", "pick", "mark"])
        called, list, sum, counter = self.name("called"), self.name("list"), self.name("sum"), self.name("i")
        rounding = self.random.choice(["ROUND_UP", "ROUND_ZERO", "ROUND_ZERO", "ROUND_DOWN", "ROUND_NEAREST"])
        operation = self.random.choice(["add", "sub", "mul", "div"])
        self.source.needs_avx512 = True
        self.source.has_intrinsics = True
        self.open()
        self.emit(f"{prototype}_p {list}[2] = {{{self.function_or_pointer(prototype)}, {self.ordinary(prototype)}}};")
        self.emit(f'__asm__ volatile("" : "+m"({list}));')
        self.emit(f"{prototype}_p {called} = {self.function_or_pointer(prototype)};")
        self.emit(f"__m512d {sum} = _mm512_set1_pd({self.value('double')});")
        self.open(f"for (long {counter} = 0; {counter} < {self.random.randrange(2, 4)}; {counter}++) {{")
        self.use(prototype, called)
        self.emit(f"{sum} = _mm512_{operation}_round_pd({sum}, {sum}, {rounding});")
        self.emit(f"{called} = {list}[{counter} & 1];")
        if self.chance(0.7):
            self.call()
        self.close()
        self.emit(f"note(94, (long)(short)(long)_mm512_cvtsd_f64({sum}));")
        self.close()

    def between(self):
        """A call, something else, and the call of the same thing, which stays in a register if the something permits."""
        prototype = self.random.choice(["add", "tick", "pick", "mark"])
        called, values = self.name("called"), self.name("values")
        number = self.number()
        target = self.random.choice(self.scope.values["long"])
        self.open()
        self.emit(f"long {values}[12] = {{{number}, 2, 3}};")
        if not self.source.through_keys:
            self.emit(f"{prototype}_p {called} = {self.function_or_pointer(prototype)};")
        else:
            called = self.static_call(prototype)
        if self.chance(0.7):
            self.use(prototype, called)
        choices = [
            f"__builtin_memset({values}, {self.random.choice(['0', '7', f'(int){number}'])}, sizeof {values});",
            f"__builtin_memset({values} + 1, 0, ({number} & 63));",
            f"long other[12]; __builtin_memcpy(other, {values}, sizeof other);"
            f' __asm__ volatile("" :: "r"(other) : "memory"); {target} += other[1];',
            f"long double wide = {number}; wide = wide * 1.5L + {values}[0]; {target} += (long)wide & 255;",
            f"__atomic_fetch_add(&memory[{number} & 7], {number}, __ATOMIC_RELAXED);",
            f"{target} += __atomic_exchange_n(&memory[1], {number}, __ATOMIC_SEQ_CST);",
            f"{target} += __atomic_fetch_or(&memory[2], {number}, __ATOMIC_ACQ_REL);",
            f"long expected = {number}; {target} += __atomic_compare_exchange_n(&memory[3], &expected, 9, 0, 5, 5);",
            f"{target} += __builtin_popcountl({number}) + __builtin_bswap32((int){number});",
            f"{target} += __builtin_ctzl({number} | 16);",
        ]
        self.emit("{ " + self.random.choice(choices) + " }")
        self.emit(f'__asm__ volatile("" :: "r"({values}) : "memory");')
        self.use(prototype, called)
        self.emit(f"{target} ^= {values}[{self.random.randrange(12)}];")
        self.close()


INTRINSICS = """\
#include <immintrin.h>
#define ROUND_UP (_MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
#define ROUND_DOWN (_MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
#define ROUND_ZERO (_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define ROUND_NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
"""
