/* The store: clones share pages until one side changes them. */

#include "store-tools.h"

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

int
main (void)
{
  test_clone ();
  test_clone_zero ();
  test_clone_trim ();
  test_clone_pages ();
  test_clone_settles ();
  test_clone_gives_back ();
  return done_testing ();
}
