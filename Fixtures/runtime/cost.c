/*
 * What a call costs, and what an update.
 *
 *   cost calls ROUNDS TURNS    for each loop a line: its name, and nanoseconds of one call in each round
 *   cost updates ROUNDS        for each number of sites a line: that, and nanoseconds of one update in each round
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

#include "check.h"
#include "cost.h"

DEFINE_STATIC_CALL(cost, target);

int (*volatile cost_pointer)(int) = target;

static const struct {
  const char *name;
  loop *run;
} loops[] = {
    {"empty", loop_empty},
    {"direct", loop_direct},
    {"patched", loop_patched},
    {"trampoline", loop_trampoline},
    {"pointer", loop_pointer},
    {"trampoline-retpoline", loop_trampoline_retpoline},
    {"pointer-retpoline", loop_pointer_retpoline},
};

#define LOOPS (sizeof loops / sizeof *loops)
#define MOST_ROUNDS 1000

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void measure_calls(int rounds, long turns) {
  static double times[LOOPS][MOST_ROUNDS];
  for (int round = -1; round < rounds; round += 1) {
    for (unsigned i = 0; i < LOOPS; i += 1) {
      double start = now();
      CHECK(loops[i].run(turns) == 0);
      if (round >= 0) times[i][round] = (now() - start) / (double)(turns * CALLS_PER_TURN);
    }
  }
  for (unsigned i = 0; i < LOOPS; i += 1) {
    printf("%s", loops[i].name);
    for (int round = 0; round < rounds; round += 1) printf(" %f", times[i][round]);
    printf("\n");
  }
}

/* Sites that nobody executes, a few to a cache line. */
#if defined(__x86_64__)
#define CALL_INSTRUCTION "call"
#else
#define CALL_INSTRUCTION "bl"
#endif
#define SITES(count)                                                                       \
  DEFINE_STATIC_CALL(sites_##count, target);                                               \
  __asm__(".text\n.type code_" #count ", %function\n.balign 64\ncode_" #count ":\n.rept " #count \
          "\n.balign 16\n" CALL_INSTRUCTION " __SCT__sites_" #count "\n.endr\n.size code_" #count ", . - code_" #count "\n"); \
  static int update_##count(int which) { return static_call_update(sites_##count, which ? target : other_target); }
SITES(1)
SITES(100)
SITES(10000)

static int is_over;

static void *keep_running(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) loop_patched(100);
  return NULL;
}

static void measure_update(int (*update)(int), unsigned sites, int rounds) {
  printf("%u", sites);
  for (int round = 0; round < rounds; round += 1) {
    double start = now();
    CHECK(update(round % 2) == 0);
    printf(" %f", now() - start);
  }
  printf("\n");
}

int main(int argc, char **argv) {
  CHECK(argc >= 3);
  int rounds = atoi(argv[2]);
  CHECK(rounds > 0 && rounds <= MOST_ROUNDS);
  struct static_call_stats stats;
  static_call_stats(&stats);
  CHECK(stats.patched == stats.sites && stats.sites == 10101 + CALLS_PER_TURN);
  if (strcmp(argv[1], "calls") == 0) {
    CHECK(argc == 4);
    measure_calls(rounds, atol(argv[3]));
    return 0;
  }
  /* Another thread makes the barrier at the end of an update interrupt another processor. */
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, keep_running, NULL) == 0);
  measure_update(update_1, 1, rounds);
  measure_update(update_100, 100, rounds);
  measure_update(update_10000, 10000, rounds);
  __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
  pthread_join(thread, NULL);
  return 0;
}
