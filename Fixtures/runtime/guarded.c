/*
 * AArch64: pages whose code is guarded by landing pads (BTI) still are after an update. A shared object, because the C library's own parts of
 * a program may have no landing pads; linked with -nostartfiles and -z force-bti, and called by call-check.c.
 */
#include <setjmp.h>
#include <signal.h>

#include "check.h"

/* Usually in crtbeginS.o. */
STATIC_CALL_HIDDEN void *__dso_handle = &__dso_handle;

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
DEFINE_STATIC_CALL(step, one);

__attribute__((noinline)) static int call(int x) { return static_call(step)(x) + 1; }

/* In the page of `call`: an indirect call of it is not allowed. */
__asm__(".text\nwithout_landing_pad: ret\n");
STATIC_CALL_HIDDEN extern void without_landing_pad(void);

static sigjmp_buf after_signal;

static void leave(int number) { siglongjmp(after_signal, number); }

static int is_guarded(void) {
  if (sigsetjmp(after_signal, 1) != 0) return 1;
  void (*volatile function)(void) = without_landing_pad;
  function();
  return 0;
}

/* Called by call-check.c. */
__attribute__((visibility("default"))) int check(void) {
  struct static_call_stats stats;
  signal(SIGILL, leave);
  if (!is_guarded()) {
    printf("not guarded here\n");
    return 77;
  }
  CHECK(call(1) == 3);
  CHECK(static_call_update(step, two) == 0);
  CHECK(call(1) == 4);
  static_call_stats(&stats);
  CHECK(stats.patched == 1);
  CHECK(is_guarded());
  printf("guarded\n");
  return 0;
}
