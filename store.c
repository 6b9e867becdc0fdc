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
 * The arithmetic: a byte every 1 GiB costs one 4 KiB page, two or three nodes
 * of 136 bytes, and 72 bytes of counts.  Dense data costs 80 bytes for each
 * 64 KiB.
 *
 * Clones.  A clone has nodes of its own, and its slots point to the same
 * regions.  A region is 16 frames, and each frame counts the slots that show
 * the page in it (refs).  A slot may change a frame that no other slot shows.
 * Where others do, the page moves to a frame of another region, so that the
 * pages of one slot lie in several regions.  Such a slot is mixed: its bitmap
 * is 0, and the region to which it points is its home, which has a table that
 * says for each page in which region it lies (0: a hole).  Page N is always in
 * a frame N.  When B writes page 1 of two:
 *
 *      A: slot R|11 --> R: [a0 2] [a1 2]      A: slot R|11 --> R: [a0 2] [a1 1]
 *                       ^                                      ^
 *      B: slot R|11 ----+                     B: slot H|00 --> H: [  0 ] [b1 1]
 *                                                                 table: R, H
 *
 * A region is the home of at most one slot.  A slot whose pages all lie in one
 * region stops being mixed.  A frame that no slot shows is given back to the
 * system at once, and may be used by any slot of this region's number; a region
 * is free when none of its frames is shown and it is no slot's home.  So memory
 * is held for exactly those pages that some store of the family shows (pages
 * counts them), and a trim needs no memory.
 *
 * Locks.  All stores of a family share
 *
 *   stripe[]  The mutex that a region's number hashes to guards that region
 *             in all stores of the family: the slots, the bytes, the counts
 *             and the table.  (A shared region has the same number everywhere,
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
 *   - slots are atomic, and so are tables, which hold nothing but regions.
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
#define REGION STORE_REGION
_Static_assert (REGION == (uint64_t) STORE_PAGE * REGION_PAGES, "store.h says how long");
#define ALL_PAGES ((uintptr_t) 0xffff)

/* Distance of regions in memory.  The bitmap needs 16 low bits. */
#define STRIDE (REGION > 65536 ? REGION : 65536)

#define NODE_BITS 4
#define NODE_SLOTS (1 << NODE_BITS)
#define MAX_LEVELS (64 / NODE_BITS)
#define STRIPES (1 << STRIPE_BITS)

/* A slot holds 0, the address of a node, or, on the lowest level, an entry: the
 * address of a region with its bitmap.
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

/* A chunk is this, followed by regions.  For each region,
 *
 *   uses    is the sum of its refs, and one more if it is a home; where it is
 *           free, the next free region
 *   refs    counts the slots that show the page in each frame
 *   table   says, where it is a home, in which region each page lies
 */
struct chunk {
  struct chunk *next;
  uintptr_t uses[CHUNK_REGIONS];
  uint32_t refs[CHUNK_REGIONS][REGION_PAGES];
  slot_t table[CHUNK_REGIONS][REGION_PAGES];
};

#define CHUNK_SIZE ((size_t) CHUNK_REGIONS * STRIDE)
#define CHUNK_HEAD ((sizeof (struct chunk) + STRIDE - 1) / STRIDE)

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
  size_t unused_regions;        /* of *chunks, never handed out */
  uintptr_t free_regions;       /* address, 0 at the end */

  _Atomic uint64_t pages;       /* frames that some slot shows */
};

struct store {
  struct family *family;
  slot_t *root;
  size_t root_slots;
  unsigned shift;               /* bits of a region's number below the root */
  bool keep;                    /* reserved: give nothing back */
  bool lock;                    /* and locked into RAM */
  uint64_t size;
  _Atomic uint64_t pages;       /* that its slots show */
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

/* The same for all that the family has.  All stripes are held. */
static void
change_all_begin (struct family *f)
{
  for (size_t i = 0; i < STRIPES; i++)
    change_begin (&f->stripe[i]);
}

static void
change_all_end (struct family *f)
{
  for (size_t i = 0; i < STRIPES; i++)
    change_end (&f->stripe[i]);
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

/* Where a region, or an entry, is. */
static struct chunk *
chunk_of (uintptr_t entry)
{
  return (struct chunk *) (entry & ~(uintptr_t) (CHUNK_SIZE - 1));
}

static size_t
index_of (uintptr_t entry)
{
  return entry % CHUNK_SIZE / STRIDE;
}

static uintptr_t *
region_uses (uintptr_t entry)
{
  return &chunk_of (entry)->uses[index_of (entry)];
}

static uint32_t *
region_refs (uintptr_t entry)
{
  return chunk_of (entry)->refs[index_of (entry)];
}

static slot_t *
region_table (uintptr_t entry)
{
  return chunk_of (entry)->table[index_of (entry)];
}

/* A region with undefined content that nobody uses, or 0. */
static uintptr_t
region_alloc_locked (struct family *f)
{
  uintptr_t region = f->free_regions;
  struct chunk *c;

  if (region) {
    f->free_regions = *region_uses (region);
    *region_uses (region) = 0;
    return region;
  }
  if (f->unused_regions == 0 && (c = map_chunk ()) != NULL) {
    c->next = f->chunks;
    f->chunks = c;
    f->unused_regions = CHUNK_REGIONS - CHUNK_HEAD;
  }
  if (f->unused_regions == 0)
    return 0;
  return (uintptr_t) f->chunks + (CHUNK_REGIONS - f->unused_regions--) * STRIDE;
}

static uintptr_t
region_alloc (struct family *f)
{
  uintptr_t region;

  pthread_mutex_lock (&f->mem);
  region = region_alloc_locked (f);
  pthread_mutex_unlock (&f->mem);
  return region;
}

/* Count N uses of a region fewer.  Its stripe is held. */
static void
region_unuse (struct family *f, uintptr_t region, unsigned n)
{
  uintptr_t *uses = region_uses (region);

  *uses -= n;
  if (*uses > 0)
    return;
  pthread_mutex_lock (&f->mem);
  *uses = f->free_regions;
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

/* Page PAGE of the region of an entry. */
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

static bool
is_mixed (uintptr_t entry)
{
  return entry && !(entry & ALL_PAGES);
}

/* The region in which a slot with this entry has a page; 0: it is a hole. */
static uintptr_t
page_region (uintptr_t entry, unsigned page)
{
  if (is_mixed (entry))
    return atomic_load_explicit (&region_table (entry)[page],
                                 memory_order_relaxed);
  return entry >> page & 1 ? entry & ~ALL_PAGES : 0;
}

/* The pages that a slot with this entry shows. */
static uintptr_t
pages_shown (uintptr_t entry)
{
  uintptr_t shown = entry & ALL_PAGES;

  if (is_mixed (entry))
    for (unsigned i = 0; i < REGION_PAGES; i++)
      shown |= (uintptr_t) (page_region (entry, i) != 0) << i;
  return shown;
}

/* Those of PAGES for which a write needs new memory: holes, and what other slots
 * show as well.
 */
static uintptr_t
pages_needed (uintptr_t entry, uintptr_t pages)
{
  uintptr_t needed = 0, region;

  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (pages >> i & 1) {
      region = page_region (entry, i);
      if (!region || region_refs (region)[i] > 1)
        needed |= (uintptr_t) 1 << i;
    }
  return needed;
}

/* How much of LEN bytes from OFF on lies in the page where they start. */
static uint64_t
in_page (uint64_t len, uint64_t off)
{
  return min_u64 (STORE_PAGE - off % STORE_PAGE, len);
}

static void
region_read (uintptr_t entry, char *buf, uint64_t len, uint64_t off)
{
  uintptr_t touched = pages_touched (off, len), region;
  uint64_t n;

  if ((entry & touched) == touched) {
    memcpy (buf, page_address (entry, 0) + off, len);
    return;
  }
  if ((entry & touched) == 0 && !is_mixed (entry)) {
    memset (buf, 0, len);
    return;
  }
  for (; len > 0; buf += n, off += n, len -= n) {
    n = in_page (len, off);
    region = page_region (entry, (unsigned) (off / STORE_PAGE));
    if (region)
      memcpy (buf, page_address (region, 0) + off, n);
    else
      memset (buf, 0, n);
  }
}

/* Give back the memory of the pages GONE, which no slot shows any more. */
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

/* One slot more shows the pages PAGES in frames of a region. */
static void
frames_ref (uintptr_t region, uintptr_t pages)
{
  uint32_t *refs = region_refs (region);

  for (unsigned i = 0; i < REGION_PAGES; i++)
    refs[i] += (uint32_t) (pages >> i & 1);
  *region_uses (region) += page_count (pages);
}

/* One slot fewer does. */
static void
frames_unref (struct family *f, uintptr_t region, uintptr_t pages)
{
  uint32_t *refs = region_refs (region);
  uintptr_t gone = 0;

  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (pages >> i & 1 && --refs[i] == 0)
      gone |= (uintptr_t) 1 << i;
  if (gone) {
    pages_give_back (region, gone);
    f->pages -= page_count (gone);
  }
  region_unuse (f, region, page_count (pages));
}

/* Start to use the frames PAGES of a region, which no slot shows.  Those of KEEP
 * are zeroed, the others will be written as a whole.
 */
static void
frames_take (struct family *f, uintptr_t region, uintptr_t pages,
             uintptr_t keep)
{
  unsigned first = (unsigned) __builtin_ctzll (pages);
  unsigned n = page_count (pages);

  if (n > 1 && pages >> first == ALL_PAGES >> (REGION_PAGES - n))
    populate (page_address (region, first), (size_t) n * STORE_PAGE);
  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (pages & keep & (uintptr_t) 1 << i)
      memset (page_address (region, i), 0, STORE_PAGE);
  frames_ref (region, pages);
  f->pages += n;
}

/* Make a slot mixed, with a home whose frames PAGES no slot shows.  Out of memory:
 * nothing changed.
 */
static int
slot_mix (struct family *f, slot_t *slot, uintptr_t pages)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed), home;
  const uint32_t *refs = region_refs (entry);
  bool fits = is_mixed (entry);

  for (unsigned i = 0; i < REGION_PAGES && fits; i++)
    fits = !(pages >> i & 1) || refs[i] == 0;
  if (fits)
    return 0;
  home = region_alloc (f);
  if (!home)
    return ENOMEM;
  *region_uses (home) = 1;
  for (unsigned i = 0; i < REGION_PAGES; i++)
    atomic_store_explicit (&region_table (home)[i], page_region (entry, i),
                           memory_order_relaxed);
  atomic_store_explicit (slot, home, memory_order_relaxed);
  if (is_mixed (entry))
    region_unuse (f, entry, 1);
  return 0;
}

/* If the pages of a mixed slot lie in one region, point to that.  If there are
 * none, the slot becomes empty.
 */
static void
slot_settle (struct store *s, slot_t *slot)
{
  uintptr_t home = atomic_load_explicit (slot, memory_order_relaxed);
  uintptr_t entry = 0, region;

  if (!is_mixed (home))
    return;
  for (unsigned i = 0; i < REGION_PAGES; i++) {
    region = page_region (home, i);
    if (region && entry && region != (entry & ~ALL_PAGES))
      return;
    if (region)
      entry |= region | (uintptr_t) 1 << i;
  }
  atomic_store_explicit (slot, entry, memory_order_relaxed);
  s->emptied += entry == 0;
  region_unuse (s->family, home, 1);
}

/* Move a page of a mixed slot to its frame of the home, which was taken. */
static void
page_move (struct store *s, uintptr_t home, unsigned page, bool keep)
{
  uintptr_t old = page_region (home, page);

  if (old && keep)
    memcpy (page_address (home, page), page_address (old, page), STORE_PAGE);
  if (old)
    frames_unref (s->family, old, (uintptr_t) 1 << page);
  else
    s->pages++;
  atomic_store_explicit (&region_table (home)[page], home,
                         memory_order_relaxed);
}

/* May a slot that is not mixed change these pages where they are, and put those
 * that are holes into the same region?
 */
static bool
in_place (uintptr_t entry, uintptr_t pages)
{
  const uint32_t *refs = region_refs (entry);

  if (is_mixed (entry))
    return false;
  for (; pages; pages &= pages - 1) {
    unsigned i = (unsigned) __builtin_ctzll (pages);

    if (refs[i] != (entry >> i & 1))
      return false;
  }
  return true;
}

/* Move to frames of the slot's own what it does not have alone of PAGES. */
static int
pages_unshare (struct store *s, slot_t *slot, uintptr_t pages, uintptr_t keep)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed);
  uintptr_t needed = pages_needed (entry, pages);

  if (!needed)
    return 0;
  if (slot_mix (s->family, slot, needed) != 0)
    return ENOMEM;
  entry = atomic_load_explicit (slot, memory_order_relaxed);
  frames_take (s->family, entry, needed, keep & ~pages_shown (entry));
  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (needed >> i & 1)
      page_move (s, entry, i, keep >> i & 1);
  slot_settle (s, slot);
  return 0;
}

/* Make sure that a slot has PAGES, each in a frame that no other slot shows.
 * Those of KEEP have their content, the others will be written as a whole.  Out
 * of memory: nothing changed.
 */
static int
pages_own (struct store *s, slot_t *slot, uintptr_t pages, uintptr_t keep)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed), fresh;

  if (!entry)
    entry = region_alloc (s->family);
  else if (!in_place (entry, pages))
    return pages_unshare (s, slot, pages, keep);
  if (!entry)
    return ENOMEM;
  fresh = pages & ~entry;
  if (fresh) {
    frames_take (s->family, entry, fresh, keep);
    atomic_store_explicit (slot, entry | fresh, memory_order_relaxed);
    s->pages += page_count (fresh);
  }
  return 0;
}

/* Put a range into a slot that has those of PAGES alone, and leave other pages as
 * they are.  BUF: NULL stands for zeroes.
 */
static void
pages_put (uintptr_t entry, uintptr_t pages, const char *buf, uint64_t len,
           uint64_t off)
{
  uint64_t done = 0, n;

  for (; done < len; done += n, off += n) {
    unsigned page = (unsigned) (off / STORE_PAGE);
    char *to;

    n = in_page (len - done, off);
    if (!(pages >> page & 1))
      continue;
    to = page_address (page_region (entry, page), page) + off % STORE_PAGE;
    if (buf)
      memcpy (to, buf + done, n);
    else
      memset (to, 0, n);
  }
}

/* Write where the slot does not have each page, or not alone.  (Not inline, so
 * that the common case stays short.)
 */
__attribute__ ((noinline)) static int
region_write_new (struct store *s, uint64_t region, const char *buf,
                  uint64_t len, uint64_t off)
{
  uintptr_t touched = pages_touched (off, len), entry;
  slot_t *slot = slot_find (s, region);

  if (!slot) {
    if (!slot_make (s, region))
      return ENOMEM;
    slot = slot_find (s, region);
  }
  if (pages_own (s, slot, touched, touched & ~pages_covered (off, len)) != 0)
    return ENOMEM;
  entry = atomic_load_explicit (slot, memory_order_relaxed);
  if (is_mixed (entry))
    pages_put (entry, touched, buf, len, off);
  else
    memcpy (page_address (entry, 0) + off, buf, len);
  return 0;
}

static int
region_write (struct store *s, uint64_t region, const char *buf, uint64_t len,
              uint64_t off)
{
  uintptr_t entry = slot_get (s, region), touched = pages_touched (off, len);
  const uint32_t *refs;

  if ((entry & touched) != touched)
    return region_write_new (s, region, buf, len, off);
  refs = region_refs (entry);
  for (uint64_t i = off / STORE_PAGE;
       i < (off + len + STORE_PAGE - 1) / STORE_PAGE; i++)
    if (refs[i] > 1)
      return region_write_new (s, region, buf, len, off);
  memcpy (page_address (entry, 0) + off, buf, len);
  return 0;
}

/* Take the pages GONE, which it shows, out of a slot, and the region too if no
 * page is left.
 */
static void
pages_drop (struct store *s, slot_t *slot, uintptr_t gone)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed), rest;

  s->pages -= page_count (gone);
  if (!is_mixed (entry)) {
    rest = entry & ~gone;
    s->emptied += (rest & ALL_PAGES) == 0;
    atomic_store_explicit (slot, rest & ALL_PAGES ? rest : 0,
                           memory_order_relaxed);
    frames_unref (s->family, entry & ~ALL_PAGES, gone);
    return;
  }
  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (gone >> i & 1) {
      frames_unref (s->family, page_region (entry, i), (uintptr_t) 1 << i);
      atomic_store_explicit (&region_table (entry)[i], 0,
                             memory_order_relaxed);
    }
  slot_settle (s, slot);
}

/* The slot is not empty. */
static int
region_zero (struct store *s, slot_t *slot, uint64_t len, uint64_t off)
{
  uintptr_t entry = atomic_load_explicit (slot, memory_order_relaxed);
  uintptr_t shown = pages_shown (entry);
  uintptr_t gone = s->keep ? 0 : shown & pages_covered (off, len);
  uintptr_t rest = shown & pages_touched (off, len) & ~gone;

  if (gone)
    pages_drop (s, slot, gone);
  if (!rest)
    return 0;

  /* Zero what stays. */
  if (pages_own (s, slot, rest, rest) != 0)
    return ENOMEM;
  entry = atomic_load_explicit (slot, memory_order_relaxed);
  pages_put (entry, rest, NULL, len, off);
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

/* Make an empty slot show what one with this entry shows.  False: no memory.  All
 * stripes and mem are held.
 */
static bool
copy_slot (struct store *s, slot_t *to, uintptr_t entry)
{
  uintptr_t home, region;

  if (!is_mixed (entry)) {
    frames_ref (entry & ~ALL_PAGES, entry & ALL_PAGES);
    atomic_store_explicit (to, entry, memory_order_relaxed);
    return true;
  }
  home = region_alloc_locked (s->family);
  if (!home)
    return false;
  *region_uses (home) = 1;
  for (unsigned i = 0; i < REGION_PAGES; i++) {
    region = page_region (entry, i);
    if (region)
      frames_ref (region, (uintptr_t) 1 << i);
    atomic_store_explicit (&region_table (home)[i], region,
                           memory_order_relaxed);
  }
  atomic_store_explicit (to, home, memory_order_relaxed);
  return true;
}

/* Copy COUNT slots, and the nodes below them, to empty slots of S, and
 * count the new slots.  False: no memory; what was copied by then is
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
      if (!copy_slot (s, &to[i], entry))
        return false;
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

/* Make an empty store show what another one shows.  False: no memory; it shows a
 * part.  All stripes are held.
 */
static bool
copy_content (struct store *to, const struct store *from)
{
  bool ok;

  pthread_mutex_lock (&to->family->mem);
  ok = copy_slots (to, to->root, from->root, to->root_slots, to->shift);
  to->pages = from->pages;
  to->emptied = from->emptied;
  pthread_mutex_unlock (&to->family->mem);
  return ok;
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
  ok = copy_content (s, from);
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
    slot_t *slot = slot_find (s, r);

    change_begin (stripe);
    pages_drop (s, slot, pages_shown (*slot));
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

static void
exchange (_Atomic uint64_t *a, _Atomic uint64_t *b)
{
  const uint64_t n = *a;

  *a = *b;
  *b = n;
}

/* Exchange what two stores of one size show.  The roots stay where they are, because
 * a late reader may look at one.  All stripes are held, and readers are warned.
 */
static void
exchange_content (struct store *a, struct store *b)
{
  for (size_t i = 0; i < a->root_slots; i++) {
    const uintptr_t child = slot_load (a->root, i);

    atomic_store_explicit (&a->root[i], slot_load (b->root, i),
                           memory_order_release);
    atomic_store_explicit (&b->root[i], child, memory_order_release);
  }
  exchange (&a->pages, &b->pages);
  exchange (&a->nodes, &b->nodes);
  exchange (&a->emptied, &b->emptied);
}

/* The copy is made apart, so that there is nothing to undo when memory runs out.
 * What TO has shown until now is freed after the locks are.
 */
int
store_assign (struct store *to, struct store *from)
{
  struct family *f = to->family;
  struct store *s = store_new (f, to->size);
  bool ok;

  assert (from->family == f && from->size == to->size);
  if (!s)
    return ENOMEM;
  lock_all (f);
  ok = copy_content (s, from);
  if (ok) {
    change_all_begin (f);
    exchange_content (to, s);
    change_all_end (f);
  }
  unlock_all (f);
  store_free (s);
  if (!ok)
    return ENOMEM;
  /* All of a reserved disk stays allocated. */
  return to->keep ? store_reserve (to, to->lock) : 0;
}

uint64_t
store_size (const struct store *s)
{
  return s->size;
}

uint64_t
store_stored (const struct store *s)
{
  return s->pages * STORE_PAGE;
}

uint64_t
store_allocated (const struct store *s)
{
  return s->family->pages * STORE_PAGE;
}

uint64_t
store_growth (struct store *s, uint64_t count, uint64_t offset)
{
  uint64_t end = offset + count, pages = 0, n;

  for (; offset < end; offset += n) {
    uint64_t r = offset / REGION, len = in_region (end - offset, offset);
    struct stripe *stripe = stripe_lock (s, r);
    uintptr_t entry = slot_get (s, r);
    uintptr_t touched = pages_touched (offset % REGION, len);

    n = len;
    if (entry)
      pages += page_count (pages_needed (entry, touched));
    else {
      n = min_u64 (next_region (s, r, regions_to (end)) * REGION, end) - offset;
      pages += (offset + n + STORE_PAGE - 1) / STORE_PAGE - offset / STORE_PAGE;
    }
    stripe_unlock (stripe);
  }
  return pages * STORE_PAGE;
}

/* The same for zeroing a part of a page. */
static uint64_t
edge_growth (struct store *s, uint64_t offset)
{
  bool data;

  store_extent (s, 1, offset, &data);
  return data ? store_growth (s, 1, offset) : 0;
}

uint64_t
store_zero_growth (struct store *s, uint64_t count, uint64_t offset)
{
  uint64_t end = offset + count, growth = 0;
  bool starts_inside = offset % STORE_PAGE != 0;
  bool ends_inside = end % STORE_PAGE != 0 && end < s->size;

  if (count == 0)
    return 0;
  if (s->keep)
    return store_growth (s, count, offset);
  if (starts_inside)
    growth += edge_growth (s, offset);
  if (ends_inside
      && !(starts_inside && end / STORE_PAGE == offset / STORE_PAGE))
    growth += edge_growth (s, end);
  return growth;
}

void
store_expect (struct store *s, uint64_t offset)
{
  uintptr_t region;

  if (READERS_LOCK)
    return;
  region = page_region (slot_get (s, offset / REGION),
                        (unsigned) (offset % REGION / STORE_PAGE));
  if (region)
    __builtin_prefetch (page_address (region, 0) + offset % REGION);
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
    change_all_begin (f);
    pthread_mutex_lock (&f->mem);
    prune (s, s->root, s->root_slots, s->shift);
    s->emptied = 0;
    pthread_mutex_unlock (&f->mem);
    change_all_end (f);
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

  *data = page_region (slot_get (s, pos / REGION),
                       (unsigned) (pos % REGION / STORE_PAGE)) != 0;
  while (pos < end) {
    uint64_t r = pos / REGION;
    uintptr_t entry = slot_get (s, r), shown = pages_shown (entry);

    if (entry == 0 && !*data)
      pos = next_region (s, r, regions_to (end)) * REGION;
    else if (shown == ALL_PAGES && *data)
      pos = (r + 1) * REGION;
    else if ((shown >> (pos % REGION / STORE_PAGE) & 1) == *data)
      pos = (pos / STORE_PAGE + 1) * STORE_PAGE;
    else
      break;
  }
  stripe_unlock (stripe);
  return min_u64 (pos, end) - offset;
}

/* Lock the pages PAGES of a slot into RAM. */
static int
pages_lock (uintptr_t entry, uintptr_t pages)
{
  for (unsigned i = 0; i < REGION_PAGES; i++)
    if (pages >> i & 1
        && mlock (page_address (page_region (entry, i), i), STORE_PAGE) == -1)
      return errno;
  return 0;
}

/* Allocate all pages of one region that lie within the disk, for us alone. */
static int
region_reserve (struct store *s, uint64_t region, uint64_t len, bool lock)
{
  uintptr_t pages = pages_touched (0, len), entry;
  slot_t *slot;

  if (!slot_make (s, region))
    return ENOMEM;
  slot = slot_find (s, region);
  if (pages_own (s, slot, pages, pages) != 0)
    return ENOMEM;
  entry = atomic_load_explicit (slot, memory_order_relaxed);
  if (lock && is_mixed (entry))
    return pages_lock (entry, pages);
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
  uint64_t stored = store_stored (s);

  if (stored < s->size && !can_reserve (s->size - stored))
    return ENOMEM;
  s->keep = true;
  s->lock = lock;
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
