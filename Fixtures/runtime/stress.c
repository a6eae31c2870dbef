/*
 * Threads that call through 100 keys while another one updates them as fast as it can.
 *
 *   stress SECONDS THREADS
 *
 * Each function says which key and which of that key's targets it is. A call is right where its target was the current one at some moment
 * of the call: not older than the last update that had returned before it began, nor newer than the last that had begun when it ended.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "check.h"

#define TARGETS 8

#define TEN(M, t) M(t##0) M(t##1) M(t##2) M(t##3) M(t##4) M(t##5) M(t##6) M(t##7) M(t##8) M(t##9)
#define HUNDRED(M) \
  TEN(M, 10) TEN(M, 11) TEN(M, 12) TEN(M, 13) TEN(M, 14) TEN(M, 15) TEN(M, 16) TEN(M, 17) TEN(M, 18) TEN(M, 19)

#define TARGET(key, number) static unsigned target_##key##_##number(void) { return key << 8 | number; }
#define KEY(key)                                                                                                \
  TARGET(key, 0) TARGET(key, 1) TARGET(key, 2) TARGET(key, 3) TARGET(key, 4) TARGET(key, 5) TARGET(key, 6) TARGET(key, 7) \
  DEFINE_STATIC_CALL(key_##key, target_##key##_0);                                                              \
  static unsigned (*const targets_##key[])(void) = {target_##key##_0, target_##key##_1, target_##key##_2, target_##key##_3, \
                                                    target_##key##_4, target_##key##_5, target_##key##_6, target_##key##_7}; \
  static int update_##key(unsigned number) { return static_call_update(key_##key, targets_##key[number % TARGETS]); }
HUNDRED(KEY)

/* CALLER(key): a function with a call and one with a tail call of it, from the compiler, or as assembly with the call across a cache line. */
#ifdef CROSSING
#define CALLER(key)                                                           \
  unsigned call_##key(void);                                                  \
  unsigned tail_##key(void);                                                  \
  __asm__(".text\n.p2align 6\n.globl call_" #key ", tail_" #key "\n"          \
          ".type call_" #key ", %function\n.type tail_" #key ", %function\n"  \
          "call_" #key ": subq $8, %rsp\n.skip 57, 0x90\ncall __SCT__key_" #key "\naddq $8, %rsp\nret\n" \
          ".size call_" #key ", . - call_" #key "\n"                          \
          ".p2align 6\ntail_" #key ": .skip 62, 0x90\njmp __SCT__key_" #key "\n" \
          ".size tail_" #key ", . - tail_" #key "\n");
#else
#define CALLER(key)                                                                             \
  __attribute__((noinline)) static unsigned call_##key(void) { return static_call(key_##key)() + 0u * static_call_calls; } \
  __attribute__((noinline)) static unsigned tail_##key(void) { return static_call(key_##key)(); }
static volatile unsigned static_call_calls;
#endif
HUNDRED(CALLER)

#define CALL_ENTRY(key) call_##key,
#define TAIL_ENTRY(key) tail_##key,
#define UPDATE_ENTRY(key) update_##key,
static unsigned (*const calls[])(void) = {HUNDRED(CALL_ENTRY)};
static unsigned (*const tails[])(void) = {HUNDRED(TAIL_ENTRY)};
static int (*const update[])(unsigned) = {HUNDRED(UPDATE_ENTRY)};
#define KEYS (sizeof calls / sizeof *calls)
#define FIRST_KEY 100

/* The number of each key's last update that has begun, and of the last that has returned. */
static _Atomic unsigned begun[KEYS], returned[KEYS];
static atomic_bool is_over;

struct result {
  uint64_t calls, overlapping;
};

static void *call_all(void *context) {
  struct result *result = context;
  for (unsigned i = 0; !atomic_load_explicit(&is_over, memory_order_relaxed); i += 1) {
    unsigned key = i % KEYS;
    unsigned earliest = atomic_load(&returned[key]);
    unsigned value = i / KEYS % 2 ? calls[key]() : tails[key]();
    unsigned latest = atomic_load(&begun[key]);
    CHECK(value >> 8 == key + FIRST_KEY);
    /* How far the target is behind the newest, counted in updates. */
    unsigned age = (latest - value) % TARGETS;
    CHECK((value & 0xff) < TARGETS && (age <= latest - earliest));
    result->calls += 1;
    result->overlapping += latest != earliest;
  }
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  unsigned seconds = (unsigned)atoi(argv[1]), count = (unsigned)atoi(argv[2]);
  pthread_t threads[64];
  struct result results[64] = {{0, 0}};
  CHECK(count >= 1 && count <= 64);
  struct static_call_stats stats;
  static_call_stats(&stats);
#ifdef CROSSING
  CHECK(stats.crossing == 2 * KEYS && stats.patched == 0);
#else
  CHECK(stats.patched + stats.crossing == 2 * KEYS);
#endif
  for (unsigned i = 0; i < count; i += 1) CHECK(pthread_create(&threads[i], NULL, call_all, &results[i]) == 0);
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  uint64_t updates = 0;
  do {
    for (unsigned key = 0; key < KEYS; key += 1) {
      unsigned number = atomic_load_explicit(&begun[key], memory_order_relaxed) + 1;
      atomic_store(&begun[key], number);
      CHECK(update[key](number) == 0);
      atomic_store(&returned[key], number);
      /* This thread, too, must see it at once. */
      CHECK((calls[key]() & 0xff) == number % TARGETS && (tails[key]() & 0xff) == number % TARGETS);
      updates += 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - start.tv_sec <= seconds);
  atomic_store(&is_over, 1);
  struct result all = {0, 0};
  for (unsigned i = 0; i < count; i += 1) {
    pthread_join(threads[i], NULL);
    all.calls += results[i].calls;
    all.overlapping += results[i].overlapping;
  }
  static_call_stats(&stats);
  CHECK(stats.failures == 0 && stats.updates == updates);
  printf("%llu updates, %llu calls, %llu of them during an update of their key; %u sites, %u direct, %u crossing\n",
         (unsigned long long)updates, (unsigned long long)all.calls, (unsigned long long)all.overlapping, stats.sites,
         stats.patched, stats.crossing);
  return 0;
}
