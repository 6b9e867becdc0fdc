/* view.c - the versions that a crash state shows. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "disk/view.h"
#include "lib/array.h"
#include "lib/min.h"

struct view {
  pthread_rwlock_t lock;        /* guards DONE of the patches */
  struct patches patches;
};

/*--------------------------------------------------------------------*/
/* Patches. */

/* Does what was covered go on where the last patch ends? */
static bool
goes_on (const struct patch *last, uint64_t start, const struct covered *covered,
         uint32_t at)
{
  return last->end == start && last->covered == covered
    && (!covered || last->at + (last->end - last->start) == at);
}

int
patches_add (struct patches *p, uint64_t start, uint64_t end,
             struct covered *covered, uint32_t at)
{
  if (p->n > 0 && goes_on (&p->patch[p->n - 1], start, covered, at)) {
    p->patch[p->n - 1].end = end;
    return 0;
  }
  if (!array_grow (&p->patch, p->n, &p->room, sizeof *p->patch))
    return ENOMEM;
  p->patch[p->n++] = (struct patch) {
    .start = start, .end = end, .covered = covered_get (covered), .at = at,
  };
  return 0;
}

void
patches_free (struct patches *p)
{
  for (size_t i = 0; i < p->n; i++)
    covered_put (p->patch[i].covered);
  free (p->patch);
  *p = (struct patches) { NULL, 0, 0 };
}

static int
compare (const void *a, const void *b)
{
  const struct patch *p = a, *q = b;

  return p->start < q->start ? -1 : p->start > q->start;
}

int
patches_merge (struct patches *p, const struct patches *more)
{
  int err = 0;

  for (size_t i = 0; i < more->n && !err; i++)
    err = patches_add (p, more->patch[i].start, more->patch[i].end,
                       more->patch[i].covered, more->patch[i].at);
  if (p->n > 0)
    qsort (p->patch, p->n, sizeof *p->patch, compare);
  return err;
}

/* Add the part of a patch from START to END. */
static int
add_part (struct patches *to, const struct patch *p, uint64_t start, uint64_t end)
{
  if (start >= end)
    return 0;
  return patches_add (to, start, end, p->covered,
                      p->at + (p->covered ? (uint32_t) (start - p->start) : 0));
}

int
patches_overlay (struct patches *to, const struct patches *below,
                 const struct patches *above)
{
  const struct patch *a = above->patch, *const end = a + above->n;
  int err = 0;

  for (size_t i = 0; i < below->n && !err; i++) {
    const struct patch *b = &below->patch[i];
    uint64_t start = b->start;

    for (; a < end && a->end <= b->end && !err; a++) {
      err = add_part (to, b, start, min_u64 (a->start, b->end));
      if (!err)
        err = add_part (to, a, a->start, a->end);
      start = max_u64 (start, a->end);
    }
    if (!err)
      err = add_part (to, b, start, a < end ? min_u64 (a->start, b->end) : b->end);
    /* One that reaches beyond this patch covers what comes next, too. */
  }
  for (; a < end && !err; a++)
    err = add_part (to, a, a->start, a->end);
  return err;
}

/* The first patch that reaches beyond an offset. */
static size_t
first_patch (const struct patches *p, uint64_t offset)
{
  size_t low = 0, high = p->n;

  while (low < high) {
    const size_t middle = low + (high - low) / 2;

    if (p->patch[middle].end <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/*--------------------------------------------------------------------*/
/* The view. */

struct view *
view_new (struct patches *patches)
{
  struct view *view = calloc (1, sizeof *view);

  if (!view)
    return NULL;
  pthread_rwlock_init (&view->lock, NULL);
  view->patches = *patches;
  *patches = (struct patches) { NULL, 0, 0 };
  return view;
}

void
view_free (struct view *view)
{
  if (!view)
    return;
  patches_free (&view->patches);
  pthread_rwlock_destroy (&view->lock);
  free (view);
}

void
view_hold (struct view *view)
{
  pthread_rwlock_rdlock (&view->lock);
}

void
view_release (struct view *view)
{
  pthread_rwlock_unlock (&view->lock);
}

int
view_copy (const struct view *view, struct patches *to)
{
  int err = 0;

  for (size_t i = 0; i < view->patches.n && !err; i++) {
    const struct patch *p = &view->patches.patch[i];

    if (!p->done)
      err = patches_add (to, p->start, p->end, p->covered, p->at);
  }
  return err;
}

void
view_apply (const struct view *view, void *buf, uint64_t count, uint64_t offset)
{
  const struct patches *p = &view->patches;
  const uint64_t end = offset + count;

  for (size_t i = first_patch (p, offset); i < p->n && p->patch[i].start < end; i++) {
    const struct patch *q = &p->patch[i];
    const uint64_t from = max_u64 (q->start, offset), to = min_u64 (q->end, end);
    char *place = (char *) buf + (from - offset);

    if (q->done)
      continue;
    if (q->covered)
      memcpy (place, q->covered->data + q->at + (from - q->start), to - from);
    else
      memset (place, 0, to - from);
  }
}

uint64_t
view_run (const struct view *view, uint64_t count, uint64_t offset,
          const struct patch **patch)
{
  const struct patches *p = &view->patches;
  const uint64_t end = offset + count;
  size_t i = first_patch (p, offset);

  while (i < p->n && p->patch[i].done)
    i++;
  *patch = NULL;
  if (i == p->n || p->patch[i].start >= end)
    return count;
  if (p->patch[i].start > offset)
    return p->patch[i].start - offset;
  *patch = &p->patch[i];
  return min_u64 (p->patch[i].end, end) - offset;
}

int
view_settle (struct view *view, uint64_t count, uint64_t offset,
             int (*put) (void *context, const struct patch *patch), void *context)
{
  struct patches *p = &view->patches;
  size_t i = first_patch (p, offset);
  int err = 0;

  if (i == p->n || p->patch[i].start >= offset + count)
    return 0;
  pthread_rwlock_wrlock (&view->lock);
  for (; i < p->n && p->patch[i].start < offset + count && !err; i++) {
    if (p->patch[i].done)
      continue;
    err = put (context, &p->patch[i]);
    p->patch[i].done = !err;
  }
  pthread_rwlock_unlock (&view->lock);
  return err;
}
