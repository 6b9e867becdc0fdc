/* Random operations on a store and its clones, compared with flat arrays.
 * SEED=N repeats a run, ROUNDS=N makes it longer.
 */

#include <time.h>

#include "tap.h"
#include "tiny-store.h"

#define DISKS 5

static uint64_t rng, size;

static struct {
  struct store *store;          /* NULL: no disk */
  unsigned char *bytes;
  unsigned char *whole;         /* per page: 1 data, 0 hole */
} disks[DISKS];

static uint64_t
pages (void)
{
  return (size + STORE_PAGE - 1) / STORE_PAGE;
}

/* A range that is mostly short, and sometimes begins or ends at a page. */
static void
random_range (uint64_t *offset, uint64_t *count)
{
  *offset = random_below (&rng, size + 1);
  *count = random_below (&rng, size - *offset + 1);
  if (random_below (&rng, 4) != 0)
    *count %= 300;
  if (random_below (&rng, 3) == 0)
    *offset -= *offset % STORE_PAGE;
  if (random_below (&rng, 3) == 0)
    *count -= *count % STORE_PAGE;
}

static bool
do_read (unsigned d, uint64_t offset, uint64_t count)
{
  unsigned char *buf = malloc (count + 1);
  bool same;

  memset (buf, 0xee, count + 1);
  if (count > 0)
    store_expect (disks[d].store, offset);      /* a hint: it changes nothing */
  store_read (disks[d].store, buf, count, offset);
  same = memcmp (buf, disks[d].bytes + offset, count) == 0
    && buf[count] == 0xee;
  free (buf);
  return same;
}

static bool
do_write (unsigned d, uint64_t offset, uint64_t count)
{
  uint64_t first = offset / STORE_PAGE;

  for (uint64_t i = 0; i < count; i++)
    disks[d].bytes[offset + i] = (unsigned char) random_next (&rng);
  if (count > 0)
    memset (disks[d].whole + first, 1,
            (offset + count - 1) / STORE_PAGE - first + 1);
  return store_write (disks[d].store, disks[d].bytes + offset, count,
                      offset) == 0;
}

static bool
do_zero (unsigned d, uint64_t offset, uint64_t count)
{
  uint64_t first = (offset + STORE_PAGE - 1) / STORE_PAGE;
  uint64_t end = offset + count == size ? pages ()
                                        : (offset + count) / STORE_PAGE;

  memset (disks[d].bytes + offset, 0, count);
  if (first < end)
    memset (disks[d].whole + first, 0, end - first);
  return store_zero (disks[d].store, count, offset) == 0;
}

static bool
same_page (const unsigned char *a, const unsigned char *b, uint64_t page)
{
  uint64_t start = page * STORE_PAGE;
  uint64_t n = size - start < STORE_PAGE ? size - start : STORE_PAGE;

  return memcmp (a + start, b + start, n) == 0;
}

static bool
do_extents (unsigned d, uint64_t offset, uint64_t count)
{
  uint64_t end = offset + count, n;
  bool data;

  for (; offset < end; offset += n) {
    n = store_extent (disks[d].store, end - offset, offset, &data);
    if (n == 0 || n > end - offset)
      return false;
    for (uint64_t i = offset; i < offset + n; i++)
      if (disks[d].whole[i / STORE_PAGE] != data)
        return false;
    if (offset + n < end && disks[d].whole[(offset + n) / STORE_PAGE] == data)
      return false;             /* not merged */
  }
  return true;
}

static void
drop (unsigned d)
{
  store_free (disks[d].store);
  free (disks[d].bytes);
  free (disks[d].whole);
  memset (&disks[d], 0, sizeof disks[d]);
}

static bool
do_clone (unsigned from, unsigned to)
{
  if (from == to)
    return true;
  drop (to);
  if (store_clone (disks[from].store, &disks[to].store) != 0)
    return false;
  disks[to].bytes = malloc (size + 1);
  disks[to].whole = malloc (pages () + 1);
  memcpy (disks[to].bytes, disks[from].bytes, size);
  memcpy (disks[to].whole, disks[from].whole, pages ());
  return true;
}

/* One disk becomes what another one is, perhaps itself. */
static bool
do_assign (unsigned from, unsigned to)
{
  if (!disks[to].store)
    return true;
  memcpy (disks[to].bytes, disks[from].bytes, size);
  memcpy (disks[to].whole, disks[from].whole, pages ());
  return store_assign (disks[to].store, disks[from].store) == 0
    && store_stored (disks[to].store) == store_stored (disks[from].store);
}

/* The pages that the family holds are those that can be told apart: for each page,
 * at least as many as there are different contents, and at most one for each disk
 * that has data there.  By its own counts, exactly those of the frames.
 */
static bool
family_agrees (void)
{
  uint64_t least = 0, most = 0, allocated = 0;

  for (unsigned d = 0; d < DISKS; d++)
    if (disks[d].store)
      allocated = store_allocated (disks[d].store) / STORE_PAGE;
  for (uint64_t i = 0; i < pages (); i++)
    for (unsigned d = 0; d < DISKS; d++) {
      bool seen = false;

      if (!disks[d].store || !disks[d].whole[i])
        continue;
      most++;
      for (unsigned e = 0; e < d && !seen; e++)
        seen = disks[e].store && disks[e].whole[i]
          && same_page (disks[d].bytes, disks[e].bytes, i);
      least += !seen;
    }
  for (unsigned d = 0; d < DISKS; d++)
    if (disks[d].store && frames_shown (disks[d].store) != allocated)
      return false;
  return allocated >= least && allocated <= most;
}

/* A write allocates what was foretold, and so does a zero. */
static bool
do_foretold (unsigned d, uint64_t offset, uint64_t count)
{
  struct store *s = disks[d].store;
  uint64_t before = store_allocated (s);
  uint64_t growth = store_growth (s, count, offset);
  bool good = do_write (d, offset, count)
    && store_allocated (s) == before + growth
    && store_growth (s, count, offset) == 0;

  random_range (&offset, &count);
  before = store_allocated (s);
  growth = store_zero_growth (s, count, offset);
  return good && do_zero (d, offset, count)
    && store_allocated (s) <= before + growth
    && (count >= STORE_PAGE || store_allocated (s) == before + growth
        || offset + count == size);
}

/* Are the pages that are counted those in the map? */
static bool
counts_agree (unsigned d)
{
  uint64_t n = 0;

  for (uint64_t i = 0; i < pages (); i++)
    n += disks[d].whole[i];
  return store_stored (disks[d].store) == n * STORE_PAGE;
}

static bool
one_step (void)
{
  unsigned d = (unsigned) random_below (&rng, DISKS);
  unsigned to = (unsigned) random_below (&rng, DISKS);
  uint64_t offset, count;

  while (!disks[d].store)
    d = (d + 1) % DISKS;
  random_range (&offset, &count);
  switch (random_below (&rng, 17)) {
  case 0: return do_clone (d, to);
  case 1: if (d != to) drop (to); return counts_agree (d);
  case 2: return do_extents (d, offset, count);
  case 3: return do_foretold (d, offset, count);
  case 4: case 5: case 6: return do_zero (d, offset, count);
  case 7: case 8: case 9: return do_read (d, offset, count);
  case 10: return do_assign (d, to);
  default: return do_write (d, offset, count);
  }
}

/* Drop all disks except one, zero that one, and check that nothing was lost. */
static bool
last_one_is_clean (void)
{
  struct store *last = NULL;
  bool clean;

  for (unsigned d = 0; d < DISKS; d++) {
    if (!last) {
      last = disks[d].store;
      disks[d].store = NULL;
    }
    drop (d);
  }
  clean = store_zero (last, size, 0) == 0 && nothing_lost (last);
  store_free (last);
  return clean;
}

/* A family of disks of one size, from creation to the last one's end. */
static bool
one_round (unsigned steps)
{
  bool good = true;

  size = 1 + random_below (&rng, 40000);
  disks[0].bytes = calloc (1, size + 1);
  disks[0].whole = calloc (1, pages () + 1);
  if (store_create (size, &disks[0].store) != 0)
    abort ();

  for (unsigned i = 0; i < steps && good; i++)
    good = one_step ();
  for (unsigned d = 0; d < DISKS; d++)
    if (disks[d].store)
      good = good && do_read (d, 0, size) && do_extents (d, 0, size)
        && counts_agree (d);
  good = good && family_agrees ();
  return last_one_is_clean () && good;
}

int
main (void)
{
  uint64_t seed = env_number ("SEED", (uint64_t) time (NULL));
  uint64_t families = rounds (2000), round;
  bool good = true;

  printf ("# SEED=%llu ROUNDS=%llu\n", (unsigned long long) seed,
          (unsigned long long) families);
  rng = seed;
  for (round = 0; round < families && good; round++)
    good = one_round (500);
  ok (good, "%llu families of disks agree with flat arrays",
      (unsigned long long) round);
  return done_testing ();
}
