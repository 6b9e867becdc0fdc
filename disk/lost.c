/* lost.c - what a choice loses. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/lost.h"
#include "lib/array.h"

int
lost_add (struct lost *l, const struct segment *s, uint64_t first, uint64_t end,
          const struct version *chosen)
{
  for (const struct version *x = s->newest; x != chosen; x = x->below) {
    const struct record *r = x->record;

    if (!array_grow (&l->run, l->n, &l->room, sizeof *l->run))
      return ENOMEM;
    l->run[l->n++] = (struct lost_run) { r, first - r->first, end - r->first };
  }
  return 0;
}

static int
compare_runs (const void *a, const void *b)
{
  const struct lost_run *x = a, *y = b;

  if (x->record->number != y->record->number)
    return x->record->number < y->record->number ? -1 : 1;
  return x->from < y->from ? -1 : x->from > y->from;
}

/* Join the runs of a request from number I on that touch.  Returns the first one that is
 * not of that request; *WHOLE: they are all that it had.  An atomic one can't be named in
 * another way; where it has not lost its version, a later one shows, or it is lost as well.
 */
static size_t
join_runs (struct lost *l, size_t i, bool *whole)
{
  const struct record *r = l->run[i].record;
  uint64_t sectors = 0;
  size_t k = i;

  for (; k < l->n && l->run[k].record == r; k++)
    sectors += l->run[k].end - l->run[k].from;
  *whole = r->atomic || (sectors == r->pending && !r->sibling);
  return k;
}

static void
print_parts (const struct lost *l, size_t i, size_t end, FILE *out)
{
  while (i < end) {
    const struct lost_run *run = &l->run[i];
    uint64_t last = run->end;

    while (++i < end && l->run[i].from <= last)
      last = l->run[i].end;
    fprintf (out, ",%" PRIu64 ":%" PRIu64, run->record->number, run->from);
    if (last > run->from + 1)
      fprintf (out, "-%" PRIu64, last - 1);
  }
}

char *
lost_text (struct lost *l)
{
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream (&text, &size);

  if (!out)
    return NULL;
  if (l->n > 0)
    qsort (l->run, l->n, sizeof *l->run, compare_runs);
  for (size_t i = 0, end; i < l->n; i = end) {
    bool whole;

    end = join_runs (l, i, &whole);
    if (whole)
      fprintf (out, ",%" PRIu64, l->run[i].record->number);
    else
      print_parts (l, i, end, out);
  }
  if (fclose (out) != 0)
    return NULL;
  if (size > 0)
    memmove (text, text + 1, size);     /* without the first comma */
  return text;
}
