/*
 * Static calls in C++: exceptions that a target throws, and the callers that catch them or clean up, classes, lambdas, templates.
 * What C++ puts into COMDAT groups, inline functions and templates with external linkage, is in an unnamed namespace here:
 * annotate refuses call sites in such groups.
 */
#include "coverage.h"

#include "thrown.h"

namespace {

// Its destructor makes static calls too, and does so while an exception passes.
struct Guard {
  explicit Guard(long number) : number(number) { __SCT__tick(); }
  ~Guard() { __SCT__report("guard %ld goes\n", number); }
  long number;
};

__attribute__((noinline)) long inner(long a) {
  Guard guard(a);
  return __SCT__risk(a) + guard.number;
}

__attribute__((noinline)) long middle(long a) {
  Guard guard(a * 10);
  long sum = inner(a);
  return __SCT__add(sum, guard.number);
}

// Leaves the exception to its caller without any cleaning up.
__attribute__((noinline)) long passing(long a) { return __SCT__add(middle(a), 1); }

class Shape {
public:
  virtual ~Shape() { __SCT__tick(); }
  virtual long area() const = 0;
  virtual long risky() const { return __SCT__risk(area()); }
};

class Square : public Shape {
public:
  explicit Square(long side) : side(side) {}
  long area() const override { return __SCT__add(side, side); }

private:
  long side;
};

class Counted {
public:
  virtual ~Counted() {}
  virtual void count() { __SCT__tick(); }
};

// Called through Counted, its functions are entered by way of a thunk.
class Circle : public Shape, public Counted {
public:
  explicit Circle(long radius) : radius(__SCT__add(radius, 1)) {}
  ~Circle() override { __SCT__report("circle %ld goes\n", radius); }
  long area() const override { return 3 * __SCT__add(radius, 0); }
  long risky() const override {
    try {
      return Shape::risky();
    } catch (const Failure &failure) {
      return __SCT__add(failure.number, radius);
    }
  }
  void count() override {
    radius++;
    __SCT__tick();
  }

private:
  long radius;
};

template <typename Number, int count> __attribute__((noinline)) Number repeated(Number a) {
  for (int i = 0; i < count; i++)
    a = static_cast<Number>(__SCT__add(static_cast<long>(a), i));
  return a;
}

template <typename Function> long attempt(Function function) {
  try {
    return function();
  } catch (int number) {
    return __SCT__add(number, -1);
  } catch (const Failure &failure) {
    return __SCT__add(failure.number, -2);
  } catch (...) {
    return -3;
  }
}

const long started = __SCT__add(40, 2);

} // namespace

long at_start_up() { return started; }

// Exceptions

long caught_here(long a) {
  try {
    return __SCT__risk(a) + 1;
  } catch (...) {
    __SCT__report("caught here\n");
    return __SCT__add(a, -1);
  }
}

long caught_by_type(long a) {
  try {
    a = __SCT__risk(a);
    __SCT__tick();
    a = __SCT__risk(a + 1);
  } catch (int number) {
    __SCT__report("caught an int, %d\n", number);
    return number;
  } catch (const Grave &grave) {
    __SCT__report("caught a grave failure, %ld\n", grave.number);
    return __SCT__add(grave.number, 1);
  } catch (const Failure &failure) {
    __SCT__report("caught a failure, %ld\n", failure.number);
    return failure.number;
  } catch (const char *text) {
    return __SCT__report("caught a text, %s\n", text);
  }
  return a;
}

long caught_through_frames(long a) {
  try {
    return passing(a);
  } catch (const Failure &failure) {
    return __SCT__add(failure.number, 1000);
  } catch (int number) {
    return __SCT__add(number, 2000);
  } catch (const char *) {
    return 3000;
  }
}

long caught_again(long a) {
  try {
    try {
      Guard guard(a);
      return __SCT__risk(a);
    } catch (...) {
      __SCT__report("thrown on\n");
      throw;
    }
  } catch (int number) {
    return __SCT__add(number, 1);
  } catch (...) {
    __SCT__tick();
    return caught_by_type(a);
  }
}

long caught_in_loop(int count) {
  long sum = 0;
  for (int i = 0; i < count; i++) {
    try {
      sum = __SCT__add(sum, __SCT__risk(i));
    } catch (int) {
      __SCT__tick();
      continue;
    } catch (const Failure &failure) {
      sum = __SCT__add(sum, failure.number);
      if (sum > 500)
        break;
    } catch (...) {
    }
    __SCT__tick();
  }
  return sum;
}

long caught_in_handler(long a) {
  try {
    return __SCT__risk(a);
  } catch (...) {
    try {
      return __SCT__risk(a + 1);
    } catch (...) {
      return __SCT__add(a, 3);
    }
  }
}

long caught_by_function_block(long a) try {
  Guard guard(1);
  return __SCT__risk(__SCT__risk(a));
} catch (...) {
  return static_call(add)(a, 4);
}

long caught_by_static_call(long a) {
  Guard guard(2);
  try {
    for (long i = 0; i < 3; i++)
      a = static_call(risk)(a) + i;
    return a;
  } catch (int number) {
    return static_call(add)(number, guard.number);
  } catch (...) {
    static_call(tick)();
    return -1;
  }
}

long guarded(long a) {
  Guard first(1);
  Guard second(__SCT__add(a, 1));
  Guard third(caught_here(a));
  return __SCT__add(first.number, second.number);
}

long safely(long a) {
  auto harmless = [](long a) noexcept {
    try {
      return __SCT__risk(a);
    } catch (...) {
      return 0L;
    }
  };
  return __SCT__add(harmless(a), harmless(a + 1));
}

long not_safely(long a) noexcept {
  Guard guard(a);
  return __SCT__risk(a) + __SCT__add(a, 1);
}

// Classes, lambdas, templates

long in_constructor(long a) {
  Circle circle(a);
  return __SCT__add(circle.area(), 1);
}

long in_lambda(long a) {
  long sum = 0;
  auto include = [&sum](long more) { sum = __SCT__add(sum, more); };
  include(a);
  include(__SCT__add(a, 1));
  binary *plain = [](long left, long right) { return __SCT__add(right, left); };
  sum = __SCT__apply(plain, sum);
  auto generic = [](auto value) { return __SCT__add(static_cast<long>(value), 1); };
  return generic(2.5) + generic(sum) + attempt([a] { return __SCT__risk(a); });
}

long in_virtual(int which, long a) {
  Square square(a);
  Circle circle(a);
  Shape &shape = which ? static_cast<Shape &>(square) : circle;
  static_cast<Counted &>(circle).count();
  long sum = shape.area();
  return sum + attempt([&shape] { return shape.risky(); });
}

long in_template(long a) { return repeated<long, 3>(a) + repeated<int, 2>(static_cast<int>(a)) + repeated<double, 2>(1.5); }

long in_static_local(long a) {
  static long first = __SCT__add(a, 100);
  return __SCT__add(first, a);
}

long by_reference(long a) {
  long (&target)(long, long) = __SCT__add;
  return target(a, target(a, 1));
}

long by_constexpr(long a) {
  constexpr binary *target = &__SCT__add;
  return target(a, target(a, 2)) + 1;
}
