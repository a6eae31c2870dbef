/*
 * The loop that is measured. STATE chooses its name and what it calls: nothing (empty), the target by its name (plain), or the
 * trampoline of the state's own static call. The calls are written out, so that little of a turn is the loop's own.
 */
#include "cost.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#if defined(EMPTY)
/* As much of a turn as is left without the calls. */
static inline long call(long value) {
  __asm__ volatile("" : "+r"(value));
  return value;
}
#elif defined(PLAIN)
#define call target
#else
#define KEY JOIN(__SCK__, STATE)
#define call JOIN(__SCT__, STATE)
extern struct static_call_key KEY;
extern long call(long);
/* Puts the key into the object's symbol table. */
static void *const use_key __attribute__((used, section(".discard.addressable"))) = &KEY;
#endif

/*
 * Between two calls no register but the counter's keeps its value. Otherwise compilers load the trampoline's address once, before
 * the loop, and what is measured is no longer the call that they make elsewhere.
 */
#define CALL           \
  value = call(value); \
  __asm__ volatile("" : "+r"(left) : : "rbx", "rbp", "r13", "r14", "r15")

long JOIN(loop_, STATE)(long turns) {
  register long left __asm__("r12") = turns;
  long value = 0;
  for (; left != 0; left--) {
    CALL;
    CALL;
    CALL;
    CALL;
    CALL;
    CALL;
    CALL;
    CALL;
  }
  return value;
}
