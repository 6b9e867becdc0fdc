/* sample.h - what the disk and the rules have done so far, as --top asks for it.
 *
 * For one thread.
 */

#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_OPS 7
#define SAMPLE_STEPS 64

struct sample_op {
  char name[16];
  uint64_t requests, bytes, errors, waiting;
  double max;                   /* seconds */
  uint64_t below[SAMPLE_STEPS]; /* requests that took less than 2^(i+1) ns */
};

struct sample_rule {
  char *name;
  char state[16];
  uint64_t hits, fired, hanging;
};

/* All 0: before anything happened.  SAMPLE.RULES is from malloc. */
struct sample {
  double time;                  /* seconds since the start of the server */
  uint64_t size, allocated, limit;      /* bytes; limit -1: none */
  uint64_t connections, bad_ranges;
  uint64_t unflushed;           /* bytes; -1: no volatile cache */
  bool readonly, off;           /* off: without power */
  struct sample_op op[SAMPLE_OPS];
  size_t nr_ops;                /* those that came, in the order of the server */
  struct sample_rule *rules;
  size_t nr_rules;
};

/* The chunk that asks for a sample. */
extern const char sample_chunk[];

/* Read the answer to it.  False: it is none. */
bool sample_read (struct sample *s, const char *answer);

void sample_free (struct sample *s);

/* What an operation, or a rule, was in an older sample; all 0, if it was not there.
 * *AT is 0 at first, and is kept from rule to rule, which come in order.
 */
struct sample_op sample_before (const struct sample *old, const char *name);
struct sample_rule sample_rule_before (const struct sample *old, const char *name,
                                       size_t *at);

/* How long the requests between two samples took, in seconds: the share P of them no
 * longer than this; the longest.  To a factor of two.  0: there was none.
 */
double sample_percentile (const struct sample_op *old, const struct sample_op *new,
                          double p);
double sample_max (const struct sample_op *old, const struct sample_op *new);

#endif /* SAMPLE_H */
