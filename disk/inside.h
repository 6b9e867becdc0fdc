/* inside.h - what a disk consists of.  Only for the files of this folder.
 *
 * Each part except the store is optional, and NULL where the disk has none: the
 * path of a request tests a pointer, so a disk does not pay for what it lacks.
 * disk/list.c makes the parts, before others see the disk, and frees them with
 * it; in between the pointers do not change.  (One exception: disk_set_fill.)
 *
 * Each part is a file of its own, which knows nothing of the list, and has its
 * own locks:
 *
 *     list.c --> medium.c --> disk.c --> fill.c --> store
 */

#ifndef DISK_INSIDE_H
#define DISK_INSIDE_H

#include "disk/disk.h"

struct disk {
  struct disk *next;            /* in the list */
  char *name;                   /* "": the live disk */
  uint64_t number;
  unsigned refs;                /* the list counts as one */
  struct store *store;
  struct fill *fill;            /* initial content, above the store */
  struct medium *medium;        /* what is wrong with it */
};

#endif /* DISK_INSIDE_H */
