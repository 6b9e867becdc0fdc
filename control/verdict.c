/* verdict.c - the sentences of a fault log's page. */

#include <string.h>

#include "control/units.h"
#include "control/verdict.h"

#define ULL(n) ((unsigned long long) (n))

/* Names in a sentence: so many, and then how many more. */
#define NAMED 5

/* "1 fault", "2 faults". */
static void
put_count (struct page *p, uint64_t n, const char *one, const char *many)
{
  page_add (p, "%llu %s", ULL (n), n == 1 ? one : many);
}

/* What stands between the items of a list: nothing before the first one, "and" before the
 * last one of N.
 */
static const char *
between (int i, int n)
{
  return i == 0 ? "" : i == n - 1 ? " and " : ", ";
}

/*--------------------------------------------------------------------*/
/* Rules. */

static uint64_t
times_fired (const struct source *s)
{
  return s->told ? s->fired : s->faults;
}

bool
verdict_never_fired (const struct source *s)
{
  return s->what == SOURCE_RULE && s->told && s->fired == 0 && !s->optional;
}

static bool
is_rule (const struct source *s)
{
  return s->what == SOURCE_RULE;
}

static bool
is_unused (const struct source *s)
{
  return is_rule (s) && s->told && s->optional && s->fired == 0;
}

/* It has not fired, but its last line has not come either. */
static bool
is_open (const struct source *s)
{
  return is_rule (s) && !s->told && s->faults == 0;
}

/* It has fired, as its last line says, but there is no line of that. */
static bool
is_unseen (const struct source *s)
{
  return is_rule (s) && s->told && s->fired != s->faults;
}

static int
count_sources (const struct evidence *e, bool (*which) (const struct source *s))
{
  int n = 0;

  for (int i = 0; i < e->tally->nr_sources; i++)
    n += which (e->sorted[i]);
  return n;
}

/* Name them: "a, b and c", or "a, b and 3 more". */
static void
put_names (struct page *p, const struct evidence *e, bool (*which) (const struct source *s))
{
  const int all = count_sources (e, which);
  const int named = all > NAMED + 1 ? NAMED : all, n = named + (named < all);

  for (int i = 0, k = 0; k < named; i++)
    if (which (e->sorted[i])) {
      page_add (p, "%s<bdi>%s</bdi>", between (k, n), e->sorted[i]->name);
      k++;
    }
  if (named < all)
    page_add (p, " and %d more", all - named);
}

/*--------------------------------------------------------------------*/
/* The verdict. */

/* What the kinds are called when they are counted.  An error has its name behind it. */
static const struct { const char *kind, *one, *many; } nouns[] = {
  { "error", "error", "errors" }, { "delay", "delay", "delays" },
  { "hang", "hang", "hangs" }, { "lose", "request lost", "requests lost" },
  { "keep", "request done in part", "requests done in part" },
  { "misdirect", "request misplaced", "requests misplaced" },
  { "stale", "stale answer", "stale answers" },
  { "corrupt", "request with flipped bits", "requests with flipped bits" },
  { "cut", "power cut", "power cuts" },
  { "disconnect", "connection cut", "connections cut" },
  { "shutdown", "shutdown", "shutdowns" }, { "call", "call", "calls" },
  { "data", "request with other data", "requests with other data" },
  { "skip", "request skipped", "requests skipped" },
  { "ended", "wait ended early", "waits ended early" },
};

#define NOUNS (sizeof nouns / sizeof nouns[0])

static uint64_t
count_noun (const struct tally *t, size_t i)
{
  const size_t len = strlen (nouns[i].kind);
  uint64_t n = 0;

  for (int k = 0; k < t->kinds.n; k++)
    if (strncmp (t->kinds.at[k].name, nouns[i].kind, len) == 0
        && strchr (" ", t->kinds.at[k].name[len]))
      n += t->kinds.at[k].count;
  return n;
}

static void
put_nouns (struct page *p, const struct tally *t)
{
  int all = 0, k = 0;

  for (size_t i = 0; i < NOUNS; i++)
    all += count_noun (t, i) > 0;
  for (size_t i = 0; i < NOUNS; i++) {
    const uint64_t n = count_noun (t, i);

    if (n > 0) {
      page_add (p, "%s", k == 0 ? ": " : between (k, all));
      put_count (p, n, nouns[i].one, nouns[i].many);
      k++;
    }
  }
}

static bool
when_nothing (const struct evidence *e)
{
  return e->tally->faults == 0 && count_sources (e, is_rule) == 0;
}

static void
say_nothing (struct page *p, const struct evidence *e)
{
  (void) e;
  page_add (p, "No fault happened, and no rule asked for one.");
}

static bool
when_none (const struct evidence *e)
{
  return e->tally->faults == 0 && count_sources (e, is_rule) > 0
    && count_sources (e, is_unseen) == 0;
}

static void
say_none (struct page *p, const struct evidence *e)
{
  (void) e;
  page_add (p, "No fault happened.");
}

static bool
when_faults (const struct evidence *e)
{
  return e->tally->faults > 0;
}

static void
say_faults (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  put_count (p, e->tally->faults, "fault", "faults");
  page_add (p, " in %s", units_time (buf, e->tally->end));
  put_nouns (p, e->tally);
  page_add (p, ".");
}

static bool
when_never (const struct evidence *e)
{
  return count_sources (e, verdict_never_fired) > 0;
}

static void
say_never (struct page *p, const struct evidence *e)
{
  put_count (p, (uint64_t) count_sources (e, verdict_never_fired), "rule", "rules");
  page_add (p, " never fired: ");
  put_names (p, e, verdict_never_fired);
  page_add (p, ".");
}

static bool
when_open (const struct evidence *e)
{
  return count_sources (e, is_open) > 0;
}

static void
say_open (struct page *p, const struct evidence *e)
{
  const int n = count_sources (e, is_open);

  put_count (p, (uint64_t) n, "rule has", "rules have");
  page_add (p, " not fired as far as the log goes: ");
  put_names (p, e, is_open);
  page_add (p, ".");
}

/* Each one that had to: there was a rule, all have told, and none is missing. */
static bool
all_fired (const struct evidence *e)
{
  return count_sources (e, is_rule) > count_sources (e, is_unused)
    && count_sources (e, verdict_never_fired) == 0 && count_sources (e, is_open) == 0;
}

static bool
when_each (const struct evidence *e)
{
  return all_fired (e) && count_sources (e, is_unused) == 0;
}

static void
say_each (struct page *p, const struct evidence *e)
{
  const int n = count_sources (e, is_rule);

  page_add (p, n == 1 ? "The rule fired." : "Each of the %d rules fired.", n);
}

static bool
when_unused (const struct evidence *e)
{
  return count_sources (e, is_unused) > 0;
}

static void
say_unused (struct page *p, const struct evidence *e)
{
  const int n = count_sources (e, is_unused);

  if (all_fired (e))
    page_add (p, "Each rule fired, except ");
  put_count (p, (uint64_t) n, "optional rule", "optional rules");
  page_add (p, all_fired (e) ? ": " : " did not fire: ");
  put_names (p, e, is_unused);
  page_add (p, ".");
}

/*--------------------------------------------------------------------*/
/* What is wrong with the log. */

static bool
when_torn (const struct evidence *e)
{
  return e->tally->torn;
}

static void
say_torn (struct page *p, const struct evidence *e)
{
  (void) e;
  page_add (p, "The log ends within a line, which is left out.");
}

static bool
when_unstopped (const struct evidence *e)
{
  return !e->tally->stopped;
}

static void
say_unstopped (struct page *p, const struct evidence *e)
{
  (void) e;
  page_add (p, "The log has no last line: the server still runs, or was killed. So it is not "
            "known how many requests each rule matched.");
}

static bool
when_unstarted (const struct evidence *e)
{
  return !e->tally->started;
}

static void
say_unstarted (struct page *p, const struct evidence *e)
{
  (void) e;
  page_add (p, "The log has no first line: its beginning has been cut off.");
}

static bool
when_dropped (const struct evidence *e)
{
  return e->tally->dropped > 0;
}

static void
say_dropped (struct page *p, const struct evidence *e)
{
  put_count (p, e->tally->dropped, "line was", "lines were");
  page_add (p, " lost while the server ran, because the log was too slow or its disk full. "
            "The faults in them are missing here, except in the last counts of rules.");
}

static bool
when_missing (const struct evidence *e)
{
  return e->tally->missing > 0;
}

static void
say_missing (struct page *p, const struct evidence *e)
{
  put_count (p, e->tally->missing, "line is", "lines are");
  page_add (p, " missing: the numbers of lines have gaps. Has somebody taken lines out?");
}

static bool
when_foreign (const struct evidence *e)
{
  return e->tally->foreign > 0;
}

static void
say_foreign (struct page *p, const struct evidence *e)
{
  put_count (p, e->tally->foreign, "line is", "lines are");
  page_add (p, " not of a fault log, and left out; the first is line %llu.",
            ULL (e->tally->first_foreign));
}

static bool
when_runs (const struct evidence *e)
{
  return e->tally->runs > 0;
}

static void
say_runs (struct page *p, const struct evidence *e)
{
  page_add (p, "The log has %llu runs of a server. This is about the last one.",
            ULL (e->tally->runs + 1));
}

static uint64_t
sum (const struct names *names)
{
  uint64_t n = 0;

  for (int i = 0; i < names->n; i++)
    n += names->at[i].count;
  return n;
}

static bool
when_hanging (const struct evidence *e)
{
  return !e->tally->stopped && e->tally->hangs > sum (&e->tally->endings);
}

static void
say_hanging (struct page *p, const struct evidence *e)
{
  page_add (p, "At least ");
  put_count (p, e->tally->hangs - sum (&e->tally->endings), "request hangs", "requests hang");
  page_add (p, " when the log ends.");
}

static bool
when_unseen (const struct evidence *e)
{
  return count_sources (e, is_unseen) > 0;
}

static void
say_unseen (struct page *p, const struct evidence *e)
{
  page_add (p, "These rules fired more or less often than the log has lines of it: ");
  put_names (p, e, is_unseen);
  page_add (p, ".");
}

static bool
when_crowded (const struct evidence *e)
{
  return e->tally->nr_sources > TALLY_SOURCES;
}

static void
say_crowded (struct page *p, const struct evidence *e)
{
  (void) e;
  page_add (p, "There are too many rules: those after the first %d count as one, \"others\".",
            TALLY_SOURCES);
}

/*--------------------------------------------------------------------*/
/* The table of rules. */

static bool
when_more_rules (const struct evidence *e)
{
  return e->tally->nr_sources > RULES_SHOWN;
}

static void
say_more_rules (struct page *p, const struct evidence *e)
{
  uint64_t fired = 0;

  for (int i = RULES_SHOWN; i < e->tally->nr_sources; i++)
    fired += times_fired (e->sorted[i]);
  page_add (p, "%d more are not shown. They fired ", e->tally->nr_sources - RULES_SHOWN);
  put_count (p, fired, "time", "times");
  page_add (p, " together.");
}

/*--------------------------------------------------------------------*/
/* When. */

static int
busiest (const uint64_t *counts, int n)
{
  int most = 0;

  for (int i = 1; i < n; i++)
    if (counts[i] > counts[most])
      most = i;
  return most;
}

/* The longest run of columns without a fault, between some with faults; its first. */
static int
longest_gap (const struct figure *f, int *length)
{
  int start = 0, last = -1;

  *length = 0;
  for (int i = 0; i < FIGURE_COLUMNS; i++)
    if (f->columns[i] > 0) {
      if (last >= 0 && i - last - 1 > *length) {
        *length = i - last - 1;
        start = last + 1;
      }
      last = i;
    }
  return start;
}

/* "from A to B": columns, as times. */
static void
put_columns (struct page *p, const struct figure *f, int first, int end)
{
  char a[UNITS_SIZE], b[UNITS_SIZE];

  page_add (p, "from %s to %s", units_time (a, f->from + first * figure_column (f)),
            units_time (b, f->from + end * figure_column (f)));
}

static void
say_bars (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  page_add (p, "A bar is the number of faults in %s. Each row has its own scale: its highest "
            "bar stands for the number under its name.",
            units_time (buf, figure_column (e->figure)));
}

static bool
when_one_moment (const struct evidence *e)
{
  return e->tally->faults == 1;
}

static void
say_one_moment (struct page *p, const struct evidence *e)
{
  char a[UNITS_SIZE], b[UNITS_SIZE];

  page_add (p, "The fault came after %s; the log goes on to %s.", units_time (a, e->tally->first),
            units_time (b, e->tally->end));
}

static bool
when_several (const struct evidence *e)
{
  return e->tally->faults > 1;
}

static void
say_several (struct page *p, const struct evidence *e)
{
  char a[UNITS_SIZE], b[UNITS_SIZE];

  page_add (p, "The first fault came after %s, the last one after %s.",
            units_time (a, e->tally->first), units_time (b, e->tally->last));
}

/* The highest of N counts, as a multiple of what it would be if all were equal. */
static double
peak (const uint64_t *counts, int n, uint64_t all)
{
  return (double) counts[busiest (counts, n)] * n / (double) all;
}

static bool
when_busy_time (const struct evidence *e)
{
  return e->tally->faults > 1 && peak (e->figure->columns, FIGURE_COLUMNS, e->tally->faults) >= 2;
}

static void
say_busy_time (struct page *p, const struct evidence *e)
{
  const struct figure *f = e->figure;
  const int x = busiest (f->columns, FIGURE_COLUMNS);

  page_add (p, "Most came ");
  put_columns (p, f, x, x + 1);
  page_add (p, ": %llu of %llu.", ULL (f->columns[x]), ULL (e->tally->faults));
}

static bool
when_even_time (const struct evidence *e)
{
  return e->tally->faults > 1 && peak (e->figure->columns, FIGURE_COLUMNS, e->tally->faults) < 2;
}

static void
say_even_time (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  page_add (p, "They came all the time: at most %llu in %s.",
            ULL (e->figure->columns[busiest (e->figure->columns, FIGURE_COLUMNS)]),
            units_time (buf, figure_column (e->figure)));
}

static bool
when_gap (const struct evidence *e)
{
  int length;

  if (e->tally->faults == 0)
    return false;
  longest_gap (e->figure, &length);
  return length >= FIGURE_COLUMNS / 8;
}

static void
say_gap (struct page *p, const struct evidence *e)
{
  int length;
  const int start = longest_gap (e->figure, &length);

  page_add (p, "There was none ");
  put_columns (p, e->figure, start, start + length);
  page_add (p, ".");
}

static bool
when_zoomed_time (const struct evidence *e)
{
  return e->tally->faults > 0 && e->figure->from > 0;
}

static void
say_zoomed_time (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  page_add (p, "All faults came within a short part of the %s of the log, so only that part is "
            "shown.", units_time (buf, e->tally->end));
}

/*--------------------------------------------------------------------*/
/* Where. */

static bool
when_placed (const struct evidence *e)
{
  return e->tally->placed > 0;
}

static void
say_cells (struct page *p, const struct evidence *e)
{
  char a[UNITS_SIZE], b[UNITS_SIZE];

  page_add (p, "A cell is %s of the disk during %s. It has the letter of the rule that fired for "
            "a request which begins there.", units_bytes (a, e->figure->unit),
            units_time (b, figure_column (e->figure)));
}

static bool
when_shared (const struct evidence *e)
{
  return e->figure->shared > 0;
}

static void
say_shared (struct page *p, const struct evidence *e)
{
  page_add (p, e->figure->shared == 1 ? "In %d cell several of them fired; it has"
            : "In %d cells several of them fired; they have", e->figure->shared);
  page_add (p, " the letter of the one that fired least in all.");
}

static bool
when_one_place (const struct evidence *e)
{
  return e->tally->placed > 0 && e->tally->low == e->tally->high;
}

static void
say_one_place (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  page_add (p, "All were at offset %s.", units_bytes (buf, e->tally->low));
}

static bool
has_places (const struct evidence *e)
{
  return e->tally->placed > 0 && e->tally->low < e->tally->high;
}

static double
peak_place (const struct evidence *e)
{
  return peak (e->figure->places, e->figure->nr_places, e->tally->placed);
}

static bool
when_even_place (const struct evidence *e)
{
  return has_places (e) && peak_place (e) < 2;
}

static void
say_even_place (struct page *p, const struct evidence *e)
{
  const struct figure *f = e->figure;
  char buf[UNITS_SIZE];

  page_add (p, "They were in all these parts of the disk: at most %llu in %s.",
            ULL (f->places[busiest (f->places, f->nr_places)]), units_bytes (buf, f->unit));
}

static bool
when_busy_place (const struct evidence *e)
{
  return has_places (e) && peak_place (e) >= 2;
}

static void
say_busy_place (struct page *p, const struct evidence *e)
{
  const struct figure *f = e->figure;
  const int y = busiest (f->places, f->nr_places);
  const uint64_t from = f->base + (uint64_t) y * f->unit;
  char a[UNITS_SIZE], b[UNITS_SIZE];

  page_add (p, "Most were from %s to %s: %llu of %llu.", units_bytes (a, from),
            units_bytes (b, from + f->unit), ULL (f->places[y]), ULL (e->tally->placed));
}

static bool
when_zoomed_place (const struct evidence *e)
{
  return e->tally->placed > 0 && e->tally->size > 0
    && (uint64_t) e->figure->nr_places * e->figure->unit < e->tally->size;
}

static void
say_zoomed_place (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  page_add (p, "Only this part of the disk, which has %s, is shown: there was none elsewhere.",
            units_bytes (buf, e->tally->size));
}

static bool
when_unplaced (const struct evidence *e)
{
  return e->tally->faults > e->tally->placed;
}

static void
say_unplaced (struct page *p, const struct evidence *e)
{
  put_count (p, e->tally->faults - e->tally->placed, "fault has", "faults have");
  page_add (p, " no place, such as those of flushes.");
}

/*--------------------------------------------------------------------*/
/* What happened to which request. */

static bool
when_results (const struct evidence *e)
{
  return sum (&e->tally->results) > 0;
}

static void
say_results (struct page *p, const struct evidence *e)
{
  const struct names *r = &e->tally->results;
  char buf[UNITS_SIZE];

  page_add (p, "For the clients, these requests ended with ");
  for (int i = 0; i < r->n; i++)
    page_add (p, "%s%s (%llu)", between (i, r->n), r->at[i].name, ULL (r->at[i].count));
  page_add (p, ". The slowest took %s.", units_time (buf, e->tally->slowest));
}

static bool
when_endings (const struct evidence *e)
{
  return e->tally->endings.n > 0;
}

static void
say_endings (struct page *p, const struct evidence *e)
{
  const struct names *n = &e->tally->endings;

  page_add (p, "Waiting ended before its time: ");
  for (int i = 0; i < n->n; i++)
    page_add (p, "%s%s (%llu)", between (i, n->n), n->at[i].name, ULL (n->at[i].count));
  page_add (p, ".");
}

/*--------------------------------------------------------------------*/
/* Delays. */

static bool
when_one_delay (const struct evidence *e)
{
  return e->tally->delayed == 1;
}

static void
say_one_delay (struct page *p, const struct evidence *e)
{
  char buf[UNITS_SIZE];

  page_add (p, "One request was delayed, by %s.", units_time (buf, e->tally->delay_max));
}

static bool
when_delays (const struct evidence *e)
{
  return e->tally->delayed > 1;
}

static void
say_delays (struct page *p, const struct evidence *e)
{
  const struct tally *t = e->tally;
  char a[UNITS_SIZE], b[UNITS_SIZE], c[UNITS_SIZE], d[UNITS_SIZE], all[UNITS_SIZE];

  page_add (p, "%llu delays: half of them up to %s, 90 %% up to %s, 99 %% up to %s, at most %s; "
            "%s together.", ULL (t->delayed), units_time (a, tally_delay (t, 0.5)),
            units_time (b, tally_delay (t, 0.9)), units_time (c, tally_delay (t, 0.99)),
            units_time (d, t->delay_max), units_time (all, t->delay_sum));
}

/*--------------------------------------------------------------------*/

static const struct {
  enum sentences group;
  bool (*when) (const struct evidence *e);
  void (*say) (struct page *p, const struct evidence *e);
} table[] = {
  { SAY_VERDICT, when_nothing, say_nothing },
  { SAY_VERDICT, when_none, say_none },
  { SAY_VERDICT, when_faults, say_faults },
  { SAY_VERDICT, when_never, say_never },
  { SAY_VERDICT, when_open, say_open },
  { SAY_VERDICT, when_each, say_each },
  { SAY_VERDICT, when_unused, say_unused },
  { SAY_NOTES, when_torn, say_torn },
  { SAY_NOTES, when_unstopped, say_unstopped },
  { SAY_NOTES, when_unstarted, say_unstarted },
  { SAY_NOTES, when_dropped, say_dropped },
  { SAY_NOTES, when_missing, say_missing },
  { SAY_NOTES, when_foreign, say_foreign },
  { SAY_NOTES, when_runs, say_runs },
  { SAY_NOTES, when_hanging, say_hanging },
  { SAY_NOTES, when_unseen, say_unseen },
  { SAY_NOTES, when_crowded, say_crowded },
  { SAY_RULES, when_more_rules, say_more_rules },
  { SAY_WHEN, when_faults, say_bars },
  { SAY_WHEN, when_one_moment, say_one_moment },
  { SAY_WHEN, when_several, say_several },
  { SAY_WHEN, when_busy_time, say_busy_time },
  { SAY_WHEN, when_even_time, say_even_time },
  { SAY_WHEN, when_gap, say_gap },
  { SAY_WHEN, when_zoomed_time, say_zoomed_time },
  { SAY_WHERE, when_placed, say_cells },
  { SAY_WHERE, when_shared, say_shared },
  { SAY_WHERE, when_one_place, say_one_place },
  { SAY_WHERE, when_busy_place, say_busy_place },
  { SAY_WHERE, when_even_place, say_even_place },
  { SAY_WHERE, when_zoomed_place, say_zoomed_place },
  { SAY_WHERE, when_unplaced, say_unplaced },
  { SAY_KINDS, when_results, say_results },
  { SAY_KINDS, when_endings, say_endings },
  { SAY_DELAYS, when_one_delay, say_one_delay },
  { SAY_DELAYS, when_delays, say_delays },
};

void
verdict_say (struct page *p, enum sentences group, const struct evidence *e)
{
  bool begun = false;

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (table[i].group == group && table[i].when (e)) {
      if (begun)
        page_markup (p, group == SAY_NOTES ? "</p>\n" : " ");
      if (!begun || group == SAY_NOTES)
        page_markup (p, group == SAY_NOTES ? "<p class=\"note\"><b>Note:</b> "
                     : group == SAY_VERDICT ? "<h1>" : "<p>");
      table[i].say (p, e);
      begun = true;
    }
  if (begun)
    page_markup (p, group == SAY_VERDICT ? "</h1>\n" : "</p>\n");
}
