/* chance.c - randomness that can be repeated.
 *
 * A tally is a hash table with open addressing.  Its keys are made with a secret,
 * so that a client that chooses offsets can't make them collide.  The luck is
 * made without it, and so is the same in each process.
 */

#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/chance.h"

/* A request that was seen before. */
struct seen {
  uint64_t key;                 /* 0: a free place */
  uint64_t count;               /* how often */
};

static uint64_t seed;
static uint64_t secret[2];

double
chance_fraction (uint64_t random)
{
  return (double) (random >> 11) * 0x1p-53;
}

/* (Without getrandom, the secret is 0, and all else is as it should be.) */
void
chance_start (uint64_t n)
{
  seed = n;
  if (getrandom (secret, sizeof secret, GRND_NONBLOCK) != sizeof secret)
    secret[0] = secret[1] = 0;
}

/*--------------------------------------------------------------------*/
/* Counting. */

/* Never 0, because that is a free place. */
static uint64_t
key_of (unsigned op, uint64_t offset, uint64_t count)
{
  const uint64_t key
    = chance_mix (chance_mix (chance_mix (offset ^ secret[0]) ^ count
                              ^ secret[1]) ^ op);

  return key ? key : 1;
}

/* The place of KEY among N entries, of which some are free: its own, or the free
 * one that it would take.  N is a power of 2.
 */
static struct seen *
find (struct seen *entries, size_t n, uint64_t key)
{
  size_t i = key & (n - 1);

  while (entries[i].key != 0 && entries[i].key != key)
    i = (i + 1) & (n - 1);
  return &entries[i];
}

/* Double the table.  False: no memory, and nothing has changed. */
static bool
grow (struct tally *t)
{
  const size_t more = t->size ? t->size * 2 : 64;
  struct seen *entries = calloc (more, sizeof *entries);

  if (!entries)
    return false;
  for (size_t i = 0; i < t->size; i++)
    if (t->seen[i].key)
      *find (entries, more, t->seen[i].key) = t->seen[i];
  free (t->seen);
  t->seen = entries;
  t->size = more;
  return true;
}

/* (Half of the places stay free.) */
uint64_t
tally_count (struct tally *t, unsigned op, uint64_t offset, uint64_t count)
{
  const uint64_t key = key_of (op, offset, count);
  struct seen *s = t->size ? find (t->seen, t->size, key) : NULL;

  if (s && s->key)
    return s->count++;
  if (t->used * 2 >= t->size && !grow (t))
    return 0;
  *find (t->seen, t->size, key) = (struct seen) { .key = key, .count = 1 };
  t->used++;
  return 0;
}

void
tally_clear (struct tally *t)
{
  free (t->seen);
  *t = (struct tally) { .seen = NULL };
}

/*--------------------------------------------------------------------*/

uint64_t
chance_luck (unsigned op, uint64_t offset, uint64_t count, uint64_t n)
{
  const uint64_t key = chance_mix (chance_mix (chance_mix (offset) ^ count) ^ op);
  const uint64_t luck = chance_mix (chance_mix (seed) ^ chance_mix (key + n));

  return luck ? luck : 1;
}
