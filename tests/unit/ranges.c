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

#define malloc test_malloc
#include "lib/ranges.c"
#undef malloc

#define SIZE 200

static bool flags[SIZE];

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
  return n == r->n;
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
    right = right && finds (&r, start, start + 1);
  }
  ok (right, "%llu random changes, seed %llu", (unsigned long long) i,
      (unsigned long long) seed);
  ranges_clear (&r);
  ok (r.n == 0 && !r.tree, "cleared");
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

  oracle (env_number ("SEED", 1));
  return done_testing ();
}
