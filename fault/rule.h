/* rule.h - what a rule is: for the reader of fault {...}, which fills in what is
 * asked for, and for the files of this folder.  All others need only rules.h.
 */

#ifndef FAULT_RULE_H
#define FAULT_RULE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault/rules.h"
#include "lib/chance.h"
#include "request.h"

/* The operations to which keep, misdirect, corrupt and stale do something.  A rule that
 * has other actions as well may match others.
 */
#define CAN_TEAR CHANGES
#define CAN_MISDIRECT (OP (READ) | CHANGES)
#define CAN_CORRUPT (OP (READ) | OP (WRITE))
#define CAN_BE_STALE OP (READ)

/* Bytes of a request, counted from its start. */
struct fault_range {
  uint64_t offset, count;
};

/* A point of a distribution: so many of all requests wait at most NS nanoseconds. */
struct fault_point {
  double share;                 /* 0 to 1 */
  uint64_t ns;
};

#define MAX_POINTS 8

/* What fault {...} asks for.  A field that is 0 is not asked for. */
struct fault_spec {
  /* Selectors. */
  unsigned ops;                 /* a set of operations; not 0 */
  bool has_range;
  uint64_t offset, count;       /* requests that overlap this region */
  uint64_t conn;                /* number of the connection */
  const char *export_name;      /* "*": of any that is no crash state; NULL: of the
                                 * live disk */
  bool has_fua, fua;
  const char *data;             /* a write that contains these bytes */
  size_t data_len;
  const char *mark;             /* nothing before this mark is matched */
  uint64_t from, to;            /* nanoseconds since the mark, or the declaration */
  uint64_t nth, every, after, times;
  const char *seq;              /* 'x' fires, '-' does not; nothing fires after
                                 * its end */
  bool has_p;
  double p;                     /* 0 to 1 */
  bool has_when;

  /* Actions. */
  int error;                    /* errno code */
  uint64_t delay, delay_max;    /* nanoseconds, drawn from delay to delay_max */
  struct fault_point points[MAX_POINTS];        /* in order; then DELAY_MAX is that
                                                 * of the last one */
  unsigned nr_points;
  bool has_delay_function, has_keep_function;
  bool only_function;           /* of these two one is there, and no other action */
  bool hang, lose, disconnect, shutdown, has_call;
  uint64_t corrupt;             /* bits */
  const struct fault_range *keep;       /* only these parts of a write */
  size_t nr_keep;
  bool keep_half;               /* only the first half (fault_half) */
  int64_t misdirect;            /* bytes */
  const char *stale;            /* a read gets what this snapshot holds; where there
                                 * is none, the rule matches nothing */
  bool lose_others;             /* a flush covers only its own connection */
  const char *cut;              /* which state a power cut leaves (disk/choice.h) */
  bool cut_torn, cut_bad;       /* and what it does to requests in flight */

  const char *name;             /* NULL: its number */
  bool optional;                /* it is no mistake if it never fires */
  const char *text;             /* the rule as it was written; NULL: not known */
  const char *where;            /* and where, such as "faults.lua:4" */
};

/* A rule.  It is complete when fault_add returns; after that only its counters
 * and switches change, without a lock, and its tallies.
 */
struct fault {
  struct fault *next;           /* in the order of declaration */
  uint64_t hash;                /* of the name: the rule's own part of any luck */
  struct fault_spec spec;       /* points to these, which the rule owns: */
  char *name, *export_name, *seq, *data, *text, *where, *stale, *cut, *mark;
  struct fault_range *keep;
  uint64_t number;              /* from 1 */
  _Atomic uint64_t since;       /* sys_now at the mark, or declaration; 0: not yet */
  bool any_export;
  bool random;                  /* needs luck that differs from case to case */
  struct tally came;            /* if so: the requests that it matched, on or off;
                                 * rules.c locks it */
  struct tally asked;           /* those for which its functions called chance */
  _Atomic unsigned refs;
  _Atomic bool on, removed;
  _Atomic unsigned releases;    /* a request that hangs goes on when it changes */
  _Atomic uint64_t hits, fired; /* requests matched, and acted on */
  _Atomic uint64_t first, last; /* when it fired (stats_clock); 0: never */
  struct fault_hit hit;         /* the request for which it fired last; rules.c locks it */
  _Atomic uint64_t delayed;     /* nanoseconds that it has made requests wait */
  _Atomic uint64_t hanging;     /* requests that hang in it */
};

#endif /* FAULT_RULE_H */
