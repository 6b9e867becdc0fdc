/* state.h - one state: its name, what it loses, and what the check says of it. */

#ifndef TORTURE_STATE_H
#define TORTURE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "torture/history.h"
#include "torture/options.h"

enum outcome { GOOD, SKIPPED, BROKEN, UNREADABLE, HUNG, CRASHED };
extern const char *const outcome_names[];

#define REASON 500              /* bytes of a reason, with its 0 */

struct result {
  enum outcome outcome;
  double seconds;
  char reason[REASON];          /* the last line of the check; "": it said nothing */
};

struct state {
  const struct point *point;
  char *choice;
  uint64_t digest[2];           /* of its image */
  unsigned requests, sectors;   /* that are lost */
  bool legal, given, checked;   /* GIVEN: to a worker */
  enum outcome outcome;         /* if it was checked, */
  char *reason;                 /* and why it failed; NULL: it did not */
};

/* What a check, or another command, needs. */
struct checking {
  const struct options *options;
  const struct history *history;
  const char *place;            /* the directory for what is temporary */
};

/* A state by its name, such as crash/before-flush-14/none; its strings are from malloc.
 * Ends the program if it can't be one.
 */
struct state state_named (const struct history *h, const char *name);

/* The class that its name alone says: 'A' nothing is lost, 'B' whole requests, 'C' parts of some,
 * 'D' what only a disk that lies can lose.
 */
char state_class (const struct state *s);

/* Its name, from malloc. */
char *state_name (const struct state *s);

/* Ask the server what it loses, and for its digest.  Returns the LIST of what is lost, from
 * malloc, for which lose-LIST is the same state; NULL: there is no such state.
 */
char *state_ask (struct state *s);

/* The command that shows what has this name again, from malloc. */
char *show_again (const struct options *o, const char *name);

/* What it is, as a sentence; and the command that shows it again, from malloc. */
char *state_tell (const struct checking *c, const struct state *s);
char *state_again (const struct checking *c, const struct state *s);

/* Check the state of this name.  KNOWN, which is not called without a mounted file system, is
 * told what stands for its files once it is mounted; if it returns true, the check does not
 * run, and the result is of no use.
 */
typedef bool known_fn (const uint64_t files[2]);
struct result state_check (const struct checking *c, const struct point *p,
                           const char *choice, known_fn *known);

/* Let another command look at it; returns its exit code. */
int state_visit (const struct checking *c, const struct state *s,
                 const char *const *command);

#endif /* TORTURE_STATE_H */
