#include "cost.h"

int target(int x) { return x; }
int other_target(int x) { return x + 1; }
