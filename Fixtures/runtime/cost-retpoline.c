/* A static call whose trampoline is a retpoline. */
#include "cost.h"

DEFINE_STATIC_CALL(cost_retpoline, target);
