/* choice.h - which version of each sector a power cut leaves.
 *
 * A choice is written as
 *
 *      none            what is durable
 *      all             the newest version of each sector
 *      lose-LIST       the newest one that is not of a request in LIST
 *      only-LIST       the newest one of a request in LIST
 *      prefix-N        the newest one of a request up to number N
 *      reqs-S          only-LIST with each pending request by the odds of 1:2
 *      sectors-S       any version of each sector
 *      state-I         state number I of all that there are
 *
 * where what is durable stands for a version that there is not.  LIST is such as
 * "37,40-42" or "37:9" or "37:0-7": numbers of requests, and sectors of one, counted
 * from its first.  S is the seed of draw (S, x) = mix (mix (S) + x), where mix is
 * chance_mix: of the number of a request, or of a sector.
 *
 * Functions that return int return 0, EINVAL, with a sentence in WHY of SIZE bytes, or
 * ENOMEM.
 */

#ifndef DISK_CHOICE_H
#define DISK_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/lost.h"
#include "disk/versions.h"
#include "disk/view.h"

enum choice_kind {
  CHOICE_NONE, CHOICE_ALL, CHOICE_LOSE, CHOICE_ONLY, CHOICE_PREFIX, CHOICE_REQS,
  CHOICE_SECTORS, CHOICE_STATE
};

/* Requests FIRST to LAST; or, where PARTS says so, sectors FROM to TO of request FIRST. */
struct choice_item {
  uint64_t first, last;
  bool parts;
  uint64_t from, to;
};

struct choice {
  enum choice_kind kind;
  uint64_t number;              /* N, S or I */
  struct choice_item *item;     /* LIST */
  size_t n, room;
};

/* What is lost, of what was volatile. */
struct loss {
  uint64_t requests, all_requests;      /* requests that lost something */
  uint64_t sectors, all_sectors;
  bool lie;                     /* no honest disk could have lost that */
};

/* Read a choice, which the caller frees with choice_free in any case. */
int choice_parse (const char *text, struct choice *c, char *why, size_t size);
void choice_free (struct choice *c);

/* Make the choice.  PATCHES, which is empty, gets what differs from the newest content,
 * on a disk of so many BYTES; the caller frees it in any case.  The versions are locked.
 */
int choice_make (const struct choice *c, struct versions *v, uint64_t bytes,
                 struct patches *patches, struct loss *loss, char *why, size_t size);

/* What the choice loses, added to LOST, which is empty.  The versions are locked. */
int choice_lost (const struct choice *c, struct versions *v, struct lost *lost, char *why,
                 size_t size);

/* How many states state-I can name.  EINVAL: there are too many. */
int choice_states (const struct versions *v, uint64_t *states, char *why, size_t size);

/* Call EACH with one sector, chosen by the seed of the choice, of each request that has
 * changed the disk and is in flight: it lies in segment S, where N is its version.
 */
void choice_flight (const struct choice *c, const struct versions *v,
                    void (*each) (void *context, const struct segment *s,
                                  const struct version *n, uint64_t sector),
                    void *context);

/* draw (S, x) */
uint64_t choice_draw (uint64_t s, uint64_t x);

#endif /* DISK_CHOICE_H */
