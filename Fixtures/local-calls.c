/*
 * Static calls of one source file only, for Scripts/mutants.py: keys and trampolines are local symbols, and an assembler refers to such a
 * trampoline by its section. The key of `exported` is another module's: its entry names the trampoline (annotate --module).
 */
#include "calls.h"

#define DEFINE_LOCAL_STATIC_CALL(name, target)                                         \
  static struct static_call_key __SCK__##name __attribute__((used)) = {target, 0};     \
  __asm__(".pushsection .static_call.text, \"ax\"\n"                                   \
          "  .type __SCT__" #name ", %function\n" TRAMPOLINE(name)                      \
          "  .size __SCT__" #name ", . - __SCT__" #name "\n"                            \
          ".popsection\n")

long __SCT__twice(long);
long __SCT__half(long);
long __SCT__exported(long);

static long doubled(long a) { return 2 * a; }
static long halved(long a) { return a / 2; }

DEFINE_LOCAL_STATIC_CALL(twice, doubled);
DEFINE_LOCAL_STATIC_CALL(half, halved);

long local(long a) { return __SCT__twice(a) + __SCT__half(a + 1); }
long local_tail(long a) { return __SCT__half(a + 7); }
long mixed(long a) { return __SCT__twice(__SCT__add(a, 3)) - 1; }
long of_another_module(long a) { return __SCT__exported(a) + 2; }
