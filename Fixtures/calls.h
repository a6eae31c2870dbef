/*
 * Static calls for programs in user space, after the kernel's include/linux/static_call.h: a key, a trampoline that jumps
 * through the key, and callers that name the trampoline as if it were the function.
 */
#ifndef CALLS_H
#define CALLS_H

struct static_call_key {
  void *func;
  unsigned long users;
};

#define DECLARE_STATIC_CALL(name, result, ...)    \
  extern struct static_call_key __SCK__##name;    \
  extern result __SCT__##name(__VA_ARGS__);       \
  /* Puts the key into the object's symbol table. */ \
  static void *use_##name                         \
      __attribute__((used, section(".discard.addressable"))) = &__SCK__##name

#if defined(__x86_64__)
#define TRAMPOLINE(name)                     \
  "  .balign 4\n"                            \
  "__SCT__" #name ":\n"                      \
  "  jmp *__SCK__" #name "(%rip)\n"          \
  "  .byte 0x0f, 0xb9, 0xcc\n" /* ud1 */
#elif defined(__aarch64__)
#define TRAMPOLINE(name)                     \
  "  .balign 16\n"                           \
  "__SCT__" #name ":\n"                      \
  "  hint #34\n" /* bti c */                 \
  "  adrp x16, __SCK__" #name "\n"           \
  "  ldr x16, [x16, :lo12:__SCK__" #name "]\n" \
  "  br x16\n"
#endif

#define DEFINE_STATIC_CALL(name, target)               \
  struct static_call_key __SCK__##name = {target, 0};  \
  __asm__(".pushsection .static_call.text, \"ax\"\n"   \
          "  .globl __SCT__" #name "\n"                \
          "  .type __SCT__" #name ", %function\n"      \
          TRAMPOLINE(name)                             \
          "  .size __SCT__" #name ", . - __SCT__" #name "\n" \
          ".popsection\n")

/* Too large for registers on both machines: the caller passes memory for the result. */
struct box {
  long left, top, width, height;
};

DECLARE_STATIC_CALL(add, long, long, long);
DECLARE_STATIC_CALL(report, int, const char *format, ...);
DECLARE_STATIC_CALL(grow, struct box, struct box, long);
DECLARE_STATIC_CALL(tick, void, void);
DECLARE_STATIC_CALL(fail, void, const char *reason);

/* calls.c */
long straight(long);
long looped(int);
long switched(int, long);
void tail(void);
long tail_with_result(long);
void conditional_tail(int);
void one_of_two_tails(int, const char *);
int varargs(int, double);
struct box grown(struct box);
long cold(long);
long checked(long);
long through_pointer(long (*)(long, long), long);

#endif
