/* ranges.h - a set of numbers, kept as the ranges that it is made of.
 *
 * Memory and time depend on the number of ranges, not on their length.  A set
 * that is all 0 is empty.  The caller locks.  A range holds the numbers
 * START <= n < END, and START < END.
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

/* Add a range, or remove one.  0, or ENOMEM: the set is as it was. */
int ranges_add (struct ranges *r, uint64_t start, uint64_t end);
int ranges_remove (struct ranges *r, uint64_t start, uint64_t end);

/* Find the first range of the set that overlaps START to END, and return all of
 * it in *FOUND_START and *FOUND_END.  False: there is none.
 */
bool ranges_find (const struct ranges *r, uint64_t start, uint64_t end,
                  uint64_t *found_start, uint64_t *found_end);

/* Empty the set, and free its memory. */
void ranges_clear (struct ranges *r);

#endif /* RANGES_H */
