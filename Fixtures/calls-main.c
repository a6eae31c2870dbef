/* The static calls that calls.c uses, with callers in the object that also holds the trampolines, and the program. */
#include "calls.h"

int printf(const char *, ...);
int vprintf(const char *, __builtin_va_list);
void exit(int) __attribute__((noreturn));

static int ticks;

static long sum(long a, long b) { return a + b; }
static long product(long a, long b) { return a * b; }

static int print(const char *format, ...) {
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

static void count(void) { ticks++; }

static void give_up(const char *reason) {
  printf("failed: %s, %d ticks\n", reason, ticks);
  exit(3);
}

DEFINE_STATIC_CALL(add, sum);
DEFINE_STATIC_CALL(report, print);
DEFINE_STATIC_CALL(grow, larger);
DEFINE_STATIC_CALL(tick, count);
DEFINE_STATIC_CALL(fail, give_up);

static void round_of_calls(const char *name) {
  struct box box = {10, 20, 30, 40};
  printf("%s: %ld", name, straight(5));
  printf(" %ld\n", looped(10));
  for (int i = 0; i < 9; i++)
    printf(" %ld", switched(i, 100 + i));
  tail();
  conditional_tail(0);
  conditional_tail(1);
  one_of_two_tails(4, "not now");
  box = grown(box);
  printf("\n %ld %ld %ld %ld\n", box.left, box.top, box.width, box.height);
  printf(" %ld\n", tail_with_result(7));
  printf(" %d\n", varargs(1, 2.5));
  printf(" %ld\n", checked(8));
  printf(" %ld\n", through_pointer(product, 9));
  __SCT__report("%s ends after %d ticks\n", name, ticks);
  __SCT__tick();
}

int main(void) {
  round_of_calls("sums");
  __SCK__add.func = product;
  round_of_calls("products");
  return (int)checked(-__SCT__add(2, 3));
}
