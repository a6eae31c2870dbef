#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

const int staticcall_O_TMPFILE = O_TMPFILE;

static const int deadly[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,   SIGALRM,
                             SIGUSR1, SIGUSR2, SIGXCPU, SIGVTALRM, SIGPROF};

static atomic_int writers; /* threads that must not be cut short */
static atomic_int pending; /* the signal that waits for them, or 0 */
static _Thread_local unsigned int lost_pages;
static uintptr_t page_size;
static int pipe_breaks;

static void end_by(int signal_number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  signal(signal_number, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  raise(signal_number);
}

/*
 * A writer counts itself and then looks for a signal; the handler notes the signal and then looks for writers. In whatever
 * order they run, one of them sees the other.
 */
static void interrupt(int signal_number) {
  int error = errno;
  atomic_store(&pending, signal_number);
  if (atomic_load(&writers) == 0) end_by(signal_number);
  errno = error;
}

void staticcall_begin_writing(void) {
  atomic_fetch_add(&writers, 1);
  if (atomic_load(&pending) == 0) return;
  staticcall_end_writing();
  /* Another thread is still writing, and ends the process when it is done. */
  for (;;) pause();
}

void staticcall_end_writing(void) {
  int last = atomic_fetch_sub(&writers, 1) == 1;
  int signal_number = atomic_load(&pending);
  if (last && signal_number != 0) end_by(signal_number);
}

int staticcall_is_interrupted(void) { return atomic_load(&pending) != 0; }

/*
 * A page of a mapped file is not there: the file shrank, or its disk failed. The thread goes on with a page of zeros, so that it
 * can still say which file it was; whoever reads a file looks at staticcall_lost_pages() before it believes what it read.
 */
static void replace_lost_page(int signal_number, siginfo_t *info, void *context) {
  (void)context;
  int error = errno;
  void *page = (void *)((uintptr_t)info->si_addr & ~(page_size - 1));
  if (info->si_code == BUS_ADRERR && mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                                          -1, 0) != MAP_FAILED) {
    lost_pages += 1;
    errno = error;
    return;
  }
  /* The instruction runs again, and this time the signal ends the process. */
  signal(signal_number, SIG_DFL);
}

unsigned int staticcall_lost_pages(void) { return lost_pages; }

int staticcall_ends_by_broken_pipe(void) { return pipe_breaks; }

void staticcall_end_by_broken_pipe(void) { end_by(SIGPIPE); }

void staticcall_handle_signals(void) {
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i += 1) {
    struct sigaction old;
    if (sigaction(deadly[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) sigaction(deadly[i], &action, NULL);
  }

  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction bus = {.sa_sigaction = replace_lost_page, .sa_flags = SA_SIGINFO};
  sigemptyset(&bus.sa_mask);
  sigaction(SIGBUS, &bus, NULL);

  /* Where the signal is ignored, the system call that would send it fails. */
  signal(SIGXFSZ, SIG_IGN);
  pipe_breaks = signal(SIGPIPE, SIG_IGN) == SIG_DFL;
}
