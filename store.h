/* store.h - sparse memory with copy-on-write clones.
 *
 * A store is one disk: SIZE bytes, all zero at first, of which only the
 * pages that were written take memory.  A store and its clones, and the
 * clones' clones, form a family: they share pages until one of them writes.
 *
 * Every function that takes a range wants offset + count <= store_size();
 * the caller checks it.  count may be 0.  All quantities are bytes.
 *
 * The store locks itself.  Any number of threads may call any function on the
 * same store or on its clones at the same time, except store_free, after
 * which that store (not its clones) is gone.  No function sleeps, but each
 * waits for others that work on the same 64 KiB of the same family, and
 * store_clone and store_assign wait for all, as does a store_zero that finds much to give
 * back.  (Locks are hashed, so now and then one of two threads that could work
 * at the same time waits for the other.)  A request is atomic within each
 * 64 KiB: where two overlap, they may mix only at 64 KiB boundaries, so never
 * inside a sector.
 *
 * Functions that return int return 0 or an errno code, and report nothing.
 */

#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

struct store;

/* Bytes in a page, the unit in which memory is allocated, shared and given
 * back.  The unit tests make it tiny.
 */
#ifndef STORE_PAGE
#define STORE_PAGE 4096
#endif

/* The largest disk that the NBD protocol's signed sizes allow. */
#define STORE_MAX_SIZE ((uint64_t) INT64_MAX)

/* Bytes of the parts in which a request is atomic. */
#define STORE_REGION ((uint64_t) 16 * STORE_PAGE)

/* Make an empty disk of SIZE bytes, 0 to STORE_MAX_SIZE.  The caller owns
 * *OUT and ends it with store_free.  ENOMEM: nothing was made.
 */
int store_create (uint64_t size, struct store **out);

/* Make *OUT a copy of FROM as it is at one moment.  Of a request that is under
 * way at that moment, each 64 KiB may be in the copy or not.  Costs time and
 * memory in proportion to the number of 64 KiB regions stored (8 bytes each
 * where they are dense).  No data is copied until one side writes, and then page
 * by page.  The caller owns *OUT; the two may be freed in either order.  ENOMEM:
 * nothing was made and FROM is as it was.
 */
int store_clone (struct store *from, struct store **out);

/* Make TO what FROM, another store of its family, is at one moment.  Of a request to
 * either that is under way at that moment, each 64 KiB comes before it or after it.
 * TO stays the same store for those that use it, and FROM is as it was.  Costs what a
 * clone of FROM costs, and what freeing TO would, and copies no data: the two share all
 * pages.  A reserved TO is reserved anew, as by store_reserve, whose errors then mean
 * that it is what FROM is, but that a part of it is not allocated; and what that
 * function says of later clones is true from then on.  Otherwise ENOMEM: both are as
 * they were.
 */
int store_assign (struct store *to, struct store *from);

/* End a store and give back the memory that no clone shares.  The caller
 * guarantees that no other thread uses this store now or later.  NULL is
 * allowed.
 */
void store_free (struct store *s);

uint64_t store_size (const struct store *s);

/* Bytes of the pages that hold data of this store, shared ones included; a
 * multiple of the page size.  Out of date at once while other threads write.
 */
uint64_t store_stored (const struct store *s);

/* Bytes of memory that hold data of the whole family, each page once, however
 * many stores share it; a multiple of the page size.  Lacks what finds the pages:
 * less than 1 % of dense data.
 */
uint64_t store_allocated (const struct store *s);

/* How much store_allocated would grow by a write to a range: a page for each hole
 * and for each page that a clone shares.  Waits as a write does; out of date at
 * once while other threads write.
 */
uint64_t store_growth (struct store *s, uint64_t count, uint64_t offset);

/* The same for store_zero: not 0 only where a part of a page is zeroed that a
 * clone shares, or in a reserved store.
 */
uint64_t store_zero_growth (struct store *s, uint64_t count, uint64_t offset);

/* Copy a range out.  Cannot fail: what was never written reads as zeroes. */
void store_read (struct store *s, void *buf, uint64_t count, uint64_t offset);

/* The bytes from OFFSET on are going to be read soon: have the processor fetch them, while
 * the caller goes on.  Changes nothing, and does not wait.
 */
void store_expect (struct store *s, uint64_t offset);

/* Copy a range in.  ENOMEM: a prefix was written, to the end of some STORE_REGION or
 * nothing; the rest is as it was.
 */
int store_write (struct store *s, const void *buf, uint64_t count,
                 uint64_t offset);

/* Make a range read as zeroes.  Pages that lie wholly inside it are given
 * back to the system (not in a reserved store); the others keep their bytes
 * outside the range.  ENOMEM: a prefix was zeroed.  This can happen only where
 * a part of a page is zeroed that a clone shares.  (In a reserved store, also
 * where a whole one is.)
 */
int store_zero (struct store *s, uint64_t count, uint64_t offset);

/* How many bytes from OFFSET on, at most COUNT and at least 1, are of the
 * same kind: *DATA says whether memory holds them or they are a hole.  Exact
 * to the page.  COUNT must not be 0.  The cost depends on what is stored in the
 * range, not on how long it is.
 */
uint64_t store_extent (struct store *s, uint64_t count, uint64_t offset,
                       bool *data);

/* Allocate every page of the disk now, keep it whatever is zeroed, and, with
 * LOCK, lock it into RAM (mlock(2): not inherited over fork(2)).  What was
 * stored stays.  May be called again.  A later clone ends the guarantee: where
 * the two share, a write needs new memory, which is not locked.  Not at the same
 * time as other calls on this store.  ENOMEM, EPERM, EAGAIN: as mlock(2); part
 * of the disk may then be allocated.
 */
int store_reserve (struct store *s, bool lock);

#endif /* STORE_H */
