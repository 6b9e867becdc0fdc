/* point.c - moments of the past, by name. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/point.h"
#include "lib/min.h"
#include "lib/text.h"

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
  return h->replayed ? " in the file"
    : history_is_full (h) ? "; then history= was full, so the recording ended" : "";
}

/* The same for what was under way when the power was cut, and did not return. */
static void
add_cuts (const struct point *p)
{
  const size_t len = strlen (p->why);

  if (p->h->cuts == 1)
    snprintf (p->why + len, p->size - len, "; the moment before the power cut is cut-1");
  else if (p->h->cuts > 1)
    snprintf (p->why + len, p->size - len, "; the moments before the power cuts are cut-1 "
              "to cut-%zu", p->h->cuts);
}

/* There are ONE or MANY of them, but not this one. */
static int
no_such (const struct point *p, const char *one, const char *many, uint64_t there_are)
{
  snprintf (p->why, p->size, "%.300s: %" PRIu64 " %s recorded%s", p->text, there_are,
            there_are == 1 ? one : many, if_full (p->h));
  return EINVAL;
}

/* Number N is not there; 0 never is. */
static int
no_number (const struct point *p, uint64_t n, const char *one, const char *many,
           uint64_t there_are)
{
  if (n > 0)
    return no_such (p, one, many, there_are);
  snprintf (p->why, p->size, "%.300s: numbers count from 1", p->text);
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
last_moment (const struct history *h, uint64_t now)
{
  return min_u64 (h->end, now);
}

/* Just before request 1 is applied: the end, if there is none. */
static int
point_0 (struct point *p)
{
  const size_t i = find_change (p->h, 1);

  p->when = i < p->h->changes ? history_change (p->h, i)->when - 1 : last_moment (p->h, p->now);
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
  if (n == 0 || n > history_requests (p->h)) {
    no_number (p, n, "request is", "requests are", history_requests (p->h));
    if (n > 0)
      add_cuts (p);
    return EINVAL;
  }
  ch = history_change (p->h, find_change (p->h, n));
  if (!ch->record.done) {
    snprintf (p->why, p->size, "%.300s: request %" PRIu64 " has not completed%s", p->text,
              n, if_full (p->h));
    add_cuts (p);
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
  if (n == 0 || n > p->h->flushes) {
    no_number (p, n, "flush is", "flushes are", p->h->flushes);
    if (n > 0)
      add_cuts (p);
    return EINVAL;
  }
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
    return no_number (p, n, "cut is", "cuts are", p->h->cuts);
  p->when = p->h->cut[n - 1] - 1;
  snprintf (p->words, p->words_size, "just before cut %" PRIu64, n);
  return 0;
}

static int
point_change (struct point *p, const char *number)
{
  uint64_t n, found = 0;

  if (!is_number (number, &n))
    return -1;
  for (size_t i = 0; i < p->h->changes; i++) {
    const struct change *ch = history_change (p->h, i);

    if (!change_is_other (ch) || ++found != n)
      continue;
    p->when = ch->when - 1;
    snprintf (p->words, p->words_size, "just before %s (change %" PRIu64 ")",
              ch->kind == CHANGE_DROP ? "a failed flush lost what it covered"
              : "the medium was changed", n);
    return 0;
  }
  return no_number (p, n, "change of another kind is", "changes of another kind are", found);
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
    return no_such (p, "mark of this text is", "marks of this text are", found);
  if (p->h->marks == 0)
    return no_such (p, "mark is", "marks are", 0);
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
    p->when = last_moment (p->h, p->now);
    snprintf (p->words, p->words_size, "at the end of the history");
    return 0;
  }
  is_before = skip (&text, "before-");
  if (is_before && skip (&text, "change-"))
    return point_change (p, text);
  return skip (&text, "flush-") ? point_flush (p, text, is_before)
    : point_request (p, text, is_before);
}

int
point_find (const struct history *h, const char *point, uint64_t now, uint64_t *when,
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
              "before-flush-M, before-change-K, mark-TEXT, mark-TEXT#n, cut-K or end, "
              "where N, M, K and n are whole numbers", point);
    return EINVAL;
  }
  *when = p.when;
  return err;
}

/*--------------------------------------------------------------------*/
/* The points that suffice. */

/* The best one so far. */
struct sufficing {
  const struct history *h;
  uint64_t from, last, when;
  char *name;
  size_t size;
};

/* There is a point then.  Is it the best one? */
static bool
suffices (struct sufficing *s, uint64_t when)
{
  if (when < s->from || when > s->last || when >= s->when)
    return false;
  s->when = when;
  return true;
}

static void
suffice_flush (struct sufficing *s)
{
  const size_t i = history_flushes (s->h, s->from);

  if (i < s->h->flushes && suffices (s, s->h->flush[i].returned - 1))
    snprintf (s->name, s->size, "before-flush-%zu", i + 1);
}

static void
suffice_change (struct sufficing *s)
{
  uint64_t others = 0;

  for (size_t i = 0; i < s->h->changes; i++) {
    const struct change *ch = history_change (s->h, i);

    others += change_is_other (ch);
    if (change_is_other (ch) && suffices (s, ch->when - 1))
      snprintf (s->name, s->size, "before-change-%" PRIu64, others);
    if ((ch->fua || ch->no_fua) && suffices (s, ch->record.done - 1))
      snprintf (s->name, s->size, "before-%" PRIu64, ch->record.number);
  }
}

static void
suffice_cut (struct sufficing *s)
{
  for (size_t i = 0; i < s->h->cuts; i++)
    if (suffices (s, s->h->cut[i] - 1))
      snprintf (s->name, s->size, "cut-%zu", i + 1);
}

/* The name of mark number I. */
static void
name_mark (struct sufficing *s, size_t i)
{
  const char *text = s->h->mark[i].text;
  size_t len = (size_t) snprintf (s->name, s->size, "mark-");
  uint64_t same = 1;

  for (const char *p = text; *p; p++) {
    const unsigned char c = (unsigned char) *p;
    const bool plain = c > ' ' && c != 127 && !strchr ("/#%", c);

    len += (size_t) snprintf (s->name + len, s->size - len, plain ? "%c" : "%%%02X", c);
  }
  for (size_t k = 0; k < i; k++)
    same += strcmp (s->h->mark[k].text, text) == 0;
  if (same > 1)
    snprintf (s->name + len, s->size - len, "#%" PRIu64, same);
}

static void
suffice_mark (struct sufficing *s)
{
  for (size_t i = 0; i < s->h->marks; i++)
    if (suffices (s, s->h->mark[i].when)) {
      name_mark (s, i);
      return;
    }
}

bool
point_next (const struct history *h, uint64_t now, uint64_t *from, char *name, size_t size)
{
  struct sufficing s = {
    .h = h, .from = *from, .last = last_moment (h, now), .when = UINT64_MAX,
    .name = name, .size = size,
  };

  suffice_flush (&s);
  suffice_change (&s);
  suffice_cut (&s);
  suffice_mark (&s);
  if (suffices (&s, s.last))
    snprintf (name, size, "end");
  *from = s.when + 1;
  return s.when != UINT64_MAX;
}
