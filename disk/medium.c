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

#include "disk/cache.h"
#include "disk/inside.h"
#include "disk/medium.h"
#include "disk/throttle.h"
#include "lib/chance.h"
#include "lib/min.h"
#include "lib/ranges.h"
#include "lib/sys.h"
#include "report/stats.h"

#define READS (OP (READ) | OP (CACHE))
#define THROTTLED (OP (READ) | OP (FLUSH) | CHANGES)

struct medium {
  uint64_t size;                /* of the disk, in bytes */

  /* The operations for which there is something to do, as a set. */
  _Atomic unsigned wanted;
  pthread_mutex_t wanted_lock;

  struct ranges bad;
  struct ranges prepared;       /* what it will be */
  _Atomic bool any_bad;
  pthread_rwlock_t bad_lock;

  _Atomic bool readonly;
  _Atomic bool off;

  _Atomic uint64_t limit;       /* UINT64_MAX: none */
  pthread_mutex_t limit_lock;

  /* Requests that failed because of it, or had to wait. */
  _Atomic uint64_t bad_fired, limit_fired, readonly_fired, throttled;

  struct throttle throttle;
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
  throttle_init (&m->throttle);
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
  if (m->off)
    ops = ~0u;
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

/* The lock is held in between. */
int
medium_prepare_bad (struct medium *m, const struct ranges *sectors)
{
  int err;

  pthread_rwlock_wrlock (&m->bad_lock);
  err = ranges_union (&m->bad, sectors, &m->prepared);
  if (err)
    pthread_rwlock_unlock (&m->bad_lock);
  return err;
}

void
medium_finish_bad (struct medium *m, bool make)
{
  struct ranges old = make ? m->bad : m->prepared;

  if (make)
    m->bad = m->prepared;
  m->prepared = (struct ranges) { .n = 0 };
  m->any_bad = m->bad.n > 0;
  update_wanted (m);
  pthread_rwlock_unlock (&m->bad_lock);
  ranges_clear (&old);
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

/* Skip sectors of a kind, which each has with probability Q.  The next one is of
 * the other kind, or there is none.
 */
static void
skip_kind (struct medium_share *l, double q)
{
  const uint64_t left = l->end - l->sector;
  const uint64_t gap = q < 1 ? draw_gap (q, l->random) : left;

  l->random = chance_mix (l->random);
  l->sector += min_u64 (gap, left);
}

bool
medium_share (struct medium_share *share, double p, uint64_t seed,
              uint64_t count, uint64_t offset)
{
  *share = (struct medium_share) {
    .p = p, .random = chance_mix (seed), .sector = offset / MEDIUM_SECTOR,
    .end = sector_up (offset + count),
  };
  if (p <= 0 || count == 0)
    share->sector = share->end;
  return (double) (share->end - share->sector) * p * (1 - p)
    <= (double) MEDIUM_BAD_MAX;
}

/* Good ranges and bad ones alternate, so that long ones of either kind cost no
 * more than short ones.
 */
int
medium_share_draw (struct medium_share *l)
{
  int err = 0;

  for (unsigned i = 0; i < 1000 && l->sector < l->end && !err; i++) {
    uint64_t start;

    skip_kind (l, 1 - l->p);
    if (l->sector == l->end)
      break;
    start = l->sector++;        /* a bad one */
    skip_kind (l, l->p);
    err = ranges_add (&l->drawn, start, l->sector);
    if (l->sector < l->end)
      l->sector++;              /* a good one */
  }
  return err;
}

int
medium_bad_share (struct medium *m, const struct medium_share *l)
{
  const int err = medium_prepare_bad (m, &l->drawn);

  if (!err)
    medium_finish_bad (m, true);
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

/* Make sectors good, unless the power was cut since the request that wrote them entered:
 * the cut may have made them bad, and they are to stay so until they are written again.
 */
static int
heal_sectors (struct medium *m, const struct request *req, uint64_t start, uint64_t end)
{
  struct cache *cache = req->conn->disk->cache;
  int err;

  if (cache)
    cache_lock (cache);         /* so that no cut comes in between */
  err = disk_was_cut (req) ? ESHUTDOWN
    : medium_heal (m, (end - start) * MEDIUM_SECTOR, start * MEDIUM_SECTOR);
  if (cache)
    cache_unlock (cache);
  return err;
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
  return heal_sectors (m, req, start, end);
}

/*--------------------------------------------------------------------*/
/* Space. */

void
medium_limit (struct medium *m, uint64_t bytes)
{
  m->limit = bytes;
  update_wanted (m);
}

/* How many bytes would a request allocate? */
static uint64_t
growth (const struct request *req)
{
  struct disk *d = req->conn->disk;

  return req->op == OP_WRITE ? disk_growth (d, req->count, req->offset)
    : disk_zero_growth (d, req->count, req->offset);
}

/* There is no room for a request.  A trim is only a hint, so it does what needs
 * none.
 */
static int
perform_without_room (struct request *req)
{
  struct disk *d = req->conn->disk;
  const uint64_t end = req->offset + req->count;
  const uint64_t first = (req->offset + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
  const uint64_t last = end == disk_size (d) ? end : end - end % STORE_PAGE;
  struct request part = *req;

  if (req->op != OP_TRIM) {
    req->why = "disk:limit";
    return ENOSPC;
  }
  if (first >= last || disk_zero_growth (d, last - first, first) > 0)
    return 0;
  part.whole = req;
  part.offset = first;
  part.count = (uint32_t) (last - first);
  return disk_perform (&part);
}

/* One request that grows at a time, so that what is free stays free until it is
 * used.  Only requests take the lock, and none while it holds another: disk:limit
 * in a script must not wait for a write that waits for the script's on.fill.
 */
static int
perform_in_limit (struct medium *m, struct request *req)
{
  uint64_t more;
  int err;

  if (req->op != OP_WRITE && growth (req) == 0)
    return disk_perform (req);
  pthread_mutex_lock (&m->limit_lock);
  more = growth (req);
  if (more > 0 && disk_allocated (req->conn->disk) + more > m->limit)
    err = perform_without_room (req);
  else
    err = disk_perform (req);
  m->limit_fired += req->why != NULL;
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

void
medium_power (struct medium *m, bool on)
{
  m->off = !on;
  update_wanted (m);
}

void
medium_throttle (struct medium *m, uint64_t bytes, uint64_t requests)
{
  pthread_mutex_lock (&m->throttle_lock);
  if (m->throttle.rate[THROTTLE_BYTES] != bytes
      || m->throttle.rate[THROTTLE_REQUESTS] != requests)
    throttle_set (&m->throttle, bytes, requests, sys_now ());
  pthread_mutex_unlock (&m->throttle_lock);
  request_wake ();
  update_wanted (m);
}

bool
medium_may_wait (struct medium *m)
{
  bool waits;

  pthread_mutex_lock (&m->throttle_lock);
  waits = throttle_active (&m->throttle);
  pthread_mutex_unlock (&m->throttle_lock);
  return waits;
}

/* A request that waits for a turn, which may move up. */
struct waiting {
  const struct request *req;
  const struct ticket *ticket;
  uint64_t turn;
};

static bool
is_over (const void *waiting)
{
  const struct waiting *w = waiting;

  return w->ticket->lost || w->ticket->turn != w->turn || disk_was_cut (w->req);
}

static void
queue_up (struct medium *m, const struct request *req, struct ticket *ticket)
{
  const bool moves = req->op == OP_READ || req->op == OP_WRITE;

  pthread_mutex_lock (&m->throttle_lock);
  throttle_join (&m->throttle, ticket, moves ? req->count : 0, sys_now ());
  pthread_mutex_unlock (&m->throttle_lock);
}

/* The request passes, or has failed. */
static void
leave_queue (struct medium *m, struct ticket *ticket, bool passes)
{
  pthread_mutex_lock (&m->throttle_lock);
  if (!ticket->lost && passes)
    throttle_pass (ticket);
  else if (!ticket->lost)
    throttle_leave (&m->throttle, ticket);
  pthread_mutex_unlock (&m->throttle_lock);
  if (!passes)
    request_wake ();            /* others move up */
}

/* Wait for a request's turn, and queue up again if the rates change.  0 or ESHUTDOWN:
 * the client has gone, the server ends, or the power was cut.
 */
static int
wait_for_turn (struct medium *m, const struct request *req)
{
  struct ticket ticket;
  struct waiting w = { .req = req, .ticket = &ticket };
  bool waits = false;
  int err;

  stats_wait (true);
  queue_up (m, req, &ticket);
  do {
    if (ticket.lost)
      queue_up (m, req, &ticket);
    w.turn = ticket.turn;
    waits = waits || w.turn > sys_now ();
    err = request_wait_until (req->conn, w.turn, is_over, &w);
    if (!err && disk_was_cut (req))
      err = ESHUTDOWN;
  }
  while (!err && is_over (&w));
  stats_wait (false);
  m->throttled += waits;
  leave_queue (m, &ticket, !err);
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
  pthread_mutex_lock (&m->throttle_lock);
  info.bps = m->throttle.rate[THROTTLE_BYTES];
  info.iops = m->throttle.rate[THROTTLE_REQUESTS];
  pthread_mutex_unlock (&m->throttle_lock);
  return info;
}

static int
perform (struct medium *m, struct request *req)
{
  const unsigned op = 1u << req->op;
  int err = op & THROTTLED ? wait_for_turn (m, req) : 0;

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
  err = m->limit != UINT64_MAX && op & CHANGES ? perform_in_limit (m, req)
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
