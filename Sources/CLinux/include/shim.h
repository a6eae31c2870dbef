/*
 * Linux system calls that glibc declares only under _GNU_SOURCE, which Swift's Glibc module does not define.
 * The declarations repeat <fcntl.h>, <unistd.h> and <stdio.h>; the functions are glibc's own (2.27 and later).
 */
#include <stddef.h>
#include <sys/file.h>
#include <sys/types.h>
#include <sys/xattr.h>

ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned int flags);
int renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path, unsigned int flags);
void *memmem(const void *haystack, size_t haystack_length, const void *needle, size_t needle_length);

static const unsigned int staticcall_RENAME_EXCHANGE = 1u << 1; /* RENAME_EXCHANGE of <linux/fs.h> */
extern const int staticcall_O_TMPFILE;                         /* differs between machines */
static const int staticcall_AT_SYMLINK_FOLLOW = 0x400;         /* <linux/fcntl.h> */

/* flock(2), which shares its name with a structure. */
static inline int staticcall_flock(int descriptor, int operation) { return flock(descriptor, operation); }

/*
 * Signals. A handler may use next to nothing of what Swift code uses, so it is C (signals.c).
 */

/* Takes over the signals that end a process by default, unless they are ignored, and SIGBUS, SIGXFSZ and SIGPIPE. */
void staticcall_handle_signals(void);

/* Between the two calls a signal does not end the process; the last thread to leave catches up on it. */
void staticcall_begin_writing(void);
void staticcall_end_writing(void);

/* Whether a signal waits for the writing threads to leave. */
int staticcall_is_interrupted(void);

/* How many pages of mapped files this thread has found missing. Zeros took their places. */
unsigned int staticcall_lost_pages(void);

/* Whether SIGPIPE was not ignored from the start; and what it does by default. */
int staticcall_ends_by_broken_pipe(void);
void staticcall_end_by_broken_pipe(void);
