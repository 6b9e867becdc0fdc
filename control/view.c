/* view.c - how --top shows what happened between two samples.
 *
 * A screen is made of lines, of which each has a rank: where the terminal has too few
 * rows, those of the highest rank are left out.  Lines of a table lose their columns
 * from the right, where it is too narrow; totals stand there.
 */

#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <wchar.h>

#include "control/view.h"

#define GRAPH 60                /* rates that are kept */

/* What helps, though nothing depends on it. */
#define BOLD "1"
#define DIM "2"
#define RED "31"
#define YELLOW "33"

static double rates[GRAPH];
static size_t nr_rates;

/*--------------------------------------------------------------------*/
/* Lines. */

static struct {
  FILE *out;
  int columns;
  int left;                     /* rows that are not written yet */
  bool colours;
} screen;

/* Add the text to F, so that it takes WIDTH columns: what does not fit, and what does
 * not print, is left out or replaced.  The locale says what characters are.
 */
static void
put_text (FILE *f, const char *s, int width, bool pad)
{
  size_t left = strlen (s), n;
  mbstate_t state = { 0 };
  wchar_t c;
  int w;

  for (; left > 0; s += n, left -= n) {
    n = mbrtowc (&c, s, left, &state);
    if (n == (size_t) -1 || n == (size_t) -2) {
      memset (&state, 0, sizeof state);
      n = 1;
      w = -1;
    }
    else
      w = wcwidth (c);
    if ((w > 0 ? w : 1) > width)
      break;
    if (w > 0)
      fwrite (s, 1, n, f);
    else
      putc ('?', f);
    width -= w > 0 ? w : 1;
  }
  for (; pad && width > 0; width--)
    putc (' ', f);
}

/* Write a line in this colour (NULL: none), if there is a row for it. */
static void
put_line (const char *colour, const char *s)
{
  const bool shown = colour && (screen.colours || *colour < '3');

  if (screen.left <= 0)
    return;
  if (shown)
    fprintf (screen.out, "\033[%sm", colour);
  put_text (screen.out, s, screen.columns, false);
  fputs (shown ? "\033[0m\033[K" : "\033[K", screen.out);
  if (--screen.left > 0)
    fputs ("\r\n", screen.out);
}

/*--------------------------------------------------------------------*/
/* Numbers, in at most 8 columns. */

static const char *
show_bytes (char *s, double n)
{
  static const char units[] = " KMGTPE";
  int unit = 0;

  for (; n >= 1024 && units[unit + 1]; unit++)
    n /= 1024;
  if (unit == 0)
    snprintf (s, 16, "%.0f", n);
  else
    snprintf (s, 16, n < 100 ? "%.1f%c" : "%.0f%c", n, units[unit]);
  return s;
}

static const char *
show_rate (char *s, double n)
{
  snprintf (s, 16, n == 0 || n >= 10 ? "%.0f" : "%.1f", n);
  return s;
}

static const char *
show_count (char *s, uint64_t n)
{
  snprintf (s, 24, "%llu", (unsigned long long) n);
  return s;
}

static const char *
show_time (char *s, double t)
{
  if (t == 0)
    snprintf (s, 16, "-");
  else if (t < 0.9995e-6)
    snprintf (s, 16, "<1us");
  else if (t < 0.9995e-3)
    snprintf (s, 16, "%.0fus", t * 1e6);
  else if (t < 0.9995)
    snprintf (s, 16, "%.1fms", t * 1e3);
  else
    snprintf (s, 16, "%.1fs", t);
  return s;
}

/*--------------------------------------------------------------------*/
/* Tables. */

#define CELLS 9

/* A row: a name, and what stands to the right of it, in columns of these widths. */
struct row { char cell[CELLS][24]; };

static void
put_row (const char *colour, const char *name, int width, const struct row *r,
         const int *widths)
{
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream (&text, &size);
  int used = width;

  if (!f)
    return;
  put_text (f, name, width, true);
  for (size_t i = 0; i < CELLS && widths[i]; i++) {
    used += widths[i];
    if (used > screen.columns)
      break;
    fprintf (f, "%*s", widths[i], r->cell[i]);
  }
  fclose (f);
  put_line (colour, text);
  free (text);
}

/* How much more a second. */
static double
per_second (uint64_t new, uint64_t old, double seconds)
{
  return seconds > 0 && new > old ? (double) (new - old) / seconds : 0;
}

static const int op_widths[CELLS] = { 7, 9, 6, 8, 8, 8, 8, 10, 8 };
static const struct row op_head = { {
  "req/s", "bytes/s", "err/s", "p50", "p99", "max", "waiting", "requests", "errors",
} };

static void
put_op (const struct sample *old, const struct sample_op *o, double seconds)
{
  const struct sample_op b = sample_before (old, o->name);
  const double errors = per_second (o->errors, b.errors, seconds);
  struct row r = { { "" } };

  show_rate (r.cell[0], per_second (o->requests, b.requests, seconds));
  show_bytes (r.cell[1], per_second (o->bytes, b.bytes, seconds));
  show_rate (r.cell[2], errors);
  show_time (r.cell[3], sample_percentile (&b, o, 0.5));
  show_time (r.cell[4], sample_percentile (&b, o, 0.99));
  show_time (r.cell[5], sample_max (&b, o));
  show_count (r.cell[6], o->waiting);
  show_count (r.cell[7], o->requests);
  show_count (r.cell[8], o->errors);
  put_row (errors > 0 ? RED : o->waiting > 0 ? YELLOW : NULL, o->name, 8, &r,
           op_widths);
}

static const int rule_widths[CELLS] = { 8, 9, 9, 9, 11, 10 };
static const struct row rule_head = { {
  "state", "hits/s", "fired/s", "hanging", "hits", "fired",
} };

static void
put_rule (const struct sample *old, const struct sample_rule *x, size_t *at,
          double seconds, int width)
{
  const struct sample_rule b = sample_rule_before (old, x->name, at);
  const double fired = per_second (x->fired, b.fired, seconds);
  struct row r = { { "" } };

  snprintf (r.cell[0], sizeof r.cell[0], "%s", x->state);
  show_rate (r.cell[1], per_second (x->hits, b.hits, seconds));
  show_rate (r.cell[2], fired);
  show_count (r.cell[3], x->hanging);
  show_count (r.cell[4], x->hits);
  show_count (r.cell[5], x->fired);
  put_row (fired > 0 || x->hanging > 0 ? YELLOW : NULL, x->name, width, &r,
           rule_widths);
}

/* As many rules as there is room for. */
static void
put_rules (const struct sample *old, const struct sample *new, double seconds,
           int room)
{
  const int width = screen.columns >= 80 ? 24 : 12;
  const size_t shown = (int) new->nr_rules < room ? new->nr_rules
    : room > 1 ? (size_t) room - 2 : 0;
  size_t at = 0;
  char more[48];

  if (room < 2 || new->nr_rules == 0)
    return;
  put_row (BOLD, "rule", width, &rule_head, rule_widths);
  for (size_t i = 0; i < shown; i++)
    put_rule (old, &new->rules[i], &at, seconds, width);
  snprintf (more, sizeof more, "... and %zu more", new->nr_rules - shown);
  if (shown < new->nr_rules)
    put_line (DIM, more);
}

/*--------------------------------------------------------------------*/
/* The lines above. */

static double
all_requests (const struct sample *s)
{
  uint64_t n = 0;

  for (size_t i = 0; i < s->nr_ops; i++)
    n += s->op[i].requests;
  return (double) n;
}

void
view_note (const struct sample *old, const struct sample *new)
{
  const double seconds = new->time - old->time;

  if (nr_rates == GRAPH)
    memmove (rates, rates + 1, (GRAPH - 1) * sizeof rates[0]);
  else
    nr_rates++;
  rates[nr_rates - 1] = seconds > 0
    ? (all_requests (new) - all_requests (old)) / seconds : 0;
}

static void
put_title (const struct sample *new, const char *path, const char *what)
{
  char left[200], right[64], line[300], clock[16];
  const time_t now = time (NULL);
  const unsigned long up = (unsigned long) new->time;
  struct tm tm;
  int gap;

  localtime_r (&now, &tm);
  strftime (clock, sizeof clock, "%H:%M:%S", &tm);
  snprintf (left, sizeof left, "memctl top  %.150s", path);
  snprintf (right, sizeof right, "%s%s%s  %lu:%02lu", what, *what ? "  " : "", clock,
            up / 60, up % 60);
  gap = screen.columns - (int) strlen (left) - (int) strlen (right);
  snprintf (line, sizeof line, "%s%*s%s", left, gap > 2 ? gap : 2, "", right);
  put_line (BOLD, line);
}

/* What is not always there; the power first, because the line may be too long. */
static void
add_rest (char *line, size_t size, const struct sample *new)
{
  char number[24];
  FILE *f = fmemopen (line, size, "w");

  if (!f)
    return;
  if (new->off)
    fputs ("  power off", f);
  else if (new->unflushed != UINT64_MAX)
    fprintf (f, "  unflushed %s", show_bytes (number, (double) new->unflushed));
  if (new->limit != UINT64_MAX)
    fprintf (f, "  limit %s", show_bytes (number, (double) new->limit));
  if (new->bad_ranges)
    fprintf (f, "  bad ranges %llu", (unsigned long long) new->bad_ranges);
  if (new->readonly)
    fputs ("  read-only", f);
  fclose (f);
}

static void
put_disk (const struct sample *new)
{
  const double share = new->size ? (double) new->allocated / (double) new->size : 0;
  char size[24], memory[24], bar[] = "          ", line[300];
  int n = (int) (share * 10 + 0.5);

  memset (bar, '|', (size_t) (n > 10 ? 10 : n));
  n = snprintf (line, sizeof line, "disk %s  memory %s [%s] %.0f%%  clients %llu",
                show_bytes (size, (double) new->size),
                show_bytes (memory, (double) new->allocated), bar, share * 100,
                (unsigned long long) new->connections);
  add_rest (line + n, sizeof line - (size_t) n, new);
  put_line (new->off ? RED : NULL, line);
}

static void
put_graph (void)
{
  static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
  static const char *const letters[] = { "_", ".", ":", "-", "=", "+", "*", "#" };
  const char *const *marks =
    strcasecmp (nl_langinfo (CODESET), "UTF-8") == 0 ? blocks : letters;
  const size_t room = screen.columns > 40 ? (size_t) screen.columns - 36 : 4;
  const size_t n = nr_rates < room ? nr_rates : room;
  const double *shown = rates + nr_rates - n;
  char line[GRAPH * 3 + 80], rate[24];
  double max = 0;
  int at;

  for (size_t i = 0; i < n; i++)
    max = shown[i] > max ? shown[i] : max;
  at = snprintf (line, sizeof line, "%7s req/s  ",
                 show_rate (rate, n ? shown[n - 1] : 0));
  for (size_t i = 0; i < n; i++)
    at += snprintf (line + at, sizeof line - (size_t) at, "%s",
                    marks[max > 0 ? (int) (shown[i] / max * 7) : 0]);
  snprintf (line + at, sizeof line - (size_t) at, "  max %s", show_rate (rate, max));
  put_line (NULL, line);
}

/*--------------------------------------------------------------------*/
/* Whole screens. */

/* The lines beside those of operations and rules, the least important first, which
 * is what has no room first.
 */
enum { KEYS, FIRST_GAP, SECOND_GAP, GRAPH_LINE, DISK, TITLE, EXTRAS };

static void
put_ops (const struct sample *old, const struct sample *new, double seconds)
{
  put_row (BOLD, "", 8, &op_head, op_widths);
  for (size_t i = 0; i < new->nr_ops; i++)
    put_op (old, &new->op[i], seconds);
  if (new->nr_ops == 0)
    put_line (DIM, "no requests yet");
}

static void
put_all (const struct sample *old, const struct sample *new, const char *path,
         const char *what, int rows)
{
  const double seconds = new->time - old->time;
  const int ops = new->nr_ops ? (int) new->nr_ops + 1 : 2;
  const int rules = new->nr_rules ? (int) new->nr_rules + 1 : 0;
  /* A few rules come before all that is only nice. */
  const int wanted = ops + (rules < 4 ? rules : 4);
  int drop = wanted + EXTRAS - rows;

  drop = drop < 0 ? 0 : drop;
  if (drop <= TITLE)
    put_title (new, path, what);
  if (drop <= DISK)
    put_disk (new);
  if (drop <= GRAPH_LINE)
    put_graph ();
  if (drop <= SECOND_GAP)
    put_line (NULL, "");
  put_ops (old, new, seconds);
  if (drop <= FIRST_GAP)
    put_line (NULL, "");
  put_rules (old, new, seconds, screen.left - (drop <= KEYS));
  while (drop <= KEYS && screen.left > 1)
    put_line (NULL, "");
  if (drop <= KEYS)
    put_line (DIM, "q quit   p pause   space now   r since start/rates   "
              "C clear rules");
}

char *
view_screen (const struct sample *old, const struct sample *new, const char *path,
             const char *what, int rows, int columns)
{
  const char *no_color = getenv ("NO_COLOR");
  char *text = NULL;
  size_t size = 0;

  screen.out = open_memstream (&text, &size);
  if (!screen.out)
    return NULL;
  screen.columns = columns;
  screen.left = rows;
  screen.colours = !no_color || !*no_color;
  fputs ("\033[H", screen.out);
  put_all (old, new, path, what, rows);
  fputs ("\033[J", screen.out);
  if (fclose (screen.out) == 0)
    return text;
  free (text);
  return NULL;
}

/*--------------------------------------------------------------------*/
/* For other programs. */

void
view_head (void)
{
  puts ("time\top\treq/s\tbytes/s\terr/s\tp50_s\tp99_s\tmax_s\trequests\terrors\t"
        "waiting");
}

static void
print_op (const char *time, const struct sample_op *b, const struct sample_op *o,
          double seconds)
{
  printf ("%s\t%s\t%.6g\t%.9g\t%.6g\t%.4g\t%.4g\t%.4g\t%llu\t%llu\t%llu\n", time,
          o->name, per_second (o->requests, b->requests, seconds),
          per_second (o->bytes, b->bytes, seconds),
          per_second (o->errors, b->errors, seconds),
          sample_percentile (b, o, 0.5), sample_percentile (b, o, 0.99),
          sample_max (b, o), (unsigned long long) o->requests,
          (unsigned long long) o->errors, (unsigned long long) o->waiting);
}

static void
print_rule (const char *time, const struct sample_rule *b,
            const struct sample_rule *r, double seconds)
{
  printf ("%s\trule:%s\t%.6g\t\t%.6g\t\t\t\t%llu\t%llu\t%llu\n", time, r->name,
          per_second (r->hits, b->hits, seconds),
          per_second (r->fired, b->fired, seconds), (unsigned long long) r->hits,
          (unsigned long long) r->fired, (unsigned long long) r->hanging);
}

void
view_lines (const struct sample *old, const struct sample *new)
{
  const double seconds = new->time - old->time;
  const time_t now = time (NULL);
  char clock[32];
  struct tm tm;
  size_t at = 0;

  gmtime_r (&now, &tm);
  strftime (clock, sizeof clock, "%Y-%m-%dT%H:%M:%SZ", &tm);
  for (size_t i = 0; i < new->nr_ops; i++) {
    const struct sample_op b = sample_before (old, new->op[i].name);

    print_op (clock, &b, &new->op[i], seconds);
  }
  for (size_t i = 0; i < new->nr_rules; i++) {
    const struct sample_rule b = sample_rule_before (old, new->rules[i].name, &at);

    print_rule (clock, &b, &new->rules[i], seconds);
  }
}
