/* Loads and unloads the shared object again and again, with a static call of the same name in the program. */
#include <dlfcn.h>

#include "check.h"

static int hundred(int x) { return x + 100; }
static int thousand(int x) { return x + 1000; }

DEFINE_STATIC_CALL(step, hundred);

__attribute__((noinline)) static int call(int x) { return static_call(step)(x) + 1; }

int main(int argc, char **argv) {
  CHECK(argc == 2);
  for (int i = 0; i < 50; i += 1) {
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    int (*library_call)(int) = (int (*)(int))dlsym(library, "library_call");
    int (*library_tail)(int) = (int (*)(int))dlsym(library, "library_tail");
    int (*library_update)(int) = (int (*)(int))dlsym(library, "library_update");
    int (*library_print)(void) = (int (*)(void))dlsym(library, "library_print");
    CHECK(library_call && library_tail && library_update && library_print);

    CHECK(static_call_update(step, hundred) == 0);
    CHECK(library_call(1) == 20 && library_tail(1) == 2 && call(1) == 102);
    CHECK(library_update(2) == 0);
    CHECK(library_call(1) == 30 && library_tail(1) == 3 && call(1) == 102);
    CHECK(static_call_update(step, thousand) == 0);
    CHECK(library_call(1) == 30 && library_tail(1) == 3 && call(1) == 1002);
    if (i == 49) CHECK(library_print() == 0);
    CHECK(dlclose(library) == 0);
    CHECK(call(1) == 1002);
  }
  printf("loaded 50 times\n");
  return 0;
}
