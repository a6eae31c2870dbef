/* What targets throw, besides int and text. */
#ifndef THROWN_H
#define THROWN_H

struct Failure {
  long number;
};

struct Grave : Failure {};

#endif
