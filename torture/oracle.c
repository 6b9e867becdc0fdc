/* oracle.c - is what a check has found what was promised? */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "torture/oracle.h"
#include "torture/tools.h"

#define SHOWN 5                 /* items in a message */

/* A mark, by the key of its item. */
struct promise {
  const char *item;
  size_t key;                   /* bytes */
  size_t number;                /* of the mark */
  bool ack;
};

static struct promise *promise; /* in order of keys, then of time */
static size_t promises;

static int
compare_keys (const char *a, size_t m, const char *b, size_t n)
{
  const int differ = memcmp (a, b, m < n ? m : n);

  return differ ? differ : m < n ? -1 : m > n;
}

static int
compare_promises (const void *a, const void *b)
{
  const struct promise *x = a, *y = b;
  const int differ = compare_keys (x->item, x->key, y->item, y->key);

  return differ ? differ : x->number < y->number ? -1 : 1;
}

/* The marks stay the same for all states. */
static void
read_promises (const struct history *h)
{
  if (promise)
    return;
  promise = room (NULL, h->marks * sizeof *promise);
  for (size_t i = 0; i < h->marks; i++) {
    const bool ack = strncmp (h->mark[i].text, "ack ", 4) == 0;
    const char *const item = h->mark[i].text + (ack ? 4 : 6);

    if (ack || strncmp (h->mark[i].text, "begin ", 6) == 0)
      promise[promises++] = (struct promise) { item, strcspn (item, "="), i, ack };
  }
  if (promises > 0)
    qsort (promise, promises, sizeof *promise, compare_promises);
}

/*--------------------------------------------------------------------*/
/* What was found. */

struct found {
  char **line;                  /* sorted */
  size_t n, room;
};

static int
compare_lines (const void *a, const void *b)
{
  const char *x = *(char *const *) a, *y = *(char *const *) b;
  const int differ = compare_keys (x, strcspn (x, "="), y, strcspn (y, "="));

  return differ ? differ : strcmp (x, y);
}

/* The lines of TEXT, which they become. */
static struct found
read_found (char *lines)
{
  struct found f = { NULL, 0, 0 };

  for (char *line = strtok (lines, "\r\n"); line; line = strtok (NULL, "\r\n")) {
    if (!array_grow (&f.line, f.n, &f.room, sizeof *f.line))
      wrong ("out of memory");
    f.line[f.n++] = line;
  }
  if (f.n > 0)
    qsort (f.line, f.n, sizeof *f.line, compare_lines);
  return f;
}

/* Items with which something is wrong. */
struct list {
  char *text;                   /* the first few */
  size_t n;
};

static void
add (struct list *l, const char *item)
{
  if (l->n++ < SHOWN) {
    char *const more = text ("%s%s%s", l->text ? l->text : "", l->text ? " " : "", item);

    free (l->text);
    l->text = more;
  }
}

struct wrongs { struct list lost, old, foreign; };

/* Was this item of a key, whose promises are P to END, begun or acknowledged from mark number
 * FROM on?
 */
static bool
promised (const struct promise *p, const struct promise *end, const char *item, size_t from)
{
  while (p < end && (p->number < from || strcmp (p->item, item) != 0))
    p++;
  return p < end;
}

/* The promises of a key: what must be there at a point with so many marks, and may be. */
static void
judge_key (const struct promise *p, const struct promise *end, size_t marks,
           char *const *line, size_t lines, struct wrongs *w)
{
  const struct promise *last = NULL;
  size_t from = 0;

  for (const struct promise *x = p; x < end; x++)
    if (x->ack && x->number < marks)
      last = x;
  if (last) {
    from = last->number;
    for (const struct promise *x = p; x < last; x++)
      if (!x->ack && strcmp (x->item, last->item) == 0)
        from = x->number;
    if (lines == 0)
      add (&w->lost, last->item);
  }
  for (size_t i = 0; i < lines; i++)
    if (!promised (p, end, line[i], from))
      add (promised (p, end, line[i], 0) ? &w->old : &w->foreign, line[i]);
}

static char *
tell (struct wrongs *w)
{
  static const char *const names[] = { "lost", "old", "foreign" };
  struct list *const lists[] = { &w->lost, &w->old, &w->foreign };
  char *told = NULL;

  for (int i = 0; i < 3; i++) {
    if (lists[i]->n > SHOWN && !told)
      told = text ("%s: %s and %zu more", names[i], lists[i]->text, lists[i]->n - SHOWN);
    else if (lists[i]->n > 0 && !told)
      told = text ("%s: %s", names[i], lists[i]->text);
    free (lists[i]->text);
  }
  return told;
}

/* Is the key of a line before that of a promise (-1), the same, or after it? */
static int
compare_line (const char *line, const struct promise *p)
{
  return compare_keys (line, strcspn (line, "="), p->item, p->key);
}

static size_t
end_of_key (size_t i)
{
  const struct promise *const p = &promise[i];

  while (i < promises && compare_keys (p->item, p->key, promise[i].item, promise[i].key) == 0)
    i++;
  return i;
}

/* Go through keys and lines side by side: both are in the order of keys. */
char *
oracle_judge (const struct history *h, const struct point *p, const char *lines)
{
  char *const copy = copy_of (lines);
  const struct found f = read_found (copy);
  struct wrongs w = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
  size_t at = 0;

  read_promises (h);
  for (size_t i = 0, end; i < promises; i = end) {
    size_t first;

    end = end_of_key (i);
    while (at < f.n && compare_line (f.line[at], &promise[i]) < 0)
      add (&w.foreign, f.line[at++]);
    first = at;
    while (at < f.n && compare_line (f.line[at], &promise[i]) == 0)
      at++;
    judge_key (&promise[i], &promise[end], p->marks, f.line + first, at - first, &w);
  }
  while (at < f.n)
    add (&w.foreign, f.line[at++]);
  free (f.line);
  free (copy);
  return tell (&w);
}
