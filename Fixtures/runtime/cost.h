/* Loops of calls that do nothing, each compiled in several ways (Scripts/runtime-cost.py). */
#ifndef COST_H
#define COST_H

#include <static_call.h>

#define CALLS_PER_TURN 8

/* In a file of its own, so that no compiler looks into it. */
int target(int x);
int other_target(int x);

DECLARE_STATIC_CALL(cost, target);
DECLARE_STATIC_CALL(cost_retpoline, target);

typedef int loop(long turns);

/* The loops of cost-loops.c, by what they call and how they are compiled. */
loop loop_empty, loop_direct, loop_patched, loop_trampoline, loop_pointer, loop_trampoline_retpoline, loop_pointer_retpoline;

#endif
