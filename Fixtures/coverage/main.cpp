/*
 * The program: targets for every static call, a new set of them for each round, and in each round a call of everything in flow.c,
 * pointers.c and objects.cpp.
 *
 * Standard output tells what came out. It is the same whatever compiled the callers, and stands in output.txt. Standard error
 * tells, for each call that reaches a target, the return addresses on the stack, as distances from the program's start.
 */
#include "coverage.h"

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <execinfo.h>
#include <unistd.h>

#include "thrown.h"

extern "C" const char __executable_start;

static long ticks;
static int thrown;

// The innermost return addresses. Those outside the program differ from run to run; who reads them leaves them out.
static void trace(const char *target) {
  void *frames[12];
  int count = backtrace(frames, 12);
  fprintf(stderr, "%s", target);
  for (int i = 1; i < count; i++)
    fprintf(stderr, " %lx", reinterpret_cast<uintptr_t>(frames[i]) - reinterpret_cast<uintptr_t>(&__executable_start));
  fprintf(stderr, "\n");
}

// Targets. What they compute is exact and small, so that no machine or compiler may differ.

static long small(long number) { return number % 1000003; }

static long sum(long a, long b) {
  trace("sum");
  return small(a + b);
}

static long difference(long a, long b) {
  trace("difference");
  return small(a * 2 - b);
}

static long product(long a, long b) {
  trace("product");
  return small((small(a) + 3) * (small(b) + 1));
}

static int print(const char *format, ...) {
  trace("print");
  va_list arguments;
  va_start(arguments, format);
  int length = vprintf(format, arguments);
  va_end(arguments);
  return length;
}

static int print_marked(const char *format, ...) {
  trace("print_marked");
  va_list arguments;
  va_start(arguments, format);
  int length = printf("> ") + vprintf(format, arguments);
  va_end(arguments);
  return length;
}

static struct box larger(struct box box, long by) {
  trace("larger");
  return {small(box.left - by), small(box.top - by), small(box.width + 2 * by), small(box.height + 2 * by)};
}

static struct box turned(struct box box, long by) {
  trace("turned");
  return {box.top, box.left, small(box.height + by), box.width};
}

static void count(void) {
  trace("count");
  ticks++;
}

static void count_thrice(void) {
  trace("count_thrice");
  ticks += 3;
}

static void ignore(const char *reason) {
  trace("ignore");
  printf("ignored: %s\n", reason);
}

static long weigh(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k) {
  trace("weigh");
  return small(a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k);
}

static long last(long, long, long, long, long, long, long, long, long, long j, long k) {
  trace("last");
  return small(j * 2 + k);
}

static double blend(double a, float b, int c, double d, double e, double f, double g, double h, double i, double j, long k, float l) {
  trace("blend");
  return a + b * 2 + c + d * 0.5 + e - f + g - h + i - j + k + l;
}

static double ends(double a, float, int, double, double, double, double, double, double, double, long, float l) {
  trace("ends");
  return a - l;
}

static double times(double a, double b) {
  trace("times");
  return a * b > 4096 || a * b < -4096 ? 0.5 : a * b;
}

static double halves(double a, double b) {
  trace("halves");
  return a * 0.5 + b * 0.5;
}

static struct pair advance(struct pair pair, double by) {
  trace("advance");
  return {pair.number + 1, pair.ratio + by};
}

static struct pair retreat(struct pair pair, double by) {
  trace("retreat");
  return {-pair.number, by - pair.ratio};
}

static void put(char *text, unsigned long size, int character) {
  trace("put");
  for (unsigned long i = 0; i < size; i++)
    text[i] = static_cast<char>(character);
}

static void put_next(char *text, unsigned long size, int character) {
  trace("put_next");
  put(text, size, character + 1);
}

static void leave(int value) {
  trace("leave");
  longjmp(entrance, value);
}

static long with_nine(binary *function, long a) {
  trace("with_nine");
  return function(a, 9);
}

static long with_itself(binary *function, long a) {
  trace("with_itself");
  return function(a, function(a, a));
}

static long harmless(long a) {
  trace("harmless");
  return small(a * 2);
}

static long throwing(long a) {
  trace("throwing");
  if (a % 6 != 5)
    thrown++;
  switch (a % 6) {
  case 0: throw static_cast<int>(a);
  case 1: throw Failure{a * 3};
  case 2: throw Grave{{a * 5}};
  case 3: throw "a text";
  case 4: throw 2.5;
  default: return a;
  }
}

static long adding(long a) {
  trace("adding");
  return a + 1000;
}

DEFINE_STATIC_CALL(add, (void *)sum);
DEFINE_STATIC_CALL(report, (void *)print);
DEFINE_STATIC_CALL(grow, (void *)larger);
DEFINE_STATIC_CALL(tick, (void *)count);
DEFINE_STATIC_CALL(fail, (void *)ignore);
DEFINE_STATIC_CALL(crowd, (void *)weigh);
DEFINE_STATIC_CALL(mix, (void *)blend);
DEFINE_STATIC_CALL(scale, (void *)times);
DEFINE_STATIC_CALL(pair, (void *)advance);
DEFINE_STATIC_CALL(fill, (void *)put);
DEFINE_STATIC_CALL(leave, (void *)leave);
DEFINE_STATIC_CALL(apply, (void *)with_nine);
DEFINE_STATIC_CALL(risk, (void *)harmless);

// Rounds

static void show(const char *call, long result) { printf("%s %ld, ticks %ld\n", call, result, ticks); }

#define SHOW(call) show(#call, call)

// Calls what does not return but by way of a jump to here.
static void leave_from(const char *name, long (*function)(long)) {
  int value = _setjmp(entrance);
  if (value == 0)
    function(-5);
  printf("%s left with %d\n", name, value);
}

static void flow() {
  static const unsigned char program[] = {1, 2, 3, 4, 1, 0};
  static const unsigned char steps[] = {1, 2, 1, 0};
  SHOW(in_a_row(5));
  SHOW(on_branches(3, 2));
  SHOW(on_branches(4, 4));
  SHOW(on_branches(-1, 6));
  SHOW(in_loop(7));
  SHOW(in_nested_loops(3, 4));
  SHOW(in_loop_with_exits(20, 5000));
  SHOW(in_loop_with_exits(9, 50));
  for (int i = -1; i < 12; i++)
    SHOW(dense(i, 100 + i));
  for (int i = 0; i < 9; i++)
    SHOW(dense_tails(i, 20 - i));
  for (int i = 0; i < 8; i++)
    dense_ticks(i);
  SHOW(computed(program, 2));
  SHOW(computed_by_offsets(steps, 3));
  tail_plain();
  SHOW(tail_swapped(9, 4));
  tail_if(0);
  tail_if(1);
  SHOW(tail_either(2, 30));
  SHOW(tail_either(5, 30));
  tail_of_loop(3);

  SHOW(never_returns_if(6));
  leave_from("never_returns_if", never_returns_if);
  struct box box = boxes({10, 20, 30, 40}, 3);
  printf("boxes %ld %ld %ld %ld\n", box.left, box.top, box.width, box.height);
  struct pair pair = pairs({7, 0.25});
  printf("pairs %ld %.4f\n", pair.number, pair.ratio);
  SHOW(crowded(3, 4));
  printf("floating %.4f\n", floating(1.5, 2.25f));
  SHOW(described("name", -3, 1.25));
  SHOW(on_stack(9));
  SHOW(sized_by_argument(6));
  SHOW(attempted(2));
  SHOW(by_patched_branch(8));
  SHOW(by_tested_branch(8));
  SHOW(by_tested_branch(9));
  SHOW(among_clobbers(1));
  SHOW(among_registers(2));
  SHOW(on_cold_path(3));
}

static void pointers() {
  SHOW(by_constant(1));
  SHOW(by_global_constant(2));
  SHOW(by_address(3));
  SHOW(by_static_call(4));
  SHOW(by_static_call_in_loop(4));
  SHOW(tail_by_static_call(5, 6));
  tail_by_static_call_if(0);
  tail_by_static_call_if(1);
  SHOW(varargs_by_static_call(6, 0.75));
  struct box box = box_by_static_call({1, 2, 3, 4});
  printf("box_by_static_call %ld %ld %ld %ld\n", box.left, box.top, box.width, box.height);
  printf("mix_by_static_call %.4f\n", mix_by_static_call(0.5));
  SHOW(crowd_by_static_call(7));
  SHOW(leave_by_static_call(8));
  leave_from("leave_by_static_call", leave_by_static_call);

  SHOW(by_local(9));
  SHOW(by_reassigned(10));
  SHOW(by_selected(0, 11));
  SHOW(by_selected(1, 11));
  SHOW(by_selected_once(0, 4));
  SHOW(by_selected_once(1, 4));
  SHOW(by_selected_among_equal(0, 12));
  SHOW(by_selected_among_equal(1, 12));
  for (int i = 0; i < 7; i++)
    SHOW(by_switch(i, 13));
  SHOW(by_volatile(14));
  SHOW(by_array(0, 15));
  SHOW(by_array(1, 15));
  SHOW(by_array(2, 15));
  SHOW(by_structure(16));
  SHOW(by_opaque(17));
  SHOW(by_argument(18));
  SHOW(by_cast(19));
  SHOW(by_guarded(20));
  SHOW(by_hoisted(3));
  SHOW(by_hoisted_pair(3));
  SHOW(by_hoisted_and_compared(3, returned(1)));
  SHOW(by_hoisted_and_compared(3, returned(0)));
  SHOW(compared(returned(1)));
  SHOW(compared(returned(0)));
  SHOW(key_read());
  SHOW(near(21));
}

static void objects() {
  SHOW(at_start_up());
  for (long i = 30; i < 36; i++) {
    SHOW(caught_here(i));
    // What a floating-point number is caught by, has a clause for everything else.
    if (i % 6 != 4) {
      SHOW(caught_by_type(i % 6 == 3 ? i : i * 7));
      SHOW(caught_through_frames(i));
      SHOW(caught_again(i));
    }
    SHOW(caught_in_handler(i));
    SHOW(caught_by_function_block(i));
    SHOW(safely(i));
  }
  SHOW(caught_in_loop(20));
  SHOW(caught_by_static_call(11));
  SHOW(caught_by_static_call(12));
  SHOW(caught_by_static_call(13));
  SHOW(guarded(14));
  SHOW(in_constructor(15));
  SHOW(in_lambda(18));
  SHOW(in_virtual(0, 16));
  SHOW(in_virtual(1, 18));
  SHOW(in_template(17));
  SHOW(in_static_local(18));
  SHOW(by_reference(19));
  SHOW(by_constexpr(20));
  printf("%d exceptions so far\n", thrown);
}

int main() {
  static char buffer[1 << 16];
  setvbuf(stderr, buffer, _IOFBF, sizeof buffer);
  std::set_terminate([] {
    printf("terminated\n");
    fflush(stdout);
    fflush(stderr);
    _exit(4);
  });

  printf("Round 1: the targets the program starts with\n");
  flow();
  pointers();
  objects();

  printf("Round 2: others for all keys\n");
  __SCK__add.func = (void *)difference;
  __SCK__report.func = (void *)print_marked;
  __SCK__grow.func = (void *)turned;
  __SCK__tick.func = (void *)count_thrice;
  __SCK__crowd.func = (void *)last;
  __SCK__mix.func = (void *)ends;
  __SCK__scale.func = (void *)halves;
  __SCK__pair.func = (void *)retreat;
  __SCK__fill.func = (void *)put_next;
  __SCK__apply.func = (void *)with_itself;
  flow();
  pointers();
  // Exceptions do not pass through the C sources: some flags leave them without unwind tables.
  __SCK__risk.func = (void *)throwing;
  objects();

  printf("Round 3: others for some keys\n");
  __SCK__add.func = (void *)product;
  __SCK__report.func = (void *)print;
  __SCK__risk.func = (void *)adding;
  flow();
  pointers();
  __SCK__risk.func = (void *)throwing;
  objects();

  __SCK__add.func = (void *)sum;
  SHOW(never_returns_if(900));
  printf("An exception meets noexcept:\n");
  return static_cast<int>(not_safely(36));
}
