/*
 * Ways to get from one place of a function to another that no branch shows: what Scripts/random_ways_in.py writes into programs,
 * and random-ways-in.c acts on. In user space each library has tables of its own for these, of names of its own.
 */
#ifndef RANDOM_WAYS_IN_H
#define RANDOM_WAYS_IN_H

/* A jump label: a nop that becomes a jump to `target` while the label is on. */
struct label_site {
  unsigned long nop, target, label;
};
/* The same in half the space: distances from the field, or, in `label_offsets`, from the field to the nop and from there on. */
struct label_distance {
  int nop, target, label;
};
enum { LABELS = 4 };
/* Turns a label on if it is off, and off if it is on. */
extern void switch_label(unsigned label);

/* A restartable sequence, as rseq(2) has them: a signal between `start` and its end continues at `abort`. */
struct sequence {
  unsigned version, flags;
  unsigned long start, length, abort;
};
extern struct sequence *volatile current_sequence;
extern int own_process;

/* Loads that may fault, and where the program goes on if they do: addresses, and distances from the field. */
struct fault_site {
  unsigned long load, landing;
};
struct fault_distance {
  int load, landing;
};
/* Readable for an even number, a null pointer's page for an odd one. */
extern long *perhaps_readable(long number);

#endif
