/* Static calls in every flow of control, and with every kind of argument and result, that compilers treat in their own way. */
#include "coverage.h"

long entrance[64];

static long total;
static volatile int is_rare = 1;

/* Straight on and in branches */

long in_a_row(long a) {
  long sum = __SCT__add(a, 1);
  sum += __SCT__add(sum, 2);
  __SCT__tick();
  sum += __SCT__add(__SCT__add(sum, 3), __SCT__add(a, 4));
  __SCT__tick();
  __SCT__report("in a row %ld\n", sum);
  return __SCT__add(sum, a) + 1;
}

long on_branches(long a, long b) {
  long sum;
  if (a > b)
    sum = __SCT__add(a, b) * 2;
  else if (a == b)
    sum = __SCT__add(a, 7) - __SCT__add(b, 8);
  else
    sum = a;
  if (sum & 1)
    __SCT__tick();
  sum += b ? __SCT__add(sum, b) : sum;
  return a > 0 && __SCT__add(sum, a) > 10 ? sum : -sum;
}

/* Loops */

long in_loop(int count) {
  long sum = 0;
  for (int i = 0; i < count; i++)
    sum = __SCT__add(sum, i);
  return sum;
}

long in_nested_loops(int rows, int columns) {
  long sum = 0;
  for (int row = 0; row < rows; row++) {
    for (int column = 0; column < columns; column++) {
      sum = __SCT__add(sum, row * column);
      for (int i = 0; i < (sum & 3); i++)
        __SCT__tick();
    }
    if (__SCT__add(sum, row) % 5 == 0)
      sum = __SCT__add(sum, total);
  }
  return sum;
}

long in_loop_with_exits(int count, long limit) {
  long sum = 1;
  while (count-- > 0) {
    if (count % 3 == 2)
      continue;
    sum = __SCT__add(sum, sum);
    if (sum > limit)
      break;
    if (sum == 64)
      goto exactly;
    __SCT__tick();
  }
  return sum;
exactly:
  return __SCT__add(sum, -1);
}

/* Jump tables */

long dense(int which, long a) {
  long result = a;
  switch (which) {
  case 0: result = __SCT__add(a, 10); break;
  case 1: result = __SCT__add(a, 21) * 3; __SCT__tick(); break;
  case 2: __SCT__tick(); break;
  case 3: result = __SCT__report("three %ld\n", a);
  /* Falls through. */
  case 4: result += __SCT__add(__SCT__add(a, a), 43); break;
  case 5: total += a; break;
  case 6: result = __SCT__add(a, total) - a; break;
  case 7: return -__SCT__add(result, 7);
  case 8: for (int i = 0; i < 3; i++) result = __SCT__add(result, i); break;
  case 9: result = result % 7; break;
  case 10: result ^= 0x55; break;
  default: return -1;
  }
  return __SCT__add(result, which);
}

long dense_tails(int which, long a) {
  switch (which) {
  case 0: return __SCT__add(a, 1);
  case 1: return __SCT__add(a, a);
  case 2: return __SCT__risk(a);
  case 3: return __SCT__add(total, a);
  case 4: return __SCT__crowd(a, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  case 5: return a * total;
  case 6: return __SCT__apply(__SCT__add, a);
  case 7: return __SCT__add(-a, 7);
  default: return __SCT__risk(-a);
  }
}

void dense_ticks(int which) {
  switch (which) {
  case 0: total++; break;
  case 1: total += 3; break;
  case 2: total ^= 1; break;
  case 3: total -= 2; break;
  case 4: total = total * 3 % 101; break;
  case 5: return;
  }
  __SCT__tick();
}

/* Computed goto: the labels' addresses, and their distances from one of them, are in data. */

long computed(const unsigned char *program, long a) {
  static const void *const steps[] = {&&stop, &&add, &&tick, &&twice, &&report};
  goto *steps[*program];
add:
  a = __SCT__add(a, 5);
  goto *steps[*++program];
tick:
  __SCT__tick();
  goto *steps[*++program];
twice:
  a = __SCT__add(a, a);
  goto *steps[*++program];
report:
  __SCT__report("computed %ld\n", a);
  goto *steps[*++program];
stop:
  return a;
}

long computed_by_offsets(const unsigned char *program, long a) {
  static const int steps[] = {&&stop - &&add, 0, &&negate - &&add};
  while (1) {
    goto *(&&add + steps[*program++]);
  add:
    a = __SCT__add(a, total);
    continue;
  negate:
    a = -__SCT__add(a, 1);
    continue;
  stop:
    return __SCT__add(a, 1);
  }
}

/* Tails */

void tail_plain(void) {
  total++;
  __SCT__tick();
}

long tail_swapped(long a, long b) { return __SCT__add(b, a); }

void tail_if(int is_wanted) {
  if (is_wanted)
    __SCT__tick();
}

long tail_either(int which, long a) {
  if (which > 3)
    return __SCT__add(a, which);
  return __SCT__risk(a + which);
}

void tail_of_loop(int count) {
  while (count-- > 0)
    __SCT__tick();
  __SCT__fill((char *)&total, 1, 1);
}

long never_returns_if(long a) {
  if (a < 0) {
    __SCT__report("leaving with %ld\n", a);
    __SCT__leave(5);
  }
  if (__SCT__add(a, 1) == 1000)
    __SCT__leave(6);
  return __SCT__add(a, a);
}

/* Arguments and results */

struct box boxes(struct box box, long by) {
  struct box wide = __SCT__grow(box, by);
  struct box wider = __SCT__grow(wide, wide.left + by);
  wider.top += __SCT__grow(__SCT__grow(wider, 1), 2).height;
  return wider;
}

struct pair pairs(struct pair pair) {
  struct pair next = __SCT__pair(pair, 1.5);
  return __SCT__pair(next, next.ratio);
}

long crowded(long a, long b) {
  long first = __SCT__crowd(a, b, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  return first + __SCT__crowd(b, first, a, b, a, b, a, b, first, b, a);
}

double floating(double a, float b) {
  double scaled = __SCT__scale(a, b);
  double mixed = __SCT__mix(a, b, 3, scaled, 5, 6, 7, 8, 9, 10, 11, 12);
  return scaled + __SCT__scale(mixed, 0.5) * __SCT__mix(mixed, 1, 2, a, b, a, b, a, b, a, 3, b);
}

int described(const char *name, int i, double d) {
  int length = __SCT__report("%s %d\n", name, i);
  return length + __SCT__report("%d %.2f %s %ld %c %.1f\n", i, d, name, 1L << 40, 'x', d * 2);
}

long on_stack(unsigned long size) {
  char *text = __builtin_alloca(size + 1);
  __SCT__fill(text, size, 'a');
  text[size] = 0;
  long length = __SCT__report("on stack %s\n", text);
  __SCT__fill(text, size / 2, 'b');
  return __SCT__add(length, __SCT__report("on stack %s\n", text));
}

long sized_by_argument(int count) {
  long values[count];
  for (int i = 0; i < count; i++)
    values[i] = __SCT__add(i, count);
  long sum = 0;
  for (int i = count; i-- > 0;)
    sum = __SCT__add(sum, values[i] * i);
  return sum;
}

/* Control that comes back by ways that the function does not show */

long attempted(int times) {
  volatile long sum = 0;
  volatile int round = 0;
  int result = _setjmp(entrance);
  sum = __SCT__add(sum, result);
  __SCT__report("attempt %d after %d\n", round, result);
  if (round++ < times) {
    __SCT__tick();
    __SCT__leave(round * 10);
  }
  return __SCT__add(sum, round);
}

#if defined(__x86_64__)
#define NO_OPERATION ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
#define JUMP_IF_SET "testl %0, %0\n jnz %l[wanted]"
#define CLOBBER_SAVED "rbx", "r12", "r13", "r14", "r15"
#define CLOBBER_REST "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory"
#elif defined(__aarch64__)
#define NO_OPERATION "nop\n"
#define JUMP_IF_SET "cbnz %w0, %l[wanted]"
#define CLOBBER_SAVED "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28"
#define CLOBBER_REST "x0", "x1", "x2", "x3", "x4", "x5", "x8", "x9", "x10", "x16", "x17", "x30", "cc", "memory"
#endif

/* Like the kernel's static branch: only a table says where the instruction may jump once it is patched. */
long by_patched_branch(long a) {
  a = __SCT__add(a, 1);
  __asm__ goto("1:\n" NO_OPERATION
               ".pushsection .branches, \"aw\"\n"
               "  .balign 4\n"
               "  .long 1b - ., %l[wanted] - .\n"
               ".popsection\n"
               :
               :
               :
               : wanted);
  a = __SCT__add(a, 2);
  __SCT__tick();
  return a;
wanted:
  a = __SCT__add(a, 3);
  return __SCT__add(a, a);
}

long by_tested_branch(long a) {
  a = __SCT__add(a, 1);
  __asm__ goto(JUMP_IF_SET : : "r"((int)a & 1) : "cc" : wanted);
  a = __SCT__add(a, 2);
  __SCT__tick();
wanted:
  return __SCT__add(a, 3) + __SCT__add(a, 4);
}

/* Inline assembly */

long among_clobbers(long a) {
  a = __SCT__add(a, 1);
  __asm__ volatile("" : : : CLOBBER_SAVED);
  a = __SCT__add(a, 2);
  __asm__ volatile("" : : : CLOBBER_REST);
  a = __SCT__add(a, 3);
  __asm__ volatile("" : : : "memory");
  return __SCT__add(a, 4);
}

long among_registers(long a) {
  long b, c;
  __asm__("" : "=r"(b), "=r"(c) : "0"(a), "1"(a + 1));
  a = __SCT__add(b, c);
  __asm__("" : "+r"(a), "+r"(b), "+r"(c));
  a = __SCT__add(a, __SCT__add(b, c));
  for (int i = 0; i < 3; i++) {
    __asm__ volatile("" : "+r"(a) : : CLOBBER_SAVED);
    a = __SCT__add(a, i);
  }
  return a;
}

/* What is rarely done, the compiler moves away: to another section, or behind the function. */

__attribute__((cold, noinline)) long rarely(long a) {
  __SCT__report("rarely %ld\n", a);
  __SCT__tick();
  return __SCT__add(a, -1);
}

long on_cold_path(long a) {
  if (__builtin_expect(is_rare, 0)) {
    a = rarely(a);
    a += __SCT__add(a, 2);
    __SCT__report("on a cold path %ld\n", a);
  }
  return a + __SCT__add(a, 1);
}
