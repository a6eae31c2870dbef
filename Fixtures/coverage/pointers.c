/*
 * Trampolines called through pointers: such as every compiler sees through, such as only some do, and such as nobody may, because
 * the target is not known before the program runs. And their addresses where no call is made.
 */
#include "coverage.h"

struct operations {
  binary *add;
  long (*risk)(long);
};

static long near_total;

static binary *const constant = &__SCT__add;
static binary *const choices[] = {__SCT__add, 0, __SCT__add};
static const struct operations operations = {__SCT__add, __SCT__risk};
struct operations shared_operations = {__SCT__add, __SCT__risk};
static volatile int wanted = 1;

static long subtract(long a, long b) { return a - b; }
static long take_nearby(long a) { return near_total += a; }

/* A trampoline in the object of its callers. */
DEFINE_STATIC_CALL(nearby, take_nearby);

/* Constants */

long by_constant(long a) {
  static binary *const target = &__SCT__add;
  return target(a, 1) + target(a, 2);
}

long by_global_constant(long a) { return constant(a, constant(a, 3)); }

long by_address(long a) {
  (&__SCT__tick)();
  return (*&__SCT__add)(a, (&__SCT__add)(a, 4));
}

long by_static_call(long a) {
  static_call(tick)();
  a = static_call(add)(a, 3);
  if (a & 1)
    a = static_call(add)(a, 4);
  static_call(report)("by static call %ld\n", a);
  return static_call(add)(a, 5) + 1;
}

long by_static_call_in_loop(int count) {
  long sum = 0;
  for (int i = 0; i < count; i++) {
    sum = static_call(add)(sum, i);
    for (int j = 0; j < i; j++)
      static_call(tick)();
  }
  return sum;
}

long tail_by_static_call(long a, long b) { return static_call(add)(b, a); }

void tail_by_static_call_if(int is_wanted) {
  if (is_wanted)
    static_call(tick)();
}

int varargs_by_static_call(long a, double d) { return 1 + static_call(report)("%ld %.2f %s\n", a, d, "text"); }

struct box box_by_static_call(struct box box) { return static_call(grow)(static_call(grow)(box, 1), 2); }

double mix_by_static_call(double d) { return 1 + static_call(mix)(d, 2, 3, d, 5, 6, d, 8, 9, d, 11, 12); }

long crowd_by_static_call(long a) { return 1 + static_call(crowd)(a, 2, 3, a, 5, 6, a, 8, 9, a, 11); }

long leave_by_static_call(long a) {
  if (a < 0)
    static_call(leave)(7);
  return a;
}

/* Variables */

long by_local(long a) {
  binary *target = __SCT__add;
  a = target(a, 1);
  __SCT__tick();
  a = target(a, 2);
  return target(a, 3);
}

long by_reassigned(long a) {
  binary *target = __SCT__add;
  a = target(a, 1);
  target = subtract;
  a = target(a, 2);
  target = __SCT__add;
  return target(a, 3) + 1;
}

long by_selected(int is_sum, long a) {
  binary *target = is_sum ? __SCT__add : subtract;
  return target(a, 1) + target(a, 2);
}

long by_selected_once(int is_sum, int count) {
  binary *target = __SCT__add;
  long sum = 0;
  for (int i = 0; i < count; i++) {
    sum = target(sum, i);
    if (!is_sum)
      target = subtract;
  }
  return target(sum, 1);
}

long by_selected_among_equal(int which, long a) {
  binary *target;
  if (which) {
    __SCT__tick();
    target = __SCT__add;
  } else {
    a++;
    target = __SCT__add;
  }
  return target(a, which) + 1;
}

long by_switch(int which, long a) {
  binary *target = subtract;
  switch (which) {
  case 0: target = __SCT__add; break;
  case 1: a++; target = __SCT__add; break;
  case 2: a *= 3; break;
  case 3: a -= near_total; target = __SCT__add; break;
  case 4: a = __SCT__add(a, 4); break;
  case 5: return __SCT__add(a, 5);
  }
  return target(a, which);
}

long by_volatile(long a) {
  binary *volatile target = __SCT__add;
  return target(a, 1) + target(a, 2);
}

long by_array(int which, long a) {
  binary *targets[3] = {__SCT__add, subtract, choices[which]};
  return targets[which](a, 1) + choices[2](a, 2);
}

long by_structure(long a) {
  struct operations local = {__SCT__add, __SCT__risk};
  a = operations.add(a, 1) + operations.risk(a);
  a = shared_operations.add(a, 2) + shared_operations.risk(a);
  return local.add(a, 3) + local.risk(a);
}

/* The compiler cannot know the pointer any longer, nor can anybody else. */
long by_opaque(long a) {
  binary *target = __SCT__add;
  __asm__("" : "+r"(target));
  a = target(a, 1);
  __asm__("" : "+r"(target));
  return target(a, 2);
}

static __attribute__((noinline)) long use(binary *target, long a) { return target(a, 1) + target(a, 2); }

long by_argument(long a) { return use(__SCT__add, a) + use(subtract, a) + __SCT__apply(__SCT__add, a); }

long by_cast(long a) {
  void (*generic)(void) = (void (*)(void))__SCT__add;
  unsigned long number = (unsigned long)&__SCT__add;
  return ((binary *)generic)(a, 1) + ((binary *)number)(a, 2);
}

long by_guarded(long a) {
  binary *target = wanted ? __SCT__add : 0;
  if (target)
    return target(a, 1);
  return a;
}

/* Kept in a register around a loop */

long by_hoisted(int count) {
  binary *target = __SCT__add;
  long sum = 0;
  for (int i = 0; i < count; i++)
    sum = target(target(sum, i), target(i, i));
  return sum;
}

long by_hoisted_pair(int count) {
  binary *target = __SCT__add;
  void (*step)(void) = __SCT__tick;
  long sum = 0;
  do {
    step();
    sum = target(sum, count);
    if (sum % 3)
      step();
    else
      sum = target(sum, 1);
  } while (--count > 0);
  return target(sum, near_total);
}

long by_hoisted_and_compared(int count, binary *other) {
  binary *target = __SCT__add;
  long sum = 0;
  for (int i = 0; i < count; i++) {
    sum = target(sum, i);
    if (other == target)
      sum++;
  }
  return sum;
}

/* No calls */

binary *returned(int is_sum) { return is_sum ? __SCT__add : subtract; }

int compared(binary *target) { return target == __SCT__add; }

long key_read(void) { return __SCK__add.users + (__SCK__add.func != 0); }

long near(long a) {
  long sum = __SCT__nearby(a) + static_call(nearby)(a + 1);
  return __SCT__nearby(sum);
}
