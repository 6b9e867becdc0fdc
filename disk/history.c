/* history.c - what has happened to a disk with a volatile cache. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/history.h"
#include "lib/array.h"
#include "lib/min.h"
#include "lib/text.h"

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

/* The number of the last request; 0: there is none. */
static uint64_t
newest_number (const struct history *h)
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
    .record.number = newest_number (h), .kind = kind, .when = now,
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
    if (s && ch->kind != CHANGE_REQUEST && s->newest->record == &ch->record)
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

static void
no_more (void *unused, const struct segment *s, const struct version *newest)
{
  (void) unused;
  (void) s;
  (void) newest;
}

void
history_pop (struct history *h, struct change *ch, uint64_t first, uint64_t end)
{
  if (ch != &h->later)
    versions_pop (&h->past, &ch->record, first, end, no_more, NULL);
}

/*--------------------------------------------------------------------*/
/* What else happens. */

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
  return 0;
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
  return 0;
}

/*--------------------------------------------------------------------*/
/* Going through it. */

/* The next change that is a request. */
static const struct change *
next_request (const struct history *h, size_t *i)
{
  while (*i < h->changes && history_change (h, *i)->kind != CHANGE_REQUEST)
    ++*i;
  return *i < h->changes ? history_change (h, *i) : NULL;
}

bool
history_next (const struct history *h, struct event_place *at, struct event *e)
{
  const struct change *ch = next_request (h, &at->change);

  memset (e, 0, sizeof *e);
  e->when = UINT64_MAX;
  if (ch) {
    e->kind = EVENT_REQUEST;
    e->when = ch->when;
  }
  if (at->flush < h->flushes && h->flush[at->flush].returned < e->when) {
    e->kind = EVENT_FLUSH;
    e->when = h->flush[at->flush].returned;
  }
  if (at->mark < h->marks && h->mark[at->mark].when < e->when) {
    e->kind = EVENT_MARK;
    e->when = h->mark[at->mark].when;
  }
  if (at->cut < h->cuts && h->cut[at->cut] < e->when) {
    e->kind = EVENT_CUT;
    e->when = h->cut[at->cut];
  }
  if (e->when == UINT64_MAX)
    return false;
  switch (e->kind) {
  case EVENT_REQUEST:
    e->request = *ch;
    e->number = ch->record.number;
    at->change++;
    break;
  case EVENT_FLUSH:
    e->flush = h->flush[at->flush++];
    e->number = at->flush;
    break;
  case EVENT_MARK:
    snprintf (e->mark, sizeof e->mark, "%s", h->mark[at->mark++].text);
    e->number = at->mark;
    break;
  default:
    e->number = ++at->cut;
  }
  return true;
}

/*--------------------------------------------------------------------*/
/* Points. */

/* A point at work. */
struct point {
  const struct history *h;
  const char *text;
  uint64_t now, when;
  char *words, *why;
  size_t words_size, size;
};

static bool
skip (const char **text, const char *prefix)
{
  const size_t len = strlen (prefix);

  if (strncmp (*text, prefix, len) != 0)
    return false;
  *text += len;
  return true;
}

/* The rest of a point is a number. */
static bool
is_number (const char *text, uint64_t *n)
{
  return text_digits (&text, n) && !*text;
}

/* What to add to a sentence about something that is not there. */
static const char *
if_full (const struct history *h)
{
  return history_is_full (h) ? "; then history= was full, so the recording ended" : "";
}

static int
no_such (const struct point *p, const char *what, uint64_t there_are)
{
  snprintf (p->why, p->size, "%.300s: %" PRIu64 " %s recorded%s", p->text, there_are,
            what, if_full (p->h));
  return EINVAL;
}

/* The first change that belongs to a request of this number or a higher one. */
static size_t
find_change (const struct history *h, uint64_t number)
{
  size_t low = 0, high = h->changes;

  while (low < high) {
    const size_t middle = low + (high - low) / 2;

    if (history_change (h, middle)->record.number < number)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The last moment that is recorded. */
static uint64_t
last_moment (const struct point *p)
{
  return min_u64 (p->h->end, p->now);
}

/* Just before request 1 is applied: the end, if there is none. */
static int
point_0 (struct point *p)
{
  const size_t i = find_change (p->h, 1);

  p->when = i < p->h->changes ? history_change (p->h, i)->when - 1 : last_moment (p);
  snprintf (p->words, p->words_size, "before request 1");
  return 0;
}

static int
point_request (struct point *p, const char *number, bool is_before)
{
  uint64_t n;
  const struct change *ch;

  if (!is_number (number, &n))
    return -1;
  if (n == 0 && !is_before)
    return point_0 (p);
  if (n == 0 || n > newest_number (p->h))
    return no_such (p, "requests are", newest_number (p->h));
  ch = history_change (p->h, find_change (p->h, n));
  if (!ch->record.done) {
    snprintf (p->why, p->size, "%.300s: request %" PRIu64 " has not completed%s", p->text,
              n, if_full (p->h));
    return EINVAL;
  }
  p->when = ch->record.done - is_before;
  snprintf (p->words, p->words_size, "just %s request %" PRIu64 " completed",
            is_before ? "before" : "after", n);
  return 0;
}

static int
point_flush (struct point *p, const char *number, bool is_before)
{
  uint64_t n;

  if (!is_number (number, &n))
    return -1;
  if (n == 0 || n > p->h->flushes)
    return no_such (p, "flushes are", p->h->flushes);
  p->when = p->h->flush[n - 1].returned - is_before;
  snprintf (p->words, p->words_size, "just %s flush %" PRIu64 " returned",
            is_before ? "before" : "after", n);
  return 0;
}

static int
point_cut (struct point *p, const char *number)
{
  uint64_t n;

  if (!is_number (number, &n))
    return -1;
  if (n == 0 || n > p->h->cuts)
    return no_such (p, "cuts are", p->h->cuts);
  p->when = p->h->cut[n - 1] - 1;
  snprintf (p->words, p->words_size, "just before cut %" PRIu64, n);
  return 0;
}

static int
hex_digit (char c)
{
  static const char digits[] = "0123456789abcdef0123456789ABCDEF";
  const char *found = c ? strchr (digits, c) : NULL;

  return found ? (int) (found - digits) % 16 : -1;
}

/* Undo %2F and so on, in place.  False: a % that stands for nothing. */
static bool
decode (char *text)
{
  char *to = text;

  for (const char *p = text; *p; p++) {
    int high, low;

    if (*p != '%') {
      *to++ = *p;
      continue;
    }
    high = hex_digit (p[1]);
    low = high < 0 ? -1 : hex_digit (p[2]);
    if (low < 0)
      return false;
    *to++ = (char) (high * 16 + low);
    p += 2;
  }
  *to = '\0';
  return true;
}

/* Find the N-th mark of a text; *FOUND: how many there are, up to that. */
static const struct mark *
find_mark (const struct history *h, const char *text, uint64_t n, uint64_t *found)
{
  *found = 0;
  for (size_t i = 0; i < h->marks; i++)
    if (strcmp (h->mark[i].text, text) == 0 && ++*found == n)
      return &h->mark[i];
  return NULL;
}

static int
no_mark (const struct point *p, uint64_t found)
{
  if (found > 0)
    return no_such (p, found == 1 ? "mark of this text is" : "marks of this text are",
                    found);
  if (p->h->marks == 0)
    return no_such (p, "marks are", 0);
  snprintf (p->why, p->size, "%.300s: no mark of this text is recorded; the last one is "
            "'%.100s'%s", p->text, p->h->mark[p->h->marks - 1].text, if_full (p->h));
  return EINVAL;
}

/* TEXT or TEXT#N, TEXT being the copy of a point. */
static int
find_encoded (struct point *p, char *text)
{
  char *hash = strchr (text, '#');
  uint64_t n = 1, found;
  const struct mark *m;

  if (hash) {
    *hash++ = '\0';
    if (!is_number (hash, &n) || n == 0)
      return -1;
  }
  if (!decode (text))
    return -1;
  m = find_mark (p->h, text, n, &found);
  if (!m)
    return no_mark (p, found);
  p->when = m->when;
  if (n == 1)
    snprintf (p->words, p->words_size, "just after mark '%.200s'", text);
  else
    snprintf (p->words, p->words_size, "just after mark '%.200s' number %" PRIu64, text, n);
  return 0;
}

static int
point_mark (struct point *p, const char *encoded)
{
  char *text = strdup (encoded);
  const int err = text ? find_encoded (p, text) : ENOMEM;

  free (text);
  return err;
}

/* -1: it is none. */
static int
find_point (struct point *p)
{
  const char *text = p->text;
  bool is_before;

  if (skip (&text, "mark-"))
    return point_mark (p, text);
  if (skip (&text, "cut-"))
    return point_cut (p, text);
  if (strcmp (text, "end") == 0) {
    p->when = last_moment (p);
    snprintf (p->words, p->words_size, "at the end of the history");
    return 0;
  }
  is_before = skip (&text, "before-");
  return skip (&text, "flush-") ? point_flush (p, text, is_before)
    : point_request (p, text, is_before);
}

int
history_point (const struct history *h, const char *point, uint64_t now, uint64_t *when,
               char *words, size_t words_size, char *why, size_t size)
{
  struct point p = {
    .h = h, .text = point, .now = now, .words = words, .words_size = words_size,
    .why = why, .size = size,
  };
  int err;

  if (h->broken) {
    snprintf (why, size, "%.300s: " HISTORY_BROKEN, point);
    return EINVAL;
  }
  err = find_point (&p);
  if (err == -1) {
    snprintf (why, size, "'%.300s' is no point: expected now, N, before-N, flush-M, "
              "before-flush-M, mark-TEXT, mark-TEXT#n, cut-K or end, where N, M, n and K "
              "are whole numbers", point);
    return EINVAL;
  }
  *when = p.when;
  return err;
}
