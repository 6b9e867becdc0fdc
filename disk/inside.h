/* inside.h - what a disk consists of.  Only for the files of this folder.
 *
 * Each part except the store is optional, and NULL where the disk has none: the
 * path of a request tests a pointer, so a disk does not pay for what it lacks.
 * disk/list.c and disk/crash.c make the parts, before others see the disk, and free
 * them with it; in between the pointers do not change.  (One exception:
 * disk_set_fill.)
 *
 * Each part is a file of its own, which knows nothing of the list, and has its
 * own locks:
 *
 *     list.c --> crash.c --> medium.c --> disk.c --> cache.c --> content.c
 *                       choice.c --> versions.c       view.c, fill.c --> store
 */

#ifndef DISK_INSIDE_H
#define DISK_INSIDE_H

#include "disk/disk.h"

struct disk {
  struct disk *next;            /* in the list */
  char *name;                   /* "": the live disk */
  uint64_t number;
  unsigned refs;                /* the list counts as one, except for a state */
  struct store *store;
  struct fill *fill;            /* initial content, above the store */
  struct view *view;            /* of a crash state: the versions that it chose */
  struct cache *cache;          /* what is volatile */
  struct medium *medium;        /* what is wrong with it */
  bool marks;                   /* it is the export "marks": writes set them, */
  struct cache *marked;         /* in the history of this, or NULL */
  char *about;                  /* of a crash state: its description */
};

#endif /* DISK_INSIDE_H */
