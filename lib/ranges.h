/* ranges.h - a set of numbers, kept as the ranges that it is made of.
 *
 * Memory and time depend on the number of ranges, not on how long they are.
 * A set that is all 0 is empty.  The caller locks.  All ranges are
 * start <= n < end, with start < end.
 */

#ifndef RANGES_H
#define RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ranges {
  void *tree;                   /* tsearch(3), of disjoint ranges */
  size_t n;                     /* how many ranges */
};

/* Add a range, or take one out.  0, or ENOMEM: the set is as it was. */
int ranges_add (struct ranges *r, uint64_t start, uint64_t end);
int ranges_remove (struct ranges *r, uint64_t start, uint64_t end);

/* Find the first range of the set that overlaps a range.  *START and *END are
 * those of the whole range found.  False: there is none.
 */
bool ranges_find (const struct ranges *r, uint64_t start, uint64_t end,
                  uint64_t *found_start, uint64_t *found_end);

void ranges_clear (struct ranges *r);

#endif /* RANGES_H */
