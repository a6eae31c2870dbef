/*
 * What Scripts/random-programs.py's programs see of random-calls.c: static calls of many prototypes, ordinary functions of the
 * same prototypes, and the means to print, to change keys, and to leave a function by other ways than its return.
 */
#ifndef RANDOM_CALLS_H
#define RANDOM_CALLS_H

#include <setjmp.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As if the file that defines the trampolines were part of the same program, which it is. */
#ifdef HIDDEN
#pragma GCC visibility push(hidden)
#endif
#include "calls.h"

/* Fits into registers, one of each kind on x86-64. */
struct pair {
  long whole;
  double part;
};

/* DECLARE makes a static call, or declares one of the ordinary functions that are its first targets. */
#define RANDOM_CALLS(DECLARE)                                                                      \
  DECLARE(sub, long, long, long)                                                                   \
  DECLARE(tock, void, void)                                                                        \
  DECLARE(shrink, struct box, struct box, long)                                                    \
  DECLARE(pick, int, int)                                                                          \
  DECLARE(poke, int, int)                                                                          \
  DECLARE(mark, void, long)                                                                        \
  DECLARE(stain, void, long)                                                                       \
  DECLARE(scale, double, double, double)                                                           \
  DECLARE(shift, double, double, double)                                                           \
  DECLARE(follow, long *, long *, int)                                                             \
  DECLARE(turn, struct pair, struct pair)                                                          \
  DECLARE(many, long, long, int, long, short, long, long, double, long, char, long)                \
  DECLARE(small, unsigned char, unsigned char, short)                                              \
  DECLARE(wide, __int128, __int128, long)                                                          \
  DECLARE(even, bool, long)                                                                        \
  DECLARE(apply, long, long (*)(long, long), long)                                                 \
  DECLARE(leave, __attribute__((noreturn)) void, long)

#define DECLARE_RANDOM_CALL(name, ...) DECLARE_STATIC_CALL(name, __VA_ARGS__);
#define DECLARE_TARGETS(name, result, ...)  \
  extern result name##_0(__VA_ARGS__);      \
  extern result name##_1(__VA_ARGS__);      \
  extern result name##_2(__VA_ARGS__);
RANDOM_CALLS(DECLARE_RANDOM_CALL)
RANDOM_CALLS(DECLARE_TARGETS)
DECLARE_TARGETS(add, long, long, long)
DECLARE_TARGETS(report, int, const char *, ...)
DECLARE_TARGETS(grow, struct box, struct box, long)
DECLARE_TARGETS(tick, void, void)
DECLARE_TARGETS(fail, void, const char *)

#ifdef THROUGH_KEYS
/* The portable way without trampolines: an indirect call through the key's first word. */
#define static_call(name) (*(__typeof__(__SCT__##name) *)__SCK__##name.func)
#else
#define static_call(name) __SCT__##name
#endif

/* key_changed aims the call sites anew, where the program is its own patcher. */
#define change(name, target) (__SCK__##name.func = (void *)(target), key_changed(&__SCK__##name))
extern void key_changed(struct static_call_key *);

/* How calls that do not return find their way; blocks that set it put back what was there. */
struct context {
  jmp_buf *landing;
  int catchers;
};
extern struct context context;
extern void (*throw_long)(long) __attribute__((noreturn));

/* What is left to do; functions and loops end without it, so that every program ends. */
extern long fuel;
extern long memory[8];
extern void note(int place, long value);
extern void *opaque(void *);

/* The program. */
extern long start(long);

/* What random-ways-in.c does before the program starts; it finds the probes in the program's file. */
extern void prepare_ways_in(const char *program);
#include "random-ways-in.h"

#ifdef HIDDEN
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
