/* ranges.h - a set of numbers, kept as the ranges that it is made of.
 *
 * Memory depends on the number of ranges, not on their length: 16 to 64 bytes
 * each where there are many.  Finding, adding or removing a range takes
 * microseconds with millions of them.  A set that is all 0 is empty.  The caller
 * locks.  A range holds the numbers START <= n < END, and START < END.
 */

#ifndef RANGES_H
#define RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ranges {
  struct ranges_block **blocks; /* none is empty; in order */
  size_t nr_blocks, room;       /* how many there are, and could be */
  size_t n;                     /* how many ranges */
};

/* Add a range, or remove one.  0, or ENOMEM: the set is as it was.  To remove one
 * needs memory only where it is a part of another that lies on both sides of it.
 */
int ranges_add (struct ranges *r, uint64_t start, uint64_t end);
int ranges_remove (struct ranges *r, uint64_t start, uint64_t end);

/* Find the first range of the set that overlaps START to END, and return all of
 * it in *FOUND_START and *FOUND_END.  False: there is none.
 */
bool ranges_find (const struct ranges *r, uint64_t start, uint64_t end,
                  uint64_t *found_start, uint64_t *found_end);

/* Make TO, which is empty, the same set.  0, or ENOMEM: TO is empty. */
int ranges_copy (const struct ranges *from, struct ranges *to);

/* Make TO, which is empty, the set of what is in A or in B.  0, or ENOMEM: TO is empty.
 * Takes time in proportion to the number of ranges of both.
 */
int ranges_union (const struct ranges *a, const struct ranges *b, struct ranges *to);

/* Empty the set, and free its memory: some milliseconds for millions of ranges. */
void ranges_clear (struct ranges *r);

#endif /* RANGES_H */
