/* record.h - record what a workload does. */

#ifndef TORTURE_RECORD_H
#define TORTURE_RECORD_H

#include "torture/options.h"

/* The mark from which on states count, and those at which the workload begins and ends. */
#define BEGIN_MARK "disktorture begins"
#define WORK_MARK "disktorture works"
#define END_MARK "disktorture ends"

/* Prepare the disk of the server, and run the workload, whose acknowledgements become
 * marks.  PLACE is the directory for what is temporary.
 */
void record (const struct options *o, const char *place);

#endif /* TORTURE_RECORD_H */
