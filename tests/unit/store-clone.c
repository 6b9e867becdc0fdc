/* The store: clones share pages until one side changes them. */

#include "store-tools.h"

/* A clone is the same, and then each side goes its own way. */
static void
test_clone (void)
{
  struct store *a = new_store (1 << 16), *b, *c;

  put (a, 0, 5000, 'a');
  b = clone_of (a);
  ok (holds (b, 0, 5000, 'a') && store_allocated (b) == store_allocated (a),
      "a clone is the same");
  put (a, 100, 10, 'b');
  ok (holds (b, 0, 5000, 'a'), "the clone does not see later writes");
  put (b, 2000, 10, 'c');
  ok (holds (a, 110, 4890, 'a'), "the original does not see the clone's");
  c = clone_of (b);
  store_zero (b, 1 << 16, 0);
  ok (holds (b, 0, 1 << 16, 0) && store_allocated (b) == 0,
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
  unsigned before;

  put (a, 0, 4096, 'a');
  b = clone_of (a);
  before = a->family->unused_regions;
  store_zero (b, 256, 512);
  ok (a->family->unused_regions == before && !a->family->free_regions,
      "a trim in a clone copies nothing");
  ok (holds (a, 0, 4096, 'a') && holds (b, 512, 256, 0)
      && store_allocated (b) == 4096 - 256, "and changes the clone only");
  put (b, 520, 1, 'b');
  ok (holds (b, 512, 8, 0) && holds (b, 520, 1, 'b')
      && holds (b, 521, 247, 0) && holds (a, 0, 4096, 'a'),
      "what is written there later starts from zeroes");
  store_free (a);
  store_free (b);
}

int
main (void)
{
  test_clone ();
  test_clone_zero ();
  test_clone_trim ();
  return done_testing ();
}
