/*
 * main ROUNDS TURNS: measures each state of a call site, taking turns, round after round. Prints a line for each state: its name,
 * and for each round the nanoseconds of one call with its share of the loop's own.
 */
#include "cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* include/asm/static_call.h: a jump through the key, as long as no runtime writes the target into it. */
#define DEFINE_STATIC_CALL(name)                   \
  struct static_call_key __SCK__##name = {target}; \
  __asm__(".pushsection .static_call.text, \"ax\"\n" \
          "  .balign 64\n"                         \
          "  .globl __SCT__" #name "\n"            \
          "  .type __SCT__" #name ", @function\n"  \
          "__SCT__" #name ":\n"                    \
          "  jmp *__SCK__" #name "(%rip)\n"        \
          "  .byte 0x0f, 0xb9, 0xcc\n" /* ud1 */   \
          "  .size __SCT__" #name ", . - __SCT__" #name "\n" \
          ".popsection\n")

DEFINE_STATIC_CALL(before);
DEFINE_STATIC_CALL(after);
DEFINE_STATIC_CALL(patched);

static const struct {
  const char *name;
  long (*loop)(long);
  long calls_per_turn;
} states[] = {
    {"empty", loop_empty, 0},
    {"plain", loop_plain, CALLS_PER_TURN},
    {"before", loop_before, CALLS_PER_TURN},
    {"after", loop_after, CALLS_PER_TURN},
    {"patched", loop_patched, CALLS_PER_TURN},
};
enum { STATES = sizeof states / sizeof *states };

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds of one of the calls, or of as much of an empty loop. */
static double measure(long (*loop)(long), long turns, long result) {
  double start = nanoseconds();
  long value = loop(turns);
  double end = nanoseconds();
  if (value != result) {
    fprintf(stderr, "a loop made %ld calls and not %ld\n", value, result);
    exit(1);
  }
  return (end - start) / (double)(turns * CALLS_PER_TURN);
}

int main(int count, char **arguments) {
  if (count != 3) return 64;
  int rounds = atoi(arguments[1]);
  long turns = atol(arguments[2]);
  double *times = calloc((size_t)rounds * STATES, sizeof *times);
  if (rounds < 1 || turns < 1 || times == NULL) return 64;
  if (patch_sites(&__SCK__patched) != CALLS_PER_TURN) {
    fprintf(stderr, "%s: not all call sites are in the table\n", arguments[0]);
    return 1;
  }
  /* The first round warms up. */
  for (int round = -1; round < rounds; round++) {
    for (int state = 0; state < STATES; state++) {
      double time = measure(states[state].loop, turns, turns * states[state].calls_per_turn);
      if (round >= 0) times[state * rounds + round] = time;
    }
  }
  for (int state = 0; state < STATES; state++) {
    printf("%s", states[state].name);
    for (int round = 0; round < rounds; round++) printf(" %.4f", times[state * rounds + round]);
    printf("\n");
  }
  free(times);
  return 0;
}
