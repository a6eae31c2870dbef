#ifndef PROGRAM_H
#define PROGRAM_H
#include "check.h"

#ifdef __cplusplus
extern "C" {
#endif
int add_one(int x);
int add_two(int x);
/* Calls from another file. */
int call_elsewhere(int x);
int tail_elsewhere(int x);
#ifdef __cplusplus
}
#endif

DECLARE_STATIC_CALL(add, add_one);
DECLARE_STATIC_CALL(notify, void(int));
DECLARE_STATIC_CALL(count, int(void));

#ifdef __cplusplus
/* A function that several files have a copy of. */
inline int call_inline(int x) { return static_call(add)(x) + static_call(count)(); }

template <int N>
int call_template(int x) {
  return static_call(add)(x) * N;
}
#endif

#endif
