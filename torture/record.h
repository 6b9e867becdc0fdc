/* record.h - record what a workload does. */

#ifndef TORTURE_RECORD_H
#define TORTURE_RECORD_H

#include "torture/options.h"

/* The mark from which on states count, and those at which the workload begins and ends. */
#define BEGIN_MARK "disktorture begins"
#define WORK_MARK "disktorture works"
#define END_MARK "disktorture ends"
#define END_NAME "disktorture%20ends"    /* in the names of states */

/* The rule with which --errors lets a request fail. */
#define HIT_RULE "disktorture"

/* How the workload ended. */
struct recorded {
  bool mounted, hung;           /* MOUNTED: or need not be */
  double seconds;
  int status;                   /* of waitpid */
  char why[600];                /* its last line, or why the disk can't be mounted */
};

/* Prepare the disk of the server, and run the workload for so many seconds (0: any), whose
 * acknowledgements become marks.  PLACE is the directory for what is temporary.  QUIET: its
 * errors are not shown.
 */
struct recorded record (const struct options *o, const char *place, double seconds, bool quiet);

/* The same; what goes wrong ends the program.  Returns the seconds that the workload took. */
double record_healthy (const struct options *o, const char *place);

#endif /* TORTURE_RECORD_H */
