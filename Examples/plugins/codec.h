/* What a plug-in offers: a function `codec` with the name and the functions of its codec. */
#ifndef CODEC_H
#define CODEC_H

#include <stddef.h>

struct codec {
  const char *name;
  /* Both work in place. */
  void (*encode)(char *text, size_t size);
  void (*decode)(char *text, size_t size);
};

typedef const struct codec *codec_function(void);

#endif
