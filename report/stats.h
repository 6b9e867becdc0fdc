/* stats.h - what requests there were.
 *
 * Any number of threads may call any function at the same time.
 */

#ifndef STATS_H
#define STATS_H

#include <stdint.h>

#include "request.h"

struct stats {
  uint64_t requests, errors;    /* errors: requests that failed */
  uint64_t bytes;               /* counts of those that did not */
  uint64_t ns, ns_max;          /* how long they took together, and the longest */
};

/* Count a request that took NS nanoseconds.  ERR: 0, or the errno code with which
 * it failed.  Takes no lock.
 */
void stats_add (const struct request *req, int err, uint64_t ns);

/* The sums of one operation.  Those of requests that are being counted at the
 * moment may be in one figure and not in another.
 */
struct stats stats_get (enum op op);

#endif /* STATS_H */
