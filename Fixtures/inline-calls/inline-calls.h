// Static calls where C++ puts code into section groups: inline functions, member functions, templates, inline variables. Several
// objects hold a copy of each, of which a linker keeps one.
#ifndef INLINE_CALLS_H
#define INLINE_CALLS_H

struct static_call_key {
  void *func;
  unsigned long users;
};

#define DECLARE_STATIC_CALL(name, result, ...)                                      \
  extern "C" static_call_key __SCK__##name __attribute__((visibility("hidden")));   \
  extern "C" result __SCT__##name(__VA_ARGS__) __attribute__((visibility("hidden"))); \
  /* Puts the key into the object's symbol table. */                                \
  static void *use_##name __attribute__((used, section(".discard.addressable"))) = &__SCK__##name

DECLARE_STATIC_CALL(add, long, long, long);
DECLARE_STATIC_CALL(note, void, const char *);
DECLARE_STATIC_CALL(refuse, void, long);

inline long sum_of_three(long a, long b, long c) { return __SCT__add(__SCT__add(a, b), c); }

// Ends in a tail call.
__attribute__((noinline)) inline void announce(const char *what) {
  __SCT__note("->");
  __SCT__note(what);
}

template <typename Number> __attribute__((noinline)) long total(const Number *numbers, int count) {
  long result = 0;
  for (int i = 0; i < count; i++)
    result = __SCT__add(result, static_cast<long>(numbers[i]));
  return result;
}

// Folded by --icf: the same code for both types.
template <typename Tag> __attribute__((noinline)) long twice(long value) { return __SCT__add(value, value) + 1; }
struct Red {};
struct Blue {};

class Counter {
public:
  virtual ~Counter() {}
  virtual long next(long step) {
    value = __SCT__add(value, step);
    return value;
  }
  // Throws through frames of grouped code.
  __attribute__((noinline)) long checked(long step) {
    struct Guard {
      ~Guard() { __SCT__note("guard"); }
    } guard;
    if (step < 0)
      __SCT__refuse(step);
    return next(step);
  }

protected:
  long value = 0;
};

class Doubling : public Counter {
public:
  long next(long step) override { return Counter::next(__SCT__add(step, step)); }
};

long from_one(long);
long from_two(long);

#endif
