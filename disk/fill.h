/* fill.h - initial content: what a page holds until it is first written, zeroed
 * or trimmed.
 *
 * A fill stands above the store of a disk, in which it keeps what is real, and
 * makes the rest when it is read.
 *
 * Any number of threads may call any function on the same fill at the same
 * time, except fill_set and fill_free.  Ranges are those of store.h:
 * offset + count <= size of the store, checked by the caller.  Functions that
 * return int return 0 or an errno code, and report nothing.  CONTEXT goes to the
 * function that makes the content (disk_fill_fn), which is called without a lock
 * of the fill held, and whose errno code is returned.
 */

#ifndef DISK_FILL_H
#define DISK_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/disk.h"
#include "store.h"

struct fill;

/* Give the pages of a store that hold no data the content that MAKE makes.  The
 * store stays the caller's, and must outlive the fill.  NULL: no memory.
 */
struct fill *fill_new (struct store *store, disk_fill_fn make);

/* NULL is allowed. */
void fill_free (struct fill *f);

/* Exchange the function.  NULL takes the initial content away, which the function
 * itself may do: from then on, untouched pages read as zeroes.  If another function
 * is set later, all pages that hold no data are untouched again.  Only while no
 * other thread uses the fill.
 */
void fill_set (struct fill *f, disk_fill_fn make);

/* Does it make content, that is, has nothing taken it away? */
bool fill_active (const struct fill *f);

/* Make *OUT and *STORE, its store, copies of a fill and its store as they are at
 * one moment.  The caller owns both.  ENOMEM: nothing was made.
 */
int fill_clone (struct fill *from, struct fill **out, struct store **store);

/* Make a fill, and its store, what another one is at one moment.  It keeps the
 * function, and TO, the store and both functions stay for those that use them.  STORE
 * is that of FROM, of the same family and size; FROM may be NULL: then what STORE does
 * not hold reads as zeroes.  Requests to TO come before it or after it, reads for each
 * 64 KiB.  FROM is another fill than TO, and no other thread makes TO and FROM each
 * other at the same time.  ENOMEM: both are as they were.
 */
int fill_assign (struct fill *to, struct fill *from, struct store *store);

/* As in store.h, but initial content shows through, and counts as data. */
int fill_read (struct fill *f, void *buf, uint64_t count, uint64_t offset,
               void *context);
int fill_write (struct fill *f, const void *buf, uint64_t count,
                uint64_t offset, void *context);
int fill_zero (struct fill *f, uint64_t count, uint64_t offset, void *context);
uint64_t fill_extent (struct fill *f, uint64_t count, uint64_t offset,
                      bool *data);

/* Does a page that a range touches have initial content?  And make that real. */
bool fill_is_initial (struct fill *f, uint64_t count, uint64_t offset);
int fill_make_real (struct fill *f, uint64_t count, uint64_t offset,
                    void *context);

/* How many bytes more fill_zero of a range would allocate, because initial
 * content becomes real, or is copied from what a clone shares: a multiple of the
 * page size.
 */
uint64_t fill_zero_growth (struct fill *f, uint64_t count, uint64_t offset);

#endif /* DISK_FILL_H */
