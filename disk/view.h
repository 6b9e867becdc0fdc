/* view.h - what a crash state shows instead of the newest content: for the sectors
 * whose newest version is lost, the version that the power cut left.
 *
 * A view is a list of patches above the content of its disk.  A patch is looked up
 * when it is read.  A write makes the patches that it meets part of the content first,
 * so only what is written takes memory.
 *
 * Any number of threads may use a view.  Ranges are in bytes, as in disk.h.
 */

#ifndef DISK_VIEW_H
#define DISK_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/versions.h"

struct patch {
  uint64_t start, end;          /* bytes, START <= n < END */
  struct covered *covered;      /* NULL: zeroes */
  uint32_t at;
  bool done;                    /* it is part of the content */
};

/* Patches in ascending order.  All 0 at first. */
struct patches {
  struct patch *patch;
  size_t n, room;
};

/* Add a patch, which gets a reference of its own, or extend the last one where that goes
 * on.  ENOMEM: there are those that there were.
 */
int patches_add (struct patches *p, uint64_t start, uint64_t end,
                 struct covered *covered, uint32_t at);
void patches_free (struct patches *p);

/* Add all of MORE, which overlap none.  ENOMEM: some. */
int patches_merge (struct patches *p, const struct patches *more);

/* Put into TO, which is empty, the patches of ABOVE, and what of BELOW they leave; of
 * neither do two overlap.  ENOMEM: some.
 */
int patches_overlay (struct patches *to, const struct patches *below,
                     const struct patches *above);

struct view;

/* Make a view, which takes over the patches.  NULL: no memory. */
struct view *view_new (struct patches *patches);
void view_free (struct view *view);             /* NULL is allowed */

/* Keep the patches as they are until view_release. */
void view_hold (struct view *view);
void view_release (struct view *view);

/* Put the patches that are not done into TO.  Between view_hold and view_release, as
 * what follows.  ENOMEM: some.
 */
int view_copy (const struct view *view, struct patches *to);

/* Put what the patches say into the buffer of a read.  The
 * content under it was read since view_hold.
 */
void view_apply (const struct view *view, void *buf, uint64_t count, uint64_t offset);

/* How many bytes from OFFSET on, at most COUNT, are of one patch, which is put into
 * *PATCH, or of none (NULL).
 */
uint64_t view_run (const struct view *view, uint64_t count, uint64_t offset,
                   const struct patch **patch);

/* Make the patches that a range meets part of the content, by PUT.  0, or the first
 * error of PUT, whose patch then stays.
 */
int view_settle (struct view *view, uint64_t count, uint64_t offset,
                 int (*put) (void *context, const struct patch *patch), void *context);

#endif /* DISK_VIEW_H */
