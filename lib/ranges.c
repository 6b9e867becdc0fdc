/* ranges.c - a set of numbers, kept as the ranges that it is made of.
 *
 * The ranges stand in order in blocks, and the blocks in an array:
 *
 *     blocks      n
 *     +---+     +---+---+---+---+---+
 *     | --+---->| 4 | a | b | c | d |
 *     |   |     +---+---+---+---+---+
 *     | --+---->| 2 | e | f |   |   |
 *     |   |     +---+---+---+---+---+
 *     | --+---->| 3 | g | h | i |   |
 *     +---+     +---+---+---+---+---+
 *
 * Ranges in the set neither overlap nor touch.  No block is empty, so the last
 * range of each says where to search.  A block that is full is split; two
 * neighbours that are half empty together become one.  (Why not a tree, of
 * tsearch(3)?  It takes five times the memory, and seconds to free millions of
 * nodes.)
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/min.h"
#include "lib/ranges.h"

/* The tests make this tiny. */
#ifndef BLOCK_RANGES
#define BLOCK_RANGES 255        /* so that a block takes just under 4 KiB */
#endif

struct range {
  uint64_t start, end;
};

struct ranges_block {
  size_t n;
  struct range range[BLOCK_RANGES];
};

/* Where a range stands, or, at the end of the set, block nr_blocks. */
struct place {
  size_t block, i;
};

/*--------------------------------------------------------------------*/
/* Places. */

/* The first range that reaches past N, that is, holds N or something greater. */
static struct place
place_past (const struct ranges *r, uint64_t n)
{
  struct place p = { 0, 0 };
  size_t most = r->nr_blocks, middle;

  while (p.block < most) {
    const struct ranges_block *b;

    middle = p.block + (most - p.block) / 2;
    b = r->blocks[middle];
    if (b->range[b->n - 1].end <= n)
      p.block = middle + 1;
    else
      most = middle;
  }
  if (p.block == r->nr_blocks)
    return p;
  for (most = r->blocks[p.block]->n; p.i < most;) {
    middle = p.i + (most - p.i) / 2;
    if (r->blocks[p.block]->range[middle].end <= n)
      p.i = middle + 1;
    else
      most = middle;
  }
  return p;
}

/* The range there; NULL at the end of the set. */
static struct range *
range_at (const struct ranges *r, struct place p)
{
  return p.block < r->nr_blocks ? &r->blocks[p.block]->range[p.i] : NULL;
}

static struct place
place_after (const struct ranges *r, struct place p)
{
  if (++p.i == r->blocks[p.block]->n)
    p = (struct place) { p.block + 1, 0 };
  return p;
}

/*--------------------------------------------------------------------*/
/* Blocks. */

/* Put in a new block before block K, with the last N ranges of the one before
 * that.  False: no memory.
 */
static bool
block_add (struct ranges *r, size_t k, size_t n)
{
  struct ranges_block *new, *before;

  if (!array_grow (&r->blocks, r->nr_blocks, &r->room, sizeof (void *)))
    return false;
  new = malloc (sizeof *new);
  if (!new)
    return false;
  new->n = n;
  if (n > 0) {
    before = r->blocks[k - 1];
    before->n -= n;
    memcpy (new->range, before->range + before->n, n * sizeof *new->range);
  }
  memmove (r->blocks + k + 1, r->blocks + k,
           (r->nr_blocks - k) * sizeof (void *));
  r->blocks[k] = new;
  r->nr_blocks++;
  return true;
}

/* Free the blocks K <= b < END. */
static void
blocks_free (struct ranges *r, size_t k, size_t end)
{
  for (size_t b = k; b < end; b++)
    free (r->blocks[b]);
  if (end > k)
    memmove (r->blocks + k, r->blocks + end,
             (r->nr_blocks - end) * sizeof (void *));
  r->nr_blocks -= end - k;
}

/* Free block K if it is empty, or join it with the next one if both are small. */
static void
block_tidy (struct ranges *r, size_t k)
{
  struct ranges_block *b, *next;

  if (k < r->nr_blocks && r->blocks[k]->n == 0)
    blocks_free (r, k, k + 1);
  if (k + 1 >= r->nr_blocks)
    return;
  b = r->blocks[k];
  next = r->blocks[k + 1];
  if (b->n + next->n > BLOCK_RANGES / 2)
    return;
  memcpy (b->range + b->n, next->range, next->n * sizeof *b->range);
  b->n += next->n;
  blocks_free (r, k + 1, k + 2);
}

/*--------------------------------------------------------------------*/
/* Ranges. */

/* Put a range in where the place says, which need not be one of a range: it may be
 * the end of a block.  False: no memory.
 */
static bool
insert (struct ranges *r, struct place p, uint64_t start, uint64_t end)
{
  struct ranges_block *b;

  /* At the end of the set, rather append to the last block. */
  if (p.i == 0 && p.block > 0 && p.block == r->nr_blocks)
    p = (struct place) { p.block - 1, r->blocks[p.block - 1]->n };
  if (p.block == r->nr_blocks && !block_add (r, p.block, 0))
    return false;
  b = r->blocks[p.block];
  if (b->n == BLOCK_RANGES) {
    /* What comes in order leaves full blocks behind. */
    const size_t stay = p.i == b->n ? b->n : b->n / 2;

    if (!block_add (r, p.block + 1, b->n - stay))
      return false;
    if (p.i >= stay)
      p = (struct place) { p.block + 1, p.i - stay };
    b = r->blocks[p.block];
  }
  memmove (b->range + p.i + 1, b->range + p.i, (b->n - p.i) * sizeof *b->range);
  b->range[p.i] = (struct range) { start, end };
  b->n++;
  r->n++;
  return true;
}

/* Take out the ranges from FROM on up to, but not including, TO. */
static void
erase (struct ranges *r, struct place from, struct place to)
{
  struct ranges_block *b;
  size_t end;

  /* The rest of the first block, unless TO lies there as well; whole blocks; the
   * beginning of the last one.
   */
  for (size_t k = from.block; k <= to.block && k < r->nr_blocks; k++) {
    const size_t first = k == from.block ? from.i : 0;

    b = r->blocks[k];
    end = k == to.block ? to.i : b->n;
    memmove (b->range + first, b->range + end, (b->n - end) * sizeof *b->range);
    b->n -= end - first;
    r->n -= end - first;
  }
  if (to.block > from.block + 1) {
    blocks_free (r, from.block + 1, to.block);
    to.block = from.block + 1;
  }
  if (to.block > from.block)
    block_tidy (r, to.block);
  block_tidy (r, from.block);
  if (from.block > 0)
    block_tidy (r, from.block - 1);
}

int
ranges_add (struct ranges *r, uint64_t start, uint64_t end)
{
  struct place p = place_past (r, start > 0 ? start - 1 : 0), next;
  struct range *here = range_at (r, p), *last;

  if (!here || here->start > end)
    return insert (r, p, start, end) ? 0 : ENOMEM;

  /* The first one that overlaps or touches grows, and swallows the others. */
  next = place_past (r, end - 1);
  last = range_at (r, next);
  here->start = min_u64 (here->start, start);
  if (last && last->start <= end) {
    end = last->end;
    next = place_after (r, next);
  }
  here->end = end;
  erase (r, place_after (r, p), next);
  return 0;
}

int
ranges_remove (struct ranges *r, uint64_t start, uint64_t end)
{
  struct place p = place_past (r, start), next;
  struct range *here = range_at (r, p);
  uint64_t old_end;

  if (!here || here->start >= end)
    return 0;
  if (here->start < start) {
    /* What lies before START stays, and so does what lies after END. */
    old_end = here->end;
    here->end = start;
    if (old_end > end) {
      if (insert (r, (struct place) { p.block, p.i + 1 }, end, old_end))
        return 0;
      here->end = old_end;
      return ENOMEM;
    }
    p = place_after (r, p);
  }
  next = place_past (r, end);
  here = range_at (r, next);
  if (here && here->start < end)
    here->start = end;
  erase (r, p, next);
  return 0;
}

bool
ranges_find (const struct ranges *r, uint64_t start, uint64_t end,
             uint64_t *found_start, uint64_t *found_end)
{
  const struct range *found = range_at (r, place_past (r, start));

  if (!found || found->start >= end)
    return false;
  *found_start = found->start;
  *found_end = found->end;
  return true;
}

int
ranges_copy (const struct ranges *from, struct ranges *to)
{
  for (size_t k = 0; k < from->nr_blocks; k++) {
    if (!block_add (to, k, 0)) {
      ranges_clear (to);
      return ENOMEM;
    }
    *to->blocks[k] = *from->blocks[k];
    to->n += from->blocks[k]->n;
  }
  return 0;
}

/* The one of two ranges, either of which may be NULL, that begins first; goes on to the
 * next one there.
 */
static const struct range *
first_of (const struct ranges *a, struct place *at_a, const struct ranges *b,
          struct place *at_b)
{
  const struct range *x = range_at (a, *at_a), *y = range_at (b, *at_b);

  if (x && (!y || x->start <= y->start)) {
    *at_a = place_after (a, *at_a);
    return x;
  }
  if (y)
    *at_b = place_after (b, *at_b);
  return y;
}

static bool
append (struct ranges *r, struct range last)
{
  return insert (r, (struct place) { r->nr_blocks, 0 }, last.start, last.end);
}

int
ranges_union (const struct ranges *a, const struct ranges *b, struct ranges *to)
{
  struct place at_a = { 0, 0 }, at_b = { 0, 0 };
  const struct range *next = first_of (a, &at_a, b, &at_b);
  struct range last;
  bool ok = true;

  if (!next)
    return 0;
  for (last = *next; ok && (next = first_of (a, &at_a, b, &at_b)); )
    if (next->start <= last.end)
      last.end = max_u64 (last.end, next->end);
    else {
      ok = append (to, last);
      last = *next;
    }
  if (ok && append (to, last))
    return 0;
  ranges_clear (to);
  return ENOMEM;
}

void
ranges_clear (struct ranges *r)
{
  blocks_free (r, 0, r->nr_blocks);
  free (r->blocks);
  *r = (struct ranges) { .n = 0 };
}
