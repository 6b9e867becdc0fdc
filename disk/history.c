/* history.c - what has happened to a disk with a volatile cache. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/history.h"
#include "lib/array.h"
#include "lib/min.h"

struct history *
history_new (uint64_t limit, uint32_t sector)
{
  struct history *h = calloc (1, sizeof *h);

  if (!h || !versions_init (&h->past, sector)) {
    free (h);
    return NULL;
  }
  h->past.blocks.dense = true;
  h->limit = limit;
  h->end = UINT64_MAX;
  h->later.kind = CHANGE_LATER;
  h->later.when = UINT64_MAX;
  return h;
}

/* Versions without records: those are parts of the changes. */
static void
forget_past (struct history *h)
{
  struct segment *s;

  while ((s = h->past.head[0]))
    versions_take (&h->past, s);
  versions_free (&h->past);
}

void
history_free (struct history *h)
{
  if (!h)
    return;
  forget_past (h);
  for (size_t i = 0; i < h->blocks; i++)
    free (h->block[i]);
  for (size_t i = 0; i < h->marks; i++)
    free (h->mark[i].text);
  for (size_t i = 0; i < h->faults; i++)
    free (h->fault[i].rule);
  free (h->fault);
  free (h->block);
  free (h->flush);
  free (h->cut);
  free (h->mark);
  free (h);
}

bool
history_is_full (const struct history *h)
{
  return h->end != UINT64_MAX;
}

void
history_break (struct history *h)
{
  h->broken = true;
}

/*--------------------------------------------------------------------*/
/* Changes. */

struct change *
history_change (const struct history *h, size_t i)
{
  return &h->block[i / CHANGE_BLOCK][i % CHANGE_BLOCK];
}

/* Room for one more.  NULL: no memory. */
static struct change *
next_change (struct history *h)
{
  if (h->changes == h->blocks * CHANGE_BLOCK) {
    struct change *more;

    if (!array_grow (&h->block, h->blocks, &h->block_room, sizeof (struct change *))
        || !(more = malloc (CHANGE_BLOCK * sizeof *more)))
      return NULL;
    h->block[h->blocks++] = more;
  }
  return history_change (h, h->changes);
}

uint64_t
history_requests (const struct history *h)
{
  return h->changes ? history_change (h, h->changes - 1)->record.number : 0;
}

struct change *
history_add (struct history *h, enum change_kind kind, uint64_t bytes, uint64_t now)
{
  struct change *ch;

  if (bytes > h->limit - min_u64 (h->bytes, h->limit))
    h->end = min_u64 (h->end, now - 1);
  if (now > h->end)
    return &h->later;
  ch = next_change (h);
  if (!ch)
    return NULL;
  *ch = (struct change) {
    .record.number = history_requests (h), .kind = kind, .when = now,
  };
  h->changes++;
  h->bytes += bytes;
  return ch;
}

void
history_withdraw (struct history *h, const struct change *ch)
{
  if (ch != &h->later)
    h->changes--;
}

int
history_push (struct history *h, struct change *ch, uint64_t first, uint64_t end,
              const struct version *made)
{
  const uint64_t start = first;

  for (uint64_t n; first < end; first += n) {
    struct version v = *made;
    struct segment *s;

    n = versions_run (&h->past, first, end, &s);
    if (s && s->newest->record == &ch->record)
      continue;                 /* what it covers is kept already */
    v.record = &ch->record;
    covered_get (v.covered);
    v.at += v.covered ? (uint32_t) ((first - start) * h->past.sector) : 0;
    if (versions_push (&h->past, s, first, first + n, &v)) {
      covered_put (v.covered);
      return ENOMEM;
    }
  }
  return 0;
}

void
history_pop (struct history *h, struct change *ch, uint64_t first, uint64_t end)
{
  if (ch != &h->later)
    versions_pop (&h->past, &ch->record, first, end, NULL, NULL);
}

/*--------------------------------------------------------------------*/
/* What else happens. */

/* A text takes more than its bytes. */
#define BESIDE_TEXT 16

/* What is no request has taken so many bytes. */
static void
count_beside (struct history *h, uint64_t bytes, uint64_t now)
{
  h->beside += bytes;
  if (h->beside > HISTORY_BESIDE && h->beside - HISTORY_BESIDE > h->limit)
    h->end = min_u64 (h->end, now);
}

int
history_flush (struct history *h, const struct flushed *f)
{
  const struct flushed *last;
  struct flushed *next;

  if (f->returned > h->end)
    return 0;
  if (!array_grow (&h->flush, h->flushes, &h->flush_room, sizeof *h->flush))
    return ENOMEM;
  last = h->flushes ? &h->flush[h->flushes - 1] : NULL;
  next = &h->flush[h->flushes++];
  *next = *f;
  next->covers = last ? last->covers : 0;
  if (!f->lie && !f->own && f->entered > next->covers)
    next->covers = f->entered;
  next->owes = last && last->owes > f->entered ? last->owes : f->entered;
  next->others = (last ? last->others : 0) + (!f->lie && f->own);
  count_beside (h, sizeof *f, f->returned);
  return 0;
}

size_t
history_flushes (const struct history *h, uint64_t when)
{
  size_t low = 0, high = h->flushes;

  while (low < high) {
    const size_t middle = low + (high - low) / 2;

    if (h->flush[middle].returned <= when)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int
history_cut (struct history *h, uint64_t now)
{
  if (now > h->end)
    return 0;
  if (!array_grow (&h->cut, h->cuts, &h->cut_room, sizeof *h->cut))
    return ENOMEM;
  h->cut[h->cuts++] = now;
  return 0;
}

int
history_mark (struct history *h, const char *text, uint64_t now)
{
  struct mark *next;

  if (now > h->end)
    return 0;
  if (!array_grow (&h->mark, h->marks, &h->mark_room, sizeof *h->mark))
    return ENOMEM;
  next = &h->mark[h->marks];
  next->when = now;
  next->text = strdup (text);
  if (!next->text)
    return ENOMEM;
  h->marks++;
  count_beside (h, sizeof *next + BESIDE_TEXT + strlen (text), now);
  return 0;
}

int
history_fault (struct history *h, const struct fired_rule *f)
{
  struct fired_rule *next;

  if (history_is_full (h))
    return 0;
  if (!array_grow (&h->fault, h->faults, &h->fault_room, sizeof *h->fault))
    return ENOMEM;
  next = &h->fault[h->faults];
  *next = *f;
  next->rule = strdup (f->rule);
  if (!next->rule)
    return ENOMEM;
  h->faults++;
  count_beside (h, sizeof *f + BESIDE_TEXT + strlen (f->rule), f->when);
  return 0;
}

/*--------------------------------------------------------------------*/
/* Going through it. */

/* The next change that is no cut: those are told by themselves. */
static const struct change *
next_told (const struct history *h, size_t *i)
{
  while (*i < h->changes && history_change (h, *i)->kind == CHANGE_CUT)
    ++*i;
  return *i < h->changes ? history_change (h, *i) : NULL;
}

/* Is this event sooner than the others? */
static void
choose_event (struct event *e, enum event_kind kind, uint64_t when)
{
  if (when >= e->when)
    return;
  e->kind = kind;
  e->when = when;
}

bool
history_next (const struct history *h, struct event_place *at, struct event *e)
{
  const struct change *ch = next_told (h, &at->change);

  memset (e, 0, sizeof *e);
  e->when = UINT64_MAX;
  if (ch)
    choose_event (e, change_is_other (ch) ? EVENT_CHANGE : EVENT_REQUEST, ch->when);
  if (at->flush < h->flushes)
    choose_event (e, EVENT_FLUSH, h->flush[at->flush].returned);
  if (at->mark < h->marks)
    choose_event (e, EVENT_MARK, h->mark[at->mark].when);
  if (at->cut < h->cuts)
    choose_event (e, EVENT_CUT, h->cut[at->cut]);
  if (at->fault < h->faults)
    choose_event (e, EVENT_FAULT, h->fault[at->fault].when);
  if (e->when == UINT64_MAX)
    return false;
  switch (e->kind) {
  case EVENT_REQUEST:
  case EVENT_CHANGE:
    e->change = *ch;
    e->number = change_is_other (ch) ? ++at->others : ch->record.number;
    at->change++;
    break;
  case EVENT_FLUSH:
    e->flush = h->flush[at->flush++];
    e->number = at->flush;
    break;
  case EVENT_MARK:
    snprintf (e->text, sizeof e->text, "%s", h->mark[at->mark++].text);
    e->number = at->mark;
    break;
  case EVENT_FAULT:
    e->fault = h->fault[at->fault++];
    snprintf (e->text, sizeof e->text, "%s", e->fault.rule);
    e->number = at->fault;
    break;
  default:
    e->number = ++at->cut;
  }
  return true;
}
