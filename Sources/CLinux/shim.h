/*
 * Linux system calls that glibc declares only under _GNU_SOURCE, which Swift's Glibc module does not define.
 * The declarations repeat <fcntl.h>, <unistd.h> and <stdio.h>; the functions are glibc's own (2.27 and later).
 */
#include <stddef.h>
#include <sys/types.h>
#include <sys/xattr.h>

ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned int flags);
int renameat2(int old_directory, const char *old_path, int new_directory, const char *new_path, unsigned int flags);
void *memmem(const void *haystack, size_t haystack_length, const void *needle, size_t needle_length);

static const unsigned int staticcall_RENAME_EXCHANGE = 1u << 1; /* RENAME_EXCHANGE of <linux/fs.h> */
