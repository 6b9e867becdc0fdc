/* chance.c - randomness that can be repeated. */

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/chance.h"

/* A request that was seen before, in a hash table with open addressing. */
struct seen {
  uint64_t key;                 /* 0: a free place */
  uint64_t count;               /* how often */
};

static struct seen *table;
static size_t used, size;       /* places; the size is a power of 2, or 0 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;        /* of these */
static uint64_t seed;

double
chance_fraction (uint64_t random)
{
  return (double) (random >> 11) * 0x1p-53;
}

void
chance_start (uint64_t n)
{
  seed = n;
}

void
chance_stop (void)
{
  free (table);
  table = NULL;
  used = size = 0;
}

/* The place of KEY among N entries, of which some are free: its own, or the free
 * one that it would take.
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
grow (void)
{
  const size_t more = size ? size * 2 : 64;
  struct seen *entries = calloc (more, sizeof *entries);

  if (!entries)
    return false;
  for (size_t i = 0; i < size; i++)
    if (table[i].key)
      *find (entries, more, table[i].key) = table[i];
  free (table);
  table = entries;
  size = more;
  return true;
}

/* How often this key was seen before; count it once more. */
static uint64_t
see (uint64_t key)
{
  uint64_t count = 0;
  struct seen *s;

  pthread_mutex_lock (&lock);
  if (used * 2 < size || grow ()) {
    s = find (table, size, key);
    if (s->key == 0) {
      s->key = key;
      used++;
    }
    count = s->count++;
  }
  pthread_mutex_unlock (&lock);
  return count;
}

/* The luck of a request, which is counted; never 0. */
static uint64_t
draw (unsigned op, uint64_t offset, uint64_t count)
{
  uint64_t key = chance_mix (chance_mix (chance_mix (offset) ^ count) ^ op);
  uint64_t n;

  if (key == 0)
    key = 1;                    /* because 0 is a free place */
  n = chance_mix (chance_mix (seed) ^ chance_mix (key + see (key)));
  return n ? n : 1;
}

uint64_t
chance_luck (uint64_t *luck, unsigned op, uint64_t offset, uint64_t count)
{
  if (*luck == 0)
    *luck = draw (op, offset, count);
  return *luck;
}
