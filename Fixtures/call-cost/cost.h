/*
 * What the parts of the call-cost program share. There is one static call for each state in which a call site is measured, all
 * with one target, so that one process can measure the states in turns.
 */
#ifndef COST_H
#define COST_H

struct static_call_key {
  long (*func)(long);
};

/* Each loop makes this many calls in each turn; caller.c has them written out. */
#define CALLS_PER_TURN 8

/* target.c. Hidden, so that calling it by its name is a direct call even with -fno-plt. */
__attribute__((visibility("hidden"))) long target(long);

/* caller.c, compiled once for each state; what they return depends on each call. */
long loop_empty(long turns);
long loop_plain(long turns);
long loop_before(long turns);
long loop_after(long turns);
long loop_patched(long turns);

/* patch.c: aims all call sites of the key at its function; returns how many, or -1 after saying what is wrong. */
int patch_sites(const struct static_call_key *key);

#endif
