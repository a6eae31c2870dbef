#include "codec.h"

static char rotate(char letter, char first) { return (char)(first + (letter - first + 13) % 26); }

static void rot13(char *text, size_t size) {
  for (size_t i = 0; i < size; i += 1) {
    if (text[i] >= 'a' && text[i] <= 'z') text[i] = rotate(text[i], 'a');
    if (text[i] >= 'A' && text[i] <= 'Z') text[i] = rotate(text[i], 'A');
  }
}

const struct codec *codec(void) {
  static const struct codec self = {"rot13", rot13, rot13};
  return &self;
}
