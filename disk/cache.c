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
#include "disk/history.h"
#include "disk/inside.h"
#include "lib/min.h"

struct cache {
  struct disk *disk;
  uint64_t size;                /* of the disk, in bytes */
  struct disk_cache how;

  _Atomic uint64_t events;      /* how many there were (disk/history.h) */
  _Atomic uint64_t failures;    /* of flushes that dropped what they covered */
  _Atomic uint64_t cuts;
  _Atomic bool off;
  _Atomic uint64_t altered;     /* requests that succeeded, which a fault had altered */

  pthread_mutex_t lock;         /* guards what follows, and changes of the content */
  struct versions versions;
  struct history *history;      /* or NULL */
  struct digest digest;         /* of what the disk held */
  uint64_t digested;            /* at this event, and one more; 0: never */
};

/*--------------------------------------------------------------------*/
/* The object. */

struct cache *
cache_new (struct disk *d, const struct disk_cache *how)
{
  struct cache *c = calloc (1, sizeof *c);

  if (!c || !versions_init (&c->versions, how->sector)) {
    free (c);
    return NULL;
  }
  c->disk = d;
  c->size = disk_size (d);
  c->how = *how;
  pthread_mutex_init (&c->lock, NULL);
  if (how->history && !(c->history = history_new (how->history, how->sector))) {
    cache_free (c);
    return NULL;
  }
  return c;
}

void
cache_free (struct cache *c)
{
  if (!c)
    return;
  versions_free (&c->versions);
  history_free (c->history);
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

const struct disk_cache *
cache_how (const struct cache *c)
{
  return &c->how;
}

struct history *
cache_history (struct cache *c)
{
  return c->history;
}

uint64_t
cache_now (const struct cache *c)
{
  return c->events;
}

bool
cache_digest (const struct cache *c, struct digest *d)
{
  *d = c->digest;
  return c->digested == c->events + 1;
}

void
cache_set_digest (struct cache *c, const struct digest *d)
{
  c->digest = *d;
  c->digested = c->events + 1;
}

/* Only who holds the lock counts. */
static uint64_t
next_event (struct cache *c)
{
  const uint64_t now = c->events + 1;

  atomic_store_explicit (&c->events, now, memory_order_release);
  return now;
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
  const uint64_t n = content_units (c->disk, to_bytes (c, first, end), first * sector,
                                    sector, data);

  return (n + sector - 1) >> __builtin_ctz (sector);
}

/* Make a new version of the first of some sectors, which keeps what it covers.
 * *DONE: of how many.
 */
static int
push_some (struct cache *c, const struct request *req, struct record *r,
           uint64_t first, uint64_t end, uint64_t *done)
{
  struct version made = { .record = r, .when = c->events };
  struct segment *s;
  bool data;
  int err = 0;

  *done = versions_run (&c->versions, first, end, &s);
  if (s && s->newest->record == r)
    return 0;                   /* another part of the same request */
  *done = alike (c, first, first + *done, &data);
  made.zero = req->op != OP_WRITE && !data;
  if (data)
    err = cover (c, first, first + *done, &made.covered);
  if (err)
    return err;
  if (r->change)
    err = history_push (c->history, r->change, first, first + *done, &made);
  if (!err)
    err = versions_push (&c->versions, s, first, first + *done, &made);
  if (err)
    covered_put (made.covered);
  return err;
}

/* Put back what a version covers.  That can't fail where it matters: what was written
 * owns its pages, and what was not still holds the same.
 */
static void
put_back (void *cache, const struct segment *s, const struct version *n)
{
  const struct cache *c = cache;
  const uint64_t count = to_bytes (c, s->start, s->end);
  const uint64_t offset = s->start * c->versions.sector;

  if (n->covered)
    content_write (c->disk, n->covered->data + n->at, count, offset, NULL);
  else
    content_zero (c->disk, count, offset, NULL);
}

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

/* Of a range that is to be zeroed, the ends matter: to zero whole pages needs no memory,
 * except on a disk that keeps them.
 */
static int
own_ends (struct cache *c, uint64_t start, uint64_t end, void *buf)
{
  const uint64_t part = min_u64 (end - start, c->versions.sector);
  int err = own_range (c, start, start + part, true, buf);

  if (!err)
    err = own_range (c, end - part, end, true, buf);
  if (!err && disk_zero_growth (c->disk, end - start, start) > 0)
    err = own_range (c, start, end, true, buf);
  return err;
}

/* Prepare to zero a range, so that it is done as a whole, or fails before anything is
 * done.  What was freed could not be put back without memory.
 */
static int
prepare_zero (struct cache *c, uint64_t count, uint64_t offset)
{
  int err = content_settle (c->disk, count, offset);
  void *buf;

  if (err || disk_zero_growth (c->disk, count, offset) == 0)
    return err;
  buf = malloc (VERSION_BYTES);
  err = buf ? own_ends (c, offset, offset + count, buf) : ENOMEM;
  free (buf);
  return err;
}

/* Zero a range, or nothing of it. */
static int
zero_whole (struct cache *c, uint64_t count, uint64_t offset)
{
  const int err = prepare_zero (c, count, offset);

  return err ? err : content_zero (c->disk, count, offset, NULL);
}

/* Make new versions, and write. */
static int
make_change (struct cache *c, const struct request *req, struct record *r)
{
  uint64_t first, end, n;
  bool written;
  int err = 0;

  to_sectors (c, req->count, req->offset, &first, &end);
  for (uint64_t i = first; i < end && !err; i += n)
    err = push_some (c, req, r, i, end, &n);
  written = !err && req->op == OP_WRITE;        /* perhaps a part of it */
  if (!err)
    err = req->op == OP_WRITE
      ? content_write (c->disk, req->buf, req->count, req->offset, NULL)
      : zero_whole (c, req->count, req->offset);
  if (!err)
    return 0;
  versions_pop (&c->versions, r, first, end, written ? put_back : NULL, c);
  if (r->change)
    history_pop (c->history, r->change, first, end);
  return err;
}

static bool
is_atomic (const struct cache *c, uint64_t count, uint64_t offset)
{
  const uint64_t atomic = c->how.atomic;

  return atomic > 0 && count > 0 && count <= atomic
    && offset / atomic == (offset + count - 1) / atomic;
}

/* Something was remembered before this request.  Has the recording ended with it? */
static void
tell_if_full (const struct cache *c, bool was_full, uint64_t number)
{
  if (!was_full && history_is_full (c->history) && c->how.full)
    c->how.full (&c->how, number);
}

/* Of a request to zero or trim, one sector counts as remembered. */
static struct change *
record_change (struct cache *c, const struct request *whole, const struct record *r)
{
  const bool was_full = history_is_full (c->history);
  struct change *ch
    = history_add (c->history, CHANGE_REQUEST,
                   whole->op == OP_WRITE ? whole->count : c->how.sector, c->events);

  tell_if_full (c, was_full, r->number);
  if (!ch || ch->kind != CHANGE_REQUEST)
    return ch;
  ch->record = (struct record) {
    .number = r->number, .first = r->first, .sectors = r->sectors, .conn = r->conn,
    .atomic = r->atomic,
  };
  ch->op = whole->op;
  ch->offset = whole->offset;
  ch->count = whole->count;
  ch->wants_fua = whole->flags & NBDKIT_FLAG_FUA;
  return ch;
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
  if (!r)
    return NULL;
  r->atomic = is_atomic (c, whole->count, whole->offset);
  if (c->history && !(r->change = record_change (c, whole, r))) {
    versions_withdraw (&c->versions, r);
    return NULL;
  }
  return r;
}

static int
apply_locked (struct cache *c, struct request *req)
{
  struct record *r;
  int err;

  if (req->visit->cuts != c->cuts)
    return ESHUTDOWN;
  next_event (c);
  r = record_of (c, req);
  if (!r)
    return ENOMEM;
  err = make_change (c, req, r);
  if (req->record)
    return err;
  if (err) {
    if (r->change)
      history_withdraw (c->history, r->change);
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

static void
record_flush (struct cache *c, const struct flushed *f)
{
  const bool was_full = history_is_full (c->history);

  if (history_flush (c->history, f))
    history_break (c->history);
  tell_if_full (c, was_full, c->versions.last_number + 1);
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
  const struct flushed f = {
    .entered = visit->entered, .returned = c->events + 1, .lie = !visit->flushed,
    .conn = req->conn->id, .own = visit->only_own,
  };

  if (c->history)
    record_flush (c, &f);
  if (visit->flushed)
    versions_settle (v, 0, UINT64_MAX, is_covered, honest ? &all : &own);
  if (!honest)
    versions_owe (v, 0, UINT64_MAX, is_covered, &all);
}

/* A change covers versions, which are kept in the history.  ZERO: with zeroes. */
static int
keep (struct cache *c, struct change *ch, uint64_t first, uint64_t end, bool zero)
{
  struct version made = { .when = c->events };
  bool data;
  int err = ch ? 0 : ENOMEM;

  for (uint64_t n; first < end && !err; first += n) {
    n = alike (c, first, end, &data);
    made.covered = NULL;
    made.zero = zero && !data;
    if (data)
      err = cover (c, first, first + n, &made.covered);
    if (err)
      break;
    err = history_push (c->history, ch, first, first + n, &made);
    c->history->bytes += made.covered ? made.covered->size : 0;
    covered_put (made.covered);
  }
  return err;
}

/* Keep what is going to be written over in these ranges. */
static int
keep_patches (struct cache *c, struct change *ch, const struct patches *patches)
{
  uint64_t first, end;
  int err = ch ? 0 : ENOMEM;

  for (size_t i = 0; i < patches->n && !err; i++) {
    const struct patch *p = &patches->patch[i];

    to_sectors (c, p->end - p->start, p->start, &first, &end);
    err = keep (c, ch, first, end, false);
  }
  return err;
}

/* A change of these ranges that is no request is going to happen: record it.  *CH: its
 * entry, or NULL.  ENOMEM: nothing is recorded.
 */
static int
record_other (struct cache *c, enum change_kind kind, const struct patches *patches,
              struct change **ch)
{
  int err;

  next_event (c);
  *ch = NULL;
  if (!c->history)
    return 0;
  *ch = history_add (c->history, kind, 0, c->events);
  err = keep_patches (c, *ch, patches);
  if (!err && kind == CHANGE_CUT)
    err = history_cut (c->history, c->events);
  if (err && *ch) {
    history_pop (c->history, *ch, 0, UINT64_MAX);
    history_withdraw (c->history, *ch);
  }
  return err;
}

/* Put in place what these patches say, which was prepared, so that it can't fail. */
static void
put_patches (struct cache *c, const struct patches *patches)
{
  for (size_t i = 0; i < patches->n; i++) {
    const struct patch *p = &patches->patch[i];

    if (p->covered)
      content_write (c->disk, p->covered->data + p->at, p->end - p->start, p->start,
                     NULL);
    else
      content_zero (c->disk, p->end - p->start, p->start, NULL);
  }
}

/* What the disk is going to show, for a flush that fails and drops what it covers. */
struct dropping {
  struct cache *cache;
  struct patches patches;
};

static int
add_uncovered (void *dropping, const struct segment *s, struct covered *covered,
               uint32_t at)
{
  struct dropping *d = dropping;
  const uint64_t start = s->start * d->cache->versions.sector;

  return patches_add (&d->patches, start, start + to_bytes (d->cache, s->start, s->end),
                      covered, at);
}

/* The requests that a flush covers are dropped, when that is recorded. */
static void
mark_dropped (struct cache *c, const struct reach *all)
{
  for (struct record *r = c->versions.first; r; r = r->next)
    if (r->pending > 0 && is_covered (r, all) && r->change
        && r->change->kind == CHANGE_REQUEST)
      r->change->dropped = c->events;
}

/* ENOMEM: all is as it was. */
static int
drop_locked (struct cache *c, const struct reach *all)
{
  struct dropping d = { .cache = c };
  struct change *ch;
  int err = versions_uncovered (&c->versions, is_covered, all, add_uncovered, &d);

  if (!err)
    err = cache_prepare_locked (c, &d.patches);
  if (!err)
    err = record_other (c, CHANGE_DROP, &d.patches, &ch);
  if (!err) {
    mark_dropped (c, all);
    put_patches (c, &d.patches);
    versions_drop (&c->versions, is_covered, all);
    c->failures++;
  }
  patches_free (&d.patches);
  return err;
}

/* A flush is about to complete.  If another one has failed meanwhile and dropped what it
 * covered, so has this one.  One that can't drop it, because there is no memory, fails for
 * that reason, as if it had not been asked to.
 */
static int
end_flush (struct cache *c, struct request *req, int err)
{
  const struct visit *visit = req->visit;
  const struct reach all = { visit->entered, 0 };

  if (err && visit->drops && drop_locked (c, &all)) {
    err = ENOMEM;
    req->asked = false;
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

/* What completes after the recording has ended was in flight at its end. */
static void
end_change (struct change *ch, const struct request *req, int err, uint64_t now)
{
  const bool fua = !err && req->flags & NBDKIT_FLAG_FUA;

  if (ch->kind != CHANGE_REQUEST)
    return;
  ch->record.done = now;
  ch->failed = err != 0;
  ch->fua = fua && !req->visit->no_fua;
  ch->no_fua = fua && req->visit->no_fua;
  ch->altered = !err && req->visit->altered;
}

static void
end_records (struct cache *c, const struct request *req, int err, uint64_t now)
{
  for (struct record *r = req->visit->records, *next; r; r = next) {
    next = r->sibling;
    if (r->change && now <= c->history->end)
      end_change (r->change, req, err, now);
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
  if (req->visit->cuts != c->cuts) {
    free_records (req->visit->records);
    return ESHUTDOWN;
  }
  if (req->op == OP_FLUSH)
    err = end_flush (c, req, err);
  else if (!err && req->flags & NBDKIT_FLAG_FUA)
    end_fua (c, req->visit);
  end_records (c, req, err, next_event (c));
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

/* With the bytes that it changes, for who replays it with smaller sectors. */
static int
record_medium (struct cache *c, uint64_t count, uint64_t offset, struct change **ch)
{
  struct patch range = { .start = offset, .end = offset + count };
  const int err = record_other (c, CHANGE_MEDIUM,
                                &(struct patches) { .patch = &range, .n = 1 }, ch);

  if (!err && *ch && (*ch)->kind == CHANGE_MEDIUM) {
    (*ch)->offset = offset;
    (*ch)->count = count;
  }
  return err;
}

/* A change of the medium that is recorded did not happen from this sector on. */
static void
forget_medium (struct cache *c, struct change *ch, uint64_t first, bool all)
{
  if (!ch)
    return;
  history_pop (c->history, ch, first, UINT64_MAX);
  if (all)
    history_withdraw (c->history, ch);
}

/* As lock_range, when what the sectors of a range hold is in the history. */
static int
lock_kept (struct cache *c, uint64_t count, uint64_t offset, uint64_t *first, uint64_t *end,
           struct change **ch, void *context)
{
  int err;

  to_sectors (c, count, offset, first, end);
  err = lock_range (c, *first, *end, context);
  if (err)
    return err;
  err = record_medium (c, count, offset, ch);
  if (err)
    cache_unlock (c);
  return err;
}

/* Write what of a range lies in the region of the store in which it begins, of which all
 * is written, or nothing, and make it durable.  *DONE: how much that is.
 */
static int
write_region (struct cache *c, const void *buf, uint64_t count, uint64_t offset,
              uint64_t *done)
{
  uint64_t first, end;
  int err;

  *done = min_u64 (count, STORE_REGION - offset % STORE_REGION);
  to_sectors (c, *done, offset, &first, &end);
  err = versions_split (&c->versions, end);
  if (!err)
    err = content_write (c->disk, buf, *done, offset, NULL);
  if (!err)
    settle_range (c, first, end);
  return err;
}

int
cache_write (struct cache *c, const void *buf, uint64_t count, uint64_t offset,
             void *context)
{
  const char *p = buf;
  uint64_t first, end, done = 0, n;
  struct change *ch;
  int err;

  if (count == 0)
    return 0;
  err = lock_kept (c, count, offset, &first, &end, &ch, context);
  if (err)
    return err;
  for (; done < count && !err; done += err ? 0 : n)
    err = write_region (c, p + done, count - done, offset + done, &n);
  if (err)
    forget_medium (c, ch, (offset + done) / c->versions.sector, done == 0);
  cache_unlock (c);
  return err;
}

int
cache_zero (struct cache *c, uint64_t count, uint64_t offset, void *context)
{
  uint64_t first, end;
  struct change *ch;
  int err;

  if (count == 0)
    return 0;
  err = lock_kept (c, count, offset, &first, &end, &ch, context);
  if (err)
    return err;
  err = zero_whole (c, count, offset);
  if (err)
    forget_medium (c, ch, first, true);
  else
    settle_range (c, first, end);
  cache_unlock (c);
  return err;
}

int
cache_replace_locked (struct cache *c)
{
  struct change *ch;

  if (c->history && content_is_initial (c->disk, c->size, 0))
    return ENOTSUP;
  return record_medium (c, c->size, 0, &ch);
}

void
cache_keep_locked (struct cache *c)
{
  const struct history *h = c->history;
  struct change *last = h && h->changes > 0 ? history_change (h, h->changes - 1) : NULL;

  if (last && last->when == c->events)
    forget_medium (c, last, 0, true);
}

void
cache_settle_locked (struct cache *c)
{
  settle_range (c, 0, UINT64_MAX);
}

static int
mark_locked (struct cache *c, const char *text)
{
  const bool was_full = history_is_full (c->history);
  const int err = history_mark (c->history, text, next_event (c));

  tell_if_full (c, was_full, c->versions.last_number + 1);
  return err;
}

int
cache_mark (struct cache *c, const char *text)
{
  int err;

  cache_lock (c);
  err = c->history ? mark_locked (c, text) : 0;
  cache_unlock (c);
  if (!err)
    cache_tell_mark (text);
  return err;
}

void
cache_note_fault (struct cache *c, const struct request *req, const char *rule)
{
  struct fired_rule f = {
    .rule = (char *) rule, .op = req->op, .offset = req->offset, .count = req->count,
    .conn = req->conn->id,
  };
  bool was_full;

  if (!c->history)
    return;
  cache_lock (c);
  was_full = history_is_full (c->history);
  f.when = c->events;           /* no moment of its own: no image depends on it */
  history_fault (c->history, &f);
  tell_if_full (c, was_full, c->versions.last_number + 1);
  cache_unlock (c);
}

static bool (*mark_told) (const char *text);

bool
cache_tell_mark (const char *text)
{
  return mark_told && mark_told (text);
}

void
cache_on_mark (bool (*told) (const char *text))
{
  mark_told = told;
}

/*--------------------------------------------------------------------*/
/* Replay. */

void
cache_replay_change (const struct cache *c, struct change *ch)
{
  uint64_t end;

  to_sectors (c, ch->count, ch->offset, &ch->record.first, &end);
  ch->record.sectors = end - ch->record.first;
  ch->record.atomic = is_atomic (c, ch->count, ch->offset);
}

int
cache_replay (struct cache *c, struct change *ch, uint64_t when, const void *buf,
              uint64_t count, uint64_t offset)
{
  const bool zero = !buf && ch->kind == CHANGE_REQUEST && ch->op != OP_WRITE;
  uint64_t first, end;
  int err;

  c->events = when;
  to_sectors (c, count, offset, &first, &end);
  err = keep (c, ch, first, end, zero);
  if (!err)
    err = buf ? content_write (c->disk, buf, count, offset, NULL)
      : content_zero (c->disk, count, offset, NULL);
  return err;
}

void
cache_replay_end (struct cache *c, uint64_t end)
{
  c->events = c->history->end = end;
  c->history->replayed = true;
  c->versions.last_number = history_requests (c->history);
}

/*--------------------------------------------------------------------*/
/* Power. */

int
cache_prepare_locked (struct cache *c, const struct patches *patches)
{
  void *buf = malloc (VERSION_BYTES);
  int err = buf ? 0 : ENOMEM;

  for (size_t i = 0; i < patches->n && !err; i++) {
    const struct patch *p = &patches->patch[i];

    err = p->covered ? own_range (c, p->start, p->end, false, buf)
      : prepare_zero (c, p->end - p->start, p->start);
  }
  free (buf);
  return err;
}

int
cache_record_cut_locked (struct cache *c, const struct patches *patches)
{
  struct change *ch;

  return record_other (c, CHANGE_CUT, patches, &ch);
}

void
cache_cut_locked (struct cache *c, const struct patches *patches)
{
  c->off = true;
  c->cuts++;
  put_patches (c, patches);
  versions_clear (&c->versions);
}

bool
cache_is_off (const struct cache *c)
{
  return c->off;
}

bool
cache_power_on (struct cache *c)
{
  const bool was_off = c->off;

  c->off = false;
  return was_off;
}

const _Atomic uint64_t *
cache_cuts (const struct cache *c)
{
  return &c->cuts;
}
