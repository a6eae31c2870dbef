#include "inline-calls.h"

// Nobody calls it: a linker that collects garbage may drop it, and its entries with it.
long never_called_one(long value) { return __SCT__add(value, sum_of_three(value, 1, 2)); }

static long own_one(long value) { return __SCT__add(value, 100); }

long from_one(long value) {
  const short numbers[] = {1, 2, 3};
  Counter counter;
  Doubling doubling;
  Counter *both[] = {&counter, &doubling};
  long result = own_one(sum_of_three(value, twice<Red>(value), total(numbers, 3)));
  for (Counter *one : both)
    result += one->checked(value);
  announce("one");
  return result;
}
