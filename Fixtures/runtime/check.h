/* What the programs here have in common. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <static_call.h>

#define CHECK(condition)                                                                    \
  do {                                                                                      \
    if (!(condition)) {                                                                     \
      fprintf(stderr, "%s:%d: %s is not so\n", __FILE__, __LINE__, #condition);             \
      exit(1);                                                                              \
    }                                                                                       \
  } while (0)

/* One line for each site: where it is, where its key points, and its bytes. */
static inline void print_site(
    const void *site, const struct static_call_key *key, int is_tail, enum static_call_state state, void *context) {
  static const char *const states[] = {"patched", "crossing", "out-of-range", "unexpected", "denied", "idle"};
  (void)context;
  printf("site %lx target %lx %s %s", (unsigned long)site, (unsigned long)key->func, is_tail ? "tail" : "call", states[state]);
  for (int i = 0; i < 6; i += 1) printf(" %02x", ((const unsigned char *)site)[i]);
  printf("\n");
}
