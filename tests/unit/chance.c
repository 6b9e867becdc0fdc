/* How often requests came: whatever they are, without memory, and if somebody chose
 * them.
 */

#include <sys/random.h>

#include "tap.h"

/* Fail when this counts down to 0; < 0: never. */
static long countdown = -1;

static void *
test_calloc (size_t n, size_t size)
{
  if (countdown >= 0 && countdown-- == 0)
    return NULL;
  return calloc (n, size);
}

#define calloc test_calloc
#include "lib/chance.c"
#undef calloc

#define MANY 20000

/* Do the first N requests count as COUNT ones that came before? */
static bool
came (struct tally *t, uint64_t n, uint64_t count)
{
  bool right = true;

  for (uint64_t i = 0; i < n; i++)
    right = tally_count (t, (unsigned) (i % 7), i / 7 % 50 * 512, i / 350) == count
      && right;
  return right;
}

static void
counting (void)
{
  struct tally t = { .used = 0 }, other = { .used = 0 };

  ok (came (&t, MANY, 0) && came (&t, MANY, 1) && came (&t, 10, 2),
      "each request counts for itself");
  ok (t.used == MANY && t.size >= MANY * 2 && t.size <= MANY * 4
      && sizeof (struct seen) == 16, "32 to 64 bytes each");
  ok (came (&other, 10, 0), "and each tally");
  tally_clear (&t);
  ok (!t.seen && t.size == 0 && came (&t, 10, 0), "cleared: it begins again");
  tally_clear (&t);
  tally_clear (&other);
}

static void
without_memory (void)
{
  struct tally t = { .used = 0 };
  bool right = true;

  countdown = 0;
  ok (tally_count (&t, 0, 0, 0) == 0 && !t.seen, "no memory at all");
  came (&t, 32, 0);
  countdown = 0;
  for (uint64_t i = 1; i < 100; i++) {
    right = came (&t, 32, i) && right;
    countdown = 0;
    right = tally_count (&t, 9, i, 0) == 0 && right;
    countdown = 0;
    right = tally_count (&t, 9, i, 0) == 0 && right;
  }
  ok (right && t.used == 32, "what is known keeps its count when the table can't "
      "grow, and the rest is new each time");
  countdown = -1;
  ok (tally_count (&t, 9, 1, 0) == 0 && tally_count (&t, 9, 1, 0) == 1
      && came (&t, 32, 100), "when it can, it does");
  tally_clear (&t);
}

/* Offsets that would all be stored in one place, if there was no secret. */
static uint64_t
next_chosen (uint64_t offset)
{
  const uint64_t keep[2] = { secret[0], secret[1] };

  secret[0] = secret[1] = 0;
  do
    offset++;
  while (key_of (0, offset, 512) & 1023);
  secret[0] = keep[0];
  secret[1] = keep[1];
  return offset;
}

/* How far from its place an entry of a full table is, in the mean. */
static double
distance (const struct tally *t)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < t->size; i++)
    if (t->seen[i].key)
      sum += (i - t->seen[i].key) & (t->size - 1);
  return (double) sum / (double) t->used;
}

static double
distance_of_chosen (void)
{
  struct tally t = { .used = 0 };
  uint64_t offset = 0;
  double d;

  for (unsigned i = 0; i < 4096; i++) {
    offset = next_chosen (offset);
    tally_count (&t, 0, offset, 512);
  }
  d = distance (&t);
  tally_clear (&t);
  return d;
}

static void
chosen (void)
{
  uint64_t key, luck;
  double d;

  key = key_of (0, 1, 2);
  luck = chance_luck (0, 1, 2, 3);
  chance_start (1);
  ok (key_of (0, 1, 2) != key, "each process has a secret of its own");
  ok (chance_luck (0, 1, 2, 3) == luck && chance_luck (0, 1, 2, 4) != luck,
      "on which no luck depends");
  chance_start (2);
  ok (chance_luck (0, 1, 2, 3) != luck, "it depends on the seed");
  d = distance_of_chosen ();
  ok (d < 10, "chosen requests are spread: %.1f places away", d);
  secret[0] = secret[1] = 0;
  d = distance_of_chosen ();
  ok (d > 100, "which without a secret they would not be: %.1f", d);
}

int
main (void)
{
  chance_start (1);
  counting ();
  without_memory ();
  chosen ();
  return done_testing ();
}
