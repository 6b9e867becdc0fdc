/* index.h - which rules for one operation overlap a request.
 *
 * Any number of threads may search an index while nobody changes it; the caller
 * sees to that.  An index that is all 0 is empty.
 */

#ifndef FAULT_INDEX_H
#define FAULT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault/rule.h"

struct entry {
  int64_t start, end, max_end;  /* bytes; the region is start <= b < end */
  struct fault *fault;
};

struct index {
  struct entry *entry;          /* sorted by start */
  size_t n, room;
  bool stale;                   /* some max_end may be wrong */
};

/* Make room for one more rule.  False: no memory, and nothing has changed. */
bool index_reserve (struct index *x);

/* Add a rule, for which index_reserve made room.  The index is stale then. */
void index_add (struct index *x, struct fault *f);

/* Remove a rule, if it is there.  The index is stale then. */
void index_remove (struct index *x, const struct fault *f);

/* Make a stale index ready for searches.  Takes time for each rule in it. */
void index_refresh (struct index *x);

/* Empty an index, and free its memory. */
void index_clear (struct index *x);

/* For index_next. */
size_t index_search (const struct index *x, size_t from, int64_t start,
                     int64_t end);

/* The place of the first entry from FROM on that overlaps START <= b < END, or
 * x->n: there is none.  (Where START == END, as in a flush, that is an entry which
 * begins before and ends behind.)  The index must not be stale.
 *
 * The rules without a region come first and overlap everything, and what begins
 * behind the request ends the search.  So most calls need no look at the tree.
 */
static inline size_t
index_next (const struct index *x, size_t from, int64_t start, int64_t end)
{
  if (from >= x->n || x->entry[from].start >= end)
    return x->n;
  if (x->entry[from].end > start)
    return from;
  return index_search (x, from, start, end);
}

#endif /* FAULT_INDEX_H */
