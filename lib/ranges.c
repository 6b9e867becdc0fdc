/* ranges.c - a set of numbers, kept as the ranges that it is made of.
 *
 * The tree compares ranges as if those that overlap were equal.  This is an
 * order because the ranges in the tree neither overlap nor touch, and so the
 * search for a range finds one that overlaps it.  A range may grow or shrink in
 * its place as long as it does not reach its neighbours.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>

#include "lib/ranges.h"

struct range {
  uint64_t start, end;
};

static int
compare (const void *a, const void *b)
{
  const struct range *x = a, *y = b;

  return x->end <= y->start ? -1 : x->start >= y->end ? 1 : 0;
}

/* The first range that overlaps START to END, or NULL. */
static struct range *
first (const struct ranges *r, uint64_t start, uint64_t end)
{
  struct range key = { start, end }, *found = NULL;
  struct range *const *p;

  while (key.start < key.end
         && (p = tfind (&key, (void *const *) &r->tree, compare)) != NULL) {
    found = *p;
    key.end = found->start;     /* is there one before it? */
  }
  return found;
}

/* Put in a range that overlaps no other.  False: no memory. */
static bool
insert (struct ranges *r, uint64_t start, uint64_t end)
{
  struct range *new = malloc (sizeof *new);

  if (!new)
    return false;
  *new = (struct range) { start, end };
  if (!tsearch (new, &r->tree, compare)) {
    free (new);
    return false;
  }
  r->n++;
  return true;
}

static void
delete (struct ranges *r, struct range *range)
{
  tdelete (range, &r->tree, compare);
  free (range);
  r->n--;
}

int
ranges_add (struct ranges *r, uint64_t start, uint64_t end)
{
  const uint64_t from = start > 0 ? start - 1 : 0;
  const uint64_t to = end < UINT64_MAX ? end + 1 : end;
  struct range *here = first (r, from, to), *next;

  if (!here)
    return insert (r, start, end) ? 0 : ENOMEM;

  /* The first one that overlaps or touches grows, and swallows the others. */
  if (start < here->start)
    here->start = start;
  while (here->end < end) {
    next = first (r, here->end, to);
    if (!next || next->start > end)
      here->end = end;
    else {
      uint64_t next_end = next->end;

      delete (r, next);
      here->end = next_end;
    }
  }
  return 0;
}

int
ranges_remove (struct ranges *r, uint64_t start, uint64_t end)
{
  struct range *here;
  uint64_t old_end;

  while ((here = first (r, start, end)) != NULL) {
    old_end = here->end;
    if (here->start >= start && here->end <= end)
      delete (r, here);
    else if (here->start >= start)
      here->start = end;
    else {
      here->end = start;
      if (old_end > end && !insert (r, end, old_end)) {
        here->end = old_end;
        return ENOMEM;
      }
    }
  }
  return 0;
}

bool
ranges_find (const struct ranges *r, uint64_t start, uint64_t end,
             uint64_t *found_start, uint64_t *found_end)
{
  const struct range *found = first (r, start, end);

  if (!found)
    return false;
  *found_start = found->start;
  *found_end = found->end;
  return true;
}

void
ranges_clear (struct ranges *r)
{
  /* A node of the tree begins with the pointer to its range. */
  while (r->tree)
    delete (r, *(struct range **) r->tree);
}
