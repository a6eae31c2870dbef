/* Static calls that return 0, in registers of all kinds. Variable arguments hide the type from the header. */
#include "check.h"

struct pair {
  long first, second;
};
struct mixed {
  double number;
  long word;
};
typedef float vector __attribute__((vector_size(16)));

DEFINE_STATIC_CALL_RET0(wide, __int128(long, long, long, ...));
DEFINE_STATIC_CALL_RET0(real, double(double, ...));
DEFINE_STATIC_CALL_RET0(single, float(float, ...));
DEFINE_STATIC_CALL_RET0(complex, double _Complex(double, double, ...));
DEFINE_STATIC_CALL_RET0(pair, struct pair(long, long, long, ...));
DEFINE_STATIC_CALL_RET0(mixed, struct mixed(double, long, ...));
DEFINE_STATIC_CALL_RET0(four, vector(vector, ...));

/* Before the first update through the trampoline or patched, and after one again. */
static void check(void) {
  CHECK(static_call(wide)(1, 2, 3) == 0);
  CHECK(static_call(real)(2.5) == 0);
  CHECK(static_call(single)(2.5f) == 0);
  CHECK(static_call(complex)(2.5, 3.5) == 0);
  struct pair pair = static_call(pair)(1, 2, 3);
  CHECK(pair.first == 0 && pair.second == 0);
  struct mixed mixed = static_call(mixed)(2.5, 3);
  CHECK(mixed.number == 0 && mixed.word == 0);
  vector four = static_call(four)((vector){1, 2, 3, 4});
  for (int i = 0; i < 4; i += 1) CHECK(four[i] == 0);
}

int main(void) {
  check();
  CHECK(static_call_update(wide, STATIC_CALL_RET0(wide)) == 0 && static_call_update(real, STATIC_CALL_RET0(real)) == 0);
  check();
  printf("all 0\n");
  return 0;
}
