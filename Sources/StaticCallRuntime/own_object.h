/* The program or shared object that this copy of the library is part of. */
#ifndef STATIC_CALL_OWN_OBJECT_H
#define STATIC_CALL_OWN_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

/* A range of executable memory, and the mprotect(2) flags that it has when nobody changes it. */
struct static_call_range {
  uintptr_t start, end;
  int protection;
};

struct static_call_object {
  const char *path; /* as the loader has it; never null */
  uintptr_t base;   /* what its addresses in the file are relative to */
  bool is_program;  /* and no shared object */
};

#pragma GCC visibility push(hidden)

extern struct static_call_object static_call_object;

/* Finds the object that has the address `inside` in its code. Before, nothing here is of use. */
void static_call_find_object(const void *inside);

/* The segment of the object that has the code at a site, with room for the shortest branch; null where there is none. */
const struct static_call_range *static_call_segment_of(uintptr_t site);

#pragma GCC visibility pop

#endif
