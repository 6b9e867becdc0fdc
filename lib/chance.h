/* chance.h - randomness that can be repeated.
 *
 * What happens by chance to a request depends on the seed, on who asks, on the
 * request (operation, offset, count), and on how often the same request came
 * before: never on time, or on the order in which threads run.  Any thread may
 * call these functions.
 */

#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

/* Before chance_luck; and when no request is left. */
void chance_start (uint64_t seed);
void chance_stop (void);

/* The luck of a request, from which all make their random numbers, each in a way
 * of its own.  It is drawn when somebody asks for it, and kept in *LUCK, which is
 * 0 at first.  So there is one count for each request, whoever asks, and of two
 * same requests at the same time it does not matter which is the first.  A request
 * that is counted takes 16 to 64 bytes for each different one; without memory
 * for that, it is as if it came for the first time.
 */
uint64_t chance_luck (uint64_t *luck, unsigned op, uint64_t offset,
                      uint64_t count);

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
