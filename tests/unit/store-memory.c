/* The store: memory is used again, given back and reserved. */

#include "store-tools.h"

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

int
main (void)
{
  test_reuse ();
  test_give_back ();
  test_prune ();
  test_reserve ();
  test_reserve_too_much ();
  return done_testing ();
}
