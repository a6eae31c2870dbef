/* A shared object with a static call of its own. */
#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }

DEFINE_STATIC_CALL(step, one);

__attribute__((visibility("default"))) int library_call(int x) { return static_call(step)(x) * 10; }

__attribute__((visibility("default"))) int library_tail(int x) { return static_call(step)(x); }

__attribute__((visibility("default"))) int library_update(int which) { return static_call_update(step, which == 2 ? two : one); }

__attribute__((visibility("default"))) int library_print(void) {
  struct static_call_stats stats;
  static_call_stats(&stats);
  static_call_each_site(print_site, NULL);
  return (int)(stats.patched + stats.crossing) - (int)stats.sites;
}
