/* The index of rules against a search through all of them. */

#include "tap.h"

/* Fail when this counts down to 0; < 0: never. */
static long countdown = -1;

static void *
test_realloc (void *p, size_t size)
{
  if (countdown >= 0 && countdown-- == 0)
    return NULL;
  return realloc (p, size);
}

#define realloc test_realloc
#include "lib/array.c"
#undef realloc
#include "fault/index.c"

#define RULES 300
#define SIZE 10000

static struct fault rules[RULES];
static bool there[RULES];
static struct index x;

static bool
add (size_t i)
{
  if (!index_reserve (&x))
    return false;
  index_add (&x, &rules[i]);
  return there[i] = true;
}

static void
set_region (size_t i, uint64_t offset, uint64_t count)
{
  rules[i].spec = (struct fault_spec) {
    .has_range = true, .offset = offset, .count = count
  };
}

static bool
overlaps (const struct fault_spec *s, uint64_t start, uint64_t end)
{
  return !s->has_range || (s->offset < end && s->offset + s->count > start);
}

/* Does the index give, each once, exactly the rules that overlap a request? */
static bool
finds (uint64_t start, uint64_t end)
{
  bool found[RULES] = { false };

  for (size_t at = index_next (&x, 0, (int64_t) start, (int64_t) end);
       at < x.n; at = index_next (&x, at + 1, (int64_t) start, (int64_t) end)) {
    const size_t i = (size_t) (x.entry[at].fault - rules);

    if (found[i])
      return false;
    found[i] = true;
  }
  for (size_t i = 0; i < RULES; i++)
    if (found[i] != (there[i] && overlaps (&rules[i].spec, start, end)))
      return false;
  return true;
}

/* Is each max_end the end of the last region in the subtree? */
static bool
max_ends_are_right (size_t lo, size_t hi)
{
  const size_t mid = lo + (hi - lo) / 2;
  int64_t end = INT64_MIN;

  if (lo == hi)
    return true;
  for (size_t i = lo; i < hi; i++)
    if (x.entry[i].end > end)
      end = x.entry[i].end;
  return x.entry[mid].max_end == end && max_ends_are_right (lo, mid)
    && max_ends_are_right (mid + 1, hi);
}

/* A region of some size, often the same ones; sometimes none. */
static void
random_rule (size_t i, uint64_t *state)
{
  static const uint64_t sizes[] = { 1, 7, 100, 3000, SIZE };
  const uint64_t count = 1 + random_below (state, sizes[random_below (state, 5)]);

  set_region (i, random_below (state, SIZE - count + 1), count);
  rules[i].spec.has_range = random_below (state, 30) != 0;
}

static void
random_change (uint64_t *state)
{
  const size_t i = random_below (state, RULES);

  if (there[i]) {
    index_remove (&x, &rules[i]);
    there[i] = false;
    return;
  }
  random_rule (i, state);
  add (i);
}

static void
oracle (uint64_t seed)
{
  uint64_t state = seed, n = rounds (20000), i;
  bool right = true;

  for (i = 0; i < n && right; i++) {
    uint64_t start = random_below (&state, SIZE);
    uint64_t count = random_below (&state, i % 2 ? 10 : SIZE - start);

    if (random_below (&state, 4) == 0)
      random_change (&state);
    index_refresh (&x);
    right = finds (start, start + count) && finds (0, 0);
    if (i % 100 == 0)
      right = right && max_ends_are_right (0, x.n);
  }
  ok (right, "%llu random requests among %zu rules, seed %llu",
      (unsigned long long) i, x.n, (unsigned long long) seed);
}

/* What was there is still there when memory is missing. */
static void
without_memory (void)
{
  size_t before;

  index_clear (&x);
  for (size_t i = 0; i == 0 || x.n < x.room; i++)
    add (i);
  before = x.n;
  countdown = 0;
  ok (!index_reserve (&x) && x.n == before, "no memory for one more");
  countdown = -1;
  ok (index_reserve (&x) && x.n == before && x.room > before,
      "and again when there is some");
}

int
main (void)
{
  ok (index_next (&x, 0, 0, 1) == 0 && x.n == 0, "nothing is in it at first");

  set_region (0, 100, 10);
  add (0);
  ok (x.stale, "adding makes it stale");
  index_refresh (&x);
  ok (!x.stale && finds (100, 101) && finds (109, 110) && finds (0, 101)
      && finds (0, SIZE), "a region is found from its first byte to its last");
  ok (index_next (&x, 0, 99, 100) == x.n && index_next (&x, 0, 110, 111) == x.n
      && index_next (&x, 0, 105, 105) == 0 && index_next (&x, 0, 0, 0) == x.n,
      "and not beside it");

  set_region (1, INT64_MAX - 5, 100);
  rules[2].spec.has_range = false;
  add (1);
  add (2);
  index_refresh (&x);
  ok (x.entry[0].fault == &rules[2] && x.entry[2].fault == &rules[1],
      "they are sorted by where they begin");
  ok (index_next (&x, 1, INT64_MAX - 1, INT64_MAX) == 2,
      "a region reaches to the end of all numbers, and no further");
  ok (index_next (&x, 0, 0, 0) == 0 && index_next (&x, 1, 0, 0) == x.n,
      "only a rule without a region is found where there are no bytes");

  index_remove (&x, &rules[1]);
  index_remove (&x, &rules[1]);
  there[1] = false;
  ok (x.stale && x.n == 2, "removing makes it stale, and twice does no harm");

  oracle (env_number ("SEED", 1));
  without_memory ();
  index_clear (&x);
  ok (x.n == 0 && !x.entry && index_reserve (&x), "cleared, and used again");
  index_clear (&x);
  return done_testing ();
}
