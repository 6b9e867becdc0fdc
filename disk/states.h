/* states.h - which states a power cut may leave at a moment: their names, what each loses,
 * and what stands for its content.
 */

#ifndef DISK_STATES_H
#define DISK_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/choice.h"
#include "disk/disk.h"
#include "disk/point.h"
#include "lib/digest.h"

enum states_how { STATES_ALL, STATES_LOSE_ONE, STATES_ONLY_ONE, STATES_PREFIX, STATES_RANDOM };

struct states {
  const char *point;            /* of a name: "now", "412" and so on */
  const char *choice;           /* this one alone, such as "lose-37"; or NULL */
  bool sectors;                 /* each sector by itself; else each request */
  enum states_how how;
  uint64_t seed;                /* RANDOM: of the first one */
  uint64_t first;               /* number of the first one that is wanted, from 0 */
  uint64_t count;               /* and how many */
};

/* Give EACH the states that are wanted, as far as there are so many, in order.  Nothing is
 * kept between calls.  The cache is locked meanwhile, so EACH must not use the disk; it
 * returns 0, or what then is returned.  WHEN is the moment, in events, and CHOICE the end of
 * the name.  LOST is what it loses, as a LIST (disk/lost.h), or NULL if not one alone was
 * asked for.  0; EINVAL, with a sentence in WHY of SIZE bytes; ENOMEM.  Of the live disk.
 */
typedef int state_fn (void *context, uint64_t when, const char *choice,
                      const struct loss *loss, const char *lost,
                      const struct digest *digest);
int states_list (const struct states *q, state_fn *each, void *context, char *why,
                 size_t size);

/* Which of the points that suffice (point_next in disk/point.h) were gone through.  All 0
 * at first; what happens after the first call has none.  Without a history there is "now".
 */
struct states_place {
  uint64_t from, until;
};

/* Name the next point, in at most POINT_NAME bytes.  0; ENOENT: there is none left; EINVAL,
 * with a sentence in WHY of SIZE bytes: there is no cache.  Of the live disk.
 */
int states_point (struct states_place *at, char *name, size_t name_size, char *why,
                  size_t size);

#endif /* DISK_STATES_H */
