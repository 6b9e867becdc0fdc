/* causes.h - states that failed, and why: what they have in common, and the least that must
 * be lost for it.
 */

#ifndef TORTURE_CAUSES_H
#define TORTURE_CAUSES_H

#include <stddef.h>

#include "torture/state.h"

struct cause {
  enum outcome outcome;
  char class;                   /* 'A' to 'D', as in the manual */
  char *line;                   /* the reason, without what differs from state to state */
  size_t states;                /* that have it */
  struct state best;            /* the one that loses least */
  char *reason;                 /* of that */
  const char *note;             /* about the class; "": none */
};

struct causes {
  struct cause *cause;
  size_t n, room;
  size_t states;                /* that failed */
};

/* Numbers, and names of what is temporary, are replaced in a reason, from malloc. */
char *causes_line (const struct checking *c, const char *reason);

/* Find them among N states.  The workers check a few more states, and must be idle. */
struct causes causes_find (const struct checking *c, const struct state *state, size_t n);

/* What it is in a few words. */
const char *cause_title (const struct cause *k);

/* Print them all. */
void causes_print (const struct checking *c, const struct causes *all);

#endif /* TORTURE_CAUSES_H */
