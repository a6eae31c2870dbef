/*
 * Static calls: calls whose target can change while the program runs, at the cost of a direct call.
 *
 *   DEFINE_STATIC_CALL(hash, hash_portable);          in one file
 *   DECLARE_STATIC_CALL(hash, hash_portable);         in a header, for the others
 *
 *   sum = static_call(hash)(data, size);              a direct call, wherever it stands
 *   static_call_update(hash, hash_avx2);              every call goes to hash_avx2 from now on
 *
 * Compile, run `staticcall annotate` on the object, link with -lstaticcall. No compiler flag and no linker script is needed.
 * What was not annotated, or cannot be patched, calls through a trampoline: slower, never wrong.
 *
 * C11 to C23, C++17 and later, gcc and clang, x86-64 and AArch64, Linux.
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

/* g++ would warn that the function hides the type's constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
STATIC_CALL_HIDDEN void static_call_stats(struct static_call_stats *stats);
#pragma GCC diagnostic pop

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
 *
 * A name is one static call in the whole program, or shared object, whatever namespace it is declared in. If a macro has the
 * same name, it is not expanded.
 */
#define DECLARE_STATIC_CALL(name, ...)                            \
  STATIC_CALL_DECLARE_(__SCK__##name, __SCT__##name, __VA_ARGS__) \
  STATIC_CALL_ASSERT_FUNCTION_(__SCT__##name)

/* DEFINE_STATIC_CALL(name, func): the same, and calls go to `func` at first. */
#define DEFINE_STATIC_CALL(name, ...) \
  STATIC_CALL_DEFINE_(#name, __SCK__##name, __SCT__##name, STATIC_CALL_CAST_((__VA_ARGS__)), __VA_ARGS__)

/* The same for a static call that does nothing at first, and whose functions return void. */
#define DEFINE_STATIC_CALL_NULL(name, ...)                                                   \
  STATIC_CALL_DEFINE_(#name, __SCK__##name, __SCT__##name, static_call_return, __VA_ARGS__); \
  STATIC_CALL_ASSERT_RETURNS_VOID_(__SCT__##name)

/*
 * The same for one that returns 0 at first: an integer of at most 64 bits, an enumeration or a pointer (or nothing).
 *
 * C++ refuses all other types. C has no way to ask for what a function returns. It refuses floating-point, complex and 128-bit types as far
 * as it sees them: before C23, and where no parameter is promoted and none is `...`. Of what it does not see all is 0 that is returned in
 * general or vector registers. Other structures, and `long double` on x86-64, are undefined.
 */
#define DEFINE_STATIC_CALL_RET0(name, ...)                                                                       \
  STATIC_CALL_DEFINE_(#name, __SCK__##name, __SCT__##name, STATIC_CALL_CAST_(static_call_return0), __VA_ARGS__); \
  STATIC_CALL_ASSERT_RETURNS_0_(__SCT__##name)

/* static_call(name)(arguments): the call. A plain name, so that compilers make a direct call of it at every level of optimisation. */
#define static_call(name) __SCT__##name

/* static_call_query(name): the function that is called at the moment; null where that does nothing. */
#define static_call_query(name)                                                              \
  __extension__({                                                                            \
    void (*static_call_now_)(void) = __atomic_load_n(&__SCK__##name.func, __ATOMIC_ACQUIRE); \
    if (static_call_now_ == static_call_return) static_call_now_ = STATIC_CALL_NO_;          \
    STATIC_CALL_UNCAST_(__typeof__(&__SCT__##name), static_call_now_);                       \
  })

/*
 * static_call_update(name, func): from the moment it returns, every call of `name` in every thread calls `func`; calls that are under way
 * end in the function that they began in. `func` has the type of `name`'s functions, or is null: then calls do nothing, which is for functions
 * that return void (for others there is STATIC_CALL_RET0). What was written before the update is seen by `func`.
 *
 * Returns 0, or a negative errno value; then nothing has changed, and all calls go where they went before. -EACCES, -EPERM: the system
 * does not let code be changed, and there are calls that are patched. -EBUSY: a debugger has its breakpoint on such a call.
 *
 * May be called by any thread at any time, but not by a signal handler. All this holds under Valgrind, too.
 */
#define static_call_update(name, ...) STATIC_CALL_UPDATE_(__SCK__##name, __SCT__##name, (__VA_ARGS__))

/* STATIC_CALL_RET0(name): a function for static_call_update that returns 0, of the types that DEFINE_STATIC_CALL_RET0 takes. */
#define STATIC_CALL_RET0(name) STATIC_CALL_RETURNING_0_(__SCT__##name)

/* The rest is not for use. */

#define STATIC_CALL_NEEDS_FUNCTION_ "a static call needs a function, not a pointer to one"
#define STATIC_CALL_NEEDS_VOID_ "a static call that does nothing needs functions that return void"
#define STATIC_CALL_NEEDS_0_ \
  "a static call that returns 0 needs functions that return an integer of at most 64 bits, an enumeration or a pointer"

/* The casts from one type of function to another go by way of `void *`, so that no compiler warns of types that differ. */
#ifdef __cplusplus
#define STATIC_CALL_NO_ nullptr
#define STATIC_CALL_BEGIN_C_ extern "C" {
#define STATIC_CALL_END_C_ }
#define STATIC_CALL_CAST_(func) reinterpret_cast<void (*)(void)>(reinterpret_cast<void *>(func))
#define STATIC_CALL_UNCAST_(type, func) reinterpret_cast<type>(reinterpret_cast<void *>(func))
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

/* Integers, also those that have no name in all standards, can shift. So can vectors, but what comes out is no int. */
template <typename T>
T &static_call_some_();
template <typename T, typename = int>
struct static_call_is_integer_ {
  enum { value = 0 };
};
template <typename T>
struct static_call_is_integer_<T, decltype(1 << static_call_some_<T>())> {
  enum { value = !__is_class(T) && !__is_union(T) };
};

/* Whether static_call_return, or static_call_return0, can stand for a function that returns T. */
template <typename T>
struct static_call_result_ {
  enum { is_void = 0, can_be_0 = sizeof(T) <= 8 && (__is_enum(T) || static_call_is_integer_<T>::value) };
};
template <typename T>
struct static_call_result_<const T> : static_call_result_<T> {};
template <typename T>
struct static_call_result_<T *> {
  enum { is_void = 0, can_be_0 = 1 };
};
template <typename T>
struct static_call_result_<T &> {
  enum { is_void = 0, can_be_0 = 0 };
};
template <typename T>
struct static_call_result_<T &&> : static_call_result_<T &> {};
template <>
struct static_call_result_<void> {
  enum { is_void = 1, can_be_0 = 1 };
};
template <typename R, typename... P>
static_call_result_<R> static_call_result_of_(R (*)(P...));
template <typename R, typename... P>
static_call_result_<R> static_call_result_of_(R (*)(P..., ...));

template <typename T>
struct static_call_returning_0_ {
  static_assert(decltype(static_call_result_of_(static_cast<T *>(nullptr)))::can_be_0, STATIC_CALL_NEEDS_0_);
  typedef T *pointer;
};

template <typename T>
STATIC_CALL_HIDDEN __attribute__((always_inline)) inline int static_call_update_to_(static_call_key *key, T *func) {
  return static_call_update_key(key, STATIC_CALL_CAST_(func));
}
}
#define STATIC_CALL_ASSERT_FUNCTION_(trampoline)                                                          \
  static_assert(!::static_call_is_const_<::static_call_made_const_<__typeof__(trampoline)>::type>::value, \
                STATIC_CALL_NEEDS_FUNCTION_)
#define STATIC_CALL_ASSERT_RETURNS_VOID_(trampoline) \
  static_assert(decltype(::static_call_result_of_(trampoline))::is_void, STATIC_CALL_NEEDS_VOID_)
#define STATIC_CALL_ASSERT_RETURNS_0_(trampoline) \
  static_assert(sizeof(::static_call_returning_0_<__typeof__(trampoline)>), STATIC_CALL_NEEDS_0_)
#define STATIC_CALL_UPDATE_(key, trampoline, func) ::static_call_update_to_<__typeof__(trampoline)>(&key, func)
#define STATIC_CALL_RETURNING_0_(trampoline)                                       \
  STATIC_CALL_UNCAST_(::static_call_returning_0_<__typeof__(trampoline)>::pointer, \
                      STATIC_CALL_CAST_(static_call_return0))
#else
#define STATIC_CALL_NO_ ((void *)0)
#define STATIC_CALL_BEGIN_C_
#define STATIC_CALL_END_C_
#define STATIC_CALL_CAST_(func) (__extension__((void (*)(void))(void *)(func)))
#define STATIC_CALL_UNCAST_(type, func) (__extension__((type)(void *)(func)))
/* Between the branches of a condition a function becomes a pointer to it; a pointer would stay one. */
#define STATIC_CALL_ASSERT_FUNCTION_(trampoline)                                                                 \
  _Static_assert(__builtin_types_compatible_p(__typeof__(&trampoline), __typeof__(1 ? trampoline : trampoline)), \
                 STATIC_CALL_NEEDS_FUNCTION_)
/*
 * Before C23 a function type without a list of parameters is compatible with all that return the same, if they have no `...` and no
 * parameter that is promoted. In C23 it is the type of functions without parameters.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
typedef float static_call_float_();
typedef double static_call_double_();
typedef long double static_call_long_double_();
typedef float _Complex static_call_complex_float_();
typedef double _Complex static_call_complex_double_();
typedef long double _Complex static_call_complex_long_double_();
__extension__ typedef __int128 static_call_int128_();
__extension__ typedef unsigned __int128 static_call_unsigned_int128_();
typedef _Bool static_call_bool_();
typedef char static_call_char_();
typedef int static_call_int_();
typedef unsigned static_call_unsigned_();
typedef long static_call_long_();
typedef unsigned long static_call_unsigned_long_();
typedef void *static_call_pointer_();
typedef char *static_call_string_();
#pragma GCC diagnostic pop
#define STATIC_CALL_CAN_BE_0_(trampoline)                                                                       \
  _Generic(&trampoline, static_call_float_ *: 0, static_call_double_ *: 0, static_call_long_double_ *: 0,       \
      static_call_complex_float_ *: 0, static_call_complex_double_ *: 0, static_call_complex_long_double_ *: 0, \
      static_call_int128_ *: 0, static_call_unsigned_int128_ *: 0, default: 1)
#define STATIC_CALL_ASSERT_RETURNS_0_(trampoline) _Static_assert(STATIC_CALL_CAN_BE_0_(trampoline), STATIC_CALL_NEEDS_0_)
#define STATIC_CALL_ASSERT_RETURNS_VOID_(trampoline)                                                              \
  _Static_assert(STATIC_CALL_CAN_BE_0_(trampoline) &&                                                             \
                     _Generic(&trampoline, static_call_bool_ *: 0, static_call_char_ *: 0, static_call_int_ *: 0, \
                         static_call_unsigned_ *: 0, static_call_long_ *: 0, static_call_unsigned_long_ *: 0,     \
                         static_call_pointer_ *: 0, static_call_string_ *: 0, default: 1),                        \
                 STATIC_CALL_NEEDS_VOID_)
#define STATIC_CALL_RETURNING_0_(trampoline)                                                                     \
  _Generic(sizeof(struct { _Static_assert(STATIC_CALL_CAN_BE_0_(trampoline), STATIC_CALL_NEEDS_0_); int one; }), \
      default: STATIC_CALL_UNCAST_(__typeof__(&trampoline), STATIC_CALL_CAST_(static_call_return0)))
/* Compilers have nullptr before they say that they know C23. */
#ifdef __clang__
#define STATIC_CALL_HAS_NULLPTR_ (__STDC_VERSION__ > 201710L && __clang_major__ >= 16)
#else
#define STATIC_CALL_HAS_NULLPTR_ (__STDC_VERSION__ > 201710L && __GNUC__ >= 13)
#endif
#if STATIC_CALL_HAS_NULLPTR_
#define STATIC_CALL_OR_NULLPTR_(choice) , __typeof__(nullptr): choice
#else
#define STATIC_CALL_OR_NULLPTR_(choice)
#endif
/* A function of another type would only be a warning. */
#define STATIC_CALL_UPDATE_(key, trampoline, func)                \
  _Generic(func, __typeof__(&trampoline): static_call_update_key, \
           void *: static_call_update_key STATIC_CALL_OR_NULLPTR_(static_call_update_key))(&key, STATIC_CALL_CAST_(func))
#endif

/* A file may define what its header has declared, and a name of C's may stand for a function that returns a class. */
#ifdef __clang__
#define STATIC_CALL_QUIET_ _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wreturn-type-c-linkage\"")
#define STATIC_CALL_LOUD_ _Pragma("clang diagnostic pop")
#else
#define STATIC_CALL_QUIET_ _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wredundant-decls\"")
#define STATIC_CALL_LOUD_ _Pragma("GCC diagnostic pop")
#endif

#define STATIC_CALL_DECLARE_(key, trampoline, ...)              \
  STATIC_CALL_QUIET_                                            \
  STATIC_CALL_BEGIN_C_                                          \
  extern STATIC_CALL_HIDDEN struct static_call_key key;         \
  extern STATIC_CALL_HIDDEN __typeof__(__VA_ARGS__) trampoline; \
  STATIC_CALL_END_C_                                            \
  STATIC_CALL_LOUD_

/* g++ leaves it to the assembler to find out that two namespaces define one name. The line with # says where the message belongs. */
#if defined(__cplusplus) && !defined(__clang__)
#define STATIC_CALL_TEXT_(text) STATIC_CALL_TEXT_AS_IT_IS_(text)
#define STATIC_CALL_TEXT_AS_IT_IS_(text) #text
#define STATIC_CALL_ONCE_(name, trampoline)                             \
  ".ifdef " trampoline "\n"                                             \
  "# " STATIC_CALL_TEXT_(__LINE__) " " STATIC_CALL_TEXT_(__FILE__) "\n" \
  ".error \"the static call " name " is defined twice\"\n"              \
  ".else\n"
#define STATIC_CALL_END_ONCE_ ".endif\n"
#else
#define STATIC_CALL_ONCE_(name, trampoline)
#define STATIC_CALL_END_ONCE_
#endif

#define STATIC_CALL_DEFINE_(name, key, trampoline, initial, ...)                    \
  STATIC_CALL_DECLARE_(key, trampoline, __VA_ARGS__)                                \
  STATIC_CALL_ASSERT_FUNCTION_(trampoline);                                         \
  __attribute__((used)) struct static_call_key key = {initial, STATIC_CALL_NO_, 0}; \
  __asm__(STATIC_CALL_ONCE_(name, #trampoline)                                      \
          ".pushsection .text.static_call." name ",\"ax\",%progbits\n"              \
          ".balign 16\n"                                                            \
          ".globl " #trampoline "\n"                                                \
          ".hidden " #trampoline "\n"                                               \
          ".type " #trampoline ", %function\n"                                      \
          #trampoline ":\n"                                                         \
          ".cfi_startproc\n" STATIC_CALL_TRAMPOLINE_(#key) ".cfi_endproc\n"         \
          ".size " #trampoline ", . - " #trampoline "\n"                            \
          ".popsection\n" STATIC_CALL_END_ONCE_)

/*
 * The trampoline is never patched, and always right. It changes no register but those that linkers' stubs may change, and nothing is
 * executed behind its jump, not even in advance (straight-line speculation). The relocation that does nothing brings the library
 * into the link.
 */
#if defined(__x86_64__) && defined(__LP64__)
#ifdef STATIC_CALL_RETPOLINE
/* For programs that are compiled with retpolines: no indirect branch whose target the processor may guess. */
#define STATIC_CALL_TRAMPOLINE_(key)                  \
  ".reloc ., R_X86_64_NONE, static_call_update_key\n" \
  "endbr64\n"                                         \
  "movq " key "(%rip), %r11\n"                        \
  "call 771f\n"                                       \
  "770: pause\n"                                      \
  "lfence\n"                                          \
  "jmp 770b\n"                                        \
  ".cfi_adjust_cfa_offset 8\n"                        \
  "771: movq %r11, (%rsp)\n"                          \
  "ret\n"                                             \
  ".cfi_adjust_cfa_offset -8\n"                       \
  "int3\n"
#else
#define STATIC_CALL_TRAMPOLINE_(key)                  \
  ".reloc ., R_X86_64_NONE, static_call_update_key\n" \
  "endbr64\n"                                         \
  "jmpq *" key "(%rip)\n"                             \
  "int3\n"
#endif
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#define STATIC_CALL_TRAMPOLINE_(key)                                             \
  ".reloc ., R_AARCH64_NONE, static_call_update_key\n"                           \
  "hint #34\n" /* bti c */                                                       \
  "adrp x16, " key "\n"                                                          \
  "add x16, x16, :lo12:" key "\n"                                                \
  "ldar x16, [x16]\n" /* what was written before the update is seen behind it */ \
  "br x16\n"                                                                     \
  "dsb sy\n"                                                                     \
  "isb\n"
#else
#error "static_call.h is for x86-64 and little-endian AArch64 with 64-bit pointers"
#endif

#endif
