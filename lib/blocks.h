/* blocks.h - blocks of memory of a few sizes, which come and go too often for malloc.
 *
 * The caller locks.
 */

#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

/* Blocks of one size that were freed, for those that come next.  All 0 at first. */
struct spare {
  void *first;                  /* each begins with a pointer to the next one */
  unsigned n;
};
#define SPARE_MAX 256

/* One of them, or NULL: there is none. */
void *spare_take (struct spare *s);

/* Keep one from malloc, or free it, if there are SPARE_MAX already. */
void spare_give (struct spare *s, void *p);

/* Free them all. */
void spare_clear (struct spare *s);

/* Where blocks come from.  All 0 at first: from malloc.  If they are DENSE, they lie close
 * together, for who goes through all of them, and their memory is not given back before
 * blocks_clear.
 */
struct blocks {
  bool dense;
  struct lump *lumps;
  size_t room;                  /* bytes, in the first one */
};

/* A block of SIZE bytes, a multiple of 8 and at most 4096, at an address that is a
 * multiple of 8.  SPARE is for blocks of this size, or NULL.  NULL: no memory.
 */
void *block_new (struct blocks *b, struct spare *spare, size_t size);
void block_free (struct blocks *b, struct spare *spare, void *p);

/* Give back the memory of dense blocks. */
void blocks_clear (struct blocks *b);

#endif /* BLOCKS_H */
