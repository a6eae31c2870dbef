/*
 * Static calls as include/linux/static_call.h spells them where an architecture has no support for them: a call loads the key's
 * first word and goes through it. There is no trampoline; the trampolines' names only lend their type.
 */
#ifndef THROUGH_KEYS_H
#define THROUGH_KEYS_H

struct static_call_key {
  void *func;
  /* Not what a static call goes through, and a pointer to a function all the same. */
  long (*previous)(long, long);
};

/* Whether the keys may be another module's: then position-independent code finds them through the global offset table. */
#ifdef HIDDEN_KEYS
#define KEY_VISIBILITY __attribute__((visibility("hidden")))
#else
#define KEY_VISIBILITY
#endif

#define DECLARE_STATIC_CALL(name, result, ...)                \
  extern struct static_call_key __SCK__##name KEY_VISIBILITY; \
  extern result __SCT__##name(__VA_ARGS__)

#define static_call(name) ((__typeof__(__SCT__##name) *)(__SCK__##name.func))

/* A static call that may have no target, with arguments that are evaluated anyway. */
#define static_call_cond(name)                                             \
  ({                                                                       \
    void *function_ = *(void *const volatile *)&__SCK__##name.func;        \
    (__typeof__(__SCT__##name) *)(function_ ? function_ : (void *)no_hook); \
  })

#define static_call_update(name, function) (__SCK__##name.func = (void *)(function))

/* Too large for registers on both machines: the caller passes memory for the result. */
struct box {
  long left, top, width, height;
};

DECLARE_STATIC_CALL(add, long, long, long);
DECLARE_STATIC_CALL(take, long, long, long);
DECLARE_STATIC_CALL(report, int, const char *format, ...);
DECLARE_STATIC_CALL(grow, struct box, struct box, long);
DECLARE_STATIC_CALL(scale, double, double, float);
DECLARE_STATIC_CALL(fold, long, long, long, long, long, long, long, long, long, long, long);
DECLARE_STATIC_CALL(tick, void, void);
DECLARE_STATIC_CALL(hook, void, long);
DECLARE_STATIC_CALL(swap, long, long, long);

/* Several keys under one name: only the first is where the name says. */
enum { MANY = 3 };
extern struct static_call_key __SCK__many[MANY] KEY_VISIBILITY;
extern long __SCT__many(long, long);

/* main.c */
long sum(long, long);
long product(long, long);
void no_hook(long);
void change_add(void);
long apply(long (*)(long, long), long, long);

/*
 * callers.c. A name says what must become of the calls: those of `tested`, `kept` and `other` functions may stay as they are, and
 * where the pointer was kept while the key changed they have to. All others are ordinary static calls.
 */
long straight(long);
long looped(int);
long nested_loops(int);
long conditional(int, long);
long switched(int, long);
void tail(void);
long tail_with_result(long);
void conditional_tail(int);
void one_of_two_tails(int, long);
int varargs(int, double);
struct box grown(struct box);
double scaled(double);
long many_arguments(long);
long recursive(long);
long cold(long);
long in_array(long);

long tested(long);
void tested_tail(long);
long tested_in_loop(int);
void tested_or_nothing(long);
long tested_against(long);

long kept_in_local(long);
long kept_for_two_ways(int, long);
long kept_over_update(long);
long kept_and_restored(long);
long kept_over_store(void **, long);
long kept_over_exchange(void **, long);
long kept_over_copy(struct static_call_key *, const struct static_call_key *, long);
long kept_over_branch(void **, long);
long kept_over_call(long);
long kept_over_loop(int);
long kept_over_argument(long);
long kept_over_callee(long);
long kept_in_memory(long);
long kept_by_choice(int, long);
long kept_for_another(long);

long other_word(long);
long other_key(const struct static_call_key *, long);
long other_element(int, long);
long other_fixed_element(long);

#endif
