/* Loads a shared object and returns what its function `check` does. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
  int (*check)(void) = library ? (int (*)(void))dlsym(library, "check") : NULL;
  if (!check) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  return check();
}
