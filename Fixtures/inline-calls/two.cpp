#include "inline-calls.h"

// Nobody calls it: a linker that collects garbage may drop it, and its entries with it.
long never_called_two(long value) { return __SCT__add(value, sum_of_three(value, 1, 2)); }

static long own_two(long value) { return __SCT__add(value, 200); }

long from_two(long value) {
  const long numbers[] = {1, 2, 3};
  Counter counter;
  Doubling doubling;
  Counter *both[] = {&counter, &doubling};
  long result = own_two(sum_of_three(value, twice<Blue>(value), total(numbers, 3)));
  for (Counter *one : both)
    result += one->checked(value);
  announce("two");
  return result;
}
