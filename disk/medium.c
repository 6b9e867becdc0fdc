/* medium.c - what is wrong with the medium of the live disk.
 *
 *     request --> throttle --> write protection --> bad sectors --> limit
 *                                                                     |
 *                                      bad sectors heal <-- perform <-+
 *
 * The set of bad sectors counts in sectors, not bytes.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/chance.h"
#include "disk/disk.h"
#include "disk/medium.h"
#include "lib/ranges.h"
#include "lib/sys.h"
#include "report/log.h"

#define READS (OP (READ) | OP (CACHE))
#define THROTTLED (OP (READ) | OP (FLUSH) | CHANGES)

/* A rate, as the time at which all that was let pass would be through. */
struct bucket {
  uint64_t rate;                /* units a second; 0: no limit */
  uint64_t through;             /* nanoseconds of the monotonic clock */
};

static struct ranges bad;
static pthread_rwlock_t bad_lock = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic bool any_bad;

static _Atomic bool readonly;

static _Atomic uint64_t limit = UINT64_MAX;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;

static struct bucket bytes, requests;
static _Atomic unsigned queue;  /* how often it was begun anew */
static pthread_mutex_t throttle_lock = PTHREAD_MUTEX_INITIALIZER;

/* The operations for which there is something to do. */
static _Atomic unsigned wanted;
static pthread_mutex_t wanted_lock = PTHREAD_MUTEX_INITIALIZER;

/*--------------------------------------------------------------------*/

/* Work out again which requests are to come here.  Who comes last sees what all
 * others have set.
 */
static void
update_wanted (void)
{
  unsigned ops = 0;

  pthread_mutex_lock (&wanted_lock);
  if (any_bad)
    ops |= READS | CHANGES;
  if (readonly)
    ops |= CHANGES;
  if (limit != UINT64_MAX)
    ops |= CHANGES;
  if (medium_may_wait ())
    ops |= THROTTLED;
  wanted = ops;
  pthread_mutex_unlock (&wanted_lock);
}

void
medium_stop (void)
{
  ranges_clear (&bad);
}

bool
medium_wants (enum op op)
{
  return atomic_load_explicit (&wanted, memory_order_relaxed) >> op & 1;
}

/*--------------------------------------------------------------------*/
/* Bad sectors. */

static uint64_t
sector_up (uint64_t n)
{
  return (n + MEDIUM_SECTOR - 1) / MEDIUM_SECTOR;
}

/* Do HOW to the sectors that a range touches. */
static int
change (int (*how) (struct ranges *r, uint64_t start, uint64_t end),
        uint64_t count, uint64_t offset)
{
  int err = 0;

  pthread_rwlock_wrlock (&bad_lock);
  if (count > 0)
    err = how (&bad, offset / MEDIUM_SECTOR, sector_up (offset + count));
  any_bad = bad.n > 0;
  update_wanted ();
  pthread_rwlock_unlock (&bad_lock);
  return err;
}

int
medium_bad (uint64_t count, uint64_t offset)
{
  return change (ranges_add, count, offset);
}

int
medium_heal (uint64_t count, uint64_t offset)
{
  return change (ranges_remove, count, offset);
}

/* How many sectors of a kind come before the first of the other kind, if each is
 * of the first kind with probability Q?  The binary digits of such a number are
 * independent: digit K is 1 with the odds Q^(2^K).  (The logarithm of a random
 * number would be simpler, but it is not the same on all machines.)
 */
static uint64_t
draw_gap (double q, uint64_t random)
{
  uint64_t gap = 0;

  for (unsigned k = 0; k < 63 && q > 1e-18; k++, q *= q)
    if (chance_fraction (chance_mix (random + k)) < q / (1 + q))
      gap |= UINT64_C (1) << k;
  return gap;
}

/* Sectors that are still to be drawn. */
struct lottery {
  double p;
  uint64_t random, sector, end;
};

/* Skip sectors of a kind, which each has with probability Q.  The next one is of
 * the other kind, or there is none.
 */
static void
skip_kind (struct lottery *l, double q)
{
  const uint64_t gap = draw_gap (q, l->random), left = l->end - l->sector;

  l->random = chance_mix (l->random);
  l->sector += gap < left ? gap : left;
}

/* Draw some ranges.  Good ones and bad ones take turns, so that neither costs
 * more when they are long.
 */
static int
spoil_some (struct lottery *l)
{
  int err = 0;

  pthread_rwlock_wrlock (&bad_lock);
  for (unsigned i = 0; i < 1000 && l->sector < l->end && !err; i++) {
    uint64_t start;

    skip_kind (l, 1 - l->p);
    if (l->sector == l->end)
      break;
    start = l->sector++;        /* a bad one */
    skip_kind (l, l->p);
    err = ranges_add (&bad, start, l->sector);
    if (l->sector < l->end)
      l->sector++;              /* a good one */
  }
  any_bad = bad.n > 0;
  update_wanted ();
  pthread_rwlock_unlock (&bad_lock);
  return err;
}

int
medium_bad_share (double p, uint64_t seed, uint64_t count, uint64_t offset)
{
  struct lottery l = {
    .p = p, .random = chance_mix (seed), .sector = offset / MEDIUM_SECTOR,
    .end = sector_up (offset + count),
  };
  int err = 0;

  if (p <= 0 || count == 0)
    return 0;
  if (p >= 1)
    return medium_bad (count, offset);
  if ((double) (l.end - l.sector) * p * (1 - p) > (double) MEDIUM_BAD_MAX)
    return E2BIG;
  /* Requests may come in between. */
  while (l.sector < l.end && !err)
    err = spoil_some (&l);
  return err;
}

bool
medium_bad_find (uint64_t count, uint64_t offset, uint64_t *found_count,
                 uint64_t *found_offset)
{
  const uint64_t size = disk_size (disk_live ());
  uint64_t start, end;
  bool found;

  if (count == 0 || !any_bad)
    return false;
  pthread_rwlock_rdlock (&bad_lock);
  found = ranges_find (&bad, offset / MEDIUM_SECTOR,
                       sector_up (offset + count), &start, &end);
  pthread_rwlock_unlock (&bad_lock);
  if (!found)
    return false;
  *found_offset = start * MEDIUM_SECTOR;
  *found_count = (end * MEDIUM_SECTOR < size ? end * MEDIUM_SECTOR : size)
    - *found_offset;
  return true;
}

/* The part of a request that covers whole sectors, as START <= sector < END;
 * the last sector of the disk may be short.
 */
static void
whole_sectors (const struct request *req, uint64_t *start, uint64_t *end)
{
  const uint64_t last = req->offset + req->count;

  *start = sector_up (req->offset);
  *end = last == disk_size (disk_live ()) ? sector_up (last)
    : last / MEDIUM_SECTOR;
}

static bool
is_bad (uint64_t sector)
{
  uint64_t unused;

  return medium_bad_find (1, sector * MEDIUM_SECTOR, &unused, &unused);
}

/* Does a request have to read a bad sector?  To change a part of one, the rest
 * is read.
 */
static bool
meets_bad (const struct request *req)
{
  const uint64_t first = req->offset / MEDIUM_SECTOR;
  const uint64_t last = sector_up (req->offset + req->count);
  uint64_t start, end, unused;

  if (req->op == OP_READ || req->op == OP_CACHE)
    return medium_bad_find (req->count, req->offset, &unused, &unused);
  if (req->op == OP_TRIM || req->count == 0)
    return false;
  whole_sectors (req, &start, &end);
  return (first < start && is_bad (first))
    || (end < last && is_bad (last - 1));
}

/* What was written is good.  Without memory for that, the write has failed. */
static int
heal (const struct request *req)
{
  uint64_t start, end, unused;

  whole_sectors (req, &start, &end);
  if (start >= end
      || !medium_bad_find ((end - start) * MEDIUM_SECTOR,
                           start * MEDIUM_SECTOR, &unused, &unused))
    return 0;
  return medium_heal ((end - start) * MEDIUM_SECTOR, start * MEDIUM_SECTOR);
}

/*--------------------------------------------------------------------*/
/* Space. */

void
medium_limit (uint64_t n)
{
  limit = n;
  update_wanted ();
}

/* Could a request allocate memory?  To zero a part of a page with initial content
 * makes that real.
 */
static bool
may_grow (const struct request *req)
{
  return req->op == OP_WRITE
    || (1u << req->op & CHANGES && !disk_store (req->conn->disk));
}

/* One write at a time, so that what is free stays free until it is used.  Only
 * requests take the lock, and none while it holds another: disk:limit in a
 * script must not wait for a write that waits for the script's on.fill.
 */
static int
perform_in_limit (struct request *req)
{
  struct disk *d = req->conn->disk;
  uint64_t growth;
  int err;

  pthread_mutex_lock (&limit_lock);
  growth = req->op == OP_WRITE ? disk_growth (d, req->count, req->offset)
    : disk_zero_growth (d, req->count, req->offset);
  if (growth > 0 && disk_allocated (d) + growth > limit) {
    req->why = "disk:limit";
    err = ENOSPC;
  }
  else
    err = disk_perform (req);
  pthread_mutex_unlock (&limit_lock);
  return err;
}

/*--------------------------------------------------------------------*/
/* Write protection and rates. */

void
medium_readonly (bool on)
{
  readonly = on;
  update_wanted ();
}

/* Forget who waits: all of them queue up again.  Who has passed is through by
 * now.  The lock is held.
 */
static void
start_over_locked (void)
{
  bytes.through = requests.through = sys_now ();
  queue++;
}

void
medium_throttle (uint64_t bps, uint64_t iops)
{
  pthread_mutex_lock (&throttle_lock);
  if (bytes.rate != bps || requests.rate != iops) {
    bytes.rate = bps;
    requests.rate = iops;
    start_over_locked ();
  }
  pthread_mutex_unlock (&throttle_lock);
  update_wanted ();
}

bool
medium_may_wait (void)
{
  bool waits;

  pthread_mutex_lock (&throttle_lock);
  waits = bytes.rate > 0 || requests.rate > 0;
  pthread_mutex_unlock (&throttle_lock);
  return waits;
}

/* Put N units into a bucket.  When will they be through? */
static uint64_t
put_units (struct bucket *b, uint64_t n, uint64_t t)
{
  if (b->rate == 0 || n == 0)
    return t;
  if (b->through + MEDIUM_CREDIT < t)
    b->through = t - MEDIUM_CREDIT;
  b->through += (uint64_t) ((double) n * (double) SECOND / (double) b->rate);
  if (b->through > INT64_MAX)
    b->through = INT64_MAX;     /* that is, never */
  return b->through;
}

/* Take a place in the queue, whose number goes to *SEEN.  When is it the
 * request's turn?
 */
static uint64_t
queue_up (const struct request *req, unsigned *seen)
{
  const bool moves = req->op == OP_READ || req->op == OP_WRITE;
  const uint64_t t = sys_now ();
  uint64_t one, other;

  pthread_mutex_lock (&throttle_lock);
  *seen = queue;
  one = put_units (&bytes, moves ? req->count : 0, t);
  other = put_units (&requests, 1, t);
  pthread_mutex_unlock (&throttle_lock);
  return one > other ? one : other;
}

/* The client has gone: its turn is for the others. */
static void
leave_queue (unsigned seen)
{
  pthread_mutex_lock (&throttle_lock);
  if (queue == seen)
    start_over_locked ();
  pthread_mutex_unlock (&throttle_lock);
}

static bool
queue_changed (const void *seen)
{
  return queue != *(const unsigned *) seen;
}

/* Wait for a request's turn; in another queue, if there is one by then. */
static int
throttle (const struct request *req)
{
  unsigned seen;
  int err;

  do {
    const uint64_t turn = queue_up (req, &seen);

    err = request_wait_until (req->conn, turn, queue_changed, &seen);
  }
  while (!err && queue_changed (&seen));
  if (err)
    leave_queue (seen);
  return err;
}

/*--------------------------------------------------------------------*/

static int
perform (struct request *req)
{
  const unsigned op = 1u << req->op;
  int err = op & THROTTLED ? throttle (req) : 0;

  if (err)
    return err;
  if (op & CHANGES && readonly) {
    req->why = "disk:readonly";
    return EPERM;
  }
  if (any_bad && op & (READS | CHANGES) && meets_bad (req)) {
    req->why = "disk:bad";
    return EIO;
  }
  err = limit != UINT64_MAX && may_grow (req) ? perform_in_limit (req)
    : disk_perform (req);
  if (!err && any_bad && op & CHANGES)
    err = heal (req);
  return err;
}

/* Snapshots are on a medium without faults. */
int
medium_pass (struct request *req)
{
  int err;

  req->why = NULL;              /* a hook may try more than once */
  if (!medium_wants (req->op) || req->conn->disk != disk_live ())
    return disk_perform (req);
  err = perform (req);
  if (req->why && log_wanted ())
    log_error ("medium", req->why, req, err);
  return err;
}
