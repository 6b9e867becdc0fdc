/* state.h - one state: it is saved, mounted, and checked. */

#ifndef TORTURE_STATE_H
#define TORTURE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "torture/history.h"
#include "torture/options.h"

enum outcome { GOOD, SKIPPED, BROKEN, UNREADABLE, HUNG, CRASHED };
extern const char *const outcome_names[];

struct state {
  const struct point *point;
  char *choice;
  char digest[40];
  unsigned requests, sectors;   /* that are lost */
  bool legal;
  enum outcome outcome;
  char *reason;                 /* the last line of the check, from malloc */
};

/* What a check, or another command, needs. */
struct checking {
  const struct options *options;
  const struct history *history;
  const char *place;
};

/* Check a state, and set its outcome and reason. */
void state_check (const struct checking *c, struct state *s);

/* Let another command look at it; returns its exit code. */
int state_visit (const struct checking *c, const struct state *s,
                 const char *const *command);

/* Its name, from malloc. */
char *state_name (const struct state *s);

#endif /* TORTURE_STATE_H */
