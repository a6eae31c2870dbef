/* The keys, their targets, and a program that calls everything in callers.c, with other targets from round to round. */
#include "through-keys.h"

int printf(const char *, ...);
int vprintf(const char *, __builtin_va_list);

static int ticks;

long sum(long a, long b) { return a + b; }
long product(long a, long b) { return a * b; }
static long difference(long a, long b) { return a - b; }

static int print(const char *format, ...) {
  __builtin_va_list arguments;
  __builtin_va_start(arguments, format);
  int length = vprintf(format, arguments);
  __builtin_va_end(arguments);
  return length;
}

static int print_softly(const char *format, ...) {
  printf("(softly) ");
  __builtin_va_list arguments;
  __builtin_va_start(arguments, format);
  int length = vprintf(format, arguments);
  __builtin_va_end(arguments);
  return length;
}

static struct box larger(struct box box, long by) {
  struct box result = {box.left - by, box.top - by, box.width + 2 * by, box.height + 2 * by};
  return result;
}

static struct box moved(struct box box, long by) {
  struct box result = {box.left + by, box.top + 10 * by, box.width, box.height};
  return result;
}

static double times(double a, float b) { return a * b; }
static double plus(double a, float b) { return a + b; }

static long last_first(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 1000 * j;
}

static void count(void) { ticks++; }
static void count_twice(void) { ticks += 2; }
void no_hook(long a) { (void)a; }
static void show(long a) { printf("  hook %ld\n", a); }
static void count_hook(long a) { ticks += (int)a; }

static long swapping(long a, long b);

struct static_call_key __SCK__add = {sum, difference};
struct static_call_key __SCK__take = {difference, product};
struct static_call_key __SCK__report = {print, sum};
struct static_call_key __SCK__grow = {larger, sum};
struct static_call_key __SCK__scale = {times, sum};
struct static_call_key __SCK__fold = {last_first, sum};
struct static_call_key __SCK__tick = {count, sum};
struct static_call_key __SCK__hook = {0, sum};
struct static_call_key __SCK__swap = {swapping, sum};
struct static_call_key __SCK__many[MANY] = {{sum, sum}, {product, sum}, {difference, sum}};

static long swapped(long a, long b) {
  static_call_update(swap, swapping);
  change_add();
  return 100 * a - b;
}

/* Changes its own key, and another that may be in use. */
static long swapping(long a, long b) {
  static_call_update(swap, swapped);
  change_add();
  return 10 * a + b;
}

void change_add(void) { static_call_update(add, __SCK__add.func == (void *)sum ? product : sum); }

long apply(long (*function)(long, long), long a, long b) { return function(a, b); }

#define SHOW(call) printf("  %s: %ld\n", #call, (long)(call))

static void round_of_calls(const char *name) {
  struct box box = {10, 20, 30, 40};
  printf("%s\n", name);
  SHOW(straight(5));
  SHOW(looped(10));
  SHOW(nested_loops(6));
  SHOW(conditional(0, 3));
  SHOW(conditional(1, 4));
  for (int i = -1; i < 9; i++)
    SHOW(switched(i, 100 + i));
  tail();
  SHOW(tail_with_result(7));
  conditional_tail(0);
  conditional_tail(1);
  one_of_two_tails(4, 1);
  one_of_two_tails(3, 2);
  SHOW(varargs(1, 2.5));
  box = grown(box);
  printf("  grown: %ld %ld %ld %ld\n", box.left, box.top, box.width, box.height);
  SHOW(scaled(3.25) * 10000);
  SHOW(many_arguments(3));
  SHOW(recursive(20));
  SHOW(cold(9));
  SHOW(in_array(6));
  SHOW(ticks);

  SHOW(tested(1));
  tested_tail(2);
  SHOW(tested_in_loop(5));
  tested_or_nothing(3);
  SHOW(tested_against(4));
  SHOW(ticks);

  SHOW(kept_in_local(2));
  SHOW(kept_for_two_ways(0, 3));
  SHOW(kept_for_two_ways(1, 4));
  SHOW(kept_over_update(3));
  SHOW(kept_and_restored(4));
  void *add = __SCK__add.func;
  struct static_call_key other = {sum, sum};
  SHOW(kept_over_store(&__SCK__add.func, 4));
  static_call_update(add, add);
  SHOW(kept_over_exchange(&__SCK__add.func, 4));
  SHOW(kept_over_copy(&__SCK__add, &__SCK__many[1], 5));
  SHOW(kept_over_copy(&__SCK__add, &other, 6));
  static_call_update(add, add);
  SHOW(kept_over_branch(&__SCK__add.func, 3));
  SHOW(kept_over_branch(&__SCK__add.func, 4));
  static_call_update(add, add);
  SHOW(kept_over_call(4));
  SHOW(kept_over_loop(5));
  SHOW(kept_over_argument(6));
  SHOW(kept_over_callee(7));
  SHOW(kept_in_memory(8));
  SHOW(kept_by_choice(0, 9));
  SHOW(kept_by_choice(1, 9));
  SHOW(kept_for_another(10));

  SHOW(other_word(1));
  SHOW(other_key(&__SCK__take, 2));
  SHOW(other_fixed_element(3));
  for (int i = 0; i < MANY; i++)
    SHOW(other_element(i, 4));
}

int main(void) {
  round_of_calls("sums");
  static_call_update(add, product);
  static_call_update(hook, show);
  round_of_calls("products");
  static_call_update(add, difference);
  static_call_update(take, sum);
  static_call_update(report, print_softly);
  static_call_update(grow, moved);
  static_call_update(scale, plus);
  static_call_update(tick, count_twice);
  static_call_update(hook, count_hook);
  __SCK__many[1].func = sum;
  __SCK__add.previous = product;
  round_of_calls("differences");
  static_call_update(hook, 0);
  round_of_calls("no hook");
  return 3;
}
