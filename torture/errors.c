/* errors.c - let each request of a workload fail in each way, one at a time.
 *
 * A run has a server of its own: it prepares the disk, declares one rule, runs the workload,
 * lifts the fault, and lets the check look at what is left, as a crash state in which nothing
 * is lost.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "control/client.h"
#include "lib/array.h"
#include "lib/chance.h"
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

enum end { SURVIVED, REPORTED, NO_MOUNT, SILENT, DAMAGE, LATE, UNASKED, HANG, CRASH, MISSED, UNLIKE, ENDS };

static const char *const end_names[] = {
  [SURVIVED] = "survived", [REPORTED] = "reported", [NO_MOUNT] = "unreadable",
  [SILENT] = "silent loss", [DAMAGE] = "damage", [LATE] = "late loss", [UNASKED] = "never asked",
  [HANG] = "hang",
  [CRASH] = "crash", [MISSED] = "not reached", [UNLIKE] = "not repeated",
};

struct run {
  char *place;                  /* write/OFFSET#N, flush/N */
  const struct way *way;
  bool done;
  enum end end;
  char hit[64];                 /* what was really hit, as OP OFFSET+COUNT */
  char *reason;                 /* from malloc; "": there is none */
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
  return r->place[0] == 'f';
}

static char *
name_of (const struct run *r)
{
  return text ("%s/%s", r->place, r->way->name);
}

static struct run
run_named (const char *name)
{
  const struct way *const way = way_of (name);
  struct run r = { .way = way };

  if (!way)
    wrong ("%s: expected a name such as write/8462336#5/EIO or flush/9/EIO", name);
  r.place = text ("%.*s", (int) (strrchr (name, '/') - name), name);
  if (is_flush (&r) && !way->flush)
    wrong ("%s: a flush can't fail in this way", name);
  r.reason = copy_of ("");
  return r;
}

/* The rule that lets it fail, from malloc. */
static char *
rule_of (const struct run *r)
{
  uint64_t offset;
  unsigned n;
  char *which, *rule, *how;

  if (sscanf (r->place, "write/%" SCNu64 "#%u", &offset, &n) == 2)
    which = text ("op = 'write', offset = %" PRIu64 ", count = 1", offset);
  else if (sscanf (r->place, "flush/%u", &n) == 1)
    which = copy_of ("op = 'flush'");
  else
    wrong ("%s: expected a name such as write/8462336#5/EIO or flush/9/EIO", r->place);
  if (n == 0)
    wrong ("%s: requests are counted from 1", r->place);
  how = text ("%s, %s = %u", r->way->rule, r->way->stays ? "after" : "nth",
              r->way->stays ? n - 1 : n);
  rule = text ("fault { name = 'hit', optional = true, mark = '" BEGIN_MARK "', %s, %s, "
               "call = function () disk:mark('" HIT_MARK "') end }", which, how);
  free (which);
  free (how);
  return rule;
}

static void
add_run (struct runs *all, char *place, const struct way *way)
{
  if (!array_grow (&all->run, all->n, &all->room, sizeof *all->run))
    wrong ("out of memory");
  all->run[all->n++] = (struct run) { .place = place, .way = way, .reason = copy_of ("") };
}

/* As what a request is known: the n-th that covers its first byte. */
static char *
place_of (const struct history *h, size_t i)
{
  const uint64_t at = h->request[i].offset;
  size_t n = 1;

  for (size_t k = 0; k < i; k++)
    n += strcmp (h->request[k].op, "write") == 0 && h->request[k].offset <= at
      && at - h->request[k].offset < h->request[k].count;
  return text ("write/%" PRIu64 "#%zu", at, n);
}

/* All, in an order that the seed decides, so that any beginning is a fair sample. */
static struct runs
list_runs (const struct options *o, const struct history *h)
{
  struct runs all = { .n = 0 };

  for (size_t w = 0; w < WAYS; w++) {
    if (!is_listed (o->ways, &ways[w]))
      continue;
    for (size_t i = 0; i < h->requests; i++)
      if (strcmp (h->request[i].op, "write") == 0)
        add_run (&all, place_of (h, i), &ways[w]);
    for (size_t i = 1; ways[w].flush && i <= h->flushes; i++)
      add_run (&all, text ("flush/%zu", i), &ways[w]);
  }
  for (size_t i = all.n; i > 1; i--) {
    const size_t k = chance_mix (chance_mix (o->seed) + i) % i;
    const struct run r = all.run[i - 1];

    all.run[i - 1] = all.run[k];
    all.run[k] = r;
  }
  return all;
}

/*--------------------------------------------------------------------*/
/* One run. */

/* What the rule has hit, and whether it has. */
static bool
ask_hit (struct run *r)
{
  char *const hit = server_ask (
    "local l = fault.get('hit').last_request fault.clear() if not l then return '' end "
    "if l.op == 'flush' then return 'flush' end "
    "return ('%s %d+%d'):format(l.op, l.offset, l.count)");

  snprintf (r->hit, sizeof r->hit, "%s", hit);
  free (hit);
  return *r->hit;
}

static void
set_reason (struct run *r, const char *reason)
{
  free (r->reason);
  r->reason = copy_of (reason);
}

/* Something acknowledged is missing, or what is there is wrong: since when? */
static enum end
blame (const struct checking *c, const struct point *last, const char *choice, bool none_good)
{
  struct point before = *last;

  if (c->history->hit_late)
    return none_good ? LATE : UNASKED;
  before.marks = c->history->hit;
  return state_check (c, &before, choice, NULL).outcome == BROKEN ? DAMAGE : SILENT;
}

/* What the check says of what is left. */
static enum end
judge (const struct checking *c, const struct recorded *w, struct run *r, bool none_good)
{
  const struct history *const h = c->history;
  const struct point *const last = &h->point[h->points - 1];
  const bool well = w->mounted && WIFEXITED (w->status) && WEXITSTATUS (w->status) == 0;
  const char *choice = "all";
  struct result result = state_check (c, last, choice, NULL);

  /* A cut shows what the page cache hides: what was never flushed again. */
  if (result.outcome <= SKIPPED && none_good && (r->way->lie || is_flush (r)))
    result = state_check (c, last, choice = "none", NULL);
  set_reason (r, result.reason);
  switch (result.outcome) {
  case BROKEN: return blame (c, last, choice, none_good);
  case UNREADABLE: return NO_MOUNT;
  case HUNG: return HANG;
  case CRASHED: return CRASH;
  default: break;
  }
  set_reason (r, w->hung ? "the workload does not end" : w->why);
  if (w->hung)
    return HANG;
  if (w->mounted && WIFSIGNALED (w->status))
    return CRASH;
  return well ? SURVIVED : REPORTED;
}

static enum end
run_once (const struct checking *c, struct run *r, bool none_good, bool quiet)
{
  char *const rule = rule_of (r);
  struct checking here = *c;
  struct recorded w;
  struct history h;
  enum end end = MISSED;

  server_start (c->options, c->place, NULL);
  free (server_ask (rule));
  w = record (c->options, c->place, c->options->timeout, quiet);
  if (ask_hit (r)) {
    h = history_read (c->options, "/nonexistent");
    here.history = &h;
    end = judge (&here, &w, r, none_good);
    history_free (&h);
  }
  server_stop ();
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
comes_again (const struct checking *c, const struct run *r, bool none_good)
{
  struct run again = *r;
  bool same = false;

  again.reason = copy_of ("");
  for (int i = 1; i < TRIES && !same; i++)
    same = run_once (c, &again, none_good, true) == r->end;
  free (again.reason);
  return same;
}

static void
run_it (const struct checking *c, struct run *r, bool none_good)
{
  const uint64_t since = sys_now ();

  r->end = MISSED;
  for (int i = 0; i < TRIES && r->end == MISSED; i++) {
    check_signals ();
    r->end = run_once (c, r, none_good, true);
  }
  if (is_bug (r->end) && !comes_again (c, r, none_good))
    r->end = UNLIKE;
  r->seconds = (double) (sys_now () - since) / 1e9;
  r->done = true;
}

/*--------------------------------------------------------------------*/
/* Results. */

static void
save_run (FILE *results, const struct run *r)
{
  char *const name = name_of (r);
  struct json j = { .text = NULL };

  json_add (&j, "{", 1);
  json_member_string (&j, "name", name);
  json_member_string (&j, "outcome", end_names[r->end]);
  json_member (&j, "legal", r->way->lie ? "false" : "true");
  json_member_string (&j, "hit", r->hit);
  json_member (&j, "seconds", "%.3f", r->seconds);
  json_member_string (&j, "reason", r->reason);
  json_add (&j, "}\n", 2);
  if (j.failed || fwrite (j.text, j.len, 1, results) != 1 || fflush (results) != 0)
    wrong ("the results can't be written");
  json_free (&j);
  free (name);
}

/* A line of an earlier run. */
static void
recall_run (void *runs, const char *line)
{
  struct runs *const all = runs;
  char *const name = out_member (line, "name", ""), *const end = out_member (line, "outcome", "");
  char *const hit = out_member (line, "hit", "");

  for (size_t i = 0; i < all->n; i++) {
    struct run *const r = &all->run[i];
    char *const this = name_of (r);

    if (!r->done && strcmp (this, name) == 0) {
      for (int e = 0; e < ENDS; e++)
        if (strcmp (end_names[e], end) == 0) {
          r->end = (enum end) e;
          r->done = true;
          all->before++;
        }
      snprintf (r->hit, sizeof r->hit, "%s", hit);
      free (r->reason);
      r->reason = out_member (line, "reason", "");
    }
    free (this);
  }
  free (name);
  free (end);
  free (hit);
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
try_all (const struct checking *c, struct runs *all, bool none_good)
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
    run_it (c, r, none_good);
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
  char *const name = name_of (r);
  const bool usual = strcmp (c->options->out, DEFAULT_OUT) == 0;
  char *const out = shell_word (c->options->out);

  printf ("   %s of %s: %s.\n", r->way->name, *r->hit ? r->hit : r->place, end_words (r->end));
  if (*r->reason)
    printf ("   last: %s\n", r->reason);
  printf ("   again: %s %s%s%sshow %s\n", own_name (), usual ? "" : "--out ", usual ? "" : out,
          usual ? "" : " ", name);
  free (name);
  free (out);
}

static bool
counts (const struct checking *c, const struct run *r)
{
  return r->done && is_bug (r->end) && (!r->way->lie || c->options->hardening);
}

/* Have they the same cause? */
static bool
alike (const struct checking *c, const struct run *x, const struct run *y)
{
  char *const a = causes_line (c, x->reason), *const b = causes_line (c, y->reason);
  const bool same = x->done && y->done && x->end == y->end && x->way->lie == y->way->lie
    && strcmp (a, b) == 0;

  free (a);
  free (b);
  return same;
}

/* The number of runs that are like this one; 0: an earlier one is. */
static size_t
count_alike (const struct checking *c, const struct runs *all, size_t i)
{
  size_t n = 0;

  for (size_t k = 0; k < all->n; k++)
    if (alike (c, &all->run[i], &all->run[k])) {
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

  for (size_t i = 0; i < all->n; i++)
    failed += counts (c, &all->run[i]);
  print_ends (all, false);
  print_ends (all, true);
  if (failed)
    printf ("FAILED    %zu run%s\n", failed, failed == 1 ? "" : "s");
  else
    printf ("good      no run failed%s\n", c->options->hardening ? ""
            : " in which the disk said what it did");
  for (size_t i = 0; i < all->n; i++) {
    const struct run *const r = &all->run[i];

    if (!counts (c, r) || (n = count_alike (c, all, i)) == 0)
      continue;
    printf ("\n%zu  %s   %zu run%s   %s\n", ++number, end_names[r->end], n, n == 1 ? "" : "s",
            r->way->lie ? "a lie" : "legal");
    print_run (c, r);
  }
  return failed ? DONE_FAILED : DONE_GOOD;
}

int
errors (const struct checking *c, bool none_good)
{
  struct runs all = list_runs (c->options, c->history);

  printf ("errors    %zu requests (%zu writes, %zu flushes), %zu runs\n",
          c->history->requests + c->history->flushes, c->history->requests, c->history->flushes,
          all.n);
  fflush (stdout);
  out_lines (c->options, "errors.jsonl", recall_run, &all);
  try_all (c, &all, none_good);
  return print_all (c, &all);
}

int
errors_show (const struct checking *c, const char *name, bool none_good)
{
  struct run r = run_named (name);

  if (!c->options->workload)
    wrong ("%s: the run in %s has no workload", name, c->options->out);
  for (int i = 0; i < TRIES && !*r.hit; i++)
    r.end = run_once (c, &r, none_good, false);
  printf ("%s\n", end_names[r.end]);
  print_run (c, &r);
  return is_bug (r.end) ? DONE_FAILED : DONE_GOOD;
}
