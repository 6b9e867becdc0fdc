/* index.c - which rules for one operation overlap a request.
 *
 * An index is an array of regions, sorted by where they begin.  It is read as a
 * balanced tree, whose root is the entry in the middle; the roots of its two
 * subtrees are in the middle of what lies to the left and to the right, and so on.
 * Each entry knows where the last region of its subtree ends.  So a rule elsewhere
 * on the disk costs nothing, and a thousand of them cost ten steps:
 *
 *      entry       0          1          2          3          4
 *      region    [0,8)      [2,4)      [3,9)      [20,30)    [25,26)
 *      max_end     8          8          30         30         30
 *
 *                                       2
 *                             1                               4
 *                   0                               3
 *
 * A rule without a region has one that every request overlaps, also a flush:
 * it begins at -1 and ends at the end of all numbers.
 *
 * To correct every max_end takes time for each entry.  So adding and removing only
 * mark the index as stale, and the next search first has it refreshed.  A thousand
 * rules that are declared one after the other cost that once.
 */

#include <stdlib.h>

#include "fault/index.h"
#include "lib/array.h"

static int64_t
max_i64 (int64_t a, int64_t b)
{
  return a > b ? a : b;
}

/* Correct max_end between LO and HI; returns that of the root. */
static int64_t
set_max_ends (struct index *x, size_t lo, size_t hi)
{
  size_t mid = lo + (hi - lo) / 2;
  int64_t below;

  if (lo == hi)
    return INT64_MIN;
  below = max_i64 (set_max_ends (x, lo, mid), set_max_ends (x, mid + 1, hi));
  x->entry[mid].max_end = max_i64 (x->entry[mid].end, below);
  return x->entry[mid].max_end;
}

void
index_refresh (struct index *x)
{
  if (x->stale)
    set_max_ends (x, 0, x->n);
  x->stale = false;
}

bool
index_reserve (struct index *x)
{
  return array_grow (&x->entry, x->n, &x->room, sizeof *x->entry);
}

void
index_add (struct index *x, struct fault *f)
{
  const struct fault_spec *s = &f->spec;
  struct entry e = { .start = -1, .end = INT64_MAX, .fault = f };
  size_t i = x->n++;

  if (s->has_range) {
    e.start = (int64_t) s->offset;
    if (s->count < (uint64_t) INT64_MAX - s->offset)
      e.end = (int64_t) (s->offset + s->count);
  }
  for (; i > 0 && x->entry[i - 1].start > e.start; i--)
    x->entry[i] = x->entry[i - 1];
  x->entry[i] = e;
  x->stale = true;
}

void
index_remove (struct index *x, const struct fault *f)
{
  size_t kept = 0;

  for (size_t i = 0; i < x->n; i++)
    if (x->entry[i].fault != f)
      x->entry[kept++] = x->entry[i];
  x->n = kept;
  x->stale = true;
}

/* The first entry between LO and HI that overlaps, or x->n.  This never goes back:
 * if an entry begins before END, so do all to its left, and so one of them overlaps
 * if the last of their regions ends after START.
 */
static size_t
search (const struct index *x, size_t lo, size_t hi, int64_t start, int64_t end)
{
  while (lo < hi) {
    const size_t mid = lo + (hi - lo) / 2;
    const struct entry *e = &x->entry[mid];

    if (e->max_end <= start)
      break;                    /* all regions here end before */
    if (e->start >= end
        || (lo < mid && x->entry[lo + (mid - lo) / 2].max_end > start))
      hi = mid;
    else if (e->end > start)
      return mid;
    else
      lo = mid + 1;
  }
  return x->n;
}

/* The same from FROM on, which is between LO and HI: first in what remains of the
 * left subtree, then at the root, then in the right subtree.
 */
static size_t
search_from (const struct index *x, size_t lo, size_t hi, size_t from,
             int64_t start, int64_t end)
{
  const size_t mid = lo + (hi - lo) / 2;
  const struct entry *e = &x->entry[mid];
  size_t found;

  if (from <= lo)
    return search (x, lo, hi, start, end);
  if (from > mid)
    return mid + 1 < hi ? search_from (x, mid + 1, hi, from, start, end) : x->n;
  found = from < mid ? search_from (x, lo, mid, from, start, end) : x->n;
  if (found < x->n || e->start >= end)
    return found;
  return e->end > start ? mid : search (x, mid + 1, hi, start, end);
}

size_t
index_search (const struct index *x, size_t from, int64_t start, int64_t end)
{
  return search_from (x, 0, x->n, from, start, end);
}

void
index_clear (struct index *x)
{
  free (x->entry);
  *x = (struct index) { .n = 0 };
}
