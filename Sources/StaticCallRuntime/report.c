/*
 * What the environment says, and what it asks for.
 *
 * STATIC_CALL_STATS=1 has the program, and each shared object, say on standard error how many of its sites are patched, and why others are
 * not; with STATIC_CALL_STATS=sites it says so of each site, by its address in the file.
 */
#define _GNU_SOURCE
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/static_call.h"
#include "own_object.h"

bool static_call_is_switched_off(void) {
  const char *wish = secure_getenv("STATIC_CALL_PATCH");
  return wish && strcmp(wish, "0") == 0;
}

static const char *describe(enum static_call_state state) {
  switch (state) {
    case STATIC_CALL_PATCHED: return "direct";
    case STATIC_CALL_CROSSING: return "through the trampoline: the displacement crosses a cache line";
    case STATIC_CALL_OUT_OF_RANGE: return "through the trampoline: the target is out of range";
    case STATIC_CALL_UNEXPECTED: return "untouched: no direct branch of this program is there";
    case STATIC_CALL_DENIED: return "through the trampoline: the system does not let code be changed";
    case STATIC_CALL_IDLE: break;
  }
  return static_call_is_switched_off() ? "through the trampoline: STATIC_CALL_PATCH=0"
                                       : "through the trampoline: the kernel has no membarrier(2) for code";
}

static const char *object_name(void) {
  const char *slash = strrchr(static_call_object.path, '/');
  return slash ? slash + 1 : static_call_object.path;
}

static const char *plural(uint64_t number) { return number == 1 ? "" : "s"; }

static void print_count(uint32_t count, enum static_call_state state, const char *reason) {
  if (count == 0) return;
  dprintf(STDERR_FILENO, "static_call: %s: %u %s%s%s\n", object_name(), count, describe(state), reason ? ": " : "",
          reason ? reason : "");
}

static void print_site(
    const void *site, const struct static_call_key *key, int is_tail, enum static_call_state state, void *context) {
  (void)key, (void)is_tail, (void)context;
  dprintf(STDERR_FILENO, "static_call: %s+0x%llx: %s\n", object_name(),
          (unsigned long long)((uintptr_t)site - static_call_object.base), describe(state));
}

void static_call_print_report(void) {
  const char *wish = secure_getenv("STATIC_CALL_STATS");
  if (!wish || !*wish || strcmp(wish, "0") == 0) return;
  struct static_call_stats stats;
  static_call_stats(&stats);
  dprintf(STDERR_FILENO, "static_call: %s: %u site%s of %u static call%s, %u direct; %llu update%s, %llu failed\n", object_name(),
          stats.sites, plural(stats.sites), stats.keys, plural(stats.keys), stats.patched, (unsigned long long)stats.updates,
          plural(stats.updates), (unsigned long long)stats.failures);
  if (stats.sites == 0)
    dprintf(STDERR_FILENO, "static_call: %s: no table: run `staticcall annotate --abi user` on the objects, and link them again\n",
            object_name());
  print_count(stats.crossing, STATIC_CALL_CROSSING, NULL);
  print_count(stats.out_of_range, STATIC_CALL_OUT_OF_RANGE, NULL);
  print_count(stats.unexpected, STATIC_CALL_UNEXPECTED, NULL);
  print_count(stats.denied, STATIC_CALL_DENIED, stats.error != 0 ? strerror(stats.error) : NULL);
  print_count(stats.idle, STATIC_CALL_IDLE, NULL);
  if (strcmp(wish, "sites") == 0) static_call_each_site(print_site, NULL);
}
