/* chance.c - randomness that can be repeated. */

#include <stdbool.h>
#include <stdlib.h>

#include "chance.h"

struct meeting {
  uint64_t key;                 /* 0: free */
  uint64_t count;
};

double
chance_fraction (uint64_t random)
{
  return (double) (random >> 11) * 0x1p-53;
}

void
chance_init (struct chance *c, uint64_t seed)
{
  *c = (struct chance) { .seed = seed };
  pthread_mutex_init (&c->lock, NULL);
}

void
chance_free (struct chance *c)
{
  pthread_mutex_destroy (&c->lock);
  free (c->table);
}

/* The place of KEY in the table, or a free one for it. */
static struct meeting *
find (struct meeting *table, size_t size, uint64_t key)
{
  size_t i = key & (size - 1);

  while (table[i].key != 0 && table[i].key != key)
    i = (i + 1) & (size - 1);
  return &table[i];
}

static bool
grow (struct chance *c)
{
  size_t size = c->size ? c->size * 2 : 64;
  struct meeting *table = calloc (size, sizeof *table);

  if (!table)
    return false;
  for (size_t i = 0; i < c->size; i++)
    if (c->table[i].key)
      *find (table, size, c->table[i].key) = c->table[i];
  free (c->table);
  c->table = table;
  c->size = size;
  return true;
}

uint64_t
chance_draw (struct chance *c, uint64_t key)
{
  uint64_t count = 0;
  struct meeting *m;

  key = chance_mix (key) | 1;
  pthread_mutex_lock (&c->lock);
  if (c->used * 2 < c->size || grow (c)) {
    m = find (c->table, c->size, key);
    if (m->key == 0) {
      m->key = key;
      c->used++;
    }
    count = m->count++;
  }
  pthread_mutex_unlock (&c->lock);
  return chance_mix (chance_mix (c->seed) ^ chance_mix (key + count));
}
