/* causes.c - states that failed, and why. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "torture/causes.h"
#include "torture/names.h"
#include "torture/shrink.h"
#include "torture/tools.h"
#include "torture/workers.h"

/* With --oracle, the items differ as well. */
char *
causes_line (const struct checking *c, const char *reason)
{
  char *const line = room (NULL, strlen (reason) + 1), *to = line;
  const size_t len = strlen (c->place);
  const char *const items = c->options->oracle ? strstr (reason, ": ") : NULL;

  while (*reason && reason != items) {
    if (strncmp (reason, c->place, len) == 0)
      reason += len;
    else if (isdigit ((unsigned char) *reason)) {
      *to++ = '#';
      while (isdigit ((unsigned char) *reason))
        reason++;
    } else
      *to++ = *reason++;
  }
  *to = '\0';
  return line;
}

/*--------------------------------------------------------------------*/
/* What fails although nothing is lost. */

/* A state that failed, and its line. */
struct failed {
  const struct state *state;
  char *line;
};

static int
compare (const void *a, const void *b)
{
  const struct failed *x = a, *y = b;
  const int differ = names_compare (x->state, y->state);

  return differ ? differ : strcmp (x->line, y->line);
}

/* What each point is where nothing is lost; a choice that is NULL: not yet known. */
static struct state *whole;

static const struct state *
whole_at (const struct checking *c, const struct point *p)
{
  struct state *s;

  if (!whole) {
    whole = room (NULL, c->history->points * sizeof *whole);
    memset (whole, 0, c->history->points * sizeof *whole);
  }
  s = &whole[p - c->history->point];
  if (!s->choice) {
    *s = (struct state) { .point = p, .choice = copy_of ("all") };
    free (state_ask (s));
  }
  return s;
}

/* The moment of the last promise before a point, or that point: the marks have points. */
static const struct point *
promise_of (const struct checking *c, const struct point *p)
{
  while (p > c->history->point && p[-1].marks == p->marks)
    p--;
  return p;
}

/* Does it fail in the same words where nothing is lost, there or when it was promised? */
static bool
never_asked (const struct checking *c, const struct failed *f, const struct failed *all,
             size_t n)
{
  const struct failed here = { whole_at (c, f->state->point), f->line };
  const struct failed then = { whole_at (c, promise_of (c, f->state->point)), f->line };

  return bsearch (&here, all, n, sizeof here, compare)
    || bsearch (&then, all, n, sizeof then, compare);
}

/* The class of its name, if it need lose anything; the cause's best one shows the real one. */
static char
class_of (const struct checking *c, const struct failed *f, const struct failed *all,
          size_t n)
{
  const char class = state_class (f->state);

  return class != 'D' && class != 'A' && never_asked (c, f, all, n) ? 'A' : class;
}

/*--------------------------------------------------------------------*/
/* Causes. */

static bool
loses_less (const struct state *a, const struct state *b)
{
  if (a->requests != b->requests)
    return a->requests < b->requests;
  if (a->sectors != b->sectors)
    return a->sectors < b->sectors;
  return a->point->time < b->point->time;
}

static struct cause *
find_cause (struct causes *all, enum outcome outcome, char class, const char *line)
{
  struct cause *k = all->cause;

  while (k < all->cause + all->n
         && (k->outcome != outcome || k->class != class || strcmp (k->line, line) != 0))
    k++;
  return all->n > 0 && k < all->cause + all->n ? k : NULL;
}

static void
add_failed (const struct checking *c, struct causes *all, const struct failed *f,
            const struct failed *failed, size_t n)
{
  const struct state *const s = f->state;
  const char class = class_of (c, f, failed, n);
  struct cause *k = find_cause (all, s->outcome, class, f->line);

  if (!k) {
    if (!array_grow (&all->cause, all->n, &all->room, sizeof *k))
      wrong ("out of memory");
    k = &all->cause[all->n++];
    *k = (struct cause) { s->outcome, class, copy_of (f->line), 0, *s, NULL, NULL };
  }
  k->states++;
  if (loses_less (s, &k->best))
    k->best = *s;
}

/* A check that says something else of the same state proves nothing. */
static void
confirm (const struct checking *c, struct cause *k)
{
  const struct result r = workers_check (&k->best);
  char *const line = causes_line (c, r.reason);

  if (r.outcome != k->outcome || strcmp (line, k->line) != 0)
    k->note = "; a second check of the same state says otherwise: is the check reliable?";
  free (line);
}

/* Find the least that must be lost; then some that looked different are the same. */
static void
settle (const struct checking *c, struct causes *all)
{
  size_t kept = 0;

  for (size_t i = 0; i < all->n; i++) {
    struct cause k = all->cause[i], *same;

    shrink (c, &k);
    confirm (c, &k);
    all->cause[i] = k;
    same = kept ? find_cause (&(struct causes) { all->cause, kept, kept, 0 }, k.outcome,
                              k.class, k.line) : NULL;
    if (!same)
      all->cause[kept++] = k;
    else {
      k.states += same->states;
      same->states = k.states;
      if (loses_less (&k.best, &same->best))
        *same = k;
    }
  }
  all->n = kept;
}

static int
compare_causes (const void *a, const void *b)
{
  const struct cause *x = a, *y = b;

  return x->class != y->class ? x->class - y->class
    : x->states != y->states ? (x->states > y->states ? -1 : 1) : strcmp (x->line, y->line);
}

struct causes
causes_find (const struct checking *c, const struct state *state, size_t n)
{
  struct causes all = { .cause = NULL };
  struct failed *failed = NULL;
  size_t rooms = 0;

  for (size_t i = 0; i < n; i++)
    if (state[i].checked && state[i].outcome >= BROKEN) {
      if (!array_grow (&failed, all.states, &rooms, sizeof *failed))
        wrong ("out of memory");
      failed[all.states++] = (struct failed) {
        &state[i], causes_line (c, state[i].reason ? state[i].reason : "")
      };
    }
  if (all.states > 0)
    qsort (failed, all.states, sizeof *failed, compare);
  for (size_t i = 0; i < all.states; i++)
    add_failed (c, &all, &failed[i], failed, all.states);
  for (size_t i = 0; i < all.states; i++)
    free (failed[i].line);
  free (failed);
  settle (c, &all);
  if (all.n > 0)
    qsort (all.cause, all.n, sizeof *all.cause, compare_causes);
  return all;
}

/*--------------------------------------------------------------------*/
/* Words. */

const char *
cause_title (const struct cause *k)
{
  static const char *const titles[] = {
    [BROKEN] = "the check says no", [UNREADABLE] = "it can't be mounted",
    [HUNG] = "the check does not end", [CRASHED] = "the check dies of a signal",
  };

  if (k->outcome == BROKEN && strcmp (k->line, "lost") == 0)
    return "lost what was acknowledged";
  return titles[k->outcome];
}

static const char *
class_words (char class)
{
  switch (class) {
  case 'A': return "nothing is lost that the disk had; was it asked to keep it?";
  case 'B': return "whole requests";
  case 'C': return "a part of a request";
  default: return "only if the disk lies";
  }
}

void
causes_print (const struct checking *c, const struct causes *all)
{
  if (all->n == 0)
    printf ("good      no state failed\n");
  else
    printf ("FAILED    %zu state%s, %zu cause%s\n", all->states, all->states == 1 ? "" : "s",
            all->n, all->n == 1 ? "" : "s");
  for (size_t i = 0; i < all->n; i++) {
    const struct cause *k = &all->cause[i];
    char *const again = state_again (c, &k->best), *const told = state_tell (c, &k->best);

    printf ("\n%zu  %s   %zu state%s   %s   [%c: %s%s]\n   %s\n", i + 1, cause_title (k),
            k->states, k->states == 1 ? "" : "s", k->best.legal ? "legal" : "a lie",
            k->class, class_words (k->class), k->note, told);
    if (*k->reason)
      printf ("   %s: %s\n", k->outcome == UNREADABLE ? "mount" : "check", k->reason);
    printf ("   again: %s\n", again);
    free (told);
    free (again);
  }
}
