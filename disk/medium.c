/* medium.c - what is wrong with the medium of a disk.
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
#include <stdlib.h>

#include "disk/inside.h"
#include "disk/medium.h"
#include "lib/chance.h"
#include "lib/min.h"
#include "lib/ranges.h"
#include "lib/sys.h"
#include "report/stats.h"

#define READS (OP (READ) | OP (CACHE))
#define THROTTLED (OP (READ) | OP (FLUSH) | CHANGES)

/* A rate, kept as the time at which everything that was let pass would be through
 * at that rate.
 */
struct bucket {
  uint64_t rate;                /* units a second; 0: no limit */
  uint64_t through;             /* nanoseconds of the monotonic clock */
};

struct medium {
  uint64_t size;                /* of the disk, in bytes */

  /* The operations for which there is something to do, as a set. */
  _Atomic unsigned wanted;
  pthread_mutex_t wanted_lock;

  struct ranges bad;
  _Atomic bool any_bad;
  pthread_rwlock_t bad_lock;

  _Atomic bool readonly;

  _Atomic uint64_t limit;       /* UINT64_MAX: none */
  pthread_mutex_t limit_lock;

  /* Requests that failed because of it, or had to wait. */
  _Atomic uint64_t bad_fired, limit_fired, readonly_fired, throttled;

  struct bucket bytes, requests;
  _Atomic unsigned queue;       /* how often the queue was started over */
  pthread_mutex_t throttle_lock;
};

/*--------------------------------------------------------------------*/
/* The object. */

struct medium *
medium_new (uint64_t size)
{
  struct medium *m = calloc (1, sizeof *m);

  if (!m)
    return NULL;
  m->size = size;
  m->limit = UINT64_MAX;
  pthread_mutex_init (&m->wanted_lock, NULL);
  pthread_rwlock_init (&m->bad_lock, NULL);
  pthread_mutex_init (&m->limit_lock, NULL);
  pthread_mutex_init (&m->throttle_lock, NULL);
  return m;
}

void
medium_free (struct medium *m)
{
  if (!m)
    return;
  ranges_clear (&m->bad);
  pthread_mutex_destroy (&m->wanted_lock);
  pthread_rwlock_destroy (&m->bad_lock);
  pthread_mutex_destroy (&m->limit_lock);
  pthread_mutex_destroy (&m->throttle_lock);
  free (m);
}

/* Work out again which requests must come here.  The last thread to do so sees
 * what all others have set.
 */
static void
update_wanted (struct medium *m)
{
  unsigned ops = 0;

  pthread_mutex_lock (&m->wanted_lock);
  if (m->any_bad)
    ops |= READS | CHANGES;
  if (m->readonly)
    ops |= CHANGES;
  if (m->limit != UINT64_MAX)
    ops |= CHANGES;
  if (medium_may_wait (m))
    ops |= THROTTLED;
  m->wanted = ops;
  pthread_mutex_unlock (&m->wanted_lock);
}

unsigned
medium_wants (const struct disk *d)
{
  const struct medium *m = d->medium;

  return m ? atomic_load_explicit (&m->wanted, memory_order_relaxed) : 0;
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
change (struct medium *m,
        int (*how) (struct ranges *r, uint64_t start, uint64_t end),
        uint64_t count, uint64_t offset)
{
  int err = 0;

  pthread_rwlock_wrlock (&m->bad_lock);
  if (count > 0)
    err = how (&m->bad, offset / MEDIUM_SECTOR, sector_up (offset + count));
  m->any_bad = m->bad.n > 0;
  update_wanted (m);
  pthread_rwlock_unlock (&m->bad_lock);
  return err;
}

int
medium_bad (struct medium *m, uint64_t count, uint64_t offset)
{
  return change (m, ranges_add, count, offset);
}

int
medium_heal (struct medium *m, uint64_t count, uint64_t offset)
{
  return change (m, ranges_remove, count, offset);
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
  l->sector += min_u64 (gap, left);
}

/* Draw some ranges.  Good ranges and bad ones alternate, so that long ones of
 * either kind cost no more than short ones.
 */
static int
spoil_some (struct medium *m, struct lottery *l)
{
  int err = 0;

  pthread_rwlock_wrlock (&m->bad_lock);
  for (unsigned i = 0; i < 1000 && l->sector < l->end && !err; i++) {
    uint64_t start;

    skip_kind (l, 1 - l->p);
    if (l->sector == l->end)
      break;
    start = l->sector++;        /* a bad one */
    skip_kind (l, l->p);
    err = ranges_add (&m->bad, start, l->sector);
    if (l->sector < l->end)
      l->sector++;              /* a good one */
  }
  m->any_bad = m->bad.n > 0;
  update_wanted (m);
  pthread_rwlock_unlock (&m->bad_lock);
  return err;
}

int
medium_bad_share (struct medium *m, double p, uint64_t seed, uint64_t count,
                  uint64_t offset)
{
  struct lottery l = {
    .p = p, .random = chance_mix (seed), .sector = offset / MEDIUM_SECTOR,
    .end = sector_up (offset + count),
  };
  int err = 0;

  if (p <= 0 || count == 0)
    return 0;
  if (p >= 1)
    return medium_bad (m, count, offset);
  if ((double) (l.end - l.sector) * p * (1 - p) > (double) MEDIUM_BAD_MAX)
    return E2BIG;
  /* Requests may come in between. */
  while (l.sector < l.end && !err)
    err = spoil_some (m, &l);
  return err;
}

bool
medium_bad_find (struct medium *m, uint64_t count, uint64_t offset,
                 uint64_t *found_count, uint64_t *found_offset)
{
  uint64_t start, end;
  bool found;

  if (count == 0 || !m->any_bad)
    return false;
  pthread_rwlock_rdlock (&m->bad_lock);
  found = ranges_find (&m->bad, offset / MEDIUM_SECTOR,
                       sector_up (offset + count), &start, &end);
  pthread_rwlock_unlock (&m->bad_lock);
  if (!found)
    return false;
  *found_offset = start * MEDIUM_SECTOR;
  *found_count = min_u64 (end * MEDIUM_SECTOR, m->size) - *found_offset;
  return true;
}

/* The part of a request that covers whole sectors, as START <= sector < END;
 * the last sector of the disk may be short.
 */
static void
whole_sectors (const struct medium *m, const struct request *req,
               uint64_t *start, uint64_t *end)
{
  const uint64_t last = req->offset + req->count;

  *start = sector_up (req->offset);
  *end = last == m->size ? sector_up (last) : last / MEDIUM_SECTOR;
}

static bool
is_bad (struct medium *m, uint64_t sector)
{
  uint64_t unused;

  return medium_bad_find (m, 1, sector * MEDIUM_SECTOR, &unused, &unused);
}

/* Does a request have to read a bad sector?  To change a part of one, the rest
 * is read.
 */
static bool
meets_bad (struct medium *m, const struct request *req)
{
  const uint64_t first = req->offset / MEDIUM_SECTOR;
  const uint64_t last = sector_up (req->offset + req->count);
  uint64_t start, end, unused;

  if (req->op == OP_READ || req->op == OP_CACHE)
    return medium_bad_find (m, req->count, req->offset, &unused, &unused);
  if (req->op == OP_TRIM || req->count == 0)
    return false;
  whole_sectors (m, req, &start, &end);
  return (first < start && is_bad (m, first))
    || (end < last && is_bad (m, last - 1));
}

/* Sectors that were written are good.  Without memory to note that, the write has
 * failed.
 */
static int
heal (struct medium *m, const struct request *req)
{
  uint64_t start, end, unused;

  whole_sectors (m, req, &start, &end);
  if (start >= end
      || !medium_bad_find (m, (end - start) * MEDIUM_SECTOR,
                           start * MEDIUM_SECTOR, &unused, &unused))
    return 0;
  return medium_heal (m, (end - start) * MEDIUM_SECTOR, start * MEDIUM_SECTOR);
}

/*--------------------------------------------------------------------*/
/* Space. */

void
medium_limit (struct medium *m, uint64_t bytes)
{
  m->limit = bytes;
  update_wanted (m);
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
perform_in_limit (struct medium *m, struct request *req)
{
  struct disk *d = req->conn->disk;
  uint64_t growth;
  int err;

  pthread_mutex_lock (&m->limit_lock);
  growth = req->op == OP_WRITE ? disk_growth (d, req->count, req->offset)
    : disk_zero_growth (d, req->count, req->offset);
  if (growth > 0 && disk_allocated (d) + growth > m->limit) {
    req->why = "disk:limit";
    m->limit_fired++;
    err = ENOSPC;
  }
  else
    err = disk_perform (req);
  pthread_mutex_unlock (&m->limit_lock);
  return err;
}

/*--------------------------------------------------------------------*/
/* Write protection and rates. */

void
medium_readonly (struct medium *m, bool on)
{
  m->readonly = on;
  update_wanted (m);
}

/* Forget which requests wait: all of them queue up again.  Those that have passed
 * count as through.  The lock is held.
 */
static void
start_over_locked (struct medium *m)
{
  m->bytes.through = m->requests.through = sys_now ();
  m->queue++;
}

void
medium_throttle (struct medium *m, uint64_t bytes, uint64_t requests)
{
  pthread_mutex_lock (&m->throttle_lock);
  if (m->bytes.rate != bytes || m->requests.rate != requests) {
    m->bytes.rate = bytes;
    m->requests.rate = requests;
    start_over_locked (m);
  }
  pthread_mutex_unlock (&m->throttle_lock);
  update_wanted (m);
}

bool
medium_may_wait (struct medium *m)
{
  bool waits;

  pthread_mutex_lock (&m->throttle_lock);
  waits = m->bytes.rate > 0 || m->requests.rate > 0;
  pthread_mutex_unlock (&m->throttle_lock);
  return waits;
}

/* Put N units into a bucket at time T.  Returns when they will be through. */
static uint64_t
put_units (struct bucket *b, uint64_t n, uint64_t t)
{
  if (b->rate == 0 || n == 0)
    return t;
  if (b->through + MEDIUM_CREDIT < t)
    b->through = t - MEDIUM_CREDIT;
  b->through += (uint64_t) ((double) n * (double) SECOND / (double) b->rate);
  b->through = min_u64 (b->through, INT64_MAX);         /* that is, never */
  return b->through;
}

/* A place in the queue, which is lost when the queue starts over. */
struct place {
  const struct medium *m;
  unsigned queue;               /* as it was when the place was taken */
  uint64_t turn;                /* when it is the request's turn */
};

static struct place
queue_up (struct medium *m, const struct request *req)
{
  const bool moves = req->op == OP_READ || req->op == OP_WRITE;
  const uint64_t t = sys_now ();
  struct place p = { .m = m };
  uint64_t one, other;

  pthread_mutex_lock (&m->throttle_lock);
  p.queue = m->queue;
  one = put_units (&m->bytes, moves ? req->count : 0, t);
  other = put_units (&m->requests, 1, t);
  pthread_mutex_unlock (&m->throttle_lock);
  p.turn = one > other ? one : other;
  return p;
}

static bool
is_lost (const void *place)
{
  const struct place *p = place;

  return p->m->queue != p->queue;
}

/* The client has gone: the others get its turn. */
static void
leave_queue (struct medium *m, const struct place *p)
{
  pthread_mutex_lock (&m->throttle_lock);
  if (!is_lost (p))
    start_over_locked (m);
  pthread_mutex_unlock (&m->throttle_lock);
}

/* Wait for a request's turn, and queue up again if the queue starts over. */
static int
throttle (struct medium *m, const struct request *req)
{
  struct place p;
  bool waits = false;
  int err;

  stats_wait (true);
  do {
    p = queue_up (m, req);
    waits = waits || p.turn > sys_now ();
    err = request_wait_until (req->conn, p.turn, is_lost, &p);
  }
  while (!err && is_lost (&p));
  stats_wait (false);
  m->throttled += waits;
  if (err)
    leave_queue (m, &p);
  return err;
}

/*--------------------------------------------------------------------*/
/* Requests. */

struct medium_info
medium_info (struct medium *m)
{
  struct medium_info info = {
    .bad_fired = m->bad_fired, .limit = m->limit, .limit_fired = m->limit_fired,
    .readonly = m->readonly, .readonly_fired = m->readonly_fired,
    .throttled = m->throttled,
  };

  pthread_rwlock_rdlock (&m->bad_lock);
  info.bad_ranges = m->bad.n;
  pthread_rwlock_unlock (&m->bad_lock);
  return info;
}

static int
perform (struct medium *m, struct request *req)
{
  const unsigned op = 1u << req->op;
  int err = op & THROTTLED ? throttle (m, req) : 0;

  if (err)
    return err;
  if (op & CHANGES && m->readonly) {
    req->why = "disk:readonly";
    m->readonly_fired++;
    return EPERM;
  }
  if (m->any_bad && op & (READS | CHANGES) && meets_bad (m, req)) {
    req->why = "disk:bad";
    m->bad_fired++;
    return EIO;
  }
  err = m->limit != UINT64_MAX && may_grow (req) ? perform_in_limit (m, req)
    : disk_perform (req);
  if (!err && m->any_bad && op & CHANGES)
    err = heal (m, req);
  return err;
}

int
medium_pass (struct request *req)
{
  struct medium *m = req->conn->disk->medium;

  req->why = NULL;              /* a hook may try more than once */
  if (!(medium_wants (req->conn->disk) >> req->op & 1))
    return disk_perform (req);
  return perform (m, req);
}
