/* list.h - the list of disks, for disk/crash.c. */

#ifndef DISK_LIST_H
#define DISK_LIST_H

#include "disk/disk.h"

/* A disk without parts, which nobody knows yet: to be freed, or put into the list.
 * NULL: no memory.
 */
struct disk *disk_new (const char *name);
void disk_free (struct disk *d);

/* Put a crash state into the list, which does not keep it, and keep it for the caller.
 * If there is one of that name, that is kept, and the new one is freed.  NULL: there are
 * MAX states already; the new one is freed.
 */
struct disk *list_add_state (struct disk *d, unsigned max);

#endif /* DISK_LIST_H */
