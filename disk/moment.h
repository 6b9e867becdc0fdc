/* moment.h - what was volatile at a moment of the past, and what the disk held then. */

#ifndef DISK_MOMENT_H
#define DISK_MOMENT_H

#include <stdint.h>

#include "disk/disk.h"
#include "disk/history.h"
#include "disk/versions.h"
#include "disk/view.h"

struct moment {
  uint64_t when;                /* in events */
  struct versions versions;     /* that were volatile */
  struct patches newest;        /* what the disk held, where that differs from now */
  uint64_t altered;             /* requests that faults had altered, and which succeeded */
};

/* Go back to a POINT of a name, in the history of a disk with a cache, whose lock is held,
 * and stays so while the moment is used.  WORDS says what the point is.  0; EINVAL, with a
 * sentence in WHY of SIZE bytes; ENOMEM.  The caller frees the moment in any case.
 */
int moment_at (struct disk *d, const char *point, struct moment *m, char *words,
               size_t words_size, char *why, size_t size);
void moment_free (struct moment *m);

#endif /* DISK_MOMENT_H */
