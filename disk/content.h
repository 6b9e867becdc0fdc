/* content.h - the newest content of a disk: its store, initial content above it
 * (disk/fill.h), and in a crash state the versions that it has chosen (disk/view.h).
 *
 * As in disk.h, without what a volatile cache adds.  Only for the files of this
 * folder.
 */

#ifndef DISK_CONTENT_H
#define DISK_CONTENT_H

#include "disk/disk.h"
#include "disk/view.h"

int content_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
                  void *context);
int content_write (struct disk *d, const void *buf, uint64_t count,
                   uint64_t offset, void *context);
int content_zero (struct disk *d, uint64_t count, uint64_t offset, void *context);
uint64_t content_extent (struct disk *d, uint64_t count, uint64_t offset,
                         bool *data);

/* How many bytes from OFFSET on, at most COUNT, are a hole, or data (then at most
 * VERSION_BYTES), in whole units of UNIT bytes, a power of 2, but at the end of COUNT.
 */
uint64_t content_units (struct disk *d, uint64_t count, uint64_t offset, uint32_t unit,
                        bool *data);

/* Content from OFFSET on is going to be read soon (store_expect). */
void content_expect (struct disk *d, uint64_t offset);

/* Does a range have initial content that is not real: made when it is read, by a
 * function that may wait?
 */
bool content_is_initial (struct disk *d, uint64_t count, uint64_t offset);

/* Make it real.  0 or what the function returned; ENOMEM. */
int content_make_real (struct disk *d, uint64_t count, uint64_t offset,
                       void *context);

/* Give a disk without parts a copy of the content of another, as it is at one moment,
 * with these patches above it, which overlap none that FROM has (NULL: none).  It takes
 * them over.  ENOMEM: it may have a part of it, which goes with the disk, and the caller
 * frees the patches in any case.
 */
int content_clone (struct disk *from, struct disk *to, struct patches *patches);

/* Make the patches that a range meets part of the content.  0 or an errno code. */
int content_settle (struct disk *d, uint64_t count, uint64_t offset);

#endif /* DISK_CONTENT_H */
