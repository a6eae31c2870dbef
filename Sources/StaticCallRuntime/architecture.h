/*
 * What the patcher knows of a machine. A site is the address of a branch's first byte.
 *
 * All names that the files of this library share begin with static_call_: a static library has no other way to keep out of its users' way.
 */
#ifndef STATIC_CALL_ARCHITECTURE_H
#define STATIC_CALL_ARCHITECTURE_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* The fewest bytes that a direct branch has. */
extern const uint32_t static_call_shortest_branch;

/* Whether a direct branch is there: a call, or with `is_tail` a jump. Reads no more bytes than the shortest branch has. */
bool static_call_is_branch(uintptr_t site, bool is_tail);

/* Size of the direct branch that is there, in bytes. */
uint32_t static_call_branch_length(uintptr_t site);

/* Whether the branch's target can be changed in one step, under the eyes of threads that execute it. */
bool static_call_is_changeable(uintptr_t site);

uintptr_t static_call_branch_target(uintptr_t site);
bool static_call_reaches(uintptr_t site, uintptr_t target);

/* Changes the target of a changeable branch, in a page that can be written. */
void static_call_set_target(uintptr_t site, uintptr_t target);

/*
 * Makes a client request of Valgrind's: its number and five arguments. That is a sequence of instructions that no compiler emits, and that
 * changes nothing where a processor executes it.
 */
void static_call_ask_valgrind(const uintptr_t request[6]);

/* The mprotect(2) flags, beside those of the program header, that the code of a program or shared object is mapped with. */
int static_call_code_protection(const struct dl_phdr_info *object);

#pragma GCC visibility pop

#endif
