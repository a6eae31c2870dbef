/* Static calls of all kinds, queried, updated, and called from two files. Built as C and as C++. */
#include "program.h"

static int notified;

int add_one(int x) { return x + 1; }
int add_two(int x) { return x + 2; }
static void remember(int x) { notified = x; }
static int seven(void) { return 7; }

DEFINE_STATIC_CALL(add, add_one);
DEFINE_STATIC_CALL_NULL(notify, void(int));
DEFINE_STATIC_CALL_RET0(count, int(void));

#ifdef __cplusplus
int call_inline_elsewhere(int x);
#endif

__attribute__((noinline)) static int call_here(int x) {
  static_call(notify)(x);
  return static_call(add)(x) + static_call(count)();
}

__attribute__((noinline)) static int tail_if(int x) {
  if (x > 0) return static_call(add)(x);
  return -1;
}

__attribute__((noinline)) static void notify_last(int x) { static_call(notify)(x); }

static void expect(int added, int counted, int told) {
  notified = -1;
  CHECK(call_here(1) == 1 + added + counted);
  CHECK(notified == (told ? 1 : -1));
  CHECK(call_elsewhere(10) == 10 + added + counted);
  CHECK(tail_elsewhere(20) == 20 + added);
  CHECK(tail_if(30) == 30 + added);
  CHECK(tail_if(-30) == -1);
  notify_last(5);
  CHECK(notified == (told ? 5 : -1));
#ifdef __cplusplus
  CHECK(call_inline(40) == 40 + added + counted);
  CHECK(call_template<2>(50) == 2 * (50 + added));
  CHECK(call_inline_elsewhere(60) == 60 + added + counted + 3 * (60 + added));
#endif
}

int main(int argc, char **argv) {
  expect(1, 0, 0);
  CHECK(static_call_query(add) == add_one);
  CHECK(static_call_query(notify) == NULL);

  CHECK(static_call_update(add, add_two) == 0);
  expect(2, 0, 0);
  CHECK(static_call_query(add) == add_two);

  CHECK(static_call_update(notify, remember) == 0);
  CHECK(static_call_update(count, seven) == 0);
  expect(2, 7, 1);
  if (argc > 1 && strcmp(argv[1], "sites") == 0) static_call_each_site(print_site, NULL);

  CHECK(static_call_update(notify, NULL) == 0);
  CHECK(static_call_update(count, STATIC_CALL_RET0(count)) == 0);
  CHECK(static_call_update(add, STATIC_CALL_RET0(add)) == 0);
  notified = -1;
  CHECK(call_here(1) == 0 && notified == -1 && tail_elsewhere(9) == 0);

  for (int i = 0; i < 1000; i += 1) {
    CHECK(static_call_update(add, i % 2 ? add_one : add_two) == 0);
    expect(i % 2 ? 1 : 2, 0, 0);
  }

  struct static_call_stats stats;
  static_call_stats(&stats);
  CHECK(stats.sites == stats.patched + stats.crossing + stats.out_of_range + stats.unexpected + stats.denied + stats.idle);
  printf("keys %u sites %u patched %u crossing %u others %u\n", stats.keys, stats.sites, stats.patched, stats.crossing,
         stats.sites - stats.patched - stats.crossing);
  return 0;
}
