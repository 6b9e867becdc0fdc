/* report.c - memctl --report: a page about a fault log.
 *
 * The log is read twice: to count, and for the pictures, which need to know the rules with
 * the most faults, and how long all took.  So what is no regular file is copied first.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "control/client.h"
#include "control/commands.h"
#include "control/figure.h"
#include "control/tally.h"
#include "control/units.h"
#include "control/verdict.h"
#include "lib/page.h"

#define ULL(n) ((unsigned long long) (n))

/*--------------------------------------------------------------------*/
/* Tables. */

static void
put_time_cell (struct page *p, double seconds, bool known)
{
  char buf[UNITS_SIZE];

  page_add (p, known ? "<td class=\"n\">%s</td>" : "<td class=\"n\">\u2013</td>",
            units_time (buf, seconds));
}

static void
put_source (struct page *p, const struct source *s)
{
  static const char *const names[] = {
    [SOURCE_RULE] = "", [SOURCE_HOOK] = "hook on.", [SOURCE_MEDIUM] = "", [SOURCE_OTHERS] = "",
  };
  const char letter[] = { s->letter ? figure_letter (s->letter) : '\0', '\0' };

  if (s->letter)
    page_add (p, "<b class=\"badge %s\">%s</b> ",
              page_ink_class (figure_ink (s->letter)), letter);
  page_add (p, "<bdi>%s%s</bdi>", names[s->what], s->name);
}

/* What a source did, and how often, unless each time. */
static void
put_kinds (struct page *p, const struct tally *t, const struct source *s)
{
  bool any = false;

  for (int k = 0; k < t->kinds.n; k++)
    if (s->kinds[k] > 0) {
      page_add (p, any ? ", %s" : "%s", t->kinds.at[k].name);
      if (s->kinds[k] < s->faults)
        page_add (p, " (%llu)", ULL (s->kinds[k]));
      any = true;
    }
  if (s->faults > 0 && !any)
    page_add (p, "nothing: another rule came first");
  else if (verdict_never_fired (s))
    page_add (p, "<b>never fired</b>");
  else if (s->faults == 0 && s->told && s->fired == 0)
    page_add (p, "did not fire (optional)");
}

/* Of the requests that a rule matched, the share for which it fired. */
static void
put_share (struct page *p, const struct source *s)
{
  const double share = s->matched > 0 ? 100 * (double) s->fired / (double) s->matched : 0;

  if (!s->told || s->matched == 0)
    page_add (p, "<td class=\"n\">\u2013</td>");
  else if (s->fired > 0 && share < 0.01)
    page_add (p, "<td class=\"n\">&lt; 0.01 %%</td>");
  else
    page_add (p, "<td class=\"n\">%.2f %%</td>", share);
}

static void
put_rule (struct page *p, const struct tally *t, const struct source *s)
{
  page_add (p, "<tr><td class=\"name\">");
  put_source (p, s);
  if (*s->text)
    page_add (p, "<br><small><code>%s</code></small>", s->text);
  if (s->told)
    page_add (p, "</td><td class=\"n\">%llu</td><td class=\"n\">%llu</td>",
              ULL (s->matched), ULL (s->fired));
  else
    page_add (p, "</td><td class=\"n\">\u2013</td><td class=\"n\">%llu</td>", ULL (s->faults));
  put_share (p, s);
  page_add (p, "<td>");
  put_kinds (p, t, s);
  page_add (p, "</td>");
  put_time_cell (p, s->first, s->faults > 0);
  put_time_cell (p, s->last, s->faults > 0);
  page_add (p, "</tr>\n");
}

static void
put_rules (struct page *p, const struct evidence *e)
{
  const int n = e->tally->nr_sources;

  if (n == 0)
    return;
  page_add (p, "<h2>Rules</h2>\n<div class=\"table\" tabindex=\"0\"><table>\n"
            "<tr><th>rule</th><th class=\"n\">matched</th><th class=\"n\">fired</th>"
            "<th class=\"n\">share</th><th>what it did</th><th class=\"n\">first</th>"
            "<th class=\"n\">last</th></tr>\n");
  for (int i = 0; i < n && i < RULES_SHOWN; i++)
    put_rule (p, e->tally, e->sorted[i]);
  page_add (p, "</table></div>\n");
  verdict_say (p, SAY_RULES, e);
}

/* The numbers of names, those with the highest count first. */
static void
sort_names (const struct names *names, int *order)
{
  for (int i = 0; i < names->n; i++) {
    int k = i;

    for (; k > 0 && names->at[order[k - 1]].count < names->at[i].count; k--)
      order[k] = order[k - 1];
    order[k] = i;
  }
}

static void
put_grid (struct page *p, const struct tally *t)
{
  int kinds[TALLY_KINDS], ops[TALLY_KINDS];

  sort_names (&t->kinds, kinds);
  sort_names (&t->ops, ops);
  page_add (p, "<div class=\"table\" tabindex=\"0\"><table>\n<tr><th>request</th>");
  for (int k = 0; k < t->kinds.n; k++)
    page_add (p, "<th class=\"n\">%s</th>", t->kinds.at[kinds[k]].name);
  page_add (p, "<th class=\"n\">faults</th></tr>\n");
  for (int i = 0; i < t->ops.n; i++) {
    page_add (p, "<tr><th>%s</th>", t->ops.at[ops[i]].name);
    for (int k = 0; k < t->kinds.n; k++) {
      const uint64_t n = t->grid[ops[i]][kinds[k]];

      page_add (p, n ? "<td class=\"n\">%llu</td>" : "<td class=\"n\">\u2013</td>", ULL (n));
    }
    page_add (p, "<td class=\"n\">%llu</td></tr>\n", ULL (t->ops.at[ops[i]].count));
  }
  page_add (p, "</table></div>\n");
}

static void
put_fault (struct page *p, const struct fault_line *f)
{
  char buf[UNITS_SIZE];

  page_add (p, "<tr><td class=\"n\">%.6f</td><td class=\"w\">", f->t);
  put_source (p, f->source);
  page_add (p, "</td><td>%s</td>", f->op);
  if (tally_has_place (f->op))
    page_add (p, "<td class=\"n\">%llu</td><td class=\"n\">%llu</td>", ULL (f->offset),
              ULL (f->count));
  else
    page_add (p, "<td></td><td></td>");
  page_add (p, "<td class=\"n\">%llu</td><td>%s</td><td>%s</td><td>%s", ULL (f->conn),
            f->export_name, *f->did ? f->did : "nothing", *f->result ? f->result : "not known");
  if (*f->result)
    page_add (p, " after %s", units_time (buf, f->latency));
  page_add (p, "</td></tr>\n");
}

static void
put_faults (struct page *p, const struct tally *t)
{
  page_add (p, "<h2>The faults</h2>\n<details%s><summary>", t->nr_shown <= 10 ? " open" : "");
  page_add (p, ULL (t->nr_shown) < t->faults ? "The first %d of %llu" : "All %d",
            t->nr_shown, ULL (t->faults));
  page_add (p, "</summary>\n<div class=\"table\" tabindex=\"0\"><table>\n<tr>"
            "<th class=\"n\">seconds</th><th>rule</th><th>request</th><th class=\"n\">offset</th>"
            "<th class=\"n\">bytes</th><th class=\"n\">connection</th><th>export</th>"
            "<th>what was done</th><th>how the request ended</th></tr>\n");
  for (int i = 0; i < t->nr_shown; i++)
    put_fault (p, &t->shown[i]);
  page_add (p, "</table></div></details>\n");
}

/*--------------------------------------------------------------------*/
/* The page. */

/* The time of the start, such as 2026-11-25T23:48:13.203040Z. */
static void
put_start (struct page *p, const char *time)
{
  if (strlen (time) > 19 && time[10] == 'T' && time[19] == '.')
    page_add (p, "<li>from <b>%.10s %.8s</b> UTC</li>\n", time, time + 11);
  else if (*time)
    page_add (p, "<li>from <b>%s</b></li>\n", time);
}

static void
put_facts (struct page *p, const struct tally *t)
{
  char buf[UNITS_SIZE];

  page_add (p, "<ul class=\"facts\">\n");
  put_start (p, t->time);
  page_add (p, "<li>for <b>%s</b></li>\n", units_time (buf, t->end));
  if (t->started)
    page_add (p, "<li>a disk of <b>%s</b>, seed <b>%llu</b></li>\n", units_bytes (buf, t->size),
              ULL (t->seed));
  if (t->stopped)
    page_add (p, "<li><b>%llu</b> requests, of which <b>%llu</b> failed</li>\n",
              ULL (t->requests), ULL (t->errors));
  if (t->started && t->stopped && !t->torn && t->dropped + t->missing + t->foreign == 0)
    page_add (p, "<li>the log is complete</li>\n");
  page_add (p, "</ul>\n");
}

/* The part of a name behind its last slash. */
static const char *
base_name (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash && slash[1] ? slash + 1 : path;
}

static void
put_header (struct page *p, const struct evidence *e, const char *log)
{
  page_add (p, "<header>\n<p class=\"above\">fault log \u00B7 <bdi>%s</bdi></p>\n",
            base_name (log));
  verdict_say (p, SAY_VERDICT, e);
  put_facts (p, e->tally);
  page_add (p, "</header>\n");
}

static void
put_pictures (struct page *p, const struct evidence *e)
{
  const struct tally *t = e->tally;

  page_add (p, "<h2>When</h2>\n");
  figure_when (p, e->figure);
  verdict_say (p, SAY_WHEN, e);
  page_add (p, "<h2>Where and when</h2>\n");
  if (t->placed > 0)
    figure_where (p, e->figure);
  verdict_say (p, SAY_WHERE, e);
  page_add (p, "<h2>What happened to which request</h2>\n");
  put_grid (p, t);
  verdict_say (p, SAY_KINDS, e);
  if (t->delayed > 0) {
    page_add (p, "<h2>Delays</h2>\n");
    verdict_say (p, SAY_DELAYS, e);
    figure_delays (p, t);
  }
  put_faults (p, t);
}

/* Write the page.  Returns 0, or an errno code. */
static int
write_page (FILE *out, const struct evidence *e, const char *log)
{
  struct page p;
  char title[TALLY_NAME];
  const size_t fit = page_fit (base_name (log), strlen (base_name (log)), 60);

  snprintf (title, sizeof title, "%llu faults \u2013 %.*s", ULL (e->tally->faults),
            (int) (fit < 90 ? fit : 90), base_name (log));
  page_begin (&p, out, title, false);
  put_header (&p, e, log);
  page_add (&p, "<main>\n");
  verdict_say (&p, SAY_NOTES, e);
  put_rules (&p, e);
  if (e->tally->faults > 0)
    put_pictures (&p, e);
  page_add (&p, "</main>\n<footer>memctl %s, nbdkit-memory-plugin", VERSION);
  if (*e->tally->version && strcmp (e->tally->version, VERSION) != 0)
    page_add (&p, " (the log is of %s)", e->tally->version);
  page_add (&p, "</footer>\n");
  return page_end (&p);
}

/*--------------------------------------------------------------------*/

/* Those with the most faults first; then in the order of the log. */
static int
compare (const void *a, const void *b)
{
  const struct source *const *x = a, *const *y = b;

  if ((*x)->faults != (*y)->faults)
    return (*x)->faults < (*y)->faults ? 1 : -1;
  return (*x)->letter < (*y)->letter ? -1 : 1;
}

static void
sort_sources (struct tally *t, struct source **sorted)
{
  for (int i = 0; i < t->nr_sources; i++) {
    t->sources[i]->letter = i;
    sorted[i] = t->sources[i];
  }
  qsort (sorted, (size_t) t->nr_sources, sizeof (struct source *), compare);
}

static void
complain (const char *file, const char *why)
{
  fprintf (stderr, "memctl: %s: %s\n", file, why);
}

/* Copy what can be read once only.  NULL: errno says why not. */
static FILE *
copy_stream (FILE *in)
{
  FILE *copy = tmpfile ();
  char buf[65536];
  size_t n;

  while (copy && (n = fread (buf, 1, sizeof buf, in)) > 0)
    if (fwrite (buf, 1, n, copy) != n)
      break;
  if (copy && (ferror (in) || ferror (copy) || fflush (copy) != 0)) {
    fclose (copy);
    copy = NULL;
  }
  fclose (in);
  return copy;
}

/* Open the log ("-": standard input), so that it can be read twice.  NULL: errno says why
 * not.
 */
static FILE *
open_log (const char *log)
{
  FILE *in = strcmp (log, "-") == 0 ? stdin : fopen (log, "re");
  struct stat st;

  if (!in || fstat (fileno (in), &st) == -1)
    return NULL;
  if (S_ISDIR (st.st_mode)) {
    fclose (in);
    errno = EISDIR;
    return NULL;
  }
  return S_ISREG (st.st_mode) ? in : copy_stream (in);
}

/* Is the file OUTPUT the log itself? */
static bool
is_same (FILE *in, const char *output)
{
  struct stat a, b;

  return fstat (fileno (in), &a) == 0 && stat (output, &b) == 0
    && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Write the page where it belongs.  Returns an exit code. */
static int
put_out (const struct evidence *e, const char *log, const char *output)
{
  FILE *out = output ? fopen (output, "we") : stdout;
  int err = out ? write_page (out, e, log) : errno;

  if (output && out && fclose (out) != 0 && !err)
    err = errno;
  if (err)
    complain (output ? output : "standard output", strerror (err));
  return err ? FAILED : OK;
}

int
command_report (const char *log, const char *output)
{
  const char *name = strcmp (log, "-") == 0 ? "standard input" : log;
  static struct tally tally;
  static struct figure figure;
  static struct source *sorted[TALLY_SOURCES + 1];
  const struct evidence e = { .tally = &tally, .figure = &figure, .sorted = sorted };
  FILE *in = open_log (log);
  const char *why;
  int status = FAILED;

  if (!in) {
    complain (name, strerror (errno));
    return FAILED;
  }
  if (output && is_same (in, output)) {
    complain (output, "it is the log itself");
    fclose (in);
    return FAILED;
  }
  why = tally_read (&tally, in);
  if (why)
    complain (name, why);
  else {
    sort_sources (&tally, sorted);
    figure_read (&figure, &tally, sorted, tally.nr_sources);
    status = put_out (&e, name, output);
  }
  tally_free (&tally);
  fclose (in);
  return status;
}
