/* campaign.c - try all states, and tell what failed. */

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/chance.h"
#include "lib/sys.h"
#include "torture/campaign.h"
#include "torture/out.h"
#include "torture/server.h"
#include "torture/state.h"
#include "torture/tools.h"

#define ALL_SUBSETS 7           /* up to so many requests, all subsets are tried */
#define SAMPLE 32               /* of those of more, and of torn states */

struct trying {
  struct checking checking;
  struct state *state;
  size_t n, room, checked;
  size_t by_requests, torn;     /* names */
  uint64_t began;               /* nanoseconds */
};

/*--------------------------------------------------------------------*/
/* Names. */

static void
add_state (struct trying *t, const struct point *p, const char *line)
{
  const size_t len = strcspn (line, " ");
  struct state s = { .point = p, .choice = text ("%.*s", (int) len, line) };
  int legal;

  if (sscanf (line + len, " %39s %u %u %d", s.digest, &s.requests, &s.sectors, &legal) != 4)
    wrong ("the server's answer was not understood: %s", line);
  s.legal = legal;
  if (!array_grow (&t->state, t->n, &t->room, sizeof s))
    wrong ("out of memory");
  t->state[t->n++] = s;
}

/* Add the states of a point that a query of disk:states gives. */
static size_t
add_states (struct trying *t, const struct point *p, const char *query)
{
  const size_t before = t->n;
  char *const name = lua_string (p->name);
  char *const chunk = text (
    "local t = {} for s in disk:states { point = %s, %s } do t[#t + 1] = "
    "('%%s %%s %%d %%d %%d'):format(s.name:match '([^/]*)$', s.digest, s.requests, s.sectors,"
    " s.legal and 1 or 0) end return table.concat(t, '\\n')", name, query);
  char *const answer = server_ask (chunk);

  for (char *line = strtok (answer, "\n"); line; line = strtok (NULL, "\n"))
    add_state (t, p, line);
  free (answer);
  free (chunk);
  free (name);
  return t->n - before;
}

static void
add_point (struct trying *t, const struct point *p)
{
  static const char *const few[] = { "how = 'all'", NULL };
  static const char *const many[] = {
    "how = 'prefix'", "how = 'lose-one'", "how = 'only-one'", NULL
  };
  const uint64_t seed = t->checking.options->seed;
  char *const sample = text ("how = 'random', seed = %" PRIu64 ", count = %d", seed, SAMPLE);
  char *const torn = text ("units = 'sectors', %s", sample);
  char *const lose = text ("units = 'sectors', how = 'lose-one', count = %d", 2 * SAMPLE);

  for (const char *const *q = p->pending <= ALL_SUBSETS ? few : many; *q; q++)
    t->by_requests += add_states (t, p, *q);
  if (p->pending > ALL_SUBSETS)
    t->by_requests += add_states (t, p, sample);
  if (p->pending > 0) {
    t->torn += add_states (t, p, lose);
    t->torn += add_states (t, p, torn);
  }
  free (sample);
  free (torn);
  free (lose);
}

/* How hard a choice is to understand. */
static int
rank (const char *choice)
{
  static const char *const kinds[] = { "none", "all", "lose-", "only-", "prefix-" };
  const int torn = strchr (choice, ':') ? 10 : 0;

  for (int i = 0; i < (int) (sizeof kinds / sizeof kinds[0]); i++)
    if (strncmp (choice, kinds[i], strlen (kinds[i])) == 0)
      return torn + i;
  return 20;                    /* drawn at random */
}

/* 0: the same image with the same promises. */
static int
compare_images (const struct state *x, const struct state *y)
{
  const size_t m = x->point->marks, n = y->point->marks;

  return m != n ? (m < n ? -1 : 1) : strcmp (x->digest, y->digest);
}

/* Of those the one that is told best comes first. */
static int
compare (const void *a, const void *b)
{
  const struct state *x = a, *y = b;

  if (compare_images (x, y))
    return compare_images (x, y);
  if (rank (x->choice) != rank (y->choice))
    return rank (x->choice) - rank (y->choice);
  return strlen (x->choice) < strlen (y->choice) ? -1
    : strlen (x->choice) > strlen (y->choice);
}

/* Leave out what is the same as another one. */
static void
leave_out_equal (struct trying *t)
{
  size_t kept = 0;

  if (t->n > 0)
    qsort (t->state, t->n, sizeof *t->state, compare);
  for (size_t i = 0; i < t->n; i++)
    if (kept && compare_images (&t->state[kept - 1], &t->state[i]) == 0)
      free (t->state[i].choice);
    else
      t->state[kept++] = t->state[i];
  t->n = kept;
}

/* So that any part of them is a fair sample. */
static void
shuffle (struct trying *t)
{
  const uint64_t seed = chance_mix (t->checking.options->seed);

  for (size_t i = t->n; i > 1; i--) {
    const size_t k = chance_mix (seed + i) % i;
    const struct state s = t->state[i - 1];

    t->state[i - 1] = t->state[k];
    t->state[k] = s;
  }
}

/*--------------------------------------------------------------------*/
/* Causes. */

/* States that failed in the same way. */
struct cause {
  enum outcome outcome;
  char *line;                   /* the last one of the check, without what differs */
  size_t states;
  const struct state *best;     /* the one that loses least */
};

/* Numbers, and names of what is temporary, differ from state to state. */
static char *
normalise (const char *line, const char *place)
{
  char *const copy = room (NULL, strlen (line) + 1), *to = copy;
  const size_t len = strlen (place);

  while (*line) {
    if (strncmp (line, place, len) == 0)
      line += len;
    else if (isdigit ((unsigned char) *line)) {
      *to++ = '#';
      while (isdigit ((unsigned char) *line))
        line++;
    } else
      *to++ = *line++;
  }
  *to = '\0';
  return copy;
}

static bool
loses_less (const struct state *a, const struct state *b)
{
  if (a->requests != b->requests)
    return a->requests < b->requests;
  if (a->sectors != b->sectors)
    return a->sectors < b->sectors;
  return a->point->time < b->point->time;
}

/* Put a state to the others of its cause. */
static void
add_to_cause (struct cause **cause, size_t *n, size_t *room_for, const struct state *s,
              const char *place)
{
  char *const line = normalise (s->reason, place);
  struct cause *c = *cause;

  while (c < *cause + *n && (c->outcome != s->outcome || strcmp (c->line, line) != 0))
    c++;
  if (*n == 0 || c == *cause + *n) {
    if (!array_grow (cause, *n, room_for, sizeof *c))
      wrong ("out of memory");
    c = &(*cause)[(*n)++];
    *c = (struct cause) { .outcome = s->outcome, .line = copy_of (line), .best = s };
  }
  c->states++;
  if (loses_less (s, c->best))
    c->best = s;
  free (line);
}

static const char *
class_of (const struct state *s)
{
  if (!s->legal)
    return "D: only if the disk lies";
  if (s->requests == 0)
    return "A: nothing is lost that the disk had; was it asked to keep it?";
  return strchr (s->choice, ':') || strncmp (s->choice, "sectors-", 8) == 0
    ? "C: a part of a request" : "B: whole requests";
}

static void
print_cause (const struct trying *t, const struct cause *c, size_t number)
{
  static const char *const titles[] = {
    [BROKEN] = "the check says no", [UNREADABLE] = "it can't be mounted",
    [HUNG] = "the check hangs", [CRASHED] = "the check dies of a signal",
  };
  char *const name = state_name (c->best);
  char *const told = history_tell (t->checking.history, c->best->point, c->best->choice,
                                   c->best->requests > 0);

  printf ("\n%zu  %s   %zu state%s   %s   [%s]\n   %s\n", number, titles[c->outcome], c->states,
          c->states == 1 ? "" : "s", c->best->legal ? "legal" : "a lie",
          class_of (c->best), told);
  if (*c->best->reason)
    printf ("   %s: %s\n", c->outcome == UNREADABLE ? "mount" : "check", c->best->reason);
  printf ("   again: disktorture show %s\n", name);
  free (told);
  free (name);
}

/* Print what failed; how many causes there are. */
static size_t
print_causes (const struct trying *t)
{
  struct cause *cause = NULL;
  size_t n = 0, room_for = 0, failed = 0;

  for (size_t i = 0; i < t->checked; i++)
    if (t->state[i].outcome >= BROKEN) {
      failed++;
      add_to_cause (&cause, &n, &room_for, &t->state[i], t->checking.place);
    }
  if (failed == 0)
    printf ("good      no state failed\n");
  else
    printf ("FAILED    %zu state%s, %zu cause%s\n", failed, failed == 1 ? "" : "s", n,
            n == 1 ? "" : "s");
  for (size_t i = 0; i < n; i++) {
    print_cause (t, &cause[i], i + 1);
    free (cause[i].line);
  }
  free (cause);
  return n;
}

/*--------------------------------------------------------------------*/

/* What the check says where nothing is lost at the end, it must not say elsewhere. */
static void
check_healthy (const struct trying *t)
{
  const struct history *h = t->checking.history;
  struct state s = { .point = &h->point[h->points - 1], .choice = copy_of ("all") };

  state_check (&t->checking, &s);
  if (s.outcome != GOOD)
    wrong ("the check fails on what the workload has left, with no power cut at all (%s): %s",
           outcome_names[s.outcome], s.reason);
  free (s.choice);
  free (s.reason);
}

static void
print_progress (const struct trying *t, FILE *to, const char *end)
{
  const double seconds = (double) (sys_now () - t->began) / 1e9;

  fprintf (to, "checked   %zu of %zu   %.0f/s   %.0f s%s", t->checked, t->n,
           (double) t->checked / (seconds > 0 ? seconds : 1), seconds, end);
}

static void
check_all (struct trying *t)
{
  FILE *const results = out_begin (t->checking.options);

  t->began = sys_now ();
  for (; t->checked < t->n; t->checked++) {
    check_signals ();
    state_check (&t->checking, &t->state[t->checked]);
    out_add (results, &t->state[t->checked]);
    if (isatty (2))
      print_progress (t, stderr, "\r");
  }
  fclose (results);
  print_progress (t, stdout, "\n");
}

int
campaign (const struct options *o, const struct history *h, const char *place)
{
  struct trying t = { .checking = { o, h, place } };
  size_t causes;

  if (h->points == 0)
    wrong ("the workload has changed nothing on the disk");
  check_healthy (&t);
  for (size_t i = 0; i < h->points; i++)
    add_point (&t, &h->point[i]);
  leave_out_equal (&t);
  shuffle (&t);
  printf ("crashes   %zu points, %zu by requests, %zu torn, %zu different\n", h->points,
          t.by_requests, t.torn, t.n);
  fflush (stdout);
  check_all (&t);
  causes = print_causes (&t);
  return causes ? DONE_FAILED : DONE_GOOD;
}

/*--------------------------------------------------------------------*/
/* Show. */

/* Find the point of a name such as crash/before-flush-14/none. */
static const struct point *
find_point (const struct history *h, const char *name, const char **choice)
{
  const char *end;

  if (strncmp (name, "crash/", 6) != 0 || !(end = strchr (name + 6, '/')))
    wrong ("show %s: expected a name such as crash/before-flush-14/none", name);
  *choice = end + 1;
  for (size_t i = 0; i < h->points; i++)
    if (strlen (h->point[i].name) == (size_t) (end - name - 6)
        && strncmp (h->point[i].name, name + 6, (size_t) (end - name - 6)) == 0)
      return &h->point[i];
  wrong ("show %s: this run has no such point", name);
}

int
show (const struct options *o, const struct history *h, const char *place)
{
  const struct checking c = { o, h, place };
  const char *choice;
  const struct point *p = find_point (h, o->show, &choice);
  struct state s = { .point = p, .choice = copy_of (choice) };
  char *const told = history_tell (h, p, choice, p->pending > 0);
  const char *const shell = getenv ("SHELL");

  printf ("%s\n", told);
  free (told);
  if (o->command)
    return state_visit (&c, &s, (const char *const *) o->command);
  state_check (&c, &s);
  printf ("%s%s%s\n", outcome_names[s.outcome], *s.reason ? ": " : "", s.reason);
  if (isatty (0)) {
    printf ("Here it is, in %s.  Leave the shell when you are done.\n",
            o->mount ? "$dir" : "$image");
    state_visit (&c, &s, (const char *const[]) { shell ? shell : "/bin/sh", NULL });
  }
  return s.outcome >= BROKEN ? DONE_FAILED : DONE_GOOD;
}
