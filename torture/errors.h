/* errors.h - let each request of a workload fail in each way, one at a time.
 *
 * All return what this program exits with.
 */

#ifndef TORTURE_ERRORS_H
#define TORTURE_ERRORS_H

#include <stdbool.h>

#include "torture/state.h"

/* On the healthy disk, is the check content with what a power cut leaves that loses all that was
 * not flushed: when all has ended, and when the workload has?
 */
struct healthy {
  bool at_end, at_work_end;
};

/* Find out, of a history that is served. */
struct healthy errors_healthy (const struct checking *c);

/* Try all, as far as --budget allows; what earlier runs have tried is not tried again.  The
 * history is that of the workload on a healthy disk; its server has ended.
 */
int errors (const struct checking *c, const struct healthy *healthy);

/* End the program if this is no list of ways, such as EIO,torn. */
void errors_check_ways (const char *list);

/* Is this the name of a run, such as write/8462336#5/EIO? */
bool errors_named (const char *name);

/* Run the workload once more with this fault, and say what came of it. */
int errors_show (const struct checking *c, const char *name, const struct healthy *healthy);

#endif /* TORTURE_ERRORS_H */
