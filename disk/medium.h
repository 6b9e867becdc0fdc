/* medium.h - what is wrong with the medium of the live disk: bad sectors, too
 * little space, write protection, a limited rate.
 *
 * Comes after the fault rules, just before the disk.  Any number of threads may
 * call any function at the same time.  Functions that return
 * int return 0 or an errno code, and report nothing.
 */

#ifndef MEDIUM_H
#define MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

/* The unit of bad sectors, in bytes. */
#define MEDIUM_SECTOR 512

/* Forget all.  No request is left. */
void medium_stop (void);

/* Has the medium something to say about such requests?  Takes no lock. */
bool medium_wants (enum op op);

/* Perform a request, to the live disk as the medium can:
 *
 *   EIO     a read or cache request touches a bad sector, or a write or zero
 *           request covers a part of one: nothing was done.  A write, zero or
 *           trim request makes the bad sectors good that it covers as a whole.
 *   ENOSPC  a write would allocate more than the limit, or a zero or trim request
 *           to a part of a page with initial content would: nothing was done.
 *   EPERM   a write, zero or trim request, while write-protected.
 *
 * or another errno code from disk_perform or request_wait_until.  Where the medium is the reason,
 * REQ->why says so.
 */
int medium_pass (struct request *req);

/* Make the sectors that a range touches bad, or good.  The caller checks that it
 * lies on the disk.  ENOMEM: they are as they were.
 */
int medium_bad (uint64_t count, uint64_t offset);
int medium_heal (uint64_t count, uint64_t offset);

/* Make each sector that a range touches bad with probability P, 0 to 1.  Which
 * ones depends on SEED and the range only.  Costs time in proportion to the ranges
 * that become bad, not to the range.  E2BIG: there would be more than about
 * MEDIUM_BAD_MAX ranges; none was made.  ENOMEM: some may have become bad.
 */
int medium_bad_share (double p, uint64_t seed, uint64_t count,
                      uint64_t offset);
#define MEDIUM_BAD_MAX ((uint64_t) 4 << 20)

/* Find the first range of bad sectors that overlaps a range, and clip it to the
 * disk.  False: there is none.
 */
bool medium_bad_find (uint64_t count, uint64_t offset, uint64_t *found_count,
                      uint64_t *found_offset);

/* The disk may allocate so many bytes; UINT64_MAX: any number. */
void medium_limit (uint64_t bytes);

/* Refuse to change the disk, or not. */
void medium_readonly (bool on);

/* Let so many bytes (of reads and writes) and so many requests (reads, writes,
 * flushes, trims, zeroes) pass each second; 0: any number.  What was not used
 * for a moment may be made up for, up to MEDIUM_CREDIT nanoseconds' worth.
 * Requests that wait already queue up again.
 */
void medium_throttle (uint64_t bytes, uint64_t requests);
#define MEDIUM_CREDIT UINT64_C (50000000)

/* Is a rate set, so that requests wait? */
bool medium_may_wait (void);

#endif /* MEDIUM_H */
