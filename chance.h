/* chance.h - randomness that can be repeated.
 *
 * What happens by chance to a request depends on a seed, on who asks, on the
 * request (its key), and on how often the same request came before: never on
 * time, or on the order in which threads run.
 */

#ifndef CHANCE_H
#define CHANCE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* How often each key was met.  Memory: 16 to 64 bytes for each different key. */
struct chance {
  pthread_mutex_t lock;
  uint64_t seed;
  struct meeting *table;        /* a hash table with open addressing */
  size_t used, size;            /* the size is a power of 2, or 0 */
};

/* Numbers drawn with different seeds have nothing to do with each other. */
void chance_init (struct chance *c, uint64_t seed);
void chance_free (struct chance *c);

/* A random number for this key, and this time that it is met.  From any
 * thread.  Without memory to count, it is as if the key was met for the first
 * time.
 */
uint64_t chance_draw (struct chance *c, uint64_t key);

/* A number that looks random, made of another one; no two have the same.  The
 * numbers of SEED, SEED + CHANCE_STEP, SEED + 2 * CHANCE_STEP, ... are those of
 * splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
 * 2014).
 */
#define CHANCE_STEP UINT64_C (0x9E3779B97F4A7C15)

static inline uint64_t
chance_mix (uint64_t n)
{
  n += CHANCE_STEP;
  n = (n ^ (n >> 30)) * UINT64_C (0xBF58476D1CE4E5B9);
  n = (n ^ (n >> 27)) * UINT64_C (0x94D049BB133111EB);
  return n ^ (n >> 31);
}

/* A random number as a fraction, 0 <= it < 1. */
double chance_fraction (uint64_t random);

#endif /* CHANCE_H */
