/* Switches tracepoints on and off while another thread goes through them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "server.h"
#include "trace.h"

static atomic_bool is_over;
static atomic_long served;
static _Atomic long seen, seen_bytes;

static void *serve_all(void *unused) {
  (void)unused;
  for (int id = 0; !atomic_load(&is_over); id += 1) {
    serve(id, id % 10000);
    atomic_fetch_add(&served, 1);
  }
  return NULL;
}

static void count_request(int id, long size) {
  (void)id;
  atomic_fetch_add(&seen, 1);
  atomic_fetch_add(&seen_bytes, size);
}

static void print_failure(int id, const char *reason) {
  static atomic_int printed;
  if (atomic_fetch_add(&printed, 1) < 3) printf("  request %d failed: %s\n", id, reason);
}

static void wait_for(long requests) {
  long end = atomic_load(&served) + requests;
  while (atomic_load(&served) < end) {}
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, serve_all, NULL) != 0) return 1;

  wait_for(1000000);
  printf("off: %ld seen\n", atomic_load(&seen));

  printf("on:\n");
  if (TRACE_ON(request, count_request) != 0 || TRACE_ON(failure, print_failure) != 0) return 1;
  wait_for(1000000);
  if (TRACE_OFF(request) != 0 || TRACE_OFF(failure) != 0) return 1;
  /* A call that was under way may still end in the probe. */
  wait_for(1);
  long at_end = atomic_load(&seen);
  printf("  some %ld million seen, %s each on average\n", (at_end + 500000) / 1000000,
         atomic_load(&seen_bytes) / at_end > 4000 ? "over 4000 bytes" : "little");

  wait_for(1000000);
  printf("off: %ld more seen\n", atomic_load(&seen) - at_end);
  atomic_store(&is_over, 1);
  pthread_join(thread, NULL);
  return 0;
}
