/* Code as it is written with the portable macro, with static calls in every position that a compiler treats in its own way. */
#include "through-keys.h"

static long total;

/* Several calls of one key and of others in one stretch of code. */
long straight(long a) {
  long result = static_call(add)(a, 1);
  static_call(tick)();
  long taken = static_call(take)(result, 2);
  result = static_call(add)(result, taken);
  static_call(report)("straight %ld %ld\n", result, taken);
  return result + 1;
}

long looped(int count) {
  long result = 0;
  for (int i = 0; i < count; i++) {
    result = static_call(add)(result, i);
    if (result % 3 == 0)
      static_call(tick)();
  }
  return result;
}

long nested_loops(int count) {
  long result = 1;
  for (int i = 0; i < count; i++) {
    for (int j = i; j < count; j++) {
      if (j == i + 3)
        continue;
      result = static_call(add)(result, j) % 1000;
      if (result == 7)
        return result;
    }
    result = static_call(take)(result, i);
  }
  return result;
}

long conditional(int is_wanted, long a) {
  long result = a;
  if (is_wanted)
    result = static_call(add)(a, 11);
  else
    total++;
  return result + total;
}

/* Dense enough for a jump table. */
long switched(int which, long a) {
  switch (which) {
  case 0: return static_call(add)(a, 10);
  case 1: return static_call(take)(a, 21) * 3;
  case 2: static_call(tick)(); return a;
  case 3: return static_call(report)("three %ld\n", a);
  case 4: a = static_call(add)(a, a); return static_call(take)(a, 43);
  case 5: total += a; break;
  case 6: return static_call(add)(a, total) - a;
  case 7: static_call(report)("seven\n"); break;
  default: return -1;
  }
  return total;
}

void tail(void) {
  total++;
  static_call(tick)();
}

long tail_with_result(long a) { return static_call(add)(a, total); }

void conditional_tail(int is_wanted) {
  if (is_wanted)
    static_call(tick)();
}

void one_of_two_tails(int value, long a) {
  if (value > 3)
    static_call(tick)();
  else
    static_call(report)("not now %ld\n", a);
}

int varargs(int i, double d) { return static_call(report)("%d %.2f %s %ld\n", i, d, "text", 1L << 40); }

struct box grown(struct box box) {
  box = static_call(grow)(box, 1);
  box.left += total;
  return static_call(grow)(box, 2);
}

double scaled(double d) {
  double once = static_call(scale)(d, 1.5f);
  return static_call(scale)(once, 0.5f) + d;
}

/* More arguments than registers. */
long many_arguments(long a) {
  long result = static_call(fold)(a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7, a + 8, a + 9);
  return static_call(fold)(result, 9, 8, 7, 6, 5, 4, 3, 2, a) - result;
}

long recursive(long a) {
  if (a <= 0)
    return static_call(take)(a, 1);
  long rest = recursive(a - 1);
  return static_call(add)(rest, a) % 10007;
}

__attribute__((noinline, cold, section(".text.unlikely"))) long cold(long a) {
  static_call(report)("cold %ld\n", a);
  return static_call(add)(a, -1);
}

long in_array(long a) {
  long values[4];
  for (int i = 0; i < 4; i++)
    values[i] = static_call(add)(a, i) ^ i;
  static_call(tick)();
  return values[0] + values[3] * values[(unsigned long)a % 4];
}

/* A static call that may have no target. */
long tested(long a) {
  if (__SCK__hook.func)
    static_call(hook)(a);
  return a + 1;
}

void tested_tail(long a) {
  if (__SCK__hook.func)
    static_call(hook)(a);
}

long tested_in_loop(int count) {
  long result = 0;
  for (int i = 0; i < count; i++) {
    result += i;
    if (__SCK__hook.func != 0 && i % 2 == 0)
      static_call(hook)(result);
  }
  return result;
}

void tested_or_nothing(long a) {
  static_call_cond(hook)(a);
  total += a;
  static_call_cond(hook)(a + 1);
}

/* Compared with a function, as compilers do themselves with -fprofile-use. */
long tested_against(long a) {
  if (__SCK__add.func == (void *)sum)
    return a + 5;
  return static_call(add)(a, 5);
}

long kept_in_local(long a) {
  long (*function)(long, long) = static_call(add);
  long result = function(a, 1);
  total += result;
  return function(result, 2);
}

/* What both ways load, a compiler loads before they part: too far from the calls for a direct call to have room. */
long kept_for_two_ways(int which, long a) {
  long result;
  if (which)
    result = static_call(add)(a, 100);
  else
    result = static_call(add)(7, a);
  return result * 2;
}

long kept_over_update(long a) {
  long (*function)(long, long) = static_call(add);
  static_call_update(add, product);
  long result = function(a, 5);
  static_call_update(add, function);
  return result;
}

long kept_and_restored(long a) {
  void *old = __SCK__add.func;
  long result = static_call(add)(a, 3);
  static_call_update(add, product);
  result = static_call(add)(result, 3);
  static_call_update(add, old);
  return static_call(add)(result, 3);
}

/* What is written where the compiler cannot tell may be the key. */
long kept_over_store(void **place, long a) {
  long (*function)(long, long) = static_call(add);
  *place = (void *)product;
  return function(a, 4);
}

long kept_over_exchange(void **place, long a) {
  long (*function)(long, long) = static_call(add);
  void *old = __atomic_exchange_n(place, (void *)product, __ATOMIC_SEQ_CST);
  long result = function(a, 4);
  *place = old;
  return result;
}

long kept_over_copy(struct static_call_key *to, const struct static_call_key *from, long a) {
  long (*function)(long, long) = static_call(add);
  *to = *from;
  return function(a, 4);
}

long kept_over_branch(void **place, long a) {
  long (*function)(long, long) = static_call(add);
  if (a > 3)
    *place = (void *)product;
  return function(a, 4);
}

long kept_over_call(long a) {
  long (*function)(long, long) = static_call(add);
  change_add();
  return function(a, 6) + 1;
}

long kept_over_loop(int count) {
  long (*function)(long, long) = static_call(add);
  long result = 1;
  for (int i = 1; i < count; i++) {
    result = function(result, i);
    if (i == 2)
      change_add();
  }
  return result;
}

/* Whether the key is read before the arguments are evaluated is the compiler's choice, and it has to stay as chosen. */
long kept_over_argument(long a) { return static_call(add)(apply(product, a, 2), static_call(swap)(a, 7)); }

/* The target changes its own key. */
long kept_over_callee(long a) {
  long (*function)(long, long) = static_call(swap);
  long result = function(a, 1);
  result = function(result, 2);
  function = static_call(swap);
  return function(result, 3);
}

long kept_in_memory(long a) {
  long (*volatile function)(long, long) = static_call(add);
  change_add();
  return function(a, 8);
}

long kept_by_choice(int which, long a) { return (which ? static_call(add) : static_call(take))(a, 9); }

long kept_for_another(long a) { return apply(static_call(add), a, 10); }

long other_word(long a) { return __SCK__add.previous(a, 11) + __SCK__add.previous(a, 12); }

long other_key(const struct static_call_key *key, long a) {
  return ((__typeof__(__SCT__add) *)key->func)(a, 13);
}

long other_element(int which, long a) { return ((__typeof__(__SCT__many) *)__SCK__many[which].func)(a, 14) + 1; }

long other_fixed_element(long a) {
  long result = ((__typeof__(__SCT__many) *)__SCK__many[1].func)(a, 15);
  return ((__typeof__(__SCT__many) *)__SCK__many[2].func)(result, 16);
}
