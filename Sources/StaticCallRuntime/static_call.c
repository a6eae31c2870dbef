/*
 * The patcher: makes the sites of this program, or of this shared object, direct branches to the current targets.
 *
 * Rules that make it right while other threads run (and see the architecture's own file):
 *
 * - Only the target of a branch changes, never its opcode or length, so no thread is ever inside of it.
 * - A call that is not patched goes through the trampoline, which jumps through the key. The key changes first.
 * - All pages are made writable before anything changes, and stay executable all the time. If one of them cannot be, nothing has changed.
 * - An update succeeds only if no call is left at the old target: where patched sites cannot be changed any more, it fails and the key
 *   stays as it was; where all calls go through the key, it needs no more than that.
 * - An update ends with a barrier that makes every processor of the process fetch its instructions anew (membarrier(2),
 *   SYNC_CORE). One before the change makes them see what the caller wrote for the new function: on AArch64 nothing else orders that
 *   before a new branch. Where the kernel has no such barrier, nothing is patched.
 * - Valgrind executes translations of the code, which it keeps. It is told of each change.
 *
 * Each program and shared object has its own copy of all this, with its own table, keys and lock.
 */
#define _GNU_SOURCE
#include "include/static_call.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "architecture.h"
#include "own_object.h"
#include "report.h"

/* An entry of the table (`staticcall annotate --abi user`): both fields are relative to themselves. */
struct table_entry {
  int32_t site;
  int32_t key; /* bit 0: a tail call; bit 1 is not used */
};

#define TAIL 1
#define FLAGS 3

/* The linker makes these two from the name of the section. */
extern const struct table_entry __start_static_call_sites[] __attribute__((visibility("hidden")));
extern const struct table_entry __stop_static_call_sites[] __attribute__((visibility("hidden")));

/*
 * An empty part of the table, which lives and dies with a word of code that this file refers to. So there always is a table, and strong references
 * to its borders do no harm: gold takes these, and only these, for a reason to keep the table when it collects garbage. It is
 * ordered like the parts that annotate writes, because not all linkers combine ordered and unordered ones.
 */
extern const char static_call_anchor[] __attribute__((visibility("hidden")));
__asm__(".pushsection .text.static_call_anchor,\"ax\",%progbits\n"
        ".balign 4\n"
        ".globl static_call_anchor\n"
        ".hidden static_call_anchor\n"
        "static_call_anchor: .long 0\n"
        ".popsection\n"
        ".pushsection static_call_sites,\"ao\",%progbits,static_call_anchor\n"
        ".balign 4\n"
        ".popsection\n");

/* A site, as it was found. */
struct static_call_place {
  uintptr_t site;
  uintptr_t original; /* where the linker had it go: the trampoline, or a stub before it */
  struct static_call_key *key;
  bool is_tail;
  enum static_call_state state;
};

/* Ranges of pages that lie closer together than this are made writable in one go. */
#define NEAR_PAGES 32

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct static_call_place *places; /* by key, then address */
static size_t place_count;
static struct static_call_range *ranges; /* room for as many as there are places */
static uintptr_t page_size;
static bool is_off;  /* nothing is patched */
static bool is_over; /* all sites go back to where they went at first */
static int last_error;
static uint64_t updates, failures;

void static_call_return(void) {}

/* Patching. The lock is held. */

static bool is_patchable(const struct static_call_place *place) {
  return place->state != STATIC_CALL_CROSSING && place->state != STATIC_CALL_UNEXPECTED && !is_off;
}

/* Where a site is to go once the target of its key is `func`. */
static uintptr_t wanted(const struct static_call_place *place, void (*func)(void)) {
  return !is_over && static_call_reaches(place->site, (uintptr_t)func) ? (uintptr_t)func : place->original;
}

static bool needs_change(const struct static_call_place *place, void (*func)(void)) {
  return is_patchable(place) && static_call_branch_target(place->site) != wanted(place, func);
}

/* Collects the pages of sites that change, which come in ascending order of address. */
static size_t collect_ranges(const struct static_call_place *some, size_t count, void (*func)(void)) {
  size_t used = 0;
  const struct static_call_range *last_segment = NULL;
  for (size_t i = 0; i < count; i += 1) {
    const struct static_call_place *place = &some[i];
    if (!needs_change(place, func ? func : place->key->func)) continue;
    const struct static_call_range *segment = static_call_segment_of(place->site);
    uintptr_t start = place->site & -page_size;
    uintptr_t end = (place->site + static_call_branch_length(place->site) + page_size - 1) & -page_size;
    if (segment == last_segment && start <= ranges[used - 1].end + NEAR_PAGES * page_size) {
      ranges[used - 1].end = end;
    } else {
      ranges[used++] = (struct static_call_range){.start = start, .end = end, .protection = segment->protection};
    }
    last_segment = segment;
  }
  return used;
}

static void restore_protection(size_t count) {
  for (size_t i = 0; i < count; i += 1)
    mprotect((void *)ranges[i].start, ranges[i].end - ranges[i].start, ranges[i].protection);
}

/* Returns 0, or an errno value; then no page has changed. */
static int make_writable(size_t count) {
  for (size_t i = 0; i < count; i += 1) {
    const struct static_call_range *range = &ranges[i];
    if (mprotect((void *)range->start, range->end - range->start, range->protection | PROT_READ | PROT_WRITE) != 0) {
      int error = errno;
      restore_protection(i);
      return error;
    }
  }
  return 0;
}

/* Has Valgrind translate code anew: its client request VG_USERREQ__DISCARD_TRANSLATIONS (valgrind.h). Elsewhere nothing happens. */
static void discard_translations(uintptr_t start, uintptr_t size) {
  const uintptr_t request[6] = {0x1002, start, size};
  static_call_ask_valgrind(request);
}

static int membarrier(int command) { return (int)syscall(SYS_membarrier, command, 0, 0); }

/*
 * Aims places at `func`, or where that is null at their keys' targets. Pages of these are writable. With `func`, the places are those of
 * one key.
 */
static void aim(struct static_call_place *some, size_t count, void (*func)(void)) {
  for (size_t i = 0; i < count; i += 1) {
    struct static_call_place *place = &some[i];
    if (!is_patchable(place)) continue;
    uintptr_t target = wanted(place, func ? func : place->key->func);
    if (static_call_branch_target(place->site) != target) {
      static_call_set_target(place->site, target);
      discard_translations(place->site, static_call_branch_length(place->site));
    }
    place->state = target == place->original ? STATIC_CALL_OUT_OF_RANGE : STATIC_CALL_PATCHED;
  }
}

/*
 * The whole of a change: aims places, which are in ascending order of address, as `aim` says; and `key`, where there is one, at `func`.
 * Returns 0, or an errno value; then nothing has changed.
 */
static int change(struct static_call_place *some, size_t count, struct static_call_key *key, void (*func)(void)) {
  size_t used = collect_ranges(some, count, func);
  if (used != 0 && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) != 0) return errno;
  int error = make_writable(used);
  if (error != 0) return error;
  if (key) __atomic_store_n(&key->func, func, __ATOMIC_RELEASE);
  aim(some, count, func);
  restore_protection(used);
  if (used != 0) membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
  return 0;
}

/* Makes all places direct for the first time. They are in ascending order of address. */
static void patch_all(void) {
  last_error = change(places, place_count, NULL, NULL);
  if (last_error == 0) return;
  for (size_t i = 0; i < place_count; i += 1)
    if (is_patchable(&places[i])) places[i].state = STATIC_CALL_DENIED;
}

/* Whether each patched place still is the branch that it was. A debugger's breakpoint would be lost, or lose the change. */
static bool are_as_left(const struct static_call_place *some, size_t count) {
  for (size_t i = 0; i < count; i += 1) {
    const struct static_call_place *place = &some[i];
    if (is_patchable(place) && !static_call_is_branch(place->site, place->is_tail)) return false;
  }
  return true;
}

static int update(struct static_call_key *key, void (*func)(void)) {
  if (!are_as_left(key->places, key->count)) return -EBUSY;
  int error = change(key->places, key->count, key, func);
  if (error == 0) return 0;
  last_error = error;
  for (uint32_t i = 0; i < key->count; i += 1)
    if (key->places[i].state == STATIC_CALL_PATCHED && needs_change(&key->places[i], func)) return -error;
  /* No call goes past the key: the update takes effect through it. */
  for (uint32_t i = 0; i < key->count; i += 1)
    if (needs_change(&key->places[i], func)) key->places[i].state = STATIC_CALL_DENIED;
  __atomic_store_n(&key->func, func, __ATOMIC_RELEASE);
  return 0;
}

int static_call_update_key(struct static_call_key *key, void (*func)(void)) {
  if (func == NULL) func = static_call_return;
  pthread_mutex_lock(&lock);
  int result = update(key, func);
  if (result == 0) updates += 1;
  else failures += 1;
  pthread_mutex_unlock(&lock);
  return result;
}

/* The beginning and the end. */

static int by_address(const void *first, const void *second) {
  const struct static_call_place *a = first, *b = second;
  return a->site < b->site ? -1 : a->site > b->site;
}

static int by_key(const void *first, const void *second) {
  const struct static_call_place *a = first, *b = second;
  if (a->key != b->key) return (uintptr_t)a->key < (uintptr_t)b->key ? -1 : 1;
  return by_address(first, second);
}

static enum static_call_state first_state(const struct static_call_place *place) {
  const struct static_call_range *segment = static_call_segment_of(place->site);
  if (!segment || !static_call_is_branch(place->site, place->is_tail) ||
      segment->end - place->site < static_call_branch_length(place->site))
    return STATIC_CALL_UNEXPECTED;
  return static_call_is_changeable(place->site) ? STATIC_CALL_IDLE : STATIC_CALL_CROSSING;
}

/* Reads the table. Folding of identical code gives a site several entries. */
static void read_table(void) {
  size_t count = (size_t)(__stop_static_call_sites - __start_static_call_sites);
  if (count == 0) return;
  places = calloc(count, sizeof *places);
  ranges = calloc(count, sizeof *ranges);
  if (!places || !ranges) {
    last_error = ENOMEM;
    return;
  }
  for (size_t i = 0; i < count; i += 1) {
    const struct table_entry *entry = &__start_static_call_sites[i];
    struct static_call_place *place = &places[i];
    place->site = (uintptr_t)&entry->site + (uintptr_t)(intptr_t)entry->site;
    place->key = (struct static_call_key *)((uintptr_t)&entry->key + (uintptr_t)(intptr_t)(entry->key & ~FLAGS));
    place->is_tail = entry->key & TAIL;
    place->state = first_state(place);
    if (place->state != STATIC_CALL_UNEXPECTED) place->original = static_call_branch_target(place->site);
  }
  qsort(places, count, sizeof *places, by_address);
  for (size_t i = 0; i < count; i += 1)
    if (place_count == 0 || places[i].site != places[place_count - 1].site) places[place_count++] = places[i];
}

/* Gives each key its places. */
static void index_by_key(void) {
  qsort(places, place_count, sizeof *places, by_key);
  for (size_t i = 0; i < place_count; i += 1) {
    struct static_call_key *key = places[i].key;
    if (i == 0 || places[i - 1].key != key) key->places = &places[i];
    key->count += 1;
  }
}

static void lock_for_fork(void) { pthread_mutex_lock(&lock); }

static void unlock_after_fork(void) { pthread_mutex_unlock(&lock); }

/* Before all constructors without a priority. Calls that are made earlier go through the trampoline. */
__attribute__((constructor(101))) static void start(void) {
  pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
  pthread_mutex_lock(&lock);
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  static_call_find_object(static_call_anchor);
  read_table();
  is_off = static_call_is_switched_off() || membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) != 0;
  if (!is_off) patch_all();
  index_by_key();
  pthread_mutex_unlock(&lock);
}

/* Makes all sites go through the trampoline again. Returns whether they do. */
static bool take_all_back(void) {
  if (!are_as_left(places, place_count)) return false;
  qsort(places, place_count, sizeof *places, by_address);
  is_over = true;
  if (change(places, place_count, NULL, NULL) == 0) return true;
  is_over = false;
  qsort(places, place_count, sizeof *places, by_key);
  return false;
}

/*
 * At the end of the program, or of the shared object. Threads, and destructors that run later, may go on to call and to update until the very
 * end: the program keeps its table for them. Without its table, a shared object has only keys to update, and so no site may go past these.
 */
__attribute__((destructor(101))) static void stop(void) {
  static_call_print_report();
  pthread_mutex_lock(&lock);
  if (!static_call_object.is_program && place_count != 0 && take_all_back()) {
    for (size_t i = 0; i < place_count; i += 1) {
      places[i].key->places = NULL;
      places[i].key->count = 0;
    }
    free(places);
    free(ranges);
    places = NULL;
    ranges = NULL;
    place_count = 0;
  }
  pthread_mutex_unlock(&lock);
}

/* What there is to be told. */

static uint32_t *counter(struct static_call_stats *stats, enum static_call_state state) {
  switch (state) {
    case STATIC_CALL_PATCHED: return &stats->patched;
    case STATIC_CALL_CROSSING: return &stats->crossing;
    case STATIC_CALL_OUT_OF_RANGE: return &stats->out_of_range;
    case STATIC_CALL_UNEXPECTED: return &stats->unexpected;
    case STATIC_CALL_DENIED: return &stats->denied;
    case STATIC_CALL_IDLE: break;
  }
  return &stats->idle;
}

static struct static_call_stats count_all(void) {
  struct static_call_stats stats = {.error = last_error, .updates = updates, .failures = failures};
  for (size_t i = 0; i < place_count; i += 1) {
    stats.keys += i == 0 || places[i - 1].key != places[i].key;
    stats.sites += 1;
    *counter(&stats, places[i].state) += 1;
  }
  return stats;
}

void static_call_stats(struct static_call_stats *stats) {
  pthread_mutex_lock(&lock);
  *stats = count_all();
  pthread_mutex_unlock(&lock);
}

void static_call_each_site(
    void (*visit)(const void *site, const struct static_call_key *key, int is_tail, enum static_call_state state, void *context),
    void *context) {
  /* Without the lock, so that `visit` may do anything: leave by an exception, end the program, wait for another thread. */
  for (size_t i = 0;; i += 1) {
    struct static_call_place place;
    pthread_mutex_lock(&lock);
    bool is_there = i < place_count;
    if (is_there) place = places[i];
    pthread_mutex_unlock(&lock);
    if (!is_there) return;
    visit((const void *)place.site, place.key, place.is_tail, place.state, context);
  }
}
