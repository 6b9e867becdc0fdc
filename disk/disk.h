/* disk.h - the disks that clients can name: the live one, and snapshots.
 *
 * A disk is a store that may have initial content: a function says what a
 * page holds until it is first written, zeroed or trimmed.  Such content is
 * made when it is read, and takes no memory.  And a disk may have a medium, on
 * which something is wrong (disk/medium.h).
 *
 * Any number of threads may use a disk at the same time.  Ranges are those of
 * store.h: offset + count <= disk_size(), checked by the caller.  Functions
 * that return int return 0 or an errno code, and report nothing.
 */

#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"
#include "store.h"

struct disk;
struct medium;

/* Make the initial content of a range, which begins at a page and ends at one
 * or at the end of the disk, and is at most DISK_FILL_MAX bytes long.  CONTEXT
 * is what the caller of disk_read, disk_write or disk_zero gave.
 * The same range must get the same content each time.  Called by any thread,
 * with no lock held except, where a medium limits the space, one that only
 * requests take.  Returns 0 or an errno code, which the caller of disk_read and
 * so on gets; it must return, and not leave by longjmp.
 */
typedef int (*disk_fill_fn) (void *context, void *buf, uint64_t count,
                             uint64_t offset);
#define DISK_FILL_MAX ((uint64_t) 256 * 1024)

/*--------------------------------------------------------------------*/
/* Which disks there are, and of what each consists (disk/list.c). */

/* Make the live disk, whose name is "", with a medium without faults.  SIZE is
 * in bytes, at most STORE_MAX_SIZE.  Before all other functions, once.  ENOMEM:
 * there is no disk.
 */
int disk_start (uint64_t size);

/* Forget all disks.  No one else uses any. */
void disk_stop (void);

/* The live disk, which lives until disk_stop.  NULL before disk_start.  Takes no
 * lock.
 */
struct disk *disk_live (void);

/* Find a disk by name, and keep it until disk_put.  NULL: there is none. */
struct disk *disk_get (const char *name);
void disk_put (struct disk *d);

/* Call EACH with the name of every disk, the live one first, until it returns
 * other than 0; returns that.  EACH must not call functions of this header,
 * because the list is locked.
 */
int disk_names (int (*each) (void *context, const char *name), void *context);

/* Make a copy-on-write copy of FROM under a new name, without a medium.
 * EEXIST: the name is taken.  ENOMEM.
 */
int disk_snapshot (struct disk *from, const char *name);

/* Take a snapshot off the list; it goes when the last connection to it does.
 * ENOENT: there is none of that name, or it is the live disk.
 */
int disk_drop (const char *name);

/* Give a disk initial content.  Only before it is served.  NULL takes it away,
 * which MAKE itself may do.  ENOMEM: the disk is as it was.
 */
int disk_set_fill (struct disk *d, disk_fill_fn make);

/*--------------------------------------------------------------------*/
/* One disk (disk/disk.c). */

/* The store below a disk without initial content; NULL if it has some.
 * Requests may go to the store directly, where the medium does not want them.
 */
struct store *disk_store (const struct disk *d);

/* The medium of a disk; NULL: it has none, so nothing can be wrong with it. */
struct medium *disk_medium (const struct disk *d);

const char *disk_name (const struct disk *d);
uint64_t disk_size (const struct disk *d);

/* As store_allocated: what the disk, its snapshots and those from which it comes
 * hold together.  And as store_stored: what it shows itself.
 */
uint64_t disk_allocated (const struct disk *d);
uint64_t disk_stored (const struct disk *d);

/* How many bytes more a write to a range would allocate: a multiple of the page
 * size.
 */
uint64_t disk_growth (struct disk *d, uint64_t count, uint64_t offset);

/* The same for disk_zero: not 0 only where a part of a page is zeroed that has
 * initial content or is shared with a snapshot.
 */
uint64_t disk_zero_growth (struct disk *d, uint64_t count, uint64_t offset);

/* As in store.h, but initial content shows through, and reads and the edges
 * of writes may fail with what the fill function returned: a read then has left
 * BUF undefined, and nothing was written or zeroed.
 */
int disk_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
               void *context);
int disk_write (struct disk *d, const void *buf, uint64_t count,
                uint64_t offset, void *context);
int disk_zero (struct disk *d, uint64_t count, uint64_t offset,
               void *context);
uint64_t disk_extent (struct disk *d, uint64_t count, uint64_t offset,
                      bool *data);

/* As disk_zero, but only a hint: where there is no memory to zero a part of a page,
 * or to note that initial content is gone, the disk stays as it is.
 */
int disk_trim (struct disk *d, uint64_t count, uint64_t offset);

/* Do what a request asks for, to the disk of its connection.  Writes are kept at
 * once, so flush and FUA have nothing to do.  A trim does not fail for lack of
 * memory.  0 or an errno code.
 */
int disk_perform (struct request *req);

#endif /* DISK_H */
