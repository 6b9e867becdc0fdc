/* workers.h - processes that check states, one at a time each.
 *
 * Each has a directory of its own for what is temporary, and sees its own mounts.  If this
 * program ends, they do.
 */

#ifndef TORTURE_WORKERS_H
#define TORTURE_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

#include "torture/state.h"

/* Start so many. */
void workers_start (const struct checking *c, unsigned n);

/* Has one nothing to do? */
bool workers_idle (void);

/* Give a state to one that has nothing to do.  TAG comes back with its result. */
void workers_give (size_t tag, const struct state *s);

/* Wait for a result.  False: nobody is at work.  *KNOWN: the state has the same files, with
 * the same promises, as one that was checked, so its result is that one's.
 */
bool workers_take (size_t *tag, struct result *r, bool *known);

/* Check one state now, while nobody is at work. */
struct result workers_check (const struct state *s);

#endif /* TORTURE_WORKERS_H */
