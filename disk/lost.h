/* lost.h - what a choice loses, as the LIST of a name: lose-LIST leaves the same state. */

#ifndef DISK_LOST_H
#define DISK_LOST_H

#include <stddef.h>
#include <stdint.h>

#include "disk/versions.h"

/* A request has lost sectors FROM <= s < END of its own. */
struct lost_run {
  const struct record *record;
  uint64_t from, end;
};

/* All 0 at first.  The caller frees RUN. */
struct lost {
  struct lost_run *run;
  size_t n, room;
};

/* Sectors FIRST <= s < END of a segment get this version (NULL: what is durable), so that
 * newer ones are lost.  0 or ENOMEM.  The versions are locked.
 */
int lost_add (struct lost *l, const struct segment *s, uint64_t first, uint64_t end,
              const struct version *chosen);

/* The list, from malloc: requests that have lost all that they had in the cache, and
 * sectors of others, such as "37,40:0-7".  "": nothing is lost.  NULL: no memory.
 */
char *lost_text (struct lost *l);

#endif /* DISK_LOST_H */
