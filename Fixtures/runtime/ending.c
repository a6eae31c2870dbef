/*
 * Updates after the runtime's own destructor has run: in destructors that come later, of a program or (with -DSHARED, called by call-check.c) of
 * a shared object that is unloaded.
 */
#include <unistd.h>

#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static int three(int x) { return x + 3; }
DEFINE_STATIC_CALL(step, one);

__attribute__((noinline)) static int call(int x) { return static_call(step)(x) + 1; }

static void check_updates(void) {
  CHECK(static_call_update(step, two) == 0 && call(1) == 4);
  CHECK(static_call_update(step, three) == 0 && call(1) == 5);
}

/* Destructors run in descending order, and the runtime's has the number 101. */
__attribute__((destructor(50))) static void end(void) {
  check_updates();
  static const char text[] = "ended\n";
  CHECK(write(1, text, sizeof text - 1) == sizeof text - 1);
}

#ifdef SHARED
__attribute__((visibility("default"))) int check(void) {
  check_updates();
  return 0;
}
#else
int main(void) {
  check_updates();
  return 0;
}
#endif
