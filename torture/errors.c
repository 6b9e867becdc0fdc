/* errors.c - let each request of a workload fail in each way, one at a time.
 *
 * A run has a server of its own: it prepares the disk, declares one rule, runs the workload,
 * lifts the fault, and lets the check look at what is left, as a crash state in which nothing
 * is lost.
 */

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "lib/array.h"
#include "lib/json.h"
#include "lib/sys.h"
#include "torture/causes.h"
#include "torture/errors.h"
#include "torture/out.h"
#include "torture/record.h"
#include "torture/server.h"
#include "torture/tools.h"

#define TRIES 3                 /* of a name that does not come up, and of a failure */

static const struct way {
  const char *name, *rule;
  bool lie;                     /* the disk says that all went well */
  bool flush;                   /* flushes can fail like that, too */
  bool stays;
} ways[] = {
  { "EIO", "error = 'EIO'", false, true, false },
  { "EIO-stays", "error = 'EIO'", false, true, true },
  { "EIO-torn", "error = 'EIO', keep = 'half'", false, false, false },
  { "torn", "keep = 'half'", true, false, false },
  { "lost", "lose = true", true, false, false },
  { "flip", "corrupt = 1", true, false, false },
};
enum { WAYS = sizeof ways / sizeof ways[0] };

enum end {
  SURVIVED, REPORTED, NO_MOUNT, SILENT, DAMAGE, LATE, UNASKED, HANG, CRASH, MISSED, UNLIKE, ENDS
};

static const char *const end_names[] = {
  [SURVIVED] = "survived", [REPORTED] = "reported", [NO_MOUNT] = "unreadable",
  [SILENT] = "silent loss", [DAMAGE] = "damage", [LATE] = "late loss", [UNASKED] = "never asked",
  [HANG] = "hang", [CRASH] = "crash", [MISSED] = "not reached", [UNLIKE] = "not repeated",
};

struct run {
  char *name;                   /* write/OFFSET#N/WAY, flush/N/WAY */
  const struct way *way;
  bool done;
  enum end end;
  char *hit;                    /* what was really hit, as OP OFFSET+COUNT; "": nothing */
  char *reason;                 /* "": there is none */
  char *line;                   /* the same without what differs from run to run */
  double seconds;
};

struct runs {
  struct run *run;
  size_t n, room;
  size_t before, done;
};

/*--------------------------------------------------------------------*/
/* Names. */

/* Is a way in a list with commas?  NULL has all. */
static bool
is_listed (const char *list, const struct way *way)
{
  const size_t n = strlen (way->name);

  for (const char *at = list; at; at = strchr (at, ',')) {
    at += *at == ',';
    if (strncmp (at, way->name, n) == 0 && (at[n] == ',' || !at[n]))
      return true;
  }
  return !list;
}

void
errors_check_ways (const char *list)
{
  char *const words = copy_of (list);

  if (!*list || *list == ',')
    wrong ("--ways %s: expected EIO, EIO-stays, EIO-torn, torn, lost or flip", list);
  for (char *w = strtok (words, ","); w; w = strtok (NULL, ",")) {
    size_t i = 0;

    while (i < WAYS && strcmp (ways[i].name, w) != 0)
      i++;
    if (i == WAYS)
      wrong ("--ways %s: expected EIO, EIO-stays, EIO-torn, torn, lost or flip", w);
  }
  free (words);
}

static const struct way *
way_of (const char *name)
{
  const char *const slash = strrchr (name, '/');

  for (size_t i = 0; slash && i < WAYS; i++)
    if (strcmp (ways[i].name, slash + 1) == 0)
      return &ways[i];
  return NULL;
}

bool
errors_named (const char *name)
{
  return strncmp (name, "write/", 6) == 0 || strncmp (name, "flush/", 6) == 0;
}

static bool
is_flush (const struct run *r)
{
  return r->name[0] == 'f';
}

static struct run
new_run (char *name, const struct way *way)
{
  return (struct run) { .name = name, .way = way, .hit = copy_of (""), .reason = copy_of ("") };
}

static struct run
run_named (const char *name)
{
  const struct way *const way = way_of (name);

  if (!way)
    wrong ("%s: expected a name such as write/8462336#5/EIO or flush/9/EIO", name);
  if (name[0] == 'f' && !way->flush)
    wrong ("%s: a flush can't fail in this way", name);
  return new_run (copy_of (name), way);
}

/* The rule that lets it fail, from malloc. */
static char *
rule_of (const struct run *r)
{
  uint64_t offset;
  unsigned n;
  char *which, *rule;

  if (sscanf (r->name, "write/%" SCNu64 "#%u/", &offset, &n) == 2)
    which = text ("op = 'write', offset = %" PRIu64 ", count = 1", offset);
  else if (sscanf (r->name, "flush/%u/", &n) == 1)
    which = copy_of ("op = 'flush'");
  else
    wrong ("%s: expected a name such as write/8462336#5/EIO or flush/9/EIO", r->name);
  if (n == 0)
    wrong ("%s: requests are counted from 1", r->name);
  rule = text ("fault { name = '" HIT_RULE "', optional = true, mark = '" BEGIN_MARK "', "
               "%s, %s, %s = %u }", which, r->way->rule, r->way->stays ? "after" : "nth",
               r->way->stays ? n - 1 : n);
  free (which);
  return rule;
}

static void
add_run (struct runs *all, char *name, const struct way *way)
{
  if (!array_grow (&all->run, all->n, &all->room, sizeof *all->run))
    wrong ("out of memory");
  all->run[all->n++] = new_run (name, way);
}

/* As which of the writes that cover its first byte a request is known. */
static size_t
number_of (const struct history *h, size_t i)
{
  const uint64_t at = h->request[i].offset;
  size_t n = 1;

  for (size_t k = 0; k < i; k++)
    n += strcmp (h->request[k].op, "write") == 0 && h->request[k].offset <= at
      && at - h->request[k].offset < h->request[k].count;
  return n;
}

/* All, in an order that the seed decides, so that any beginning is a fair sample. */
static struct runs
list_runs (const struct options *o, const struct history *h)
{
  struct runs all = { .n = 0 };
  const struct way *const end = ways + WAYS;

  for (size_t i = 0; i < h->requests; i++)
    if (strcmp (h->request[i].op, "write") == 0) {
      const size_t n = number_of (h, i);

      for (const struct way *w = ways; w < end; w++)
        if (is_listed (o->ways, w))
          add_run (&all, text ("write/%" PRIu64 "#%zu/%s", h->request[i].offset, n, w->name), w);
    }
  for (size_t i = 1; i <= h->flushes; i++)
    for (const struct way *w = ways; w < end; w++)
      if (w->flush && is_listed (o->ways, w))
        add_run (&all, text ("flush/%zu/%s", i, w->name), w);
  if (all.n > 0)
    shuffle (all.run, all.n, sizeof *all.run, o->seed);
  return all;
}

/*--------------------------------------------------------------------*/
/* One run. */

struct healthy
errors_healthy (const struct checking *c)
{
  const struct history *const h = c->history;
  const struct state ended = state_named (h, "crash/mark-" END_NAME "/none");

  return (struct healthy) {
    .at_end = state_check (c, &h->point[h->points - 1], "none", NULL).outcome == GOOD,
    .at_work_end = state_check (c, ended.point, "none", NULL).outcome == GOOD,
  };
}

static void
set_text (char **s, const char *to)
{
  free (*s);
  *s = copy_of (to);
}

/* Something acknowledged is missing, or what is there is wrong: since when? */
static enum end
blame (const struct checking *c, const struct point *last, const char *choice, const struct healthy *healthy)
{
  struct point before = *last;

  if (c->history->hit_late)
    return healthy->at_work_end ? LATE : UNASKED;
  before.marks = c->history->hit_marks;
  return state_check (c, &before, choice, NULL).outcome == BROKEN ? DAMAGE : SILENT;
}

/* What the check says of what is left. */
static enum end
judge (const struct checking *c, const struct recorded *w, struct run *r, const struct healthy *healthy)
{
  const struct history *const h = c->history;
  const struct point *const last = &h->point[h->points - 1];
  const bool well = w->mounted && WIFEXITED (w->status) && WEXITSTATUS (w->status) == 0;
  const char *choice = "all";
  struct result result = state_check (c, last, choice, NULL);

  /* A cut shows what the page cache hides: what was never flushed again. */
  if (result.outcome <= SKIPPED && healthy->at_end && (r->way->lie || is_flush (r)))
    result = state_check (c, last, choice = "none", NULL);
  set_text (&r->reason, result.reason);
  switch (result.outcome) {
  case BROKEN: return blame (c, last, choice, healthy);
  case UNREADABLE: return NO_MOUNT;
  case HUNG: return HANG;
  case CRASHED: return CRASH;
  default: break;
  }
  set_text (&r->reason, w->hung ? "the workload does not end" : w->why);
  if (w->hung)
    return HANG;
  if (w->mounted && WIFSIGNALED (w->status))
    return CRASH;
  return well ? SURVIVED : REPORTED;
}

/* What a workload may take: a disk that fails is no slower, but machines differ. */
static double
patience (const struct options *o)
{
  return o->timeout > 10 * o->healthy ? o->timeout : 10 * o->healthy;
}

static enum end
run_once (const struct checking *c, struct run *r, const struct healthy *healthy, bool quiet)
{
  const struct options *const o = c->options;
  char *const rule = rule_of (r), *const promised = out_promised (o);
  struct checking here = *c;
  struct recorded w;
  struct history h;
  enum end end = MISSED;

  server_start (o, c->place, NULL);
  free (server_ask (rule));
  w = record (o, c->place, patience (o), quiet);
  free (server_ask ("fault.clear()"));
  h = history_read (o, promised);
  if (h.hit) {
    set_text (&r->hit, h.hit);
    here.history = &h;
    end = judge (&here, &w, r, healthy);
  }
  history_free (&h);
  server_stop ();
  free (promised);
  free (rule);
  return end;
}

static bool
is_bug (enum end end)
{
  return end >= NO_MOUNT && end <= CRASH;
}

/* Does a failure come again, at least once in two more runs? */
static bool
comes_again (const struct checking *c, const struct run *r, const struct healthy *healthy)
{
  struct run again = new_run (r->name, r->way);
  bool same = false;

  for (int i = 1; i < TRIES && !same; i++)
    same = run_once (c, &again, healthy, true) == r->end;
  free (again.reason);
  free (again.hit);
  return same;
}

static void
run_it (const struct checking *c, struct run *r, const struct healthy *healthy)
{
  const uint64_t since = sys_now ();

  r->end = MISSED;
  for (int i = 0; i < TRIES && r->end == MISSED; i++) {
    check_signals ();
    r->end = run_once (c, r, healthy, true);
  }
  if (is_bug (r->end) && !comes_again (c, r, healthy))
    r->end = UNLIKE;
  r->seconds = (double) (sys_now () - since) / 1e9;
  r->done = true;
}

/*--------------------------------------------------------------------*/
/* Results. */

static void
save_run (FILE *results, const struct run *r)
{
  struct json j = { .text = NULL };

  json_add (&j, "{", 1);
  json_member_string (&j, "name", r->name);
  json_member_string (&j, "outcome", end_names[r->end]);
  json_member (&j, "legal", r->way->lie ? "false" : "true");
  json_member_string (&j, "hit", r->hit);
  json_member (&j, "seconds", "%.3f", r->seconds);
  json_member_string (&j, "reason", r->reason);
  out_line (results, &j);
}

static int
compare_names (const void *a, const void *b)
{
  const struct run *x = a, *y = b;

  return strcmp (x->name, y->name);
}

/* For finding runs by name. */
struct recalling {
  struct runs *all;
  void *tree;                   /* of them, as search.h has it */
};

static void
recall_run (void *context, const char *line)
{
  struct recalling *const recalling = context;
  const struct run key = { .name = out_member (line, "name", "") };
  struct run **const found = tfind (&key, &recalling->tree, compare_names);
  char *const end = out_member (line, "outcome", "");
  int e = 0;

  while (e < ENDS && strcmp (end_names[e], end) != 0)
    e++;
  if (found && !(*found)->done && e < ENDS) {
    struct run *const r = *found;

    free (r->hit);
    free (r->reason);
    r->end = (enum end) e;
    r->hit = out_member (line, "hit", "");
    r->reason = out_member (line, "reason", "");
    r->done = true;
    recalling->all->before++;
  }
  free (key.name);
  free (end);
}

static void
recall_runs (const struct options *o, struct runs *all)
{
  struct recalling recalling = { .all = all };

  for (size_t i = 0; i < all->n; i++)
    if (!tsearch (&all->run[i], &recalling.tree, compare_names))
      wrong ("out of memory");
  out_lines (o, "errors.jsonl", recall_run, &recalling);
}

static void
print_progress (const struct runs *all, uint64_t since, FILE *to, const char *end)
{
  const double seconds = (double) (sys_now () - since) / 1e9;
  const size_t now = all->done - all->before;

  fprintf (to, "tried     %zu of %zu runs   %.1f/s   %.0f s%s", all->done, all->n,
           (double) now / (seconds > 0 ? seconds : 1), seconds, end);
}

static void
try_all (const struct checking *c, struct runs *all, const struct healthy *healthy)
{
  const double budget = c->options->budget;
  const uint64_t since = sys_now ();
  FILE *const results = out_results (c->options, "errors.jsonl");

  all->done = all->before;
  for (size_t i = 0; i < all->n; i++) {
    struct run *const r = &all->run[i];

    if (r->done)
      continue;
    if (budget > 0 && (double) (sys_now () - since) / 1e9 > budget)
      break;
    run_it (c, r, healthy);
    save_run (results, r);
    all->done++;
    if (isatty (2))
      print_progress (all, since, stderr, "  \r");
  }
  close_file (results, "the results");
  print_progress (all, since, stdout, "");
  if (all->before)
    printf ("   (%zu by an earlier run)", all->before);
  printf ("%s\n", all->done < all->n ? "   the budget is used up: start it again to go on" : "");
}

/*--------------------------------------------------------------------*/
/* Words. */

static const char *
end_words (enum end end)
{
  switch (end) {
  case NO_MOUNT: return "what is left can't be mounted";
  case SILENT: return "what was acknowledged after the fault is not there";
  case DAMAGE: return "what was acknowledged before the fault is gone or wrong";
  case LATE: return "the fault came after the workload had ended, and what it acknowledged is gone";
  case UNASKED: return "the fault came after the workload had ended, and what it acknowledged is "
      "gone, as it is after a power cut then: it never asked";
  case HANG: return "the workload or the check does not end";
  case CRASH: return "the workload or the check dies of a signal";
  case REPORTED: return "it failed or stopped, and all that it acknowledged is there";
  case SURVIVED: return "it went on, and all that it acknowledged is there";
  case MISSED: return "the request did not come up";
  default: return "the failure did not come again";
  }
}

static void
print_run (const struct checking *c, const struct run *r)
{
  char *const again = show_again (c->options, r->name);
  const int place = (int) (strrchr (r->name, '/') - r->name);

  printf ("   %s of %.*s: %s.\n", r->way->name, *r->hit ? (int) strlen (r->hit) : place,
          *r->hit ? r->hit : r->name, end_words (r->end));
  if (*r->reason)
    printf ("   last: %s\n", r->reason);
  printf ("   again: %s\n", again);
  free (again);
}

static bool
counts (const struct checking *c, const struct run *r)
{
  return r->done && is_bug (r->end) && (!r->way->lie || c->options->hardening);
}

/* Have they the same cause? */
static bool
alike (const struct run *x, const struct run *y)
{
  return x->done && y->done && x->end == y->end && x->way->lie == y->way->lie
    && strcmp (x->line, y->line) == 0;
}

/* The number of runs that are like this one; 0: an earlier one is. */
static size_t
count_alike (const struct runs *all, size_t i)
{
  size_t n = 0;

  for (size_t k = 0; k < all->n; k++)
    if (alike (&all->run[i], &all->run[k])) {
      if (k < i)
        return 0;
      n++;
    }
  return n;
}

/* How many ended in each way. */
static void
print_ends (const struct runs *all, bool lie)
{
  size_t n[ENDS] = { 0 };

  for (size_t i = 0; i < all->n; i++)
    if (all->run[i].done && all->run[i].way->lie == lie)
      n[all->run[i].end]++;
  printf ("%s", lie ? "the disk lied         " : "the disk said so      ");
  for (int e = 0; e < ENDS; e++)
    if (n[e])
      printf ("  %s %zu", end_names[e], n[e]);
  printf ("\n");
}

static int
print_all (const struct checking *c, const struct runs *all)
{
  size_t failed = 0, number = 0, n;

  for (size_t i = 0; i < all->n; i++) {
    all->run[i].line = causes_line (c, all->run[i].reason);
    failed += counts (c, &all->run[i]);
  }
  print_ends (all, false);
  print_ends (all, true);
  if (failed)
    printf ("FAILED    %zu run%s\n", failed, failed == 1 ? "" : "s");
  else
    printf ("good      no run failed%s\n", c->options->hardening ? ""
            : " in which the disk said what it did");
  for (size_t i = 0; i < all->n; i++) {
    const struct run *const r = &all->run[i];

    if (!counts (c, r) || (n = count_alike (all, i)) == 0)
      continue;
    printf ("\n%zu  %s   %zu run%s   %s\n", ++number, end_names[r->end], n, n == 1 ? "" : "s",
            r->way->lie ? "a lie" : "legal");
    print_run (c, r);
  }
  return failed ? DONE_FAILED : DONE_GOOD;
}

int
errors (const struct checking *c, const struct healthy *healthy)
{
  struct runs all = list_runs (c->options, c->history);

  printf ("errors    %zu requests (%zu writes, %zu flushes), %zu runs\n",
          c->history->requests + c->history->flushes, c->history->requests, c->history->flushes,
          all.n);
  fflush (stdout);
  recall_runs (c->options, &all);
  try_all (c, &all, healthy);
  return print_all (c, &all);
}

int
errors_show (const struct checking *c, const char *name, const struct healthy *healthy)
{
  struct run r = run_named (name);

  r.end = MISSED;
  if (!c->options->workload)
    wrong ("%s: the run in %s has no workload", name, c->options->out);
  if (c->options->words[1])
    wrong ("show %s %s: expected nothing after the name of a run", name, c->options->words[1]);
  for (int i = 0; i < TRIES && r.end == MISSED; i++)
    r.end = run_once (c, &r, healthy, false);
  printf ("%s\n", end_names[r.end]);
  print_run (c, &r);
  return is_bug (r.end) ? DONE_FAILED : DONE_GOOD;
}
