/* The store: what is written, zeroed and mapped, rule by rule. */

#include "store-tools.h"

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
  return done_testing ();
}
