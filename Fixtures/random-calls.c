/*
 * The fixed half of the programs that Scripts/random-programs.py makes: keys, trampolines, their targets, and main. Started with
 * an argument it is also the runtime patcher: it aims every call site of the table at the current target, as a kernel does.
 */
#include "random-calls.h"

int printf(const char *, ...);
int vsnprintf(char *, unsigned long, const char *, __builtin_va_list);
void exit(int) __attribute__((noreturn));
int mprotect(void *, unsigned long, int);

struct context context;
void (*throw_long)(long) __attribute__((noreturn));
long fuel;
long memory[8];

static unsigned long checksum = 1;
static int lines;

/* The first values one by one, so that a difference shows where; then only what they add up to. */
void note(int place, long value) {
  fuel--;
  checksum = (checksum ^ (unsigned long)value ^ (unsigned long)place << 48) * 0x9e3779b97f4a7c15;
  checksum ^= checksum >> 29;
  lines++;
  if (lines < 500)
    printf("%d %ld\n", place, value);
  else if (lines % 100 == 0)
    printf("%d %lx\n", lines, checksum);
}

void *opaque(void *pointer) { return pointer; }

static __attribute__((noreturn)) void end(void) {
  printf("end %d %lx\n", lines, checksum);
  exit((int)(checksum & 63));
}

static __attribute__((noreturn)) void leave_somehow(long value) {
  if (context.catchers && (!context.landing || value & 1))
    throw_long(value);
  if (context.landing)
    longjmp(*context.landing, 1);
  end();
}

/* Nothing that the callee may change keeps its value, so that a wrong guess about a register does not go unnoticed. */
static inline __attribute__((always_inline)) void scramble(void) {
#if defined(__x86_64__)
  __asm__ volatile("mov $0x1111, %%eax; lea 1(%%rax), %%rcx; lea 2(%%rax), %%rdx; lea 3(%%rax), %%rsi; lea 4(%%rax), %%rdi;"
                   "lea 5(%%rax), %%r8; lea 6(%%rax), %%r9; lea 7(%%rax), %%r10; lea 8(%%rax), %%r11" ::
                       : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
#elif defined(__aarch64__)
  __asm__ volatile("mov x0, #0x1111; add x1, x0, #1; add x2, x0, #2; add x3, x0, #3; add x4, x0, #4; add x5, x0, #5;"
                   "add x6, x0, #6; add x7, x0, #7; add x8, x0, #8; add x9, x0, #9; add x10, x0, #10; add x11, x0, #11;"
                   "add x12, x0, #12; add x13, x0, #13; add x14, x0, #14; add x15, x0, #15; add x16, x0, #16;"
                   "add x17, x0, #17" ::
                       : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
                         "x15", "x16", "x17");
#endif
}

static double bounded(double value) { return value < 1e6 && value > -1e6 ? value : 1.5; }

static void change_some(void);

/* The three targets of a static call differ in what they print and return; the last one changes keys. */
#define TARGETS(name, result, parameters, ...)                                                   \
  result name##_0 parameters { enum { variant = 0 }; __VA_ARGS__ }                               \
  result name##_1 parameters { enum { variant = 1 }; __VA_ARGS__ }                               \
  result name##_2 parameters { enum { variant = 2 }; change_some(); __VA_ARGS__ }

TARGETS(add, long, (long a, long b), note(100 + variant, a ^ b); scramble(); return a + b + variant;)
TARGETS(sub, long, (long a, long b), note(103 + variant, a ^ b); scramble(); return a - b - variant;)
TARGETS(tick, void, (void), note(106 + variant, 0); scramble();)
TARGETS(tock, void, (void), note(109 + variant, 0); scramble();)
TARGETS(pick, int, (int a), note(112 + variant, a); scramble(); return a * 3 + variant;)
TARGETS(poke, int, (int a), note(115 + variant, a); scramble(); return a * 5 - variant;)
TARGETS(mark, void, (long a), note(118 + variant, a); scramble();)
TARGETS(stain, void, (long a), note(121 + variant, a); scramble();)
TARGETS(scale, double, (double a, double b), note(124 + variant, (long)(a + b)); scramble();
        return bounded(a * 0.5 + b + variant);)
TARGETS(shift, double, (double a, double b), note(127 + variant, (long)(a - b)); scramble();
        return bounded(a - b * 0.25 - variant);)
TARGETS(follow, long *, (long *at, int by), note(130 + variant, *at); *at += by; scramble();
        return &memory[(at - memory + by + variant) & 7];)
TARGETS(turn, struct pair, (struct pair p), note(133 + variant, p.whole); scramble();
        return (struct pair){(long)p.part + variant, bounded((double)(p.whole & 0xffff))};)
TARGETS(many, long, (long a, int b, long c, short d, long e, long f, double g, long h, char i, long j),
        note(136 + variant, a ^ b ^ c ^ d); note(139 + variant, e ^ f ^ (long)g ^ h ^ i ^ j); scramble();
        return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + (long)g + 7 * h + 8 * i + 9 * j + variant;)
TARGETS(small, unsigned char, (unsigned char a, short b), note(142 + variant, a + b); scramble();
        return (unsigned char)(a + b + variant);)
TARGETS(wide, __int128, (__int128 a, long b), note(145 + variant, (long)(a >> 64) ^ b); scramble();
        return a * 3 + b + variant;)
TARGETS(even, bool, (long a), note(148 + variant, a); scramble(); return (a + variant) % 2 == 0;)
TARGETS(apply, long, (long (*function)(long, long), long a), note(151 + variant, a);
        long result = a + variant; if (fuel > 0) result += function(a, variant); scramble(); return result;)
TARGETS(grow, struct box, (struct box b, long by), note(154 + variant, b.left ^ b.top ^ b.width ^ b.height); scramble();
        return (struct box){b.left - by, b.top + by, b.width + 2 * by, b.height - variant};)
TARGETS(shrink, struct box, (struct box b, long by), note(157 + variant, b.left ^ b.top ^ b.width ^ b.height); scramble();
        return (struct box){b.height, b.width - by, b.top + by, b.left + variant};)
TARGETS(report, int, (const char *format, ...),
        char text[200];
        __builtin_va_list arguments; __builtin_va_start(arguments, format);
        int length = vsnprintf(text, sizeof text, format, arguments); __builtin_va_end(arguments);
        for (int i = 0; text[i]; i++) length = length * 31 + text[i];
        note(160 + variant, length); scramble(); return length;)
/* fail returns for some of its targets, leave never does. */
TARGETS(fail, void, (const char *reason), note(163 + variant, reason[0]);
        if (variant == 1 && (context.landing || context.catchers)) leave_somehow(reason[0]); scramble();)
TARGETS(leave, __attribute__((noreturn)) void, (long value), note(166 + variant, value); scramble();
        leave_somehow(value + variant);)

#define DEFINE_RANDOM_CALL(name, ...) DEFINE_STATIC_CALL(name, name##_0);
RANDOM_CALLS(DEFINE_RANDOM_CALL)
DEFINE_RANDOM_CALL(add)
DEFINE_RANDOM_CALL(report)
DEFINE_RANDOM_CALL(grow)
DEFINE_RANDOM_CALL(tick)
DEFINE_RANDOM_CALL(fail)

#define CHANGE_IN_TURN(name, ...)                                                     \
  if (turn++ % 5 == 0) {                                                              \
    void *const next[] = {name##_0, name##_1, name##_2};                              \
    change(name, next[turn / 5 % 3]);                                                 \
  }

static void change_some(void) {
  static unsigned turn;
  CHANGE_IN_TURN(add)
  CHANGE_IN_TURN(tick)
  CHANGE_IN_TURN(report)
  CHANGE_IN_TURN(grow)
  CHANGE_IN_TURN(fail)
  RANDOM_CALLS(CHANGE_IN_TURN)
}

#if defined(__x86_64__)
/* What the spellings of retpolines with external thunks expect; weak, since the other spellings bring their own. */
#define THUNK(name, code) ".weak " name "\n.type " name ", @function\n" name ": " code "\n.size " name ", . - " name "\n"
#define REGISTER_THUNK(reg) THUNK("__x86_indirect_thunk_" reg, "jmp *%" reg)
__asm__(".pushsection .text.thunks, \"ax\"\n"
        REGISTER_THUNK("rax") REGISTER_THUNK("rbx") REGISTER_THUNK("rcx") REGISTER_THUNK("rdx") REGISTER_THUNK("rsi")
        REGISTER_THUNK("rdi") REGISTER_THUNK("rbp") REGISTER_THUNK("r8") REGISTER_THUNK("r9") REGISTER_THUNK("r10")
        REGISTER_THUNK("r11") REGISTER_THUNK("r12") REGISTER_THUNK("r13") REGISTER_THUNK("r14") REGISTER_THUNK("r15")
        THUNK("__x86_indirect_thunk", "ret") /* to the address that was pushed */
        THUNK("__x86_return_thunk", "ret")
        ".popsection");
#endif

/* The table, where staticcall wrote one: `annotate --section static_call_sites`, a name that linkers make bounds for. */
struct site {
  int address, key;
};
extern struct site __start_static_call_sites[] __attribute__((weak));
extern struct site __stop_static_call_sites[] __attribute__((weak));

static bool is_patching;

static unsigned char *address_of(struct site *site) { return (unsigned char *)&site->address + site->address; }
static struct static_call_key *key_of(struct site *site) {
  return (struct static_call_key *)(((unsigned long)&site->key + (unsigned long)(long)site->key) & ~3UL);
}
static bool is_marked_tail(struct site *site) {
  return ((unsigned long)&site->key + (unsigned long)(long)site->key) & 1;
}

/* A branch with the form that runtimes accept; its target, and where the way to the target is kept. */
struct branch {
  bool is_valid, is_tail;
  unsigned char *field, *target;
};

#if defined(__x86_64__)

static struct branch branch_at(unsigned char *code) {
  bool is_conditional = code[0] == 0x0f && (code[1] & 0xf0) == 0x80;
  struct branch branch = {code[0] == 0xe8 || code[0] == 0xe9 || is_conditional, code[0] != 0xe8};
  branch.field = code + 1 + is_conditional;
  int way;
  __builtin_memcpy(&way, branch.field, 4);
  branch.target = branch.field + 4 + way;
  return branch;
}

static void aim(struct branch branch, unsigned char *target) {
  int way = (int)(target - (branch.field + 4));
  __builtin_memcpy(branch.field, &way, 4);
}

static void *key_of_trampoline(unsigned char *code) {
  int way;
  __builtin_memcpy(&way, code + 2, 4);
  return code[0] == 0xff && code[1] == 0x25 ? code + 6 + way : 0;
}

#elif defined(__aarch64__)

static unsigned instruction_at(unsigned char *code) {
  unsigned instruction;
  __builtin_memcpy(&instruction, code, 4);
  return instruction;
}

static struct branch branch_at(unsigned char *code) {
  unsigned instruction = instruction_at(code);
  bool is_call = instruction >> 26 == 0x25, is_jump = instruction >> 26 == 0x05;
  struct branch branch = {is_call || is_jump, is_jump, code, code + (long)((int)(instruction << 6) >> 6) * 4};
  return branch;
}

static void aim(struct branch branch, unsigned char *target) {
  unsigned instruction = instruction_at(branch.field);
  instruction = (instruction & 0xfc000000) | ((unsigned)((target - branch.field) >> 2) & 0x03ffffff);
  __builtin_memcpy(branch.field, &instruction, 4);
  __builtin___clear_cache((char *)branch.field, (char *)branch.field + 4);
}

/* bti c; adrp x16, key; ldr x16, [x16, key]; or adr in place of adrp where a linker relaxed it. */
static void *key_of_trampoline(unsigned char *code) {
  unsigned adrp = instruction_at(code + 4), ldr = instruction_at(code + 8);
  if (instruction_at(code) != 0xd503245f || (adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400210)
    return 0;
  long pages = (long)((unsigned long)((adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3)) << 43) >> 43;
  return (void *)(((unsigned long)(code + 4) & ~4095UL) + (unsigned long)(pages * 4096) + (ldr >> 10 & 0xfff) * 8);
}

#endif

/* The first look at the table: what it says must be so before a patcher may write. */
static void check_sites(void) {
  for (struct site *site = __start_static_call_sites; site < __stop_static_call_sites; site++) {
    struct branch branch = branch_at(address_of(site));
    if (!branch.is_valid)
      printf("site %d: no branch\n", (int)(site - __start_static_call_sites));
    else if (branch.is_tail != is_marked_tail(site))
      printf("site %d: a call marked as jump, or a jump as call\n", (int)(site - __start_static_call_sites));
    else if (key_of_trampoline(branch.target) != (void *)key_of(site))
      printf("site %d: the trampoline of another key\n", (int)(site - __start_static_call_sites));
    else
      continue;
    exit(120);
  }
}

void key_changed(struct static_call_key *key) {
  if (!is_patching)
    return;
  for (struct site *site = __start_static_call_sites; site < __stop_static_call_sites; site++)
    if (key_of(site) == key)
      aim(branch_at(address_of(site)), key->func);
}

static void start_patching(void) {
  enum { readable = 1, writable = 2, executable = 4, page = 4096 };
  is_patching = true;
  for (struct site *site = __start_static_call_sites; site < __stop_static_call_sites; site++) {
    unsigned long first = (unsigned long)address_of(site) & ~(page - 1UL);
    unsigned long last = ((unsigned long)address_of(site) + 5) & ~(page - 1UL);
    if (mprotect((void *)first, last + page - first, readable | writable | executable) != 0) {
      printf("the code cannot be made writable\n");
      exit(121);
    }
    aim(branch_at(address_of(site)), key_of(site)->func);
  }
}

int main(int count, char **arguments) {
  check_sites();
  if (count > 1)
    start_patching();
  prepare_ways_in(arguments[0]);
  for (int i = 0; i < 8; i++)
    memory[i] = i * 7;
  for (int i = 0; i < 3; i++) {
    fuel = 900;
    note(99, start(i + 1));
  }
  for (int i = 0; i < 8; i++)
    note(98, memory[i]);
  end();
}
