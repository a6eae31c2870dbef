#include "cost.h"

extern int (*volatile cost_pointer)(int);

#ifdef EMPTY
#define CALL(x) ({ __asm__ volatile("" : "+r"(x)); x; })
#elif defined(DIRECT)
#define CALL target
#elif defined(POINTER)
#define CALL cost_pointer
#elif defined(RETPOLINE)
#define CALL static_call(cost_retpoline)
#else
#define CALL static_call(cost)
#endif

int LOOP(long turns) {
  int x = 0;
  for (; turns > 0; turns -= 1) {
    x = CALL(x);
    x = CALL(x);
    x = CALL(x);
    x = CALL(x);
    x = CALL(x);
    x = CALL(x);
    x = CALL(x);
    x = CALL(x);
  }
  return x;
}
