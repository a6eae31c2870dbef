/*
 * A dispatch table that plug-ins fill in. Calls go straight to the plug-in's functions where these are within reach of a direct call, and
 * else through the trampoline.
 *
 *   plugins ./rot13.so ./reverse.so
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <static_call.h>

#include "codec.h"

static void copy(char *text, size_t size) {
  (void)text;
  (void)size;
}

DEFINE_STATIC_CALL(encode, copy);
DEFINE_STATIC_CALL(decode, copy);

static void round_trip(const char *name, const char *text) {
  char buffer[64];
  size_t size = strlen(text);
  memcpy(buffer, text, size + 1);
  static_call(encode)(buffer, size);
  printf("%s: %s -> %s", name, text, buffer);
  static_call(decode)(buffer, size);
  printf(" -> %s\n", buffer);
}

static int use(const char *path) {
  void *library = dlopen(path, RTLD_NOW);
  codec_function *codec_of = library ? (codec_function *)dlsym(library, "codec") : NULL;
  if (!codec_of) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  const struct codec *codec = codec_of();
  if (static_call_update(encode, codec->encode) != 0 || static_call_update(decode, codec->decode) != 0) return 1;
  round_trip(codec->name, "Hello, world");
  /* No call may go to a plug-in that is not there any more. */
  if (static_call_update(encode, copy) != 0 || static_call_update(decode, copy) != 0) return 1;
  return dlclose(library);
}

int main(int argc, char **argv) {
  round_trip("none", "Hello, world");
  for (int i = 1; i < argc; i += 1)
    if (use(argv[i]) != 0) return 1;
  round_trip("none", "Hello, world");
  return 0;
}
