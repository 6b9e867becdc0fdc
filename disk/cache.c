/* cache.c - a volatile write cache. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk/cache.h"
#include "disk/content.h"
#include "disk/inside.h"
#include "lib/min.h"

struct cache {
  struct disk *disk;
  uint64_t size;                /* of the disk, in bytes */
  uint64_t atomic;

  _Atomic uint64_t events;      /* requests that have completed */
  _Atomic uint64_t failures;    /* of flushes that dropped what they covered */
  _Atomic uint64_t cuts;
  _Atomic bool off;
  _Atomic uint64_t altered;     /* requests that succeeded, which a fault had altered */

  pthread_mutex_t lock;         /* guards what follows, and changes of the content */
  struct versions versions;
};

/*--------------------------------------------------------------------*/
/* The object. */

struct cache *
cache_new (struct disk *d, uint32_t sector, uint64_t atomic)
{
  struct cache *c = calloc (1, sizeof *c);

  if (!c || !versions_init (&c->versions, sector)) {
    free (c);
    return NULL;
  }
  c->disk = d;
  c->size = disk_size (d);
  c->atomic = atomic;
  pthread_mutex_init (&c->lock, NULL);
  return c;
}

void
cache_free (struct cache *c)
{
  if (!c)
    return;
  versions_free (&c->versions);
  pthread_mutex_destroy (&c->lock);
  free (c);
}

struct versions *
cache_lock (struct cache *c)
{
  pthread_mutex_lock (&c->lock);
  return &c->versions;
}

void
cache_unlock (struct cache *c)
{
  pthread_mutex_unlock (&c->lock);
}

uint64_t
cache_altered (const struct cache *c)
{
  return c->altered;
}

void
cache_add_altered (struct cache *c, uint64_t n)
{
  c->altered += n;
}

uint32_t
cache_sector (const struct cache *c)
{
  return c->versions.sector;
}

uint64_t
cache_atomic (const struct cache *c)
{
  return c->atomic;
}

/* The sectors that a range touches: *FIRST <= s < *END. */
static void
to_sectors (const struct cache *c, uint64_t count, uint64_t offset, uint64_t *first,
            uint64_t *end)
{
  const uint32_t sector = c->versions.sector;
  const int shift = __builtin_ctz (sector);     /* to divide takes longer */

  *first = offset >> shift;
  *end = (offset + count + sector - 1) >> shift;
}

/* The bytes of the sectors FIRST <= s < END.  The last one of the disk may be short. */
static uint64_t
to_bytes (const struct cache *c, uint64_t first, uint64_t end)
{
  return min_u64 (end * c->versions.sector, c->size) - first * c->versions.sector;
}

/* Lock, when all of these sectors have real content: what makes initial content may
 * wait for others, and call this cache.
 */
static int
lock_real (struct cache *c, uint64_t first, uint64_t end, void *context)
{
  const uint64_t offset = first * c->versions.sector;
  const uint64_t count = to_bytes (c, first, end);

  for (;;) {
    const int err = content_make_real (c->disk, count, offset, context);

    if (err)
      return err;
    cache_lock (c);
    if (!content_is_initial (c->disk, count, offset))
      return 0;
    cache_unlock (c);           /* another disk was assigned meanwhile */
  }
}

/*--------------------------------------------------------------------*/
/* Applying. */

/* Copy what the disk holds from a sector on. */
static int
cover (struct cache *c, uint64_t first, uint64_t end, struct covered **covered)
{
  const uint32_t sector = c->versions.sector;
  const uint64_t count = to_bytes (c, first, end);
  int err;

  *covered = versions_cover (&c->versions, (uint32_t) ((end - first) * sector));
  if (!*covered)
    return ENOMEM;
  memset ((*covered)->data + count, 0, (*covered)->size - count);
  err = content_read (c->disk, (*covered)->data, count, first * sector, NULL);
  if (err)
    covered_put (*covered);
  return err;
}

/* How many of the sectors FIRST <= s < END, at least one, are holes, or hold data that
 * one version can keep.
 */
static uint64_t
alike (struct cache *c, uint64_t first, uint64_t end, bool *data)
{
  const uint32_t sector = c->versions.sector;
  const uint64_t count = to_bytes (c, first, end);
  const uint64_t n = content_extent (c->disk, count, first * sector, data);

  if (*data)
    return (min_u64 (n, VERSION_BYTES) + sector - 1) >> __builtin_ctz (sector);
  if (n == count)
    return end - first;
  *data = n < sector;           /* a part of the first one is */
  return *data ? 1 : n / sector;
}

/* Make a new version of the first of some sectors, which keeps what it covers.
 * *DONE: of how many.
 */
static int
push_some (struct cache *c, const struct request *req, struct record *r,
           uint64_t first, uint64_t end, uint64_t *done)
{
  struct covered *covered = NULL;
  struct segment *s;
  bool data;
  int err = 0;

  *done = versions_run (&c->versions, first, end, &s);
  if (s && s->newest->record == r)
    return 0;                   /* another part of the same request */
  *done = alike (c, first, first + *done, &data);
  if (data)
    err = cover (c, first, first + *done, &covered);
  if (err)
    return err;
  err = versions_push (&c->versions, s, r, first, first + *done, covered,
                       req->op != OP_WRITE && !data);
  if (err)
    covered_put (covered);
  return err;
}

/* Put back what a version covers. */
static void
put_back (void *cache, const struct segment *s, const struct covered *covered,
          uint32_t at)
{
  const struct cache *c = cache;
  const uint64_t count = to_bytes (c, s->start, s->end);
  const uint64_t offset = s->start * c->versions.sector;

  if (covered)
    content_write (c->disk, covered->data + at, count, offset, NULL);
  else
    content_zero (c->disk, count, offset, NULL);
}

static void
pop_back (void *cache, const struct segment *s, const struct version *n)
{
  put_back (cache, s, n->covered, n->at);
}

/* Make new versions, and write.  If there is no memory for all, what was written owns
 * its pages, so it can be put back.
 */
static int
make_change (struct cache *c, const struct request *req, struct record *r)
{
  uint64_t first, end, n;
  int err = 0;

  to_sectors (c, req->count, req->offset, &first, &end);
  for (uint64_t i = first; i < end && !err; i += n)
    err = push_some (c, req, r, i, end, &n);
  if (!err)
    err = req->op == OP_WRITE
      ? content_write (c->disk, req->buf, req->count, req->offset, NULL)
      : content_zero (c->disk, req->count, req->offset, NULL);
  if (err)
    versions_pop (&c->versions, r, first, end, pop_back, c);
  return err;
}

static bool
is_atomic (const struct cache *c, const struct request *whole)
{
  return c->atomic > 0 && whole->count <= c->atomic
    && whole->offset / c->atomic
       == (whole->offset + whole->count - 1) / c->atomic;
}

/* The record of a request that is applied: a new one, or, if this is not its first part,
 * that of the first.
 */
static struct record *
record_of (struct cache *c, const struct request *req)
{
  const struct request *whole = req->whole ? req->whole : req;
  uint64_t first, end;
  struct record *r;

  if (req->record)
    return req->record;
  to_sectors (c, whole->count, whole->offset, &first, &end);
  r = versions_record (&c->versions, first, end - first, req->conn->id);
  if (r)
    r->atomic = is_atomic (c, whole);
  return r;
}

static int
apply_locked (struct cache *c, struct request *req)
{
  struct record *r;
  int err;

  if (req->visit->cuts != c->cuts)
    return ESHUTDOWN;
  r = record_of (c, req);
  if (!r)
    return ENOMEM;
  err = make_change (c, req, r);
  if (req->record)
    return err;
  if (err) {
    versions_withdraw (&c->versions, r);
    return err;
  }
  r->sibling = req->visit->records;
  req->visit->records = req->record = r;
  return 0;
}

int
cache_apply (struct cache *c, struct request *req)
{
  uint64_t first, end;
  int err;

  if (req->count == 0)
    return 0;
  /* To wait for what a write covers takes longer than all else. */
  content_expect (c->disk, req->offset);
  to_sectors (c, req->count, req->offset, &first, &end);
  err = lock_real (c, first, end, NULL);
  if (err)
    return err;
  err = apply_locked (c, req);
  cache_unlock (c);
  return err == ENOMEM && req->op == OP_TRIM ? 0 : err;         /* only a hint */
}

/*--------------------------------------------------------------------*/
/* Entry and completion. */

/* The number of cuts is read first: if one comes in between, the request fails at its
 * end.
 */
int
cache_enter (struct cache *c, struct visit *visit)
{
  *visit = (struct visit) {
    .cuts = c->cuts, .entered = c->events, .failures = c->failures,
  };
  return c->off ? ESHUTDOWN : 0;
}

/* What a flush covers. */
struct reach {
  uint64_t entered;             /* completed by then */
  uint64_t conn;                /* of this connection; 0: of any */
};

static bool
is_covered (const struct record *r, const void *reach)
{
  const struct reach *f = reach;

  return r->done && r->done <= f->entered && (!f->conn || r->conn == f->conn);
}

static bool
is_record (const struct record *r, const void *record)
{
  return r == record;
}

static bool
is_any (const struct record *r, const void *unused)
{
  (void) r;
  (void) unused;
  return true;
}

/* A flush that was lost on its way (a rule, or a hook that skips it) is a lie: an honest
 * disk would have made durable what it covers.
 */
static void
flush_locked (struct cache *c, const struct request *req)
{
  struct versions *v = &c->versions;
  const struct visit *visit = req->visit;
  const struct reach all = { visit->entered, 0 };
  const struct reach own = { visit->entered, req->conn->id };
  const bool honest = visit->flushed && !visit->only_own;

  if (visit->flushed)
    versions_settle (v, 0, UINT64_MAX, is_covered, honest ? &all : &own);
  if (!honest)
    versions_owe (v, 0, UINT64_MAX, is_covered, &all);
}

/* A flush is about to complete.  If another one has failed meanwhile and dropped what it
 * covered, so has this one.
 */
static int
end_flush (struct cache *c, const struct request *req, int err)
{
  const struct visit *visit = req->visit;
  const struct reach all = { visit->entered, 0 };

  if (err && visit->drops) {
    versions_drop (&c->versions, is_covered, &all, put_back, c);
    c->failures++;
  }
  if (!err && visit->failures != c->failures)
    err = EIO;
  if (!err)
    flush_locked (c, req);
  return err;
}

/* FUA: its own versions become durable. */
static void
end_fua (struct cache *c, const struct visit *visit)
{
  for (const struct record *r = visit->records; r; r = r->sibling)
    (visit->no_fua ? versions_owe : versions_settle)
      (&c->versions, r->first, r->first + r->sectors, is_record, r);
}

static void
end_records (struct cache *c, struct record *r, uint64_t now)
{
  for (struct record *next; r; r = next) {
    next = r->sibling;
    versions_complete (&c->versions, r, now);
  }
}

/* The power was cut, which has forgotten all records. */
static void
free_records (struct record *r)
{
  for (struct record *next; r; r = next) {
    next = r->sibling;
    free (r);
  }
}

static int
leave_locked (struct cache *c, struct request *req, int err)
{
  const uint64_t now = c->events + 1;

  if (req->visit->cuts != c->cuts) {
    free_records (req->visit->records);
    return ESHUTDOWN;
  }
  if (req->op == OP_FLUSH)
    err = end_flush (c, req, err);
  else if (!err && req->flags & NBDKIT_FLAG_FUA)
    end_fua (c, req->visit);
  end_records (c, req->visit->records, now);
  /* Only who holds the lock counts. */
  atomic_store_explicit (&c->events, now, memory_order_release);
  return err;
}

int
cache_leave (struct cache *c, struct request *req, int err)
{
  if (req->op != OP_FLUSH && !req->visit->records)
    err = req->visit->cuts == c->cuts ? err : ESHUTDOWN;
  else {
    cache_lock (c);
    err = leave_locked (c, req, err);
    cache_unlock (c);
  }
  if (!err && req->visit->altered)
    c->altered++;
  return err;
}

/*--------------------------------------------------------------------*/
/* The medium. */

/* Make these sectors, as they are, durable. */
static void
settle_range (struct cache *c, uint64_t first, uint64_t end)
{
  versions_settle (&c->versions, first, end, is_any, NULL);
}

/* Lock, when these sectors are segments of their own. */
static int
lock_range (struct cache *c, uint64_t first, uint64_t end, void *context)
{
  int err = lock_real (c, first, end, context);

  if (err)
    return err;
  err = versions_split (&c->versions, first);
  if (!err)
    err = versions_split (&c->versions, end);
  if (err)
    cache_unlock (c);
  return err;
}

int
cache_write (struct cache *c, const void *buf, uint64_t count, uint64_t offset,
             void *context)
{
  uint64_t first, end;
  int err;

  if (count == 0)
    return 0;
  to_sectors (c, count, offset, &first, &end);
  err = lock_range (c, first, end, context);
  if (err)
    return err;
  err = content_write (c->disk, buf, count, offset, context);
  settle_range (c, first, end);
  cache_unlock (c);
  return err;
}

int
cache_zero (struct cache *c, uint64_t count, uint64_t offset, void *context)
{
  uint64_t first, end;
  int err;

  if (count == 0)
    return 0;
  to_sectors (c, count, offset, &first, &end);
  err = lock_range (c, first, end, context);
  if (err)
    return err;
  err = content_zero (c->disk, count, offset, context);
  settle_range (c, first, end);
  cache_unlock (c);
  return err;
}

void
cache_settle_locked (struct cache *c)
{
  settle_range (c, 0, UINT64_MAX);
}

/*--------------------------------------------------------------------*/
/* Power. */

/* Let a range that is to be written have pages of its own, by writing what it holds.
 * Where it will be zeroed, holes stay.
 */
static int
own_range (struct cache *c, uint64_t start, uint64_t end, bool zero, void *buf)
{
  bool data;
  int err = 0;

  for (uint64_t n; start < end && !err; start += n) {
    n = content_extent (c->disk, min_u64 (end - start, VERSION_BYTES), start, &data);
    if (zero && !data)
      continue;
    err = content_read (c->disk, buf, n, start, NULL);
    if (!err)
      err = content_write (c->disk, buf, n, start, NULL);
  }
  return err;
}

/* Of a range that will be zeroed, the ends matter: to zero whole pages needs no memory. */
static int
own_patch (struct cache *c, const struct patch *p, void *buf)
{
  int err;

  if (p->covered || p->end - p->start < VERSION_BYTES)
    return own_range (c, p->start, p->end, !p->covered, buf);
  err = own_range (c, p->start, p->start + c->versions.sector, true, buf);
  return err ? err : own_range (c, p->end - c->versions.sector, p->end, true, buf);
}

int
cache_prepare_locked (struct cache *c, const struct patches *patches)
{
  void *buf = malloc (VERSION_BYTES);
  int err = buf ? 0 : ENOMEM;

  for (size_t i = 0; i < patches->n && !err; i++)
    err = own_patch (c, &patches->patch[i], buf);
  free (buf);
  return err;
}

void
cache_cut_locked (struct cache *c, const struct patches *patches)
{
  c->off = true;
  c->cuts++;
  for (size_t i = 0; i < patches->n; i++) {
    const struct patch *p = &patches->patch[i];

    if (p->covered)
      content_write (c->disk, p->covered->data + p->at, p->end - p->start, p->start,
                     NULL);
    else
      content_zero (c->disk, p->end - p->start, p->start, NULL);
  }
  versions_clear (&c->versions);
}

bool
cache_is_off (const struct cache *c)
{
  return c->off;
}

void
cache_power_on (struct cache *c)
{
  c->off = false;
}

const _Atomic uint64_t *
cache_cuts (const struct cache *c)
{
  return &c->cuts;
}
