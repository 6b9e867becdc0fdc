/* store.c - sparse memory with copy-on-write clones.
 *
 * The disk is cut into regions of 16 pages (64 KiB).  A radix tree finds the
 * slot of a region from its number.  Its root has up to 1024 slots, as many
 * as the disk needs, and the nodes below have 16.  Its height depends on the
 * size of the disk (up to 64 MiB the root is all there is):
 *
 *     struct store     root               interior nodes     leaf nodes
 *     +----------+    +-------------+    +-------------+    +-------------+
 *     | root   --+--->| 0 | 1 | ... |    | 0 |...| 15  |    | 0 |...| 15  |
 *     | shift    |    +-|-----------+    +-|-----------+    +-|-----------+
 *     | pages    |      +---------------->  +--------------->  |
 *     +----------+                                             v
 *                                                  address | bitmap, or 0
 *
 * A region is 64 KiB of address space on a 64 KiB boundary, so the low 16
 * bits of its address are free, and the slot uses them as the bitmap of the
 * pages that hold data.  Regions are handed out by mmap, 64 MiB at a time,
 * and the kernel backs only those pages that were touched: a copy that spans
 * pages is one long memcpy, and a disk with one page here and there takes
 * little more than those pages.  The content of a page that is not in the
 * bitmap is undefined; nothing relies on the kernel's zeroes.
 *
 * The arithmetic: a byte every 1 GiB costs one 4 KiB page and two or three
 * nodes of 136 bytes.  Dense data costs 8 bytes for each 64 KiB.
 *
 * Clones.  A clone has nodes of its own, and its slots point to the same
 * regions.  Each region counts the slots that point to it.  A store that
 * changes a region to which others point first moves to a copy of it:
 *
 *      A: slot --+                      A: slot --> copy    (count 1)
 *                +--> region (count 2)
 *      B: slot --+                      B: slot --> region  (count 1)
 *
 * Locks.  All stores of a family share
 *
 *   stripe[]  The mutex that a region's number hashes to guards that region
 *             in all stores of the family: the slots, the bytes and the
 *             count.  (A shared region has the same number everywhere,
 *             because only clones share.)  A thread that holds any stripe
 *             pins the nodes, because they are copied or freed only under all
 *             stripes.
 *   mem       This mutex guards free regions, free nodes, and the linking in
 *             of new nodes.
 *
 * Order: stripes in ascending order, then mem.
 *
 * Readers take no lock, because even one that no other thread wants would cost
 * more than a short copy: it makes the processor wait for the copy before it,
 * and readers of the same data wait for each other's cache line.  Instead, each
 * stripe has a sequence number, which is odd while a thread changes what the
 * stripe guards.  A reader notes the number, copies, and reads the number again:
 * if it was odd or has changed, the copy may be wrong, and the reader makes
 * another one under the mutex.  A late reader may walk through nodes that were
 * freed and used again.  So that this does no harm,
 *
 *   - memory of nodes and regions is unmapped only with the whole family,
 *   - a node that was used on one level of the tree stays on that level,
 *   - slots are atomic.
 *
 * By the letter of C11, the copy that is thrown away was a data race.  It is
 * the usual one of sequence locks.  Under ThreadSanitizer all readers lock.
 *
 * Why not one big mmap of the whole disk?  Every isolated page would need a
 * page table page of its own, nothing could be cloned, and 2^63 bytes do not
 * fit.  Why not transparent huge pages?  With them a single byte takes 2 MiB,
 * and they made first writes to a fresh disk slower, not faster.
 */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include "lib/min.h"
#include "store.h"

/* The tests make these tiny, so that every case crosses boundaries. */
#ifndef CHUNK_REGIONS
#define CHUNK_REGIONS 1024
#define SLAB_NODES 480
#define ROOT_SLOTS 1024
#define STRIPE_BITS 10
#endif

#if defined __SANITIZE_THREAD__
#define READERS_LOCK 1
#elif defined __has_feature
#if __has_feature (thread_sanitizer)
#define READERS_LOCK 1
#endif
#endif
#ifndef READERS_LOCK
#define READERS_LOCK 0
#endif

#define REGION_PAGES 16
#define REGION ((uint64_t) STORE_PAGE * REGION_PAGES)
#define ALL_PAGES ((uintptr_t) 0xffff)

/* Distance of regions in memory.  The bitmap needs 16 low bits. */
#define STRIDE (REGION > 65536 ? REGION : 65536)

#define NODE_BITS 4
#define NODE_SLOTS (1 << NODE_BITS)
#define MAX_LEVELS (64 / NODE_BITS)
#define STRIPES (1 << STRIPE_BITS)

/* A slot holds 0, the address of a node, or, on the lowest level, the address of
 * a region with its bitmap.
 */
typedef _Atomic uintptr_t slot_t;

struct node {
  slot_t slot[NODE_SLOTS];
  struct node *next_free;
};

/* Nodes come from slabs. */
struct slab {
  struct slab *next;
  struct node node[SLAB_NODES];
};

/* The first region of a chunk holds, for each of its regions, the count of
 * slots that point to it, or, where it is free, the next free region.
 */
struct chunk {
  struct chunk *next;
  uintptr_t meta[CHUNK_REGIONS];
};

#define CHUNK_SIZE ((size_t) CHUNK_REGIONS * STRIDE)

/* Neighbouring stripes must not share a cache line. */
struct stripe {
  _Alignas (64) pthread_mutex_t mutex;
  _Atomic unsigned sequence;
};

struct family {
  struct stripe stripe[STRIPES];

  pthread_mutex_t mem;          /* guards all that follows */
  unsigned stores;              /* how many share this family */
  struct slab *slabs;           /* newest first */
  unsigned unused_nodes;        /* of *slabs, never handed out */
  struct node *free_nodes[MAX_LEVELS];
  struct chunk *chunks;         /* newest first */
  unsigned unused_regions;      /* of *chunks, never handed out */
  uintptr_t free_regions;       /* address, 0 at the end */
};

struct store {
  struct family *family;
  slot_t *root;
  size_t root_slots;
  unsigned shift;               /* bits of a region's number below the root */
  bool keep;                    /* reserved: give nothing back */
  uint64_t size;
  _Atomic uint64_t pages;       /* in the bitmaps of all slots */
  _Atomic uint64_t nodes;       /* in the tree */
  _Atomic uint64_t emptied;     /* regions dropped since the last prune */
};

/*--------------------------------------------------------------------*/
/* Locks. */

static struct stripe *
stripe_of (const struct store *s, uint64_t region)
{
  /* Multiplicative hash: neither neighbours nor strides collide. */
  uint64_t h = region * UINT64_C (0x9E3779B97F4A7C15);

  return &s->family->stripe[h >> (64 - STRIPE_BITS)];
}

/* Hold the stripe of a region: its content stays as it is. */
static struct stripe *
stripe_lock (const struct store *s, uint64_t region)
{
  struct stripe *stripe = stripe_of (s, region);

  pthread_mutex_lock (&stripe->mutex);
  return stripe;
}

static void
stripe_unlock (struct stripe *stripe)
{
  pthread_mutex_unlock (&stripe->mutex);
}

/* From here to change_end, readers know that they can't trust their copy.
 * The stripe is held.
 */
static void
change_begin (struct stripe *stripe)
{
  unsigned n = atomic_load_explicit (&stripe->sequence, memory_order_relaxed);

  atomic_store_explicit (&stripe->sequence, n + 1, memory_order_relaxed);
  atomic_thread_fence (memory_order_release);
}

static void
change_end (struct stripe *stripe)
{
  unsigned n = atomic_load_explicit (&stripe->sequence, memory_order_relaxed);

  atomic_store_explicit (&stripe->sequence, n + 1, memory_order_release);
}

static void
lock_all (struct family *f)
{
  for (size_t i = 0; i < STRIPES; i++)
    pthread_mutex_lock (&f->stripe[i].mutex);
}

static void
unlock_all (struct family *f)
{
  for (size_t i = 0; i < STRIPES; i++)
    pthread_mutex_unlock (&f->stripe[i].mutex);
}

/*--------------------------------------------------------------------*/
/* Memory of the family.  Functions named _locked need mem to be held. */

/* Tell the kernel that these bytes are not needed. */
static void
give_back (void *p, size_t count)
{
#if STORE_PAGE < 4096
  memset (p, 0xdd, count);      /* tests: nothing may rely on zeroes */
#else
  madvise (p, count, MADV_DONTNEED);
#endif
}

/* Let the kernel back these bytes at once, rather than with one page fault for
 * each 4 KiB.  Only for speed: where the system can't, the faults do it.
 */
static void
populate (void *p, size_t count)
{
#if defined MADV_POPULATE_WRITE && STORE_PAGE >= 4096
  madvise (p, count, MADV_POPULATE_WRITE);
#else
  (void) p;
  (void) count;
#endif
}

/* Address space that takes no memory before it is touched, or NULL. */
static char *
map_space (size_t size)
{
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  void *p;

#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  p = mmap (NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Address space of CHUNK_SIZE bytes on a boundary of CHUNK_SIZE. */
static void *
map_chunk (void)
{
  char *p = map_space (CHUNK_SIZE), *aligned = p;

  /* Directly below another chunk it is aligned.  If not, cut it out of more. */
  if (p && (uintptr_t) p % CHUNK_SIZE != 0) {
    munmap (p, CHUNK_SIZE);
    p = map_space (2 * CHUNK_SIZE);
    if (!p)
      return NULL;
    aligned = p + (CHUNK_SIZE - (uintptr_t) p % CHUNK_SIZE) % CHUNK_SIZE;
    if (aligned > p)
      munmap (p, (size_t) (aligned - p));
    munmap (aligned + CHUNK_SIZE, CHUNK_SIZE - (size_t) (aligned - p));
  }
#ifdef MADV_NOHUGEPAGE
  if (aligned)
    madvise (aligned, CHUNK_SIZE, MADV_NOHUGEPAGE);
#endif
  return aligned;
}

static uintptr_t *
region_meta (uintptr_t region)
{
  struct chunk *c = (struct chunk *) (region & ~(uintptr_t) (CHUNK_SIZE - 1));

  return &c->meta[(region - (uintptr_t) c) / STRIDE];
}

/* A region with undefined content that one slot will point to, or 0. */
static uintptr_t
region_alloc (struct family *f)
{
  uintptr_t region = 0;
  struct chunk *c;

  pthread_mutex_lock (&f->mem);
  if (f->free_regions) {
    region = f->free_regions;
    f->free_regions = *region_meta (region);
  }
  else {
    if (f->unused_regions == 0 && (c = map_chunk ()) != NULL) {
      c->next = f->chunks;
      f->chunks = c;
      f->unused_regions = CHUNK_REGIONS - 1;
    }
    if (f->unused_regions > 0)
      region = (uintptr_t) f->chunks
        + (CHUNK_REGIONS - f->unused_regions--) * STRIDE;
  }
  if (region)
    *region_meta (region) = 1;
  pthread_mutex_unlock (&f->mem);
  return region;
}

/* One slot fewer points to this region.  Its stripe is held. */
static void
region_unref (struct family *f, uintptr_t region)
{
  if (--*region_meta (region) > 0)
    return;
  give_back ((void *) region, REGION);

  pthread_mutex_lock (&f->mem);
  *region_meta (region) = f->free_regions;
  f->free_regions = region;
  pthread_mutex_unlock (&f->mem);
}

/* An empty node for a level (0: leaves) of a store, or NULL. */
static struct node *
node_alloc_locked (struct store *s, unsigned level)
{
  struct family *f = s->family;
  struct node *n = f->free_nodes[level];
  struct slab *slab;

  if (n)
    f->free_nodes[level] = n->next_free;
  else {
    if (f->unused_nodes == 0 && (slab = malloc (sizeof *slab)) != NULL) {
      slab->next = f->slabs;
      f->slabs = slab;
      f->unused_nodes = SLAB_NODES;
    }
    if (f->unused_nodes == 0)
      return NULL;
    n = &f->slabs->node[--f->unused_nodes];
  }
  for (size_t i = 0; i < NODE_SLOTS; i++)
    atomic_store_explicit (&n->slot[i], 0, memory_order_relaxed);
  s->nodes++;
  return n;
}

static void
node_free_locked (struct store *s, struct node *n, unsigned level)
{
  n->next_free = s->family->free_nodes[level];
  s->family->free_nodes[level] = n;
  s->nodes--;
}

static struct family *
family_create (void)
{
  struct family *f = aligned_alloc (64, sizeof *f);

  if (!f)
    return NULL;
  memset (f, 0, sizeof *f);
  for (size_t i = 0; i < STRIPES; i++)
    pthread_mutex_init (&f->stripe[i].mutex, NULL);
  pthread_mutex_init (&f->mem, NULL);
  return f;
}

static void
family_free (struct family *f)
{
  struct chunk *c;
  struct slab *slab;

  while ((c = f->chunks) != NULL) {
    f->chunks = c->next;
    munmap (c, CHUNK_SIZE);
  }
  while ((slab = f->slabs) != NULL) {
    f->slabs = slab->next;
    free (slab);
  }
  for (size_t i = 0; i < STRIPES; i++)
    pthread_mutex_destroy (&f->stripe[i].mutex);
  pthread_mutex_destroy (&f->mem);
  free (f);
}

/*--------------------------------------------------------------------*/
/* The tree.  SHIFT is the number of bits of a region's number that the
 * levels below stand for, 0 in the leaves.
 */

/* Which slot of the root or a node leads to a region. */
static uint64_t
slot_index (const struct store *s, uint64_t region, unsigned shift)
{
  uint64_t i = region >> shift;

  return shift < s->shift ? i % NODE_SLOTS : i;
}

static uintptr_t
slot_load (const slot_t *slots, uint64_t i)
{
  return atomic_load_explicit (&slots[i], memory_order_acquire);
}

static slot_t *
node_slots (uintptr_t node)
{
  return ((struct node *) node)->slot;
}

/* The slot of a region, or NULL where there is no leaf for it. */
static slot_t *
slot_find (const struct store *s, uint64_t region)
{
  slot_t *slots = s->root;
  unsigned shift = s->shift;
  uintptr_t node;

  if (shift == 0)
    return &slots[region];
  for (; shift > 0; shift -= NODE_BITS) {
    node = slot_load (slots, slot_index (s, region, shift));
    if (!node)
      return NULL;
    slots = node_slots (node);
  }
  return &slots[region % NODE_SLOTS];
}

/* The content of a region's slot; 0 for a hole. */
static uintptr_t
slot_get (const struct store *s, uint64_t region)
{
  const slot_t *slot = slot_find (s, region);

  return slot ? atomic_load_explicit (slot, memory_order_relaxed) : 0;
}

/* Link in the nodes that lead to a region.  False: no memory; some may have
 * been added, all empty.  The stripe is held.
 */
static bool
slot_make (struct store *s, uint64_t region)
{
  slot_t *slots = s->root;
  struct node *n;
  uintptr_t node;

  pthread_mutex_lock (&s->family->mem);
  for (unsigned shift = s->shift; shift > 0; shift -= NODE_BITS) {
    uint64_t i = slot_index (s, region, shift);

    node = slot_load (slots, i);
    if (!node) {
      n = node_alloc_locked (s, shift / NODE_BITS - 1);
      if (!n) {
        pthread_mutex_unlock (&s->family->mem);
        return false;
      }
      node = (uintptr_t) n;
      atomic_store_explicit (&slots[i], node, memory_order_release);
    }
    slots = node_slots (node);
  }
  pthread_mutex_unlock (&s->family->mem);
  return true;
}

/* The first region from REGION on that is not a hole, or END.  A stripe is
 * held.
 */
static uint64_t
next_region (const struct store *s, uint64_t region, uint64_t end)
{
  while (region < end) {
    const slot_t *slots = s->root;
    unsigned shift = s->shift;
    uintptr_t child;

    while ((child = slot_load (slots, slot_index (s, region, shift))) != 0) {
      if (shift == 0)
        return region;
      slots = node_slots (child);
      shift -= NODE_BITS;
    }
    /* Step over all that the empty slot stands for. */
    region = ((region >> shift) + 1) << shift;
  }
  return end;
}

/* Free the nodes below COUNT slots where they are empty.  True if all of these
 * slots are empty then.  All stripes and mem are held.
 */
static bool
prune (struct store *s, slot_t *slots, size_t count, unsigned shift)
{
  bool empty = true;

  for (size_t i = 0; i < count; i++) {
    uintptr_t child = slot_load (slots, i);

    if (child && shift > 0
        && prune (s, node_slots (child), NODE_SLOTS, shift - NODE_BITS)) {
      atomic_store_explicit (&slots[i], 0, memory_order_relaxed);
      node_free_locked (s, (struct node *) child, shift / NODE_BITS - 1);
      child = 0;
    }
    if (child)
      empty = false;
  }
  return empty;
}

/*--------------------------------------------------------------------*/
/* One region.  OFF and LEN lie within it; its stripe is held. */

static char *
page_address (uintptr_t entry, unsigned page)
{
  return (char *) (entry & ~ALL_PAGES) + (size_t) page * STORE_PAGE;
}

/* Bitmap of the pages FIRST <= p < END, which lie within the region. */
static uintptr_t
page_range (uint64_t first, uint64_t end)
{
  return first < end ? (ALL_PAGES >> (REGION_PAGES - (end - first))) << first
                     : 0;
}

static uintptr_t
pages_touched (uint64_t off, uint64_t len)
{
  return page_range (off / STORE_PAGE,
                     (off + len + STORE_PAGE - 1) / STORE_PAGE);
}

static uintptr_t
pages_covered (uint64_t off, uint64_t len)
{
  return page_range ((off + STORE_PAGE - 1) / STORE_PAGE,
                     (off + len) / STORE_PAGE);
}

static unsigned
page_count (uintptr_t bitmap)
{
  return (unsigned) __builtin_popcountll (bitmap);
}

static void
region_read (uintptr_t entry, char *buf, uint64_t len, uint64_t off)
{
  uintptr_t touched = pages_touched (off, len);

  if ((entry & touched) == 0) {
    memset (buf, 0, len);
    return;
  }
  if ((entry & touched) == touched) {
    memcpy (buf, page_address (entry, 0) + off, len);
    return;
  }
  while (len > 0) {
    uint64_t n = min_u64 (STORE_PAGE - off % STORE_PAGE, len);

    if (entry >> (off / STORE_PAGE) & 1)
      memcpy (buf, page_address (entry, 0) + off, n);
    else
      memset (buf, 0, n);
    buf += n;
    off += n;
    len -= n;
  }
}

/* Move a slot to a region of its own that holds the pages KEEP of the old
 * one.  Out of memory: nothing changed.
 */
static int
region_unshare (struct store *s, slot_t *slot, uintptr_t keep)
{
  uintptr_t old = atomic_load_explicit (slot, memory_order_relaxed);
  uintptr_t region = region_alloc (s->family);

  if (!region)
    return ENOMEM;
  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (keep >> i & 1)
      memcpy (page_address (region, i), page_address (old, i), STORE_PAGE);
  region_unref (s->family, old & ~ALL_PAGES);
  atomic_store_explicit (slot, region | keep, memory_order_relaxed);
  s->pages -= page_count (old & ALL_PAGES & ~keep);
  return 0;
}

static bool
region_shared (uintptr_t entry)
{
  return *region_meta (entry & ~ALL_PAGES) > 1;
}

/* Prepare the pages FRESH of a region for a write from OFF to OFF+LEN: zero those
 * parts of the first and the last page that it does not reach.
 */
static void
pages_prepare (uintptr_t entry, uintptr_t fresh, uint64_t len, uint64_t off)
{
  unsigned first = (unsigned) (off / STORE_PAGE);
  unsigned last = (unsigned) ((off + len - 1) / STORE_PAGE);
  uint64_t tail = (last + 1) * (uint64_t) STORE_PAGE - (off + len);

  if (first != last)
    populate (page_address (entry, first),
              (size_t) (last - first + 1) * STORE_PAGE);
  if (fresh >> first & 1)
    memset (page_address (entry, first), 0, off % STORE_PAGE);
  if (fresh >> last & 1)
    memset (page_address (entry, 0) + off + len, 0, tail);
}

static int
region_write (struct store *s, uint64_t region, const char *buf, uint64_t len,
              uint64_t off)
{
  slot_t *slot = slot_find (s, region);
  uintptr_t touched = pages_touched (off, len), entry, fresh;

  /* Make sure that there is a region and that it is ours alone. */
  if (!slot) {
    if (!slot_make (s, region))
      return ENOMEM;
    slot = slot_find (s, region);
  }
  entry = atomic_load_explicit (slot, memory_order_relaxed);
  if (!entry) {
    entry = region_alloc (s->family);
    if (!entry)
      return ENOMEM;
  }
  else if (region_shared (entry)) {
    int err = region_unshare (s, slot,
                              entry & ALL_PAGES & ~pages_covered (off, len));
    if (err)
      return err;
    entry = atomic_load_explicit (slot, memory_order_relaxed);
  }

  fresh = touched & ~entry;
  if (fresh) {
    pages_prepare (entry, fresh, len, off);
    atomic_store_explicit (slot, entry | fresh, memory_order_relaxed);
    s->pages += page_count (fresh);
  }
  memcpy (page_address (entry, 0) + off, buf, len);
  return 0;
}

/* Give back the memory of the pages GONE, which no slot holds any more. */
static void
pages_give_back (uintptr_t region, uintptr_t gone)
{
  unsigned i = 0, n;

  while (gone >> i) {
    for (n = 0; gone >> (i + n) & 1; n++)
      ;
    if (n > 0)
      give_back (page_address (region, i), (size_t) n * STORE_PAGE);
    i += n + 1;
  }
}

/* Take the pages GONE out of a slot, and the region too if no page is left.
 * Where a clone shares the region, only the slot changes; the memory is given
 * back when the last store lets the region go.
 */
static void
pages_drop (struct store *s, slot_t *slot, uintptr_t gone)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed) & ~gone;

  s->pages -= page_count (gone);
  if ((entry & ALL_PAGES) == 0) {
    region_unref (s->family, entry);
    s->emptied++;
    entry = 0;
  }
  else if (!region_shared (entry))
    pages_give_back (entry, gone);
  atomic_store_explicit (slot, entry, memory_order_relaxed);
}

/* The slot is not empty. */
static int
region_zero (struct store *s, slot_t *slot, uint64_t len, uint64_t off)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed);
  uintptr_t gone = s->keep ? 0 : entry & pages_covered (off, len);
  uintptr_t rest = entry & pages_touched (off, len) & ~gone;
  uint64_t end = off + len, n;

  if (gone)
    pages_drop (s, slot, gone);
  if (!rest)
    return 0;

  /* Zero what stays, page by page, in a region that is ours alone. */
  if (region_shared (entry)) {
    int err = region_unshare (s, slot, entry & ALL_PAGES & ~gone);
    if (err)
      return err;
    entry = atomic_load_explicit (slot, memory_order_relaxed);
  }
  for (; off < end; off += n) {
    n = min_u64 (STORE_PAGE - off % STORE_PAGE, end - off);
    if (rest >> (off / STORE_PAGE) & 1)
      memset (page_address (entry, 0) + off, 0, n);
  }
  return 0;
}

/*--------------------------------------------------------------------*/
/* The public functions. */

/* How many regions it takes to reach END. */
static uint64_t
regions_to (uint64_t end)
{
  return (end + REGION - 1) / REGION;
}

/* How much of a range lies in the region where it starts. */
static uint64_t
in_region (uint64_t count, uint64_t offset)
{
  return min_u64 (REGION - offset % REGION, count);
}

static struct store *
store_new (struct family *f, uint64_t size)
{
  struct store *s = calloc (1, sizeof *s);
  uint64_t last = size / REGION;

  if (!s)
    return NULL;
  s->family = f;
  s->size = size;
  while (last >> s->shift >= ROOT_SLOTS)
    s->shift += NODE_BITS;
  s->root_slots = (last >> s->shift) + 1;
  s->root = calloc (s->root_slots, sizeof *s->root);
  if (!s->root) {
    free (s);
    return NULL;
  }

  pthread_mutex_lock (&f->mem);
  f->stores++;
  pthread_mutex_unlock (&f->mem);
  return s;
}

int
store_create (uint64_t size, struct store **out)
{
  struct family *f = family_create ();

  assert (size <= STORE_MAX_SIZE);
  if (!f)
    return ENOMEM;
  *out = store_new (f, size);
  if (!*out) {
    family_free (f);
    return ENOMEM;
  }
  return 0;
}

/* Copy COUNT slots, and the nodes below them, to empty slots of S, and
 * count the regions' new slots.  False: no memory; what was copied by then is
 * a whole tree.  All stripes and mem are held.
 */
static bool
copy_slots (struct store *s, slot_t *to, const slot_t *from, size_t count,
            unsigned shift)
{
  for (size_t i = 0; i < count; i++) {
    uintptr_t entry = atomic_load_explicit (&from[i], memory_order_relaxed);
    struct node *n;

    if (!entry)
      continue;
    if (shift == 0) {
      ++*region_meta (entry & ~ALL_PAGES);
      atomic_store_explicit (&to[i], entry, memory_order_relaxed);
      continue;
    }
    n = node_alloc_locked (s, shift / NODE_BITS - 1);
    if (!n)
      return false;
    atomic_store_explicit (&to[i], (uintptr_t) n, memory_order_relaxed);
    if (!copy_slots (s, n->slot, node_slots (entry), NODE_SLOTS,
                     shift - NODE_BITS))
      return false;
  }
  return true;
}

int
store_clone (struct store *from, struct store **out)
{
  struct family *f = from->family;
  struct store *s = store_new (f, from->size);
  bool ok;

  if (!s)
    return ENOMEM;
  lock_all (f);
  pthread_mutex_lock (&f->mem);
  ok = copy_slots (s, s->root, from->root, s->root_slots, s->shift);
  s->pages = from->pages;
  s->emptied = from->emptied;
  pthread_mutex_unlock (&f->mem);
  unlock_all (f);

  if (!ok) {
    store_free (s);
    return ENOMEM;
  }
  *out = s;
  return 0;
}

/* Free the nodes below COUNT slots, whatever they hold.  mem is held. */
static void
free_below (struct store *s, slot_t *slots, size_t count, unsigned shift)
{
  for (size_t i = 0; shift > 0 && i < count; i++) {
    uintptr_t child = atomic_load_explicit (&slots[i], memory_order_relaxed);

    if (child) {
      free_below (s, node_slots (child), NODE_SLOTS, shift - NODE_BITS);
      node_free_locked (s, (struct node *) child, shift / NODE_BITS - 1);
    }
  }
}

/* Let go of all regions. */
static void
unref_all (struct store *s)
{
  uint64_t r, end = regions_to (s->size);

  for (r = next_region (s, 0, end); r < end; r = next_region (s, r + 1, end)) {
    struct stripe *stripe = stripe_lock (s, r);

    change_begin (stripe);
    region_unref (s->family, slot_get (s, r) & ~ALL_PAGES);
    change_end (stripe);
    stripe_unlock (stripe);
  }
}

void
store_free (struct store *s)
{
  struct family *f;
  bool last;

  if (!s)
    return;
  f = s->family;
  pthread_mutex_lock (&f->mem);
  last = f->stores == 1;
  pthread_mutex_unlock (&f->mem);

  /* The last store of a family takes everything with it.  Otherwise others may
   * share regions, but they don't see these nodes, which therefore need no lock
   * until they are freed.
   */
  if (!last)
    unref_all (s);

  pthread_mutex_lock (&f->mem);
  free_below (s, s->root, s->root_slots, s->shift);
  last = --f->stores == 0;
  pthread_mutex_unlock (&f->mem);
  if (last)
    family_free (f);
  free (s->root);
  free (s);
}

uint64_t
store_size (const struct store *s)
{
  return s->size;
}

uint64_t
store_allocated (const struct store *s)
{
  return s->pages * STORE_PAGE;
}

/* Copy from one region without a lock.  False: it changed meanwhile, and the
 * copy must not be used.
 */
static bool
read_unlocked (struct store *s, uint64_t region, char *buf, uint64_t len,
               uint64_t off)
{
  struct stripe *stripe = stripe_of (s, region);
  unsigned before = atomic_load_explicit (&stripe->sequence,
                                          memory_order_acquire);

  if (READERS_LOCK || before % 2 != 0)
    return false;
  region_read (slot_get (s, region), buf, len, off);
  atomic_thread_fence (memory_order_acquire);
  return atomic_load_explicit (&stripe->sequence, memory_order_relaxed)
    == before;
}

void
store_read (struct store *s, void *buf, uint64_t count, uint64_t offset)
{
  char *p = buf;

  while (count > 0) {
    uint64_t n = in_region (count, offset), r = offset / REGION;

    if (!read_unlocked (s, r, p, n, offset % REGION)) {
      struct stripe *stripe = stripe_lock (s, r);

      region_read (slot_get (s, r), p, n, offset % REGION);
      stripe_unlock (stripe);
    }
    p += n;
    offset += n;
    count -= n;
  }
}

int
store_write (struct store *s, const void *buf, uint64_t count, uint64_t offset)
{
  const char *p = buf;

  while (count > 0) {
    uint64_t n = in_region (count, offset), r = offset / REGION;
    struct stripe *stripe = stripe_lock (s, r);
    int err;

    change_begin (stripe);
    err = region_write (s, r, p, n, offset % REGION);
    change_end (stripe);
    stripe_unlock (stripe);
    if (err)
      return err;
    p += n;
    offset += n;
    count -= n;
  }
  return 0;
}

/* Has so much been emptied that it is worth checking all nodes? */
static bool
should_prune (const struct store *s)
{
  return s->emptied > 64 && s->emptied > s->nodes / 16;
}

/* Give back empty nodes, so that the size of the tree depends on what is stored,
 * not on what was stored once.
 */
static void
prune_all (struct store *s)
{
  struct family *f = s->family;

  lock_all (f);
  if (should_prune (s)) {
    for (size_t i = 0; i < STRIPES; i++)
      change_begin (&f->stripe[i]);
    pthread_mutex_lock (&f->mem);
    prune (s, s->root, s->root_slots, s->shift);
    s->emptied = 0;
    pthread_mutex_unlock (&f->mem);
    for (size_t i = 0; i < STRIPES; i++)
      change_end (&f->stripe[i]);
  }
  unlock_all (f);
}

int
store_zero (struct store *s, uint64_t count, uint64_t offset)
{
  uint64_t end = offset + count, n;
  int err = 0;

  /* Beyond the end of the disk there is nothing to keep. */
  if (count > 0 && end == s->size)
    end = (end + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;

  while (offset < end && !err) {
    uint64_t r = offset / REGION;
    struct stripe *stripe = stripe_lock (s, r);
    slot_t *slot = slot_find (s, r);

    if (slot && atomic_load_explicit (slot, memory_order_relaxed)) {
      n = in_region (end - offset, offset);
      change_begin (stripe);
      err = region_zero (s, slot, n, offset % REGION);
      change_end (stripe);
    }
    else
      n = next_region (s, r, regions_to (end)) * REGION - offset;
    stripe_unlock (stripe);
    offset = n < end - offset ? offset + n : end;
  }

  if (should_prune (s))
    prune_all (s);
  return err;
}

uint64_t
store_extent (struct store *s, uint64_t count, uint64_t offset, bool *data)
{
  uint64_t end = offset + count, pos = offset;
  struct stripe *stripe = stripe_lock (s, offset / REGION);

  *data = slot_get (s, pos / REGION) >> (pos % REGION / STORE_PAGE) & 1;
  while (pos < end) {
    uint64_t r = pos / REGION;
    uintptr_t entry = slot_get (s, r);

    if (entry == 0 && !*data)
      pos = next_region (s, r, regions_to (end)) * REGION;
    else if ((entry & ALL_PAGES) == ALL_PAGES && *data)
      pos = (r + 1) * REGION;
    else if ((entry >> (pos % REGION / STORE_PAGE) & 1) == *data)
      pos = (pos / STORE_PAGE + 1) * STORE_PAGE;
    else
      break;
  }
  stripe_unlock (stripe);
  return min_u64 (pos, end) - offset;
}

/* Allocate all pages of one region that lie within the disk, for us alone. */
static int
region_reserve (struct store *s, uint64_t region, uint64_t len, bool lock)
{
  uintptr_t entry, fresh;
  slot_t *slot;
  int err;

  if (!slot_make (s, region))
    return ENOMEM;
  slot = slot_find (s, region);
  entry = atomic_load_explicit (slot, memory_order_relaxed);
  if (!entry && (entry = region_alloc (s->family)) == 0)
    return ENOMEM;
  if (region_shared (entry)) {
    err = region_unshare (s, slot, entry & ALL_PAGES);
    if (err)
      return err;
    entry = atomic_load_explicit (slot, memory_order_relaxed);
  }
  fresh = pages_touched (0, len) & ~entry;
  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (fresh >> i & 1)
      memset (page_address (entry, i), 0, STORE_PAGE);
  atomic_store_explicit (slot, entry | fresh, memory_order_relaxed);
  s->pages += page_count (fresh);
  return lock && mlock (page_address (entry, 0), len) == -1 ? errno : 0;
}

/* Would the system ever give so much?  Mapping the addresses is enough to find
 * out.
 */
static bool
can_reserve (uint64_t size)
{
  void *p;

  if (size == 0)
    return true;
  if (size > SIZE_MAX / 2)
    return false;
  p = mmap (NULL, (size_t) size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return false;
  munmap (p, (size_t) size);
  return true;
}

int
store_reserve (struct store *s, bool lock)
{
  uint64_t allocated = store_allocated (s);

  if (allocated < s->size && !can_reserve (s->size - allocated))
    return ENOMEM;
  s->keep = true;
  for (uint64_t offset = 0; offset < s->size; offset += REGION) {
    uint64_t r = offset / REGION;
    struct stripe *stripe = stripe_lock (s, r);
    int err;

    change_begin (stripe);
    err = region_reserve (s, r, in_region (s->size - offset, offset), lock);
    change_end (stripe);
    stripe_unlock (stripe);
    if (err)
      return err;
  }
  return 0;
}
