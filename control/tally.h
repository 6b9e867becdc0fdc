/* tally.h - what a fault log says, counted.
 *
 * A log may be large, cut off, or anything else: it is read line by line, and what is kept of
 * it does not grow with it.  For one thread.
 */

#ifndef TALLY_H
#define TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sys/types.h>

#define TALLY_SOURCES 1000      /* rules, hooks and so on that are told apart */
#define TALLY_KINDS 40          /* what was done */
#define TALLY_OPS 16            /* operations */
#define TALLY_RESULTS 24        /* how requests ended */
#define TALLY_FIRST 100         /* faults that are kept as they are */
#define TALLY_WORD 32           /* bytes of a short name, with its 0 */
#define TALLY_NAME 120          /* of the name of a rule */
#define TALLY_TEXT 240          /* of a rule as it is written, and of what it did */

/* Delays are counted in classes of which each ends 10^(1/200), about 1 %, above the one
 * before, from 1 ns on.
 */
#define TALLY_DELAYS 3200
#define TALLY_DECADE 200

/* Names, in the order in which they came, and how often.  What has no room counts as the
 * last one, "other".
 */
struct names {
  struct { char name[TALLY_WORD]; uint64_t count; } at[TALLY_KINDS];
  int n;
};

/* Who made faults: a rule, the hook of an operation, the medium; or those that have no room
 * here.
 */
enum source_what { SOURCE_RULE, SOURCE_HOOK, SOURCE_MEDIUM, SOURCE_OTHERS };

struct source {
  enum source_what what;
  char name[TALLY_NAME], text[TALLY_TEXT];
  bool declared;                /* a rule, which has a line without a fault */
  bool told;                    /* it has its last line, which has these: */
  bool optional;
  uint64_t matched, fired;      /* requests */
  uint64_t faults;              /* lines */
  uint64_t kinds[TALLY_KINDS];  /* lines, as in kinds of the tally */
  double first, last;           /* s since the server's start; of its faults */
  int letter;                   /* for its user; 0 at first */
  struct source *next;          /* in its bucket */
};

/* A fault as the log has it, and how its request ended. */
struct fault_line {
  const struct source *source;
  double t;                     /* s since the server's start */
  char op[TALLY_WORD], export_name[TALLY_WORD], did[TALLY_TEXT];
  uint64_t offset, count, req, conn;
  char result[TALLY_WORD];      /* empty: not known */
  double latency;               /* s */
};

struct tally {
  /* The first line, if it has one, and the last. */
  bool started, stopped;
  char time[TALLY_WORD], version[TALLY_WORD];
  uint64_t size, sector, seed;
  uint64_t requests, errors;

  /* Lines: of the log, no lines of a log (and the number of the first), lost ones as the
   * log says, those that are missing without that, and runs before the one that counts.
   */
  uint64_t lines, foreign, first_foreign, dropped, missing, runs;
  bool torn;                    /* it ends within a line */
  double end;                   /* the time of the last line, in s since the start */

  uint64_t faults;              /* lines about a fault */
  double first, last;           /* time of the first and last fault */
  uint64_t placed;              /* faults that have a place, and from where to where */
  uint64_t low, high;
  uint64_t hangs;               /* that began */
  struct names kinds, ops, results, endings;
  uint64_t grid[TALLY_OPS][TALLY_KINDS];        /* faults: which operation, what */

  uint64_t delayed;
  uint64_t delays[TALLY_DELAYS];
  double delay_sum, delay_max;  /* s */
  double slowest;               /* latency of a request, s */

  struct fault_line shown[TALLY_FIRST];
  int nr_shown;

  struct source *sources[TALLY_SOURCES + 1];    /* in the order in which they came */
  int nr_sources;

  /* Inside. */
  struct source *buckets[1024];
  bool no_memory;
  uint64_t last_seq;
  off_t begin, end_of_log;      /* of the run that counts, in bytes */
  FILE *in;
};

/* Count what the log IN says, which can be sought in and is read to its end.  If it has
 * several runs of a server, the last one counts.  T is to be freed by tally_free, whatever
 * happens.  Returns NULL, or why there is nothing to tell: a sentence without its end.
 */
const char *tally_read (struct tally *t, FILE *in);

/* Read the log again, and call EACH with every fault that was counted, in order. */
void tally_again (struct tally *t, void (*each) (void *opaque, const struct fault_line *f),
                  void *opaque);

/* Does this operation have a place on the disk? */
bool tally_has_place (const char *op);

/* The delay that SHARE of the delays (0 to 1) do not exceed, in s, to 1 %. */
double tally_delay (const struct tally *t, double share);

void tally_free (struct tally *t);

#endif /* TALLY_H */
