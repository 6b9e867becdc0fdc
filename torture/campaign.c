/* campaign.c - try states, and tell what failed. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/sys.h"
#include "torture/campaign.h"
#include "torture/causes.h"
#include "torture/junit.h"
#include "torture/names.h"
#include "torture/out.h"
#include "torture/recuts.h"
#include "torture/tools.h"
#include "torture/workers.h"

#define BATCH 50                /* names in a line of a list */
#define ENOUGH 3                /* failures in the same words at a point, then others come first */

/* What failed at a point, and how often. */
struct heap {
  char *line;
  unsigned n;
};

struct trying {
  const struct checking *checking;
  struct names names;
  size_t before, checked, same; /* states: in earlier runs; in all; for which another spoke */
  struct heap *heap;            /* of each point */
  size_t next;                  /* in the order of names */
  bool late;                    /* only those are left that can wait */
  uint64_t began, end;          /* nanoseconds; END: of the budget, or 0 */
  FILE *results;
};

/*--------------------------------------------------------------------*/
/* Which is next. */

static struct heap *
heap_of (const struct trying *t, const struct state *s)
{
  return &t->heap[s->point - t->checking->history->point];
}

/* Where it fails in the same words again and again, the rest can wait. */
static bool
can_wait (const struct trying *t, const struct state *s)
{
  return t->heap && heap_of (t, s)->n >= ENOUGH;
}

/* The next one of this pass, or SIZE_MAX. */
static size_t
next_of_pass (struct trying *t)
{
  while (t->next < t->names.n) {
    const struct state *s = &t->names.state[t->next++];

    if (!s->checked && !s->given && (t->late || !can_wait (t, s)))
      return t->next - 1;
  }
  return SIZE_MAX;
}

/* The next one to be checked, or SIZE_MAX. */
static size_t
next_state (struct trying *t)
{
  size_t i = t->end && sys_now () > t->end ? SIZE_MAX : next_of_pass (t);

  if (i == SIZE_MAX && t->next == t->names.n && !t->late) {
    t->late = true;
    t->next = 0;
    i = next_of_pass (t);
  }
  return i;
}

static void
note_failure (struct trying *t, const struct state *s)
{
  struct heap *const heap = heap_of (t, s);
  char *const line = causes_line (t->checking, s->reason ? s->reason : "");

  if (heap->line && strcmp (heap->line, line) == 0)
    heap->n++;
  else if (heap->n < ENOUGH)
    heap->n = 1;
  free (heap->line);
  heap->line = line;
}

/*--------------------------------------------------------------------*/
/* Try them. */

static void
print_progress (const struct trying *t, FILE *to, const char *end)
{
  const double seconds = (double) (sys_now () - t->began) / 1e9;
  const size_t now = t->checked - t->before;

  fprintf (to, "checked   %zu of %zu   %.0f/s   %.0f s%s", t->checked, t->names.n,
           (double) now / (seconds > 0 ? seconds : 1), seconds, end);
}

/* A result has come. */
static void
accept (struct trying *t, struct state *s, const struct result *r)
{
  s->checked = true;
  s->outcome = r->outcome;
  s->reason = *r->reason ? copy_of (r->reason) : NULL;
  out_add (t->results, s, r);
  if (s->outcome >= BROKEN && t->heap)
    note_failure (t, s);
  t->checked++;
}

static void
try_all (struct trying *t)
{
  const struct options *o = t->checking->options;
  struct result r;
  size_t i;
  bool known;

  t->began = sys_now ();
  t->end = o->budget > 0 ? t->began + (uint64_t) (o->budget * 1e9) : 0;
  do {
    check_signals ();
    while (workers_idle () && (i = next_state (t)) != SIZE_MAX) {
      t->names.state[i].given = true;
      workers_give (i, &t->names.state[i]);
    }
    if (!workers_take (&i, &r, &known))
      break;
    t->same += known;
    accept (t, &t->names.state[i], &r);
    if (isatty (2))
      print_progress (t, stderr, "  \r");
  } while (true);
}

static void
print_checked (const struct trying *t, bool tried)
{
  if (tried && t->checked > t->before)
    print_progress (t, stdout, "");
  else
    printf ("checked   %zu of %zu", t->checked, t->names.n);
  if (t->same)
    printf ("   (%zu left the same files as another)", t->same);
  if (t->before)
    printf ("   (%zu by an earlier run)", t->before);
  if (tried && t->checked < t->names.n)
    printf ("   the budget is used up: start it again to go on");
  printf ("\n");
}

void
campaign_healthy (const struct checking *c)
{
  const struct history *h = c->history;
  struct state s = { .choice = copy_of ("all") };
  struct result r;

  if (h->points == 0 || (h->requests == 0 && !c->options->promised))
    wrong ("the workload has changed nothing on the disk");
  s.point = &h->point[h->points - 1];
  r = workers_check (&s);
  if (r.outcome == SKIPPED)
    wrong ("the check says that it does not apply (exit status 77) to what the workload has left");
  if (r.outcome != GOOD)
    wrong ("the check fails on what the workload has left, with no power cut at all (%s): %s",
           outcome_names[r.outcome], r.reason);
  free (s.choice);
}

static void
remember (void *trying, const char *name, const struct state *found)
{
  struct trying *const t = trying;
  static struct name_index *index;
  struct state *s;
  size_t i;

  if (!index)
    index = names_index (&t->names);
  i = names_find (&t->names, index, name);
  if (i == SIZE_MAX) {
    struct state other = state_named (t->checking->history, name);

    memcpy (other.digest, found->digest, sizeof other.digest);
    other.requests = found->requests;
    other.sectors = found->sectors;
    other.legal = found->legal;
    names_add (&t->names, &other);
    i = t->names.n - 1;
  }
  s = &t->names.state[i];
  t->before += !s->checked;
  s->checked = true;
  s->outcome = found->outcome;
  s->reason = found->reason && *found->reason ? found->reason : NULL;
}

int
campaign (const struct checking *c, bool try_them)
{
  const struct history *h = c->history;
  struct trying t = { .checking = c, .names = names_list (c->options, h) };
  struct causes causes;

  t.heap = room (NULL, h->points * sizeof *t.heap);
  memset (t.heap, 0, h->points * sizeof *t.heap);
  printf ("crashes   %zu points, %zu by requests, %zu torn, %zu different\n", h->points,
          t.names.by_requests, t.names.torn, t.names.n);
  fflush (stdout);
  out_each (c->options, remember, &t);
  t.checked = t.before;
  if (try_them) {
    t.results = out_results (c->options, "results.jsonl");
    try_all (&t);
    fclose (t.results);
  }
  print_checked (&t, try_them);
  fflush (stdout);
  causes = causes_find (c, t.names.state, t.names.n);
  causes_print (c, &causes);
  if (c->options->junit)
    junit_write (c, &causes, t.checked);
  if (try_them && recuts (c, &t.names) == DONE_FAILED)
    return DONE_FAILED;
  return causes.n ? DONE_FAILED : DONE_GOOD;
}

/*--------------------------------------------------------------------*/
/* Many machines. */

int
campaign_list (const struct checking *c)
{
  const struct names n = names_list (c->options, c->history);

  for (size_t i = 0; i < n.n; i++) {
    char *const name = state_name (&n.state[i]);

    printf ("%s%c", name, i + 1 == n.n || i % BATCH == BATCH - 1 ? '\n' : ' ');
    free (name);
  }
  return DONE_GOOD;
}

int
campaign_check (const struct checking *c, char **names)
{
  struct trying t = { .checking = c };

  for (; *names; names++)
    for (char *name = strtok (*names, " \t\n"); name; name = strtok (NULL, " \t\n")) {
      struct state s = state_named (c->history, name);

      free (state_ask (&s));
      names_add (&t.names, &s);
    }
  if (!t.names.state)
    wrong ("check: expected the name of a state; disktorture list prints them");
  t.results = out_results (c->options, NULL);
  try_all (&t);
  fclose (t.results);
  return DONE_GOOD;
}

/*--------------------------------------------------------------------*/
/* Show. */

int
campaign_show (const struct checking *c, const char *name, char **command)
{
  struct state s = state_named (c->history, name);
  char *const lost = state_ask (&s);
  char *const told = state_tell (c, &s);
  const char *const shell = getenv ("SHELL");
  struct result r;

  if (!lost)
    wrong ("%s: there is no such state", name);
  printf ("%s\n", told);
  free (told);
  free (lost);
  if (command)
    return state_visit (c, &s, (const char *const *) command);
  r = state_check (c, s.point, s.choice, NULL);
  printf ("%s%s%s\n", outcome_names[r.outcome], *r.reason ? ": " : "", r.reason);
  if (isatty (0)) {
    printf ("Here it is, in %s.  Leave the shell when you are done.\n",
            c->options->mount ? "$dir" : "$image");
    state_visit (c, &s, (const char *const[]) { shell ? shell : "/bin/sh", NULL });
  }
  return r.outcome >= BROKEN ? DONE_FAILED : DONE_GOOD;
}
