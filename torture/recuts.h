/* recuts.h - the power fails again while a state recovers. */

#ifndef TORTURE_RECUTS_H
#define TORTURE_RECUTS_H

#include "torture/names.h"
#include "torture/state.h"

/* Take as many of these states as --recuts says, of those that are good.  The recovery of each
 * is a run of its own, in a directory in that of this run: the workload mounts and unmounts,
 * and all that was promised before must be there.  Returns DONE_FAILED if a state of one
 * failed.
 */
int recuts (const struct checking *c, const struct names *n);

#endif /* TORTURE_RECUTS_H */
