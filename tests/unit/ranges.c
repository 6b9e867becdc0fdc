/* The set of ranges, compared with an array of flags, also when memory runs out.
 */

#include <string.h>

#include "tap.h"

/* Fail when this counts down to 0; < 0: never. */
static long countdown = -1;

static void *
test_malloc (size_t size)
{
  if (countdown >= 0 && countdown-- == 0)
    return NULL;
  return malloc (size);
}

static void *
test_realloc (void *p, size_t size)
{
  if (countdown >= 0 && countdown-- == 0)
    return NULL;
  return realloc (p, size);
}

/* Blocks of four ranges. */
#define BLOCK_RANGES 4
#define malloc test_malloc
#define realloc test_realloc
#include "lib/array.c"
#include "lib/ranges.c"
#undef malloc
#undef realloc

#define SIZE 200

static bool flags[SIZE];

/* Is no block empty, and do all together have as many ranges as the set? */
static bool
tidy (const struct ranges *r)
{
  size_t n = 0;

  for (size_t k = 0; k < r->nr_blocks; k++) {
    const size_t here = r->blocks[k]->n;

    if (here == 0 || here > BLOCK_RANGES)
      return false;
    n += here;
  }
  return n == r->n;
}

/* Is the set what the flags say, in ranges that do not touch? */
static bool
same (const struct ranges *r)
{
  uint64_t at = 0, start, end, last_end = UINT64_MAX;
  size_t n = 0;

  while (ranges_find (r, at, UINT64_MAX, &start, &end)) {
    if (start == last_end || start < at || end <= start || end > SIZE)
      return false;
    for (; at < start; at++)
      if (flags[at])
        return false;
    for (; at < end; at++)
      if (!flags[at])
        return false;
    last_end = end;
    n++;
  }
  for (; at < SIZE; at++)
    if (flags[at])
      return false;
  return n == r->n && tidy (r);
}

/* Each range overlaps what it should, and no more. */
static bool
finds (const struct ranges *r, uint64_t start, uint64_t end)
{
  uint64_t s, e, expected = start;

  while (expected < end && !flags[expected])
    expected++;
  if (!ranges_find (r, start, end, &s, &e))
    return expected == end;
  return expected < end && flags[s] && s <= expected
    && (s == expected || s < start);
}

/* Is a copy the same, and a set of its own?  Without memory it is empty. */
static bool
copies (const struct ranges *r)
{
  struct ranges copy = { .n = 0 };
  bool right;

  countdown = 1;
  right = ranges_copy (r, &copy) == (r->n > 0 ? ENOMEM : 0) && copy.n == 0
    && !copy.blocks;
  countdown = -1;
  right = right && ranges_copy (r, &copy) == 0 && same (&copy);
  ranges_add (&copy, 0, SIZE);
  ranges_clear (&copy);
  return right && same (r);
}

/* Is the union with a few ranges what it is when they are added?  Without memory it is
 * empty.
 */
static bool
unites (const struct ranges *r, uint64_t *state)
{
  struct ranges more = { .n = 0 }, all = { .n = 0 };
  bool before[SIZE], right;

  memcpy (before, flags, sizeof flags);
  for (unsigned i = 0; i < 5; i++) {
    const uint64_t start = random_below (state, SIZE - 9);
    const uint64_t end = start + 1 + random_below (state, 9);

    ranges_add (&more, start, end);
    memset (flags + start, true, end - start);
  }
  countdown = (long) random_below (state, 3);
  right = ranges_union (r, &more, &all) == 0 || (all.n == 0 && !all.blocks);
  countdown = -1;
  ranges_clear (&all);
  right = right && ranges_union (r, &more, &all) == 0 && same (&all);
  ranges_clear (&all);
  right = right && ranges_union (&more, r, &all) == 0 && same (&all);
  ranges_clear (&all);
  ranges_clear (&more);
  memcpy (flags, before, sizeof flags);
  return right && same (r);
}

/* Millions of ranges: in any order, and each second one gone again. */
static void
test_many (void)
{
  const uint64_t n = 4 << 20;
  struct ranges r = { .n = 0 };
  uint64_t state = 1, start, end, at;
  size_t most;
  bool right = true;

  for (uint64_t i = 0; i < n; i++)
    right = right && ranges_add (&r, i * 4, i * 4 + 1) == 0;
  ok (right && r.n == n && r.nr_blocks == n / BLOCK_RANGES,
      "%llu in order: the blocks are full", (unsigned long long) n);
  for (uint64_t i = 0; i < n; i += 2)
    right = right && ranges_remove (&r, i * 4, i * 4 + 4) == 0;
  ok (right && r.n == n / 2 && ranges_find (&r, 0, n * 4, &start, &end)
      && start == 4 && end == 5, "each second one is removed");
  most = r.nr_blocks;
  for (uint64_t i = 0; i < 10000 && right; i++) {
    at = random_below (&state, n) * 4;
    right = ranges_find (&r, at, at + 4, &start, &end) == (at / 4 % 2 == 1)
      && (at / 4 % 2 == 0 || start == at);
  }
  ok (right, "the others are found");
  ranges_remove (&r, 8, n * 4 - 8);
  ok (r.n == 2 && r.nr_blocks <= 2 && most <= n / BLOCK_RANGES,
      "all but the ends are removed at once, with their blocks");
  ranges_clear (&r);
}

static void
oracle (uint64_t seed)
{
  struct ranges r = { .n = 0 };
  uint64_t state = seed, n = rounds (20000), i;
  bool right = true;

  for (i = 0; i < n && right; i++) {
    uint64_t start = random_below (&state, SIZE);
    uint64_t end = start + 1 + random_below (&state, i % 3 ? 9 : SIZE);
    bool add = random_below (&state, 2) == 0, before[SIZE];
    int err;

    if (end > SIZE)
      end = SIZE;
    memcpy (before, flags, sizeof flags);
    countdown = random_below (&state, 8) == 0 ? 0 : -1;
    err = add ? ranges_add (&r, start, end) : ranges_remove (&r, start, end);
    countdown = -1;
    if (!err)
      memset (flags + start, add, end - start);
    right = (err == 0 || err == ENOMEM) && same (&r) && finds (&r, start, end);
    start = random_below (&state, SIZE);
    right = right && finds (&r, start, start + 1)
      && (i % 16 != 0 || (copies (&r) && unites (&r, &state)));
  }
  ok (right, "%llu random changes, seed %llu", (unsigned long long) i,
      (unsigned long long) seed);
  ranges_clear (&r);
  ok (r.n == 0 && !r.blocks, "cleared");
}

int
main (void)
{
  struct ranges r = { .n = 0 };
  uint64_t start, end;

  ok (!ranges_find (&r, 0, UINT64_MAX, &start, &end), "empty at first");
  ok (ranges_add (&r, 0, UINT64_MAX) == 0 && r.n == 1, "everything");
  ok (ranges_remove (&r, UINT64_MAX - 1, UINT64_MAX) == 0
      && ranges_find (&r, 5, 6, &start, &end)
      && start == 0 && end == UINT64_MAX - 1, "without the last number");
  ok (!ranges_find (&r, UINT64_MAX - 1, UINT64_MAX, &start, &end),
      "... which is not found");
  ranges_clear (&r);

  test_many ();
  oracle (env_number ("SEED", 1));
  return done_testing ();
}
