/* figure.c - pictures of a fault log.
 *
 *      NAMES         COLUMNS columns of time                     NAMES: a picture of its own,
 *     |A slow-reads | ▂ ▁▃ ▂▁▁ ▂  when: a row for each rule      which stays when the other
 *     |B bad-area   |  ▃    ▃     each with its own scale        one is scrolled
 *     |             |0 s      2 s
 *     |0            |   A  A
 *     |64M          |BBBABBBB BB  where: rows of the disk
 */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "control/figure.h"
#include "control/units.h"

/* Pixels. */
#define NAMES 150               /* of the names' picture */
#define CELL 9                  /* of a column */
#define GRAPH (FIGURE_COLUMNS * CELL)
#define ROW 32                  /* of a row of the first picture */
#define BAR 26                  /* its highest bar */
#define PLACE 10                /* of a row of the second one */
#define AXIS 18                 /* the numbers below */
#define PAD 6

char
figure_letter (int number)
{
  return number > LETTERS ? '*' : (char) ('A' + number - 1);
}

enum page_ink
figure_ink (int number)
{
  return number > LETTERS ? INK_OTHER : (enum page_ink) (INK_1 + (number - 1) % INKS);
}

double
figure_column (const struct figure *f)
{
  return (f->to - f->from) / FIGURE_COLUMNS;
}

/*--------------------------------------------------------------------*/
/* Bins. */

/* The whole run, unless all faults are in an eighth of it. */
static void
choose_times (struct figure *f)
{
  const struct tally *t = f->tally;

  f->from = 0;
  f->to = t->end;
  if (t->last - t->first < t->end / 8) {
    f->from = t->first;
    f->to = t->last;
  }
  if (f->to - f->from < 1e-3)
    f->to = f->from + 1e-3;
}

/* The whole disk, unless all faults are in an eighth of it; in rows of a power of two. */
static void
choose_places (struct figure *f)
{
  const struct tally *t = f->tally;
  uint64_t low = t->low, high = t->high;

  if (t->placed == 0)
    return;
  if (t->size > high && high - low >= t->size / 8) {
    low = 0;
    high = t->size - 1;
  }
  for (f->unit = 512; high / f->unit - low / f->unit >= FIGURE_ROWS; )
    f->unit *= 2;
  f->base = low / f->unit * f->unit;
  f->nr_places = (int) (high / f->unit - low / f->unit) + 1;
}

static void
give_letters (struct figure *f, struct tally *t, struct source *const *sorted, int n)
{
  for (int i = 0; i < t->nr_sources; i++)
    t->sources[i]->letter = 0;
  for (int i = 0; i < n && sorted[i]->faults > 0; i++) {
    sorted[i]->letter = i < LETTERS ? i + 1 : LETTERS + 1;
    f->nr_rows = sorted[i]->letter;
    f->rows[f->nr_rows - 1] = sorted[i];
  }
}

static void
add (void *opaque, const struct fault_line *line)
{
  struct figure *f = opaque;
  const int row = line->source->letter - 1;
  const double place = (line->t - f->from) / figure_column (f);
  const int column = place < 0 ? 0
    : place < FIGURE_COLUMNS - 1 ? (int) place : FIGURE_COLUMNS - 1;
  uint64_t y;

  if (row < 0)
    return;                     /* the log has changed meanwhile */
  f->when[row][column]++;
  f->columns[column]++;
  if (!tally_has_place (line->op) || line->offset < f->base)
    return;
  y = (line->offset - f->base) / f->unit;
  if (y < (uint64_t) f->nr_places) {
    f->places[y]++;
    f->where[y][column] |= UINT32_C (1) << row;
  }
}

void
figure_read (struct figure *f, struct tally *t, struct source *const *sorted, int n)
{
  *f = (struct figure) { .tally = t };
  give_letters (f, t, sorted, n);
  if (f->nr_rows == 0)
    return;
  choose_times (f);
  choose_places (f);
  tally_again (t, add, f);
  for (int y = 0; y < f->nr_places; y++)
    for (int x = 0; x < FIGURE_COLUMNS; x++)
      f->shared += (f->where[y][x] & (f->where[y][x] - 1)) != 0;
}

/*--------------------------------------------------------------------*/
/* The axis of time. */

/* The least step between numbers, so that there are at most ten. */
static double
step_of (double span)
{
  static const double steps[] = { 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200,
                                  18000, 36000, 86400, 172800, 432000 };
  static const double digits[] = { 1, 2, 5 };
  const double least = span / 10;
  double power = 1e-9;

  if (least <= 1) {
    while (power * 10 < least)
      power *= 10;
    for (int i = 0; i < 3; i++)
      if (digits[i] * power >= least)
        return digits[i] * power;
    return power * 10;
  }
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
    if (steps[i] >= least)
      return steps[i];
  return 432000 * ceil (least / 432000);
}

/* Write the time T of an axis with this step. */
static const char *
tick (char *buf, double t, double step)
{
  if (step >= 3600)
    snprintf (buf, UNITS_SIZE, "%g h", t / 3600);
  else if (step >= 60)
    snprintf (buf, UNITS_SIZE, "%g min", t / 60);
  else
    snprintf (buf, UNITS_SIZE, "%.*f s", step < 1 ? (int) ceil (-log10 (step) - 1e-9) : 0, t);
  return buf;
}

static void
draw_axis (struct page *p, const struct figure *f, int height)
{
  const double span = f->to - f->from, step = step_of (span);
  const double first = ceil (f->from / step - 1e-9);
  char buf[UNITS_SIZE];

  for (int i = 0; i <= 10; i++) {
    const double t = (first + i) * step;
    const int x = (int) ((t - f->from) / span * GRAPH);

    if (x > GRAPH)
      break;
    page_line (p, INK_LINE, x, 0, x, height);
    page_label (p, INK_DIM, x < 20 ? AT_START : x > GRAPH - 20 ? AT_END : AT_MIDDLE, 0,
                x, height + 13, "%s", tick (buf, t, step));
  }
}

/*--------------------------------------------------------------------*/
/* When. */

static uint64_t
most (const uint64_t *counts, int n)
{
  uint64_t m = 0;

  for (int i = 0; i < n; i++)
    m = counts[i] > m ? counts[i] : m;
  return m;
}

/* The name of a row, with its letter and what its highest bar stands for. */
static void
draw_name (struct page *p, const struct figure *f, int row)
{
  const int y = row * ROW + PAD;
  const char letter[] = { figure_letter (row + 1), '\0' };
  const char *name = row < LETTERS ? f->rows[row]->name : "all others";
  const size_t n = strlen (name), fit = page_fit (name, n, 18);
  char cut[TALLY_NAME];

  snprintf (cut, sizeof cut, "%.*s", (int) fit, name);
  page_rect (p, figure_ink (row + 1), PAD, y + 2, 14, 14);
  page_label (p, INK_ON, AT_MIDDLE, 0, PAD + 7, y + 13, "%s", letter);
  page_label (p, INK_TEXT, AT_START, 0, PAD + 20, y + 13, fit < n ? "%s\u2026" : "%s", cut);
  page_label (p, INK_DIM, AT_START, 9, PAD + 20, y + 24, "most: %llu",
              (unsigned long long) most (f->when[row], FIGURE_COLUMNS));
}

static void
draw_bars (struct page *p, const struct figure *f, int row)
{
  const uint64_t *counts = f->when[row];
  const double m = (double) most (counts, FIGURE_COLUMNS);
  const int bottom = (row + 1) * ROW + PAD - 4;

  page_line (p, INK_LINE, 0, bottom, GRAPH, bottom);
  page_boxes (p, figure_ink (row + 1));
  for (int x = 0; x < FIGURE_COLUMNS; x++)
    if (counts[x] > 0) {
      const int height = (int) ceil ((double) counts[x] / m * BAR);

      page_box (p, x * CELL + 1, bottom - height, CELL - 2, height);
    }
  page_boxes_end (p);
}

void
figure_when (struct page *p, const struct figure *f)
{
  const int height = f->nr_rows * ROW + PAD;

  page_figure (p);
  page_svg (p, NAMES, height + AXIS, NULL);
  for (int row = 0; row < f->nr_rows; row++)
    draw_name (p, f, row);
  page_svg_end (p);
  page_svg (p, GRAPH + PAD, height + AXIS, "how many faults there were at each time; the words "
            "under the picture and the table above say it, too");
  draw_axis (p, f, height);
  for (int row = 0; row < f->nr_rows; row++)
    draw_bars (p, f, row);
  page_svg_end (p);
  page_figure_end (p);
}

/*--------------------------------------------------------------------*/
/* Where and when. */

/* Of the rows in a cell, the one that is shown: of the source with the fewest faults. */
static int
shown (uint32_t rows)
{
  const uint32_t lettered = rows & ((UINT32_C (1) << LETTERS) - 1);
  int row = LETTERS;

  if (lettered)
    for (row = LETTERS - 1; !(lettered >> row & 1); row--)
      ;
  return row;
}

/* The cells of one source. */
static void
draw_cells (struct page *p, const struct figure *f, int row)
{
  page_boxes (p, figure_ink (row + 1));
  for (int y = 0; y < f->nr_places; y++)
    for (int x = 0; x < FIGURE_COLUMNS; x++)
      if (f->where[y][x] && shown (f->where[y][x]) == row)
        page_box (p, x * CELL, PAD + y * PLACE, CELL - 1, PLACE - 1);
  page_boxes_end (p);
}

static void
draw_letters (struct page *p, const struct figure *f, int y)
{
  char letters[FIGURE_COLUMNS];
  int places[FIGURE_COLUMNS];
  size_t n = 0;

  for (int x = 0; x < FIGURE_COLUMNS; x++)
    if (f->where[y][x]) {
      places[n] = x * CELL + CELL / 2;
      letters[n++] = figure_letter (shown (f->where[y][x]) + 1);
    }
  page_letters (p, INK_ON, 8, PAD + y * PLACE + 8, places, letters, n);
}

/* The first byte of each row whose number is a multiple of STEP. */
static void
draw_places (struct page *p, const struct figure *f, int step)
{
  char buf[UNITS_SIZE];

  for (int y = 0; y < f->nr_places; y += step)
    page_label (p, INK_DIM, AT_END, 0, NAMES - PAD, PAD + y * PLACE + 9, "%s",
                units_bytes (buf, f->base + (uint64_t) y * f->unit));
}

void
figure_where (struct page *p, const struct figure *f)
{
  const int height = f->nr_places * PLACE + PAD;
  const int step = f->nr_places > 8 ? 4 : f->nr_places > 4 ? 2 : 1;

  page_figure (p);
  page_svg (p, NAMES, height + AXIS, NULL);
  draw_places (p, f, step);
  page_svg_end (p);
  page_svg (p, GRAPH + PAD, height + AXIS, "which parts of the disk had faults at which time; "
            "the words under the picture say where most were");
  draw_axis (p, f, height);
  for (int y = 0; y <= f->nr_places; y += step)
    page_line (p, INK_LINE, 0, PAD + y * PLACE, GRAPH, PAD + y * PLACE);
  for (int row = 0; row < f->nr_rows; row++)
    draw_cells (p, f, row);
  for (int y = 0; y < f->nr_places; y++)
    draw_letters (p, f, y);
  page_svg_end (p);
  page_figure_end (p);
}

/*--------------------------------------------------------------------*/
/* Delays. */

/* The first and the last class with a delay, as multiples of STEP. */
static void
used (const struct tally *t, int step, int *first, int *last)
{
  *first = -1;
  for (int i = 0; i < TALLY_DELAYS; i++)
    if (t->delays[i] > 0) {
      if (*first < 0)
        *first = i / step;
      *last = i / step;
    }
}

/* A bar for a quarter of a decade, or a decade where those are too many. */
void
figure_delays (struct page *p, const struct tally *t)
{
  int step = TALLY_DECADE / 4, first, last = 0;
  uint64_t sums[TALLY_DELAYS / (TALLY_DECADE / 4)] = { 0 }, m;
  char buf[UNITS_SIZE];

  used (t, step, &first, &last);
  if (last - first >= 16) {
    step = TALLY_DECADE;
    used (t, step, &first, &last);
  }
  for (int i = 0; i < TALLY_DELAYS; i++)
    sums[i / step] += t->delays[i];
  m = most (sums, sizeof sums / sizeof sums[0]);
  page_figure (p);
  page_svg (p, 366, (last - first + 1) * 20 + 2 * PAD, "how many delays were how long; the words "
            "above and the numbers say it, too");
  for (int i = first; i <= last; i++) {
    const int y = PAD + (i - first) * 20;

    page_label (p, INK_TEXT, AT_END, 0, 90, y + 14, "up to %s",
                units_time (buf, pow (10, (i + 1.0) * step / TALLY_DECADE - 9)));
    page_label (p, INK_TEXT, AT_END, 0, 140, y + 14, "%llu", (unsigned long long) sums[i]);
    if (sums[i] > 0)
      page_rect (p, INK_6, 148, y + 3, (int) ceil ((double) sums[i] / (double) m * 210), 14);
  }
  page_svg_end (p);
  page_figure_end (p);
}
