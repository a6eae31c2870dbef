/*
 * Static calls: calls whose target can change while the program runs, at the cost of a direct call.
 *
 *   DEFINE_STATIC_CALL(hash, hash_portable);          in one file
 *   DECLARE_STATIC_CALL(hash, hash_portable);         in a header, for the others
 *
 *   sum = static_call(hash)(data, size);              a direct call, wherever it stands
 *   static_call_update(hash, hash_avx2);              every call goes to hash_avx2 from now on
 *
 * Compile, run `staticcall annotate --abi user` on the object, link with -lstaticcall. No compiler flag and no linker script is
 * needed. What was not annotated, or cannot be patched, calls through a trampoline: slower, never wrong.
 *
 * C11 and C++17, gcc and clang, x86-64 and AArch64, Linux.
 */
#ifndef STATIC_CALL_H
#define STATIC_CALL_H

#include <stdint.h>

/* Tells staticcall that this object is one of user space. Linkers leave the section out of programs. */
__asm__(".pushsection .static_call.user,\"e\",%progbits\n"
        ".byte 0\n"
        ".popsection\n");

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Everything is hidden: a program and each of its shared objects have static calls of their own, and a copy of this library that
 * patches them.
 */
#define STATIC_CALL_HIDDEN __attribute__((visibility("hidden")))

/* A static call: `name` is `struct static_call_key __SCK__name`. Only the library touches its members. */
struct static_call_key {
  void (*func)(void); /* the current target, through which the trampoline jumps; never null */
  struct static_call_place *places;
  uint32_t count;
};

/* How the calls of this program, or of this shared object, are made at the moment. */
struct static_call_stats {
  uint32_t keys;          /* static calls that have sites */
  uint32_t sites;         /* entries of the table: the sum of the following */
  uint32_t patched;       /* direct calls of the current target */
  uint32_t crossing;      /* through the trampoline for good: the displacement crosses a cache line, and cannot be changed in one step */
  uint32_t out_of_range;  /* through the trampoline while the target is too far away for a direct branch */
  uint32_t unexpected;    /* untouched: no direct branch is there, or one that is not in the program's code */
  uint32_t denied;        /* through the trampoline: the system does not let code be changed */
  uint32_t idle;          /* through the trampoline: patching is switched off, or the system lacks what it takes */
  int error;              /* the errno value of the last change of code that failed, or 0 */
  uint64_t updates;       /* updates that took effect */
  uint64_t failures;      /* updates that did not */
};

/* How one call is made. */
enum static_call_state {
  STATIC_CALL_PATCHED,
  STATIC_CALL_CROSSING,
  STATIC_CALL_OUT_OF_RANGE,
  STATIC_CALL_UNEXPECTED,
  STATIC_CALL_DENIED,
  STATIC_CALL_IDLE,
};

STATIC_CALL_HIDDEN void static_call_stats(struct static_call_stats *stats);

/*
 * Calls `visit` for each site with the address of its branch, its key, and whether it is a tail call; in no particular order, and without a
 * lock, so that the state is that of a moment ago.
 */
STATIC_CALL_HIDDEN void static_call_each_site(
    void (*visit)(const void *site, const struct static_call_key *key, int is_tail, enum static_call_state state, void *context),
    void *context);

/* What the macros below use. */
STATIC_CALL_HIDDEN int static_call_update_key(struct static_call_key *key, void (*func)(void));
STATIC_CALL_HIDDEN void static_call_return(void);
STATIC_CALL_HIDDEN long static_call_return0(void);

#ifdef __cplusplus
}
#endif

/*
 * DECLARE_STATIC_CALL(name, func): `name` is a static call of functions with the type of `func`, which is a function or a function type. What
 * that type says of functions holds for all: a function with attributes that others lack, such as returns_nonnull, is not for this.
 */
#define DECLARE_STATIC_CALL(name, ...)                                  \
  STATIC_CALL_BEGIN_C_                                                  \
  extern STATIC_CALL_HIDDEN struct static_call_key __SCK__##name;       \
  extern STATIC_CALL_HIDDEN __typeof__(__VA_ARGS__) __SCT__##name;      \
  STATIC_CALL_END_C_                                                    \
  STATIC_CALL_ASSERT_FUNCTION_(__SCT__##name)

/* DEFINE_STATIC_CALL(name, func): the same, and calls go to `func` at first. */
#define DEFINE_STATIC_CALL(name, ...) STATIC_CALL_DEFINE_(name, STATIC_CALL_CAST_((__VA_ARGS__)), __VA_ARGS__)

/* The same for a static call that does nothing at first, and whose functions return void. */
#define DEFINE_STATIC_CALL_NULL(name, ...) STATIC_CALL_DEFINE_(name, static_call_return, __VA_ARGS__)

/* The same for one that returns 0 at first: an integer or a pointer. */
#define DEFINE_STATIC_CALL_RET0(name, ...) \
  STATIC_CALL_DEFINE_(name, STATIC_CALL_CAST_(static_call_return0), __VA_ARGS__)

/* static_call(name)(arguments): the call. A plain name, so that compilers make a direct call of it at every level of optimisation. */
#define static_call(name) __SCT__##name

/* static_call_query(name): the function that is called at the moment; null where that does nothing. */
#define static_call_query(name)                                                                                 \
  __extension__({                                                                                               \
    void (*static_call_now_)(void) = __atomic_load_n(&__SCK__##name.func, __ATOMIC_ACQUIRE);                    \
    if (static_call_now_ == static_call_return) static_call_now_ = STATIC_CALL_NO_;                             \
    STATIC_CALL_UNCAST_(__typeof__(&__SCT__##name), static_call_now_);                                          \
  })

/*
 * static_call_update(name, func): from the moment it returns, every call of `name` in every thread calls `func`; calls that are under way
 * end in the function that they began in. `func` has the type of `name`'s functions, or is null: then calls do nothing, which is for functions
 * that return void (for others there is STATIC_CALL_RET0). What was written before the update is seen by `func`.
 *
 * Returns 0, or a negative errno value; then nothing has changed, and all calls go where they went before. -EACCES, -EPERM: the system
 * does not let code be changed, and there are calls that are patched. -EBUSY: a debugger has its breakpoint on such a call.
 *
 * May be called by any thread at any time, but not by a signal handler.
 */
#define static_call_update(name, ...)                                                                           \
  __extension__({                                                                                               \
    __typeof__(&__SCT__##name) static_call_func_ = STATIC_CALL_CHECKED_(name, (__VA_ARGS__));                   \
    static_call_update_key(&__SCK__##name, STATIC_CALL_CAST_(static_call_func_));                               \
  })

/* STATIC_CALL_RET0(name): a function for static_call_update that returns 0. */
#define STATIC_CALL_RET0(name) STATIC_CALL_UNCAST_(__typeof__(&__SCT__##name), STATIC_CALL_CAST_(static_call_return0))

/* The rest is not for use. */

#ifdef __cplusplus
#define STATIC_CALL_NO_ nullptr
#define STATIC_CALL_BEGIN_C_ extern "C" {
#define STATIC_CALL_END_C_ }
#define STATIC_CALL_CAST_(func) reinterpret_cast<void (*)(void)>(func)
#define STATIC_CALL_UNCAST_(type, func) reinterpret_cast<type>(func)
#define STATIC_CALL_CHECKED_(name, func) (func)
extern "C++" {
/* Only the type of a function cannot be made const. */
template <typename T>
struct static_call_is_const_ {
  enum { value = 0 };
};
template <typename T>
struct static_call_is_const_<const T> {
  enum { value = 1 };
};
template <typename T>
struct static_call_made_const_ {
  typedef const T type;
};
}
#define STATIC_CALL_ASSERT_FUNCTION_(func)                                                                      \
  static_assert(!::static_call_is_const_<::static_call_made_const_<__typeof__(func)>::type>::value,             \
                "a static call needs a function, not a pointer to one")
#else
#define STATIC_CALL_NO_ ((void *)0)
#define STATIC_CALL_BEGIN_C_
#define STATIC_CALL_END_C_
#define STATIC_CALL_CAST_(func) ((void (*)(void))(func))
#define STATIC_CALL_UNCAST_(type, func) ((type)(func))
/* An initialisation with a function of another type would only be a warning. */
#define STATIC_CALL_CHECKED_(name, func) _Generic((func), __typeof__(&__SCT__##name): (func), void *: (func))
/* Between the branches of a condition a function becomes a pointer to it; a pointer would stay one. */
#define STATIC_CALL_ASSERT_FUNCTION_(func)                                                     \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&func), __typeof__(1 ? func : func)), \
                 "a static call needs a function, not a pointer to one")
#endif

#define STATIC_CALL_DEFINE_(name, initial, ...)                                                                \
  DECLARE_STATIC_CALL(name, __VA_ARGS__);                                                                      \
  __attribute__((used)) struct static_call_key __SCK__##name = {initial, STATIC_CALL_NO_, 0};                           \
  __asm__(".pushsection .text.static_call." #name ",\"ax\",%progbits\n"                                        \
          ".balign 16\n"                                                                                       \
          ".globl __SCT__" #name "\n"                                                                          \
          ".hidden __SCT__" #name "\n"                                                                         \
          ".type __SCT__" #name ", %function\n"                                                                \
          "__SCT__" #name ":\n"                                                                               \
          ".cfi_startproc\n" STATIC_CALL_TRAMPOLINE_("__SCK__" #name) ".cfi_endproc\n"                        \
          ".size __SCT__" #name ", . - __SCT__" #name "\n"                                                     \
          ".popsection\n")

/*
 * The trampoline is never patched, and always right. It changes no register but those that linkers' stubs may change, and nothing is
 * executed behind its jump, not even in advance (straight-line speculation). The relocation that does nothing brings the library
 * into the link.
 */
#if defined(__x86_64__) && defined(__LP64__)
#ifdef STATIC_CALL_RETPOLINE
/* For programs that are compiled with retpolines: no indirect branch whose target the processor may guess. */
#define STATIC_CALL_TRAMPOLINE_(key)                 \
  ".reloc ., R_X86_64_NONE, static_call_update_key\n" \
  "endbr64\n"                                        \
  "movq " key "(%rip), %r11\n"                       \
  "call 771f\n"                                      \
  "770: pause\n"                                     \
  "lfence\n"                                         \
  "jmp 770b\n"                                       \
  ".cfi_adjust_cfa_offset 8\n"                       \
  "771: movq %r11, (%rsp)\n"                         \
  "ret\n"                                            \
  ".cfi_adjust_cfa_offset -8\n"                      \
  "int3\n"
#else
#define STATIC_CALL_TRAMPOLINE_(key)                 \
  ".reloc ., R_X86_64_NONE, static_call_update_key\n" \
  "endbr64\n"                                        \
  "jmpq *" key "(%rip)\n"                            \
  "int3\n"
#endif
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#define STATIC_CALL_TRAMPOLINE_(key)                  \
  ".reloc ., R_AARCH64_NONE, static_call_update_key\n" \
  "hint #34\n" /* bti c */                            \
  "adrp x16, " key "\n"                               \
  "add x16, x16, :lo12:" key "\n"                     \
  "ldar x16, [x16]\n" /* what was written before the update is seen behind it */ \
  "br x16\n"                                          \
  "dsb sy\n"                                          \
  "isb\n"
#else
#error "static_call.h is for x86-64 and little-endian AArch64 with 64-bit pointers"
#endif

#endif
