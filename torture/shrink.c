/* shrink.c - the least that must be lost for a failure.
 *
 * First it asks whether anything need be lost (A), then for fewer whole requests (B), and
 * then, if only parts of them fail in the same words, for fewer sectors (C).
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "torture/shrink.h"
#include "torture/tools.h"
#include "torture/workers.h"

#define MOST_TRIES 300          /* of one cause: a minute at the most, if checks are quick */
#define MOST_SECTORS 4096       /* that are looked at one by one */

/* A request that is lost, or one sector of it. */
struct part {
  uint64_t request, sector;
  bool whole;
};

struct parts {
  struct part *part;
  size_t n, room;
};

struct shrinking {
  const struct checking *checking;
  struct cause *cause;
  unsigned tries;
};

/*--------------------------------------------------------------------*/
/* Lists. */

static void
add_part (struct parts *p, struct part part)
{
  if (!array_grow (&p->part, p->n, &p->room, sizeof part))
    wrong ("out of memory");
  p->part[p->n++] = part;
}

/* Read a list of requests and sectors. */
static struct parts
read_list (const char *list)
{
  struct parts p = { NULL, 0, 0 };

  while (*list && p.n < MOST_SECTORS) {
    char *end;
    const uint64_t request = strtoull (list, &end, 10);
    uint64_t first = 0, last = 0;
    const bool whole = *end != ':';

    if (!whole)
      first = last = strtoull (end + 1, &end, 10);
    if (*end == '-')
      last = strtoull (end + 1, &end, 10);
    for (uint64_t i = first; i <= last && p.n < MOST_SECTORS; i++)
      add_part (&p, (struct part) { request, i, whole });
    list = *end == ',' ? end + 1 : "";
  }
  return p;
}

/* The choice that loses these, from malloc. */
static char *
choice_of (const struct parts *p)
{
  char *choice = NULL;
  size_t size;
  FILE *out = open_memstream (&choice, &size);

  if (!out)
    wrong ("out of memory");
  fputs (p->n > 0 ? "lose-" : "all", out);
  for (size_t i = 0; i < p->n; i++) {
    const struct part *x = &p->part[i];
    size_t last = i;

    fprintf (out, "%s%" PRIu64, i > 0 ? "," : "", x->request);
    if (x->whole)
      continue;
    while (last + 1 < p->n && p->part[last + 1].request == x->request
           && p->part[last + 1].sector == p->part[last].sector + 1)
      last++;
    fprintf (out, ":%" PRIu64, x->sector);
    if (last > i)
      fprintf (out, "-%" PRIu64, p->part[last].sector);
    i = last;
  }
  fclose (out);
  return choice;
}

/*--------------------------------------------------------------------*/
/* Tries. */

/* Does the state that loses these fail in the same words?  Then it is the best one. */
static bool
fails (struct shrinking *s, const struct parts *p)
{
  struct cause *k = s->cause;
  struct state state = { .point = k->best.point, .choice = choice_of (p) };
  char *const lost = state_ask (&state);
  struct result r = { .outcome = GOOD };
  bool same = false;

  if (lost && s->tries < MOST_TRIES && (state.legal || k->class == 'D')) {
    char *line;

    s->tries++;
    r = workers_check (&state);
    line = causes_line (s->checking, r.reason);
    same = r.outcome == k->outcome && strcmp (line, k->line) == 0;
    free (line);
  }
  free (lost);
  if (same) {
    state.checked = true;
    state.outcome = r.outcome;
    k->best = state;
    k->reason = copy_of (r.reason);
  } else
    free (state.choice);
  return same;
}

/* Lose fewer of them, as long as it fails: by halves, by quarters, and so on. */
static void
lose_fewer (struct shrinking *s, struct parts *p)
{
  for (size_t step = p->n / 2; step > 0 && p->n > 1; step /= 2)
    for (size_t at = 0; at < p->n && p->n > 1;) {
      const size_t n = p->n - at < step ? p->n - at : step;
      struct parts fewer = { NULL, 0, 0 };

      for (size_t i = 0; i < p->n; i++)
        if (i < at || i >= at + n)
          add_part (&fewer, p->part[i]);
      if (fewer.n > 0 && fails (s, &fewer)) {
        free (p->part);
        *p = fewer;
      } else {
        free (fewer.part);
        at += n;
      }
    }
}

/* The same requests, each as a whole. */
static struct parts
requests_of (const struct parts *p)
{
  struct parts r = { NULL, 0, 0 };

  for (size_t i = 0; i < p->n; i++)
    if (i == 0 || p->part[i].request != p->part[i - 1].request)
      add_part (&r, (struct part) { p->part[i].request, 0, true });
  return r;
}

/* Lose fewer requests, of each of which all sectors in the list are lost, or none. */
static struct parts
lose_fewer_requests (struct shrinking *s, struct parts p)
{
  const struct parts requests = requests_of (&p);

  for (size_t r = 0; r < requests.n && requests.n > 1; r++) {
    struct parts fewer = { NULL, 0, 0 };

    for (size_t i = 0; i < p.n; i++)
      if (p.part[i].request != requests.part[r].request)
        add_part (&fewer, p.part[i]);
    if (fewer.n > 0 && fails (s, &fewer)) {
      free (p.part);
      p = fewer;
    } else
      free (fewer.part);
  }
  free (requests.part);
  return p;
}

/* Is a disk safe that writes 4096 bytes whole?  It would lose the rest of them, too. */
static bool
fails_at_4096 (struct shrinking *s, const struct parts *p)
{
  const struct cause before = *s->cause;
  struct parts all = { NULL, 0, 0 };
  bool same;

  for (size_t i = 0; i < p->n; i++) {
    const struct request *r = history_request (s->checking->history, p->part[i].request);
    const uint64_t start = r ? r->offset / 512 : 0;
    const uint64_t block = (start + p->part[i].sector) / 8 * 8;
    const uint64_t end = r ? (r->offset + r->count + 511) / 512 : 0;

    for (uint64_t x = block > start ? block : start; x < block + 8 && x < end; x++)
      if (all.n == 0 || all.part[all.n - 1].request != p->part[i].request
          || all.part[all.n - 1].sector < x - start)
        add_part (&all, (struct part) { p->part[i].request, x - start, false });
  }
  same = fails (s, &all);
  *s->cause = before;           /* it loses more */
  free (all.part);
  return same;
}

static const char *
note_of (struct shrinking *s, const struct parts *p)
{
  if (s->cause->class != 'C' || strcmp (s->checking->options->sector, "512") != 0)
    return "";
  return fails_at_4096 (s, p) ? "; with --sector 4096, too" : "; not with --sector 4096";
}

void
shrink (const struct checking *c, struct cause *k)
{
  struct shrinking s = { .checking = c, .cause = k };
  char *const lost = state_ask (&k->best);
  struct parts p = read_list (lost ? lost : ""), requests = { NULL, 0, 0 };

  k->note = "";
  k->reason = copy_of (k->best.reason ? k->best.reason : "");
  if (k->best.requests == 0 || fails (&s, &requests))
    k->class = k->class == 'D' ? 'D' : 'A';
  else {
    p = lose_fewer_requests (&s, p);
    requests = requests_of (&p);
    if (k->class != 'D' && fails (&s, &requests)) {
      k->class = 'B';
      lose_fewer (&s, &requests);
    } else {
      k->class = k->class == 'D' ? 'D' : 'C';
      lose_fewer (&s, &p);
      k->note = note_of (&s, &p);
    }
  }
  free (p.part);
  free (requests.part);
  free (lost);
}
