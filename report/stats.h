/* stats.h - which requests there were, and how long they took.
 *
 * Any number of threads may call these functions at the same time.
 */

#ifndef STATS_H
#define STATS_H

#include <stdint.h>

#include "request.h"

struct stats {
  uint64_t requests, errors;    /* errors: requests that failed */
  uint64_t bytes;               /* the counts of those that did not, in all */
  uint64_t ns, ns_max;          /* the time of all, and of the longest */
};

/* Count a request that took NS nanoseconds.  ERR: the errno code with which it
 * failed, or 0.  Takes no lock.
 */
void stats_add (const struct request *req, int err, uint64_t ns);

/* The sums of one operation.  A request that is being counted at the moment may be
 * in one of them and not yet in another.
 */
struct stats stats_get (enum op op);

#endif /* STATS_H */
