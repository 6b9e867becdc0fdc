/* medium.h - what is wrong with the medium of a disk: bad sectors, too little
 * space, write protection, a limited rate.
 *
 * Comes after the fault rules, just before the content of the disk.  Any number
 * of threads may call any function on the same medium at the same time, except
 * medium_free.  Functions that return int return 0 or an errno code, and report
 * nothing.
 */

#ifndef MEDIUM_H
#define MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/ranges.h"
#include "request.h"

struct disk;
struct medium;

/* The unit of bad sectors, in bytes. */
#define MEDIUM_SECTOR 512

/* Make a medium for a disk of SIZE bytes.  At first nothing is wrong with it.
 * NULL: no memory.
 */
struct medium *medium_new (uint64_t size);

/* NULL is allowed.  No request is left. */
void medium_free (struct medium *m);

/* The operations about which the medium of a disk has something to say, as a set
 * (request.h).  Empty if the disk has no medium.  Takes no lock.  (Why not the
 * operation as an argument?  It would take the register in which the request's
 * buffer comes, and each request to a plain disk would pay for that.)
 */
unsigned medium_wants (const struct disk *d);

/* Perform a request on the disk of its connection, as the medium of that disk
 * can:
 *
 *   EIO     a read or cache request touches a bad sector, or a write or zero
 *           request covers a part of one: nothing was done.  A write, zero or
 *           trim request makes the bad sectors good that it covers as a whole,
 *           unless the power was cut meanwhile.
 *   ENOSPC  after a write, or a zero request to a part of a page (disk.h), the
 *           disk and its snapshots would hold more than the limit: nothing was
 *           done.  A trim is then done for whole pages only.
 *   EPERM   a write, zero or trim request, while write-protected.
 *
 * or another errno code from disk_perform or request_wait_until.  Where the
 * medium is the reason, REQ->why says so, otherwise it is NULL.  May sleep: only
 * without a lock held.
 */
int medium_pass (struct request *req);

/* Make the sectors that a range touches bad, or good.  The caller checks that it
 * lies on the disk.  Takes milliseconds where millions of ranges are healed.
 * ENOMEM: they are as they were.
 */
int medium_bad (struct medium *m, uint64_t count, uint64_t offset);
int medium_heal (struct medium *m, uint64_t count, uint64_t offset);

/* Make each sector that a range touches bad with probability P, 0 to 1.  Which
 * ones depends on SEED and the range only.  The cost depends on the number of
 * ranges that become bad, not on the length of the range.
 *
 * Prepare it with medium_share, which returns false if there would be more than
 * about MEDIUM_BAD_MAX ranges; then call medium_share_draw until SECTOR is END, which
 * draws at most some hundred ranges each time; then medium_bad_share makes all of them
 * bad at once.  ENOMEM: all sectors are as they were.  The caller clears DRAWN in any
 * case.
 */
struct medium_share {
  double p;
  uint64_t random, sector, end; /* sectors that are still to be drawn */
  struct ranges drawn;          /* sectors */
};

bool medium_share (struct medium_share *share, double p, uint64_t seed,
                   uint64_t count, uint64_t offset);
int medium_share_draw (struct medium_share *share);
int medium_bad_share (struct medium *m, const struct medium_share *share);
#define MEDIUM_BAD_MAX ((uint64_t) 4 << 20)

/* Prepare to make a set of sectors bad: 0, and medium_finish_bad then does it, or not;
 * until then no request to a bad sector goes on.  ENOMEM: nothing is to be finished.
 */
int medium_prepare_bad (struct medium *m, const struct ranges *sectors);
void medium_finish_bad (struct medium *m, bool make);

/* Find the first range of bad sectors that overlaps a range, and clip it to the
 * disk.  False: there is none, and *FOUND_COUNT and *FOUND_OFFSET are unchanged.
 */
bool medium_bad_find (struct medium *m, uint64_t count, uint64_t offset,
                      uint64_t *found_count, uint64_t *found_offset);

/* No request to the disk may make disk_allocated grow above so many bytes;
 * UINT64_MAX: any number.  (Requests to snapshots are not limited, and a snapshot
 * that is made, or to which the disk reverts, during a write may make that one exceed
 * it.)
 */
void medium_limit (struct medium *m, uint64_t bytes);

/* Refuse to change the disk, or not. */
void medium_readonly (struct medium *m, bool on);

/* Is there power?  Without it, the medium has something to say about every request. */
void medium_power (struct medium *m, bool on);

/* Let at most so many bytes (of reads and writes) and so many requests (reads,
 * writes, flushes, trims, zeroes) pass each second; 0: any number.  A rate that
 * was not used may be made up for a little (disk/throttle.h).  A request whose
 * client leaves, or that a power cut fails, counts as if it had never come.  Where
 * the rates change, requests that are waiting queue up again.
 */
void medium_throttle (struct medium *m, uint64_t bytes, uint64_t requests);

/* Is a rate set, so that requests wait? */
bool medium_may_wait (struct medium *m);

struct medium_info {
  uint64_t bad_ranges;
  uint64_t limit;               /* bytes; UINT64_MAX: none */
  bool readonly;
  uint64_t bps, iops;           /* the rates; 0: no limit */
  uint64_t bad_fired, limit_fired, readonly_fired;      /* requests that failed
                                                         * because of it */
  uint64_t throttled;           /* requests that had to wait */
};

/* What is wrong with the medium, and how often that mattered. */
struct medium_info medium_info (struct medium *m);

#endif /* MEDIUM_H */
