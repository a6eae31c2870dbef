/* What the patcher knows of a machine. A site is the address of a branch's first byte. */
#ifndef STATIC_CALL_ARCHITECTURE_H
#define STATIC_CALL_ARCHITECTURE_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* The fewest bytes that a direct branch has. */
extern const uint32_t architecture_shortest_branch;

/* Whether a direct branch is there: a call, or with `is_tail` a jump. Reads no more bytes than the shortest branch has. */
bool architecture_is_branch(uintptr_t site, bool is_tail);

/* Size of the direct branch that is there, in bytes. */
uint32_t architecture_length(uintptr_t site);

/* Whether the branch's target can be changed in one step, under the eyes of threads that execute it. */
bool architecture_is_changeable(uintptr_t site);

uintptr_t architecture_target(uintptr_t site);
bool architecture_reaches(uintptr_t site, uintptr_t target);

/* Changes the target of a changeable branch, in a page that can be written. */
void architecture_set_target(uintptr_t site, uintptr_t target);

/* The mprotect(2) flags, beside those of the program header, that the code of a program or shared object is mapped with. */
int architecture_protection(const struct dl_phdr_info *object);

#pragma GCC visibility pop

#endif
