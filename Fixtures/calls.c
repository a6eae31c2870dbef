/*
 * Ordinary code with static calls in every position that a compiler treats in its own way. calls-main.c defines the static
 * calls, calls everything here and prints what comes out.
 */
#include "calls.h"

static long total;

/* Several calls of one key and of others in one stretch of code. */
long straight(long a) {
  long sum = __SCT__add(a, 1);
  __SCT__tick();
  sum = __SCT__add(sum, __SCT__add(sum, 2));
  __SCT__report("straight %ld\n", sum);
  return sum + 1;
}

long looped(int count) {
  long sum = 0;
  for (int i = 0; i < count; i++) {
    sum = __SCT__add(sum, i);
    if (sum % 3 == 0)
      __SCT__tick();
  }
  return sum;
}

/* Dense enough for a jump table. */
long switched(int which, long a) {
  switch (which) {
  case 0: return __SCT__add(a, 10);
  case 1: return __SCT__add(a, 21) * 3;
  case 2: __SCT__tick(); return a;
  case 3: return __SCT__report("three %ld\n", a);
  case 4: return __SCT__add(__SCT__add(a, a), 43);
  case 5: total += a; break;
  case 6: return __SCT__add(a, total) - a;
  case 7: __SCT__report("seven\n"); break;
  default: return -1;
  }
  return total;
}

void tail(void) {
  total++;
  __SCT__tick();
}

long tail_with_result(long a) { return __SCT__add(a, total); }

/* On x86-64 a conditional jump to the trampoline, where the compiler optimises for size. */
void conditional_tail(int is_wanted) {
  if (is_wanted)
    __SCT__tick();
}

void one_of_two_tails(int value, const char *reason) {
  if (value > 3)
    __SCT__tick();
  else
    __SCT__fail(reason);
}

int varargs(int i, double d) { return __SCT__report("%d %.2f %s %ld\n", i, d, "text", 1L << 40); }

struct box grown(struct box box) { return __SCT__grow(__SCT__grow(box, 1), 2); }

__attribute__((noinline, section(".text.unlikely"))) long cold(long a) {
  __SCT__report("cold %ld\n", a);
  return __SCT__add(a, -1);
}

/* The call on the path that a compiler may move away, and of which nothing comes back. */
long checked(long a) {
  if (__builtin_expect(a < 0, 0)) {
    __SCT__report("about to fail\n");
    __SCT__fail("negative");
    __builtin_unreachable();
  }
  return cold(a) + __SCT__add(a, a);
}

/* An ordinary indirect call among static ones. */
long through_pointer(long (*function)(long, long), long a) {
  return function(__SCT__add(a, 5), 6);
}
