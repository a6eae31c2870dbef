#include "program.h"

int call_elsewhere(int x) { return static_call(add)(x) + static_call(count)(); }

int tail_elsewhere(int x) { return static_call(add)(x); }

/* Nobody calls it: linkers that collect garbage may drop it, and its entries with it. */
int call_unused(int x) { return static_call(add)(x) + 100; }

#ifdef __cplusplus
int call_inline_elsewhere(int x) { return call_inline(x) + call_template<3>(x); }
#endif
