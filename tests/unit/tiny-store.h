/* tiny-store.h - the store with pages so small that every case crosses
 * boundaries: 64-byte pages, 1 KiB regions, 15 regions a chunk, 4 stripes.
 */

#ifndef TINY_STORE_H
#define TINY_STORE_H

#define STORE_PAGE 64
#ifndef CHUNK_REGIONS
#define CHUNK_REGIONS 16
#endif
#define SLAB_NODES 8
#define ROOT_SLOTS 4
#define STRIPE_BITS 2

#include "store.c"

/* How many frames of a family some slot shows, by their counts. */
static inline uint64_t
frames_shown (const struct store *s)
{
  uint64_t n = 0;

  for (const struct chunk *c = s->family->chunks; c; c = c->next)
    for (size_t r = 0; r < CHUNK_REGIONS; r++)
      for (size_t i = 0; i < REGION_PAGES; i++)
        n += c->refs[r][i] > 0;
  return n;
}

/* Does an empty store, the only one of its family, have every region and node
 * that was ever handed out back on a free list, and is no frame in use?
 */
static inline bool
nothing_lost (const struct store *s)
{
  const struct family *f = s->family;
  uint64_t regions = 0, nodes = s->nodes;

  for (const struct chunk *c = f->chunks; c; c = c->next)
    regions += CHUNK_REGIONS - CHUNK_HEAD;
  regions -= f->unused_regions;
  for (uintptr_t r = f->free_regions; r; r = *region_uses (r))
    regions--;

  for (unsigned level = 0; level < MAX_LEVELS; level++)
    for (const struct node *n = f->free_nodes[level]; n; n = n->next_free)
      nodes++;
  for (const struct slab *slab = f->slabs; slab; slab = slab->next)
    nodes -= SLAB_NODES;
  nodes += f->unused_nodes;
  return regions == 0 && nodes == 0 && f->pages == 0 && frames_shown (s) == 0;
}

#endif /* TINY_STORE_H */
