/* Initial content, with tiny pages: against plain memory, where the function
 * fails, where it takes itself away, and in copies.
 */

#include <errno.h>
#include <string.h>

#include "tap.h"
#include "tiny-store.h"
#include "lib/array.c"
#include "lib/ranges.c"
#include "disk/fill.c"

/* 41 pages, the last one short: the bitmap ends inside a byte. */
#define SIZE ((uint64_t) 40 * STORE_PAGE + 13)

/*--------------------------------------------------------------------*/
/* The function. */

static int fail;                /* what it returns */
static struct fill *take_away;  /* when it has made content */
static unsigned calls;
static bool right = true;       /* what it was asked for */

static uint8_t
initial_byte (uint64_t offset)
{
  return (uint8_t) (offset * 7 + offset / STORE_PAGE + 1);
}

static int
make (void *context, void *buf, uint64_t count, uint64_t offset)
{
  uint8_t *p = buf;

  calls++;
  right = right && context == &calls && count > 0 && offset % STORE_PAGE == 0
    && ((offset + count) % STORE_PAGE == 0 || offset + count == SIZE);
  for (uint64_t i = 0; i < count; i++)
    p[i] = initial_byte (offset + i);
  if (take_away)
    fill_set (take_away, NULL);
  return fail;
}

static struct fill *
new_fill (struct store **store)
{
  struct fill *f;

  if (store_create (SIZE, store) != 0 || (f = fill_new (*store, make)) == NULL)
    abort ();
  return f;
}

static void
end_fill (struct fill *f, struct store *store)
{
  fill_free (f);
  store_free (store);
}

static bool
is_initial (struct fill *f, uint64_t count, uint64_t offset)
{
  uint8_t buf[SIZE];

  if (fill_read (f, buf, count, offset, &calls) != 0)
    return false;
  for (uint64_t i = 0; i < count; i++)
    if (buf[i] != initial_byte (offset + i))
      return false;
  return true;
}

static bool
is_zero (struct fill *f, uint64_t count, uint64_t offset)
{
  uint8_t buf[SIZE], zero[SIZE] = { 0 };

  return fill_read (f, buf, count, offset, &calls) == 0
    && memcmp (buf, zero, count) == 0;
}

/*--------------------------------------------------------------------*/

/* Pages that hold data are real, untouched or zeroed: as the flags say? */
static bool
extents_agree (struct fill *f, const bool *zeroed)
{
  uint64_t n;
  bool data;

  for (uint64_t offset = 0; offset < SIZE; offset += n) {
    n = fill_extent (f, SIZE - offset, offset, &data);
    if (n == 0 || n > SIZE - offset)
      return false;
    for (uint64_t p = offset / STORE_PAGE; p * STORE_PAGE < offset + n; p++)
      if (zeroed[p] == data)
        return false;
  }
  return true;
}

/* Do the same to both, at random. */
static bool
change (struct fill *f, uint8_t *model, bool *zeroed, uint64_t *state)
{
  uint64_t offset = random_below (state, SIZE);
  uint64_t count = random_below (state, random_below (state, 3)
                                 ? 2 * STORE_PAGE : SIZE);
  bool zero = random_below (state, 2) == 0;
  uint8_t data[SIZE];
  int err;

  count = min_u64 (count, SIZE - offset);
  memset (data, zero ? 0 : (int) random_below (state, 256), count);
  memcpy (model + offset, data, count);
  err = zero ? fill_zero (f, count, offset, &calls)
    : fill_write (f, data, count, offset, &calls);
  for (uint64_t i = offset; i < offset + count; i++) {
    uint64_t page = i / STORE_PAGE, start = page * STORE_PAGE;

    if (!zero)
      zeroed[page] = false;
    else if (start >= offset && (start + STORE_PAGE <= offset + count
                                 || offset + count == SIZE))
      zeroed[page] = true;
  }
  return err == 0;
}

static void
oracle (uint64_t seed)
{
  uint64_t state = seed, n = rounds (20000), i;
  uint8_t model[SIZE], buf[SIZE];
  struct store *store;
  struct fill *f = NULL;
  bool zeroed[SIZE / STORE_PAGE + 1], good = true;

  for (i = 0; i < n && good; i++) {
    if (i % 50 == 0) {
      if (f)
        end_fill (f, store);
      f = new_fill (&store);
      memset (zeroed, 0, sizeof zeroed);
      for (uint64_t k = 0; k < SIZE; k++)
        model[k] = initial_byte (k);
    }
    good = change (f, model, zeroed, &state)
      && fill_read (f, buf, SIZE, 0, &calls) == 0
      && memcmp (buf, model, SIZE) == 0 && extents_agree (f, zeroed);
  }
  ok (good && right, "%llu random changes, seed %llu", (unsigned long long) i,
      (unsigned long long) seed);
  end_fill (f, store);
}

static void
test_memory (void)
{
  struct store *store;
  struct fill *f = new_fill (&store);

  ok (is_initial (f, SIZE, 0) && store_allocated (store) == 0,
      "reading takes no memory");
  ok (fill_zero (f, STORE_PAGE, STORE_PAGE, &calls) == 0
      && store_allocated (store) == 0 && is_zero (f, STORE_PAGE, STORE_PAGE),
      "nor does zeroing a page");
  ok (fill_zero_growth (f, STORE_PAGE, 2 * STORE_PAGE) == 0
      && fill_zero_growth (f, 1, 2 * STORE_PAGE) == STORE_PAGE
      && fill_zero_growth (f, STORE_PAGE, 2 * STORE_PAGE + 1) == 2 * STORE_PAGE
      && fill_zero_growth (f, 1, STORE_PAGE) == 0
      && fill_zero_growth (f, 13, SIZE - 13) == 0, "what zeroing would take");
  calls = 0;
  fill_zero (f, 3, STORE_PAGE + 1, &calls);
  ok (calls == 0, "zeroing a part of a zeroed page makes no content");
  fill_zero (f, 3, 2 * STORE_PAGE + 1, &calls);
  ok (calls == 1 && store_allocated (store) == STORE_PAGE
      && is_initial (f, 1, 2 * STORE_PAGE)
      && is_zero (f, 3, 2 * STORE_PAGE + 1), "a part of another makes it real");
  end_fill (f, store);
}

/* A function that fails. */
static void
test_fail (void)
{
  struct store *store;
  struct fill *f = new_fill (&store);
  const char zero[STORE_PAGE] = "";
  char buf[STORE_PAGE];

  fail = EDOM;
  ok (fill_read (f, buf, 1, 5, &calls) == EDOM
      && fill_read (f, buf, STORE_PAGE, 0, &calls) == EDOM
      && fill_write (f, zero, 1, 5, &calls) == EDOM
      && fill_zero (f, 1, 5, &calls) == EDOM
      && fill_zero (f, STORE_PAGE, 5, &calls) == EDOM, "its error is returned");
  ok (fill_write (f, zero, STORE_PAGE, 0, &calls) == 0
      && fill_zero (f, STORE_PAGE, STORE_PAGE, &calls) == 0,
      "whole pages do without it");
  fail = 0;
  ok (is_initial (f, SIZE - 2 * STORE_PAGE, 2 * STORE_PAGE)
      && is_zero (f, 2 * STORE_PAGE, 0), "nothing else was done");
  end_fill (f, store);
}

static void
test_take_away (void)
{
  struct store *store;
  struct fill *f = new_fill (&store);

  fill_zero (f, STORE_PAGE, STORE_PAGE, &calls);
  take_away = f;
  ok (fill_write (f, "x", 1, 5, &calls) == 0 && !fill_active (f),
      "it takes itself away");
  take_away = NULL;
  ok (is_zero (f, 5, 0) && is_zero (f, SIZE - 6, 6), "untouched pages are zero");
  fill_set (f, make);
  ok (fill_active (f) && is_zero (f, 5, 0)
      && is_initial (f, SIZE - STORE_PAGE, STORE_PAGE),
      "set again: all pages without data are untouched");

  take_away = f;
  ok (fill_zero (f, 2 * STORE_PAGE, STORE_PAGE + 5, &calls) == 0
      && is_zero (f, SIZE - STORE_PAGE, STORE_PAGE), "while zeroing");
  take_away = NULL;
  fill_set (f, make);
  ok (is_initial (f, SIZE - STORE_PAGE, STORE_PAGE), "... and set again");
  end_fill (f, store);
}

static void
test_clone (void)
{
  struct store *store, *store2;
  struct fill *f = new_fill (&store), *f2;

  fill_zero (f, STORE_PAGE, 0, &calls);
  ok (fill_clone (f, &f2, &store2) == 0 && is_zero (f2, STORE_PAGE, 0)
      && is_initial (f2, SIZE - STORE_PAGE, STORE_PAGE), "a copy");
  fill_zero (f, STORE_PAGE, STORE_PAGE, &calls);
  fill_zero (f2, STORE_PAGE, 2 * STORE_PAGE, &calls);
  ok (is_initial (f2, STORE_PAGE, STORE_PAGE)
      && is_initial (f, STORE_PAGE, 2 * STORE_PAGE), "two that differ");
  end_fill (f, store);
  ok (is_zero (f2, STORE_PAGE, 0) && is_initial (f2, STORE_PAGE, STORE_PAGE),
      "the copy remains");
  end_fill (f2, store2);
}

/* Memory for trims depends on their number, not on their length. */
static void
test_long_trims (void)
{
  const uint64_t step = UINT64_C (1) << 40;
  struct store *store;
  struct fill *f;
  char c;
  bool good = true;

  if (store_create (STORE_MAX_SIZE, &store) != 0
      || (f = fill_new (store, make)) == NULL)
    abort ();
  for (uint64_t i = 0; i < 8000; i++)
    good = good && fill_zero (f, step / 2, i * step, &calls) == 0;
  ok (good && f->touched.n == 8000 && f->touched.nr_blocks <= 64,
      "8000 trims of 512 GiB take some KiB");
  for (uint64_t i = 0; i < 8000; i++)
    good = good && fill_read (f, &c, 1, i * step + step / 2 - 1, &calls) == 0
      && c == 0;
  ok (good && store_allocated (store) == 0, "all is zero there");
  for (uint64_t i = 0; i < 8000; i++)
    fill_zero (f, step, i * step, &calls);
  ok (f->touched.n == 1, "what is all trimmed is one range");
  end_fill (f, store);
}

int
main (void)
{
  test_long_trims ();
  test_memory ();
  test_fail ();
  test_take_away ();
  test_clone ();
  oracle (env_number ("SEED", 1));
  return done_testing ();
}
