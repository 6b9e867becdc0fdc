/* errors.h - let each request of a workload fail in each way, one at a time.
 *
 * All return what this program exits with.
 */

#ifndef TORTURE_ERRORS_H
#define TORTURE_ERRORS_H

#include <stdbool.h>

#include "torture/state.h"

/* Try all, as far as --budget allows; what earlier runs have tried is not tried again.  The
 * history is that of the workload on a healthy disk; its server has ended.  NONE_GOOD: is the
 * check content with what is left there if the power fails when all has ended?
 */
int errors (const struct checking *c, bool none_good);

/* End the program if this is no list of ways, such as EIO,torn. */
void errors_check_ways (const char *list);

/* Is this the name of a run, such as write/8462336#5/EIO? */
bool errors_named (const char *name);

/* Run the workload once more with this fault, and say what came of it. */
int errors_show (const struct checking *c, const char *name, bool none_good);

#endif /* TORTURE_ERRORS_H */
