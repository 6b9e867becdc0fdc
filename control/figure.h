/* figure.h - pictures of a fault log: when, where, and how long.
 *
 * They are drawn from bins, so that their size does not depend on the log's.
 */

#ifndef FIGURE_H
#define FIGURE_H

#include <stdbool.h>
#include <stdint.h>

#include "control/tally.h"
#include "lib/page.h"

#define LETTERS 12              /* sources with a letter of their own: A to L */
#define FIGURE_COLUMNS 112      /* of time */
#define FIGURE_ROWS 32          /* of the disk */

/* The letter of a source with this number: A for 1, and so on; * for LETTERS + 1, which
 * stands for all others; and its colour.
 */
char figure_letter (int number);
enum page_ink figure_ink (int number);

struct figure {
  const struct tally *tally;
  struct source *rows[LETTERS + 1];     /* whose faults each row has */
  int nr_rows;                          /* 0: there is no fault */

  double from, to;              /* the time of both pictures, s since the start */
  uint64_t base, unit;          /* of the places: the first byte, the bytes of a row */
  int nr_places;                /* rows of the disk; 0: no fault has a place */

  uint64_t when[LETTERS + 1][FIGURE_COLUMNS];
  uint64_t columns[FIGURE_COLUMNS], places[FIGURE_ROWS];        /* sums */
  uint32_t where[FIGURE_ROWS][FIGURE_COLUMNS];  /* bit N: row N has a fault there */
  int shared;                   /* cells with more than one */
};

/* Read the log again for the pictures, whose rows are the N sources at SORTED, as far
 * as they have faults: the last one is for all that are left, when there are more than LETTERS.
 * Sets the letters of the sources.
 */
void figure_read (struct figure *f, struct tally *t, struct source *const *sorted, int n);

/* Seconds of time that a column covers. */
double figure_column (const struct figure *f);

/* Draw: when, a row for each source; where and when; delays, a bar for each class. */
void figure_when (struct page *p, const struct figure *f);
void figure_where (struct page *p, const struct figure *f);
void figure_delays (struct page *p, const struct tally *t);

#endif /* FIGURE_H */
