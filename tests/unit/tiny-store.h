/* tiny-store.h - the store with pages so small that every case crosses
 * boundaries: 64-byte pages, 1 KiB regions, 15 regions a chunk, 4 stripes.
 */

#ifndef TINY_STORE_H
#define TINY_STORE_H

#define STORE_PAGE 64
#define CHUNK_REGIONS 16
#define SLAB_NODES 8
#define ROOT_SLOTS 4
#define STRIPE_BITS 2

#include "store.c"

/* Does an empty store, the only one of its family, have every region and node
 * that was ever handed out back on a free list?
 */
static inline bool
nothing_lost (const struct store *s)
{
  const struct family *f = s->family;
  uint64_t regions = 0, nodes = s->nodes;

  for (const struct chunk *c = f->chunks; c; c = c->next)
    regions += CHUNK_REGIONS - 1;
  regions -= f->unused_regions;
  for (uintptr_t r = f->free_regions; r; r = *region_meta (r))
    regions--;

  for (unsigned level = 0; level < MAX_LEVELS; level++)
    for (const struct node *n = f->free_nodes[level]; n; n = n->next_free)
      nodes++;
  for (const struct slab *slab = f->slabs; slab; slab = slab->next)
    nodes -= SLAB_NODES;
  nodes += f->unused_nodes;
  return regions == 0 && nodes == 0;
}

#endif /* TINY_STORE_H */
