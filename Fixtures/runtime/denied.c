/*
 * A system that does not let code be changed, from the start or from some time on.
 *
 *   denied prctl before|after    PR_SET_MDWE
 *   denied seccomp before|after  a filter that fails mprotect with EPERM where it asks for write and execute
 *   denied fake after            the same as a function of the program's, for where there is neither (qemu-aarch64); from the start with
 *                                FAKE_DENIAL=1 denied fake denied
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static int one(int x) { return x + 1; }
static int two(int x) { return x + 2; }
DEFINE_STATIC_CALL(step, one);
DEFINE_STATIC_CALL(other, one);

__attribute__((noinline)) static int call(int x) { return static_call(step)(x) + static_call(other)(x); }
__attribute__((noinline)) static int tail(int x) { return static_call(step)(x); }

static int is_faked;

/* Stands before the C library's function of this name. */
int mprotect(void *start, size_t size, int protection) {
  if (is_faked || getenv("FAKE_DENIAL")) {
    if ((protection & PROT_WRITE) && (protection & PROT_EXEC)) {
      errno = EPERM;
      return -1;
    }
  }
  return (int)syscall(SYS_mprotect, start, size, protection);
}

static void deny_by_seccomp(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_WRITE | PROT_EXEC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static int deny(const char *how) {
  if (strcmp(how, "seccomp") == 0) {
    deny_by_seccomp();
    return EPERM;
  }
  if (strcmp(how, "fake") == 0) {
    is_faked = 1;
    return EPERM;
  }
  if (prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0) {
    printf("no PR_SET_MDWE here\n");
    exit(77);
  }
  return EACCES;
}

/* The bytes of the code that has the sites. */
static unsigned char *copy_of_code(unsigned char *code) {
  memcpy(code, (const void *)(unsigned long)call, 64);
  memcpy(code + 64, (const void *)(unsigned long)tail, 32);
  return code;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  /* Limits pass from a program to the one it executes: the second time they are there before `main`. */
  if (strcmp(argv[2], "before") == 0) {
    deny(argv[1]);
    execl("/proc/self/exe", argv[0], argv[1], "denied", (char *)NULL);
    CHECK(0);
  }
  unsigned char before[96], after[96];
  struct static_call_stats stats;
  if (strcmp(argv[2], "denied") == 0) {
    int error = strcmp(argv[1], "prctl") == 0 ? EACCES : EPERM;
    static_call_stats(&stats);
    CHECK(stats.sites == 3 && stats.patched == 0 && stats.denied + stats.crossing == 3 && stats.error == error);
    copy_of_code(before);
    CHECK(call(1) == 4 && tail(1) == 2);
    /* All calls go through the key, so the update needs no change of code. */
    CHECK(static_call_update(step, two) == 0);
    CHECK(call(1) == 5 && tail(1) == 3 && static_call_query(step) == two);
    CHECK(static_call_update(other, two) == 0);
    CHECK(call(1) == 6);
    CHECK(memcmp(before, copy_of_code(after), sizeof before) == 0);
    printf("denied from the start\n");
    return 0;
  }
  CHECK(strcmp(argv[2], "after") == 0);
  CHECK(static_call_update(step, two) == 0);
  CHECK(call(1) == 5 && tail(1) == 3);
  static_call_stats(&stats);
  CHECK(stats.patched + stats.crossing == 3 && stats.denied == 0);
  int error = deny(argv[1]);
  copy_of_code(before);
  int result = static_call_update(step, one);
  /* Where a site is patched, the update fails and nothing has changed; else it goes through the key. */
  static_call_stats(&stats);
  if (stats.crossing == 0) CHECK(result == -error);
  if (result != 0) {
    CHECK(result == -error && stats.failures == 1 && stats.error == error);
    CHECK(call(1) == 5 && tail(1) == 3 && static_call_query(step) == two);
  } else {
    CHECK(call(1) == 4 && tail(1) == 2);
  }
  CHECK(memcmp(before, copy_of_code(after), sizeof before) == 0);
  printf("denied later: %d\n", result);
  return 0;
}
