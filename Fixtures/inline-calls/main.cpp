// The trampolines, the targets, and the program.
#include "inline-calls.h"

extern "C" int printf(const char *, ...);

#if defined(__x86_64__)
#define TRAMPOLINE(name) "  .balign 4\n__SCT__" #name ":\n  jmp *__SCK__" #name "(%rip)\n  .byte 0x0f, 0xb9, 0xcc\n"
#elif defined(__aarch64__)
#define TRAMPOLINE(name)                                                                         \
  "  .balign 16\n__SCT__" #name ":\n  hint #34\n  adrp x16, __SCK__" #name "\n"                  \
  "  ldr x16, [x16, :lo12:__SCK__" #name "]\n  br x16\n"
#endif

#define DEFINE_STATIC_CALL(name, target)                                                         \
  static_call_key __SCK__##name = {reinterpret_cast<void *>(target), 0};                         \
  __asm__(".pushsection .static_call.text, \"ax\"\n  .globl __SCT__" #name "\n  .hidden __SCT__" #name "\n" \
          "  .type __SCT__" #name ", %function\n" TRAMPOLINE(name) "  .size __SCT__" #name ", . - __SCT__" #name "\n" \
          ".popsection\n")

static long sum(long a, long b) { return a + b; }
static long difference(long a, long b) { return a - b; }
static void print(const char *text) { printf("%s ", text); }
static void give_up(long step) { throw step; }

DEFINE_STATIC_CALL(add, sum);
DEFINE_STATIC_CALL(note, print);
DEFINE_STATIC_CALL(refuse, give_up);

#ifdef WITH_TABLE
// What a runtime patcher has: references to the borders of the table of user space, which make linkers keep it. (For gold, they
// must not be weak.)
struct static_call_site {
  int address, key;
};
extern "C" const static_call_site __start_static_call_sites[] __attribute__((visibility("hidden")));
extern "C" const static_call_site __stop_static_call_sites[] __attribute__((visibility("hidden")));
static bool has_table() { return &__start_static_call_sites[0] != &__stop_static_call_sites[0]; }
#else
static bool has_table() { return true; }
#endif

static long round_of_calls(long value) {
  const long one = from_one(value), two = from_two(value);
  Doubling doubling;
  long caught = 0;
  try {
    doubling.checked(-value);
  } catch (long step) {
    caught = step;
  }
  printf("%ld %ld %ld %ld\n", one, two, twice<Red>(value) + twice<Blue>(value), caught);
  return one + two;
}

int main() {
  round_of_calls(5);
  __SCK__add.func = reinterpret_cast<void *>(difference);
  round_of_calls(7);
  return has_table() ? 0 : 1;
}
