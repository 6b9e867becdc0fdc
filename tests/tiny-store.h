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

#endif /* TINY_STORE_H */
