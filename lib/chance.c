/* chance.c - randomness that can be repeated. */

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/chance.h"

/* How often a request came, in a hash table with open addressing. */
struct meeting {
  uint64_t key;                 /* 0: free */
  uint64_t count;
};

static struct meeting *meetings;
static size_t used, size;       /* the size is a power of 2, or 0 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
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
  free (meetings);
  meetings = NULL;
  used = size = 0;
}

/* The place of KEY in a table of so many ENTRIES, or a free one for it. */
static struct meeting *
find (struct meeting *table, size_t entries, uint64_t key)
{
  size_t i = key & (entries - 1);

  while (table[i].key != 0 && table[i].key != key)
    i = (i + 1) & (entries - 1);
  return &table[i];
}

static bool
grow (void)
{
  size_t more = size ? size * 2 : 64;
  struct meeting *table = calloc (more, sizeof *table);

  if (!table)
    return false;
  for (size_t i = 0; i < size; i++)
    if (meetings[i].key)
      *find (table, more, meetings[i].key) = meetings[i];
  free (meetings);
  meetings = table;
  size = more;
  return true;
}

/* How often this key was met before; it is now met once more. */
static uint64_t
meet (uint64_t key)
{
  uint64_t count = 0;
  struct meeting *m;

  pthread_mutex_lock (&lock);
  if (used * 2 < size || grow ()) {
    m = find (meetings, size, key);
    if (m->key == 0) {
      m->key = key;
      used++;
    }
    count = m->count++;
  }
  pthread_mutex_unlock (&lock);
  return count;
}

/* The luck of a request that comes once more; never 0. */
static uint64_t
draw (unsigned op, uint64_t offset, uint64_t count)
{
  uint64_t key = chance_mix (chance_mix (chance_mix (offset) ^ count) ^ op);
  uint64_t n;

  if (key == 0)
    key = 1;                    /* 0 is a free place */
  n = chance_mix (chance_mix (seed) ^ chance_mix (key + meet (key)));
  return n ? n : 1;
}

uint64_t
chance_luck (uint64_t *luck, unsigned op, uint64_t offset, uint64_t count)
{
  if (*luck == 0)
    *luck = draw (op, offset, count);
  return *luck;
}
