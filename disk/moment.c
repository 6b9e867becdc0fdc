/* moment.c - what was volatile at a moment of the past. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/cache.h"
#include "disk/inside.h"
#include "disk/moment.h"
#include "disk/point.h"
#include "lib/min.h"

/* A moment at work. */
struct making {
  struct history *history;
  struct moment *moment;
  uint64_t when, bytes;
  uint64_t cut;                 /* the last one before, or 0 */
  size_t flushes;               /* that had returned */
  uint64_t covers, owes;        /* completed by then: durable, or should be */
};

/*--------------------------------------------------------------------*/
/* Which requests were volatile. */

static uint64_t
last_cut (const struct history *h, uint64_t when)
{
  uint64_t last = 0;

  for (size_t i = 0; i < h->cuts && h->cut[i] <= when; i++)
    last = h->cut[i];
  return last;
}

/* Has a flush that covers only its own connection made this durable? */
static bool
is_covered_alone (const struct making *m, const struct change *ch)
{
  if (m->flushes == 0 || m->history->flush[m->flushes - 1].others == 0)
    return false;
  for (size_t i = 0; i < m->flushes; i++) {
    const struct flushed *f = &m->history->flush[i];

    if (f->own && !f->lie && f->conn == ch->record.conn && ch->record.done <= f->entered)
      return true;
  }
  return false;
}

static bool
is_dropped (const struct making *m, const struct change *ch)
{
  return ch->kind == CHANGE_DROP || (ch->dropped && ch->dropped <= m->when);
}

static bool
is_volatile (const struct making *m, const struct change *ch)
{
  const uint64_t done = ch->record.done;

  if (ch->kind != CHANGE_REQUEST || ch->when > m->when || is_dropped (m, ch)
      || ch->when <= m->cut)
    return false;
  if (!done || done > m->when)
    return true;
  return !ch->fua && done > m->covers && !is_covered_alone (m, ch);
}

static int
show_change (struct making *m, struct change *ch)
{
  const struct record *r = &ch->record;
  const bool done = r->done && r->done <= m->when;

  ch->shown = NULL;
  m->moment->altered += done && ch->altered;
  if (!is_volatile (m, ch))
    return 0;
  ch->shown = versions_record (&m->moment->versions, r->first, r->sectors, r->conn);
  if (!ch->shown)
    return ENOMEM;
  ch->shown->number = r->number;
  ch->shown->atomic = r->atomic;
  ch->shown->done = done ? r->done : 0;
  return 0;
}

/* Those that had been applied are the first ones. */
static int
show_changes (struct making *m)
{
  struct history *h = m->history;
  int err = 0;

  for (size_t i = 0; i < h->changes && !err; i++) {
    struct change *ch = history_change (h, i);

    if (ch->when > m->when)
      break;
    err = show_change (m, ch);
  }
  return err;
}

/*--------------------------------------------------------------------*/
/* Which versions were. */

/* A segment at work: what shows at a moment is what was covered next. */
struct going {
  struct version *newest, **end;        /* that were volatile */
  struct version *above;        /* what is covered next, it covers */
  struct version shown;         /* ...or else this shows at the moment */
  bool differs;                 /* from now */
};

static bool
is_owed (const struct making *m, const struct change *ch)
{
  const uint64_t done = ch->record.done;

  return done && done <= m->when && (done <= m->owes || ch->no_fua);
}

/* Was it volatile, or does it not count at this moment?  Else it was durable. */
static int
go_on (struct making *m, struct going *g, const struct version *x, bool *more)
{
  const struct change *ch = (const struct change *) x->record;

  *more = true;
  if (x->when > m->when || is_dropped (m, ch))
    g->differs = g->differs || !g->above;
  else if (!ch->shown) {
    *more = false;
    return 0;
  } else {
    struct version *n = versions_node (&m->moment->versions, x);

    if (!n)
      return ENOMEM;
    n->record = ch->shown;
    n->owed = is_owed (m, ch);
    *g->end = n;
    g->end = &n->below;
    g->above = n;
  }
  if (!g->above) {
    g->shown.covered = x->covered;
    g->shown.at = x->at;
  } else {
    covered_get (x->covered);
    covered_put (g->above->covered);
    g->above->covered = x->covered;
    g->above->at = x->at;
  }
  return 0;
}

static int
go_back (struct making *m, const struct segment *s)
{
  const uint32_t sector = m->history->past.sector;
  struct going g = { .newest = NULL };
  bool more = true;
  int err = 0;

  g.end = &g.newest;
  for (const struct version *x = s->newest; x && more && !err; x = x->below)
    err = go_on (m, &g, x, &more);
  if (!err && g.differs)
    err = patches_add (&m->moment->newest, s->start * sector,
                       min_u64 (s->end * sector, m->bytes), g.shown.covered, g.shown.at);
  if (!err && g.newest)
    err = versions_chain (&m->moment->versions, s->start, s->end, g.newest);
  if (err)
    versions_node_free (&m->moment->versions, g.newest);
  return err;
}

/* What a segment leads to lies somewhere else in memory: have it fetched before. */
static void
expect (const struct making *m, struct segment *const *s, size_t i, size_t n)
{
  const struct version *x;

  if (i + 16 < n)
    __builtin_prefetch (s[i + 16]);
  if (i + 12 < n)
    __builtin_prefetch (s[i + 12]->newest);
  if (i + 8 >= n)
    return;
  x = s[i + 8]->newest;
  __builtin_prefetch (&((const struct change *) x->record)->when);
  __builtin_prefetch (&((const struct change *) x->record)->shown);
  if (x->below)
    __builtin_prefetch (x->below);
  if (x->covered && x->when > m->when)
    __builtin_prefetch (x->covered, 1);
}

static int
go_back_all (struct making *m)
{
  const size_t n = m->history->past.segments;
  struct segment **s = versions_list (&m->history->past);
  int err = s ? 0 : ENOMEM;

  for (size_t i = 0; i < n && !err; i++) {
    expect (m, s, i, n);
    err = go_back (m, s[i]);
  }
  free (s);
  return err;
}

/* Go back to a time, on a disk of so many BYTES. */
static int
make_moment (struct history *h, uint64_t when, uint64_t bytes, struct moment *moment)
{
  struct making m = {
    .history = h, .moment = moment, .when = when, .bytes = bytes,
    .cut = last_cut (h, when), .flushes = history_flushes (h, when),
  };
  int err;

  if (!versions_init (&moment->versions, h->past.sector))
    return ENOMEM;
  moment->versions.blocks.dense = true;
  if (m.flushes > 0) {
    m.covers = h->flush[m.flushes - 1].covers;
    m.owes = h->flush[m.flushes - 1].owes;
  }
  moment->when = when;
  err = show_changes (&m);
  return err ? err : go_back_all (&m);
}

/* What was in flight then does not stay. */
void
moment_free (struct moment *m)
{
  for (struct record *r = m->versions.first, *next; r; r = next) {
    next = r->next;
    versions_complete (&m->versions, r, m->versions.last_number);
  }
  if (m->versions.hash)
    versions_free (&m->versions);
  patches_free (&m->newest);
}

int
moment_at (struct disk *d, const char *point, struct moment *m, char *words,
           size_t words_size, char *why, size_t size)
{
  struct history *h = cache_history (d->cache);
  uint64_t when;
  int err;

  memset (m, 0, sizeof *m);
  if (!h) {
    snprintf (why, size, "there is no moment '%.100s' to go back to: no history is "
              "remembered, so there is only now, as in crash/now/none; start the server "
              "with history=1G", point);
    return EINVAL;
  }
  err = point_find (h, point, cache_now (d->cache), &when, words, words_size, why, size);
  return err ? err : make_moment (h, when, disk_size (d), m);
}
