/* The store, rule by rule. */

#include "tap.h"
#include "tiny-store.h"

#define PAGE ((uint64_t) STORE_PAGE)

static struct store *
new_store (uint64_t size)
{
  struct store *s;

  if (store_create (size, &s) != 0)
    abort ();
  return s;
}

static struct store *
clone_of (struct store *from)
{
  struct store *s;

  if (store_clone (from, &s) != 0)
    abort ();
  return s;
}

/* Write COUNT times the byte C. */
static void
put (struct store *s, uint64_t offset, uint64_t count, int c)
{
  char *buf = malloc (count + 1);

  memset (buf, c, count);
  if (store_write (s, buf, count, offset) != 0)
    abort ();
  free (buf);
}

/* Does the range hold only the byte C? */
static bool
holds (struct store *s, uint64_t offset, uint64_t count, int c)
{
  char *buf = malloc (count + 1);
  bool same = true;

  memset (buf, 0xee, count + 1);
  store_read (s, buf, count, offset);
  for (uint64_t i = 0; i < count; i++)
    same = same && buf[i] == (char) c;
  same = same && buf[count] == (char) 0xee;
  free (buf);
  return same;
}

/* The map of a range as text: "d" or "h" and the length of each extent. */
static const char *
map (struct store *s, uint64_t offset, uint64_t count)
{
  static char text[1024];
  size_t used = 0;
  uint64_t n;
  bool data;

  text[0] = '\0';
  for (; count > 0; offset += n, count -= n) {
    n = store_extent (s, count, offset, &data);
    if (n == 0 || n > count || used > sizeof text - 32)
      return "an extent of no length or past the end";
    used += (size_t) snprintf (text + used, sizeof text - used, "%s%c%llu",
                               used ? " " : "", data ? 'd' : 'h',
                               (unsigned long long) n);
  }
  return text;
}

static void
is_map (struct store *s, uint64_t offset, uint64_t count,
        const char *expected, const char *name)
{
  const char *got = map (s, offset, count);

  if (!ok (strcmp (got, expected) == 0, "%s", name))
    printf ("# got %s, expected %s\n", got, expected);
}

/* A new disk reads as zeroes, holds nothing and is one hole. */
static void
test_fresh (void)
{
  struct store *s = new_store (1 << 20);

  ok (store_size (s) == 1 << 20, "the size is what was asked for");
  ok (holds (s, 0, 5000, 0), "a fresh disk reads as zeroes");
  ok (store_allocated (s) == 0, "a fresh disk holds nothing");
  is_map (s, 0, 1 << 20, "h1048576", "a fresh disk is one hole");
  store_free (s);
}

/* A write changes its bytes, all of them and no others, wherever it starts
 * and ends.
 */
static void
test_write_edges (void)
{
  static const uint64_t lengths[] = { 1, 63, 64, 65, 127, 1023, 1024, 1025, 3000 };
  bool good = true;

  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    for (uint64_t off = 0; off < 2 * PAGE + 2; off++) {
      struct store *s = new_store (8192);

      put (s, off, lengths[i], 'a');
      good = good && holds (s, off, lengths[i], 'a')
        && holds (s, 0, off, 0)
        && holds (s, off + lengths[i], 8192 - off - lengths[i], 0);
      store_free (s);
    }
  }
  ok (good, "writes of every alignment change their own bytes only");
}

/* Pages that come back into use hold no old bytes.  (The tiny store fills
 * what it gives back with rubbish.)
 */
static void
test_no_old_bytes (void)
{
  struct store *s = new_store (8192);

  put (s, 0, 8192, 'x');
  store_zero (s, 8192, 0);
  put (s, 100, 1, 'a');
  put (s, 2047, 2, 'a');
  ok (holds (s, 0, 100, 0) && holds (s, 101, 1946, 0)
      && holds (s, 2049, 6143, 0), "a page used again holds no old bytes");
  store_free (s);
}

/* Whole pages that are zeroed are given back; parts of pages are zeroed, and
 * the rest of those pages stays.
 */
static void
test_zero (void)
{
  struct store *s = new_store (4096);

  put (s, 0, 4096, 'a');
  ok (store_allocated (s) == 4096, "each page written counts");
  store_zero (s, 2 * PAGE, 10);
  ok (holds (s, 0, 10, 'a') && holds (s, 10, 2 * PAGE, 0)
      && holds (s, 10 + 2 * PAGE, 4096 - 10 - 2 * PAGE, 'a'),
      "zero changes its own bytes only");
  is_map (s, 0, 4096, "d64 h64 d3968", "the whole page inside is a hole");
  ok (store_allocated (s) == 4096 - PAGE, "and is given back");
  store_zero (s, 4096, 0);
  ok (store_allocated (s) == 0, "all is given back");
  is_map (s, 0, 4096, "h4096", "and is one hole");
  store_zero (s, 4096, 0);
  ok (holds (s, 0, 4096, 0), "a hole can be zeroed");
  store_free (s);
}

/* Extents are exact to the page, merged, and never longer than asked for. */
static void
test_extents (void)
{
  struct store *s = new_store (UINT64_C (1) << 50);

  put (s, 1000, 1, 'a');
  put (s, 1024, 1024, 'a');
  put (s, UINT64_C (1) << 40, 1, 'a');
  is_map (s, 0, 8192, "h960 d1088 h6144", "neighbouring pages merge");
  is_map (s, 990, 20, "d20", "an extent is clipped to the request");
  is_map (s, 959, 2, "h1 d1", "one byte of each");
  is_map (s, 0, UINT64_C (1) << 50,
          "h960 d1088 h1099511625728 d64 h1124800395214784",
          "a petabyte is mapped in five steps");
  store_free (s);
}

/* Offsets near 2^63-1 work as others do. */
static void
test_huge (void)
{
  struct store *s = new_store (STORE_MAX_SIZE);
  uint64_t end = STORE_MAX_SIZE;

  put (s, end - 100, 100, 'z');
  ok (holds (s, end - 100, 100, 'z') && holds (s, end - 300, 200, 0),
      "the last bytes of the largest disk");
  is_map (s, 0, end, "h9223372036854775680 d127", "its map");
  store_zero (s, end, 0);
  ok (holds (s, end - 100, 100, 0), "zeroing all of it");
  ok (store_allocated (s) == 0, "leaves nothing");
  store_free (s);
}

/* A disk of no bytes and requests of no bytes are allowed. */
static void
test_empty (void)
{
  struct store *s = new_store (0);

  ok (store_write (s, "", 0, 0) == 0 && store_zero (s, 0, 0) == 0
      && holds (s, 0, 0, 0), "requests of no bytes do nothing");
  store_free (s);
}

/* A clone is the same, and then each side goes its own way. */
static void
test_clone (void)
{
  struct store *a = new_store (1 << 16), *b, *c;

  put (a, 0, 5000, 'a');
  b = clone_of (a);
  ok (holds (b, 0, 5000, 'a') && store_stored (b) == store_stored (a)
      && store_allocated (b) == store_stored (a),
      "a clone is the same");
  put (a, 100, 10, 'b');
  ok (holds (b, 0, 5000, 'a'), "the clone does not see later writes");
  put (b, 2000, 10, 'c');
  ok (holds (a, 110, 4890, 'a'), "the original does not see the clone's");
  c = clone_of (b);
  store_zero (b, 1 << 16, 0);
  ok (holds (b, 0, 1 << 16, 0) && store_stored (b) == 0,
      "a clone can be zeroed");
  ok (holds (c, 0, 2000, 'a') && holds (c, 2000, 10, 'c')
      && holds (c, 2010, 2990, 'a'), "a clone of a clone keeps what it had");
  store_free (a);
  ok (holds (c, 0, 2000, 'a'), "and outlives the original");
  store_free (b);
  put (c, 0, 1 << 16, 'd');
  ok (holds (c, 0, 1 << 16, 'd'), "and the last one is an ordinary disk");
  store_free (c);
}

/* Zeroing part of what a clone shares leaves the other side alone. */
static void
test_clone_zero (void)
{
  struct store *a = new_store (4096), *b;

  put (a, 0, 4096, 'a');
  b = clone_of (a);
  store_zero (a, 100, 30);
  store_zero (b, 1024, 1024);
  store_zero (b, PAGE, 2048 + PAGE);
  ok (holds (b, 0, 1024, 'a') && holds (b, 1024, 1024, 0)
      && holds (b, 2048, PAGE, 'a') && holds (b, 2048 + PAGE, PAGE, 0)
      && holds (b, 2048 + 2 * PAGE, 2048 - 2 * PAGE, 'a'),
      "the clone has just its own zeroes");
  ok (holds (a, 0, 30, 'a') && holds (a, 30, 100, 0)
      && holds (a, 130, 3966, 'a'), "the original has just its own zeroes");
  is_map (b, 0, 4096, "d1024 h1024 d64 h64 d1920", "the clone's map");
  is_map (a, 0, 4096, "d64 h64 d3968", "the original's map");
  store_free (b);
  store_free (a);
}

/* Regions and nodes are used again, so writing and trimming in turn does not
 * grow the family.
 */
static void
test_reuse (void)
{
  struct store *s = new_store (UINT64_C (1) << 40);
  unsigned chunks = 0, slabs = 0;

  for (uint64_t i = 0; i < 500; i++) {
    put (s, i << 30, 1, 'a');
    store_zero (s, UINT64_C (1) << 40, 0);
  }
  for (struct chunk *c = s->family->chunks; c; c = c->next)
    chunks++;
  for (struct slab *slab = s->family->slabs; slab; slab = slab->next)
    slabs++;
  ok (chunks == 1, "regions are used again");
  ok (slabs < 100, "nodes are used again");
  store_free (s);
}

/* A reserved disk is allocated to its last page, and stays so. */
static void
test_reserve (void)
{
  struct store *s = new_store (5000), *b;

  put (s, 1000, 100, 'a');
  ok (store_reserve (s, false) == 0, "a disk is reserved");
  ok (holds (s, 0, 1000, 0) && holds (s, 1000, 100, 'a')
      && holds (s, 1100, 3900, 0), "and reads as before");
  is_map (s, 0, 5000, "d5000", "all of it is data");
  ok (store_allocated (s) == 5056, "all of it is allocated");
  store_zero (s, 5000, 0);
  ok (store_allocated (s) == 5056 && holds (s, 0, 5000, 0),
      "zeroing gives nothing back");
  b = clone_of (s);
  store_zero (b, 5000, 0);
  put (s, 0, 10, 'b');
  ok (holds (s, 0, 10, 'b') && holds (b, 0, 5000, 0),
      "its clone is a disk of its own");
  ok (store_stored (b) == 0, "that gives back what is zeroed");
  store_free (b);

  b = clone_of (s);
  ok (store_reserve (s, false) == 0 && store_growth (s, 5000, 0) == 0,
      "a disk that is reserved again shares nothing");
  store_free (s);
  store_free (b);
}

/* A disk that no system has the memory for is refused at once. */
static void
test_reserve_too_much (void)
{
  struct store *s = new_store (STORE_MAX_SIZE);

  ok (store_reserve (s, false) == ENOMEM && store_allocated (s) == 0,
      "too large a disk can't be reserved, and takes no memory");
  store_free (s);
}

/* Zeroing whole pages that a clone shares needs no memory. */
static void
test_clone_trim (void)
{
  struct store *a = new_store (4096), *b;
  size_t before;

  put (a, 0, 4096, 'a');
  b = clone_of (a);
  before = a->family->unused_regions;
  store_zero (b, 256, 512);
  ok (a->family->unused_regions == before && !a->family->free_regions,
      "a trim in a clone copies nothing");
  ok (holds (a, 0, 4096, 'a') && holds (b, 512, 256, 0)
      && store_stored (b) == 4096 - 256 && store_allocated (b) == 4096,
      "and changes the clone only");
  put (b, 520, 1, 'b');
  ok (holds (b, 512, 8, 0) && holds (b, 520, 1, 'b')
      && holds (b, 521, 247, 0) && holds (a, 0, 4096, 'a'),
      "what is written there later starts from zeroes");
  store_free (a);
  store_free (b);
}

/* Is the family's memory so many pages, by its count and by those of its
 * frames?
 */
static bool
allocates (struct store *s, uint64_t pages)
{
  return store_allocated (s) == pages * PAGE && frames_shown (s) == pages;
}

/* A write to what a clone shares copies the pages that it touches, no more. */
static void
test_clone_pages (void)
{
  struct store *a = new_store (4096), *b, *c;
  uintptr_t region;

  put (a, 0, 1024, 'a');
  region = slot_get (a, 0) & ~ALL_PAGES;
  b = clone_of (a);
  ok (allocates (a, 16), "a clone takes no memory");
  ok (store_growth (b, 2, 2 * PAGE - 1) == 2 * PAGE
      && store_growth (b, 2, 1023) == 2 * PAGE
      && store_growth (b, 4096, 0) == 4096, "what a write would take");
  put (b, 3 * PAGE + 1, 1, 'b');
  ok (allocates (a, 17) && store_stored (b) == 1024
      && store_growth (b, PAGE, 3 * PAGE) == 0
      && store_growth (a, PAGE, 3 * PAGE) == 0,
      "a byte in a clone takes a page");
  put (a, 3 * PAGE, PAGE, 'A');
  ok (allocates (a, 17) && slot_get (a, 0) == (region | ALL_PAGES),
      "what nobody else shows is changed where it is");
  ok (holds (b, 0, 3 * PAGE + 1, 'a') && holds (b, 3 * PAGE + 1, 1, 'b')
      && holds (b, 3 * PAGE + 2, 1022 - 3 * PAGE, 'a')
      && holds (a, 3 * PAGE, PAGE, 'A'), "each has its own");

  c = clone_of (b);
  put (b, 3 * PAGE, 1, 'B');
  put (c, 5 * PAGE, PAGE, 'c');
  ok (allocates (a, 19) && holds (c, 3 * PAGE, 1, 'a')
      && holds (c, 3 * PAGE + 1, 1, 'b') && holds (c, 5 * PAGE, PAGE, 'c')
      && holds (b, 3 * PAGE, 1, 'B') && holds (b, 5 * PAGE, PAGE, 'a'),
      "a clone of a clone that changed");
  store_free (b);
  ok (allocates (a, 18), "what it had alone goes with it");
  store_free (c);
  ok (allocates (a, 16) && store_growth (a, 1024, 0) == 0,
      "the last one shares nothing");
  store_free (a);
}

/* What a clone overwrites as a whole is as fast as before. */
static void
test_clone_settles (void)
{
  struct store *a = new_store (4096), *b;

  put (a, 0, 1024, 'a');
  b = clone_of (a);
  for (uint64_t i = 0; i < 15; i++)
    put (b, i * PAGE, PAGE, 'b');
  ok (is_mixed (slot_get (b, 0)) && allocates (a, 31), "all pages but one");
  put (b, 1023, 1, 'b');
  ok (!is_mixed (slot_get (b, 0)) && allocates (a, 32)
      && holds (b, 0, 15 * PAGE, 'b') && holds (b, 15 * PAGE, 63, 'a'),
      "and the last one: they lie in one region");
  put (b, 0, 1, 'c');
  store_zero (b, 1024, 0);
  ok (allocates (a, 16) && holds (a, 0, 1024, 'a'), "zeroed: all are back");
  store_free (a);
  ok (nothing_lost (b), "and nothing is lost");
  store_free (b);
}

/* A page that every store has zeroed takes no memory, though they share others
 * of the same region.
 */
static void
test_clone_gives_back (void)
{
  struct store *a = new_store (4096), *b, *c;

  put (a, 0, 1024, 'a');
  b = clone_of (a);
  put (b, 7 * PAGE, 1, 'b');
  c = clone_of (b);
  store_zero (a, PAGE, PAGE);
  store_zero (b, PAGE, PAGE);
  ok (allocates (a, 17), "a page that one clone still shows");
  store_zero (c, PAGE, PAGE);
  ok (allocates (a, 16), "... and none any more");
  ok (store_zero_growth (c, 10, 5) == PAGE
      && store_zero_growth (c, 2 * PAGE, 2 * PAGE) == 0
      && store_zero_growth (c, 2 * PAGE, 2 * PAGE + 1) == 2 * PAGE
      && store_zero_growth (c, 1, PAGE) == 0
      && store_zero_growth (c, 4095, 1) == PAGE
      && store_zero_growth (c, 0, 1) == 0, "what zeroing would take");
  store_zero (c, 10, 5);
  ok (allocates (a, 17) && holds (b, 5, 10, 'a') && holds (c, 5, 10, 0)
      && holds (c, 15, 49, 'a'), "zeroing a part of a page copies that");
  store_free (b);
  store_free (c);
  store_free (a);
}

/* Pages inside a region are given back to the system.  (The tiny store fills
 * them with 0xdd.)
 */
static void
test_give_back (void)
{
  struct store *s = new_store (4096);
  const char *page;

  put (s, 0, 4096, 'a');
  page = page_address (slot_get (s, 0), 3);
  store_zero (s, PAGE, 3 * PAGE);
  ok (page[0] == (char) 0xdd && page[PAGE - 1] == (char) 0xdd
      && page[PAGE] == 'a' && page[-1] == 'a',
      "a zeroed page is given back, and no other");
  store_free (s);
}

/* Nodes that hold nothing go, whoever emptied them and however. */
static void
test_prune (void)
{
  struct store *s = new_store (STORE_MAX_SIZE);
  uint64_t rng = 1, most = 0;
  unsigned changed = 0;

  for (unsigned i = 0; i < 20000; i++) {
    uint64_t offset = random_below (&rng, STORE_MAX_SIZE / REGION) * REGION;

    put (s, offset, 1, 'a');
    store_zero (s, REGION, offset);
    most = s->nodes > most ? s->nodes : most;
  }
  ok (most < 3000, "the tree of an empty disk stays small");

  /* Late readers must not trust what they find in nodes that have gone. */
  for (unsigned i = 0; i < STRIPES; i++)
    s->family->stripe[i].sequence = 0;
  s->emptied = 1000;
  prune_all (s);
  for (unsigned i = 0; i < STRIPES; i++)
    changed += s->family->stripe[i].sequence == 2;
  ok (changed == STRIPES, "each reader learns of it");
  ok (nothing_lost (s), "and nothing is lost");
  store_free (s);
}

int
main (void)
{
  test_fresh ();
  test_write_edges ();
  test_no_old_bytes ();
  test_zero ();
  test_extents ();
  test_huge ();
  test_empty ();
  test_clone ();
  test_clone_zero ();
  test_reuse ();
  test_clone_trim ();
  test_clone_pages ();
  test_clone_settles ();
  test_clone_gives_back ();
  test_give_back ();
  test_prune ();
  test_reserve ();
  test_reserve_too_much ();
  return done_testing ();
}
