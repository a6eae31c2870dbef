/*
 * The static calls of this folder, and what main.cpp calls: flow.c, pointers.c and objects.cpp hold the callers, main.cpp the
 * targets. Everything has C linkage, so that the C++ sources share it.
 */
#ifndef COVERAGE_H
#define COVERAGE_H

#ifdef __cplusplus
extern "C" {
#define NORETURN [[noreturn]]
#define NOEXCEPT noexcept
#else
#define NORETURN _Noreturn
#define NOEXCEPT
#endif

#include "../calls.h"

#if defined(__has_feature)
#if __has_feature(kcfi)
#define CHECKS_TYPES 1
#endif
#endif
#ifdef CHECKS_TYPES
/* -fsanitize=kcfi compares the word before a function with a hash that it defines where the function's address is taken. */
#if defined(__x86_64__)
#define JUMP_THROUGH_KEY(name) "  jmp *__SCK__" name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP_THROUGH_KEY(name) "  adrp x16, __SCK__" name "\n  ldr x16, [x16, :lo12:__SCK__" name "]\n  br x16\n"
#endif
#undef TRAMPOLINE
#define TRAMPOLINE(name)                      \
  "  .weak __kcfi_typeid___SCT__" #name "\n"  \
  "  .balign 16\n"                            \
  "  .long __kcfi_typeid___SCT__" #name "\n"  \
  "__SCT__" #name ":\n"                       \
  JUMP_THROUGH_KEY(#name)
#endif

/* The kernel's static_call() where the compiler cannot see into the key: a pointer constant behind a statement expression. */
#define static_call(name)                                                                             \
  ({                                                                                                  \
    static void *keep_key __attribute__((used, section(".discard.addressable"))) = &__SCK__##name;    \
    &__SCT__##name;                                                                                   \
  })

typedef long binary(long, long);

/* In registers on both machines: one for integers, one for floating point. */
struct pair {
  long number;
  double ratio;
};

NORETURN extern void __SCT__leave(int);

DECLARE_STATIC_CALL(crowd, long, long, long, long, long, long, long, long, long, long, long, long);
DECLARE_STATIC_CALL(mix, double, double, float, int, double, double, double, double, double, double, double, long, float);
DECLARE_STATIC_CALL(scale, double, double, double);
DECLARE_STATIC_CALL(pair, struct pair, struct pair, double);
DECLARE_STATIC_CALL(fill, void, char *, unsigned long, int);
DECLARE_STATIC_CALL(leave, void, int);
DECLARE_STATIC_CALL(apply, long, binary *, long);
DECLARE_STATIC_CALL(risk, long, long);
DECLARE_STATIC_CALL(nearby, long, long);

/* flow.c */
long in_a_row(long);
long on_branches(long, long);
long in_loop(int);
long in_nested_loops(int, int);
long in_loop_with_exits(int, long);
long dense(int, long);
long dense_tails(int, long);
void dense_ticks(int);
long computed(const unsigned char *, long);
long computed_by_offsets(const unsigned char *, long);
void tail_plain(void);
long tail_swapped(long, long);
void tail_if(int);
long tail_either(int, long);
void tail_of_loop(int);
long never_returns_if(long);
struct box boxes(struct box, long);
struct pair pairs(struct pair);
long crowded(long, long);
double floating(double, float);
int described(const char *, int, double);
long on_stack(unsigned long);
long sized_by_argument(int);
long attempted(int);
long by_patched_branch(long);
long by_tested_branch(long);
long among_clobbers(long);
long among_registers(long);
long rarely(long);
long on_cold_path(long);
extern long entrance[64];
int _setjmp(long *) __attribute__((returns_twice));
void longjmp(long *, int) __attribute__((noreturn));

/* pointers.c */
long by_constant(long);
long by_global_constant(long);
long by_address(long);
long by_static_call(long);
long by_static_call_in_loop(int);
long tail_by_static_call(long, long);
void tail_by_static_call_if(int);
int varargs_by_static_call(long, double);
struct box box_by_static_call(struct box);
double mix_by_static_call(double);
long crowd_by_static_call(long);
long leave_by_static_call(long);
long by_local(long);
long by_reassigned(long);
long by_selected(int, long);
long by_selected_once(int, int);
long by_selected_among_equal(int, long);
long by_switch(int, long);
long by_volatile(long);
long by_array(int, long);
long by_structure(long);
long by_opaque(long);
long by_argument(long);
long by_cast(long);
long by_guarded(long);
long by_hoisted(int);
long by_hoisted_pair(int);
long by_hoisted_and_compared(int, binary *);
binary *returned(int);
int compared(binary *);
long key_read(void);
long near(long);

/* objects.cpp */
long caught_here(long);
long caught_by_type(long);
long caught_through_frames(long);
long caught_again(long);
long caught_in_loop(int);
long caught_in_handler(long);
long caught_by_function_block(long);
long caught_by_static_call(long);
long guarded(long);
long in_constructor(long);
long in_lambda(long);
long in_virtual(int, long);
long in_template(long);
long in_static_local(long);
long by_reference(long);
long by_constexpr(long);
long safely(long);
long at_start_up(void);
/* Ends the program when an exception comes. */
long not_safely(long) NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
