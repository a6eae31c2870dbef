/* Updates in a parent and its children, while another thread updates as well. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
static int three(int x) { return x + 3; }
DEFINE_STATIC_CALL(step, one);
DEFINE_STATIC_CALL(other, one);

__attribute__((noinline)) static int call(int x) { return static_call(step)(x) + 0 * static_call(other)(x); }

static int is_over;

static void *update_other(void *unused) {
  (void)unused;
  for (int i = 0; !__atomic_load_n(&is_over, __ATOMIC_RELAXED); i += 1) static_call_update(other, i % 2 ? one : two);
  return NULL;
}

int main(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, update_other, NULL) == 0);
  for (int i = 0; i < 200; i += 1) {
    CHECK(static_call_update(step, i % 2 ? one : two) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      CHECK(call(1) == (i % 2 ? 2 : 3));
      CHECK(static_call_update(step, three) == 0);
      CHECK(call(1) == 4);
      _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(call(1) == (i % 2 ? 2 : 3));
  }
  __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
  pthread_join(thread, NULL);
  printf("forked 200 times\n");
  return 0;
}
