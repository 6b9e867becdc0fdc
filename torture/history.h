/* history.h - what was recorded: the moments to try, marks, requests, and what a name
 * means, in words.
 */

#ifndef TORTURE_HISTORY_H
#define TORTURE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "torture/options.h"

struct mark {
  uint64_t time;
  char *text;                   /* "ack X" or "begin X" */
};

struct point {
  uint64_t time;
  char *name;                   /* as in crash/NAME/none */
  unsigned pending;             /* requests */
  size_t marks;                 /* that were set by then */
};

struct request {
  uint64_t number, offset, count;
  char op[8];
};

struct history {
  struct mark *mark;
  size_t marks;
  struct point *point;
  size_t points;
  struct request *request;
  size_t requests, flushes;
  char *hit;                    /* by HIT_RULE first, as OP OFFSET+COUNT; NULL: nothing */
  size_t hit_marks;             /* marks before that */
  bool hit_late;                /* the workload had ended then */
  uint64_t bytes;               /* that were written */
  unsigned acks;                /* "ack X" of the workload; and what it has written */
  size_t before_ack, after_ack; /* before the first of them, and after that */
  uint32_t sector;              /* bytes */
};

/* Ask the server for it, from the mark with which the recording begins.  PROMISED: a file of
 * promises that were made before it, which there need not be.
 */
struct history history_read (const struct options *o, const char *promised);

/* Free what it has. */
void history_free (struct history *h);

/* A request by its number, or NULL: it came before the recording began. */
const struct request *history_request (const struct history *h, uint64_t number);

/* Put the marks by then that begin with KIND, such as "ack ", into a file, without that. */
void history_write (const struct history *h, const struct point *p, const char *kind,
                    const char *file);

/* The offset of the first byte that a choice loses of the only request of which it loses
 * anything.  False: there is not one alone.
 */
bool history_lost_at (const struct history *h, const char *choice, uint64_t *offset);

/* What happens at a point, and what a choice loses, as a sentence, from malloc.  LOSES:
 * does it lose anything?  OWNER: to what that belongs, or NULL.
 */
char *history_tell (const struct history *h, const struct point *p, const char *choice,
                    bool loses, const char *owner);

#endif /* TORTURE_HISTORY_H */
